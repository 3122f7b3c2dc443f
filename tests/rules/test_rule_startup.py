from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.model.snapshot import PathFile
from tests.make import environment, finding, findings, of, package, python, snapshot

if TYPE_CHECKING:
    from reprocheck.model.snapshot import Snapshot

ONE = package("numpy==1.23.5")
TWIN = package("numpy==2.0.2", active=False)
HIDDEN = package("numpy==1.26", active=False, location="{base}/site-packages")


def with_pth(*files: tuple[str, bool, str], version: str = "3.9.2") -> Snapshot:
    folder = f"{{prefix}}/lib/python{version[:-2]}/site-packages"
    pth = tuple(PathFile(path=f"{folder}/{name}", executable=runs, sha256=sha) for name, runs, sha in files)
    return snapshot(environment(pth=pth, python=python(version)))


def test_duplicate() -> None:
    found = finding(of(ONE), of(ONE, TWIN), "RC301")
    assert (found.subject.name, found.severity, found.after) == ("numpy", "major", "1.23.5, 2.0.2")
    assert findings(of(ONE, TWIN), of(ONE, TWIN), "RC301") == ()
    assert findings(of(ONE), of(ONE, HIDDEN), "RC301") == ()
    assert findings(of(ONE, TWIN), of(ONE), "RC301") == ()


def test_shadowed() -> None:
    found = finding(of(ONE), of(ONE, HIDDEN), "RC302")
    assert (found.subject.name, found.severity, found.after) == ("numpy", "minor", "1.26")
    assert findings(of(ONE, HIDDEN), of(ONE, HIDDEN), "RC302") == ()
    assert findings(of(ONE), of(ONE, TWIN), "RC302") == ()
    same = package("numpy==1.23.5", active=False, location="{base}/site-packages")
    assert findings(of(ONE), of(ONE, same), "RC302") == ()


def test_shadowed_appears_beside_an_old_duplicate() -> None:
    assert finding(of(ONE, TWIN), of(ONE, TWIN, HIDDEN), "RC302").after == "1.26"


def test_a_group_without_an_active_copy_does_not_crash() -> None:
    idle = package("numpy==1.23.5", active=False)
    assert findings(of(), of(idle, HIDDEN), "RC302")[0].after == "1.23.5"


def test_executable_pth() -> None:
    found = finding(with_pth(), with_pth(("a.pth", True, "00")), "RC303")
    assert (found.subject.kind, found.severity, found.after) == ("file", "minor", "00")
    assert found.subject.name == "{prefix}/lib/python3.9/site-packages/a.pth"
    assert "appeared" in found.message
    assert findings(with_pth(), with_pth(("a.pth", False, "00")), "RC303") == ()
    assert findings(with_pth(("a.pth", True, "00")), with_pth(), "RC303") == ()


def test_executable_pth_with_other_contents() -> None:
    found = finding(with_pth(("a.pth", True, "00")), with_pth(("a.pth", True, "11")), "RC303")
    assert "changed" in found.message
    began = finding(with_pth(("a.pth", False, "00")), with_pth(("a.pth", True, "11")), "RC303")
    assert began.after == "11"
    assert findings(with_pth(("a.pth", False, "00")), with_pth(("a.pth", False, "11")), "RC303") == ()


def test_executable_pth_in_another_python() -> None:
    one = with_pth(("a.pth", True, "00"))
    assert findings(one, with_pth(("a.pth", True, "00"), version="3.8.1"), "RC303") == ()
