"""Who brought each package of a database: what each layer left in it is compared, the lowest first.

The layer that last wrote the file says nothing: each installation writes the whole database again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

Key = tuple[str, str]
"""Name and architecture."""


class State(Struct, frozen=True):
    """A database as one layer left it."""

    layer: int
    packages: Mapping[Key, frozenset[str]]
    """Versions of each; the kernel of rpm has several at once."""
    whole: bool
    """Whether there was nothing else in it: it could be read to its end, without damage."""


def brought(states: Sequence[State]) -> dict[Key, int]:
    """The layer from which on each package of the last state is there in its versions; without those not known."""
    since: dict[Key, int | None] = {}
    before = State(-1, {}, whole=True)
    for state in states:
        since = {
            key: since[key]
            if before.packages.get(key) == versions
            else state.layer
            if before.whole or key in before.packages
            else None
            for key, versions in state.packages.items()
        }
        before = state
    return {key: layer for key, layer in since.items() if layer is not None}


def dropped(states: Sequence[State]) -> dict[Key, int]:
    """The layer that took out what the last state lacks; without what is not known."""
    gone: dict[Key, int | None] = {}
    before: Mapping[Key, frozenset[str]] = {}
    for state in states:
        missing = before.keys() - state.packages.keys()
        if not state.whole:
            # They may be in the part that was not read, as may those that were gone.
            gone = dict.fromkeys({*gone, *missing})
        else:
            gone.update(dict.fromkeys(missing, state.layer))
        gone = {key: layer for key, layer in gone.items() if key not in state.packages}
        before = state.packages
    return {key: layer for key, layer in gone.items() if layer is not None}
