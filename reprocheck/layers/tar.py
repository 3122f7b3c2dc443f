"""Headers of a tar archive: ustar and pax (POSIX.1-2017, pax, "EXTENDED DESCRIPTION"), GNU tar ("Basic Tar Format").

One parser for two kinds of source: a part of a file, walked by seeking from header to header and never read
through, and a stream that comes by once. Every checksum, size and bound is checked. Where writers and
specifications leave a choice, it is made as Go's archive/tar makes it: container engines unpack with that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from struct import Struct as Layout
from typing import Protocol
from zlib import adler32

from msgspec import Struct

from reprocheck.layers.blob import CHUNK, Reader
from reprocheck.layers.problem import Problem, shown

MEMBERS = 2_000_000
"""Members that are read of one archive."""
BLOCK = 512
_EXTENSION_MOST = 1 << 20
"""Bytes of a pax header or of a long name: as many as Go's archive/tar takes."""
_AHEAD = 16384
"""Bytes that are read at a header: small files and the headers behind them come along."""
_CACHED = 4096
_SIZE_LIMIT = 1 << 63
_HEADER = Layout("100s8s16x12s12s8sc100s8s80x155s12x")
_ZERO = bytes(BLOCK)
_SPACES = 8 * 0x20
"""The checksum is taken as if its own eight bytes were spaces."""
_LOW = 0xFFFF
_POSIX = b"ustar\x0000"
_WITH_DEVICES = (b"ustar\x00", b"ustar  \x00")
_DEVICE = (slice(329, 337), slice(337, 345))
WHITEOUT = b"3 0/0"
"""In place of the type flag ``3``: a character device 0/0, which the overlay file system takes for a whiteout."""
_STAR_MARK, _STAR_PREFIX = 508, 131
"""star keeps times in the last bytes of the prefix, and says so at the end of the header."""
_PERMISSIONS = 0o7777
_SPARSE_MORE, _SPARSE_SIZE, _SPARSE_NEXT = 482, slice(483, 495), 504
_CONTENT = frozenset({b"0", b"\x00", b"7", b"S"})
_BARE = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
"""Types that have no contents, whatever their size field says."""
_EXTENSIONS = frozenset({b"x", b"g", b"L", b"K"})
_PLAIN_SIZE = re.compile(rb"[0-7]{11}[ \0]").match
_OCTAL = re.compile(rb"[ \0]*([0-7]*)(?:[ \0]|\Z)")
_RECORD = re.compile(rb"([0-9]{1,7}) ")
_TIME = re.compile(rb"(-?[0-9]{1,18})(?:\.[0-9]*)?")
_CHANGING = frozenset({b"path", b"linkpath", b"size", b"mtime"})
_ATTRIBUTE = b"SCHILY.xattr."
_MARKS = frozenset(
    _ATTRIBUTE + space + b".overlay." + name
    for space in (b"trusted", b"user")
    for name in (b"opaque", b"redirect", b"metacopy", b"whiteout")
)


class Member(Struct, frozen=True, gc=False):
    """One member of an archive, with what pax and GNU headers before it say."""

    name: bytes
    kind: bytes
    """Type flag: ``0`` for every kind of regular file, ``1`` to ``6`` as in POSIX, ``5`` for a directory of any age,
    ``WHITEOUT`` for one kind of device, all else as it stands."""
    mode: int
    """Permission bits."""
    size: int
    """Bytes of a regular file; of a sparse one when it is expanded."""
    mtime: int
    """Seconds since the epoch."""
    link: bytes
    """Target of a hard or symbolic link, as it stands."""
    offset: int
    """Where the contents begin in the archive."""
    sparse: bool
    """The contents are stored in pieces, with holes left out."""
    marks: tuple[bytes, ...] = ()
    """Names of extended attributes by which the overlay file system hides, moves or joins what lies below."""


Report = Callable[[Problem], None]
Wanted = Callable[[bytes, int], bool]
"""Whether to keep the contents of a regular file, by its name in the archive and its size."""
_NO_PARTS: Mapping[int, bytes] = {}


class Seekable(Protocol):
    """Bytes that can be read anywhere."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from an offset on, fewer only at the end.

        Raises:
            OSError: they can't be read.
        """
        ...


