"""What is kept of answers that can be found out again."""

from __future__ import annotations

from typing import TypeVar

_MOST = 8 << 20
"""Bytes of one collection: some 25,000 directories with paths of usual length."""
_ENTRY = 200
"""Bytes of an entry itself, about."""

K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """Answers by question. Paths can have 4 KB, so it is their bytes that count; when there are too many, all go."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def add(self, key: K, value: V, *paths: bytes) -> V:
        """Remember a value, and give it back. ``paths``: what it and its key consist of."""
        size = _ENTRY + sum(map(len, paths))
        if self._size + size > _MOST:
            self.clear()
            self._size = 0
        self._size += size
        self[key] = value
        return value
