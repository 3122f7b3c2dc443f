"""Shared objects of compressed layers: the ranges that tell the dynamic linker something, kept as they come by."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest

from reprocheck.layers.tar_layer import PlainLayer, StreamedLayer
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import Document, Elf
from reprocheck.model.snapshot import Subject
from reprocheck.probe import collect
from reprocheck.targets import kept
from reprocheck.targets.static import StaticSession
from reprocheck.targets.traced import Traced
from tests.elf import shared_object
from tests.evidence import HEADER
from tests.layers.archives import END, Drip, Memory, directory, file

LARGE = 3 << 20
OBJECT = shared_object("libc.so.6", "libx.so.2", soname="liby.so.1", runpath="$ORIGIN")
PROGRAM_HEADER = 64 + 56
"""Of the dynamic section, in a 64-bit object without an interpreter."""


def far(between: int, raw: bytes = OBJECT) -> bytes:
    """An object whose dynamic section lies far behind its strings."""
    at, size = (struct.unpack_from("<Q", raw, PROGRAM_HEADER + place)[0] for place in (8, 32))
    moved = raw[: PROGRAM_HEADER + 8] + struct.pack("<Q", len(raw) + between) + raw[PROGRAM_HEADER + 16 :]
    return moved + bytes(between) + raw[at : at + size]


def laid(*members: bytes, piece: int = 100_000) -> StreamedLayer:
    data = b"".join(members) + END
    return kept.as_it_comes_by(lambda: Drip(data, piece), kept.room())


def summary(layer: StreamedLayer, name: bytes) -> dict[str, Any]:
    """What the probe's reader makes of a file of a layer; the name of an error where it can't read."""
    entry = layer.directory(b"")[name]

    def read(length: int, at: int) -> bytes:
        return layer.read(name, entry, at, min(length, entry.size - at)) if at < entry.size else b""

    try:
        told: dict[str, Any] = collect.Elf(read).summary
    except OSError as error:
        return {"problem": errno.errorcode[error.errno or 0]}
    return told


def straight(raw: bytes) -> dict[str, Any]:
    """The same of the bytes themselves."""
    told: dict[str, Any] = collect.Elf(lambda length, at: raw[at : at + length]).summary
    return told


@pytest.mark.parametrize("piece", [7, 1000, 1 << 20])
@pytest.mark.parametrize(
    "raw",
    [
        OBJECT,
        shared_object("libm.so.6", bits=32, order=">"),
        shared_object("libc.so.6", interpreter="/lib64/ld-linux-x86-64.so.2"),
        shared_object("libc.so.6", before_strings=200_000),
        far(100_000),
        OBJECT[:100],
        b"INPUT(libx.so.2)",
    ],
    ids=["object", "32-bit", "program", "strings far", "dynamic section far", "cut", "text"],
)
def test_the_same_is_told_as_by_the_file_itself(raw: bytes, piece: int) -> None:
    layer = laid(file(b"before", b"x" * 700), file(b"libx.so.1", raw), file(b"after", b"y"), piece=piece)
    assert summary(layer, b"libx.so.1") == straight(raw)
    assert layer.passes == 1
    assert layer.index.problems == ()


def test_ranges_alone_are_kept() -> None:
    raw = shared_object("libc.so.6", before_strings=LARGE)
    layer = laid(file(b"libx.so", raw))
    assert sum(map(len, layer.kept.values())) < 20_000
    entry = layer.directory(b"")[b"libx.so"]
    with pytest.raises(OSError, match="these bytes of it were not kept") as raised:
        layer.read(b"libx.so", entry, LARGE // 2, 10)
    assert raised.value.errno == errno.EFBIG
    assert layer.read(b"libx.so", entry, 1, 3) == b"ELF"


def test_what_lies_beyond_what_is_held_is_read_as_it_comes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "HELD", 50_000)
    raw = far(LARGE)
    assert straight(raw)["needed"] == ["libc.so.6", "libx.so.2"]
    layer = laid(file(b"libx.so.1", raw), file(b"after.so", OBJECT))
    assert summary(layer, b"libx.so.1") == straight(raw)
    assert summary(layer, b"after.so") == straight(OBJECT)


def test_strings_that_have_gone_by_are_told_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "HELD", 50_000)
    raw = far(LARGE, shared_object("libc.so.6", before_strings=LARGE))
    assert straight(raw)["needed"] == ["libc.so.6"]
    layer = laid(file(b"libx.so.1", raw), file(b"after.so", OBJECT))
    assert summary(layer, b"libx.so.1") == {"problem": "EFBIG"}
    assert summary(layer, b"after.so") == straight(OBJECT)


def test_no_more_than_the_limit_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "HELD", 1 << 20)
    held = []

    class Watched(kept._ComingBy):  # noqa: SLF001 - what is held shows nowhere else
        def _come_to(self, at: int, end: int) -> None:
            super()._come_to(at, end)
            held.append(len(self._first) + sum(len(piece) for _, piece in self._later))

    monkeypatch.setattr(kept, "_ComingBy", Watched)
    laid(file(b"libx.so.1", far(LARGE)), piece=1 << 20)
    assert 1 << 20 < max(held) < (1 << 20) + 10_000


def test_a_stream_that_ends_within_an_object() -> None:
    data = file(b"libx.so.1", far(LARGE))[:LARGE]
    layer = kept.as_it_comes_by(lambda: Drip(data, 100_000), kept.room())
    assert layer.directory(b"") == {}
    assert ["truncated" in one.reason for one in layer.index.problems if one.lost] == [True]


def test_credentials_in_what_is_kept_are_overwritten() -> None:
    raw = shared_object("https://me:secret@host/libx.so", soname="liby.so")
    layer = laid(file(b"liby.so", raw))
    assert b"secret" not in b"".join(layer.kept.values())
    told = summary(layer, b"liby.so")
    assert told == straight(raw)
    assert told["needed"] == ["https://*********@host/libx.so"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"usr/lib/libx.so", True),
        (b"libx.so.1.2", True),
        (b"a/_x.cpython-39-x86_64-linux-gnu.so", True),
        (b"usr/bin/python3.12", True),
        (b"usr/lib/libx.solid", False),
        (b"etc/ld.so.d/x", False),
        (b"usr/lib/libx.a", False),
    ],
)
def test_names_that_are_sampled(name: bytes, expected: bool) -> None:
    assert kept.sampled(name, 1) is expected


def test_an_object_with_another_name_costs_a_pass_and_few_bytes() -> None:
    raw = shared_object("libc.so.6", before_strings=LARGE)
    layer = laid(file(b"odd", raw), file(b"libx.so", OBJECT))
    entries = layer.directory(b"")
    layer.fetch((), [(b"libx.so", entries[b"libx.so"])])
    assert layer.passes == 1
    layer.fetch((), [(b"odd", entries[b"odd"])])
    assert layer.passes == 2
    assert summary(layer, b"odd") == straight(raw)
    assert sum(map(len, layer.kept.values())) < 30_000


def test_a_file_is_fetched_whole_after_parts_of_it() -> None:
    raw = shared_object("libc.so.6", before_strings=100_000)
    layer = laid(file(b"libx.so", raw))
    entry = layer.directory(b"")[b"libx.so"]
    layer.fetch([(b"libx.so", entry)])
    assert layer.passes == 2
    assert layer.read(b"libx.so", entry, 0, entry.size) == raw
    assert layer.read(b"libx.so", entry, 50_000, 10) == bytes(10)


def test_objects_are_told_with_their_layers() -> None:
    lower = laid(directory(b"usr/"), directory(b"usr/lib/"), file(b"usr/lib/libx.so", OBJECT))
    upper = PlainLayer.open(Memory(file(b"usr/lib/libx.so", OBJECT) + file(b"liby.so", OBJECT) + END))
    tree = Tree([lower, upper])
    document = Document(header=HEADER, subject=Subject(kind="oci", name="x"))
    told = Traced(StaticSession(document, tree), tree).answer([Elf(at="/usr/lib/libx.so"), Elf(at="/liby.so")])
    assert told is not None
    assert {path: (one.layer, one.since, one.mtime) for path, one in told.elf.items()} == {
        "/usr/lib/libx.so": (1, 0, 1_700_000_000),
        "/liby.so": (1, 1, 1_700_000_000),
    }
    assert told.elf["/usr/lib/libx.so"].needed == ("libc.so.6", "libx.so.2")
