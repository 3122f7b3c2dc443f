"""One header of an rpm database (rpm, "RPM V4 Package format", section Header).

Here it stands without the magic number that it has in a package file: the number of index entries, the
length of the data (both big-endian), the entries of 16 bytes (tag, type, offset, count), the data.
"""

from __future__ import annotations

import struct

from reprocheck.model.snapshot import OsPackage
from reprocheck.model.text import escape

_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH = 1000, 1001, 1002, 1003, 1022
_WANTED = frozenset({_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH})
_INT32, _STRING = 4, 6
_LEAD = struct.Struct(">II")
_ENTRY = struct.Struct(">IIII")
_KEYS = "gpg-pubkey"
"""Name of the entries under which rpm keeps imported keys. No package: nothing was installed."""


def parse_header(blob: bytes) -> OsPackage | None:
    """The package, its version as ``[EPOCH:]VERSION-RELEASE``; ``None`` for an imported key.

    Raises:
        ValueError: damaged.
    """
    if len(blob) < _LEAD.size:
        raise ValueError("a header of less than 8 bytes")
    entries, length = _LEAD.unpack_from(blob)
    start = _LEAD.size + entries * _ENTRY.size
    if start + length > len(blob):
        raise ValueError(f"a header that states {start + length} bytes and has {len(blob)}")
    found: dict[int, tuple[int, int]] = {}
    for tag, kind, offset, _ in _ENTRY.iter_unpack(blob[_LEAD.size : start]):
        if tag in _WANTED:
            found.setdefault(tag, (kind, offset))
    data = blob[start : start + length]
    name = _text(data, found, _NAME)
    if not name:
        raise ValueError("a header without a name")
    if name == _KEYS:
        return None
    version, release = _text(data, found, _VERSION), _text(data, found, _RELEASE)
    if not version or not release:
        raise ValueError(f"{name} has no {'release' if version else 'version'}")
    epoch = _number(data, found)
    return OsPackage(
        manager="rpm",
        name=name,
        version=f"{version}-{release}" if epoch is None else f"{epoch}:{version}-{release}",
        architecture=_text(data, found, _ARCH),
    )


def _text(data: bytes, found: dict[int, tuple[int, int]], tag: int) -> str:
    kind, offset = found.get(tag, (_STRING, len(data)))
    if kind != _STRING:
        raise ValueError(f"a header whose tag {tag} is no string")
    end = data.find(b"\0", offset)
    # A tag that is not there ends where it begins; so does one whose string never ends.
    return escape(data[offset : max(end, offset)])


def _number(data: bytes, found: dict[int, tuple[int, int]]) -> int | None:
    if _EPOCH not in found:
        return None
    kind, offset = found[_EPOCH]
    if kind != _INT32 or offset + 4 > len(data):
        raise ValueError("a header whose epoch is no number")
    return int.from_bytes(data[offset : offset + 4], "big")
