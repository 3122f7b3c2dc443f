"""``/etc/ld.so.cache``: which libraries the dynamic linker finds by name (ldconfig(8); glibc, ``dl-cache.h``)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

PATH = "/etc/ld.so.cache"

_OLD = b"ld.so-1.7.0"
_OLD_HEADER = 16
"""The magic number, padded, and the count of entries."""
_OLD_ENTRY = 12
_NEW = b"glibc-ld.so.cache1.1"
_NEW_HEADER = 48
_NEW_ENTRY = 24
_STRING_LIMIT = 4096


class CacheEntry(Struct, frozen=True):
    """One library."""

    name: str
    path: str
    flags: int
    """Which kind of object: C library and machine."""
    hwcap: int
    """0, or a mark that only some processors may use it."""


def paths_of(raw: bytes, name: str) -> list[str]:
    """Where a library is, by a cache that begins with its least significant byte."""
    return [entry.path for entry in parse(raw) if entry.name == name]


def parse(raw: bytes, order: Literal["<", ">"] = "<") -> Iterator[CacheEntry]:
    """The entries in the order of the file; none where it is no such cache, or of another byte order."""
    start = _start(raw, order)
    if start is None:
        return
    cache = raw[start:]
    (count,) = struct.unpack_from(order + "I", cache, len(_NEW))
    for at in range(_NEW_HEADER, min(_NEW_HEADER + count * _NEW_ENTRY, len(cache) - _NEW_ENTRY + 1), _NEW_ENTRY):
        flags, key, value, _, hwcap = struct.unpack_from(order + "iIIIQ", cache, at)
        name, path = _string(cache, key), _string(cache, value)
        if name and path:
            yield CacheEntry(name, path, flags, hwcap)


def _start(raw: bytes, order: Literal["<", ">"]) -> int | None:
    """Where the cache in the new form begins: at once, or behind one in the old form."""
    start = 0
    if raw.startswith(_OLD) and len(raw) >= _OLD_HEADER:
        (count,) = struct.unpack_from(order + "I", raw, _OLD_HEADER - 4)
        start = (_OLD_HEADER + count * _OLD_ENTRY + 7) & ~7
    if raw[start : start + len(_NEW)] != _NEW or len(raw) < start + _NEW_HEADER:
        return None
    return start


def _string(cache: bytes, at: int) -> str:
    """A string of the cache; empty where it has no end."""
    end = cache.find(b"\0", at, at + _STRING_LIMIT)
    return cache[at:end].decode("latin-1") if end >= 0 else ""
