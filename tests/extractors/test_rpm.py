from __future__ import annotations

import random
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprocheck.extractors.databases.rpm import parse
from reprocheck.extractors.databases.rpm_header import parse_header
from tests import rpm

Maker = Callable[[list[bytes]], bytes]
MANY = [
    rpm.header(f"p{number}", f"1.{number}", epoch=number % 3 or None, padding=(number * 977) % 20_000)
    for number in range(60)
]
LISTED = sorted(
    (f"p{number}", f"{number % 3}:1.{number}-6.el9" if number % 3 else f"1.{number}-6.el9", "x86_64")
    for number in range(60)
)


def listed(raw: bytes) -> list[tuple[str, str, str]]:
    return sorted((one.name, one.version, one.architecture) for one, _ in parse(raw) if one is not None)


def troubles(raw: bytes) -> list[str]:
    return [trouble for _, trouble in parse(raw) if trouble is not None]


@pytest.fixture(params=["sqlite", "ndb", "bdb"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    """Each container in turn: what makes a database of headers."""
    makers: dict[str, Maker] = {
        "sqlite": lambda headers: rpm.sqlite(tmp_path / "x", headers),
        "ndb": rpm.ndb,
        "bdb": rpm.bdb,
    }
    return makers[request.param]


# Headers.


def test_a_header() -> None:
    package = parse_header(rpm.header("bash", "5.1.8", "6.el9"))
    assert package is not None
    assert (package.manager, package.name, package.version, package.architecture) == (
        "rpm",
        "bash",
        "5.1.8-6.el9",
        "x86_64",
    )


@pytest.mark.parametrize(
    ("epoch", "version"), [(None, "1-2"), (0, "0:1-2"), (1, "1:1-2"), (4294967295, "4294967295:1-2")]
)
def test_the_epoch_is_shown_where_one_is_recorded(epoch: int | None, version: str) -> None:
    package = parse_header(rpm.header("x", "1", "2", epoch=epoch))
    assert package is not None
    assert package.version == version


def test_an_imported_key_is_no_package() -> None:
    assert parse_header(rpm.header("gpg-pubkey", "5a6340b3", "6229229e", arch=None)) is None


def test_the_first_of_a_repeated_tag_counts() -> None:
    tags = [(1000, 6, b"a\0"), (1000, 6, b"b\0"), (1001, 6, b"1\0"), (1002, 6, b"2\0")]
    package = parse_header(rpm.blob(tags))
    assert package is not None
    assert (package.name, package.architecture) == ("a", "")


def test_a_name_that_is_no_text() -> None:
    package = parse_header(rpm.header("caf\udce9\\"))
    assert package is not None
    assert package.name == "caf\\xe9\\\\"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "less than 8 bytes"),
        (bytes(7), "less than 8 bytes"),
        (struct.pack(">II", 1, 0), "states 24 bytes and has 8"),
        (struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF), "and has 8"),
        (bytes(8), "without a name"),
        (rpm.header(None), "without a name"),
        (rpm.header(""), "without a name"),
        (rpm.header("x", None), "x has no version"),
        (rpm.header("x", "1", None), "x has no release"),
        (rpm.blob([(1000, 6, b"never ends")]), "without a name"),
        (rpm.blob([(1000, 4, b"\0\0\0\1")]), "tag 1000 is no string"),
        (rpm.blob([(1000, 6, b"x\0"), (1001, 6, b"1\0"), (1002, 6, b"2\0"), (1003, 6, b"1\0")]), "epoch is no number"),
        (rpm.blob([(1000, 6, b"x\0"), (1001, 6, b"1\0"), (1002, 6, b"2\0"), (1003, 4, b"\0")]), "epoch is no number"),
        (rpm.header()[:-1], "and has"),
    ],
)
def test_headers_that_are_damaged(raw: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_header(raw)


def test_an_offset_beyond_the_data() -> None:
    raw = struct.pack(">IIIIII", 1, 1, 1000, 6, 0xFFFFFFF0, 1) + b"\0"
    with pytest.raises(ValueError, match="without a name"):
        parse_header(raw)


# Containers.


def test_every_package_is_listed(made: Maker) -> None:
    raw = made(MANY)
    assert listed(raw) == LISTED
    assert troubles(raw) == []


def test_an_empty_database(made: Maker) -> None:
    assert list(parse(made([]))) == []


def test_a_damaged_header_spoils_no_other(made: Maker) -> None:
    raw = made([rpm.header("a"), b"\xff" * 40, rpm.header("gpg-pubkey"), rpm.header("b")])
    assert [name for name, _, _ in listed(raw)] == ["a", "b"]
    (trouble,) = troubles(raw)
    assert trouble.startswith("rpmdb unreadable: a header that states")


def test_wherever_it_is_cut(made: Maker) -> None:
    raw = made(MANY)
    for end in (*range(1, 600, 13), *range(600, len(raw), 9973), len(raw) - 1):
        assert set(listed(raw[:end])) < set(LISTED)
        assert troubles(raw[:end])
        assert all(trouble.startswith("rpmdb unreadable: ") for trouble in troubles(raw[:end]))


def test_zeros_over_any_page_never_pass_for_no_packages(made: Maker) -> None:
    # Of headers that fill many pages. Where what is lost is no fact of ours, nothing is missed.
    raw = made([rpm.header(f"p{number}", padding=9000) for number in range(20)])
    whole = listed(raw)
    for page in range(len(raw) // 4096):
        damaged = raw[: page * 4096] + bytes(4096) + raw[(page + 1) * 4096 :]
        assert listed(damaged) == whole or troubles(damaged), page


def test_random_damage_ends_soon_and_raises_nothing(made: Maker) -> None:
    raw = made([rpm.header(f"p{number}", padding=number * 400) for number in range(40)])
    generator = random.Random(7)
    for _ in range(300):
        damaged = bytearray(raw)
        for _ in range(generator.choice((1, 4, 100))):
            at = generator.randrange(len(damaged) if generator.random() < 0.5 else 600)
            damaged[at] = generator.choice((0, 1, 0x7F, 0xFF, generator.randrange(256)))
        began = time.monotonic()
        list(parse(bytes(damaged)))
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "0 bytes"),
        (b"asdf\n\nyolo\n", "a format that is not known"),
        (bytes(8192), "a format that is not known"),
        (b"SQLite format 3\0", "ends in its header"),
        (b"RpmP", "ends in its header"),
        (b"RpmP" + struct.pack("<III", 1, 0, 1).ljust(28, b"\0"), "a header of version 1"),
        (b"RpmP" + struct.pack("<III", 0, 0, 0).ljust(28, b"\0"), "with 0 pages"),
        (b"RpmP" + struct.pack("<III", 0, 0, 0xFFFFFFFF).ljust(28, b"\0"), "with 4294967295 pages"),
        (bytes(12) + struct.pack("<I", 0x061561), "ends in its first page"),
    ],
)
def test_what_is_no_database(raw: bytes, reason: str) -> None:
    assert listed(raw) == []
    (trouble,) = troubles(raw)
    assert trouble.startswith("rpmdb unreadable: ")
    assert reason in trouble


