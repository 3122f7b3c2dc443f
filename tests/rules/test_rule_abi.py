from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reprocheck.model.snapshot import Libc, OsRelease, System
from reprocheck.rules import level_of
from tests.make import environment, finding, findings, markers, package, python, snapshot

if TYPE_CHECKING:
    from reprocheck.model.snapshot import Package, Snapshot

DEBIAN = OsRelease(id="debian", version_id="11", pretty_name="Debian GNU/Linux 11 (bullseye)")
NEW = ("cp39-abi3-manylinux_2_34_x86_64",)
"""As the wheel of shiboken6 6.10.3 states it."""
OLD = ("cp39-cp39-manylinux2014_x86_64", "cp39-cp39-manylinux_2_17_x86_64")
BUILT_HERE = ("cp39-cp39-linux_x86_64",)


def on(libc: str | None, *packages: Package, os: OsRelease | None = DEBIAN, **fields: Any) -> Snapshot:
    """A snapshot of a system with a C library: ``glibc 2.31``."""
    name, _, version = (libc or "").partition(" ")
    known = Libc(name=name, version=version) if libc else None
    system = System(os=os, libc=known, architecture="x86_64", locale="C")
    return snapshot(environment(*packages, **fields), system=system)


def lib(version: str = "1", tags: tuple[str, ...] = OLD, name: str = "lib") -> Package:
    return package(f"{name}=={version}", tags=tags)


def test_a_wheel_for_a_newer_libc() -> None:
    found = finding(on("glibc 2.31", lib("1")), on("glibc 2.31", lib("2", NEW)), "RC212")
    assert (found.severity, found.subject.kind, found.subject.name) == ("major", "python-package", "lib")
    assert found.message == "lib 2 is a wheel for glibc 2.34 or newer, and this is glibc 2.31"
    assert (found.before, found.after, found.why) == ("1", "2", ("a wheel does not fit",))
    assert found.expect == (
        "ImportError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found, or GLIBCXX_… of libstdc++.so.6"
    )
    assert found.evidence == ("lib 2: cp39-abi3-manylinux_2_34_x86_64",)
    assert found.fix is not None
    assert found.fix.commands == ("pip install lib==1",)


def test_elsewhere_the_library_has_another_path() -> None:
    rocky = OsRelease(id="rocky", version_id="8.9", pretty_name="Rocky Linux 8.9")
    after = on("glibc 2.28", lib("2", NEW), os=rocky)
    assert "/lib64/libc.so.6" in (finding(on("glibc 2.28", lib("1")), after, "RC212").expect or "")


def test_an_added_package_is_judged_like_a_changed_one() -> None:
    found = finding(on("glibc 2.31"), on("glibc 2.31", lib("1", NEW)), "RC212")
    assert (found.before, found.after, found.fix) == (None, "1", None)


def test_another_build_of_the_same_version() -> None:
    found = finding(on("glibc 2.31", lib()), on("glibc 2.31", lib("1", NEW)), "RC212")
    assert found.fix is not None
    assert found.fix.commands == ("pip install --force-reinstall --no-deps lib==1",)


def test_the_base_image_is_exchanged_below_many_packages() -> None:
    wheels = [lib(name=f"lib{number}", tags=NEW) for number in range(6)]
    found = finding(on("glibc 2.36", *wheels, lib(name="old")), on("glibc 2.31", *wheels, lib(name="old")), "RC212")
    assert (found.subject.kind, found.subject.name, found.severity) == ("os", "libc", "major")
    assert found.message == (
        "6 packages are wheels for glibc 2.34 or newer, and this is glibc 2.31 now: lib0, lib1, lib2 and 3 more"
    )
    assert (found.before, found.after) == ("glibc 2.36", "glibc 2.31")
    assert found.suffers == tuple(f"lib{number}" for number in range(6))
    assert found.fix is not None
    assert found.fix.summary == "install them again here, or build on what the baseline has: glibc 2.36"


