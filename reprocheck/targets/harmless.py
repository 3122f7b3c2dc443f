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
from reprocheck.probe import collect
from reprocheck.targets import kept

_PROGRAM = b"\x7fELF"
_USER = re.compile(rb"^([^:\n]*:)([^:\n]*)(:[^:\n]*:[^:\n]*:)([^:\n]*)", re.MULTILINE)
_FIRST_LINE = re.compile(rb"#![^\n]*\n")
_METADATA = re.compile(rb"(?:/METADATA|/PKG-INFO|\.egg-info)$", re.IGNORECASE)
_RECORD = re.compile(rb"-info/RECORD$", re.IGNORECASE)
_DIGEST = re.compile(rb",sha256=[A-Za-z0-9_-]{43},")
_USERS = re.compile(rb"(?:^|/)etc/passwd$")
_CODE = re.compile(rb"(?:\.pth|/pyvenv\.cfg|/os-release|/ld\.so\.conf|/ld\.so\.conf\.d/[^/]+)$")
_URLS = collect.url_rules(rb"\s'\"", [collect.overwritten] * len(collect.SECRETS))


def contents(index: LayerIndex, held: Mapping[int, bytes]) -> dict[int, bytes]:
    """What may be kept of a layer's contents, by offset."""
    names: dict[int, list[bytes]] = {offset: [] for offset in held}
    for directory, entries in index.directories.items():
        for name, entry in entries.items():
            if entry.type == "file" and entry.offset in names:
                names[entry.offset].append(b"%s/%s" % (directory, name))
    found = {offset: of_file(names[offset], content) for offset, content in held.items()}
    return {offset: content for offset, content in found.items() if content is not None}


def of_file(names: Sequence[bytes], content: bytes) -> bytes | None:
    """What may be kept of a file, or of a part of one, by all its names; ``None`` for nothing."""
    if content.startswith(_PROGRAM) or not names:
        return content
    rules = collect.BINARY if b"\0" in content else _URLS
    for rule, instead in rules[:-1]:
        content = rule.sub(instead, content)
    ways = {_way(name) for name in names}
    if len(ways) > 1:
        return None
    return ways.pop()(content)


def _way(name: bytes) -> Callable[[bytes], bytes | None]:
    if kept.is_script(name):
        return _script
    if _METADATA.search(name):
        return _metadata
    if _RECORD.search(name):
        return _record
    if _USERS.search(name):
        return _users
    return _data if kept.wanted(name, 0) and not _CODE.search(name) else _code


def _script(content: bytes) -> bytes | None:
    first = _FIRST_LINE.match(content)
    end = first.end() if first else 0
    return _data(content[:end] + _blotted(content[end:]))


def _metadata(content: bytes) -> bytes | None:
    end = collect.blank_line(content)
    return _data(content if end is None else content[:end] + _blotted(content[end:]))


def _record(content: bytes) -> bytes | None:
    """RECORD; its digests may begin as a token does, by chance."""
    return content if _data(_DIGEST.sub(b",,", content)) is not None else None


def _users(content: bytes) -> bytes | None:
    """All of passwd(5) but passwords and what is said of the users."""
    return _USER.sub(lambda user: user[1] + _blotted(user[2]) + user[3] + _blotted(user[4]), content)


def _data(content: bytes) -> bytes | None:
    if b"\0" in content:
        return content
    text = content.decode("latin-1")
    return content if redact.tokens(text) == text else None


def _code(content: bytes) -> bytes | None:
    """What may hold settings of any kind."""
    if b"\0" in content:
        return content
    text = content.decode("latin-1")
    return content if credentials.masked(text) == text else None


def _blotted(content: bytes) -> bytes:
    """As many bytes, and the same ends of lines."""
    return re.sub(rb"[^\r\n]", b"*", content)
