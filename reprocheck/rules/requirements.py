"""RC2xx: requirements that no longer hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.model.report import Finding, Fix
from reprocheck.model.snapshot import Gap, Note
from reprocheck.rules.base import Comparison, EnvironmentPair, Rule, finding
from reprocheck.rules.chains import chain, pulling
from reprocheck.rules.repair import restore
from reprocheck.rules.requirers import checks, requirers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reprocheck.graph import Edge


def requirement_violated(comparison: Comparison) -> Iterator[Finding]:
    """An installed version does not meet a requirement that held before.

    ## What it checks
    Every requirement of every installed distribution, with the target's own environment markers and with the
    extras that others ask for; one that the distribution does not provide brings nothing in, as pip has it. What
    the baseline violates already is not new. `details` tells the requirements of an extra apart: `pip check` does
    not look at those.

    ## Why it matters
    The author of the package has said that it does not work with this version.

    ## Example
    tensorboard 2.9.1 requires `protobuf<3.20,>=3.9.2`; 4.21.1 is installed.

    ## What to do
    Restore the version that stood before, or the package whose requirement is new.

    ## When it is noise
    When an upper bound is known to be over-cautious: lock the environment as it is, with `--force`.
    """
    for pair in comparison.pairs:
        if pair.same_requirements:
            continue
        known = {(edge.by, edge.to, edge.specifier) for edge in pair.graph_before.violated()}
        new = [edge for edge in pair.graph_after.violated() if (edge.by, edge.to, edge.specifier) not in known]
        for name, edges in _by_subject(new):
            before = pair.graph_before.packages.get(name)
            after = pair.graph_after.packages[name]
            says = _says(pair, edges)
            yield finding(
                "python-package",
                name,
                "major",
                f"{name} {after.version} does not meet what {'; '.join(says)}",
                environment=pair.after.id,
                before=before.version if before is not None else None,
                after=after.version,
                details={"seen_by_pip_check": "true" if any(edge.extra is None for edge in edges) else "false"},
                evidence=says,
                required_by=requirers(pair.graph_after.requirers_of(name)),
                suffers=requirers(edges),
                pulled_by=requirers(pulling(pair, name)),
                paths=pair.graph_after.paths_to(name),
                requirements=checks(pair, edges, before.version if before is not None else None, after.version),
                chain=chain(pair, name, says),
                fix=_repair(pair, name, edges),
            )


def requirement_missing(comparison: Comparison) -> Iterator[Finding]:
    """A required package is not installed, and was, or was not required before.

    ## What it checks
    As `requirement-violated`, for requirements on packages that are not there at all. Nothing is said where
    the environment could not be listed completely.

    ## Why it matters
    The package that requires it fails when it imports it.

    ## Example
    tensorflow 2.9.0 requires `libclang>=13.0.0`, which is not installed.

    ## What to do
    Install the baseline's version; if the baseline never had it, what the requirement allows.

    ## When it is noise
    When a platform-specific helper was left out on purpose (`pip install --no-deps`).
    """
    for pair in comparison.pairs:
        if pair.same_requirements or pair.listing_gap:
            continue
        known = {(edge.by, edge.to) for edge in pair.graph_before.missing()}
        new = [edge for edge in pair.graph_after.missing() if (edge.by, edge.to) not in known]
        for name, edges in _by_subject(new):
            before = pair.graph_before.packages.get(name)
            says = _says(pair, edges)
            fix = restore(pair, name) or Fix(summary=_install(name, {edge.text for edge in edges}))
            yield finding(
                "python-package",
                name,
                "major",
                f"{name} is not installed; {'; '.join(says)}",
                environment=pair.after.id,
                before=before.version if before is not None else None,
                details={"seen_by_pip_check": "true" if any(edge.extra is None for edge in edges) else "false"},
                evidence=says,
                required_by=requirers(edges),
                suffers=requirers(edges),
                paths=pair.graph_after.paths_to(name),
                requirements=checks(pair, edges, before.version if before is not None else None, None),
                fix=fix,
            )


def unjudged(comparison: Comparison) -> tuple[tuple[Gap, ...], tuple[Note, ...]]:
    """Give the requirements of the after side that no specification lets anybody judge.

    What the before side has just so was accepted with it: a note. Anything else may be a violation, and is a gap.
    """
    gaps: list[Gap] = []
    notes: list[Note] = []
    where = comparison.after.header.target
    for pair in comparison.pairs:
        if pair.after.python is None:
            continue  # a gap of its own says so, of all that the interpreter's markers decide
        known = set(pair.graph_before.unclear())
        for item in pair.graph_after.unclear():
            what = f"environments[{pair.after.id}].packages[{item.by}].requires"
            reason = f"{item.requirement} can't be judged: {item.reason}"
            if item in known:
                notes.append(Note(what=what, where=where, reason=f"{reason}; the same on both sides"))
            else:
                gaps.append(Gap(what=what, where=where, reason=reason))
    return tuple(gaps), tuple(notes)


def _by_subject(edges: Iterable[Edge]) -> list[tuple[str, list[Edge]]]:
    groups: dict[str, list[Edge]] = {}
    for edge in edges:
        groups.setdefault(edge.to, []).append(edge)
    return sorted(groups.items())


def _says(pair: EnvironmentPair, edges: Iterable[Edge]) -> tuple[str, ...]:
    return tuple(
        f"{edge.by} {pair.graph_after.packages[edge.by].version} requires"
        f"{f' with its extra {edge.extra}' if edge.extra is not None else ''}: {edge.text}"
        for edge in edges
    )


def _install(name: str, wanted: set[str]) -> str:
    """What to do where the baseline has no version to name."""
    bounds = " and ".join(sorted(wanted - {name}))
    return f"install a version of {name} that satisfies {bounds}" if bounds else f"install {name}"


def _repair(pair: EnvironmentPair, name: str, edges: Iterable[Edge]) -> Fix | None:
    """Restore the package that changed: the one required, else the one that requires it."""
    if "version" in pair.changed.get(name, {}):
        return restore(pair, name)
    changed = [edge.by for edge in edges if "version" in pair.changed.get(edge.by, {})]
    return restore(pair, changed[0]) if changed else None


RULES = (
    Rule(code="RC201", name="requirement-violated", level="packages", check=requirement_violated),
    Rule(code="RC202", name="requirement-missing", level="packages", check=requirement_missing),
)
