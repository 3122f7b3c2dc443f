from __future__ import annotations

import errno
import io
import os
import random
import tarfile
import tracemalloc
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.layers.blob import OpenFile, Window
from reprocheck.layers.problem import Problem
from reprocheck.layers.tar import WHITEOUT, Member, walk, walk_stream
from tests.layers.archives import (
    END,
    GNU,
    POSIX,
    V7,
    Drip,
    Memory,
    base256,
    file,
    header,
    long_name,
    members,
    octal,
    on_disk,
    padded,
    pax,
    record,
)


def names(data: bytes) -> list[bytes]:
    return [member.name for member in members(data)[0]]


def only(data: bytes) -> Member:
    found, problems = members(data + END)
    assert problems == []
    assert len(found) == 1
    return found[0]


def trouble(data: bytes) -> Problem:
    """The one problem of an archive that begins with a good member, which must be kept."""
    found, problems = members(file(b"before", b"kept") + data)
    assert [member.name for member in found] == [b"before"]
    assert len(problems) == 1
    return problems[0]


def test_normal() -> None:
    data = header(b"usr/", b"5", mode=0o40755) + file(b"usr/a", b"hello") + header(b"l", b"2", link=b"usr/a") + END
    assert members(data) == (
        [
            Member(b"usr/", b"5", 0o755, 0, 1_700_000_000, b"", 512, False),
            Member(b"usr/a", b"0", 0o644, 5, 1_700_000_000, b"", 1024, False),
            Member(b"l", b"2", 0o644, 0, 1_700_000_000, b"usr/a", 2048, False),
        ],
        [],
    )


def test_empty() -> None:
    assert members(END) == ([], [])
    found, problems = members(b"")
    assert found == []
    assert problems == [Problem("byte 0", "the archive has no end mark (two zero blocks)", lost=False)]


@pytest.mark.parametrize(
    ("kind", "name", "seen"),
    [
        (b"0", b"x", b"0"),
        (b"\x00", b"x", b"0"),
        (b"\x00", b"x/", b"5"),
        (b"7", b"x", b"0"),
        (b"5", b"x", b"5"),
        (b"D", b"x", b"5"),
        (b"3", b"x", WHITEOUT),
        (b"4", b"x", b"4"),
        (b"6", b"x", b"6"),
        (b"Z", b"x", b"Z"),
    ],
)
def test_types(kind: bytes, name: bytes, seen: bytes) -> None:
    assert only(header(name, kind)).kind == seen


def test_numbers_of_a_device() -> None:
    """In the oldest format there are none, whatever stands in their place."""
    for magic in (POSIX, GNU):
        for device in ((0, 1), (1, 0), (1, 3)):
            assert only(header(b"x", b"3", magic=magic, device=device)).kind == b"3"
        assert only(header(b"x", b"3", magic=magic)).kind == WHITEOUT
    assert only(header(b"x", b"3", magic=V7)).kind == WHITEOUT


def test_marks_of_the_overlay_file_system() -> None:
    for name in (b"trusted.overlay.opaque", b"user.overlay.redirect", b"trusted.overlay.metacopy"):
        member = only(pax({f"SCHILY.xattr.{name.decode()}": b"y"}) + header(b"x", b"5"))
        assert member.marks == (name,)
    both = {"SCHILY.xattr.user.overlay.opaque": b"x", "SCHILY.xattr.trusted.overlay.whiteout": b"y"}
    assert only(pax(both) + header(b"x")).marks == (b"trusted.overlay.whiteout", b"user.overlay.opaque")
    others = {"SCHILY.xattr.trusted.overlay.origin": b"1", "SCHILY.xattr.security.capability": b"1"}
    assert only(pax(others) + header(b"x")).marks == ()
    # What has no value is not set.
    assert only(pax({"SCHILY.xattr.trusted.overlay.opaque": b""}) + header(b"x", b"5")).marks == ()


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_what_has_no_contents_has_none_whatever_its_size_says(kind: bytes) -> None:
    found, problems = members(header(b"x", kind, size=5000, link=b"y") + file(b"after") + END)
    assert [(one.name, one.size) for one in found] == [(b"x", 0), (b"after", 0)]
    assert problems == []


