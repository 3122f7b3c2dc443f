"""Databases of package managers: pure parsers, one file a format.

Each ``parse`` gives one pair an entry: the package (``None``: not installed, or not readable) and what is
odd about it (``None``: nothing). None of them raises, whatever the bytes are, and each ends in time and
memory that are linear in their number.
"""

from __future__ import annotations

from collections.abc import Iterator

from reprocheck.model.snapshot import OsPackage

Found = tuple[OsPackage | None, str | None]


def paragraphs(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Line number and text of each run of lines between blank ones, one at a time: there may be millions."""
    line, start = 1, 0
    while start < len(raw):
        end = raw.find(b"\n\n", start)
        end = len(raw) if end < 0 else end
        block = raw[start:end]
        if block.strip():
            yield line, block
        line += block.count(b"\n") + 2
        start = end + 2


def cut_line(raw: bytes) -> str | None:
    """What is odd about the end of a text file, if anything is."""
    if not raw.strip() or raw.endswith(b"\n"):
        return None
    return f"line {raw.count(bytes([10])) + 1}: the file ends in the middle of a line"
