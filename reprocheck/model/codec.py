r"""The one place that turns JSON files into types, and types into JSON files.

A file may come from anybody: it is capped in bytes, depth and number of values before a parser sees
it, keys that repeat are refused (msgspec alone would keep the last without a word), and each error
is one line with the path of the field: ``environments[0].packages[7].version: expected str, got int``.
Unknown fields are ignored, so that a later reprocheck can add some within the same schema.

What is written is UTF-8 with sorted keys; control and bidirectional characters are escaped, so that
the same facts are the same bytes and showing the file on a terminal does no harm.
"""

from __future__ import annotations

import json
import os
import re
import stat
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from reprocheck.errors import DataError
from reprocheck.model import audit as audit_model
from reprocheck.model import report as report_model
from reprocheck.model import snapshot as snapshot_model
from reprocheck.model.audit import Audit
from reprocheck.model.fits import Fits
from reprocheck.model.policy import Policy
from reprocheck.model.report import Report
from reprocheck.model.snapshot import Snapshot
from reprocheck.model.text import printable

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

MAX_BYTES = 64 << 20
"""Size of a file that is still read. A snapshot of 500 packages has less than 1 MiB."""
MAX_DEPTH = 100
"""Levels of nesting. Ours need less than ten; the parsers recurse, and their stacks are not ours to spend."""
MAX_VALUES = 4_000_000
"""Values and containers in one document: without it, 64 MiB of ``[],[],`` become gigabytes of lists."""
MAX_QUOTED = 80
"""Characters of a file's own text that an error message repeats."""

_AGAIN = "restore it from version control or make it again"
_RIGHT_FILE = "is it the right file?"
_MERGE_MARKER = re.compile(rb"^(?:<{7}|={7}|>{7})(?: .*)?\r?$", re.MULTILINE)
_SCHEMA = re.compile(r"reprocheck\.([a-z]+)/([0-9]{1,9})")
# One escape at a time, whole pairs first, so that what is left for the second group is half a pair.
_SURROGATE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)
# What is left from the place of a syntax error on, when all that is wrong is that the file ends there.
_CUT = re.compile(r"\s*(?:-|t|tr|tru|f|fa|fal|fals|n|nu|nul|\\|\\?u[0-9a-fA-F]{0,4})?\s*")
_BYTE = re.compile(r"\(byte ([0-9]+)\)")
_PATH_STEP = re.compile(r"\.([^.\[]+)|\[([0-9]+|\.\.\.)\]")
_QUOTE = ord('"')
_OPENING = b"[{"
_CLOSING = b"]}"
_NO_MARK = bytes(set(range(256)) - set(b'"[]{},'))
# Everything but printable ASCII and the encoder's own line ends; and the runner commands of CI systems
# (``##[error]``, ``##vso[``), which are obeyed anywhere in a line.
_NOT_PLAIN = re.compile(r"[^\n -~]|(?<=#)#(?=\[|vso\[|teamcity\[)")
_SURROGATES_FROM = 0x10000


class _Schema(msgspec.Struct):
    """The field that says what a document is."""

    schema: Any = None


class _Repeated(str):
    """Path of a key that stands twice in one object; no string of the file is of this type."""

    __slots__ = ()


def load_snapshot(path: Path) -> Snapshot:
    """Read a snapshot or baseline; :class:`DataError` says in one line what is wrong with it."""
    return decode_snapshot(read_file(path), str(path))


def decode_snapshot(raw: bytes, name: str) -> Snapshot:
    """Decode a snapshot that came from ``name``."""
    return decode(raw, Snapshot, name, snapshot_model.SCHEMA)


def decode_report(raw: bytes, name: str) -> Report:
    """Decode a report that came from ``name``."""
    return decode(raw, Report, name, report_model.SCHEMA)


def decode_audit(raw: bytes, name: str) -> Audit:
    """Decode an audit that came from ``name``."""
    return decode(raw, Audit, name, audit_model.SCHEMA)


