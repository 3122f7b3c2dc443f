"""How grave a change of a version is, while every requirement holds and no known break is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.versions import FRAMEWORKS, allows

if TYPE_CHECKING:
    from reprocheck.knowledge import Knowledge
    from reprocheck.model.report import Severity
    from reprocheck.rules.base import EnvironmentPair
    from reprocheck.versions import Direction, Size, VersionChange

_SEVERITIES: dict[Size, Severity] = {
    "epoch": "minor",
    "major": "minor",
    "incomparable": "major",
    "minor": "minor",
    "local": "minor",
    "pre-release": "minor",
    "patch": "info",
    "post-release": "info",
    "spelling": "info",
}
_LARGE: frozenset[Size] = frozenset({"epoch", "major"})
_FAR: dict[Direction, str] = {"up": "99999", "down": "0"}
"""A version that lies further that way than any bound."""


def severity(name: str, change: VersionChange, *, untested: bool) -> Severity:
    """Grade a change.

    Args:
        name: the package, normalised.
        change: which way its version went, and how far.
        untested: whether a framework allows it and nobody tried, as :func:`untested` tells.
    """
    if name in FRAMEWORKS and (change.size in _LARGE or change.size in {"minor", "local"}):
        return "major"
    if untested and change.size in _LARGE:
        return "major"
    graded = _SEVERITIES[change.size]
    return "minor" if change.direction == "down" and graded == "info" else graded


def untested(pair: EnvironmentPair, name: str, change: VersionChange, knowledge: Knowledge) -> tuple[str, ...]:
    """Say of whom nobody knows whether they go with a large change that their requirements allow.

    These are the frameworks that require the package without a bound in that direction, where some versions of the
    two are known to break each other: their metadata can't be relied on.
    """
    if change.size not in _LARGE or change.direction not in _FAR:
        return ()
    far = _FAR[change.direction]
    packages = pair.graph_after.packages
    return tuple(
        f"{edge.by} {packages[edge.by].version} sets no bound to it ({edge.text}), and versions of the two are known"
        " to break each other"
        for edge in pair.graph_after.requirers_of(name)
        if edge.by in FRAMEWORKS
        and frozenset({edge.by, name}) in knowledge.breakable
        and allows(edge.specifier, far) is True
    )
