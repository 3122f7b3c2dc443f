"""What a framework would load, as predicted, and what the dynamic linker really maps (proc(5), ``maps``)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reprocheck.capture import capture
from reprocheck.model.snapshot import Framework
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access
from tests.elf import shared_object
from tests.integration.libraries import SITE, Layout, Library, lay
from tests.integration.running import Bench, inside

pytestmark = pytest.mark.engine

Image = Callable[[str], str]

TENSORFLOW = f"{SITE}/tensorflow"
TORCH = f"{SITE}/torch"
CUDNN = Library(soname="libcudnn.so.8")
CUDART = Library(soname="libcudart.so.11.0")

_TENSORFLOW_FILES: dict[str, str | bytes] = {
    f"{SITE}/tensorflow-2.9.0.dist-info/METADATA": "Name: tensorflow\nVersion: 2.9.0\n",
    f"{TENSORFLOW}/python/platform/build_info.py": (
        "import collections\n"
        "build_info = collections.OrderedDict([('cuda_compute_capabilities', ['sm_70', 'compute_80']), "
        "('cuda_version', '11.2'), ('cudnn_version', '8'), ('is_cuda_build', True), ('is_rocm_build', False)])\n"
    ),
}
_TORCH_FILES: dict[str, str | bytes] = {
    f"{SITE}/torch-2.3.0.dist-info/METADATA": "Name: torch\nVersion: 2.3.0\n",
    f"{TORCH}/version.py": "__version__ = '2.3.0'\ncuda: str = '12.1'\nhip = None\n",
}


def tensorflow(
    framework: Library | None = None, internal: Library | None = None, *more: tuple[str, Library], **fields: Any
) -> Layout:
    """A TensorFlow of two libraries, the one that is imported and the one that opens others."""
    holder = framework or Library(soname="")
    libraries = {
        f"{TENSORFLOW}/libtensorflow_framework.so.2": Library(
            soname="libtensorflow_framework.so.2",
            needs=holder.needs,
            rpath=holder.rpath,
            runpath=holder.runpath,
            opens=True,
        ),
        f"{TENSORFLOW}/python/_pywrap_tensorflow_internal.so": Library(
            soname="_pywrap_tensorflow_internal.so",
            needs=("libtensorflow_framework.so.2",),
            rpath=internal.rpath if internal else None,
            runpath=internal.runpath if internal else "$ORIGIN/..",
        ),
        **dict(more),
    }
    return Layout(libraries=libraries, files={**_TENSORFLOW_FILES, **fields.pop("files", {})}, **fields)


def paths(rpath: str | None = None, runpath: str | None = None, *needs: str) -> Library:
    return Library(soname="", rpath=rpath, runpath=runpath, needs=needs)


def torch(rpath: str | None, *more: tuple[str, Library], **fields: Any) -> Layout:
    """A PyTorch whose libraries need those of NVIDIA's wheels."""
    needed = ("libcublas.so.12", "libcudnn.so.8")
    libraries = {
        f"{TORCH}/lib/libtorch_global_deps.so": Library(soname="libtorch_global_deps.so", needs=needed, rpath=rpath),
        f"{TORCH}/lib/libtorch_cuda.so": Library(soname="libtorch_cuda.so", needs=needed, rpath=rpath),
        f"{TORCH}/_C.cpython-39-x86_64-linux-gnu.so": Library(
            soname="_C.so", needs=("libtorch_cuda.so",), rpath="$ORIGIN/lib"
        ),
        **dict(more),
    }
    return Layout(libraries=libraries, files={**_TORCH_FILES, **fields.pop("files", {})}, **fields)


CUBLAS12 = Library(soname="libcublas.so.12", needs=("libcublasLt.so.12",), runpath="$ORIGIN")
CUBLASLT12 = Library(soname="libcublasLt.so.12")
WHEELS = (
    (f"{SITE}/nvidia/cublas/lib/libcublas.so.12", CUBLAS12),
    (f"{SITE}/nvidia/cublas/lib/libcublasLt.so.12", CUBLASLT12),
    (f"{SITE}/nvidia/cudnn/lib/libcudnn.so.8", CUDNN),
)
LIB = "/usr/lib/x86_64-linux-gnu"

