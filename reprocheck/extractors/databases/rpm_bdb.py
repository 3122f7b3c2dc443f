"""Berkeley DB's hash files, ``Packages`` (Berkeley DB, ``dbinc/db_page.h``).

Pages of one size, in the byte order of the machine that wrote them. Page 0 describes the file. Hash pages hold
keys and values in turn; a value that is too long for a page stands in a chain of overflow pages.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MAGIC = 0x00061561
_META_SIZE = 512
_HASH_META = 8
_HASH, _HASH_UNSORTED, _OVERFLOW = 13, 2, 7
_INLINE, _OFF_PAGE = 1, 3
_PAGE_HEADER = 26
_OFF_PAGE_SIZE = 12
_SMALLEST, _LARGEST = 512, 1 << 16
_FIRST_KEY = 4
"""Bytes of a key: the number of the header. The entry with the key 0 holds the highest number given so far."""


def matches(raw: bytes) -> bool:
    """Whether the bytes begin as such a file does."""
    return _order(raw) is not None


def _order(raw: bytes) -> str | None:
    for order in "<>":
        if raw[12:16] == struct.pack(f"{order}I", _MAGIC):
            return order
    return None


def headers(raw: bytes) -> Iterator[bytes | str]:
    """Each header, or what is wrong in its place."""
    order = _order(raw)
    if order is None or len(raw) < _META_SIZE:
        yield "the file ends in its first page"
        return
    size, encryption, kind, flags = struct.unpack_from(f"{order}IBBB", raw, 20)
    (last,) = struct.unpack_from(f"{order}I", raw, 32)
    if kind != _HASH_META or not _SMALLEST <= size <= _LARGEST or size & (size - 1):
        yield f"a first page of type {kind} that states pages of {size} bytes"
        return
    if encryption or flags:
        yield "pages that are encrypted, checksummed or partitioned, which rpm never makes"
        return
    pages = _Pages(raw, order, size)
    buckets = [number for number in range(1, pages.count) if pages.kind(number) in {_HASH, _HASH_UNSORTED}]
    for number in buckets:
        yield from pages.values(number)
    if not buckets:
        yield "no page of entries, which even an empty database has"
    if last >= pages.count:
        yield f"the file has {pages.count} pages of {last + 1}"
    if lost := pages.lost():
        # A bucket that was overwritten takes its entries with it, and no count says how many there were.
        yield f"{lost} pages of data to which no entry leads"


class _Pages:
    def __init__(self, raw: bytes, order: str, size: int) -> None:
        self._raw, self._order, self._size = raw, order, size
        self.count = len(raw) // size
        self._taken: set[int] = set()

    def kind(self, number: int) -> int:
        return self._raw[number * self._size + 25]

    def lost(self) -> int:
        """How many overflow pages no chain has reached."""
        return sum(
            self.kind(number) == _OVERFLOW and number not in self._taken and self._header(number)[3] > 0
            for number in range(1, self.count)
        )

    def _header(self, number: int) -> tuple[int, int, int, int]:
        """Own number, next page, entries, bytes in use."""
        own, _, following, entries, used = struct.unpack_from(f"{self._order}IIIHH", self._raw, number * self._size + 8)
        return own, following, entries, used

    def values(self, number: int) -> Iterator[bytes | str]:
        """The value of each pair on a hash page."""
        own, _, entries, _ = self._header(number)
        page = self._raw[number * self._size : (number + 1) * self._size]
        if own != number or entries % 2 or _PAGE_HEADER + 2 * entries > self._size:
            yield f"page {number} is damaged"
            return
        offsets = struct.unpack_from(f"{self._order}{entries}H", page, _PAGE_HEADER)
        end = self._size
        items = []
        for offset in offsets:
            # An item reaches to the one before it, so they never overlap.
            if not _PAGE_HEADER + 2 * entries <= offset < end:
                yield f"page {number} is damaged"
                return
            items.append(page[offset:end])
            end = offset
        for key, value in zip(items[::2], items[1::2], strict=True):
            if key[1:] != bytes(_FIRST_KEY):
                yield self._value(number, value)

    def _value(self, number: int, item: bytes) -> bytes | str:
        if item[0] == _INLINE:
            return item[1:]
        if item[0] != _OFF_PAGE or len(item) < _OFF_PAGE_SIZE:
            return f"page {number} holds an item of type {item[0]}"
        at, length = struct.unpack_from(f"{self._order}II", item, 4)
        return self._chain(at, length)

    def _chain(self, at: int, length: int) -> bytes | str:
        pieces, missing = [], length
        while missing > 0:
            if not 0 < at < self.count:
                return f"a value goes on at page {at}, which is not there"
            if at in self._taken:
                return f"a value goes on at page {at}, which belongs to another or to itself"
            own, following, _, used = self._header(at)
            if self.kind(at) != _OVERFLOW or own != at or not 0 < used <= self._size - _PAGE_HEADER:
                return f"a value goes on at page {at}, which is damaged"
            self._taken.add(at)
            start = at * self._size + _PAGE_HEADER
            pieces.append(self._raw[start : start + used])
            missing -= used
            at = following
        return b"".join(pieces)[:length]
