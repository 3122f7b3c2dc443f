"""Bytes of a blob: addressed in place, or read in order.

A blob is a layer, manifest or configuration as it is stored (OCI image layout, ``blobs``). What can't be
read raises :class:`OSError`, whatever it is stored in.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Protocol

CHUNK = 1 << 20
"""Bytes that are held at a time, at most, on the way of a stream."""


class BlobError(OSError):
    """The contents of a blob are not what they should be: cut, corrupt, or packed in a way that is not read."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EBADMSG, message)

    def __str__(self) -> str:
        return str(self.strerror)


class Reader(Protocol):
    """Bytes in order."""

    def read(self, length: int, /) -> bytes:
        """At least one byte and at most ``length`` of them; none only at the end.

        Raises:
            OSError: they can't be read.
        """
        ...


class Source(Protocol):
    """Where a window looks into."""

    def pread(self, length: int, offset: int, /) -> bytes:
        """Bytes at an offset: at least one and at most ``length`` of them; none only at the end."""
        ...


class OpenFile:
    """A file that stands open; whoever opened it closes it."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def pread(self, length: int, offset: int, /) -> bytes:
        """Bytes from an offset on."""
        return os.pread(self._descriptor, length, offset)


class ReopenedFile:
    """A file that is opened for each read: there may be more of its kind than a process may hold open."""

    __slots__ = ("_open",)

    def __init__(self, opener: Callable[[], int]) -> None:
        self._open = opener

    def pread(self, length: int, offset: int, /) -> bytes:
        """Bytes from an offset on."""
        descriptor = self._open()
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)


class Held:
    """Bytes that are in memory already."""

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        self._content = content

    def pread(self, length: int, offset: int, /) -> bytes:
        """Bytes from an offset on."""
        return self._content[offset : offset + length]


class Window:
    """A range of a source that is read at any place, by any number of threads."""

    __slots__ = ("_source", "_start", "size")

    def __init__(self, source: Source, start: int, size: int) -> None:
        if start < 0 or size < 0:
            raise ValueError(f"no range: {size} bytes at {start}")
        self._source = source
        self._start = start
        self.size = size
        """Length in bytes."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from an offset on, fewer only at the window's end.

        Raises:
            OSError: they can't be read, or the source ends before the window does.
        """
        if offset < 0 or length < 0:
            raise ValueError(f"no range: {length} bytes at {offset}")
        wanted = min(length, self.size - offset)
        if wanted <= 0:
            return b""
        pieces = []
        at = self._start + offset
        while wanted:
            piece = self._source.pread(wanted, at)
            if not piece:
                raise BlobError(f"ends at byte {at}, {wanted} bytes early; was it cut while it was read?")
            pieces.append(piece)
            at += len(piece)
            wanted -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def sub(self, offset: int, length: int) -> Window:
        """A window of a part of this one.

        Raises:
            ValueError: the part does not lie inside.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"{length} bytes at {offset} do not lie inside of {self.size}")
        return Window(self._source, self._start + offset, length)

    def reader(self) -> Reader:
        """Read it from its beginning."""
        return _InOrder(self)


class _InOrder:
    """A window from its beginning to its end."""

    __slots__ = ("_at", "_window")

    def __init__(self, window: Window) -> None:
        self._window = window
        self._at = 0

    def read(self, length: int, /) -> bytes:
        """The next bytes."""
        piece = self._window.read_at(self._at, min(length, CHUNK))
        self._at += len(piece)
        return piece


class Pieces:
    """A reader of what comes in pieces of any size."""

    __slots__ = ("_at", "_next", "_piece")

    def __init__(self, following: Callable[[], bytes]) -> None:
        self._next = following
        self._piece = b""
        self._at = 0

    def read(self, length: int, /) -> bytes:
        """At least one byte and at most ``length`` of them; none only at the end."""
        if self._at == len(self._piece):
            self._piece, self._at = self._next(), 0
        if self._at == 0 and length >= len(self._piece):
            whole, self._piece = self._piece, b""
            return whole
        part = self._piece[self._at : self._at + length]
        self._at += len(part)
        return part

    def close(self) -> None:
        """Give up what it holds, and whatever it reads from."""
        self._piece, self._at = b"", 0
        self._next = _closed


def _closed() -> bytes:
    raise ValueError("read of a closed reader")


def drain(reader: Reader) -> None:
    """Read to the end and keep nothing: what looks at the bytes as they go by sees all of them.

    Raises:
        OSError: they can't be read.
    """
    while reader.read(CHUNK):
        pass