@pytest.mark.parametrize("kind", [b"0", b"7", b"Z", b"D"])
def test_contents_are_passed_over(kind: bytes) -> None:
    assert names(header(b"x", kind, size=600) + bytes(1024) + file(b"after") + END) == [b"x", b"after"]


# Names.


def test_prefix_of_posix_alone() -> None:
    assert only(header(b"b", prefix=b"a/long/way")).name == b"a/long/way/b"
    assert only(header(b"n" * 100, prefix=b"p" * 155)).name == b"p" * 155 + b"/" + b"n" * 100
    # GNU has times there, and before POSIX there was nothing.
    assert only(header(b"b", prefix=b"14000000000", magic=GNU)).name == b"b"
    assert only(header(b"b", prefix=b"junk", magic=V7)).name == b"b"


def test_prefix_of_star_is_shorter() -> None:
    prefix = b"p" * 131 + octal(0o123, 12) + octal(0o123, 12)
    assert only(header(b"b", prefix=prefix, tail=b"tar\x00")).name == b"p" * 131 + b"/b"


def test_names_end_at_a_nul_and_may_fill_the_field() -> None:
    assert only(header(b"a\x00junk")).name == b"a"
    assert only(header(b"a" * 100)).name == b"a" * 100
    assert only(header(b"l", b"2", link=b"t" * 100)).link == b"t" * 100


def test_long_names_of_gnu() -> None:
    long = b"d/" * 200 + b"x"
    data = long_name(b"L", long + b"\x00") + long_name(b"K", long[:-1] + b"\x00rest") + header(b"cut", b"2", link=b"t")
    assert (only(data).name, only(data).link) == (long, long[:-1])
    # They are for one member.
    assert names(data + file(b"next") + END) == [long, b"next"]


def test_pax_records() -> None:
    records = {"path": b"\xc3\xa9" * 80, "linkpath": b"far", "mtime": b"1234567890.987654321", "uid": b"0", "k=": b"="}
    found = only(pax(records) + header(b"short", b"2", link=b"near", mtime=5))
    assert (found.name, found.link, found.mtime) == (b"\xc3\xa9" * 80, b"far", 1234567890)
    assert only(pax({"mtime": b"-3.5"}) + header(b"x")).mtime == -3
    # Records are for one member; an empty value leaves what the header has; the last of equal ones counts.
    assert names(pax(records) + header(b"x") + header(b"y") + END) == [b"\xc3\xa9" * 80, b"y"]
    assert only(pax({"path": b""}) + header(b"x")).name == b"x"
    assert only(pax(record("path", b"a") + record("path", b"b")) + header(b"x")).name == b"b"
    # Of two headers the last one counts, and a long name of GNU more than any.
    assert only(pax({"path": b"a"}) + pax({"mtime": b"7"}) + header(b"x")).name == b"x"
    assert only(long_name(b"L", b"gnu\x00") + pax({"path": b"a"}) + header(b"x")).name == b"gnu"


def test_pax_has_the_size() -> None:
    found, problems = members(pax({"size": b"1000"}) + header(b"x", size=0) + bytes(1024) + file(b"after") + END)
    assert [(one.name, one.size) for one in found] == [(b"x", 1000), (b"after", 0)]
    assert problems == []


def test_global_pax_records_are_not_applied() -> None:
    found, problems = members(pax({"path": b"all", "size": b"9", "comment": b"c"}, b"g") + file(b"x") + END)
    assert [(one.name, one.size) for one in found] == [(b"x", 0)]
    reason = "a global pax header sets path, size: not applied, as container engines don't"
    assert problems == [Problem("byte 0", reason, lost=False)]
    assert members(pax({"comment": b"a commit"}, b"g") + file(b"x") + END)[1] == []


