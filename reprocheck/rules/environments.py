"""RC31x: interpreters and environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.rules.base import WHOLE_ENVIRONMENT, Comparison, EnvironmentPair, Rule, finding
from reprocheck.versions import FRAMEWORKS
from reprocheck.wheel_tags import interpreter_tags, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprocheck.model.report import Finding
    from reprocheck.model.snapshot import Python

_UNFIT_NAMED = 4


def python_minor_changed(comparison: Comparison) -> Iterator[Finding]:
    """Python's minor (or major) version changed.

    ## What it checks
    The first two components of the interpreter's version. Breaking where an installed wheel on the second
    side has no tag that fits its interpreter (PEP 425); the platform part of a tag is not looked at.

    ## Why it matters
    Compiled modules are bound to a minor version; the language and the standard library change with each.

    ## Example
    `3.9.2 → 3.10.12`, while `PYTHONPATH` still leads to wheels tagged `cp39-cp39`.

    ## What to do
    Build the environment on the baseline's minor version.

    ## When it is noise
    When pure Python code is compared across versions on purpose.
    """
    for pair, before, after in _pythons(comparison):
        if _minor(before) == _minor(after):
            continue
        unfit = _unfit(pair, after)
        message = f"Python {before.version} → {after.version}"
        if unfit:
            more = f" and {len(unfit) - _UNFIT_NAMED} more" if len(unfit) > _UNFIT_NAMED else ""
            message += f"; built for another Python: {', '.join(unfit[:_UNFIT_NAMED])}{more}"
        yield finding(
            "python",
            "python",
            "breaking" if unfit else "major",
            message,
            environment=pair.after.id,
            before=before.version,
            after=after.version,
            suffers=unfit,
        )


def python_patch_changed(comparison: Comparison) -> Iterator[Finding]:
    """Python's patch version changed.

    ## What it checks
    The interpreter's full version where the first two components are the same.

    ## Why it matters
    Patch releases carry corrections, now and then one that a program notices.

    ## Example
    `3.9.2 → 3.9.18`.

    ## What to do
    Pin the base image by digest, or lock a new baseline.

    ## When it is noise
    Mostly, for a project that takes security updates: let it fail on `major` alone, the default.
    """
    for pair, before, after in _pythons(comparison):
        if before.version != after.version and _minor(before) == _minor(after):
            yield finding(
                "python",
                "python",
                "minor",
                f"Python {before.version} → {after.version}",
                environment=pair.after.id,
                before=before.version,
                after=after.version,
            )


def python_implementation_changed(comparison: Comparison) -> Iterator[Finding]:
    """Another implementation of Python, or another ABI of the same version.

    ## What it checks
    `sys.implementation.name`, and the cache tag with ABI flags where the minor version is the same.

    ## Why it matters
    Compiled modules of one don't load in the other; without the GIL, timing and thread safety differ.

    ## Example
    `cpython-313 → cpython-313t` (free-threaded); `cpython → pypy`.

    ## What to do
    Use the baseline's interpreter.

    ## When it is noise
    Never seen to be.
    """
    for pair, before, after in _pythons(comparison):
        if before.implementation != after.implementation:
            change = (before.implementation, after.implementation)
        elif before.abi and after.abi and before.abi != after.abi and _minor(before) == _minor(after):
            change = (before.abi, after.abi)
        else:
            continue
        yield finding(
            "python",
            "implementation",
            "major",
            f"Python's implementation changed: {change[0]} → {change[1]}",
            environment=pair.after.id,
            before=change[0],
            after=change[1],
        )


def environment_added(comparison: Comparison) -> Iterator[Finding]:
    """A Python environment is there that the baseline does not have.

    ## What it checks
    Environments of the second side that pair with none of the first. Its packages are not listed one by one.

    ## Why it matters
    A program may now run in another environment than the one that was verified.

    ## Example
    `/opt/venv` was created beside `/usr`.

    ## What to do
    Pair it by hand (`--env A=B`) if it is an old one that moved; otherwise nothing.

    ## When it is noise
    When tools keep environments of their own, such as pipx.
    """
    for change in comparison.at("environments"):
        if len(change.path) == WHOLE_ENVIRONMENT and change.kind == "added":
            yield finding(
                "environment",
                change.path[1],
                "info",
                f"environment {change.path[1]} was added{_counted(change.after)}",
                environment=change.path[1],
                after=change.path[1],
            )


def environment_removed(comparison: Comparison) -> Iterator[Finding]:
    """A Python environment of the baseline is gone.

    ## What it checks
    Environments of the first side that pair with none of the second. Not looked at where the second side is a
    single interpreter (`python:`, `host:`), and never where a gap explains the absence. One that holds a
    framework counts at the level `framework` already, as the framework does.

    ## Why it matters
    Everything in it is missing.

    ## Example
    `/opt/venv` is not in the new image.

    ## What to do
    Pair it by hand (`--env A=B`) if it moved; otherwise build it again.

    ## When it is noise
    When it was a left-over of the build.
    """
    for change in comparison.at("environments"):
        if len(change.path) == WHOLE_ENVIRONMENT and change.kind == "removed":
            lost = ", ".join(_frameworks(comparison, change.path[1]))
            yield finding(
                "environment",
                change.path[1],
                "major",
                f"environment {change.path[1]} was removed{_counted(change.before, lost)}",
                environment=change.path[1],
                before=change.path[1],
                details={"frameworks": lost} if lost else {},
            )


def _pythons(comparison: Comparison) -> Iterator[tuple[EnvironmentPair, Python, Python]]:
    """The pairs in which some fact of the interpreter differs, and is known on both sides."""
    for pair in comparison.pairs:
        before, after = pair.before.python, pair.after.python
        changed = any(change.path[2] == "python" for change in pair.changes)
        if before is not None and after is not None and changed:
            yield pair, before, after


def _minor(python: Python) -> tuple[str, ...]:
    return tuple(python.version.split(".")[:2])


def _unfit(pair: EnvironmentPair, python: Python) -> tuple[str, ...]:
    """Packages of which no wheel tag fits the interpreter; none where the interpreter's own tags can't be told."""
    fitting = interpreter_tags(python)
    if fitting is None:
        return ()
    return tuple(
        name
        for name, package in pair.graph_after.packages.items()
        if (tags := parsed(package.tags)) and fitting.isdisjoint((tag.interpreter, tag.abi) for tag in tags)
    )


def _frameworks(comparison: Comparison, name: str) -> list[str]:
    """Names of the frameworks in an environment of the first side, sorted."""
    environment = next(environment for environment in comparison.before.environments if environment.id == name)
    return sorted({package.name for package in environment.packages if package.name in FRAMEWORKS})


def _counted(summary: dict[str, object], among: str = "") -> str:
    python = f"Python {summary['python']}, " if summary["python"] else ""
    return f" ({python}{summary['packages']} packages{f', among them {among}' if among else ''})"


RULES = (
    Rule(code="RC311", name="python-minor-changed", level="framework", check=python_minor_changed),
    Rule(code="RC312", name="python-patch-changed", level="stack", check=python_patch_changed),
    Rule(
        code="RC313",
        name="python-implementation-changed",
        level="framework",
        check=python_implementation_changed,
    ),
    Rule(code="RC314", name="environment-added", level="packages", check=environment_added),
    Rule(
        code="RC315",
        name="environment-removed",
        level="packages",
        check=environment_removed,
        frameworks_count_earlier=True,
    ),
)
