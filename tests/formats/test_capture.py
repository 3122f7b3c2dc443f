from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from reprocheck.formats import capture
from reprocheck.model.snapshot import (
    Accelerator,
    CondaPackage,
    Coverage,
    Cpu,
    CudaLibrary,
    Device,
    Driver,
    Environment,
    Framework,
    Gap,
    Header,
    Libc,
    Machine,
    MissingLibrary,
    OsPackage,
    OsRelease,
    Package,
    PathFile,
    Python,
    Snapshot,
    Subject,
    System,
    TargetKind,
)
from tests.formats.golden import check

SITE = "{prefix}/lib/python3.9/site-packages"
SNAPSHOT = Snapshot(
    header=Header(
        captured_at="2026-11-22T10:00:00Z",
        reprocheck="0.1.0",
        target="container:web",
        route="exec",
        executed=True,
    ),
    subject=Subject(kind="container", name="web", platform="linux/amd64"),
    coverage={"os_packages": Coverage(state="complete"), "environments": Coverage(state="partial")},
    system=System(
        os=OsRelease(id="debian", version_id="11", pretty_name="Debian GNU/Linux 11 (bullseye)"),
        libc=Libc(name="glibc", version="2.31"),
        architecture="x86_64",
    ),
    environments=(
        Environment(
            id="/opt/venv",
            kind="venv",
            packages=tuple(
                Package(name=f"p{number}", version="1", location=SITE, active=number > 0) for number in range(3)
            ),
            pth=(PathFile(path=f"{SITE}/x.pth", executable=True, sha256="0" * 64),),
            conda=(CondaPackage(name="mkl", version="2021.4.0"),),
        ),
        Environment(
            id="/usr",
            kind="system",
            on_path=True,
            python=Python(version="3.9.2", implementation="cpython", executable="/usr/bin/python3", prefix="/usr"),
            packages=(Package(name="tensorflow", version="2.9.0", location=SITE),),
        ),
    ),
    os_packages=(
        OsPackage(manager="dpkg", name="libc6", version="2.31", architecture="amd64"),
        OsPackage(manager="dpkg", name="bash", version="5.1", architecture="amd64"),
    ),
    accelerator=Accelerator(frameworks=(Framework(name="tensorflow", version="2.9.0", environment="/usr"),)),
    machine=Machine(
        kernel="6.1.0",
        cpu=Cpu(model="Example CPU"),
        driver=Driver(version="550.54.14", source="nvidia-smi"),
        devices=(Device(name="GeForce RTX 2080 Ti", compute_capability="7.5"),),
    ),
    gaps=(Gap(what="environments[/opt/venv].python", where="/opt/venv/bin/python", reason="does not start"),),
)


@pytest.mark.parametrize("width", [60, 100])
def test_the_summary_reads_as_it_was_reviewed(width: int) -> None:
    check(f"capture-{width}.txt", capture.render(SNAPSHOT, width=width))


def test_copies_and_missing_libraries_are_grouped() -> None:
    copies = [("cudart", "11.2"), ("cudnn", "8.1"), ("cudnn", "8.9"), ("cudnn", "8.9")]
    missing = [("python:cv 1", "libx.so.1"), ("python:cv 1", "liby.so"), ("none", "libz.so")]
    accelerator = Accelerator(
        cuda=tuple(
            CudaLibrary(component=component, version=version, path=f"/{at}", source="soname", owner="none")
            for at, (component, version) in enumerate(copies)
        ),
        missing=tuple(
            MissingLibrary(
                library=library, owner=owner, environment="/usr", needed_by="/m.so", module=None, certain=True
            )
            for owner, library in missing
        ),
    )
    lines = capture.render(replace(SNAPSHOT, accelerator=accelerator)).splitlines()
    assert "  CUDA        cudart 11.2 · cudnn 8.1 and 8.9 (3 copies)" in lines
    assert "  missing     libx.so.1, liby.so: for cv 1" in lines
    assert "  missing     libz.so: for files of no package" in lines


def test_an_empty_target_is_told_as_such() -> None:
    bare = Snapshot(header=SNAPSHOT.header, subject=SNAPSHOT.subject, coverage={})
    check("capture-bare.txt", capture.render(bare))


def test_an_environment_without_python_is_no_unknown_one() -> None:
    bare = replace(SNAPSHOT, environments=(Environment(id="/opt/conda/envs/r", kind="conda", conda=()),), gaps=())
    assert re.search(r"Python +none +/opt/conda/envs/r \(conda\): 0 packages\n", capture.render(bare))


@pytest.mark.parametrize("kind", ["python", "host"])
def test_an_interpreter_that_was_named_need_not_be_on_the_path(kind: TargetKind) -> None:
    named = replace(SNAPSHOT, subject=replace(SNAPSHOT.subject, kind=kind))
    assert "/usr (system, named)" in capture.render(named)


def test_it_stays_a_summary() -> None:
    many = replace(
        SNAPSHOT,
        environments=tuple(Environment(id=f"/e/{number}", kind="venv") for number in range(50)),
        gaps=SNAPSHOT.gaps * 50,
    )
    text = capture.render(many)
    assert len(text.splitlines()) <= 20
    assert "and 46 more environments" in text
    assert "and 46 more gaps" in text


def test_os_packages_that_were_not_read_are_not_none() -> None:
    for state, says in [("not-read", "not read"), ("not-applicable", "not applicable"), ("complete", "none")]:
        other = replace(
            SNAPSHOT,
            os_packages=(),
            coverage={"os_packages": Coverage(state=state)},  # type: ignore[arg-type]
        )
        assert re.search(rf"OS packages +{says}\n", capture.render(other))


def test_text_of_the_target_is_inert() -> None:
    evil = "\x1b[2J::error::\r[red]\u202e"
    poisoned = replace(
        SNAPSHOT,
        header=replace(SNAPSHOT.header, target=evil),
        environments=(Environment(id=evil, kind="venv"),),
        accelerator=Accelerator(
            frameworks=(Framework(name=evil, version=evil, environment=evil),),
            cuda=(CudaLibrary(component=evil, version=evil, path=evil, source="none", owner=evil),),
            missing=(
                MissingLibrary(library=evil, owner=evil, environment=evil, needed_by=evil, module=evil, certain=True),
            ),
        ),
        gaps=(Gap(what=evil, where=evil, reason=evil),),
    )
    text = capture.render(poisoned)
    assert text.replace("\n", "").isprintable()
    assert "\\x1b[2J::error::\\x0d[red]\\u202e" in text
