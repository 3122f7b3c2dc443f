from __future__ import annotations

from typing import Any

import pytest

from reprocheck.model.snapshot import (
    Accelerator,
    CudaLibrary,
    Environment,
    Framework,
    Loaded,
    MissingLibrary,
    Snapshot,
    TargetKind,
)
from tests.make import environment, finding, findings, package, snapshot

CV = package("opencv-python==5.0")
TF = package("tensorflow==2.9.0")
LOADED = "/opt/a/libcudnn.so.8"


def missing(library: str = "libxcb.so.1", **fields: Any) -> MissingLibrary:
    defaults: dict[str, Any] = {
        "library": library,
        "owner": "python:opencv-python 5.0",
        "environment": "/usr",
        "needed_by": "{prefix}/cv2/cv2.abi3.so",
        "module": "cv2",
        "certain": True,
    }
    return MissingLibrary(**{**defaults, **fields})


def having(*packages: Any, kind: TargetKind = "image", read: bool = True, **fields: Any) -> Snapshot:
    """A snapshot whose accelerator stack was read, unless it says otherwise."""
    accelerator = Accelerator(**fields)
    own = packages[0] if packages and isinstance(packages[0], Environment) else environment(*packages)
    states: Any = {"accelerator": "complete" if read else "not-read"}
    return snapshot(own, kind=kind, states=states, accelerator=accelerator)


def cudnn(version: str | None = "8.1.0", path: str = LOADED, **fields: Any) -> CudaLibrary:
    defaults: dict[str, Any] = {"component": "cudnn", "source": "file name", "owner": "none"}
    return CudaLibrary(version=version, path=path, **{**defaults, **fields})


def framework(path: str | None = LOADED, status: Any = None, **fields: Any) -> Framework:
    loaded = Loaded(
        component="cudnn",
        name="libcudnn.so.8",
        status=status or ("found" if path else "missing"),
        path=path,
        reason="ld.so.cache",
    )
    defaults: dict[str, Any] = {
        "name": "tensorflow",
        "version": "2.9.0",
        "environment": "/usr",
        "built_with": {"cuda": "11.2", "cudnn": "8"},
        "gpu_targets": ("sm_80",),
        "loads": (loaded,),
    }
    return Framework(**{**defaults, **fields})


# Missing libraries.


def test_a_new_package_lacks_a_library() -> None:
    found = finding(having(), having(CV, missing=(missing(),)), "RC701")
    assert (found.severity, found.subject.kind, found.subject.name) == ("breaking", "python-package", "opencv-python")
    assert found.message == "opencv-python 5.0 (added): import cv2 needs libxcb.so.1, which is nowhere in the image"
    assert found.expect == "ImportError: libxcb.so.1: cannot open shared object file: No such file or directory"
    assert found.evidence == ("{prefix}/cv2/cv2.abi3.so needs libxcb.so.1",)
    assert found.after == "libxcb.so.1"


def test_several_are_one_finding() -> None:
    many = tuple(missing(f"lib{number}.so") for number in range(7))
    found = finding(having(CV), having(CV, kind="container", missing=many), "RC701")
    assert found.message == (
        "opencv-python 5.0: import cv2 needs lib0.so, lib1.so, lib2.so and 4 more, which are nowhere in the container"
    )
    assert found.expect is None
    assert len(found.evidence) == 7


def test_the_import_decides() -> None:
    """What a plug-in lacks besides is evidence, and not what the import fails with."""
    plugin = missing("libSM.so.6", module=None, needed_by="{prefix}/cv2/qt/libqxcb.so")
    found = finding(having(CV), having(CV, missing=(missing(), plugin)), "RC701")
    assert found.after == "libxcb.so.1"
    assert len(found.evidence) == 2
    alone = finding(having(CV), having(CV, missing=(plugin,)), "RC701")
    assert (alone.severity, alone.expect) == ("major", None)
    assert alone.message == "opencv-python 5.0: a file of it needs libSM.so.6, which is nowhere in the image"