LAYOUTS: dict[str, Layout] = {
    "RUNPATH": tensorflow(paths(runpath="/opt/a"), None, ("/opt/a/libcudnn.so.8", CUDNN)),
    "RPATH": tensorflow(paths(rpath="/opt/a"), None, ("/opt/a/libcudnn.so.8", CUDNN)),
    "LD_LIBRARY_PATH before RUNPATH": tensorflow(
        paths(runpath="/opt/a"),
        None,
        ("/opt/a/libcudnn.so.8", CUDNN),
        ("/opt/b/libcudnn.so.8", CUDNN),
        variables={"LD_LIBRARY_PATH": "/opt/none:/opt/b"},
    ),
    "RPATH before LD_LIBRARY_PATH": tensorflow(
        paths(rpath="/opt/a"),
        None,
        ("/opt/a/libcudnn.so.8", CUDNN),
        ("/opt/b/libcudnn.so.8", CUDNN),
        variables={"LD_LIBRARY_PATH": "/opt/b"},
    ),
    "the cache": tensorflow(
        None,
        None,
        ("/opt/a/libcudnn.so.8", CUDNN),
        files={"/etc/ld.so.conf.d/a.conf": "/opt/a\n"},
        ldconfig=True,
    ),
    "a directory of ld.so.conf, and no ldconfig": tensorflow(
        None, None, ("/opt/a/libcudnn.so.8", CUDNN), files={"/etc/ld.so.conf.d/a.conf": "/opt/a\n"}
    ),
    "the cache before a default directory": tensorflow(
        None,
        None,
        ("/opt/a/libcudnn.so.8", CUDNN),
        (f"{LIB}/libcudnn.so.8", CUDNN),
        files={"/etc/ld.so.conf.d/000.conf": "/opt/a\n"},
        ldconfig=True,
    ),
    "a cache that is out of date": tensorflow(
        None,
        None,
        ("/opt/a/libcudnn.so.8", CUDNN),
        (f"{LIB}/libcudnn.so.8", CUDNN),
        files={"/etc/ld.so.conf.d/000.conf": "/opt/a\n"},
        ldconfig=True,
        afterwards=["/opt/a/libcudnn.so.8"],
    ),
    "a default directory, and no ldconfig": tensorflow(None, None, (f"{LIB}/libcudnn.so.8", CUDNN)),
    "default directories in their order": tensorflow(
        None,
        None,
        ("/usr/lib/libcudnn.so.8", CUDNN),
        (f"{LIB}/libcudnn.so.8", CUDNN),
        ("/usr/lib/libcudart.so.11.0", CUDART),
    ),
    "NVIDIA's wheels": tensorflow(
        paths(runpath="$ORIGIN/../nvidia/cuda_runtime/lib:$ORIGIN/../nvidia/cudnn/lib"),
        None,
        (f"{SITE}/nvidia/cudnn/lib/libcudnn.so.8", CUDNN),
        (f"{SITE}/nvidia/cuda_runtime/lib/libcudart.so.11.0", CUDART),
    ),
    "an inherited RPATH": tensorflow(None, paths(rpath="$ORIGIN/..:/opt/a"), ("/opt/a/libcudnn.so.8", CUDNN)),
    "a RUNPATH is not inherited": tensorflow(None, paths(runpath="$ORIGIN/..:/opt/a"), ("/opt/a/libcudnn.so.8", CUDNN)),
    "a RUNPATH hides an inherited RPATH": tensorflow(
        paths(runpath="/opt/none"), paths(rpath="$ORIGIN/..:/opt/a"), ("/opt/a/libcudnn.so.8", CUDNN)
    ),
    "a soname that is loaded already": tensorflow(
        paths("/opt/a", None, "libneeded.so"),
        None,
        ("/opt/a/libneeded.so", Library(soname="libcudnn.so.8")),
        (f"{LIB}/libcudnn.so.8", CUDNN),
    ),
    "what a dependency has loaded": tensorflow(
        paths(None, "/opt/a", "libhelper.so"),
        None,
        ("/opt/a/libhelper.so", Library(soname="libhelper.so", needs=("libcudnn.so.8",), runpath="$ORIGIN/deep")),
        ("/opt/a/deep/libcudnn.so.8", CUDNN),
        (f"{LIB}/libcudnn.so.8", CUDNN),
    ),
    "several at once": tensorflow(
        paths(runpath="/opt/runpath"),
        paths(rpath="$ORIGIN/..:/opt/rpath"),
        ("/opt/rpath/libcudnn.so.8", CUDNN),
        ("/opt/runpath/libcudnn.so.8", CUDNN),
        ("/opt/cache/libcudnn.so.8", CUDNN),
        ("/opt/cache/libcudart.so.11.0", CUDART),
        (f"{LIB}/libcudart.so.11.0", CUDART),
        files={"/etc/ld.so.conf.d/000.conf": "/opt/cache\n"},
        ldconfig=True,
        variables={"LD_LIBRARY_PATH": "/opt/empty"},
    ),
    "a toolkit behind links": tensorflow(
        None,
        None,
        ("/usr/local/cuda-11.2/targets/x86_64-linux/lib/libcudart.so.11.2.152", CUDART),
        links={
            "/usr/local/cuda": "cuda-11.2",
            "/usr/local/cuda-11.2/lib64": "targets/x86_64-linux/lib",
            "/usr/local/cuda-11.2/targets/x86_64-linux/lib/libcudart.so.11.0": "libcudart.so.11.2.152",
        },
        variables={"LD_LIBRARY_PATH": "/usr/local/cuda/lib64:"},
    ),
    "the origin of a link": tensorflow(
        paths(runpath="/opt/links"),
        None,
        ("/opt/real/libcudnn.so.8.1", Library(soname="libcudnn.so.8", needs=("libcudart.so.11.0",), runpath="$ORIGIN")),
        ("/opt/links/libcudart.so.11.0", CUDART),
        links={"/opt/links/libcudnn.so.8": "/opt/real/libcudnn.so.8.1"},
    ),
    "a library of another machine is passed over": tensorflow(
        paths(runpath="/opt/a:/opt/b"),
        None,
        ("/opt/b/libcudnn.so.8", CUDNN),
        files={"/opt/a/libcudnn.so.8": shared_object(soname="libcudnn.so.8", bits=32, machine=3)},
    ),
    "a text in the place of a library": tensorflow(
        paths(runpath="/opt/a:/opt/b"),
        None,
        ("/opt/b/libcudnn.so.8", CUDNN),
        files={"/opt/a/libcudnn.so.8": "INPUT ( /opt/b/libcudnn.so.8 )\n"},
    ),
    "a library that lacks one": tensorflow(
        paths(runpath="/opt/a"), None, ("/opt/a/libcudnn.so.8", Library(soname="libcudnn.so.8", needs=("libnone.so",)))
    ),
    "preloaded": tensorflow(
        None,
        None,
        ("/opt/a/libcudnn.so.8", CUDNN),
        (f"{LIB}/libcudnn.so.8", CUDNN),
        variables={"LD_PRELOAD": "/opt/a/libcudnn.so.8"},
    ),
    "PyTorch with an RPATH": torch("$ORIGIN/../../nvidia/cublas/lib:$ORIGIN/../../nvidia/cudnn/lib", *WHEELS),
    "PyTorch that loads its wheels itself": torch(None, *WHEELS),
    "PyTorch and LD_LIBRARY_PATH": torch(
        None,
        *WHEELS,
        ("/opt/a/libcudnn.so.8", CUDNN),
        ("/opt/a/libcublas.so.12", CUBLAS12),
        ("/opt/a/libcublasLt.so.12", CUBLASLT12),
        variables={"LD_LIBRARY_PATH": "/opt/a"},
    ),
    "PyTorch, wheels and a lone copy in a default directory": torch(
        None, *WHEELS, (f"{LIB}/libcublasLt.so.12", CUBLASLT12)
    ),
}