@given(st.sampled_from((b"", b"SQLite format 3\0", b"RpmP" + bytes(12), bytes(12) + b"\x61\x15\x06\0")), st.binary())
def test_any_bytes_are_read(start: bytes, rest: bytes) -> None:
    for package, trouble in parse(start + rest):
        assert package is not None or trouble


# SQLite.


@pytest.mark.parametrize("page", [512, 1024, 4096, 65536])
def test_sqlite_pages_of_any_size(page: int, tmp_path: Path) -> None:
    raw = rpm.sqlite(tmp_path / "x", MANY, page=page)
    assert (listed(raw), troubles(raw)) == (LISTED, [])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6000), max_size=30))
def test_sqlite_records_of_any_length(tmp_path_factory: pytest.TempPathFactory, paddings: list[int]) -> None:
    headers = [rpm.header(f"p{number:03}", padding=padding) for number, padding in enumerate(paddings)]
    raw = rpm.sqlite(tmp_path_factory.mktemp("db") / "x", headers, page=512)
    assert [name for name, _, _ in listed(raw)] == [f"p{number:03}" for number in range(len(paddings))]
    assert troubles(raw) == []


def test_sqlite_without_the_table(tmp_path: Path) -> None:
    raw = rpm.sqlite(tmp_path / "x", [rpm.header()], table="Sources")
    assert (listed(raw), troubles(raw)) == ([], ["rpmdb unreadable: no table Packages"])


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (16, struct.pack(">H", 0), "pages of 0 bytes"),
        (16, struct.pack(">H", 300), "pages of 300 bytes"),
        (20, b"\xff", "255 of them reserved"),
        (56, struct.pack(">I", 2), "a text encoding"),
        (100, b"\x02", "page 1 is no page of a table"),
        (103, b"\xff\xff", "page 1 is damaged"),
    ],
)
def test_sqlite_headers_that_lie(at: int, value: bytes, reason: str, tmp_path: Path) -> None:
    raw = rpm.sqlite(tmp_path / "x", [rpm.header()], page=512)
    raw = raw[:at] + value + raw[at + len(value) :]
    assert reason in troubles(raw)[0]


