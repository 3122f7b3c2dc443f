"""What is wrong with a layer, as a value."""

from __future__ import annotations

from msgspec import Struct

from reprocheck.model.text import escape, printable

_SHOWN = 200
"""Characters of a name that a message repeats: a name in a tar may have a million."""


class Problem(Struct, frozen=True, gc=False, array_like=True):
    """One thing that is wrong with a layer."""

    where: str
    """Path as the layer has it, or byte of the uncompressed layer; printable. Empty: the layer as a whole."""
    reason: str
    """What is wrong."""
    lost: bool
    """Something of the layer's content is not known because of it; otherwise it is a note."""

    def within(self, layer: str) -> str:
        """Layer and place in it; without a place it is the layer as a whole."""
        return f"{layer}: {self.where}" if self.where else layer


def shown(name: bytes) -> str:
    """A name for a message: printable, and cut where it is very long."""
    # An escape makes at most four characters of a byte: no need to escape a million of them.
    text = printable(escape(name[:_SHOWN]))
    return text if len(name) <= _SHOWN else f"{text}…"
