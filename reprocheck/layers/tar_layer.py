"""A layer that is a tar: one that can be seeked, or one that is compressed and comes by as a stream."""

from __future__ import annotations

import errno
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Protocol

from reprocheck.layers.blob import CHUNK, Reader
from reprocheck.layers.builder import IndexBuilder
from reprocheck.layers.contents import one_by_one
from reprocheck.layers.entry import ROOT, SPARSE, Entry
from reprocheck.layers.index import LayerIndex
from reprocheck.layers.problem import Problem
from reprocheck.layers.room import Room
from reprocheck.layers.tar import Sampler, Seekable, Wanted, walk, walk_stream


class ClosableReader(Reader, Protocol):
    """The uncompressed bytes of a layer, from the first one on."""

    def close(self) -> None:
        """Give up what it holds."""
        ...


class _Watched:
    """A stream that is not asked again once it has failed."""

    def __init__(self, stream: Reader) -> None:
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

    def fetch(self, wanted: Iterable[tuple[bytes, Entry]], sampled: Iterable[tuple[bytes, Entry]] = ()) -> None:
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
        reopen: Callable[[], ClosableReader],
        *,
        kept_file: int,
        room: Room,
        sampling: Callable[[], Sampler] | None = None,
        altered: bool = False,
    ) -> None:
        """``altered``: what is kept says all that is read of it, and is not what the files hold byte by byte."""
        self.index = index
        self._altered = frozenset(kept if altered else ())
        self.passes = 0
        """How often the stream was read."""
        self._sampling = sampling
        self._room = room
        self._kept: dict[int, bytes] = {}
        # In this order the first part of a file makes way first: without it, the file counts as not kept.
        for offset in sorted(kept):
            self._keep_if_it_fits(offset, kept[offset])
        self._starts = sorted(self._kept)
        self._reopen = reopen
        self._kept_file = kept_file
        self._broken: str | None = None

    @classmethod
    def open(
        cls,
        reopen: Callable[[], ClosableReader],
        wanted: Wanted,
        *,
        kept_file: int,
        room: Room,
        sampling: Callable[[], Sampler] | None = None,
        sampled: Wanted | None = None,
    ) -> StreamedLayer:
        """Read a stream to its end, and keep the contents that are wanted; of what is sampled, parts.

        ``sampling`` makes the sampler of one pass. ``room`` is what it shares with the other layers of its image;
        nothing makes way for what is kept here.

        What is wrong with the tar stands in the problems of the index. The rest of the stream is read even then, so
        that a reader that checks a digest comes to its end.

        Raises:
            OSError: the stream can't be opened.
        """
        builder = IndexBuilder()
        layer = cls(LayerIndex(ROOT, {}), {}, reopen, sampling=sampling, kept_file=kept_file, room=room)
        sample = sampling() if sampling else None

        def fits(name: bytes, size: int) -> bool:
            return size <= min(kept_file, room.left) and wanted(name, size)

        def parts(name: bytes, size: int, contents: Reader) -> Mapping[int, bytes]:
            return sample(name, size, contents) if sample and sampled and sampled(name, size) else {}

        with closing(reopen()) as opened:
            stream = _Watched(opened)
            for member in walk_stream(stream, builder.report, wanted=fits, keep=layer._keep_if_it_fits, sample=parts):
                builder.add(member)
            try:
                while not stream.broken and stream.read(CHUNK):
                    pass
            except OSError as error:
                reason = f"layer can't be read to its end: {error.strerror or error}"
                builder.report(Problem("", reason, lost=True))
        layer.index = builder.finish()
        layer.passes = 1
        layer._starts = sorted(layer._kept)
        return layer

    def _keep_if_it_fits(self, offset: int, piece: bytes) -> None:
        if len(piece) <= self._room.left:
            self._room.keep(self._kept, offset, piece)

    @property
    def root(self) -> Entry:
        """The root directory itself."""
        return self.index.root

    def reopened_by(self, reopen: Callable[[], ClosableReader]) -> None:
        """Where a stream that came by once can be had again; it was not read from there so far."""
        self._reopen = reopen
        self.passes = 0

    @property
    def kept(self) -> Mapping[int, bytes]:
        """Contents and parts of contents that need no pass, by their offset in the layer."""
        return self._kept

    def directory(self, path: bytes) -> Mapping[bytes, Entry]:
        """The entries of a directory in this layer alone."""
        return self.index.directory(path)

    def read(self, path: bytes, entry: Entry, start: int, length: int) -> bytes:
        """Bytes of a file's contents, fewer only at its end.

        Raises:
            OSError: it is no file, it is sparse, or these bytes are not there: never fetched, larger than what is
                kept, or not among the parts that were chosen (both EFBIG), or without room (ENOBUFS).
        """
        length = _readable(path, entry, start, length)
        if not length:
            return b""
        at = entry.offset + start
        for begin in (entry.offset, self._starts[bisect_right(self._starts, at) - 1] if self._starts else 0):
            piece = self._kept.get(begin, b"")
            if begin <= at and at + length <= begin + len(piece):
                return piece[at - begin : at - begin + length]
        if entry.offset in self._kept:
            raise OSError(errno.EFBIG, "these bytes of it were not kept", path)
        if entry.size > self._kept_file:
            raise OSError(errno.EFBIG, f"{entry.size} bytes, more than the {self._kept_file} that are kept", path)
        if self._broken is None and self._room.short:
            raise OSError(errno.ENOBUFS, f"more than the {self._room.size} bytes that an image's layers keep", path)
        raise OSError(errno.EIO, self._broken or "its contents were not kept", path)

    def fetch(self, wanted: Iterable[tuple[bytes, Entry]], sampled: Iterable[tuple[bytes, Entry]] = ()) -> None:
        """Keep the contents of more files, with one more pass if any of them is missing; reading says what failed."""
        missing: dict[int, tuple[int, bytes | None]] = {}
        for path, entry in sampled if self._sampling is not None else ():
            self._use(entry)
            if entry.type == "file" and entry.size and entry.offset not in self._kept:
                missing[entry.offset] = (entry.size, path)
        for _, entry in wanted:
            self._use(entry)
            if entry.type == "file" and 0 < entry.size <= self._kept_file and not self._is_whole(entry):
                missing[entry.offset] = (entry.size, None)
        missing.pop(SPARSE, None)
        if not missing:
            return
        self.passes += 1
        taken: dict[int, bytes] = {}
        try:
            with closing(self._reopen()) as stream:
                self._take(stream, sorted(missing.items()), taken)
                # A reader that checks a digest raises at its end: nothing is taken from a stream that is another one.
                while stream.read(CHUNK):
                    pass
        except OSError as error:
            self._broken = f"layer can't be read again: {error.strerror or error}"
        for offset, piece in taken.items():
            self._room.left += len(piece)
            self._room.keep(self._kept, offset, piece)
        self._starts = sorted(self._kept)

    def _use(self, entry: Entry) -> None:
        first, end = (bisect_left(self._starts, at) for at in (entry.offset, entry.offset + entry.size))
        for start in self._starts[first:end]:
            if start in self._kept:
                self._room.used(self._kept, start)

    def _is_whole(self, entry: Entry) -> bool:
        return len(self._kept.get(entry.offset, b"")) >= entry.size

    def _take(
        self, stream: ClosableReader, missing: list[tuple[int, tuple[int, bytes | None]]], taken: dict[int, bytes]
    ) -> None:
        """Take files from a stream: whole ones, and parts of those that have a name."""
        room = self._room
        sample = self._sampling() if self._sampling else None
        at = 0
        for offset, (size, sampled) in missing:
            if sampled is None and not room.clear(size):
                continue
            while at < offset and (passed := stream.read(min(offset - at, CHUNK))):
                at += len(passed)
            contents = _Contents(stream, size)
            if sampled is not None and sample is not None:
                parts = sample(sampled, size, contents)
            else:
                parts = {0: contents.whole()}
            at += size - contents.left
            if sampled is None and contents.left:
                raise OSError(errno.EIO, f"it ends at byte {at}")
            for start, part in parts.items():
                if not room.clear(len(part)):
                    break
                taken[offset + start] = part
                room.left -= len(part)

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
            if self._is_whole(entry) and entry.offset not in self._altered:
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
                while at < offset and (passed := stream.read(min(offset - at, CHUNK))):
                    at += len(passed)
                contents = _Contents(stream, size)
                while piece := contents.read(CHUNK):
                    yield offset, piece
                at += size - contents.left
                if contents.left:
                    raise OSError(errno.EIO, f"it ends at byte {at}")
            # A reader that checks a digest raises at its end: nothing is taken from a stream that is another one.
            while stream.read(CHUNK):
                pass


class _Contents:
    """The next bytes of a stream, so many and no more."""

    def __init__(self, stream: Reader, size: int) -> None:
        self._stream = stream
        self.left = size

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(min(size, self.left)) if self.left else b""
        self.left -= len(piece)
        return piece

    def whole(self) -> bytes:
        """All that the stream has of them."""
        return b"".join(iter(lambda: self.read(CHUNK), b""))


def _readable(path: bytes, entry: Entry, start: int, length: int) -> int:
    """How many bytes there are to read.

    Raises:
        OSError: it is no regular file, or one of which nothing is ever read.
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