def test_what_was_not_searched_is_not_certain() -> None:
    found = finding(having(CV), having(CV, missing=(missing(certain=False),)), "RC701")
    assert (found.severity, found.expect) == ("major", None)
    assert found.message.endswith("which is not found")


def test_what_the_baseline_lacked_is_no_finding() -> None:
    lacking = having(CV, missing=(missing(),))
    assert findings(lacking, lacking, "RC701") == ()
    newer = having(package("opencv-python==5.1"), missing=(missing(owner="python:opencv-python 5.1"),))
    assert findings(lacking, newer, "RC701") == ()
    more = having(CV, missing=(missing(), missing("libGL.so.1")))
    assert finding(lacking, more, "RC701").after == "libGL.so.1"


def test_a_baseline_that_does_not_tell() -> None:
    lacking = having(CV, missing=(missing(),))
    assert findings(having(CV, read=False), lacking, "RC701") == ()
    assert finding(having(read=False), lacking, "RC701").severity == "breaking"
    older = having(package("opencv-python==4.0"), read=False)
    assert finding(older, lacking, "RC701").severity == "breaking"


def test_a_file_of_no_package() -> None:
    found = finding(having(), having(missing=(missing(owner="none"),)), "RC701")
    assert (found.subject.kind, found.subject.name) == ("file", "{prefix}/cv2/cv2.abi3.so")


# Copies.


@pytest.mark.parametrize(
    ("before", "after", "severity", "message"),
    [
        ((), (cudnn(),), "minor", f"cudnn 8.1.0 added ({LOADED})"),
        ((cudnn(),), (), "major", f"cudnn 8.1.0 removed ({LOADED})"),
        ((cudnn(), cudnn(path="/b")), (cudnn(),), "minor", "cudnn 8.1.0 removed (/b)"),
        ((cudnn(),), (cudnn("8.9.2"),), "minor", f"cudnn 8.1.0 → 8.9.2 ({LOADED})"),
        ((cudnn(),), (cudnn("9.1.0"),), "major", f"cudnn 8.1.0 → 9.1.0 ({LOADED})"),
        ((), (cudnn(None),), "minor", f"cudnn of unknown version added ({LOADED})"),
    ],
)
def test_copies(before: Any, after: Any, severity: str, message: str) -> None:
    found = finding(having(cuda=before), having(cuda=after), "RC702")
    assert (found.severity, found.message, found.subject.kind) == (severity, message, "cuda")


def test_no_change_of_copies() -> None:
    same = having(cuda=(cudnn(),))
    assert findings(same, same, "RC702") == ()
    assert findings(same, having(cuda=(cudnn(None),)), "RC702") == ()
    assert findings(same, having(read=False), "RC702") == ()
    assert findings(same, having(cuda=(cudnn(source="header", owner="dpkg:libcudnn8 8"),)), "RC702") == ()


def test_the_minor_version_of_python_is_a_change_of_its_own() -> None:
    paths = [f"{{prefix}}/lib/python3.{minor}/site-packages/torch/lib/libcudnn.so.8" for minor in (9, 10)]
    before, after = (having(cuda=(cudnn(path=path, environment="/usr"),)) for path in paths)
    assert findings(before, after, "RC702") == ()


# What is loaded.


@pytest.mark.parametrize(
    ("before", "after", "severity"),
    [
        (framework(), framework("/opt/b/libcudnn.so.8"), "minor"),
        (framework(), framework("/opt/c/libcudnn.so.9"), "major"),
        (framework(), framework("/opt/d/libcudnn.so.8"), "major"),
        (framework(), framework(None), "major"),
        (framework(None), framework(), "minor"),
    ],
)
def test_loads(before: Framework, after: Framework, severity: str) -> None:
    copies = (cudnn(), cudnn("8.9", "/opt/b/libcudnn.so.8"), cudnn("9.1", "/opt/c/libcudnn.so.9"))
    sides = [having(TF, cuda=copies, frameworks=(one,)) for one in (before, after)]
    found = finding(sides[0], sides[1], "RC703")
    assert (found.severity, found.subject.name) == (severity, "cudnn of tensorflow")
    assert found.message.startswith("tensorflow would load cudnn from ")


