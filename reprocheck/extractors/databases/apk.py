"""apk's database of installed packages (apk-tools, apk-installed(5)): fields of one letter, a blank line between."""

from __future__ import annotations

from collections.abc import Iterator

from reprocheck.extractors.databases import Found, cut_line, paragraphs
from reprocheck.model.snapshot import OsPackage
from reprocheck.model.text import escape

_FIELDS = {b"P": "name", b"V": "version", b"A": "architecture"}


def parse(raw: bytes) -> Iterator[Found]:
    """Each block. Of a field that is repeated the first counts."""
    for line, block in paragraphs(raw):
        fields, repeated = _fields(block)
        name, version = fields.get("name"), fields.get("version")
        if not name:
            yield None, f"line {line}: an entry without a name (P:)"
        elif not version:
            yield None, f"line {line}: {name} has no version (V:)"
        else:
            package = OsPackage(manager="apk", name=name, version=version, architecture=fields.get("architecture", ""))
            yield package, f"line {line}: {name} states its {repeated} twice" if repeated else None
    # No more than that can be told: a file that was cut between two lines of a list of files reads well.
    if cut := cut_line(raw):
        yield None, cut


def _fields(block: bytes) -> tuple[dict[str, str], str | None]:
    """The fields that count, and the name of one that is repeated."""
    fields: dict[str, str] = {}
    repeated = None
    for line in block.split(b"\n"):
        key = _FIELDS.get(line[:1]) if line[1:2] == b":" else None
        if key is not None:
            repeated = key if key in fields else repeated
            fields.setdefault(key, escape(line[2:].strip()))
    return fields, repeated
