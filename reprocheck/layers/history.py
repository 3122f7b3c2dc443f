"""What stood in a directory at each height of a stack of layers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from reprocheck.layers.entry import Entry, Layer, joined


class History:
    """All that the layers of a stack have of one directory, whether it is seen in the end or not.

    ``until``: the layers that have it, the lowest first; for each the layer that hides what it has there, or one that
    is above all.

    Raises:
        OSError: a layer's part of it can't be read.
    """

    def __init__(self, layers: Sequence[Layer], path: bytes, until: Mapping[int, int]) -> None:
        self._layers = layers
        self._path = path
        self._until = until
        self._written: dict[bytes, list[tuple[int, Entry]]] = {}
        self._turns: dict[bytes, list[int]] = {}
        for layer in until:
            for name, entry in layers[layer].directory(path).items():
                self._written.setdefault(name, []).append((layer, entry))

    @classmethod
    def of_root(cls, layers: Sequence[Layer]) -> History:
        """Of the root, of which the kernel takes no layer for opaque."""
        return cls(layers, b"", dict.fromkeys(range(len(layers)), len(layers)))

    def below(self, name: bytes) -> History:
        """Of a directory in this one."""
        until: dict[int, int] = {}
        hidden = len(self._layers)
        for layer, entry in reversed(self._written.get(name, ())):
            if entry.type == "dir":
                until[layer] = min(hidden, self._until[layer])
            if entry.type != "dir" or entry.opaque:
                hidden = layer
        return History(self._layers, joined(self._path, name), dict(reversed(until.items())))

    def before(self, name: bytes, layer: int) -> tuple[Entry, int] | None:
        """An entry as it was before a layer, and the layer that had written it by then."""
        written = self._written.get(name, ())
        # Of a layer there is one entry at most, so that two are never compared.
        lower = bisect_left(written, (layer,))
        if not lower:
            return None
        by, entry = written[lower - 1]
        return None if entry.type == "whiteout" or self._until[by] < layer else (entry, by)

    def __len__(self) -> int:
        """How many names there were at any height."""
        return len(self._written)

    def names(self, layer: int) -> set[bytes]:
        """What there was before a layer."""
        return {name for name in self._written if self.before(name, layer) is not None}

    def lost(self) -> Iterator[tuple[bytes, int]]:
        """Each time that a name was there no more, and the layer that did it; of one name the first time first."""
        for name in self._written:
            spans = list(self._spans(name))
            begun = {begin for begin, _, _ in spans} | {len(self._layers)}
            yield from ((name, end) for _, end, _ in spans if end not in begun)

    def turns(self, name: bytes) -> list[int]:
        """The layers that put a link in a place or took it away: what leads over it leads elsewhere from there on."""
        turns = self._turns.get(name)
        if turns is None:
            links = (span for span in self._spans(name) if span[2].type == "link")
            turns = self._turns[name] = sorted({turn for begin, end, _ in links for turn in (begin, end)})
        return turns

    def _spans(self, name: bytes) -> Iterator[tuple[int, int, Entry]]:
        """The entries that a name had: the layer of each, the one that replaced or hid it, if any, and the entry."""
        written = self._written.get(name, ())
        for position, (layer, entry) in enumerate(written):
            if entry.type != "whiteout":
                later = written[position + 1][0] if position + 1 < len(written) else len(self._layers)
                yield layer, min(later, self._until[layer]), entry
