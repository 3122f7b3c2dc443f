"""What a layer is: directories with entries, some of which hide what lies below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

EntryType = Literal["file", "dir", "link", "other", "whiteout"]


SPARSE = -2
"""Offset of a file whose contents a tar has only in pieces, without the holes: they are not read."""


class Entry(Struct, frozen=True, gc=False, array_like=True):
    """One name in one directory of one layer."""

    type: EntryType
    """``other``: a device, FIFO or socket. ``whiteout``: there is nothing of this name, in the layers below neither."""
    mode: int = 0
    """Permission bits."""
    size: int = 0
    """Bytes of a file's contents; 0 for all else."""
    mtime: int = 0
    """Seconds since the epoch."""
    link: bytes = b""
    """Target of a symbolic link, as it stands."""
    offset: int = -1
    """Where a file's contents begin in the uncompressed layer; -1 where they are found by name, ``SPARSE`` where
    they are stored in pieces."""
    opaque: bool = False
    """A directory: what the layers below have in it is hidden."""


ROOT = Entry(type="dir", mode=0o755)


def joined(path: bytes, name: bytes) -> bytes:
    """The path of a name in a directory. Paths have no leading slash; the root is ``b""``."""
    return path + b"/" + name if path else name


class Layer(Protocol):
    """One layer. Paths have no leading slash; the root is ``b""``."""

    streamed: bool
    """Whether it comes by as a whole, again for whatever was not kept of it; else each file can be read on its own."""

    @property
    def root(self) -> Entry:
        """The root directory itself."""
        ...

    def directory(self, path: bytes) -> Mapping[bytes, Entry]:
        """The entries of a directory in this layer alone, by name; empty where it has no such directory.

        Raises:
            OSError: the directory can't be read.
        """
        ...

    def read(self, path: bytes, entry: Entry, start: int, length: int) -> bytes:
        """Bytes of a file's contents, fewer only at its end.

        Raises:
            OSError: they can't be read.
        """
        ...

    def fetch(self, wanted: Iterable[tuple[bytes, Entry]], sampled: Iterable[tuple[bytes, Entry]] = ()) -> None:
        """Make ready what will be read: a compressed layer passes over its stream once for all of them.

        Of the ``sampled`` ones only the parts that its sampler chooses.
        """
        ...

    def contents(self, wanted: Sequence[tuple[bytes, Entry]]) -> Iterator[tuple[int, bytes]]:
        """The contents of files in pieces, each with the position of its file in ``wanted``; no file is ever held.

        A streamed layer passes over its stream once for all of them, in its own order. Of a file that can't be read
        there are fewer bytes than its size.

        Raises:
            OSError: the stream can't be read, or is another one by now: nothing that was given counts.
        """
        ...