Sampler = Callable[[bytes, int, Reader], Mapping[int, bytes]]
"""Chooses parts of a regular file as its contents come by, given its name in the archive, its size, and a stream of
no more; each part by its offset in the file. It need not read on to the end."""


def walk(source: Seekable, report: Report, *, limit: int = MEMBERS) -> Iterator[Member]:
    """The members of an archive that can be seeked, in order; contents are passed over.

    What is wrong is reported: a note, or, with ``lost``, what ended the walk early.
    """
    return _members(_Seeking(source), report, limit)


def walk_stream(
    stream: Reader,
    report: Report,
    *,
    wanted: Wanted,
    keep: Callable[[int, bytes], None],
    sample: Sampler | None = None,
) -> Iterator[Member]:
    """The members of an archive that comes by once, in order; ``keep`` is given the contents that are ``wanted``.

    Of all other files it is given the parts that ``sample`` chooses. A member is given after its contents have gone
    by, so that the same ones are given as by :func:`walk`.
    """
    return _members(_Passing(stream, wanted, keep, sample or _no_parts), report, MEMBERS)


Visitor = Callable[[bytes, int, Reader], None]
"""Is given the contents of a regular file as they come by: name in the archive, size, and a stream of no more."""


def walk_visiting(stream: Reader, report: Report, visit: Visitor, *, limit: int = MEMBERS) -> Iterator[Member]:
    """The members of an archive that comes by once, each after ``visit`` has had its contents.

    What the visitor leaves is passed over; an ``OSError`` that it raises ends the walk.
    """
    return _members(_Visiting(stream, visit), report, limit)


class _Violation(Exception):  # noqa: N818 - never leaves this module
    """The archive is not one from here on."""

    def __init__(self, reason: str, *, where: str) -> None:
        super().__init__(reason)
        self.problem = Problem(where, reason, lost=True)


class _Cursor(Protocol):
    """What the parser asks of a source, at offsets that never go back."""

    sure: int
    """Contents that end before are known to be there."""

    def ahead(self, offset: int) -> bytes:
        """Bytes from an offset on, at least a block unless the source ends."""
        ...

    def take(self, offset: int, length: int) -> bytes:
        """Bytes from an offset on, fewer only at the end."""
        ...

    def passes(self, name: bytes, offset: int, length: int) -> bool:
        """Pass over the contents of a regular file or of nothing that is kept (an empty name): are they all there?"""
        ...

    def end(self) -> int:
        """Where the source ends, once it has ended."""
        ...


class _Seeking:
    def __init__(self, source: Seekable) -> None:
        self._source = source
        self.sure = source.size

    def ahead(self, offset: int) -> bytes:
        return self._source.read_at(offset, _AHEAD)

    def take(self, offset: int, length: int) -> bytes:
        return self._source.read_at(offset, length)

    def passes(self, name: bytes, offset: int, length: int) -> bool:  # noqa: ARG002 - the shape of a cursor
        return offset + length <= self.sure

    def end(self) -> int:
        return self.sure


class _Passing:
    def __init__(self, stream: Reader, wanted: Wanted, keep: Callable[[int, bytes], None], sample: Sampler) -> None:
        self._stream = stream
        self._wanted = wanted
        self._keep = keep
        self._sample = sample
        self._data = b""
        self._base = 0
        self.sure = 0

    def ahead(self, offset: int) -> bytes:
        self._pass(offset)
        data = self._data[offset - self._base :]
        while len(data) < BLOCK and (more := self._stream.read(CHUNK)):
            data += more
        self._base, self._data = min(offset, self.end()), data
        return data

    def take(self, offset: int, length: int) -> bytes:
        self._pass(offset)
        pieces = []
        start = offset - self._base
        while length:
            piece = self._data[start : start + length]
            pieces.append(piece)
            length -= len(piece)
            start += len(piece)
            if length:
                if not self._next():
                    break
                start = 0
        return b"".join(pieces)

    def piece(self, offset: int, length: int) -> bytes:
        """What is at hand of some bytes, at least one of them; none at the end."""
        if not length or not self._pass(offset) or (self.end() == offset and not self._next()):
            return b""
        start = offset - self._base
        return self._data[start : start + length]

    def passes(self, name: bytes, offset: int, length: int) -> bool:
        if name and length:
            if self._wanted(name, length):
                contents = self.take(offset, length)
                if len(contents) < length:
                    return False
                self._keep(offset, contents)
                return True
            for at, part in self._sample(name, length, _Contents(self, offset, length)).items():
                self._keep(offset + at, part)
        return self._pass(offset + length)

    def end(self) -> int:
        return self._base + len(self._data)

    def _pass(self, offset: int) -> bool:
        """Hold the piece that an offset is in, or ends."""
        while self.end() < offset:
            if not self._next():
                return False
        return True

    def _next(self) -> bool:
        more = self._stream.read(CHUNK)
        if more:
            self._base, self._data = self.end(), more
        return bool(more)


