"""ELF files in a few words, for tests (System V ABI, chapters 4 and 5)."""

from __future__ import annotations

import struct

X86_64 = 62
_TAGS = {"needed": 1, "soname": 14, "rpath": 15, "runpath": 29}


def shared_object(
    *needed: str,
    soname: str | None = None,
    rpath: str | None = None,
    runpath: str | None = None,
    interpreter: str | None = None,
    flags_1: int = 0,
    bits: int = 64,
    order: str = "<",
    machine: int = X86_64,
    before_strings: int = 0,
) -> bytes:
    """A shared object, or with an interpreter a program, that holds nothing but what the dynamic linker is told.

    ``before_strings``: bytes between the headers and the strings, as in large libraries.
    """
    wide = bits == 64
    header, segment, pair = (64, 56, "QQ") if wide else (52, 32, "II")
    strings, entries = b"\0", []

    def add(tag: str, value: str) -> None:
        nonlocal strings
        entries.append((_TAGS[tag], len(strings)))
        strings += value.encode("latin-1") + b"\0"

    for name in needed:
        add("needed", name)
    for tag, value in (("soname", soname), ("rpath", rpath), ("runpath", runpath)):
        if value is not None:
            add(tag, value)
    program = (interpreter or "").encode() + b"\0"
    count = 3 if interpreter else 2
    interpreter_at = header + count * segment
    strings_at = interpreter_at + (len(program) if interpreter else 0) + before_strings
    dynamic_at = (strings_at + len(strings) + 7) & ~7
    # Addresses are not offsets: a reader that takes one for the other fails.
    base = 0x400000
    entries += [(5, base + strings_at), (10, len(strings)), (0x6FFFFFFB, flags_1), (0, 0)]
    dynamic = b"".join(struct.pack(order + pair, *entry) for entry in entries)
    end = dynamic_at + len(dynamic)
    segments: list[tuple[int, int, int]] = [(1, 0, end), (2, dynamic_at, len(dynamic))]
    if interpreter:
        segments.insert(0, (3, interpreter_at, len(program)))
    raw = ident(bits, order) + _header(order, machine, header, segment, count, wide=wide)
    raw += b"".join(_segment(order, kind, at, base + at, size, wide=wide) for kind, at, size in segments)
    raw += program if interpreter else b""
    return (raw + b"\0" * before_strings + strings).ljust(dynamic_at, b"\0") + dynamic


def ident(bits: int = 64, order: str = "<") -> bytes:
    """The first 16 bytes."""
    return b"\x7fELF" + bytes([2 if bits == 64 else 1, 1 if order == "<" else 2, 1]) + b"\0" * 9


def _header(order: str, machine: int, header: int, segment: int, count: int, *, wide: bool) -> bytes:
    kind = order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")
    return struct.pack(kind, 3, machine, 1, 0, header, 0, 0, header, segment, count, 0, 0, 0)


def _segment(order: str, kind: int, at: int, address: int, size: int, *, wide: bool) -> bytes:
    if wide:
        return struct.pack(order + "IIQQQQQQ", kind, 4, at, address, address, size, size, 8)
    return struct.pack(order + "IIIIIIII", kind, at, address, address, size, size, 4, 4)


def cache(*entries: tuple[str, str] | tuple[str, str, int], old: bool = False, flags: int = 0x0303) -> bytes:
    """An ``ld.so.cache`` with names and paths (glibc, ``dl-cache.h``); ``old``: behind one in the old form."""
    rows, strings = [], b""
    start = 48 + 24 * len(entries)
    for name, path, *hwcap in entries:
        at = start + len(strings)
        strings += name.encode() + b"\0" + path.encode() + b"\0"
        rows.append(struct.pack("<iIIIQ", flags, at, at + len(name) + 1, 0, *(hwcap or [0])))
    raw = b"glibc-ld.so.cache1.1" + struct.pack("<IIBBBBIIII", len(entries), len(strings), 2, 0, 0, 0, 0, 0, 0, 0)
    raw += b"".join(rows) + strings
    before = b"ld.so-1.7.0\0" + struct.pack("<I", 1) + struct.pack("<iII", 0x0303, 0, 0)
    return before.ljust((len(before) + 7) & ~7, b"\0") + raw if old else raw