@pytest.mark.parametrize(
    "text",
    [
        b"5 a=b",
        b"x a=b\n",
        b"0 a=b\n",
        b"6 ab\n\n",
        b"99 a=b\n",
        b"6 a=b\n6 a=",
        b"4 =\n",
        b" 6 a=b\n",
        b"-6 a=b\n",
        b"9999999999999 a=b\n",
        b"6 a=bc",
        b"\n",
    ],
)
def test_bad_pax_records(text: bytes) -> None:
    found = trouble(pax(text) + header(b"x") + END)
    assert found.lost
    assert found.reason.startswith("bad pax record at byte ")
    assert int(found.reason.rpartition(" ")[2]) in range(1536, 1536 + len(text))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", b"-1"),
        ("size", b"1e3"),
        ("size", b"9223372036854775808"),
        ("size", b"9" * 100_000),
        ("size", b"\xd9\xa1"),
        ("mtime", b"now"),
        ("mtime", b"9" * 4000),
        ("mtime", b"1_0"),
        ("GNU.sparse.realsize", b"-5"),
    ],
)
def test_bad_numbers_in_pax(key: str, value: bytes) -> None:
    found = trouble(pax({key: value}) + header(b"x") + END)
    assert found.lost
    assert found.reason.startswith(f"bad {key} in the pax header before byte ")


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_extension_headers_have_a_limit(kind: bytes) -> None:
    fits = b"%d comment=" % (1 << 20)
    fits += b"c" * ((1 << 20) - len(fits) - 1) + b"\n"
    found, problems = members(header(b"p", kind, size=1 << 20) + fits + file(b"x") + END)
    assert (len(found), problems) == (1, [])
    source = Memory(header(b"p", kind, size=50 << 20) + bytes(50 << 20) + file(b"x") + END)
    told: list[Problem] = []
    assert list(walk(source, told.append)) == []
    what = "pax header" if kind in {b"x", b"g"} else "long name"
    assert [one.reason for one in told] == [f"a {what} of 52428800 bytes at byte 0, more than 1048576"]
    assert source.read < 100_000


# Numbers.


@pytest.mark.parametrize(
    ("field", "size"),
    [
        (b"00000000005\x00", 5),
        (b"          5 ", 5),
        (b"5 \x00", 5),
        (b"5\x00 9", 5),
        (b"", 0),
        (b"           \x00", 0),
        (b"000000000005", 5),
        (base256(5, 12), 5),
    ],
)
def test_sizes(field: bytes, size: int) -> None:
    assert only(header(b"x", size=field) + padded(b"12345"[:size])).size == size


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (base256(-1, 12), "negative size in the header at byte 1024"),
        (base256(-(1 << 62), 12), "negative size in the header at byte 1024"),
        (base256(1 << 63, 12), "number beyond 63 bits in the header at byte 1024"),
        (b"\x80" + b"\xff" * 11, "number beyond 63 bits in the header at byte 1024"),
        (b"-0000000005\x00", "bad number in the header at byte 1024"),
        (b"+5\x00", "bad number in the header at byte 1024"),
        (b"0_5\x00", "bad number in the header at byte 1024"),
        (b"0x5\x00", "bad number in the header at byte 1024"),
        (b"00000000009\x00", "bad number in the header at byte 1024"),
        (b"5a", "bad number in the header at byte 1024"),
    ],
)
def test_impossible_sizes_end_the_walk(field: bytes, reason: str) -> None:
    assert trouble(header(b"x", size=field) + bytes(1024) + END) == Problem("byte 1024", reason, lost=True)


def test_8_eib_are_more_than_there_is() -> None:
    found = trouble(header(b"x", size=base256((1 << 63) - 1, 12)) + bytes(600))
    reason = f"layer truncated at byte 2136: the contents go on to byte {1536 + (1 << 63) - 1}"
    assert found == Problem("x", reason, lost=True)