class _Visiting(_Passing):
    def __init__(self, stream: Reader, visit: Visitor) -> None:
        super().__init__(stream, lambda _name, _size: False, lambda _offset, _contents: None, _no_parts)
        self._visit = visit

    def passes(self, name: bytes, offset: int, length: int) -> bool:
        if name:
            self._visit(name, length, _Contents(self, offset, length))
        return self._pass(offset + length)


def _no_parts(_name: bytes, _size: int, _contents: Reader) -> Mapping[int, bytes]:
    return _NO_PARTS


class _Contents:
    """The contents of one member, as they come by."""

    def __init__(self, cursor: _Passing, offset: int, length: int) -> None:
        self._cursor = cursor
        self._at = offset
        self._end = offset + length

    def read(self, size: int, /) -> bytes:
        piece = self._cursor.piece(self._at, min(size, self._end - self._at))
        self._at += len(piece)
        return piece


class _Extra(Struct):
    """What headers before a member say of it."""

    pax: dict[bytes, bytes]
    name: bytes = b""
    link: bytes = b""


def _members(  # noqa: C901, PLR0912, PLR0915 - one loop, hardly a call a header: 44,000 of them in a fifth of a second
    cursor: _Cursor, report: Report, limit: int
) -> Iterator[Member]:
    data, base, offset, count = b"", 0, 0, 0
    extra: _Extra | None = None
    marks: tuple[bytes, ...]
    numbers: dict[bytes, int] = {}
    sure, unpack = cursor.sure, _HEADER.unpack_from
    try:
        while True:
            at = offset - base
            if at + BLOCK > len(data):
                data, base, at = cursor.ahead(offset), offset, 0
                if len(data) < BLOCK:
                    _ended(cursor, data, offset, report)
                    return
            name, mode_field, size_field, time_field, sum_field, kind, link, magic, prefix = unpack(data, at)
            block = data[at : at + BLOCK]
            # The sum of 512 ASCII characters is 65024 at most; Adler-32 has it in its low half, modulo 65521, plus 1.
            total = (adler32(block) & _LOW) - (adler32(sum_field) & _LOW) + _SPACES
            # As POSIX spells it; other spellings are for the slow way.
            if b"%06o\x00 " % total != sum_field or not block.isascii():
                if block == _ZERO:
                    _stopped(cursor, offset, report)
                    return
                _check_sum(block, sum_field, offset)
            contents = offset + BLOCK
            size = int(size_field[:11], 8) if _PLAIN_SIZE(size_field) else _size(size_field, offset)
            if kind in _EXTENSIONS:
                extra = _extended(cursor, extra, kind, size, contents, report)
                offset = contents + (size + BLOCK - 1) // BLOCK * BLOCK
                continue
            try:
                mode, mtime = numbers[mode_field], numbers[time_field]
            except KeyError:
                if len(numbers) > _CACHED:
                    numbers.clear()
                mode = numbers[mode_field] = _number(mode_field, offset) & _PERMISSIONS
                mtime = numbers[time_field] = _number(time_field, offset)
            name = name.partition(b"\x00")[0]
            if prefix[0] and magic == _POSIX:
                star = data[at + _STAR_MARK : at + BLOCK] == b"tar\x00"
                name = prefix[: _STAR_PREFIX if star else None].partition(b"\x00")[0] + b"/" + name
            link = link.partition(b"\x00")[0] if link[0] else b""
            sparse, real, marks = False, -1, ()
            if kind == b"S":
                sparse, real = True, _size(data[at : at + BLOCK][_SPARSE_SIZE], offset)
                if data[at + _SPARSE_MORE]:
                    contents = _past_sparse_map(cursor, contents)
            if extra is not None:
                name, link = _text(extra, name, link)
                size, mtime = _numbers(extra, size, mtime, offset)
                if any(key.startswith(b"GNU.sparse.") for key in extra.pax):
                    sparse = True
                    real = _decimal(extra.pax, (b"GNU.sparse.realsize", b"GNU.sparse.size"), offset)
                marks = tuple(sorted(key[len(_ATTRIBUTE) :] for key in _MARKS & extra.pax.keys()))
                extra = None
            if kind in _BARE:
                size = 0
                if kind == b"3" and _is_0_0(block, offset):
                    kind = WHITEOUT
            elif kind in _CONTENT:
                # Before POSIX a directory was a file with a slash at the end of its name.
                kind = b"5" if kind == b"\x00" and name[-1:] == b"/" else b"0"
            elif kind == b"D":
                kind = b"5"  # GNU's directory with a list of names for contents
            end = contents + size
            if end > sure and not cursor.passes(b"" if sparse or kind != b"0" else name, contents, size):
                stop = cursor.end()
                reason = f"layer truncated at byte {stop}: the contents go on to byte {end}"
                report(Problem(shown(name), reason, lost=True))
                return
            if count == limit:
                reason = f"more than {limit} entries: what follows byte {offset} is not read"
                report(Problem(f"byte {offset}", reason, lost=True))
                return
            count += 1
            yield Member(name, kind, mode, size if real < 0 else real, mtime, link, contents, sparse, marks)
            offset = contents + (size + BLOCK - 1) // BLOCK * BLOCK
    except _Violation as violation:
        report(violation.problem)
    except OSError as error:
        where = f"byte {offset}"
        report(Problem(where, f"layer can't be read at byte {offset}: {error.strerror or error}", lost=True))