def tree(*pages: bytes) -> bytes:
    """A database of 512-byte pages whose table Packages begins at page 2."""
    row = bytes((6, 23, 29, 15, 1, 13)) + b"tablePackages" + b"x" + b"\2"
    cell = bytes((len(row), 1)) + row
    first = b"SQLite format 3\0" + struct.pack(">HBBBBBB", 512, 1, 1, 0, 64, 32, 32)
    first = first.ljust(56, b"\0") + struct.pack(">I", 1)
    first = first.ljust(100, b"\0") + struct.pack(">BHHHB", 13, 0, 1, 512 - len(cell), 0)
    first += struct.pack(">H", 512 - len(cell))
    return first.ljust(512 - len(cell), b"\0") + cell + b"".join(page.ljust(512, b"\0") for page in pages)


def interior(*children: int) -> bytes:
    cells = b"".join(struct.pack(">IB", child, 1) for child in children[:-1])
    pointers = b"".join(struct.pack(">H", 512 - len(cells) + 5 * index) for index in range(len(children) - 1))
    lead = struct.pack(">BHHHBI", 5, 0, len(children) - 1, 512 - len(cells), 0, children[-1]) + pointers
    return lead.ljust(512 - len(cells), b"\0") + cells


def leaf(cell: bytes) -> bytes:
    lead = struct.pack(">BHHHBH", 13, 0, 1, 512 - len(cell), 0, 512 - len(cell))
    return lead.ljust(512 - len(cell), b"\0") + cell


def row(content: bytes) -> bytes:
    record = bytes((4, 0, 0x80 | (12 + 2 * len(content)) >> 7, (12 + 2 * len(content)) & 0x7F)) + content
    return bytes((0x80 | len(record) >> 7, len(record) & 0x7F, 1)) + record


def test_sqlite_a_tree_made_by_hand() -> None:
    raw = tree(interior(3, 4), leaf(row(rpm.header("a"))), leaf(row(rpm.header("b"))))
    assert ([name for name, _, _ in listed(raw)], troubles(raw)) == (["a", "b"], [])


def test_sqlite_pages_in_a_circle() -> None:
    raw = tree(interior(3, 2, 3), leaf(row(rpm.header("a"))))
    assert [name for name, _, _ in listed(raw)] == ["a"]
    assert {trouble.partition(": ")[2] for trouble in troubles(raw)} == {"page 2 is used twice", "page 3 is used twice"}


def test_sqlite_an_overflow_chain_in_a_circle() -> None:
    # A record of 2^28 bytes: 39 in the cell, the others in a page that names itself.
    cell = b"\x81\x80\x80\x80\x00\x01" + bytes(460) + struct.pack(">I", 3)
    assert troubles(tree(leaf(cell), struct.pack(">I", 3)))[0].startswith("rpmdb unreadable: page")


def test_sqlite_a_tree_that_is_too_deep() -> None:
    raw = tree(*(interior(number + 1) for number in range(2, 40)), leaf(row(rpm.header("a"))))
    assert troubles(raw) == ["rpmdb unreadable: page 21 lies too deep"]


def test_sqlite_cells_that_share_their_bytes() -> None:
    """Half a million of them on a few pages: nothing is read twice."""
    lead = struct.pack(">BHHHB", 13, 0, 250, 508, 0) + struct.pack(">H", 508) * 250
    raw = tree(interior(*range(3, 60)), *(lead + b"\x85\0\1\0" for _ in range(60)))
    began = time.monotonic()
    assert len(troubles(raw)) == 57 * 250
    assert time.monotonic() - began < 2


# ndb.


def test_ndb_slots_beyond_the_first_page() -> None:
    headers = [rpm.header(f"p{number}") for number in range(300)]
    raw = rpm.ndb(headers, pages=2)
    assert len(listed(raw)) == 300
    assert troubles(raw) == []


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (32, b"Slit", "a slot without its mark at byte 32"),
        (40, struct.pack("<I", 0xFFFFFFFF), "entry 1 lies beyond the end"),
        (40, struct.pack("<I", 0), "entry 1 overlaps another"),
        (44, struct.pack("<I", 0xFFFFFFFF), "entry 2 overlaps another"),
        (44, struct.pack("<I", 1), "entry 1 lies beyond the end"),
        (4096, b"BlbX", "entry 1 is damaged"),
        (4100, struct.pack("<I", 7), "entry 1 is damaged"),
        (4108, struct.pack("<I", 0xFFFFFFFF), "entry 1 is damaged"),
    ],
)
def test_ndb_entries_that_lie(at: int, value: bytes, reason: str) -> None:
    raw = rpm.ndb([rpm.header("a"), rpm.header("b")])
    raw = raw[:at] + value + raw[at + len(value) :]
    assert any(reason in trouble for trouble in troubles(raw)), troubles(raw)


