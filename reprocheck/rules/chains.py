"""One story from what was asked for to what fails: who dragged a change along, and whom it hurts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.rules.requirers import asked_for, listed
from reprocheck.versions import allows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reprocheck.graph import Edge
    from reprocheck.rules.base import EnvironmentPair


def pulling(pair: EnvironmentPair, name: str) -> tuple[Edge, ...]:
    """Give the requirements of new and changed packages that exclude the baseline's version."""
    before = pair.graph_before.packages.get(name)
    if before is None:
        return ()
    return tuple(
        edge
        for edge in pair.graph_after.requirers_of(name)
        if edge.by in pair.news and allows(edge.specifier, before.version) is False
    )


def chain(pair: EnvironmentPair, name: str, ends: Iterable[str]) -> tuple[str, ...]:
    """Tell from what was asked for to what fails, one sentence a step; nothing where nobody dragged it along.

    Args:
        pair: the environments.
        name: what was dragged along.
        ends: what became of it.
    """
    edges = pulling(pair, name)
    if not edges:
        return ()
    # The shortest way to somebody who asked for something tells most.
    edge = min(edges, key=lambda one: (asked_for(pair, one.by) != "true", one.by))
    packages = pair.graph_after.packages
    before, after = pair.graph_before.packages[name], packages[name]
    own = "asked for" if asked_for(pair, name) == "true" else "which nobody asked for"
    return (
        f"{_way(pair, edge)}{_content(pair, name, edges)}",
        f"{name} {before.version} → {after.version}, {own}",
        *ends,
    )


def _way(pair: EnvironmentPair, edge: Edge) -> str:
    """``opencv-python 5.0.0.93, asked for, requires numpy>=2``."""
    packages = pair.graph_after.packages
    what = f"{edge.by} {packages[edge.by].version}"
    if asked_for(pair, edge.by) == "true":
        return f"{what}, asked for, requires {edge.text}"
    for path in pair.graph_after.paths_to(edge.by):
        if asked_for(pair, path[0]) == "true" and path[0] in pair.news:
            between = "".join(f"{name} → " for name in path[1:-1])
            return f"{path[0]} {packages[path[0]].version}, asked for → {between}{what}, which requires {edge.text}"
    return f"{what} requires {edge.text}"


def _content(pair: EnvironmentPair, name: str, edges: Sequence[Edge]) -> str:
    """Who came with it and would have left the package alone."""
    dragging = {edge.by for edge in edges}
    if any(asked_for(pair, by) != "true" for by in dragging):
        return ""  # who brought those along would have to be told apart
    others = [one for one in pair.added if one not in dragging and asked_for(pair, one) == "true"]
    if not others:
        return ""
    version = pair.graph_before.packages[name].version
    return f" ({listed(others)} {'is' if len(others) == 1 else 'are'} content with {version})"
