"""A layer that is a tar: one that can be seeked, or one that is compressed and comes by as a stream."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Protocol

from reprocheck.layers.builder import IndexBuilder
from reprocheck.layers.contents import one_by_one
from reprocheck.layers.entry import SPARSE, Entry
from reprocheck.layers.index import LayerIndex
from reprocheck.layers.problem import Problem
from reprocheck.layers.tar import Seekable, Stream, Wanted, walk, walk_stream

KEPT_FILE = 16 << 20
"""Bytes of one file that are kept of a stream."""
KEPT_ALL = 128 << 20
"""Bytes that are kept of one stream in all."""
_CHUNK = 1 << 18


class Reader(Stream, Protocol):
    """The uncompressed bytes of a layer, from the first one on."""

    def close(self) -> None:
        """Give up what it holds."""
        ...


class _Watched:
    """A stream that is not asked again once it has failed."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.broken = False

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(size)
        except OSError:
            self.broken = True
            raise


class PlainLayer:
    """A layer whose contents are read where they are."""

    streamed = False

    def __init__(self, source: Seekable, index: LayerIndex) -> None:
        self.index = index
        self._source = source

    @classmethod
    def open(cls, source: Seekable) -> PlainLayer:
        """Walk a tar. What is wrong with it stands in the problems of the index."""
        builder = IndexBuilder()
        for member in walk(source, builder.report):
            builder.add(member)
        return cls(source, builder.finish())

    @property
    def root(self) -> Entry:
        """The root directory itself."""
        return self.index.root

    def directory(self, path: bytes) -> Mapping[bytes, Entry]:
        """The entries of a directory in this layer alone."""
        return self.index.directory(path)

    def read(self, path: bytes, entry: Entry, start: int, length: int) -> bytes:
        """Bytes of a file's contents, fewer only at its end.

        Raises:
            OSError: it is no file, it is sparse, or its bytes can't be read.
        """
        length = _readable(path, entry, start, length)
        found = self._source.read_at(entry.offset + start, length) if length else b""
        if len(found) < length:
            raise OSError(errno.EIO, "the layer ends within the file", path)
        return found

    def fetch(self, wanted: Iterable[tuple[bytes, Entry]]) -> None:
        """Nothing has to be made ready."""

    def contents(self, wanted: Sequence[tuple[bytes, Entry]]) -> Iterator[tuple[int, bytes]]:
        """The contents of files in pieces, each with the position of its file."""
        return one_by_one(self, wanted)