def test_loads_in_words() -> None:
    before = having(TF, cuda=(cudnn(),), frameworks=(framework(),))
    after = having(TF, cuda=(cudnn(),), frameworks=(framework(None),))
    found = finding(before, after, "RC703")
    assert found.message == f"tensorflow would load cudnn from nowhere, not from {LOADED} (8.1.0)"
    assert found.evidence == (f"cudnn 8.1.0 {LOADED}",)
    back = finding(after, before, "RC703")
    assert back.message == f"tensorflow would load cudnn from {LOADED} (8.1.0), found by ld.so.cache, not from nowhere"


def test_of_two_copies_at_one_place_the_environments_own_is_loaded() -> None:
    """Each environment has its own root, and the same path below it."""
    own = "{prefix}/lib/python3.9/site-packages/nvidia/cudnn/lib/libcudnn.so.8"
    copies = (cudnn("7.6.5", own, environment="/a"), cudnn("8.9.2", own, environment="/b"), cudnn("8.9.1"))
    torch = {"name": "torch", "environment": "/b"}
    before = having(environment(name="/b"), cuda=copies, frameworks=(framework(**torch),))
    after = having(environment(name="/b"), cuda=copies, frameworks=(framework(own, **torch),))
    found = finding(before, after, "RC703")
    assert (found.severity, found.after) == ("minor", f"{own} (8.9.2)")
    found = finding(after, before, "RC703")
    assert (found.severity, found.before, found.after) == ("minor", f"{own} (8.9.2)", f"{LOADED} (8.9.1)")


def test_what_can_not_be_told_is_no_change() -> None:
    before = having(TF, frameworks=(framework(),))
    assert findings(before, having(TF, frameworks=(framework(None, "unknown"),)), "RC703") == ()
    assert findings(before, before, "RC703") == ()


# How it was built.

CPU: dict[str, str] = {}


@pytest.mark.parametrize(
    ("built_with", "targets", "severity", "after"),
    [
        (CPU, (), "major", "for the CPU"),
        ({"cuda": "12.1", "cudnn": "8"}, ("sm_80",), "major", "with cuda 12.1, cudnn 8 for sm_80"),
        ({"cuda": "11.8", "cudnn": "8"}, ("sm_80",), "minor", "with cuda 11.8, cudnn 8 for sm_80"),
        ({"rocm": "5.3"}, (), "major", "with rocm 5.3"),
        ({"cuda": "11.2", "cudnn": "8"}, ("sm_90",), "minor", "with cuda 11.2, cudnn 8 for sm_90"),
    ],
)
def test_builds(built_with: dict[str, str], targets: tuple[str, ...], severity: str, after: str) -> None:
    before = having(TF, frameworks=(framework(),))
    other = framework(built_with=built_with, gpu_targets=targets, loads=())
    found = finding(before, having(TF, frameworks=(other,)), "RC704")
    assert (found.severity, found.before, found.after) == (severity, "with cuda 11.2, cudnn 8 for sm_80", after)
    assert (found.subject.kind, found.subject.name) == ("python-package", "tensorflow")


def test_no_change_of_builds() -> None:
    before = having(TF, frameworks=(framework(),))
    assert findings(before, before, "RC704") == ()
    unknown = having(TF, frameworks=(framework(built_with=None),))
    assert findings(before, unknown, "RC704") == ()
    assert findings(before, having(frameworks=()), "RC704") == ()


def test_environments_are_paired() -> None:
    """Under another name on the second side."""
    mine = having(environment(TF, name="/opt/a"), frameworks=(framework(environment="/opt/a"),))
    own = framework(environment="/opt/b", built_with={}, loads=())
    other = having(environment(TF, name="/opt/b"), frameworks=(own,))
    found = finding(mine, other, "RC704", by_hand={"/opt/a": "/opt/b"})
    assert found.subject.environment == "/opt/b"