def test_times_and_modes() -> None:
    assert only(header(b"x", mtime=base256(-5, 12))).mtime == -5
    assert only(header(b"x", mtime=b"")).mtime == 0
    assert only(header(b"x", mode=b"0104755\x00")).mode == 0o4755
    assert trouble(header(b"x", mtime=base256(1 << 80, 12))).lost
    assert trouble(header(b"x", mode=b"rwx")).reason == "bad number in the header at byte 1024"


# Checksums.


def test_checksums_in_every_spelling() -> None:
    total = int(header(b"x")[148:154], 8)
    for spelt in (b"%06o \x00", b"%7o\x00", b"%08o", b"%o\x00"):
        assert only(header(b"x", checksum=(spelt % total).ljust(8, b"\x00"))).name == b"x"


def test_signed_checksums_of_old_writers() -> None:
    assert only(header(b"caf\xe9", signed=True)).name == b"caf\xe9"
    assert header(b"caf\xe9", signed=True) != header(b"caf\xe9")


def test_the_highest_checksum_is_exact() -> None:
    # Beyond 65521 the sum of a whole block would be ambiguous.
    full = b"\xff" * 100
    good = header(full, b"2", link=full, prefix=b"\xff" * 155, mode=0o777)
    assert int(good[148:154], 8) > 65521
    assert only(good).name == b"\xff" * 155 + b"/" + full
    wrong = b"%06o\x00 " % (int(good[148:154], 8) - 65521)
    assert trouble(good[:148] + wrong + good[156:]).lost


@pytest.mark.parametrize("place", [0, 99, 130, 150, 156, 300, 400, 511])
def test_any_changed_byte_of_a_header_is_seen(place: int) -> None:
    bad = bytearray(file(b"x", b"contents"))
    bad[place] ^= 1
    found = trouble(bytes(bad) + file(b"after") + END)
    assert found == Problem("byte 1024", "bad header checksum at byte 1024", lost=True)


def test_no_checksum_is_a_bad_one() -> None:
    assert trouble(header(b"x", checksum=bytes(8))).reason == "bad header checksum at byte 1024"
    assert trouble(header(b"x", checksum=b"garbage!")).reason == "bad header checksum at byte 1024"
    assert trouble(b"\x00" * 511 + b"\x01" + END).reason == "bad header checksum at byte 1024"


# The end.


def test_what_follows_the_end_mark_is_ignored() -> None:
    assert members(file(b"x") + END + b"garbage" * 1000)[1] == []
    assert names(file(b"x") + END + file(b"hidden") + END) == [b"x"]


def test_no_end_mark_is_a_note() -> None:
    assert trouble(b"") == Problem("byte 1024", "the archive has no end mark (two zero blocks)", lost=False)
    assert trouble(bytes(300)) == trouble(b"")
    half = Problem("byte 1024", "the archive has half an end mark (one zero block of two)", lost=False)
    assert trouble(bytes(512)) == half
    assert trouble(bytes(900)) == half


def test_a_lone_zero_block_hides_what_follows() -> None:
    found = trouble(bytes(512) + file(b"after") + END)
    assert found == Problem("byte 1024", "a lone zero block at byte 1024: what follows is not read", lost=True)


def test_cut_anywhere() -> None:
    """Entries before are kept, and the place is named; only the padding and the end mark can be missed."""
    first, second = file(b"first", b"1" * 700), pax({"path": b"p" * 300}) + file(b"second", b"2" * 700)
    whole = first + second + END
    for length in range(0, len(whole), 37):
        found, problems = members(whole[:length])
        assert len(problems) == (length < len(whole))
        if length < 512 + 700:
            expected = 0
        elif length < len(first) + 1024 + 512 + 700:
            expected = 1
        else:
            expected = 2
        assert len(found) == expected
        if problems and problems[0].lost:
            assert f"layer truncated at byte {length}" in problems[0].reason


