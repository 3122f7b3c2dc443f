from __future__ import annotations

from pathlib import Path

import pytest

from reprocheck.extractors.frameworks import tensorflow_build, torch_build
from reprocheck.model.snapshot import Framework
from tests.elf import shared_object
from tests.evidence import Tree
from tests.extractors.stack import SHOWN, SITE, facts_of, read, target, wheel

BUILD_INFO = (
    "# Copyright\nimport collections\n"
    "build_info = collections.OrderedDict([('cuda_compute_capabilities', ['sm_70', 'compute_80']), "
    "('cuda_version', '11.2'), ('cudnn_version', '8'), ('is_cuda_build', True), ('is_rocm_build', False)])\n"
)
CPU_INFO = "build_info = dict([('is_cuda_build', False), ('cpu_compiler', 'gcc')])\n"
INFO_PATH = f"{SITE}/tensorflow/python/platform/build_info.py"
LIBRARIES = {
    f"{SITE}/tensorflow/libtensorflow_framework.so.2": shared_object(
        soname="libtensorflow_framework.so.2", runpath="/opt"
    ),
    f"{SITE}/tensorflow/python/_pywrap_tensorflow_internal.so": shared_object(
        "libtensorflow_framework.so.2", runpath="$ORIGIN/.."
    ),
}


def lone(tree: Tree) -> Framework:
    (found,) = read(tree).frameworks
    return found


def test_normal(tmp_path: Path) -> None:
    cudnn = {"/opt/libcudnn.so.8": shared_object(soname="libcudnn.so.8")}
    found = lone(target(tmp_path, wheel("tensorflow", "2.9.0"), {INFO_PATH: BUILD_INFO}, LIBRARIES, cudnn))
    assert (found.name, found.version, found.environment) == ("tensorflow", "2.9.0", "/usr/local")
    assert (found.built_with, found.gpu_targets) == ({"cuda": "11.2", "cudnn": "8"}, ("sm_70", "compute_80"))
    assert {one.name: (one.component, one.status, one.path) for one in found.loads} == {
        "libcublas.so.11": ("cublas", "missing", None),
        "libcublasLt.so.11": ("cublasLt", "missing", None),
        "libcudart.so.11.0": ("cudart", "missing", None),
        "libcudnn.so.8": ("cudnn", "found", "/opt/libcudnn.so.8"),
        "libcufft.so.10": ("cufft", "missing", None),
        "libcurand.so.10": ("curand", "missing", None),
        "libcusolver.so.11": ("cusolver", "missing", None),
        "libcusparse.so.11": ("cusparse", "missing", None),
    }
    assert next(one.reason for one in found.loads if one.path) == "RUNPATH of libtensorflow_framework.so.2"


def test_empty(tmp_path: Path) -> None:
    assert read(target(tmp_path, wheel("numpy", "1.23.5"))).frameworks == ()


