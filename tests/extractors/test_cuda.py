from __future__ import annotations

import json
from pathlib import Path

import pytest

from reprocheck.extractors.cuda import component_of, file_version, header_version
from tests.elf import shared_object
from tests.extractors.stack import SHOWN, SITE, facts_of, read, target, wheel

CUDNN_HEADER = "#define CUDNN_MAJOR 8\n#define CUDNN_MINOR 9\n#  define CUDNN_PATCHLEVEL 2\n"
CUDNN = shared_object(soname="libcudnn.so.8")
MULTIARCH = "/usr/lib/x86_64-linux-gnu"
STATUS = "Package: libcudnn8\nStatus: install ok installed\nArchitecture: amd64\nVersion: 8.6.0.163-1+cuda11.8\n\n"


def test_four_copies_each_under_its_owner(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "/usr/local/cuda-11.2/lib64/libcudnn.so.8.1.0": CUDNN,
        f"{MULTIARCH}/libcudnn.so.8.6.0": CUDNN,
        "/var/lib/dpkg/status": STATUS,
        "/var/lib/dpkg/info/libcudnn8.list": f"/.\n/usr\n{MULTIARCH}\n{MULTIARCH}/libcudnn.so.8.6.0\n",
        "/opt/conda/lib/libcudnn.so.8": CUDNN,
        "/opt/conda/conda-meta/history": "",
        "/opt/conda/conda-meta/cudnn-8.4.1.50-0.json": json.dumps(
            {"name": "cudnn", "version": "8.4.1.50", "files": ["lib/libcudnn.so.8", "include/cudnn.h"]}
        ),
        f"{SITE}/nvidia/cudnn/lib/libcudnn.so.8": CUDNN,
    }
    links = {
        "/usr/local/cuda": "cuda-11.2",
        "/usr/local/cuda-11.2/lib64/libcudnn.so.8": "libcudnn.so.8.1.0",
        "/usr/local/cuda-11.2/lib64/libcudnn.so": "libcudnn.so.8",
        f"{MULTIARCH}/libcudnn.so.8": "libcudnn.so.8.6.0",
    }
    own = wheel("nvidia-cudnn-cu11", "8.9.2.26", "nvidia/cudnn/lib/libcudnn.so.8")
    found = read(target(tmp_path, files, own, links=links)).cuda
    assert [(one.component, one.version, one.path, one.source, one.owner, one.environment) for one in found] == [
        ("cudnn", "8.4.1.50", "/opt/conda/lib/libcudnn.so.8", "package", "conda:cudnn 8.4.1.50", None),
        (
            "cudnn",
            "8.6.0",
            f"{MULTIARCH}/libcudnn.so.8.6.0",
            "file name",
            "dpkg:libcudnn8 8.6.0.163-1+cuda11.8",
            None,
        ),
        ("cudnn", "8.1.0", "/usr/local/cuda-11.2/lib64/libcudnn.so.8.1.0", "file name", "none", None),
        (
            "cudnn",
            "8.9.2.26",
            f"{SHOWN}/nvidia/cudnn/lib/libcudnn.so.8",
            "wheel",
            "python:nvidia-cudnn-cu11 8.9.2.26",
            "/usr/local",
        ),
    ]


def test_empty(tmp_path: Path) -> None:
    assert read(target(tmp_path)).cuda == ()


def test_bundled_in_another_wheel(tmp_path: Path) -> None:
    """Its version is not the wheel's."""
    files: dict[str, str | bytes] = {
        f"{SITE}/torch/lib/libcudnn.so.8": CUDNN,
        f"{SITE}/torch/lib/libcudart-d0da41ae.so.11.0": shared_object(soname="libcudart-d0da41ae.so.11.0"),
    }
    own = wheel("torch", "1.13.1", *(path.removeprefix(f"{SITE}/") for path in files))
    # PyTorch's own file says what it was built with; without it there is a gap.
    built = {f"{SITE}/torch/version.py": "cuda = '11.7'\n"}
    found = read(target(tmp_path, files, own, built)).cuda
    assert [(one.component, one.version, one.source, one.owner) for one in found] == [
        ("cudart", "11.0", "soname", "python:torch 1.13.1"),
        ("cudnn", "8", "soname", "python:torch 1.13.1"),
    ]


@pytest.mark.parametrize(
    ("files", "version", "source"),
    [
        ({"include/cudnn_version.h": CUDNN_HEADER}, "8.9.2", "header"),
        ({"include/cudnn_version.h": "#define CUDNN_MAJOR x\n"}, "8", "soname"),
        ({"include/cudnn_version.h": b"\xff\0"}, "8", "soname"),
        ({}, "8", "soname"),
    ],
)
def test_what_tells_the_version(files: dict[str, str | bytes], version: str, source: str, tmp_path: Path) -> None:
    beside = {f"/opt/cudnn/{path}": content for path, content in files.items()}
    (one,) = read(target(tmp_path, {"/opt/cudnn/lib/libcudnn.so.8": CUDNN}, beside)).cuda
    assert (one.version, one.source) == (version, source)


def test_a_multiarch_header(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"{MULTIARCH}/libcudnn.so.8": CUDNN,
        "/usr/include/x86_64-linux-gnu/cudnn_version.h": CUDNN_HEADER,
    }
    (one,) = read(target(tmp_path, files)).cuda
    assert (one.version, one.source) == ("8.9.2", "header")