def test_truncated_last_member() -> None:
    found = trouble(header(b"x", size=2000) + b"only this")
    assert found == Problem("x", "layer truncated at byte 1545: the contents go on to byte 3536", lost=True)
    assert trouble(header(b"x")[:100]).reason == "layer truncated at byte 1124: within a header"
    assert trouble(header(b"p", b"x", size=100) + b"30 path").reason == (
        "layer truncated at byte 1543: within a pax header or long name"
    )


# Sparse files.


def old_sparse(*, more: int, real: int) -> bytes:
    block = bytearray(header(b"holes", b"S", size=10, magic=GNU))
    block[386:410] = octal(0, 12) + octal(10, 12)
    block[482] = more > 0
    block[483:495] = octal(real, 12)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\x00 " % sum(block)
    maps = b"".join(bytes(504) + bytes([number < more - 1]) + bytes(7) for number in range(more))
    return bytes(block) + maps + padded(b"0123456789")


@pytest.mark.parametrize("more", [0, 1, 40])
def test_old_sparse_files_of_gnu(more: int) -> None:
    found, problems = members(old_sparse(more=more, real=1 << 32) + file(b"after") + END)
    assert problems == []
    assert [(one.name, one.kind, one.size, one.sparse) for one in found] == [
        (b"holes", b"0", 1 << 32, True),
        (b"after", b"0", 0, False),
    ]


def test_a_map_of_a_sparse_file_that_has_no_end() -> None:
    data = old_sparse(more=3, real=5)[: 512 + 512]
    assert trouble(data).reason == "layer truncated at byte 2048: within the map of a sparse file"


@pytest.mark.parametrize(
    "records",
    [
        {"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.realsize": b"1099511627776"},
        {"GNU.sparse.size": b"1099511627776", "GNU.sparse.map": b"0,512", "GNU.sparse.numblocks": b"1"},
    ],
)
def test_sparse_files_of_pax(records: dict[str, bytes]) -> None:
    records = {"GNU.sparse.name": b"real/name", "path": b"GNUSparseFile.0/name", **records}
    found, problems = members(pax(records) + file(b"x", b"1" * 512) + file(b"after") + END)
    assert problems == []
    assert [(one.name, one.size, one.sparse) for one in found] == [
        (b"real/name", 1 << 40, True),
        (b"after", 0, False),
    ]


# Bounds.


def test_the_number_of_entries_has_a_limit() -> None:
    data = b"".join(file(b"%d" % number) for number in range(5)) + END
    problems: list[Problem] = []
    assert len(list(walk(Memory(data), problems.append, limit=4))) == 4
    assert problems == [Problem("byte 2048", "more than 4 entries: what follows byte 2048 is not read", lost=True)]
    problems.clear()
    assert len(list(walk(Memory(data), problems.append, limit=5))) == 5
    assert problems == []


def test_a_walk_holds_nothing() -> None:
    """Not even numbers that it has seen."""
    data = b"".join(header(b"x", mtime=number) for number in range(15_000)) + END
    tracemalloc.start()
    try:
        times = 0
        for member in walk(Memory(data), lambda _: None):
            times += member.mtime
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert times == sum(range(15_000))
    assert most < 1_500_000


def test_contents_are_not_read_through() -> None:
    with on_disk([header(b"big", size=1 << 34)]) as handle:
        os.ftruncate(handle, 512 + (1 << 34))
        os.pwrite(handle, file(b"after", b"x") + END, 512 + (1 << 34))
        window = Window(OpenFile(handle), 0, os.fstat(handle).st_size)
        problems: list[Problem] = []
        start = process_time()
        assert [member.name for member in walk(window, problems.append)] == [b"big", b"after"]
        assert process_time() - start < 0.1
        assert problems == []
        os.close(handle)