def encode_json(value: object, *, indent: int = 2) -> bytes:
    """Encode with sorted keys and a trailing newline; with ``indent=-1`` on one line.

    For files in version control: one package a block, the same facts always the same bytes.
    :class:`DataError` for text that is not Unicode (the unpaired surrogates that undecodable file names
    become in Python): :func:`reprocheck.model.text.escape` makes text of them.
    """
    try:
        text = msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=indent).decode()
    except UnicodeEncodeError as error:
        raise DataError(f"cannot be stored: {_quoted(str(error.object))} holds bytes that are not text") from error
    return _NOT_PLAIN.sub(_harmless, text).encode() + b"\n"


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of ``snapshot``, ``report``, ``fits``, ``audit`` or ``policy``."""
    types = {"snapshot": Snapshot, "report": Report, "fits": Fits, "audit": Audit, "policy": Policy}
    return msgspec.json.schema(types[name])


def read_file(path: Path, *, most: int | None = None) -> bytes:
    """Read a regular file of at most ``most`` bytes, or ``MAX_BYTES``; the size is checked before anything is read."""
    name = printable(str(path))
    try:
        # Without O_NONBLOCK, opening a pipe waits for somebody who writes.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{name}: is no regular file but a pipe or device; save its contents to a file first")
            _check_size(status.st_size, name, most or MAX_BYTES)
            raw = file.read(status.st_size + 1)
    except IsADirectoryError as error:
        raise DataError(f"{name}: is a directory; name the file in it") from error
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such file; check the path") from error
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}); check the path and its permissions") from error
    if len(raw) > status.st_size:
        raise DataError(f"{name}: grew while it was read; try again when nobody writes to it")
    return raw


def decode(raw: bytes, type_: type[T], what: str, expected_schema: str | None = None, *, advice: str = _AGAIN) -> T:
    """Decode an untrusted JSON document strictly.

    ``what`` names the document in errors: the path of its file, or where else it came from. With
    ``expected_schema``, its field ``schema`` must say so. ``advice`` is what to do about a document that can't
    be used. Raises :class:`DataError`, one line.
    """
    what = printable(what)
    _check_size(len(raw), what, MAX_BYTES)
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        raise DataError(f"{what}: is empty; {advice}")
    _check_shape(raw, what)
    _check_syntax(raw, what, advice)
    try:
        if expected_schema is not None:
            _check_schema(msgspec.json.decode(raw, type=_Schema).schema, expected_schema, what)
        return msgspec.json.decode(raw, type=type_)
    except msgspec.ValidationError as error:
        raise DataError(f"{what}: {_where_and_why(str(error), raw, type_)}; {advice}") from error
    except msgspec.DecodeError as error:
        # Python's parser has passed it: what is left is what that one is too kind to.
        raise DataError(f"{what}: {_text_or_number_problem(raw, str(error))}; {advice}") from error


def _check_size(size: int, what: str, most: int) -> None:
    if size > most:
        raise DataError(f"{what}: has {size >> 20} MiB, and no more than {most >> 20} MiB are read; {_RIGHT_FILE}")


def _check_shape(raw: bytes, what: str) -> None:
    """Refuse too many levels or values, without a parser.

    Once escapes are gone, a quote opens or closes a string. Two quotes side by side, an empty string
    or the seam of two, change nothing for what follows, so most strings vanish at the speed of C.
    """
    if len(raw) <= MAX_VALUES and sum(raw.count(mark) for mark in _OPENING) <= MAX_DEPTH:
        return  # not even if each of them stood inside the one before
    marks = raw.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NO_MARK).replace(b'""', b"")
    depth = values = 0
    in_string = False
    for mark in marks:
        if mark == _QUOTE:
            in_string = not in_string
        elif not in_string:
            values += 1
            if mark in _OPENING:
                depth += 1
            elif mark in _CLOSING:
                depth -= 1
            if depth > MAX_DEPTH:
                raise DataError(f"{what}: is nested more than {MAX_DEPTH} levels deep; {_RIGHT_FILE}")
            if values > MAX_VALUES:
                raise DataError(f"{what}: holds more than {MAX_VALUES:,} values; {_RIGHT_FILE}")


def _check_syntax(raw: bytes, what: str, advice: str) -> None:
    """Refuse what is not strict JSON, and keys that repeat; keeps no more than one branch in memory."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{what}: {_encoding_problem(raw, error.start)}") from error
    try:
        outcome = json.loads(
            text,
            object_pairs_hook=_repeated,
            parse_int=_unread,
            parse_float=_unread,
            parse_constant=_unread,
        )
    except json.JSONDecodeError as error:
        raise DataError(f"{what}: {_syntax_problem(raw, error, advice)}") from error
    repeated = _inside(outcome)
    if repeated is not None:
        path = _quoted(repeated.removeprefix("."))
        raise DataError(f"{what}: {path}: the key stands twice in one object; remove one of them")


def _unread(_number: str) -> None:
    """Leave a number alone: Python's own conversion is quadratic, or refuses, for very long ones."""


def _repeated(pairs: list[tuple[str, object]]) -> _Repeated | None:
    """Give the path of the first key that repeats in an object or below it; objects are let go otherwise."""
    seen = set()
    for key, value in pairs:
        if key in seen:
            return _Repeated(_step(key))
        seen.add(key)
        inner = _inside(value)
        if inner is not None:
            return _Repeated(_step(key) + inner)
    return None


def _inside(value: object) -> _Repeated | None:
    if isinstance(value, _Repeated):
        return value
    if isinstance(value, list):
        for index, item in enumerate(value):
            inner = _inside(item)
            if inner is not None:
                return _Repeated(f"[{index}]{inner}")
    return None


def _step(key: str) -> str:
    return f".{key}" if key.isidentifier() else f"[{key}]"


def _encoding_problem(raw: bytes, position: int) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is UTF-16, as some shells write it; save it as UTF-8"
    return f"is not UTF-8 text, so not JSON (at line {_line(raw, position)}); {_RIGHT_FILE}"


