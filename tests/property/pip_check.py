"""Program: what pip says of many site directories, in one process. Reads lists of directories, prints answers, as JSON.

It is started as ``pip --python`` starts pip: the interpreter in question runs the pip of another environment. Each
list stands for ``sys.path``, which is all that ``pip check`` goes by.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

Requirements = dict[str, list[Any]]


def main() -> None:
    """Check each list of directories."""
    sys.path.insert(0, sys.argv[1])
    # Whatever pip imports late is imported before the path holds nothing but packages to be checked.
    _check()
    sys.stdout.write(json.dumps([_answer(path) for path in json.load(sys.stdin)]))


def _answer(path: list[str]) -> dict[str, Any]:
    usual = sys.path[:]
    sys.path[:] = path
    _tell_pkg_resources()
    try:
        return {"check": _check().splitlines(), "with_extras": sorted(_with_extras())}
    finally:
        sys.path[:] = usual


def _tell_pkg_resources() -> None:
    """pip looks through pkg_resources before Python 3.11, which looks at the path once, when it is imported."""
    from pip._internal.metadata import select_backend

    if select_backend().NAME == "pkg_resources":
        from pip._vendor import pkg_resources

        pkg_resources.working_set = pkg_resources.WorkingSet()


def _check() -> str:
    """What the command ``pip check`` prints."""
    from pip._internal.commands import create_command

    with redirect_stdout(StringIO()) as printed:
        create_command("check").main(["--disable-pip-version-check"])
    return printed.getvalue()


def _with_extras() -> Iterator[tuple[str, str, str]]:
    """What does not hold once extras are followed: who requires, what, which versions; pip's own code reads and judges.

    ``pip check`` asks each distribution what it requires without extras. pip's resolver also asks what it requires
    with those that others name, of which it passes over what the distribution does not provide; so does this, until
    no more are named.
    """
    from pip._internal.metadata import get_default_environment
    from pip._vendor.packaging.utils import canonicalize_name

    there = {one.canonical_name: one for one in get_default_environment().iter_installed_distributions(skip=())}
    requires: Requirements = {name: list(one.iter_dependencies()) for name, one in there.items()}
    provided = {name: {canonicalize_name(extra) for extra in one.iter_provided_extras()} for name, one in there.items()}
    named: set[tuple[str, str]] = set()
    while True:
        wanted = {
            (canonicalize_name(one.name), canonicalize_name(extra))
            for needs in requires.values()
            for one in needs
            for extra in one.extras
        }
        new = {(name, extra) for name, extra in wanted - named if extra in provided.get(name, ())}
        if not new:
            break
        named |= new
        for name, extra in new:
            requires[name] += there[name].iter_dependencies([extra])
    for by, needs in requires.items():
        for one in needs:
            found = there.get(canonicalize_name(one.name))
            if found is None or not one.specifier.contains(found.version, prereleases=True):
                yield by, canonicalize_name(one.name), str(one.specifier)


if __name__ == "__main__":
    main()
