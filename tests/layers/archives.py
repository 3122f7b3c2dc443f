"""Tar archives made byte by byte, so that they can be wrong in every way."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TypedDict

from reprocheck.layers.builder import IndexBuilder
from reprocheck.layers.index import LayerIndex
from reprocheck.layers.problem import Problem
from reprocheck.layers.room import Room
from reprocheck.layers.tar import Member, walk, walk_stream
from reprocheck.layers.tar_layer import PlainLayer, StreamedLayer

END = bytes(1024)


class Limits(TypedDict):
    """Arguments of a layer that comes by."""

    kept_file: int
    room: Room


POSIX, GNU, V7 = b"ustar\x0000", b"ustar  \x00", bytes(8)


def octal(value: int, width: int) -> bytes:
    return b"%0*o\x00" % (width - 1, value)


def base256(value: int, width: int) -> bytes:
    raw = bytearray(value.to_bytes(width, "big", signed=True))
    raw[0] |= 0x80
    return bytes(raw)


def header(
    name: bytes,
    kind: bytes = b"0",
    *,
    size: int | bytes = 0,
    mode: int | bytes = 0o644,
    mtime: int | bytes = 1_700_000_000,
    link: bytes = b"",
    magic: bytes = POSIX,
    prefix: bytes = b"",
    signed: bool = False,
    checksum: bytes | None = None,
    tail: bytes = b"",
    device: tuple[int, int] = (0, 0),
) -> bytes:
    """One block; a field given as bytes stands as it is."""

    def number(value: int | bytes, width: int) -> bytes:
        return value.ljust(width, b"\x00") if isinstance(value, bytes) else octal(value, width)

    block = bytearray(512)
    block[0:100] = name[:100].ljust(100, b"\x00")
    block[100:108] = number(mode, 8)
    block[108:116] = block[116:124] = octal(0, 8)
    block[124:136] = number(size, 12)
    block[136:148] = number(mtime, 12)
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = link[:100].ljust(100, b"\x00")
    block[257:265] = magic
    if magic != V7:
        block[329:337], block[337:345] = (octal(number, 8) for number in device)
    block[345:500] = prefix.ljust(155, b"\x00")
    if tail:
        block[512 - len(tail) :] = tail
    total = sum(byte - 256 if signed and byte >= 128 else byte for byte in block)
    block[148:156] = b"%06o\x00 " % total if checksum is None else checksum
    return bytes(block)


def padded(contents: bytes) -> bytes:
    return contents + bytes(-len(contents) % 512)


def record(key: str, value: bytes) -> bytes:
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return b"%d" % length + rest


def pax(records: dict[str, bytes] | bytes, kind: bytes = b"x") -> bytes:
    text = records if isinstance(records, bytes) else b"".join(record(*one) for one in records.items())
    return header(b"pax", kind, size=len(text)) + padded(text)


def long_name(kind: bytes, text: bytes) -> bytes:
    return header(b"././@LongLink", kind, size=len(text), magic=GNU) + padded(text)


def entry(
    name: bytes,
    kind: bytes,
    *,
    link: bytes = b"",
    contents: bytes = b"",
    mode: int = 0o644,
    device: tuple[int, int] = (0, 0),
) -> bytes:
    """A member with any name: longer ones have a pax header."""
    records = {}
    if len(name) > 100:
        records["path"] = name
    if len(link) > 100:
        records["linkpath"] = link
    before = pax(records) if records else b""
    return before + header(name, kind, size=len(contents), link=link, mode=mode, device=device) + padded(contents)


def file(name: bytes, contents: bytes = b"", *, mode: int = 0o644) -> bytes:
    return entry(name, b"0", contents=contents, mode=mode)


def directory(name: bytes, *, mode: int = 0o755) -> bytes:
    return entry(name, b"5", mode=mode)


def link(name: bytes, target: bytes) -> bytes:
    return entry(name, b"2", link=target, mode=0o777)


def hard(name: bytes, target: bytes) -> bytes:
    return entry(name, b"1", link=target)


class Memory:
    """Bytes that can be read anywhere; counts how many were."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.read = 0

    def read_at(self, offset: int, length: int) -> bytes:
        found = self._data[offset : offset + length]
        self.read += len(found)
        return found


class Drip:
    """Bytes that come in odd pieces, the worst that a stream may do."""

    def __init__(self, data: bytes, piece: int = 700) -> None:
        self._data = BytesIO(data)
        self._piece = piece

    def read(self, size: int, /) -> bytes:
        return self._data.read(min(size, self._piece))

    def close(self) -> None:
        self._data.close()


def members(data: bytes) -> tuple[list[Member], list[Problem]]:
    """What an archive holds; both kinds of source must agree on it."""
    problems: list[Problem] = []
    found = list(walk(Memory(data), problems.append))
    for piece in (1, 700, 1 << 20) if len(data) < 20_000 else (70_000, 1 << 20):
        others: list[Problem] = []
        kept: dict[int, bytes] = {}
        stream = Drip(data, piece)
        again = list(walk_stream(stream, others.append, wanted=lambda _, size: size < 1000, keep=kept.__setitem__))
        assert (again, others) == (found, problems)
        for member in found:
            if member.kind == b"0" and not member.sparse and 0 < member.size < 1000:
                assert kept[member.offset] == data[member.offset : member.offset + member.size]
    return found, problems


def index(*pieces: bytes) -> LayerIndex:
    """The index of a layer of these members."""
    builder = IndexBuilder()
    for member in walk(Memory(b"".join(pieces) + END), builder.report):
        builder.add(member)
    return builder.finish()


def plain(*pieces: bytes) -> PlainLayer:
    return PlainLayer.open(Memory(b"".join(pieces) + END))


def limits(size: int = 16 << 20) -> Limits:
    """What a layer may keep: of one file and in all."""
    return {"kept_file": size, "room": Room(size)}


def streamed(*pieces: bytes) -> StreamedLayer:
    data = b"".join(pieces) + END
    return StreamedLayer.open(lambda: Drip(data), lambda name, _: name.endswith(b".kept"), **limits())


def tree(found: LayerIndex) -> dict[str, str]:
    """Every path of a layer and what is there, in a word."""
    shown = {}
    left = [b""]
    seen = set()
    while left:
        path = left.pop()
        seen.add(path)
        for name, entry in found.directory(path).items():
            whole = path + b"/" + name if path else name
            words = [entry.type, *(["opaque"] if entry.opaque else [])]
            words += [entry.link.decode()] if entry.link else []
            shown[whole.decode()] = " ".join(words)
            if entry.type == "dir":
                left.append(whole)
    assert not found.directories.keys() - seen, "a directory that nothing leads to"
    return dict(sorted(shown.items()))


def troubles(found: LayerIndex) -> list[tuple[str, str, bool]]:
    return [(one.where, one.reason, one.lost) for one in found.problems]


@contextmanager
def on_disk(pieces: Iterable[bytes]) -> Iterator[int]:
    """A file descriptor of a file that holds the pieces."""
    with tempfile.TemporaryFile() as made:
        for piece in pieces:
            made.write(piece)
        made.flush()
        yield os.dup(made.fileno())