def _syntax_problem(raw: bytes, error: json.JSONDecodeError, advice: str) -> str:
    marker = _MERGE_MARKER.search(raw)
    if marker is not None:
        return f"has merge conflict markers at line {_line(raw, marker.start())}; resolve the conflict first"
    begin = error.doc.lstrip(" \t\r\n")
    if not begin.startswith(("{", "[")):
        return f"is not JSON: it begins with '{_quoted(begin.partition(chr(10))[0].rstrip())}'; {_RIGHT_FILE}"
    place = f"line {error.lineno}, column {error.colno}"
    if _CUT.fullmatch(error.doc, error.pos) or error.msg.startswith("Unterminated string"):
        return f"ends in the middle ({place}), as a file that was cut; {advice}"
    return f"is not JSON at {place} ({error.msg[0].lower()}{error.msg[1:]}); {advice}"


def _check_schema(found: object, expected: str, what: str) -> None:
    if found == expected:
        return
    kind, version = expected.removeprefix("reprocheck.").split("/")
    ours = _SCHEMA.fullmatch(found) if isinstance(found, str) else None
    if found is None:
        problem = f"has no field schema, so it is not {_a(kind)} of reprocheck; {_RIGHT_FILE}"
    elif ours is None:
        problem = f"schema: '{_quoted(str(found))}' is none of reprocheck's; {_RIGHT_FILE}"
    elif ours[1] != kind:
        problem = f"is {_a(ours[1])} ({ours[0]}), not {_a(kind)} ({expected}); name another file"
    elif int(ours[2]) > int(version):
        problem = f"{ours[0]} was written by a newer reprocheck: this one reads {expected}; upgrade reprocheck"
    else:
        problem = f"{ours[0]} is not read any more: this reprocheck reads {expected}; make it again"
    raise DataError(f"{what}: {problem}")


def _a(kind: str) -> str:
    return {"evidence": kind, "audit": "an audit"}.get(kind, f"a {kind}")


def _where_and_why(error: str, raw: bytes, type_: type[object]) -> str:
    """Turn msgspec's ``Expected `str`, got `int` - at `$.a[0].b``` into ``a[0].b: expected str, got int``."""
    why, _, where = error.rpartition(" - at `")
    if not why:
        why, where = error, "$"
    of_key = where.startswith("key` in `")
    path = where.removeprefix("key` in `").removeprefix("$").rstrip("`")
    if "[...]" in path:
        path = _with_keys(path, error, raw, type_)
    why = why.replace("`", "").replace(" | null", " or null")
    place = _quoted(path.lstrip(".")) or "the document"
    return f"{'a key of ' if of_key else ''}{place}: {_quoted(why[0].lower() + why[1:])}"


def _with_keys(path: str, error: str, raw: bytes, type_: type[object]) -> str:
    """Name the keys that msgspec leaves out as ``[...]``; as it was where that can't be told."""
    document = value = msgspec.json.decode(raw)
    named = ""
    for step in _PATH_STEP.finditer(path):
        name, index = step.groups()
        if index == "...":
            key = _key_at_fault(value, document, type_, error)
            if key is None:
                return path
            value = value[key]
            named += _step(key)
        else:
            value = value[int(index) if name is None else name]
            named += step[0]
    return named


def _key_at_fault(mapping: dict[str, object], document: object, type_: type[object], error: str) -> str | None:
    """Cut a mapping of a document to the one item that brings the error."""
    items = list(mapping.items())

    def fails(count: int) -> bool:
        mapping.clear()
        mapping.update(items[:count])
        try:
            msgspec.convert(document, type_)
        except msgspec.ValidationError as again:
            return str(again) == error
        return False

    at_fault = bisect_left(range(1, len(items) + 1), True, key=fails)
    if at_fault == len(items):  # the error did not come again: better no key than a wrong one
        return None
    mapping.clear()
    mapping.update(items[at_fault : at_fault + 1])
    return items[at_fault][0]


def _text_or_number_problem(raw: bytes, error: str) -> str:
    text = raw.decode()
    for escape in _SURROGATE.finditer(text):
        if escape[1] is not None:
            line = text.count("\n", 0, escape.start()) + 1
            return f"has half of a surrogate pair at line {line} (\\{escape[1]}), which is no text"
    byte = _BYTE.search(error)
    place = "" if byte is None else f" at line {_line(raw, int(byte[1]))}"
    return f"is not JSON{place} (NaN and Infinity are no numbers there)"


def _line(raw: bytes, position: int) -> int:
    return raw.count(b"\n", 0, position) + 1


def _quoted(text: str) -> str:
    """Text of the file, for a message: nothing that drives a terminal, and not much of it."""
    text = printable(text)
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 1] + "…"


def _harmless(match: re.Match[str]) -> str:
    r"""Write a character that a terminal or a CI runner could obey as a ``\uXXXX`` escape."""
    character = match[0]
    if character != "#" and printable(character) == character:
        return character
    code = ord(character)
    if code < _SURROGATES_FROM:
        return f"\\u{code:04x}"
    code -= _SURROGATES_FROM
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