def _ended(cursor: _Cursor, data: bytes, offset: int, report: Report) -> None:
    """The source ends where a header would be: fine but for the two zero blocks, unless it is within one."""
    if any(data):
        stop = cursor.end()
        raise _Violation(f"layer truncated at byte {stop}: within a header", where=f"byte {offset}")
    report(Problem(f"byte {offset}", "the archive has no end mark (two zero blocks)", lost=False))


def _stopped(cursor: _Cursor, offset: int, report: Report) -> None:
    second = cursor.take(offset + BLOCK, BLOCK)
    if any(second):
        raise _Violation(f"a lone zero block at byte {offset}: what follows is not read", where=f"byte {offset}")
    if len(second) < BLOCK:
        report(Problem(f"byte {offset}", "the archive has half an end mark (one zero block of two)", lost=False))


def _check_sum(block: bytes, field: bytes, offset: int) -> None:
    found = _OCTAL.match(field)
    stated = int(found[1] or b"0", 8) if found else -1
    rest = block[:148] + block[156:]
    total = sum(rest) + _SPACES
    # Old writers summed up signed bytes: such a sum is right as well.
    if stated != total and stated != total - 256 * sum(byte >= 0x80 for byte in rest):  # noqa: PLR2004 - the sign bit
        raise _Violation(f"bad header checksum at byte {offset}", where=f"byte {offset}")


def _number(field: bytes, offset: int) -> int:
    """A number of a header: octal digits, or base 256 with two's complement where the first bit is set (GNU)."""
    if field[0] & 0x80:
        # The first bit is the mark, the second one the sign.
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
    else:
        found = _OCTAL.match(field)
        if not found:
            raise _Violation(f"bad number in the header at byte {offset}", where=f"byte {offset}")
        value = int(found[1] or b"0", 8)
    if not -_SIZE_LIMIT <= value < _SIZE_LIMIT:
        raise _Violation(f"number beyond 63 bits in the header at byte {offset}", where=f"byte {offset}")
    return value


def _is_0_0(block: bytes, offset: int) -> bool:
    """Whether a device has these numbers; in the oldest format there are none."""
    magic = block[257:265]
    return not magic.startswith(_WITH_DEVICES) or not any(_number(block[part], offset) for part in _DEVICE)


