from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reprocheck.extractors.assemble import assemble
from reprocheck.model.snapshot import Accelerator, CudaLibrary, Framework, Loaded, Snapshot
from tests.elf import shared_object
from tests.extractors.stack import target, wheel
from tests.extractors.test_frameworks import BUILD_INFO, INFO_PATH, LIBRARIES
from tests.make import environment, finding, findings, markers, package, python, snapshot

WHEEL = "{prefix}/lib/python3.9/site-packages/nvidia/cudnn/lib/libcudnn.so.9"
TF218 = ("tensorflow", "2.18.0", {"cuda": "12.5.1", "cudnn": "9"})
TF29 = ("tensorflow", "2.9.0", {"cuda": "11.2", "cudnn": "8"})


def library(version: str | None, component: str = "cudnn", path: str = WHEEL, **fields: Any) -> CudaLibrary:
    defaults: dict[str, Any] = {"source": "wheel", "owner": "none", "environment": "/usr"}
    return CudaLibrary(component=component, version=version, path=path, **{**defaults, **fields})


def framework(build: tuple[str, str, dict[str, str] | None], *loads: tuple[str, str | None]) -> Framework:
    name, version, built_with = build
    status: Any = {True: "found", False: "missing"}
    return Framework(
        name=name,
        version=version,
        environment="/usr",
        built_with=built_with,
        loads=tuple(
            Loaded(
                component=component,
                name=f"lib{component}.so",
                status=status[bool(path)],
                path=path,
                reason="RUNPATH of it",
            )
            for component, path in loads
        ),
    )


def having(*frameworks: Framework, cuda: tuple[CudaLibrary, ...] = (), read: bool = True, **fields: Any) -> Snapshot:
    packages = [package(f"{one.name}=={one.version}") for one in frameworks]
    packages += [
        package(one.owner.removeprefix("python:").replace(" ", "==")) for one in cuda if "python:" in one.owner
    ]
    return snapshot(
        environment(*packages),
        states={"accelerator": "complete" if read else "not-read"},
        accelerator=Accelerator(frameworks=frameworks, cuda=cuda) if read else Accelerator(),
        **fields,
    )


def loading(build: Any, version: str | None, component: str = "cudnn", **fields: Any) -> Snapshot:
    return having(framework(build, (component, WHEEL)), cuda=(library(version, component, **fields),))


# Libraries.


@pytest.mark.parametrize(
    ("build", "before", "after", "expect"),
    [
        (TF218, "9.3.0.75", "9.1.0.70", "Loaded runtime CuDNN library: 9.1.0 but source was compiled with: 9.3."),
        (TF29, "8.1.0", "8.0.5", "Loaded runtime CuDNN library: 8.0.5 but source was compiled with: 8.1."),
        (TF29, "8.1.0", "7.6.5", "Loaded runtime CuDNN library: 7.6.5 but source was compiled with: 8.1."),
        (
            ("torch", "2.3.1+cu121", {"cuda": "12.1"}),
            "8.9.2.26",
            "8.4.0",
            "RuntimeError: cuDNN version incompatibility: PyTorch was compiled  against (8, 9, ",
        ),
        (
            ("torch", "2.3.1+cu118", {"cuda": "11.8"}),
            "8.7.0.84",
            "8.6.0",
            "RuntimeError: cuDNN version incompatibility: PyTorch was compiled  against (8, 7, ",
        ),
        (
            ("jaxlib", "0.4.25+cuda12.cudnn89", {"cuda": "12", "cudnn": "8.9"}),
            "8.9.4",
            "8.6.0",
            "Loaded runtime CuDNN library: 8.6.0 but source was compiled with: 8.9.",
        ),
    ],
)
def test_a_cudnn_that_the_framework_refuses(build: Any, before: str, after: str, expect: str) -> None:
    found = finding(loading(build, before), loading(build, after), "RC705")
    assert (found.severity, found.expect, found.before, found.after) == ("breaking", expect, before, after)
    assert (found.subject.kind, found.subject.name) == ("cuda", f"cudnn of {build[0]}")
    assert found.suffers == (build[0],)


def test_what_the_finding_says() -> None:
    found = finding(loading(TF218, "9.3.0.75"), loading(TF218, "9.1.0.70"), "RC705")
    assert (
        found.message
        == f"tensorflow 2.18.0 was built with cuDNN 9.3 and would load 9.1.0.70 ({WHEEL}), found by RUNPATH of it"
    )


@pytest.mark.parametrize(
    ("build", "version"),
    [
        (TF218, "9.3.0.75"),
        (TF218, "9.10.2.21"),
        (TF218, "9"),
        (TF218, None),
        (("tensorflow", "2.99.0", {"cuda": "12.5", "cudnn": "9"}), "9.0.1"),
        (("tensorflow", "2.18.0", {}), "8.0.0"),
        (("tensorflow", "2.18.0", None), "8.0.0"),
        (("torch", "2.3.1+cu126", {"cuda": "12.6"}), "8.0.0"),
    ],
)
def test_a_cudnn_that_fits_or_is_not_known(build: Any, version: str | None) -> None:
    assert findings(loading(build, "9.9.9"), loading(build, version), "RC705") == ()


@pytest.mark.parametrize(
    ("needed", "version", "source", "fires"),
    [
        ("11.8", "11.2.152", "wheel", True),
        ("11.2", "11.8.89", "wheel", False),
        ("11.2", "11.0", "soname", False),
        ("11.2", "11.0", "file name", False),
        ("11.2", "11.0.221", "file name", True),
        ("11.2", "12", "soname", True),
        ("12.1", "12.4", "header", False),
    ],
)
def test_the_runtime_of_cuda(needed: str, version: str, source: str, fires: bool) -> None:
    build = ("torch", "2.0.1", {"cuda": needed})
    found = findings(loading(build, needed, "cudart"), loading(build, version, "cudart", source=source), "RC705")
    assert [(one.severity, one.expect) for one in found] == ([("major", None)] if fires else [])


