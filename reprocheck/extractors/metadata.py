"""METADATA and PKG-INFO (core metadata specification), WHEEL, direct_url.json (PEP 610), requires.txt (setuptools)."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from packaging.utils import canonicalize_name

from reprocheck import redact
from reprocheck.model.text import escape


class Metadata(Struct, frozen=True, kw_only=True):
    """The fields of one metadata file that reprocheck reads."""

    name: str | None = None
    version: str | None = None
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requires_python: str | None = None
    problems: tuple[str, ...] = ()


_WIDE = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_FIELD = re.compile(rb"([A-Za-z-]+)[ \t]*:[ \t]*(.*)", re.DOTALL)


def parse_metadata(raw: bytes) -> Metadata:
    """Read the header of a metadata file. Of a single-use field that is repeated, the first counts, as pip has it."""
    problems = []
    for mark, encoding in _WIDE:
        if raw.startswith(mark):
            raw = raw.decode(encoding, "replace").encode()
            problems.append("METADATA is UTF-16, not UTF-8")
    try:
        raw.decode()
    except UnicodeDecodeError:
        problems.append("METADATA is not UTF-8")
    fields: dict[str, list[str]] = {}
    for name, value in _fields(raw.removeprefix(codecs.BOM_UTF8)):
        fields.setdefault(name, []).append(value)
    problems += [
        f"METADATA repeats {name.title()}; the first counts"
        for name in ("name", "version")
        if len(fields.get(name, ())) > 1
    ]
    return Metadata(
        name=_first(fields, "name"),
        version=_first(fields, "version"),
        requires=tuple(sorted(map(_shown, fields.get("requires-dist", ())))),
        extras=tuple(sorted({canonicalize_name(extra) for extra in fields.get("provides-extra", ())})),
        requires_python=_first(fields, "requires-python"),
        problems=tuple(problems),
    )


def _first(fields: dict[str, list[str]], name: str) -> str | None:
    # "UNKNOWN" is what old setuptools wrote for a field without a value.
    value = fields.get(name, [""])[0]
    return value if value and value != "UNKNOWN" else None


def _fields(raw: bytes) -> Iterator[tuple[str, str]]:
    """Name in lower case and unfolded value of each header field up to the first blank line (RFC 5322, 2.2.3)."""
    # Not the email package: it costs half a millisecond a file and interprets encodings that the
    # specification does not have.
    current: list[bytes] = []
    for line in [*raw.splitlines(), b""]:
        if line[:1] in {b" ", b"\t"} and current:
            current.append(line.strip())
            continue
        if current and (found := _FIELD.fullmatch(b" ".join(current))):
            yield found[1].decode("ascii").lower(), escape(found[2].strip())
        if not line.strip():
            return
        current = [line]


def parse_wheel(raw: bytes) -> tuple[tuple[str, ...], str | None]:
    """Tags, sorted, and build number of a WHEEL file (binary distribution format)."""
    tags, build = [], None
    for name, value in _fields(raw):
        if name == "tag":
            tags.append(value)
        elif name == "build":
            build = value
    return tuple(sorted(tags)), build


def parse_direct_url(raw: bytes) -> tuple[str, bool]:
    """Origin as pip freezes it, and whether it is editable (PEP 610, PEP 660); credentials are gone already.

    Raises:
        ValueError: not what the specification allows.
    """
    origin, editable = _direct_url(json.loads(raw))
    origin.encode()  # half a surrogate pair, which JSON can name, is no text
    return origin, editable


def _direct_url(data: Any) -> tuple[str, bool]:
    if not isinstance(data, dict) or not isinstance(data.get("url"), str):
        raise ValueError("no url")
    infos = [name for name in ("vcs_info", "archive_info", "dir_info") if isinstance(data.get(name), dict)]
    if len(infos) != 1:
        raise ValueError("not exactly one of vcs_info, archive_info, dir_info")
    url: str = data["url"]
    info: dict[str, Any] = data[infos[0]]
    subdirectory = f"#subdirectory={data['subdirectory']}" if isinstance(data.get("subdirectory"), str) else ""
    if infos[0] == "vcs_info":
        return f"{info.get('vcs')}+{url}@{info.get('commit_id')}{subdirectory}", False
    if infos[0] == "archive_info":
        hashes = info.get("hashes")
        digest = (
            ",".join(f"{name}={value}" for name, value in sorted(hashes.items()))
            if isinstance(hashes, dict)
            else info.get("hash")
        )
        return url + (f"#{digest}" if isinstance(digest, str) and digest else ""), False
    return url + subdirectory, info.get("editable") is True


def parse_requires_txt(raw: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Requirements of an egg-info directory as ``Requires-Dist`` would state them, and the extras that it provides.

    A section is ``[extra]``, ``[:marker]`` or ``[extra:marker]`` (setuptools, "Development mode and egg-info").
    """
    requires, extras, extra, marker = [], set(), "", ""
    for line in raw.splitlines():
        text = escape(line).strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("[") and text.endswith("]"):
            extra, _, marker = text[1:-1].partition(":")
            extras |= {canonicalize_name(extra)} if extra else set()
            continue
        conditions = [f"({marker})"] if marker and extra else [marker] if marker else []
        if extra:
            conditions.append(f'extra == "{extra}"')
        # A URL requirement needs a blank before its marker (PEP 508).
        separator = " ; " if "@" in text else "; "
        requires.append(text + (separator + " and ".join(conditions) if conditions else ""))
    return tuple(sorted(map(_shown, requires))), tuple(sorted(extras))


def _shown(requirement: str) -> str:
    """A requirement without credentials: the rules for bytes know none in UTF-16, and no token in a path."""
    return redact.scrubbed(requirement) if "://" in requirement else requirement


def name_from_directory(stem: str) -> tuple[str, str]:
    """Name and version out of ``NAME-VERSION`` of a metadata directory's name; the version may be empty."""
    name, _, rest = stem.partition("-")
    # egg-info names go on: NAME-VERSION-py3.9.
    return name, re.sub(r"-py\d\.\d+.*$", "", rest)