def _size(field: bytes, offset: int) -> int:
    size = _number(field, offset)
    if size < 0:
        raise _Violation(f"negative size in the header at byte {offset}", where=f"byte {offset}")
    return size


def _past_sparse_map(cursor: _Cursor, offset: int) -> int:
    """Where the contents begin: a map of many pieces goes on in blocks of its own (GNU tar, "Old GNU Format")."""
    while True:
        block = cursor.take(offset, BLOCK)
        if len(block) < BLOCK:
            stop = cursor.end()
            raise _Violation(f"layer truncated at byte {stop}: within the map of a sparse file", where=f"byte {offset}")
        offset += BLOCK
        if not block[_SPARSE_NEXT]:
            return offset


def _extended(
    cursor: _Cursor, extra: _Extra | None, kind: bytes, size: int, offset: int, report: Report
) -> _Extra | None:
    """Add what a header says of the member after it."""
    header = offset - BLOCK
    if size > _EXTENSION_MOST:
        what = "long name" if kind in {b"L", b"K"} else "pax header"
        raise _Violation(
            f"a {what} of {size} bytes at byte {header}, more than {_EXTENSION_MOST}", where=f"byte {header}"
        )
    text = cursor.take(offset, size)
    if len(text) < size:
        stop = cursor.end()
        raise _Violation(f"layer truncated at byte {stop}: within a pax header or long name", where=f"byte {header}")
    if kind == b"g":
        # POSIX has these records apply to all that follow; container engines don't do it, nor does this.
        changing = _CHANGING & _records(text, header).keys()
        if changing:
            names = b", ".join(sorted(changing)).decode()
            reason = f"a global pax header sets {names}: not applied, as container engines don't"
            report(Problem(f"byte {header}", reason, lost=False))
        return extra
    extra = extra or _Extra({})
    if kind == b"x":
        extra.pax = _records(text, header)
    elif kind == b"L":
        extra.name = text.partition(b"\x00")[0]
    else:
        extra.link = text.partition(b"\x00")[0]
    return extra


def _records(text: bytes, offset: int) -> dict[bytes, bytes]:
    r"""Records of a pax header, each ``LENGTH KEY=VALUE\n``; an empty value leaves the header's own."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        found = _RECORD.match(text, at)
        end = at + int(found[1]) if found else 0
        key, equals, value = text[found.end() : end - 1].partition(b"=") if found else (b"", b"", b"")
        if not equals or not key or text[end - 1 : end] != b"\n":
            raise _Violation(f"bad pax record at byte {offset + BLOCK + at}", where=f"byte {offset}")
        records[key] = value
        at = end
    return {key: value for key, value in records.items() if value}


def _text(extra: _Extra, name: bytes, link: bytes) -> tuple[bytes, bytes]:
    pax = extra.pax
    return (
        extra.name or pax.get(b"GNU.sparse.name") or pax.get(b"path", name),
        extra.link or pax.get(b"linkpath", link),
    )


def _numbers(extra: _Extra, size: int, mtime: int, offset: int) -> tuple[int, int]:
    """Bytes that are stored and time of change: pax has them without the limits of a header's fields."""
    stored = _decimal(extra.pax, (b"size",), offset)
    time = extra.pax.get(b"mtime")
    if time is not None:
        found = _TIME.fullmatch(time)
        if not found:
            raise _Violation(f"bad mtime in the pax header before byte {offset}", where=f"byte {offset}")
        mtime = int(found[1])
    return size if stored < 0 else stored, mtime


def _decimal(pax: dict[bytes, bytes], keys: tuple[bytes, ...], offset: int) -> int:
    """The first of some records that there is, as a size; -1 without."""
    for key in keys:
        text = pax.get(key)
        if text is None:
            continue
        # As many digits as a 63-bit number can have, so that no text makes a huge number.
        if not text.isdigit() or len(text) > 19 or int(text) >= _SIZE_LIMIT:  # noqa: PLR2004
            raise _Violation(
                f"bad {key.decode()} in the pax header before byte {offset}: {shown(text)}", where=f"byte {offset}"
            )
        return int(text)
    return -1
