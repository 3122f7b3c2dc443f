from __future__ import annotations

import pytest

from reprocheck.model.snapshot import Files, Snapshot
from tests.make import finding, findings, of, package

AS_INSTALLED = Files(count=9, record_sha256="00", checked="sizes")


def having(
    *modified: str, missing: tuple[str, ...] = (), checked: str = "sizes", version: str = "1.23.5", unnamed: int = 0
) -> Snapshot:
    files = Files(
        count=9,
        record_sha256="00",
        checked=checked,  # type: ignore[arg-type] # one of its three words
        modified=modified,
        missing=missing,
        unnamed=unnamed,
    )
    return of(package(f"numpy=={version}", files=files))


@pytest.mark.parametrize(
    ("modified", "missing", "severity"),
    [
        (("numpy/core/numeric.py",), (), "major"),
        (("numpy/core/umath.cpython-39-x86_64-linux-gnu.so",), (), "major"),
        (("numpy.libs/libgfortran.so.5.0.0",), (), "major"),
        (("../../../bin/f2py",), (), "major"),
        (("distutils-precedence.pth",), (), "major"),
        ((), ("numpy/core/numeric.py",), "major"),
        (("numpy/LICENSE.txt", "numpy/core/numeric.py"), (), "major"),
        (("numpy-1.23.5.dist-info/METADATA",), (), "minor"),
        ((), ("numpy/tests/data.npz",), "minor"),
        (("numpy/pyproject.toml",), (), "minor"),
    ],
)
def test_an_edit_is_a_finding_of_its_own(modified: tuple[str, ...], missing: tuple[str, ...], severity: str) -> None:
    found = finding(having(), having(*modified, missing=missing), "RC109", level="packages")
    assert (found.name, found.severity, found.subject.name) == ("package-edited", severity, "numpy")
    assert set(found.evidence) == {*(f"modified: {one}" for one in modified), *(f"missing: {one}" for one in missing)}
    assert found.message == f"numpy 1.23.5 was edited since it was installed: {found.after}"
    assert found.before is None


def test_it_says_what_and_how_to_undo_it() -> None:
    found = finding(having(), having("b.py", "a.txt", "c.py", "d.py", missing=("e.py",)), "RC109")
    assert found.after == "b.py, c.py, d.py and 1 more modified; e.py missing"
    assert found.details == {"version": "1.23.5", "compared": "sizes"}
    assert found.fix is not None
    assert found.fix.commands == ("pip install --force-reinstall --no-deps numpy==1.23.5",)


def test_an_edit_that_the_baseline_has_is_none() -> None:
    both = having("a.py", missing=("b.py",))
    assert findings(both, both, "RC109") == ()
    assert findings(both, having(), "RC109") == ()
    found = finding(both, having("a.py", "b.py"), "RC109")
    assert found.after == "b.py modified", "missing there, and another one here"


def test_a_baseline_that_did_not_look_says_nothing() -> None:
    assert findings(having(checked="none"), having("a.py"), "RC109") == ()
    without_record = of(package("numpy==1.23.5"))
    assert findings(without_record, having("a.py"), "RC109") != ()


def test_sizes_before_hashes_after() -> None:
    found = finding(having(), having("a.py", checked="hashes"), "RC109")
    assert found.details["compared"] == "hashes"


def test_a_package_that_is_new_or_another_version() -> None:
    found = finding(of(), having("a.py"), "RC109")
    assert found.fix is None
    found = finding(having(version="1.22.0"), having("a.py"), "RC109")
    assert found.fix is None, "that of the version has one"


def test_a_copy_that_python_does_not_take() -> None:
    shadowed = package(
        "numpy==1.0", active=False, location="/elsewhere", files=Files(checked="sizes", modified=("a.py",))
    )
    assert findings(having(), of(package("numpy==1.23.5", files=AS_INSTALLED), shadowed), "RC109") == ()


def test_more_than_can_be_named() -> None:
    found = finding(having(), having("a.txt", unnamed=50), "RC109")
    assert (found.severity, found.after) == ("major", "a.txt modified; 50 more")
    both = having("a.txt", unnamed=50)
    assert findings(both, both, "RC109") == ()


def test_it_counts_from_the_level_of_packages() -> None:
    assert findings(having(), having("a.py"), "RC109", level="framework") == ()