def test_built_for_the_cpu(tmp_path: Path) -> None:
    found = lone(target(tmp_path, wheel("tensorflow-cpu", "2.9.0"), {INFO_PATH: CPU_INFO}))
    assert (found.name, found.built_with, found.gpu_targets, found.loads) == ("tensorflow-cpu", {}, (), ())


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (None, "can't be read (missing)"),
        ("", "is not of the form that is known"),
        ("build_info = open('/etc/passwd')\n", "is not of the form that is known"),
        ("build_info = __import__('os').system('x')\n", "is not of the form that is known"),
        ("build_info = 7\n", "is not of the form that is known"),
        ("def\n", "is not of the form that is known"),
        ("build_info = " + "(" * 300 + ")" * 300, "is not of the form that is known"),
        ("build_info = " + "-" * 100_000 + "1", "is not of the form that is known"),
        (b"\0\xff", "is not of the form that is known"),
    ],
)
def test_malformed(info: str | bytes | None, reason: str, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {} if info is None else {INFO_PATH: info}
    facts = facts_of(target(tmp_path, wheel("tensorflow", "2.9.0"), files))
    (found,) = facts.fields["accelerator"].frameworks
    assert (found.built_with, found.loads) == (None, ())
    assert facts.coverage.state == "partial"
    (gap,) = facts.gaps
    assert gap.what == "accelerator.frameworks[/usr/local/tensorflow].built_with"
    assert gap.reason == f"tensorflow/python/platform/build_info.py {reason}"


@pytest.mark.parametrize(
    ("raw", "built_with"),
    [
        (b"cuda: Optional[str] = '12.1'\nhip: Optional[str] = None\n", {"cuda": "12.1"}),
        (b"cuda = '11.8'\n", {"cuda": "11.8"}),
        (b"cuda = None\nhip = '5.4.2'\n", {"rocm": "5.4.2"}),
        (b"cuda = None\n", {}),
    ],
)
def test_torch(raw: bytes, built_with: dict[str, str], tmp_path: Path) -> None:
    assert torch_build(raw) == (built_with, ())
    files: dict[str, str | bytes] = {f"{SITE}/torch/version.py": raw}
    assert lone(target(tmp_path, wheel("torch", "2.3.0"), files)).built_with == built_with


def test_torch_with_wheels(tmp_path: Path) -> None:
    """Without a search path of its own, PyTorch loads NVIDIA's wheels by their paths."""
    needed = ("libcudart.so.12", "libcudnn.so.9", "libnccl.so.2")
    wheels = {
        f"{SITE}/nvidia/{folder}/lib/{name}": shared_object(soname=name)
        for folder, name in zip(("cuda_runtime", "cudnn", "nccl"), needed, strict=True)
    }
    files: dict[str, str | bytes] = {
        f"{SITE}/torch/version.py": "cuda = '12.1'\n",
        f"{SITE}/torch/lib/libtorch_global_deps.so": shared_object(*needed),
        **wheels,
    }
    found = lone(target(tmp_path, wheel("torch", "2.3.0"), files))
    assert {one.name: (one.status, one.path) for one in found.loads} == {
        name: ("found", path.replace(SITE, SHOWN)) for path, name in zip(wheels, needed, strict=True)
    }


def test_torch_where_the_order_of_its_versions_matters(tmp_path: Path) -> None:
    """libcublas names no search path, and a toolkit's libcublasLt lies in the way."""
    files: dict[str, str | bytes] = {
        f"{SITE}/torch/version.py": "cuda = '12.1'\n",
        f"{SITE}/torch/lib/libtorch_global_deps.so": shared_object("libcublas.so.12", "libcudnn.so.9"),
        f"{SITE}/torch/lib/libtorch_cuda.so": shared_object("libcublasLt.so.12"),
        f"{SITE}/nvidia/cublas/lib/libcublas.so.12": shared_object("libcublasLt.so.12", soname="libcublas.so.12"),
        f"{SITE}/nvidia/cublas/lib/libcublasLt.so.12": shared_object(soname="libcublasLt.so.12"),
        f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9": shared_object(soname="libcudnn.so.9"),
        "/opt/libcublasLt.so.12": shared_object(soname="libcublasLt.so.12"),
    }
    found = lone(target(tmp_path, wheel("torch", "2.3.0"), files, LD_LIBRARY_PATH="/opt"))
    loads = {one.name: (one.status, one.reason) for one in found.loads}
    assert loads["libcublasLt.so.12"] == ("unknown", "it hangs on the version of PyTorch")
    assert loads["libcublas.so.12"][0] == "found"


@pytest.mark.parametrize(
    ("version", "beside", "built_with"),
    [
        ("0.4.30", "jax-cuda12-plugin", {"cuda": "12"}),
        ("0.4.30", "jax-cuda12-pjrt", {"cuda": "12"}),
        ("0.4.13+cuda11.cudnn86", None, {"cuda": "11", "cudnn": "8.6"}),
        ("0.4.30", None, {}),
    ],
)
def test_jax(version: str, beside: str | None, built_with: dict[str, str], tmp_path: Path) -> None:
    plugin = wheel(beside, version) if beside else {}
    assert lone(target(tmp_path, wheel("jaxlib", version), plugin)).built_with == built_with


def test_jax_opens_from_its_plugin(tmp_path: Path) -> None:
    files = {
        f"{SITE}/jax_plugins/xla_cuda12/xla_cuda_plugin.so": shared_object(runpath="$ORIGIN/../../nvidia/cudart/lib"),
        f"{SITE}/nvidia/cudart/lib/libcudart.so.12": shared_object(soname="libcudart.so.12"),
    }
    found = lone(target(tmp_path, wheel("jaxlib", "0.4.30"), wheel("jax-cuda12-plugin", "0.4.30"), files))
    assert {one.path for one in found.loads if one.status == "found"} == {f"{SHOWN}/nvidia/cudart/lib/libcudart.so.12"}


def test_a_musl_target_can_not_be_told(tmp_path: Path) -> None:
    python = shared_object("libc.musl-x86_64.so.1", interpreter="/lib/ld-musl-x86_64.so.1")
    files: dict[str, str | bytes] = {"/usr/local/bin/python3": python, INFO_PATH: BUILD_INFO}
    found = lone(target(tmp_path, wheel("tensorflow", "2.9.0"), files))
    assert {one.status for one in found.loads} == {"unknown"}
    assert {one.reason for one in found.loads} == {"its C library is musl, whose search is another one"}


def test_an_interpreter_that_was_not_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"/usr/local/bin/python3": "#!/bin/sh\n", INFO_PATH: BUILD_INFO}
    found = lone(target(tmp_path, wheel("tensorflow", "2.9.0"), files))
    assert {one.status for one in found.loads} == {"unknown"}


def test_its_own_library_is_not_there(tmp_path: Path) -> None:
    found = lone(target(tmp_path, wheel("tensorflow", "2.9.0"), {INFO_PATH: BUILD_INFO}))
    assert {one.status for one in found.loads} == {"unknown"}
    assert all("_pywrap_tensorflow_internal.so is not loaded" in one.reason for one in found.loads)


def test_a_build_of_tensorflow_is_a_literal() -> None:
    assert tensorflow_build(BUILD_INFO.encode())[0] == {"cuda": "11.2", "cudnn": "8"}
    rocm = b"build_info = dict([('is_rocm_build', True), ('rocm_version', '5.3')])"
    assert tensorflow_build(rocm) == ({"rocm": "5.3"}, ())
