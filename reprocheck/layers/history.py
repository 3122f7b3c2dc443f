"""What stood in a directory at each height of a stack of layers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from reprocheck.layers.entry import Entry, Layer


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
        path = self._path + b"/" + name if self._path else name
        return History(self._layers, path, dict(reversed(until.items())))

    def before(self, name: bytes, layer: int) -> tuple[Entry, int] | None:
        """An entry as it was before a layer, and the layer that had written it by then."""
        written = self._written.get(name, ())
        # Of a layer there is one entry at most, so that two are never compared.
        lower = bisect_left(written, (layer,))
        if not lower:
            return None
        by, entry = written[lower - 1]
        return None if entry.type == "whiteout" or self._until[by] < layer else (entry, by)
