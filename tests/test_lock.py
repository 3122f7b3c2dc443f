from __future__ import annotations

import pytest

from reprocheck.errors import TargetError
from reprocheck.lock import lock
from reprocheck.model.snapshot import CondaPackage, Files, OsPackage
from tests.make import environment, package, snapshot


def test_a_package_that_was_edited_is_locked_with_a_warning() -> None:
    edited = package("numpy==1.23.5", files=Files(checked="sizes", modified=("numpy/core.py",), missing=("x.txt",)))
    other = package("six==1.16.0", files=Files(checked="sizes"))
    shadowed = package("six==1.0", active=False, location="/x", files=Files(checked="sizes", modified=("six.py",)))
    given = snapshot(environment(edited, other, shadowed), kind="container")
    locked, warnings = lock(given, note=None, allowed_gaps=frozenset(), force=False)
    assert warnings == [
        "/usr: numpy 1.23.5 was edited since it was installed: numpy/core.py modified; x.txt missing"
    ]  # fmt: skip
    assert locked.environments == given.environments


def test_so_is_one_that_conda_or_dpkg_installed() -> None:
    files = Files(checked="presence", missing=("/usr/bin/tool",))
    tool = OsPackage(manager="dpkg", name="tool", version="1", architecture="amd64", files=files)
    managed = CondaPackage(name="mod", version="2", files=Files(checked="sizes", modified=("bin/mod",)))
    given = snapshot(environment(kind="conda", conda=(managed,)), os_packages=(tool,), kind="container")
    _, warnings = lock(given, note=None, allowed_gaps=frozenset(), force=False)
    assert warnings == [
        "/usr: mod 2 was edited since it was installed: bin/mod modified",
        "tool 1 was edited since it was installed: /usr/bin/tool missing",
    ]


def test_what_is_known_not_to_work_is_not_locked_without_force() -> None:
    given = snapshot(environment(package("tensorflow==2.9.0"), package("numpy==2.0.2")), kind="container")
    said = "/usr: tensorflow 2.9.0: importing it fails beside numpy 2.0.2, as in import tensorflow: "
    with pytest.raises(TargetError, match="not locked: " + said) as error:
        lock(given, note=None, allowed_gaps=frozenset(), force=False)
    assert str(error.value).endswith("; mend it, or lock it as it is with --force")
    _, warnings = lock(given, note=None, allowed_gaps=frozenset(), force=True)
    assert [warning.startswith(said) for warning in warnings] == [True]


def test_what_works_is_locked() -> None:
    given = snapshot(environment(package("tensorflow==2.9.0"), package("numpy==1.23.5")), kind="container")
    assert lock(given, note=None, allowed_gaps=frozenset(), force=False)[1] == []
