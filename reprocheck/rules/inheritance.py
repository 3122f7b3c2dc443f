"""RC92x: what the policy's own base has, and the target has to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.rules.base import WHOLE_ENVIRONMENT, Comparison, Rule, finding
from reprocheck.rules.conda import is_distribution
from reprocheck.rules.repair import restore
from reprocheck.rules.system import line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprocheck.model.report import Finding
    from reprocheck.rules.base import EnvironmentPair


def base_package_changed(comparison: Comparison) -> Iterator[Finding]:
    """A package of the baseline that the policy extends is another one, or gone.

    ## What it checks
    In `verify`, where the policy `extends` a baseline: each Python and conda package of that baseline, whether the
    target has it in the same version; and each of its environments, whether the target has it. What the target has
    besides is no matter.

    ## Why it matters
    A team agreed on what the base holds: what was tested on it holds for what is built on it only as long as the
    base is still in there.

    ## Example
    The base locks `numpy 1.23.5`, and an image that installs opencv-python has `numpy 2.0.2`.

    ## What to do
    Keep the base's version: name the base's packages as constraints where further ones are installed. Or bring the
    base up to date, and lock it again.

    ## When it is noise
    When this one image has a good reason: waive that package.
    """
    base = comparison.extends
    if base is None:
        return
    for change in comparison.at("environments"):
        if len(change.path) == WHOLE_ENVIRONMENT and change.kind == "removed":
            name = change.path[1]
            message = f"environment {name} is not there; {base} has it"
            yield finding("environment", name, "major", message, environment=name, before=name)
    for pair in comparison.pairs:
        yield from _python_packages(pair, base)
        yield from _conda_packages(pair, base)


def _python_packages(pair: EnvironmentPair, base: str) -> Iterator[Finding]:
    versions = {name: facts["version"] for name, facts in pair.changed.items() if "version" in facts}
    for name in sorted({*versions, *pair.removed}):
        before = pair.graph_before.packages[name].version
        after = versions[name].after if name in versions else None
        yield finding(
            "python-package",
            name,
            "major",
            _message(name, before, after, base),
            environment=pair.after.id,
            before=before or None,
            after=after,
            fix=restore(pair, name),
        )


def _conda_packages(pair: EnvironmentPair, base: str) -> Iterator[Finding]:
    for change in pair.changes:
        match change.path[2:], change.kind:
            case ("conda", name), "removed":
                before, after = change.before["version"], None
            case ("conda", name, "version"), "changed":
                before, after = change.before, change.after
            case _:
                continue
        if not is_distribution(pair, name):
            message = _message(f"{name} (conda)", before, after, base)
            yield finding(
                "conda-package", name, "major", message, environment=pair.after.id, before=before, after=after
            )


def _message(name: str, before: str, after: str | None, base: str) -> str:
    there = f"{name} {after} is installed" if after is not None else f"{name} is not installed"
    return f"{there}; {base} has {before or 'an unknown version'}"


def base_os_packages_changed(comparison: Comparison) -> Iterator[Finding]:
    """OS packages of the baseline that the policy extends are others, or gone.

    ## What it checks
    In `verify`, where the policy `extends` a baseline: each OS package of that baseline, whether the target has it in
    the same version. One finding; the list is its evidence.

    ## Why it matters
    What was tested on the base holds only as long as the base is still in there.

    ## Example
    `apt-get upgrade` in the Dockerfile of an image that is built on the base.

    ## What to do
    Upgrade the base and lock it again, not what is built on it.

    ## When it is noise
    Where images take corrections of the system by themselves: give this rule another severity, or ignore
    `os_packages`.
    """
    base = comparison.extends
    if base is None:
        return
    lost = [change for change in comparison.at("os_packages") if change.kind != "added"]
    if lost:
        gone = sum(change.kind == "removed" for change in lost)
        counts = {"changed": len(lost) - gone, "removed": gone}
        said = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
        details = {kind: str(number) for kind, number in counts.items()}
        message = f"OS packages of {base}: {said}"
        yield finding(
            "os-package", "os-packages", "major", message, details=details, evidence=tuple(map(line_of, lost))
        )


RULES = (
    Rule(
        code="RC921",
        name="base-package-changed",
        level="packages",
        check=base_package_changed,
        frameworks_count_earlier=True,
    ),
    Rule(code="RC922", name="base-os-packages-changed", level="stack", check=base_os_packages_changed),
)