def test_the_files_of_a_toolkit(tmp_path: Path) -> None:
    told = {"libcublas": {"name": "CUDA cuBLAS", "version": "11.4.1.1026"}, "cuda_cudart": {"version": "11.2.72"}}
    lib = "/usr/local/cuda-11.2/targets/x86_64-linux/lib"
    files: dict[str, str | bytes] = {
        f"{lib}/libcublas.so.11": shared_object(soname="libcublas.so.11"),
        f"{lib}/libcublasLt.so.11": shared_object(soname="libcublasLt.so.11"),
        f"{lib}/libcudart.so.11.0": shared_object(soname="libcudart.so.11.0"),
        f"{lib}/libcufft.so": shared_object(),
        f"{lib}/stubs/libcuda.so": shared_object(soname="libcuda.so.1"),
        f"{lib}/stubs/libcublas.so": shared_object(soname="libcublas.so.11"),
        "/usr/local/cuda-11.2/version.json": json.dumps(told),
        "/usr/local/cuda-10.1/lib64/libcudart.so.10.1": shared_object(soname="libcudart.so.10.1"),
        "/usr/local/cuda-10.1/version.txt": "CUDA Version 10.1.243\n",
        "/usr/local/cuda-11.2/compat/libcuda.so.460.32.03": shared_object(soname="libcuda.so.1"),
        f"{MULTIARCH}/libcuda.so.460.32.03": shared_object(soname="libcuda.so.1"),
    }
    found = read(target(tmp_path, files)).cuda
    assert [(one.component, one.version, one.source) for one in found] == [
        ("cublas", "11.4.1.1026", "version file"),
        ("cublasLt", "11.4.1.1026", "version file"),
        ("cuda", "460.32.03", "file name"),
        ("cudart", "10.1.243", "version file"),
        ("cudart", "11.2.72", "version file"),
        ("cufft", None, "none"),
    ]


def test_malformed(tmp_path: Path) -> None:
    """A text is a note, a damaged library a gap; everything else is read."""
    files: dict[str, str | bytes] = {
        "/usr/local/cuda/lib64/libcudart.so": "/* GNU ld script */ INPUT ( libcudart.so.11.0 )\n",
        "/usr/local/cuda/lib64/libcudnn.so.8": CUDNN[:-30],
        "/usr/local/cuda/lib64/libnccl.so.2": shared_object(soname="libnccl.so.2"),
    }
    (tmp_path / "usr/local/cuda/lib64/libcufft.so").mkdir(parents=True)
    facts = facts_of(target(tmp_path, files))
    assert [one.component for one in facts.fields["accelerator"].cuda] == ["nccl"]
    assert facts.coverage.state == "partial"
    assert [(gap.what, gap.where, gap.reason) for gap in facts.gaps] == [
        (
            "accelerator.cuda",
            "/usr/local/cuda/lib64/libcudnn.so.8",
            "not a valid ELF file: the dynamic section outside the file",
        )
    ]
    assert [(note.where, note.reason) for note in facts.notes] == [
        ("/usr/local/cuda/lib64/libcudart.so", "not a library, whatever its name says")
    ]


@pytest.mark.parametrize("record", ["", "{", "[" * 100_000, '{"name": 1}', '{"name": "x", "version": "1", "files": 7}'])
def test_a_malformed_record_of_conda(record: str, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"/opt/conda/lib/libcudnn.so.8": CUDNN, "/opt/conda/conda-meta/cudnn.json": record}
    (one,) = read(target(tmp_path, files)).cuda
    assert (one.owner, one.version) == ("none", "8")


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("/x/libcudart.so.11.2.152", "cudart"),
        ("libcublasLt.so.11", "cublasLt"),
        ("libcudnn.so", "cudnn"),
        ("libcudnn_ops_infer.so.8", None),
        ("libcudart-d0da41ae.so.11.0", "cudart"),
        ("libcudart_static.a", None),
        ("libcuda.so.1", None),
        ("/usr/local/cuda/compat/libcuda.so.1", "cuda"),
        ("libcudart.so.conf", None),
        ("xlibcudart.so", None),
        ("libnvinfer.so.8.6.1", "nvinfer"),
        ("libnvinfer_plugin.so.8", None),
    ],
)
def test_names(path: str, component: str | None) -> None:
    assert component_of(path) == component


@pytest.mark.parametrize(
    ("component", "raw", "version"),
    [
        ("cudart", b"#define CUDART_VERSION  11020\n", "11.2"),
        ("cudart", b"#define CUDART_VERSION 9000\n", "9.0"),
        ("cudart", b"// #define CUDART_VERSION 9000\n", None),
        (
            "nccl",
            b'#define NCCL_MAJOR 2\n#define NCCL_MINOR 18\n#define NCCL_PATCH 1\n#define NCCL_SUFFIX ""\n',
            "2.18.1",
        ),
        ("nccl", b"#define NCCL_MAJOR 2\n", None),
        ("cudnn", b"#define CUDNN_MAJOR 99999999999\n#define CUDNN_MINOR 1\n#define CUDNN_PATCHLEVEL 1\n", None),
    ],
)
def test_headers(component: str, raw: bytes, version: str | None) -> None:
    assert header_version(component, raw) == version


@pytest.mark.parametrize(
    ("component", "raw", "version"),
    [
        ("cudart", b"CUDA Version 10.1.243\n", "10.1.243"),
        ("cublas", b"CUDA Version 10.1.243\n", None),
        ("cudart", b'{"cuda_cudart": {"version": "12.1.105"}}', "12.1.105"),
        ("cudart", b'{"cuda_cudart": {"version": 12}}', None),
        ("cudart", b'{"cuda_cudart": {"version": "\\u001b[2J"}}', None),
        ("cudart", b'["cuda_cudart"]', None),
        ("cudart", b"[" * 100_000, None),
        ("cudart", b"\xff\xfe", None),
    ],
)
def test_version_files(component: str, raw: bytes, version: str | None) -> None:
    assert file_version(component, raw) == version
