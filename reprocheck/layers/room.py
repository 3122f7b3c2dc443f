"""Memory for the contents that the layers of one image keep, all of them together."""

from __future__ import annotations


class Room:
    """So many bytes, and what lies in them.

    Where they are short, what was asked for longest ago makes way: it costs its layer one more pass.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        """Bytes in all."""
        self.left = size
        """Bytes that are free."""
        self.short = False
        """Whether something had to make way, or found no room."""
        self._size_held = 0
        self._held: dict[tuple[int, int], dict[int, bytes]] = {}
        """Where each piece lies, by the identity of that dictionary and the key in it; the last used one last."""

    def keep(self, kept: dict[int, bytes], key: int, piece: bytes) -> None:
        """Put a piece into what a layer keeps. There has to be room for it."""
        self._give_back(kept, key)
        self._held[id(kept), key] = kept
        kept[key] = piece
        self.left -= len(piece)
        self._size_held += len(piece)

    def used(self, kept: dict[int, bytes], key: int) -> None:
        """A piece was asked for: others make way before it."""
        self._held[id(kept), key] = self._held.pop((id(kept), key))

    def clear(self, size: int) -> bool:
        """Have pieces make way until so many bytes are free; ``False``, and none does: there is not so much room."""
        self.short = self.short or size > self.left
        while self.left < size <= self.left + self._size_held:
            (_, key), kept = next(iter(self._held.items()))
            self._give_back(kept, key)
        return size <= self.left

    def _give_back(self, kept: dict[int, bytes], key: int) -> None:
        if self._held.pop((id(kept), key), None) is not None:
            size = len(kept.pop(key))
            self.left += size
            self._size_held -= size
