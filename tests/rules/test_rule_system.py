from __future__ import annotations

from typing import Any

import pytest

from reprocheck.model.snapshot import Files, Libc, OsPackage, OsRelease, Snapshot, System
from tests.make import finding, findings, snapshot


def release(name: str, version: str, pretty: str = "") -> Snapshot:
    return snapshot(system=System(os=OsRelease(id=name, version_id=version, pretty_name=pretty)))


def libc(name: str, version: str) -> Snapshot:
    return snapshot(system=System(libc=Libc(name=name, version=version)))


def dpkg(*packages: str, system: System | None = None, **fields: Any) -> Snapshot:
    found = []
    for text in packages:
        name, version = text.split("=")
        name, _, architecture = name.partition(":")
        architecture = architecture or "amd64"
        found.append(OsPackage(manager="dpkg", name=name, version=version, architecture=architecture))
    return snapshot(os_packages=tuple(found), system=system or System(), **fields)


@pytest.mark.parametrize(
    ("before", "after", "severity"),
    [
        (("debian", "11"), ("ubuntu", "11"), "major"),
        (("debian", "11"), ("debian", "12"), "major"),
        (("alpine", "3.18.1"), ("alpine", "3.18.4"), "minor"),
        (("rocky", "8.6"), ("rocky", "8.7"), "minor"),
        (("ubuntu", "22.04"), ("ubuntu", "22.10"), "major"),
        (("debian", "11", "a"), ("debian", "11", "b"), "info"),
        (("", ""), ("debian", ""), "major"),
    ],
)
def test_os_release(before: tuple[str, ...], after: tuple[str, ...], severity: str) -> None:
    found = finding(release(*before), release(*after), "RC401")
    assert (found.severity, found.subject.kind) == (severity, "os")
    assert findings(release(*before), release(*before), "RC401") == ()
    assert findings(release(*before), snapshot(), "RC401") == ()


@pytest.mark.parametrize(
    ("before", "after", "severity"),
    [
        (("glibc", "2.31"), ("glibc", "2.28"), "major"),
        (("glibc", "2.31"), ("glibc", "2.36"), "minor"),
        (("glibc", "2.9"), ("glibc", "2.31"), "minor"),
        (("glibc", "1.2"), ("musl", "1.3"), "major"),
        (("glibc", "2.31"), ("glibc", "odd~1"), "major"),
    ],
)
def test_libc(before: tuple[str, str], after: tuple[str, str], severity: str) -> None:
    assert finding(libc(*before), libc(*after), "RC402").severity == severity
    assert findings(libc(*before), libc(*before), "RC402") == ()
    assert findings(libc(*before), snapshot(), "RC402") == ()


def test_os_packages_fold_into_one_finding() -> None:
    found = finding(dpkg("a=1", "b=1", "gone=1"), dpkg("a=2", "b=2", "new=1"), "RC403")
    assert found.severity == "info"
    assert found.message == "OS packages: 2 changed, 1 added, 1 removed"
    assert found.details == {"added": "1", "changed": "2", "removed": "1"}
    assert found.evidence == (
        "~ dpkg a amd64 1 → 2",
        "~ dpkg b amd64 1 → 2",
        "- dpkg gone amd64 1",
        "+ dpkg new amd64 1",
    )
    assert findings(dpkg("a=1"), dpkg("a=1"), "RC403") == ()


def test_os_packages_removed_one_by_one() -> None:
    before = dpkg("a=1", "libgl1=1.3", "libgl1:i386=1.3", "doc:all=1")
    found = findings(before, dpkg("a=1"), "RC404")
    assert [(one.subject.name, one.severity, one.before) for one in found] == [
        ("doc", "minor", "1"),
        ("libgl1", "minor", "1.3"),
        ("libgl1:i386", "minor", "1.3"),
    ]
    assert len({one.fingerprint for one in found}) == 3
    assert findings(before, before, "RC404") == ()
    assert findings(before, snapshot(gaps=["os_packages"]), "RC404") == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            System(os=OsRelease(id="debian", version_id="", pretty_name="")),
            System(os=OsRelease(id="alpine", version_id="", pretty_name="")),
        ),
        (System(architecture="x86_64"), System(architecture="aarch64")),
    ],
)
def test_another_distribution_or_architecture_has_other_packages(before: System, after: System) -> None:
    one, other = dpkg("a=1", system=before), dpkg("b=1", system=after)
    assert findings(one, other, "RC404") == ()
    assert len(findings(one, other, "RC403")) == 1


@pytest.mark.parametrize("slashes", ["a/b", "/", "//"])
def test_odd_names_do_not_crash(slashes: str) -> None:
    assert len(findings(dpkg(f"{slashes}=1"), dpkg(), "RC403", "RC404")) == 2


def test_architecture_and_locale() -> None:
    before = snapshot(system=System(architecture="x86_64", locale="C.UTF-8"))
    after = snapshot(system=System(architecture="aarch64", locale="C"))
    found = finding(before, after, "RC405")
    assert (found.severity, found.before, found.after) == ("major", "x86_64", "aarch64")
    found = finding(before, after, "RC406")
    assert (found.severity, found.before, found.after) == ("minor", "C.UTF-8", "C")
    assert findings(before, before, "RC405", "RC406") == ()
    assert findings(before, snapshot(), "RC405", "RC406") == ()
    assert findings(before, after, level="packages") == ()


def edited_package(*modified: str, checked: str = "presence", missing: tuple[str, ...] = ()) -> Snapshot:
    files = Files(count=9, checked=checked, modified=modified, missing=missing)  # type: ignore[arg-type] # one of its words
    one = OsPackage(manager="dpkg", name="python3-apt", version="2.2.1", architecture="amd64", files=files)
    return snapshot(os_packages=(one,))


APT = "/usr/lib/python3/dist-packages/apt/cache.py"


def test_an_edited_os_package() -> None:
    found = finding(edited_package(), edited_package(APT, checked="hashes"), "RC407")
    assert (found.name, found.severity, found.subject.name) == ("os-package-edited", "major", "python3-apt")
    assert found.message == f"python3-apt 2.2.1 was edited since it was installed: {APT} modified"
    assert found.details == {"version": "2.2.1", "compared": "hashes"}
    assert finding(snapshot(os_packages=()), edited_package(missing=("/usr/sbin/x",)), "RC407").severity == "major"
    assert findings(edited_package(), edited_package(APT), "RC407", level="packages") == ()


def test_an_edit_of_an_os_package_that_is_not_new_or_not_known_to_be() -> None:
    assert findings(edited_package(APT), edited_package(APT), "RC407") == ()
    assert findings(edited_package(checked="none"), edited_package(APT), "RC407") == ()
    unread = snapshot(states={"os_packages": "not-read"})
    assert findings(unread, edited_package(APT), "RC407") == ()