def test_only_another_major_version_is_there() -> None:
    before = loading(TF29, "8.1.0")
    after = having(framework(TF29, ("cudnn", None)), cuda=(library("9.1.0"),))
    found = finding(before, after, "RC705")
    assert (found.severity, found.expect, found.after) == ("major", None, "9.1.0")
    assert found.message == f"tensorflow 2.9.0 was built with cuDNN 8.1 and finds none: there is only 9.1.0 ({WHEEL})"
    beside = having(framework(TF29, ("cudnn", None)), cuda=(library("9.1.0"), library("8.1.0", path="/else")))
    assert findings(before, beside, "RC705") == ()
    assert findings(before, having(framework(TF29, ("cudnn", None))), "RC705") == ()


def test_what_was_so_in_the_baseline_is_no_finding() -> None:
    old = loading(TF218, "9.1.0.70")
    assert findings(old, old, "RC705") == ()
    assert finding(old, loading(TF218, "9.0.0.312"), "RC705").before == "9.1.0.70"


def test_a_baseline_that_does_not_tell_which_libraries_it_has() -> None:
    cuda = library("9.1.0.70", owner="python:nvidia-cudnn-cu12 9.1.0.70")
    after = having(framework(TF218, ("cudnn", WHEEL)), cuda=(cuda,))
    unread = having(framework(TF218), read=False)
    assert finding(unread, after, "RC705").severity == "breaking"
    same = having(framework(TF218), cuda=(cuda,), read=True)
    same = snapshot(*same.environments, states={"accelerator": "not-read"})
    assert findings(same, after, "RC705") == ()


def test_a_pin_of_pytorch_that_does_not_hold_is_a_requirement() -> None:
    """PyTorch's own metadata pins the wheels that it was built with."""
    pin = 'nvidia-cudnn-cu12==9.1.0.70; platform_system == "Linux" and platform_machine == "x86_64"'
    torch = package("torch==2.6.0", pin)
    linux = python(markers=markers())
    before, after = (
        snapshot(environment(torch, package(f"nvidia-cudnn-cu12=={version}"), python=linux))
        for version in ("9.1.0.70", "9.3.0.75")
    )
    found = finding(before, after, "RC201")
    assert (found.subject.name, found.suffers) == ("nvidia-cudnn-cu12", ("torch",))


def test_an_older_copy_in_front(tmp_path: Path) -> None:
    """From the files themselves: the wheel's own build, a header, and the search of the dynamic linker."""
    files = {
        **wheel("tensorflow", "2.9.0"),
        INFO_PATH: BUILD_INFO,
        **LIBRARIES,
        "/usr/lib64/libcudnn.so.8": shared_object(soname="libcudnn.so.8"),
        "/usr/include/cudnn_version.h": header(8, 1, 0),
        "/old/lib/libcudnn.so.8": shared_object(soname="libcudnn.so.8"),
        "/old/include/cudnn_version.h": header(8, 0, 5),
    }
    before = assemble(target(tmp_path / "before", files).evidence())
    after = assemble(target(tmp_path / "after", files, LD_LIBRARY_PATH="/old/lib").evidence())
    found = finding(before, after, "RC705")
    assert found.message == (
        "tensorflow 2.9.0 was built with cuDNN 8.1 and would load 8.0.5 (/old/lib/libcudnn.so.8),"
        " found by LD_LIBRARY_PATH"
    )
    assert (found.severity, found.before) == ("breaking", "8.1.0")
    assert findings(after, before, "RC705") == ()


def header(*numbers: int) -> str:
    names = ("MAJOR", "MINOR", "PATCHLEVEL")
    return "".join(f"#define CUDNN_{name} {number}\n" for name, number in zip(names, numbers, strict=True))


# Builds.

GPU = {"cuda": "11.2", "cudnn": "8"}


def built(name: str, built_with: dict[str, str] | None) -> Snapshot:
    return having(framework((name, "2.9.0", built_with)))


@pytest.mark.parametrize(
    ("before", "after", "fires"),
    [
        (("tensorflow", GPU), ("tensorflow-cpu", {}), True),
        (("tensorflow-gpu", GPU), ("tensorflow", {}), True),
        (("tensorflow-rocm", {"rocm": "5"}), ("tensorflow-cpu", {}), True),
        (("tensorflow-gpu", GPU), ("tensorflow", GPU), False),
        (("tensorflow", {}), ("tensorflow-cpu", {}), False),
        (("tensorflow", None), ("tensorflow-cpu", {}), False),
        (("tensorflow", GPU), ("tensorflow-cpu", None), False),
        (("tensorflow", GPU), ("torch", {}), False),
        (("tensorflow-cpu", {}), ("tensorflow", GPU), False),
    ],
)
def test_a_build_for_the_processor_took_the_place(before: Any, after: Any, fires: bool) -> None:
    found = findings(built(*before), built(*after), "RC706")
    assert [(one.severity, one.subject.name) for one in found] == ([("major", before[0])] if fires else [])


def test_what_is_said_of_it() -> None:
    found = finding(built("tensorflow", GPU), built("tensorflow-cpu", {}), "RC706")
    assert found.message == (
        "tensorflow 2.9.0, built for GPUs, was replaced by tensorflow-cpu 2.9.0, built for the processor alone"
    )
    assert findings(built("tensorflow", GPU), having(), "RC706") == ()
