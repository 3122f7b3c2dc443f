"""RC30x: what Python finds and runs before any program of the user's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reprocheck.rules.base import Comparison, Rule, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprocheck.model.change import Change
    from reprocheck.model.report import Finding


def duplicate_distribution(comparison: Comparison) -> Iterator[Finding]:
    """One directory holds the metadata of two versions of a package.

    ## What it checks
    Two `.dist-info` or `.egg-info` of one name in one directory, where the baseline has none.

    ## Why it matters
    The files of both lie over each other. Which version a tool sees depends on the order of the directory.

    ## Example
    `numpy-1.23.5.dist-info` and `numpy-2.0.2.dist-info` in one `site-packages`, after an interrupted upgrade.

    ## What to do
    Uninstall the package until none is left, then install the baseline's version.

    ## When it is noise
    Never seen to be.
    """
    for environment, name, change in _appeared(comparison, "same_directory"):
        yield finding(
            "python-package",
            name,
            "major",
            f"{name} has the metadata of several versions in one directory: {change}",
            environment=environment,
            after=change,
        )


def shadowed_distribution(comparison: Comparison) -> Iterator[Finding]:
    """A second version of a package lies behind the one that Python takes.

    ## What it checks
    Another copy with another version, later on `sys.path`, where the baseline has none.

    ## Why it matters
    Started with `-s`, as another user or with another PYTHONPATH, the same environment gives another version.

    ## Example
    `numpy 1.26.4` in the user's site directory in front of `numpy 1.23.5` in `/usr/local`.

    ## What to do
    Uninstall the copy that is not meant.

    ## When it is noise
    On distributions that ship some packages of their own beside those that pip installs.
    """
    for environment, name, change in _appeared(comparison, "shadowed"):
        yield finding(
            "python-package",
            name,
            "minor",
            f"{name} hides another version later on the search path: {change}",
            environment=environment,
            after=change,
        )


def executable_pth_added(comparison: Comparison) -> Iterator[Finding]:
    """A `.pth` file that runs code appeared or changed.

    ## What it checks
    `.pth` files with a line that begins with `import`: new ones, ones that did not run code before, and
    ones with other contents (SHA-256).

    ## Why it matters
    Python runs that line at every start, before any program; it can change what every import means.

    ## Example
    `distutils-precedence.pth` came with setuptools; `coverage.pth` starts a measurement in each process.

    ## What to do
    Read the file. Find the package that owns it in the RECORD files beside it.

    ## When it is noise
    After an upgrade of a package that is known to bring one.
    """
    for pair in comparison.pairs:
        seen = set()
        for change in pair.changes:
            if change.path[2] != "pth" or change.kind == "removed" or change.path[3] in seen:
                continue
            key = change.path[3]
            seen.add(key)
            # The key leaves the minor version of Python open; the file's own path names it.
            path = re.compile(re.escape(key).replace(re.escape("/python*"), r"/python\d+\.\d+"))
            file = next(file for file in pair.after.pth if path.fullmatch(file.path) or file.path == key)
            if not file.executable:
                continue
            what = "appeared" if change.kind == "added" else "changed"
            yield finding(
                "file",
                file.path,
                "minor",
                f"{file.path}, which runs code at every start of Python, {what}",
                environment=pair.after.id,
                after=file.sha256,
            )


def _appeared(comparison: Comparison, fact: str) -> Iterator[tuple[str, str, str]]:
    """Environment, package and versions where a kind of duplicate is that was not there before."""
    for pair in comparison.pairs:
        for change in pair.changes:
            if change.path[2] != "duplicates":
                continue
            before, after = _fact(change, change.before, fact), _fact(change, change.after, fact)
            if after and not before:
                yield pair.after.id, change.path[3], after


def _fact(change: Change, value: object, fact: str) -> str:
    if isinstance(value, dict):
        return str(value[fact])
    return str(value or "") if change.path[4:] == (fact,) else ""


RULES = (
    Rule(code="RC301", name="duplicate-distribution", level="packages", check=duplicate_distribution),
    Rule(code="RC302", name="shadowed-distribution", level="packages", check=shadowed_distribution),
    Rule(code="RC303", name="executable-pth-added", level="packages", check=executable_pth_added),
)
