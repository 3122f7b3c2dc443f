from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.layers.blob import BlobError, Held, OpenFile, ReopenedFile, Source, Window, drain


class Dribble:
    """Gives one byte a call, as a source may."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def pread(self, length: int, offset: int, /) -> bytes:
        return self.content[offset : offset + min(length, 1)]


@pytest.mark.parametrize("kind", [Held, Dribble])
@given(content=st.binary(max_size=40), numbers=st.tuples(*[st.integers(0, 50)] * 4))
def test_a_window_is_a_slice(kind: type[Held | Dribble], content: bytes, numbers: tuple[int, int, int, int]) -> None:
    start, size, offset, length = numbers
    start = min(start, len(content))
    size = min(size, len(content) - start)
    window = Window(kind(content), start, size)
    assert window.size == size
    assert window.read_at(offset, length) == content[start : start + size][offset : offset + length]


def test_a_window_of_a_window_stays_inside() -> None:
    window = Window(Held(b"0123456789"), 2, 6).sub(1, 3)
    assert window.read_at(0, 99) == b"345"
    assert window.sub(3, 0).read_at(0, 1) == b""
    for offset, length in ((0, 4), (3, 1), (-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="do not lie inside of 3"):
            window.sub(offset, length)


@pytest.mark.parametrize("numbers", [(-1, 1), (1, -1)])
def test_what_is_no_range_is_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no range"):
        Window(Held(b"abc"), *numbers)
    with pytest.raises(ValueError, match="no range"):
        Window(Held(b"abc"), 0, 3).read_at(*numbers)


def sources(path: Path) -> tuple[list[Source], int]:
    descriptor = os.open(path, os.O_RDONLY)
    return [OpenFile(descriptor), ReopenedFile(lambda: os.open(path, os.O_RDONLY))], descriptor


def test_files_are_read_in_place_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"0123456789")
    both, descriptor = sources(path)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    for source in both:
        window = Window(source, 2, 6)
        reader = window.reader()
        assert [reader.read(4), reader.read(4), reader.read(4)] == [b"2345", b"67", b""]
        assert window.read_at(1, 2) == b"34"
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
    os.close(descriptor)


def test_a_file_that_shrinks_is_an_error_and_no_end(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"0123456789")
    both, descriptor = sources(path)
    path.write_bytes(b"0123")
    for source in both:
        with pytest.raises(BlobError, match="ends at byte 4, 4 bytes early") as caught:
            drain(Window(source, 2, 6).reader())
        assert str(caught.value).startswith("ends at byte 4")
    os.close(descriptor)


def test_errors_of_the_system_come_through(tmp_path: Path) -> None:
    window = Window(ReopenedFile(lambda: os.open(tmp_path / "gone", os.O_RDONLY)), 0, 4)
    with pytest.raises(FileNotFoundError):
        window.read_at(0, 4)
