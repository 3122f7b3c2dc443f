"""What the layer cache keeps of a file: as many bytes as it has, and no credential among them.

Evidence of what is kept is the evidence of the file itself: what is overwritten is either what no one reads (the body
of a script, the description of a package) or what evidence is rid of anyhow. A file in which a credential is left
after that is not kept, and costs a pass each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from reprocheck import redact
from reprocheck.archives import credentials
from reprocheck.layers.index import LayerIndex
from reprocheck.probe import collect, urls
from reprocheck.targets import kept

_PROGRAM = b"\x7fELF"
_USER = re.compile(rb"^([^:\n]*:)([^:\n]*)(:[^:\n]*:[^:\n]*:)([^:\n]*)", re.MULTILINE)
_FIRST_LINE = re.compile(rb"#![^\n]*\n")
_METADATA = re.compile(rb"(?:/METADATA|/PKG-INFO|\.egg-info)$", re.IGNORECASE)
_RECORD = re.compile(rb"-info/RECORD$", re.IGNORECASE)
_DIGEST = re.compile(rb",sha256=[A-Za-z0-9_-]{43},")
_DESCRIBED = re.compile(rb"(?:^|/)(?:var/lib/dpkg/status(?:\.d/[^/]+)?|lib/apk/db/installed)$")
_USERS = re.compile(rb"(?:^|/)etc/passwd$")
_CODE = re.compile(rb"(?:\.pth|/pyvenv\.cfg|/os-release|/ld\.so\.conf|/ld\.so\.conf\.d/[^/]+)$")
_CODE_MOST = 1 << 18
"""Bytes of settings that are looked through: none has more; as words of a shell they take a hundred times as many."""
_NEEDED = re.compile(rb"\?|&|;|:[/\\]|\\[uU]00")
"""What each of the rules for URLs needs: most files have none of it, and one search finds that out."""
_BLOT = bytes(byte if byte in b"\r\n" else ord("*") for byte in range(256))


def contents(index: LayerIndex, held: Mapping[int, bytes]) -> dict[int, bytes]:
    """What may be kept of a layer's contents, by offset."""
    names: dict[int, list[bytes]] = {offset: [] for offset in held}
    for directory, entries in index.directories.items():
        for name, entry in entries.items():
            if entry.type == "file" and entry.offset in names:
                names[entry.offset].append(b"%s/%s" % (directory, name))
    found = {offset: of_file(names[offset], content) for offset, content in held.items()}
    return {offset: content for offset, content in found.items() if content is not None}


def is_as_it_was(content: bytes) -> bool:
    """Whether nothing was overwritten in contents that are kept."""
    return content.startswith(_PROGRAM)


def of_file(names: Sequence[bytes], content: bytes) -> bytes | None:
    """What may be kept of a file, or of a part of one, by all its names; ``None`` for nothing."""
    if content.startswith(_PROGRAM) or not names:
        return content
    ways = {_way(name) for name in names}
    if len(ways) > 1:
        return None
    end, allowed = ways.pop()
    seen, rest = _parted(content, end(content))
    if _NEEDED.search(seen):
        seen = urls.urls(b"\0" in seen, True).scrub(seen)
    left = allowed(seen)
    return None if left is None else left + rest.translate(_BLOT)


def _parted(content: bytes, at: int | None) -> tuple[bytes, bytes]:
    return (content, b"") if at is None else (content[:at], content[at:])


_Way = tuple[Callable[[bytes], int | None], Callable[[bytes], bytes | None]]
"""Where the part of a file ends that somebody reads, if not with the file; and what of that part may be kept."""


def _way(name: bytes) -> _Way:
    if kept.is_script(name):
        return _first_line, _data
    if _METADATA.search(name):
        return collect.blank_line, _described
    if _DESCRIBED.search(name):
        return _all, _described
    if _RECORD.search(name):
        return _all, _record
    if _USERS.search(name):
        return _all, _users
    return _all, _data if kept.wanted(name, 0) and not _CODE.search(name) else _code


def _first_line(content: bytes) -> int:
    first = _FIRST_LINE.match(content)
    return first.end() if first else 0


def _all(_content: bytes) -> None:
    return None


def _record(content: bytes) -> bytes | None:
    """RECORD; its digests may begin as a token does, by chance."""
    return content if _data(_DIGEST.sub(b",,", content)) is not None else None


def _users(content: bytes) -> bytes:
    """All of passwd(5) but passwords and what is said of the users."""
    return _USER.sub(lambda user: user[1] + user[2].translate(_BLOT) + user[3] + user[4].translate(_BLOT), content)


def _data(content: bytes) -> bytes | None:
    if b"\0" in content:
        return content
    text = content.decode("latin-1")
    return content if redact.tokens(text) == text else None


def _described(content: bytes) -> bytes | None:
    """Data in which somebody describes a package, in words of his own."""
    return None if credentials.assigned(content.decode("latin-1")) else _data(content)


def _code(content: bytes) -> bytes | None:
    """What may hold settings of any kind."""
    if b"\0" in content:
        return content
    if len(content) > _CODE_MOST:
        return None
    text = content.decode("latin-1")
    return content if credentials.masked(text) == text else None
