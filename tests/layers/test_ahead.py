from __future__ import annotations

import gc
import threading
import time
from io import BytesIO

import pytest

from reprocheck.layers.ahead import ahead
from reprocheck.layers.blob import CHUNK, BlobError


class Source:
    """Gives chunks until it breaks."""

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks
        self.given = 0
        self.threads: set[int] = set()

    def read(self, length: int, /) -> bytes:
        self.threads.add(threading.get_ident())
        if self.given == self.chunks:
            raise BlobError("broken here")
        self.given += 1
        return bytes([self.given]) * length


def test_the_same_bytes_in_the_same_order() -> None:
    content = bytes(range(256)) * 20_000
    reader = ahead(BytesIO(content))
    pieces = []
    while piece := reader.read(1000):
        pieces.append(piece)
    assert b"".join(pieces) == content
    assert reader.read(1) == b""


def test_an_error_comes_where_the_bytes_would_have_come() -> None:
    source = Source(5)
    reader = ahead(source)
    for number in range(1, 6):
        assert reader.read(CHUNK) == bytes([number]) * CHUNK
    with pytest.raises(BlobError, match="broken here"):
        reader.read(CHUNK)
    assert source.threads.isdisjoint({threading.get_ident()})


@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_it_does_not_run_away_and_its_thread_ends_with_it(how: str) -> None:
    source = Source(1000)
    reader = ahead(source)
    reader.read(1)
    deadline = time.monotonic() + 5
    while source.given < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert source.given == 3

    def running() -> bool:
        return any(thread.ident in source.threads for thread in threading.enumerate())

    assert running()
    if how == "closed":
        reader.close()
        with pytest.raises(ValueError, match="read of a closed reader"):
            reader.read(1)
    else:
        del reader
    gc.collect()
    while running() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not running()