def test_a_directory_from_another_libc_is_breaking() -> None:
    found = finding(on("glibc 2.36", lib()), on("musl 1.2.3", lib()), "RC212")
    assert (found.severity, found.expect) == ("breaking", None)
    assert found.message == "lib 1 is a wheel for glibc, and this is musl 1.2.3 now"
    musl = lib("2", ("cp39-cp39-musllinux_1_2_x86_64",))
    assert finding(on("glibc 2.36", lib()), on("glibc 2.36", musl), "RC212").severity == "breaking"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # The baseline had it just so.
        (on("glibc 2.31", lib("1", NEW)), on("glibc 2.31", lib("1", NEW))),
        (on("glibc 2.31", lib("1", NEW)), on("glibc 2.31", lib("2", NEW))),
        (on("glibc 2.31", lib("1", NEW)), on("glibc 2.28", lib("1", NEW))),
        # It fits.
        (on("glibc 2.31", lib("1")), on("glibc 2.34", lib("1", NEW))),
        (on("glibc 2.31", lib("1")), on("glibc 2.17", lib("1"))),
        # A copy that Python does not take.
        (on("glibc 2.31"), on("glibc 2.31", package("lib==1", tags=NEW, active=False))),
        # The baseline does not tell whether it did.
        (on(None, lib("1", NEW)), on("glibc 2.31", lib("1", NEW))),
        # Nor does the target.
        (on("glibc 2.36", lib("1", NEW)), on(None, lib("1", NEW))),
        (on("glibc 2.36", lib("1", NEW)), on("glibc 2.31", lib("1", NEW), python=None)),
        # Nothing promised anything.
        (on("glibc 2.36", lib("1", ())), on("musl 1.2", lib("1", ()))),
        (on("glibc 2.36", lib("1", ("py3-none-any",))), on("musl 1.2", lib("1", ("py3-none-any",)))),
        (on("glibc 2.36", lib("1", BUILT_HERE)), on("musl 1.2", lib("1", BUILT_HERE))),
        (on("glibc 2.36", lib("1", ("?",))), on("musl 1.2", lib("1", ("?",)))),
    ],
)  # fmt: skip
def test_no_false_alarm(before: Snapshot, after: Snapshot) -> None:
    assert findings(before, after, "RC211", "RC212") == ()


def test_where_the_baseline_does_not_tell_what_changed_is_judged() -> None:
    assert finding(on(None, lib("1")), on("glibc 2.31", lib("2", NEW)), "RC212").after == "2"


def test_a_wheel_for_another_python() -> None:
    other = lib("2", ("cp38-cp38-manylinux2014_x86_64",))
    found = finding(on("glibc 2.31", lib("1")), on("glibc 2.31", other), "RC211")
    assert found.severity == "breaking"
    assert found.message == "lib 2 is a wheel for cp38-cp38, and this is Python 3.9.2 (cpython-39)"
    assert found.fix is not None
    assert found.fix.commands == ("pip install lib==1",)


def test_a_directory_from_another_machine() -> None:
    wheels = [lib(name="tensorflow"), lib(name="numpy"), package("pure==1", tags=("py3-none-any",))]
    arm = python("3.9.2", markers=markers("3.9.2", platform_machine="aarch64"))
    found = finding(on("glibc 2.31", *wheels), on("glibc 2.31", *wheels, python=arm), "RC211")
    assert (found.severity, found.subject.kind, found.suffers) == ("breaking", "python", ("numpy", "tensorflow"))
    assert found.message == "2 packages are wheels for x86_64, and this is Linux aarch64 now: numpy, tensorflow"
    assert (found.before, found.after) == (
        "Python 3.9.2 (cpython-39) on Linux x86_64",
        "Python 3.9.2 (cpython-39) on Linux aarch64",
    )
    assert found.details == {"frameworks": "tensorflow"}
    assert level_of(found) == "framework"


def test_without_the_gil_nothing_of_before_loads() -> None:
    wheels = [lib(name=name, tags=("cp313-cp313-manylinux2014_x86_64",)) for name in ("a", "b")]
    sides = [on("glibc 2.31", *wheels, python=python("3.13.0", abi=abi)) for abi in ("cpython-313", "cpython-313t")]
    found = finding(sides[0], sides[1], "RC211")
    assert found.message == "2 packages are wheels for cp313-cp313, and this is Python 3.13.0 (cpython-313t) now: a, b"


def test_what_another_minor_version_of_python_does_is_told_by_its_own_rule() -> None:
    after = on("glibc 2.31", lib("1"), python=python("3.10.1"))
    found = findings(on("glibc 2.31", lib("1")), after, "RC211", "RC212", "RC311")
    assert [(one.rule, one.suffers) for one in found] == [("RC311", ("lib",))]


def test_hostile_tags_are_printed_harmlessly() -> None:
    tags = ("cp38-\x1b[2J-manylinux2014_x86_64",)
    found = finding(on("glibc 2.31", lib("1")), on("glibc 2.31", lib("2", tags)), "RC211")
    assert "\x1b" not in found.message + "".join(found.evidence)
