"""rpm's own container, ``Packages.db`` (rpm, ``lib/backend/ndb/rpmpkg.c``).

Little-endian. A header of 32 bytes; slots of 16 bytes, which fill the first pages and say where each blob is,
counted in blocks of 16 bytes; the blobs, each between a head and a tail.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MAGIC, _SLOT, _HEAD, _TAIL = b"RpmP", b"Slot", b"BlbS", b"BlbE"
_VERSION = 0
_PAGE, _BLOCK, _LEAD = 4096, 16, 32
_HEAD_SIZE, _TAIL_SIZE = 16, 12
_MOST_PAGES = 512
"""Pages of slots that are still believed: room for 130,000 packages."""


def matches(raw: bytes) -> bool:
    """Whether the bytes begin as such a container does."""
    return raw.startswith(_MAGIC)


def headers(raw: bytes) -> Iterator[bytes | str]:
    """Each header, or what is wrong in its place."""
    if len(raw) < _LEAD:
        yield "the file ends in its header"
        return
    version, _, pages = struct.unpack_from("<III", raw, 4)
    if version != _VERSION or not 0 < pages <= _MOST_PAGES:
        yield f"a header of version {version} with {pages} pages of slots"
        return
    end = pages * _PAGE
    slots: list[tuple[int, int, int]] = []
    # Whole slots: what is left of one at the end of a file that was cut says nothing.
    table = raw[_LEAD : min(end, len(raw) - len(raw) % _BLOCK)]
    for magic, number, start, blocks in struct.iter_unpack("<4sIII", table):
        if magic != _SLOT:
            yield f"a slot without its mark at byte {_LEAD + _BLOCK * len(slots)}"
            return
        slots.append((start * _BLOCK, blocks * _BLOCK, number))
    if end > len(raw):
        yield f"the file ends among its {pages} pages of slots"
    last = end
    for start, size, number in sorted(slot for slot in slots if slot[2]):
        # Blobs never overlap: otherwise a small file could stand for any amount of data.
        if start < last:
            yield f"entry {number} overlaps another"
            continue
        last = start + size
        yield _blob(raw[start : start + size], size, number)


def _blob(blob: bytes, size: int, number: int) -> bytes | str:
    """The header between head and tail.

    The checksum in the tail (Adler-32) is not compared: on its way here, credentials in URLs are masked.
    """
    if len(blob) < max(size, _HEAD_SIZE + _TAIL_SIZE):
        return f"entry {number} lies beyond the end of the file"
    magic, owner, _, length = struct.unpack_from("<4sIII", blob)
    _, repeated, mark = struct.unpack_from("<II4s", blob, len(blob) - _TAIL_SIZE)
    if (magic, mark, owner) != (_HEAD, _TAIL, number) or length != repeated or length > size - _HEAD_SIZE - _TAIL_SIZE:
        return f"entry {number} is damaged"
    return blob[_HEAD_SIZE : _HEAD_SIZE + length]