def test_a_stream_holds_only_what_is_wanted() -> None:
    """Contents of 200 MB go by; none of them is held."""

    class Zeros:
        left = 200_000_000
        most = 0
        front = header(b"zeros", size=200_000_000)

        def read(self, size: int, /) -> bytes:
            if self.front:
                piece, self.front = self.front, b""
                return piece
            size = min(size, self.left)
            self.left -= size
            self.most = max(self.most, size)
            return bytes(size)

    stream = Zeros()
    asked: list[tuple[bytes, int]] = []
    kept: dict[int, bytes] = {}

    def wanted(name: bytes, size: int) -> bool:
        asked.append((name, size))
        return False

    found = list(walk_stream(stream, lambda _: None, wanted=wanted, keep=kept.__setitem__))
    assert [member.size for member in found] == [200_000_000]
    assert asked == [(b"zeros", 200_000_000)]
    assert kept == {}
    assert stream.left == 0
    assert stream.most <= 1 << 20


def test_a_source_that_breaks() -> None:
    class Broken(Memory):
        def read_at(self, offset: int, length: int) -> bytes:
            if offset > 10_000:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read_at(offset, length)

    class BrokenStream(Drip):
        def read(self, size: int, /) -> bytes:
            piece = super().read(size)
            if not piece:
                raise OSError("invalid distance in the compressed data")
            return piece

    data = file(b"before") + file(b"big", bytes(20_000)) + file(b"after") + END
    problems: list[Problem] = []
    assert [member.name for member in walk(Broken(data), problems.append)] == [b"before", b"big"]
    assert [(one.lost, "layer can't be read at byte 21504: Input/output error") for one in problems] == [
        (True, problems[0].reason)
    ]
    problems.clear()
    stream = BrokenStream(data[:15_000])
    found = list(walk_stream(stream, problems.append, wanted=lambda *_: False, keep=lambda *_: None))
    assert [member.name for member in found] == [b"before"]
    assert [one.reason for one in problems] == [
        "layer can't be read at byte 512: invalid distance in the compressed data"
    ]


# Other writers, and no archive at all.


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_another_writer(form: int) -> None:
    chance = random.Random(form)
    expected = []
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as archive:
        for number in range(200):
            long = form != tarfile.USTAR_FORMAT and chance.random() < 0.3
            info = tarfile.TarInfo("/".join(["d" * chance.randint(1, 20)] * (20 if long else 3)) + f"/{number}")
            info.type = chance.choice((tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE))
            info.mode, info.mtime = chance.randrange(0o10000), chance.randrange(1 << 32)
            if info.type == tarfile.SYMTYPE:
                info.linkname = "t" * (150 if long else 50)
            contents = bytes(chance.randint(0, 2000)) if info.isreg() else b""
            info.size = len(contents)
            archive.addfile(info, io.BytesIO(contents))
            name = info.name.encode() + b"/" * info.isdir()
            expected.append((name, info.type, info.mode, info.size, info.mtime, info.linkname.encode()))
    found, problems = members(raw.getvalue())
    assert problems == []
    shown = [(one.name, one.kind, one.mode, one.size, one.mtime, one.link) for one in found]
    assert [(name.rstrip(b"/"), *rest) for name, *rest in shown] == [
        (name.rstrip(b"/"), *rest) for name, *rest in expected
    ]


@given(st.binary(max_size=3000))
def test_any_bytes_end_in_a_problem(data: bytes) -> None:
    found, problems = members(data)
    assert len(problems) == 1 or data[:1024] == END
    assert len(found) <= len(data) // 512


@given(st.data())
def test_any_damage_is_bounded(data: st.DataObject) -> None:
    whole = bytearray(
        pax({"path": b"p" * 200, "mtime": b"5.5"})
        + file(b"a", b"1" * 600)
        + long_name(b"L", b"n" * 120 + b"\x00")
        + file(b"b")
        + old_sparse(more=2, real=5000)
        + END
    )
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
        # Repair the checksum at times, so that what lies behind it is reached.
        start = place // 512 * 512
        if data.draw(st.booleans()) and any(whole[start : start + 512]):
            whole[start + 148 : start + 156] = b" " * 8
            whole[start + 148 : start + 156] = b"%06o\x00 " % sum(whole[start : start + 512])
    found, _ = members(bytes(whole))
    assert all(member.offset + (0 if member.sparse else member.size) <= len(whole) for member in found)