PROGRAM = f"""
import ctypes, glob, json, os, sys
names = json.loads(sys.argv[1])
if os.path.isdir({TENSORFLOW!r}):
    library = ctypes.CDLL({TENSORFLOW!r} + "/python/_pywrap_tensorflow_internal.so")
    library.open_library.restype = ctypes.c_void_p
    for name in names:
        library.open_library(name.encode())
else:
    start = {TORCH!r} + "/lib/libtorch_global_deps.so"
    try:
        ctypes.CDLL(start, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        for folder, name in (("cublas", "libcublas.so.*[0-9]"), ("cudnn", "libcudnn.so.*[0-9]")):
            ctypes.CDLL(glob.glob({SITE!r} + "/nvidia/" + folder + "/lib/" + name)[0])
        ctypes.CDLL(start, mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL({TORCH!r} + "/_C.cpython-39-x86_64-linux-gnu.so")

class Map(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("name", ctypes.c_char_p)]

itself = ctypes.CDLL(None)
itself.dlopen.restype = ctypes.c_void_p
mapped = set(line.split()[5] for line in open("/proc/self/maps") if len(line.split()) > 5)
found = {{}}
for name in names:
    handle = itself.dlopen(name.encode(), 1 | 4)  # RTLD_LAZY | RTLD_NOLOAD
    path = os.path.realpath(Map.from_address(handle).name.decode()) if handle else None
    assert path is None or path in mapped, path
    found[name] = path
print(json.dumps(found))
"""
UNTOLD = {"a text in the place of a library": {"libcudnn.so.8"}}
"""What may stay untold: the linker gives up on such a file, which no specification promises."""


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_prediction_is_what_happens(name: str, image: Image, own_bench: Bench, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    container = own_bench.start(image("base"), environment=layout.variables)
    lay(layout, container, tmp_path)
    snapshot = capture(Address("container", str(container.name)), Access())
    assert snapshot.gaps == ()
    (framework,) = snapshot.accelerator.frameworks
    predicted = told(framework, snapshot.environments[0].id)
    happened = json.loads(inside(container, "python3", "-c", PROGRAM, json.dumps(sorted(predicted))))
    untold = {library for library, (status, _) in predicted.items() if status == "unknown"}
    assert untold == UNTOLD.get(name, set())
    assert {library: path for library, (_, path) in predicted.items() if library not in untold} == {
        library: path for library, path in happened.items() if library not in untold
    }


def told(framework: Framework, prefix: str) -> dict[str, tuple[str, str | None]]:
    """Status and path by the name that is asked for."""
    loads: dict[str, tuple[str, str | None]] = {
        one.name: (one.status, one.path and one.path.replace("{prefix}", prefix)) for one in framework.loads
    }
    assert loads
    assert all((path is not None) == (status == "found") for status, path in loads.values())
    return loads


def test_at_least_one_of_each_way_is_found(image: Image, own_bench: Bench, tmp_path: Path) -> None:
    """That predictions and maps agree would be easy if nothing were ever found."""
    container = own_bench.start(image("base"), environment=LAYOUTS["several at once"].variables)
    lay(LAYOUTS["several at once"], container, tmp_path)
    (framework,) = capture(Address("container", str(container.name)), Access()).accelerator.frameworks
    loads = {one.component: (one.path, one.reason) for one in framework.loads if one.status == "found"}
    assert loads == {
        "cudart": ("/opt/cache/libcudart.so.11.0", "ld.so.cache"),
        "cudnn": ("/opt/runpath/libcudnn.so.8", "RUNPATH of libtensorflow_framework.so.2"),
    }
