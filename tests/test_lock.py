from __future__ import annotations

from reprocheck.lock import lock
from reprocheck.model.snapshot import Files
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
