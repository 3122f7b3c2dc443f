from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.layers.blob import BlobError, Reader
from reprocheck.layers.compression import Compression, decompressed, sniff

CONTENT = b"".join(b"%d lines of a layer\n" % number for number in range(3000))


def zstd(content: bytes, *, checksum: bool = True, size: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=size).compress(content)


def skippable(content: bytes) -> bytes:
    return b"\x53\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content


PACK: dict[Compression, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
BOTH = pytest.mark.parametrize("kind", PACK)


class Dribble:
    """Gives a few bytes a call, however many are asked for."""

    def __init__(self, content: bytes, step: int) -> None:
        self.source = BytesIO(content)
        self.step = step

    def read(self, length: int, /) -> bytes:
        return self.source.read(min(length, self.step))


def whole(reader: Reader, step: int = 1 << 20) -> bytes:
    pieces = []
    while piece := reader.read(step):
        assert len(piece) <= step
        pieces.append(piece)
    assert not reader.read(step), "what has ended stays ended"
    return b"".join(pieces)


def unpack(stored: bytes, kind: Compression, notes: list[str] | None = None) -> bytes:
    source = BytesIO(stored)
    content = whole(decompressed(source, kind, (notes if notes is not None else []).append))
    assert source.tell() == len(stored), "the source is read to its end"
    return content


@pytest.fixture(params=["fast", "standard"])
def gzip_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "standard":
        monkeypatch.setitem(sys.modules, "isal.igzip_lib", None)
    return str(request.param)


def test_gzip_is_unpacked_with_and_without_isal(gzip_library: str) -> None:
    assert unpack(gzip.compress(CONTENT), "gzip") == CONTENT
    with pytest.raises(BlobError) as caught:
        unpack(b"\x1f\x8b\x08garbage that is no stream at all", "gzip")
    assert isinstance(caught.value.__cause__, zlib.error) == (gzip_library == "standard")


@BOTH
def test_told_by_the_first_bytes(kind: Compression) -> None:
    assert sniff(PACK[kind](CONTENT)) == kind
    assert sniff(PACK[kind](b"")) == kind


@pytest.mark.parametrize("head", [b"", b"\x1f", b"BZh9 is the name of a file", b"\x28\xb5\x2f", b"PK\x03\x04", b"{}"])
def test_what_is_not_compressed(head: bytes) -> None:
    assert sniff(head) == "none"
    assert whole(decompressed(BytesIO(head), "none")) == head


@BOTH
@given(content=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=3), step=st.integers(1, 50))
def test_members_one_after_the_other_are_one_stream(
    kind: Compression, content: bytes, cuts: list[int], step: int
) -> None:
    places = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    stored = b"".join(PACK[kind](content[a:b]) for a, b in pairwise(places))
    assert whole(decompressed(Dribble(stored, step), kind), step) == content


def test_gzip_a_byte_at_a_time(gzip_library: str) -> None:  # noqa: ARG001 - a fixture
    stored = gzip.compress(CONTENT) + gzip.compress(b"estargz ends with such a member") + gzip.compress(b"")
    assert whole(decompressed(Dribble(stored, 1), "gzip"), 7) == CONTENT + b"estargz ends with such a member"


@BOTH
@pytest.mark.parametrize("part", [1, 10, 40, 60, 100, -30, -9, -1])
def test_a_cut_stream_is_an_error_that_says_where(kind: Compression, part: int) -> None:
    stored = PACK[kind](CONTENT)[:part]
    with pytest.raises(BlobError, match=rf"^the {kind} stream is cut: it ends at byte {len(stored)}$"):
        unpack(stored, kind)
    # Also where a whole member stands before it.
    before = PACK[kind](b"before")
    if len(stored) > 10:
        with pytest.raises(BlobError, match=rf"cut: it ends at byte {len(before) + len(stored)}$"):
            unpack(before + stored, kind)


