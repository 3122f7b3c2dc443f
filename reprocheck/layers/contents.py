"""Contents of files that can each be read on its own, in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from reprocheck.layers.blob import CHUNK
from reprocheck.layers.entry import Entry, Layer


def one_by_one(layer: Layer, wanted: Sequence[tuple[bytes, Entry]]) -> Iterator[tuple[int, bytes]]:
    """What :meth:`reprocheck.layers.entry.Layer.contents` gives."""
    for number, (path, entry) in enumerate(wanted):
        at = 0
        with suppress(OSError):
            while at < entry.size and (piece := layer.read(path, entry, at, CHUNK)):
                yield number, piece
                at += len(piece)
