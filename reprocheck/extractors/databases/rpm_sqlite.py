"""The table ``Packages`` of ``rpmdb.sqlite`` (SQLite, "Database File Format").

A small reader of its own, since the ``sqlite3`` module opens bytes without a file from Python 3.11 on only, and
since it decides by itself how much of a hostile file it reads. Each page is read once at most: no file makes it
read more than it has.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

_MAGIC = b"SQLite format 3\0"
_LEAD = 100
_TABLE_INTERIOR, _TABLE_LEAF = 0x05, 0x0D
_UTF8 = 1
_TABLE = b"packages"
_BLOB_COLUMN, _ROOT_COLUMN = 1, 3
"""rpm's schema: ``(hnum INTEGER PRIMARY KEY, blob BLOB)``; the schema table: type, name, tbl_name, rootpage, sql."""
_VARINT = 9
_NUMBERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8}
"""Bytes of the numeric serial types; those of 0, 8, 9, 10 and 11 have none."""
_FIRST_BLOB = 12
_MOST_DEPTH = 20
"""Of a table's pages; SQLite itself goes no deeper."""


class _DamageError(ValueError):
    """What is wrong, in words."""


def matches(raw: bytes) -> bool:
    """Whether the bytes begin as such a file does."""
    return raw.startswith(_MAGIC)


def headers(raw: bytes) -> Iterator[bytes | str]:
    """Each header, or what is wrong in its place."""
    try:
        file = _File(raw)
    except _DamageError as error:
        yield str(error)
        return
    root = None
    for row in file.rows(1):
        if isinstance(row, str):
            yield row
            continue
        try:
            kind, name, _, page, *_ = _columns(row, _ROOT_COLUMN + 1)
        except _DamageError as error:
            yield str(error)
            continue
        if kind == b"table" and name.lower() == _TABLE:
            root = int.from_bytes(page, "big")
    if root is None:
        yield "no table Packages"
        return
    for row in file.rows(root):
        if isinstance(row, str):
            yield row
            continue
        try:
            yield _columns(row, _BLOB_COLUMN + 1)[_BLOB_COLUMN]
        except _DamageError as error:
            yield str(error)


class _File:
    def __init__(self, raw: bytes) -> None:
        if len(raw) < _LEAD:
            raise _DamageError("the file ends in its header")
        size, _, _, reserved = struct.unpack_from(">HBBB", raw, 16)
        (encoding,) = struct.unpack_from(">I", raw, 56)
        # 1 stands for 65536, which two bytes can't hold.
        self._size: int = 1 << 16 if size == 1 else size
        if self._size < 512 or self._size & (self._size - 1) or self._size - reserved < 480:  # noqa: PLR2004 - limits of the format
            raise _DamageError(f"a header that states pages of {self._size} bytes, {reserved} of them reserved")
        if encoding not in {0, _UTF8}:
            raise _DamageError(f"a text encoding that rpm never uses ({encoding})")
        self._raw = raw
        self._usable: int = self._size - reserved
        self._taken: set[int] = set()

    def rows(self, root: int) -> Iterator[bytes | str]:
        """The record of each row of a table, in order."""
        pages = [(root, 1)]
        while pages:
            number, depth = pages.pop()
            try:
                page = self._page(number)
                kind, pointers = _cells(page, _LEAD if number == 1 else 0, number)
            except _DamageError as error:
                yield str(error)
                continue
            if kind == _TABLE_INTERIOR and depth < _MOST_DEPTH:
                pages += [(int.from_bytes(page[at : at + 4], "big"), depth + 1) for at in reversed(pointers)]
            elif kind == _TABLE_INTERIOR:
                yield f"page {number} lies too deep"
            else:
                # A cell reaches to the next one at most: a small page can't stand for any amount of data.
                for at, end in itertools.pairwise([*sorted(pointers), len(page)]):
                    yield self._row(page[at:end], number)

    def _page(self, number: int) -> bytes:
        if number in self._taken:
            raise _DamageError(f"page {number} is used twice")
        self._taken.add(number)
        start = (number - 1) * self._size
        page = self._raw[start : start + self._size] if number > 0 else b""
        if len(page) < self._size:
            raise _DamageError(f"page {number} lies beyond the end of the file")
        return page[: self._usable]

    def _row(self, cell: bytes, number: int) -> bytes | str:
        """The record of one cell, its overflow pages included."""
        try:
            size, start = _varint(cell, 0)
            _, start = _varint(cell, start)
            local = self._local(size)
            if start + local > len(cell):
                return f"page {number} is damaged"
            return self._record(cell[start:], local, size)
        except _DamageError as error:
            return str(error)

    def _local(self, size: int) -> int:
        """How many bytes of a record stand in its cell; the others stand in overflow pages."""
        most = self._usable - 35
        if size <= most:
            return size
        least = (self._usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (self._usable - 4)
        return local if local <= most else least

    def _record(self, cell: bytes, local: int, size: int) -> bytes:
        pieces = [cell[:local]]
        missing, following = size - local, cell[local : local + 4]
        while missing > 0:
            page = self._page(int.from_bytes(following, "big"))
            pieces.append(page[4 : 4 + missing])
            missing, following = missing - len(page) + 4, page[:4]
        return b"".join(pieces)


def _cells(page: bytes, start: int, number: int) -> tuple[int, list[int]]:
    """Type of a page of a table, and where its cells (of an interior page: the numbers of its children) begin."""
    kind = page[start]
    if kind not in {_TABLE_INTERIOR, _TABLE_LEAF}:
        raise _DamageError(f"page {number} is no page of a table")
    first = start + (12 if kind == _TABLE_INTERIOR else 8)
    (count,) = struct.unpack_from(">H", page, start + 3)
    if first + 2 * count > len(page):
        raise _DamageError(f"page {number} is damaged")
    pointers = list(struct.unpack_from(f">{count}H", page, first))
    if kind == _TABLE_INTERIOR:
        pointers.append(start + 8)  # the right-most child stands in the page's header
    if any(at + 4 > len(page) for at in pointers):
        raise _DamageError(f"page {number} is damaged")
    return kind, pointers


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, high bits first, and where it ends."""
    value = 0
    for length, byte in enumerate(data[at : at + _VARINT], start=1):
        if length == _VARINT:
            return value << 8 | byte, at + length
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follow
            return value, at + length
    raise _DamageError("a number that does not end")


def _columns(record: bytes, count: int) -> list[bytes]:
    """The first columns of a record, as bytes."""
    end, at = _varint(record, 0)
    start = end
    columns: list[bytes] = []
    while len(columns) < count:
        if at >= end:
            raise _DamageError(f"a row of {len(columns)} columns")
        serial, at = _varint(record, at)
        size = _NUMBERS.get(serial, 0) if serial < _FIRST_BLOB else (serial - _FIRST_BLOB) // 2
        if start + size > len(record):
            raise _DamageError("a row that is shorter than it states")
        columns.append(record[start : start + size])
        start += size
    return columns