@BOTH
def test_a_flipped_bit_is_an_error_or_changes_nothing(kind: Compression) -> None:
    stored = PACK[kind](CONTENT)
    errors = 0
    for position in range(0, len(stored), max(1, len(stored) // 97)):
        changed = bytearray(stored)
        changed[position] ^= 0x10
        try:
            content = unpack(bytes(changed), kind)
        except BlobError as error:
            errors += "\n" not in str(error) and f"the {kind} stream" in str(error)
        else:
            # In a time, an operating system or a name of the header.
            assert content == CONTENT
    assert errors > 60


def test_the_checksum_of_gzip_counts(gzip_library: str) -> None:  # noqa: ARG001 - a fixture
    stored = bytearray(gzip.compress(CONTENT))
    stored[-8] ^= 1
    with pytest.raises(BlobError, match=r"the gzip stream is corrupt at or before byte \d+"):
        unpack(bytes(stored), "gzip")


@pytest.mark.parametrize("kind", ["gzip", "bzip2"])
def test_what_follows_the_last_member_is_noted(kind: Compression) -> None:
    notes: list[str] = []
    stored = PACK[kind](CONTENT)
    assert unpack(stored + b"garbage" * 500_000, kind, notes) == CONTENT
    assert notes == [f"what stands behind the end of the {kind} stream, at byte {len(stored)}, is ignored"]


@pytest.mark.parametrize("kind", ["zstd", "xz"])
def test_what_follows_is_refused_where_the_tools_refuse_it(kind: Compression) -> None:
    stored = PACK[kind](CONTENT)
    with pytest.raises(BlobError, match=f"behind the end of the {kind} stream, at byte {len(stored)}, is none"):
        unpack(stored + b"garbage", kind)


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_zeros_at_the_end_mean_nothing(kind: Compression) -> None:
    notes: list[str] = []
    stored = PACK[kind](CONTENT)
    assert unpack(stored + bytes(3 << 20), kind, notes) == CONTENT
    assert unpack(stored + bytes(8) + PACK[kind](b"more"), kind, notes) == CONTENT + b"more"
    assert not notes


@pytest.mark.parametrize(
    "stored",
    [
        zstd(CONTENT, checksum=False),
        zstd(CONTENT, size=False),
        zstd(b"x" * 70_000),
        zstd(b""),
        skippable(b"") + zstd(CONTENT) + skippable(b"table of contents" * 100),
        skippable(bytes(3 << 20)) + zstd(CONTENT),
    ],
    ids=["no checksum", "no size", "one byte", "empty", "skippable", "large skippable"],
)
@pytest.mark.parametrize("step", [1 << 20, 1000, 1])
def test_frames_of_zstd(stored: bytes, step: int) -> None:
    want = zstandard.ZstdDecompressor().stream_reader(BytesIO(stored), read_across_frames=True).read()
    assert sniff(stored) == "zstd"
    assert whole(decompressed(Dribble(stored, max(step, len(stored) >> 10)), "zstd")) == want


@pytest.mark.parametrize(
    ("block", "reason"), [(7, "a block of type 3"), (3 | (1 << 18) << 3, "a block of type 1 with 262144 bytes")]
)
def test_blocks_that_zstd_does_not_have(block: int, reason: str) -> None:
    stored = b"\x28\xb5\x2f\xfd\x00\x58" + block.to_bytes(3, "little") + b"x"
    with pytest.raises(BlobError, match=reason):
        unpack(stored, "zstd")


def test_a_window_beyond_the_limit_is_refused() -> None:
    # Window_Descriptor of 2 GiB (RFC 8878, 3.1.1.1.2).
    stored = b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + (1).to_bytes(3, "little") + bytes(9)
    with pytest.raises(BlobError, match="too much memory"):
        unpack(stored, "zstd")


def test_xz_that_asks_for_much_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]
    packer = lzma.LZMACompressor(filters=filters)
    stored = packer.compress(b"x") + packer.flush()
    with pytest.raises(BlobError, match=r"the xz stream is corrupt.*[Mm]emory"):
        unpack(stored, "xz")


def bomb(kind: Compression) -> bytes:
    """A gibibyte of zeros; of bzip2, which takes a second for 50 MB, less."""
    piece = bytes(1 << 24)
    if kind == "gzip":
        packer = zlib.compressobj(1, wbits=31)
        return b"".join(packer.compress(piece) for _ in range(64)) + packer.flush()
    if kind == "zstd":
        frame = zstandard.ZstdCompressor().compressobj()
        return b"".join(frame.compress(piece) for _ in range(64)) + frame.flush()
    return PACK[kind](bytes(1 << 26))


@BOTH
def test_a_bomb_is_never_held(kind: Compression) -> None:
    stored = bomb(kind)
    tracemalloc.start()
    try:
        reader = decompressed(BytesIO(stored), kind)
        size = 0
        while piece := reader.read(1 << 20):
            assert len(piece) <= 1 << 20
            size += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size >= 1 << 26
    assert peak < 24 << 20  # xz looks back 8 MiB


def test_without_a_package_for_zstd_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression", None)
    with pytest.raises(BlobError, match=r"zstd, which nothing here unpacks; pip install 'reprocheck\[fast\]'"):
        decompressed(BytesIO(zstd(CONTENT)), "zstd")
