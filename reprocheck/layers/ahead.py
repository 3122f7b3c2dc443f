"""Reading in a thread of its own: reading, hashing and unpacking let the interpreter's lock go."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from reprocheck.layers.blob import CHUNK, Pieces, Reader

_CHUNKS = 2
"""Chunks that are read before anybody asks for them."""


def ahead(source: Reader) -> Pieces:
    """Read a source a little ahead of whoever reads it.

    What the source raises comes where the bytes would have come. The thread ends with the source, or when
    the reader is closed or dropped.
    """
    return Pieces(_Ahead(source).following)


class _Ahead:
    def __init__(self, source: Reader) -> None:
        self._source = source
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reprocheck-ahead")
        self._coming: deque[Future[bytes]] = deque()

    def following(self) -> bytes:
        """The next bytes; none at the end."""
        while len(self._coming) <= _CHUNKS:
            self._coming.append(self._pool.submit(self._source.read, CHUNK))
        return self._coming.popleft().result()
