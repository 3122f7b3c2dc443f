"""Who requires a package, as findings tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.model.report import RequirementCheck
from reprocheck.versions import allows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reprocheck.graph import Edge
    from reprocheck.rules.base import EnvironmentPair

_NAMED = 4
"""How many packages a message names before it counts the rest."""


def asked_for(pair: EnvironmentPair, name: str) -> str:
    """Say whether somebody asked for an installed package: ``true``, ``false`` or ``unknown``.

    That is what the installer noted; where it notes nothing, a package that is required counts as dragged along.
    """
    requested = pair.graph_after.packages[name].requested
    if requested is not None:
        return "true" if requested else "false"
    return "false" if pair.graph_after.requirers_of(name) else "unknown"


def checks(
    pair: EnvironmentPair, edges: Iterable[Edge], before: str | None, after: str | None
) -> tuple[RequirementCheck, ...]:
    """Judge each of the after side's requirements on a package by both of its versions; ``None``: not installed."""
    return tuple(
        RequirementCheck(
            by=edge.by,
            by_version=pair.graph_after.packages[edge.by].version,
            specifier=edge.specifier,
            marker=edge.marker,
            extra=edge.extra,
            allows_before=None if before is None else allows(edge.specifier, before),
            allows_after=None if after is None else allows(edge.specifier, after),
            extras=edge.extras,
            new=_is_new(pair, edge),
            missing=edge.installed is None,
        )
        for edge in edges
    )


def _is_new(pair: EnvironmentPair, edge: Edge) -> bool:
    before = pair.graph_before.requirements_of(edge.by)
    return all((one.to, one.specifier, one.extra) != (edge.to, edge.specifier, edge.extra) for one in before)


def requirers(edges: Iterable[Edge]) -> tuple[str, ...]:
    """Give the names of who requires it, sorted, each once."""
    return tuple(sorted({edge.by for edge in edges}))


def sentences(pair: EnvironmentPair, edges: Iterable[Edge]) -> tuple[str, ...]:
    """Write each requirement as a sentence: ``tensorboard 2.9.1 requires protobuf<3.20,>=3.9.2``."""
    packages = pair.graph_after.packages
    return tuple(f"{edge.by} {packages[edge.by].version} requires {edge.text}" for edge in edges)


def brackets(pair: EnvironmentPair, edges: Iterable[Edge]) -> tuple[str, ...]:
    """Write each requirement as an aside: ``tensorboard 2.9.1 (protobuf<3.20,>=3.9.2)``."""
    packages = pair.graph_after.packages
    return tuple(f"{edge.by} {packages[edge.by].version} ({edge.text})" for edge in edges)


def listed(words: Sequence[str]) -> str:
    """Name a few, count the rest."""
    if len(words) <= _NAMED:
        return ", ".join(words)
    return f"{', '.join(words[: _NAMED - 1])} and {len(words) - _NAMED + 1} more"
