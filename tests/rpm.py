"""rpm headers, and the containers that rpm keeps them in, made from scratch for tests."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

STRING, INT32, BINARY = 6, 4, 7


def header(
    name: str | None = "bash",
    version: str | None = "5.1.8",
    release: str | None = "6.el9",
    *,
    epoch: int | None = None,
    arch: str | None = "x86_64",
    padding: int = 0,
) -> bytes:
    """One header, as it stands in a database; ``padding``: bytes of another tag that come first."""
    tags: list[tuple[int, int, bytes]] = [(999, BINARY, bytes(index % 251 for index in range(padding)))]
    for tag, text in ((1000, name), (1001, version), (1002, release), (1022, arch)):
        if text is not None:
            tags.append((tag, STRING, text.encode("utf-8", "surrogateescape") + b"\0"))
    if epoch is not None:
        tags.append((1003, INT32, struct.pack(">I", epoch)))
    return blob(tags)


def blob(tags: Iterable[tuple[int, int, bytes]]) -> bytes:
    """A header of any tags: number, type and data of each."""
    index, data = b"", b""
    for tag, kind, content in tags:
        index += struct.pack(">IIII", tag, kind, len(data), 1)
        data += content
    return struct.pack(">II", len(index) // 16, len(data)) + index + data


def sqlite(path: Path, headers: Iterable[bytes], *, page: int = 4096, table: str = "Packages") -> bytes:
    """What SQLite itself writes, with a second table and an index, as rpm has many."""
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA page_size = {page}")
    database.execute("CREATE TABLE 'Name' (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
    database.execute(f"CREATE TABLE '{table}' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    database.execute("CREATE INDEX Name_key_idx ON Name(key)")
    for one in headers:
        database.execute(f"INSERT INTO '{table}' (blob) VALUES (?)", (one,))
        database.execute("INSERT INTO 'Name' VALUES ('x', 1, 0)")
    database.commit()
    database.close()
    return path.read_bytes()


def ndb(headers: Iterable[bytes], *, pages: int = 1) -> bytes:
    """rpm's own container; slots in the order of the headers, unused ones after them."""
    slots, blobs = b"", b""
    for number, one in enumerate(headers, start=1):
        at = pages * 4096 + len(blobs)
        body = struct.pack("<4sIII", b"BlbS", number, 1, len(one)) + one
        body += bytes(-(len(body) + 12) % 16)
        body += struct.pack("<II4s", zlib.adler32(body), len(one), b"BlbE")
        slots += struct.pack("<4sIII", b"Slot", number, at // 16, len(body) // 16)
        blobs += body
    slots += struct.pack("<4sIII", b"Slot", 0, 0, 0) * ((pages * 4096 - 32 - len(slots)) // 16)
    return struct.pack("<4sIIII12x", b"RpmP", 0, 1, pages, 99) + slots + blobs


def bdb(headers: Sequence[bytes], *, page: int = 4096, order: str = "<", per_page: int = 3) -> bytes:
    """A hash file of Berkeley DB: small values on their page, large ones in chains of overflow pages."""
    chains: list[bytes] = []
    buckets = [headers[start : start + per_page] for start in range(0, len(headers), per_page)]
    first = 2 + len(buckets)

    def value(one: bytes) -> bytes:
        if len(one) < page // 8:
            return b"\1" + one
        at, room = first + len(chains), page - 26
        pieces = [one[start : start + room] for start in range(0, len(one), room)]
        for step, piece in enumerate(pieces):
            number = at + step
            following = number + 1 if step + 1 < len(pieces) else 0
            chains.append(_page(order, page, number, 7, len(piece), piece, following=following))
        return struct.pack(f"{order}B3xII", 3, at, len(one))

    made = [_items(order, page, 1, [b"\1" + bytes(4), b"\1" + struct.pack(f"{order}I", 99)])]
    number = 0
    for index, bucket in enumerate(buckets):
        items = []
        for one in bucket:
            number += 1
            items += [b"\1" + struct.pack(f"{order}I", number), value(one)]
        made.append(_items(order, page, 2 + index, items))
    pages = [*made, *chains]
    meta = struct.pack(f"{order}8xIIIIBBBBII", 0, 0x061561, 9, page, 0, 8, 0, 0, 0, len(pages))
    return meta.ljust(page, b"\0") + b"".join(pages)


def _items(order: str, page: int, number: int, items: Sequence[bytes]) -> bytes:
    end, offsets, content = page, [], b""
    for item in items:
        end -= len(item)
        offsets.append(end)
        content = item + content
    index = struct.pack(f"{order}{len(items)}H", *offsets)
    body = index + bytes(end - 26 - len(index)) + content
    return _page(order, page, number, 13, end, body, entries=len(items))


def _page(
    order: str, page: int, number: int, kind: int, used: int, body: bytes, *, entries: int = 1, following: int = 0
) -> bytes:
    # lsn, own number, previous, next, entries, offset of the last item or bytes in use, level, type
    lead = struct.pack(f"{order}8xIIIHHBB", number, 0, following, entries, used, 0, kind)
    return (lead + body).ljust(page, b"\0")