def test_ndb_a_thousand_slots_for_one_blob() -> None:
    one = rpm.header("a", padding=1 << 20)
    raw = bytearray(rpm.ndb([one], pages=16))
    for number in range(2, 4000):
        raw[16 + 16 * number : 32 + 16 * number] = struct.pack("<4sI", b"Slot", number) + raw[40:48]
    began = time.monotonic()
    assert listed(bytes(raw)) == [("a", "5.1.8-6.el9", "x86_64")]
    assert len(troubles(bytes(raw))) == 3998
    assert time.monotonic() - began < 2


# Berkeley DB.


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("page", [512, 4096, 65536])
def test_bdb_pages_of_any_size_and_order(page: int, order: str) -> None:
    raw = rpm.bdb(MANY, page=page, order=order, per_page=2)
    assert (listed(raw), troubles(raw)) == (LISTED, [])


def test_bdb_values_on_their_page_and_off_it() -> None:
    raw = rpm.bdb([rpm.header("small"), rpm.header("large", padding=10_000)])
    assert [name for name, _, _ in listed(raw)] == ["large", "small"]


def test_bdb_a_bucket_of_zeros_is_missed() -> None:
    """It looks like a bucket that was never used; the pages that it led to tell."""
    raw = rpm.bdb([rpm.header(f"p{number}", padding=9000) for number in range(4)], per_page=2)
    damaged = raw[: 2 * 4096] + bytes(4096) + raw[3 * 4096 :]
    assert [name for name, _, _ in listed(damaged)] == ["p2", "p3"]
    assert troubles(damaged) == ["rpmdb unreadable: 6 pages of data to which no entry leads"]


def test_bdb_zeros_after_the_first_page() -> None:
    raw = rpm.bdb([rpm.header("a")])
    assert troubles(raw[:4096] + bytes(len(raw) - 4096)) == [
        "rpmdb unreadable: no page of entries, which even an empty database has"
    ]


def test_bdb_a_chain_in_a_circle() -> None:
    raw = bytearray(rpm.bdb([rpm.header("a", padding=9000), rpm.header("b")]))
    raw[3 * 4096 + 16 : 3 * 4096 + 20] = struct.pack("<I", 3)
    assert [name for name, _, _ in listed(bytes(raw))] == ["b"]
    assert "page 3, which belongs to another or to itself" in troubles(bytes(raw))[0]


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (20, struct.pack("<I", 0), "states pages of 0 bytes"),
        (20, struct.pack("<I", 5000), "states pages of 5000 bytes"),
        (24, b"\1", "encrypted, checksummed or partitioned"),
        (25, b"\x09", "a first page of type 9"),
        (26, b"\1", "encrypted, checksummed or partitioned"),
        (32, struct.pack("<I", 900), "pages of 901"),
        (2 * 4096 + 8, struct.pack("<I", 7), "page 2 is damaged"),
        (2 * 4096 + 20, struct.pack("<H", 3), "page 2 is damaged"),
        (2 * 4096 + 20, struct.pack("<H", 65534), "page 2 is damaged"),
        (2 * 4096 + 26, struct.pack("<H", 65535), "page 2 is damaged"),
        (2 * 4096 + 28, struct.pack("<H", 4095), "page 2 is damaged"),
        (3 * 4096 + 16, struct.pack("<I", 77), "page 77, which is not there"),
        (3 * 4096 + 22, struct.pack("<H", 0), "page 3, which is damaged"),
        (3 * 4096 + 25, b"\0", "page 3, which is damaged"),
    ],
)
def test_bdb_pages_that_lie(at: int, value: bytes, reason: str) -> None:
    raw = rpm.bdb([rpm.header("a", padding=9000), rpm.header("b")])
    raw = raw[:at] + value + raw[at + len(value) :]
    assert any(reason in trouble for trouble in troubles(raw)), troubles(raw)


def test_bdb_an_item_of_another_type() -> None:
    raw = bytearray(rpm.bdb([rpm.header("a", padding=9000)]))
    (offset,) = struct.unpack_from("<H", raw, 2 * 4096 + 28)
    raw[2 * 4096 + offset] = 4
    assert troubles(bytes(raw))[0] == "rpmdb unreadable: page 2 holds an item of type 4"


# Limits.


def test_time_and_memory_are_linear(made: Maker) -> None:
    raw = made([rpm.header(f"p{number}", padding=40_000) for number in range(250)])
    assert len(raw) > 10_000_000
    tracemalloc.start()
    began = time.monotonic()
    assert sum(package is not None for package, _ in parse(raw)) == 250
    took = time.monotonic() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 2
    assert peak < 2_000_000
