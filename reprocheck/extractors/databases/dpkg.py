"""dpkg's database: ``status``, or the pieces in ``status.d`` (deb-control(5); dpkg-query(1), "Package state")."""

from __future__ import annotations

from collections.abc import Iterator

from reprocheck.extractors.databases import Found, cut_line, paragraphs
from reprocheck.model.snapshot import OsPackage
from reprocheck.model.text import escape

_PRESENT = frozenset({"installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"})
_BROKEN = frozenset({"half-installed"})
_FIELDS = frozenset({"package", "version", "architecture", "status"})


def parse(raw: bytes) -> Iterator[Found]:
    """Each stanza; one that says that its package was removed is passed over."""
    for line, block in paragraphs(raw.replace(b"\r\n", b"\n")):
        fields, repeated = _fields(block)
        name, version = fields.get("package"), fields.get("version")
        words = fields.get("status", "install ok installed").split()
        state = words[-1] if words else ""
        if name is None:
            yield None, f"line {line}: a stanza without Package"
        elif state in _BROKEN:
            yield None, f"line {line}: {name} is {state}"
        elif state not in _PRESENT:
            continue  # config-files, not-installed: removed
        elif version is None:
            yield None, f"line {line}: {name} has no Version"
        else:
            package = OsPackage(manager="dpkg", name=name, version=version, architecture=fields.get("architecture", ""))
            yield package, f"line {line}: {name} states {repeated} twice" if repeated else None
    if cut := cut_line(raw):
        yield None, cut


def _fields(block: bytes) -> tuple[dict[str, str], str | None]:
    """The fields that count, and the name of one that is repeated."""
    fields: dict[str, str] = {}
    repeated = None
    for line in block.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon and line[:1] not in {b" ", b"\t"}:
            key = name.decode("ascii", "replace").lower()
            if key in _FIELDS:
                repeated = key.title() if key in fields else repeated
                fields.setdefault(key, escape(value.strip()))
    return fields, repeated
