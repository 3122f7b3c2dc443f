"""Reading in a thread of its own: reading, hashing and unpacking let the interpreter's lock go."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread

from reprocheck.layers.blob import CHUNK, Pieces, Reader

_CHUNKS = 2
"""Chunks that are read before anybody asks for them."""
_FREED = 4 * CHUNK


def ahead(source: Reader) -> Pieces:
    """Read a source a little ahead of whoever reads it.

    What the source raises comes where the bytes would have come. The thread ends when the reader is closed or
    dropped.
    """
    # glibc gives a chunk's memory back to the system and has it zeroed again for the next one, until something larger
    # was freed (mallopt(3), M_MMAP_THRESHOLD); it need not have been written to.
    bytes(_FREED)
    return Pieces(_Ahead(source).following)


class _Ahead:
    def __init__(self, source: Reader) -> None:
        self._room: SimpleQueue[bool] = SimpleQueue()
        self._coming: SimpleQueue[bytes | BaseException] = SimpleQueue()
        for _ in range(_CHUNKS):
            self._room.put(True)
        # The interpreter does not wait for it at its end: whoever was interrupted may hold the reader until then.
        Thread(target=_reading, args=(source, self._room, self._coming), name="reprocheck-ahead", daemon=True).start()

    def following(self) -> bytes:
        """The next bytes; none at the end."""
        self._room.put(True)
        piece = self._coming.get()
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def __del__(self) -> None:
        self._room.put(False)


def _reading(source: Reader, room: SimpleQueue[bool], coming: SimpleQueue[bytes | BaseException]) -> None:
    """Knows nothing of the reader, which could not be dropped otherwise."""
    while room.get():
        try:
            coming.put(source.read(CHUNK))
        except BaseException as error:  # noqa: BLE001, PERF203 - raised again by the reader
            coming.put(error)
