"""Which files of a compressed layer are kept as they come by: all that extractors are known to ask for.

Others cost one more pass over the layer, so this is a matter of speed and not of facts. Of shared objects, which may
be of a gigabyte, the few ranges are kept that the probe's reader of ELF files asks for: it reads them as they come by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from mmap import mmap

from reprocheck.layers.blob import Reader
from reprocheck.layers.index import LayerIndex
from reprocheck.layers.room import Room
from reprocheck.layers.tar_layer import ClosableReader, StreamedLayer
from reprocheck.probe import collect, urls

FILE_LIMIT = 48 << 20
"""Bytes of one file that are kept: an interpreter's library with its symbols has 32 MiB, rpm's database of an image
with 500 packages more. While it is read, four times as many are held."""
ALL_LIMIT = 96 << 20
"""Bytes that are kept of all layers of one image: a layer with a distribution of conda or CUDA has some 25 MiB."""
HELD = 64 << 20
"""Bytes of a shared object, from its start on, that are held until it is known which of them count."""
SCRIPT_LIMIT = 16 << 10
"""Bytes of a script that is kept; it is needed where its size is not the recorded one."""

_IN_FOLDERS = re.compile(
    rb"(?:^|/)(?:"
    rb"[^/]*[.-]dist-info/(?:METADATA|WHEEL|INSTALLER|REQUESTED|RECORD|direct_url\.json)"
    rb"|(?:[^/]*[.-]egg-info|EGG-INFO)/(?:PKG-INFO|requires\.txt)"
    rb"|conda-meta/[^/]+\.json|(?:dpkg/status\.d|ld\.so\.conf\.d)/[^/]+"
    rb")$",
    re.IGNORECASE,
)
_BY_NAME = re.compile(
    rb"(?:^|/)(?:"
    rb"pyvenv\.cfg|os-release|etc/passwd|ld\.so\.(?:conf|cache)"
    rb"|[^/]*\.(?:pth|egg-link|egg-info)"
    rb"|(?:(?:python|pypy)\d\.\d+t?|lib-python/3)/site\.py"
    rb"|(?:python|pypy)[23]?(?:\.\d+)?t?|libpython3[^/]*\.so[^/]*|libc[.-][^/]*so[^/]*|ld-musl-[^/]*"
    rb"|tensorflow/python/platform/build_info\.py|torch/version\.py"
    rb"|cuda[^/]*/version\.(?:json|txt)|cudnn_version\.h|nccl\.h|NvInferVersion\.h|cuda_runtime_api\.h"
    rb"|dpkg/info/[^/]+\.(?:md5sums|list|conffiles)|dpkg/diversions|dpkg/dpkg\.cfg|dpkg/dpkg\.cfg\.d/[^/]+"
    rb"|dpkg/status|apk/db/installed|rpm/(?:Packages(?:\.db)?|rpmdb\.sqlite(?:-wal)?)"
    rb")$"
)
_SCRIPT = re.compile(rb"(?:^|/)bin/[^/]+$")
_SAMPLED = re.compile(rb"(?:^|/)(?:[^/]+\.so(?:\.[^/]*)?|(?:python|pypy)[23]?(?:\.\d+)?t?)$")


def room() -> Room:
    """What the layers of one image share."""
    return Room(ALL_LIMIT)


def as_it_comes_by(opened: Callable[[], ClosableReader], room: Room) -> StreamedLayer:
    """A layer that is read from its stream.

    Raises:
        OSError: the stream can't be opened.
    """
    return StreamedLayer.open(opened, wanted, sampling=Sampling, sampled=sampled, kept_file=FILE_LIMIT, room=room)


def known(
    index: LayerIndex,
    kept: Mapping[int, bytes],
    opened: Callable[[], ClosableReader],
    room: Room,
    *,
    altered: bool = False,
) -> StreamedLayer:
    """A layer that was read before; ``altered``: and of which what is kept was made harmless since."""
    return StreamedLayer(index, kept, opened, sampling=Sampling, kept_file=FILE_LIMIT, room=room, altered=altered)


def wanted(name: bytes, size: int) -> bool:
    """Whether to keep a file, by its name in the layer."""
    if size <= SCRIPT_LIMIT and is_script(name):
        return True
    return size <= FILE_LIMIT and (_IN_FOLDERS.search(name) or _BY_NAME.search(name)) is not None


def is_script(name: bytes) -> bool:
    """Whether it is kept for its first line alone, if it is not a program."""
    return _SCRIPT.search(name) is not None and _BY_NAME.search(name) is None


def sampled(name: bytes, _size: int) -> bool:
    """Whether to keep the ranges that tell the dynamic linker something, by a file's name in the layer."""
    return _SAMPLED.search(name) is not None


class Sampling:
    """What the probe's reader asks for of the ELF files that come by in one pass, by offset.

    What it goes back to and is held no more is left out: reading it fails then, and is a gap.
    """

    def __init__(self) -> None:
        # One for all files: to get and give back so much memory for each takes longer than to copy into it.
        self._first = mmap(-1, HELD)

    def __call__(self, _name: bytes, size: int, contents: Reader) -> Mapping[int, bytes]:
        """The parts of one file."""
        file = _ComingBy(size, contents, self._first)
        with suppress(_GoneBy):
            collect.Elf(file.read)
        return file.asked()


class _GoneBy(Exception):  # noqa: N818 - never leaves this module
    """Bytes that are not held."""


class _ComingBy:
    """A file that is read at offsets while it comes by: its first bytes are held, of the others what is asked for."""

    def __init__(self, size: int, contents: Reader, first: mmap) -> None:
        self._size = size
        self._contents = contents
        self._at = 0
        self._first = first
        self._later: list[tuple[int, bytes]] = []
        self._asked: list[tuple[int, int]] = []

    def read(self, length: int, at: int) -> bytes:
        """Bytes from an offset on, fewer only at the end.

        Raises:
            OSError: the stream is broken.
        """
        end = min(at + length, self._size)
        if at >= end:
            return b""
        self._come_to(at, end)
        found = self._held(at, end)
        self._asked.append((at, end))
        return found

    def asked(self) -> Mapping[int, bytes]:
        """What was read, each byte once."""
        ranges: list[tuple[int, int]] = []
        for at, end in sorted(self._asked):
            if ranges and at <= ranges[-1][1]:
                ranges[-1] = ranges[-1][0], max(end, ranges[-1][1])
            else:
                ranges.append((at, end))
        return {at: _harmless(self._held(at, end)) for at, end in ranges}

    def _come_to(self, at: int, end: int) -> None:
        held = len(self._first)
        while self._at < end:
            if self._at < held:
                piece = self._contents.read(held - self._at)
                self._first[self._at : self._at + len(piece)] = piece
            elif self._at < at:
                piece = self._contents.read(at - self._at)
            else:
                piece = b"".join(self._next(end - self._at))
                self._later.append((self._at, piece))
            if not piece:
                return
            self._at += len(piece)

    def _next(self, length: int) -> Iterator[bytes]:
        while length and (piece := self._contents.read(length)):
            yield piece
            length -= len(piece)

    def _held(self, at: int, end: int) -> bytes:
        found = self._first[at : min(end, self._at)]
        for start, piece in self._later:
            next_one = at + len(found)
            if start <= next_one < start + len(piece):
                found += piece[next_one - start : end - start]
        if at + len(found) < end:
            raise _GoneBy
        return found


def _harmless(raw: bytes) -> bytes:
    """Bytes without credentials, in as many bytes: with a NUL byte they count as no text."""
    scrubbed: bytes = urls.scrub(raw + b"\0")
    return scrubbed[:-1]