class StreamedLayer:
    """A layer whose contents were kept as they came by; others cost one more pass over the stream."""

    streamed = True

    def __init__(
        self,
        index: LayerIndex,
        kept: Mapping[int, bytes],
        reopen: Callable[[], Reader],
        *,
        kept_file: int = KEPT_FILE,
        kept_all: int = KEPT_ALL,
    ) -> None:
        self.index = index
        self.passes = 0
        """How often the stream was read."""
        self._kept = dict(kept)
        self._held = sum(map(len, self._kept.values()))
        self._reopen = reopen
        self._kept_file = kept_file
        self._kept_all = kept_all
        self._broken: str | None = None

    @classmethod
    def open(
        cls,
        reopen: Callable[[], Reader],
        wanted: Wanted,
        *,
        kept_file: int = KEPT_FILE,
        kept_all: int = KEPT_ALL,
    ) -> StreamedLayer:
        """Read a stream to its end, and keep the contents that are wanted.

        What is wrong with the tar stands in the problems of the index. The rest of the stream is read even then, so
        that a reader that checks a digest comes to its end.

        Raises:
            OSError: the stream can't be opened.
        """
        builder = IndexBuilder()
        kept: dict[int, bytes] = {}
        room = kept_all

        def fits(name: bytes, size: int) -> bool:
            return size <= min(kept_file, room) and wanted(name, size)

        def keep(offset: int, contents: bytes) -> None:
            nonlocal room
            kept[offset] = contents
            room -= len(contents)

        with closing(reopen()) as opened:
            stream = _Watched(opened)
            for member in walk_stream(stream, builder.report, wanted=fits, keep=keep):
                builder.add(member)
            try:
                while not stream.broken and stream.read(_CHUNK):
                    pass
            except OSError as error:
                reason = f"layer can't be read to its end: {error.strerror or error}"
                builder.report(Problem("", reason, lost=True))
        layer = cls(builder.finish(), kept, reopen, kept_file=kept_file, kept_all=kept_all)
        layer.passes = 1
        return layer

    @property
    def root(self) -> Entry:
        """The root directory itself."""
        return self.index.root

    @property
    def kept(self) -> Mapping[int, bytes]:
        """Contents that need no pass, by their offset."""
        return self._kept

    def directory(self, path: bytes) -> Mapping[bytes, Entry]:
        """The entries of a directory in this layer alone."""
        return self.index.directory(path)

    def read(self, path: bytes, entry: Entry, start: int, length: int) -> bytes:
        """Bytes of a file's contents, fewer only at its end.

        Raises:
            OSError: it is no file, it is sparse, or its contents are not there: never fetched, or larger than what is
                kept (EFBIG).
        """
        length = _readable(path, entry, start, length)
        if not length:
            return b""
        contents = self._kept.get(entry.offset)
        if contents is not None:
            return contents[start : start + length]
        if entry.size > self._kept_file:
            raise OSError(errno.EFBIG, f"{entry.size} bytes, more than the {self._kept_file} that are kept", path)
        raise OSError(errno.EIO, self._broken or "its contents were not kept", path)

    def fetch(self, wanted: Iterable[tuple[bytes, Entry]]) -> None:
        """Keep the contents of more files, with one more pass if any of them is missing; reading says what failed."""
        sizes = {
            entry.offset: entry.size
            for _, entry in wanted
            if entry.type == "file" and 0 < entry.size <= self._kept_file and entry.offset not in self._kept
        }
        sizes.pop(SPARSE, None)
        room = self._kept_all - self._held
        fitting = []
        for offset, size in sorted(sizes.items()):
            if size > room:
                self._broken = f"more than the {self._kept_all} bytes that are kept of a layer"
                continue
            fitting.append((offset, size))
            room -= size
        taken: dict[int, bytearray] = {}
        try:
            for offset, piece in self._pass(fitting):
                taken.setdefault(offset, bytearray()).extend(piece)
        except OSError as error:
            self._broken = f"layer can't be read again: {error.strerror or error}"
        for offset, size in fitting:
            if len(contents := taken.pop(offset, b"")) == size:
                self._kept[offset] = bytes(contents)
                self._held += size

    def contents(self, wanted: Sequence[tuple[bytes, Entry]]) -> Iterator[tuple[int, bytes]]:
        """The contents of files in pieces, each with the position of its file; one more pass for those not kept.

        Raises:
            OSError: the stream can't be read again.
        """
        sizes: dict[int, int] = {}
        numbers: dict[int, list[int]] = {}
        for number, (_, entry) in enumerate(wanted):
            if entry.type != "file" or not entry.size or entry.offset == SPARSE:
                continue
            if entry.offset in self._kept:
                yield number, self._kept[entry.offset]
            else:
                sizes[entry.offset] = entry.size
                numbers.setdefault(entry.offset, []).append(number)
        for offset, piece in self._pass(sorted(sizes.items())):
            for number in numbers[offset]:
                yield number, piece

    def _pass(self, wanted: Sequence[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
        """Pieces of what stands at these offsets, each of a size, in one more pass over the stream.

        Raises:
            OSError: it can't be read again, or ends early.
        """
        if not wanted:
            return
        self.passes += 1
        with closing(self._reopen()) as stream:
            at = 0
            for offset, size in wanted:
                while at < offset and (passed := stream.read(min(offset - at, _CHUNK))):
                    at += len(passed)
                end = offset + size
                while at < end and (piece := stream.read(min(end - at, _CHUNK))):
                    at += len(piece)
                    yield offset, piece
                if at < end:
                    raise OSError(errno.EIO, f"it ends at byte {at}")
            # A reader that checks a digest raises at its end: nothing is taken from a stream that is another one.
            while stream.read(_CHUNK):
                pass


def _readable(path: bytes, entry: Entry, start: int, length: int) -> int:
    """How many bytes there are to read.

    Raises:
        OSError: none, ever.
    """
    if entry.type != "file":
        code = errno.EISDIR if entry.type == "dir" else errno.EINVAL
        raise OSError(code, os.strerror(code) if entry.type == "dir" else "not a regular file", path)
    if start < 0 or length < 0:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    length = max(0, min(length, entry.size - start))
    if length and entry.offset == SPARSE:
        raise OSError(errno.ENODATA, "stored as a sparse file, which is not read", path)
    return length
