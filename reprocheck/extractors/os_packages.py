"""Packages of the operating system: dpkg's database (deb-control(5), dpkg-query(1), "Package state")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reprocheck.extractors.base import Facts
from reprocheck.extractors.system import os_release
from reprocheck.model.evidence import AnyWant, Evidence, Read, shown
from reprocheck.model.snapshot import Coverage, FactClass, Gap, Note, OsPackage
from reprocheck.model.text import escape

CLASS: FactClass = "os_packages"
VERSION = 1

_STATUS = "/var/lib/dpkg/status"
_PIECES = "/var/lib/dpkg/status.d"
"""Distroless images keep one file a package here."""
_EACH_PIECE = Read(at=f"{_PIECES}/*", limit=1 << 20)
_OTHER = {"/lib/apk/db/installed": "apk", "/usr/lib/apk/db/installed": "apk"}
_OTHER_RPM = (
    "/var/lib/rpm/Packages",
    "/var/lib/rpm/Packages.db",
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
)
_LIMIT = 16 << 20
_PRESENT = frozenset({"installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"})
_BROKEN = frozenset({"half-installed"})


def wants(evidence: Evidence) -> Sequence[AnyWant]:  # noqa: ARG001 - the shape of an extractor
    """The database of dpkg; of the others whether they are there."""
    return [
        Read(at=_STATUS, limit=_LIMIT),
        _EACH_PIECE,
        *(Read(at=path, limit=0) for path in (*_OTHER, *_OTHER_RPM)),
    ]


def read(evidence: Evidence) -> Facts:
    """The installed packages. A database of a kind that is not read is a gap, never "no packages"."""
    packages: dict[tuple[str, str], OsPackage] = {}
    gaps: list[Gap] = []
    status = evidence.files.get(_STATUS)
    if status is None:
        reason = "not collected"
        return Facts(coverage=Coverage(state="not-read"), gaps=(Gap(what=CLASS, where=_STATUS, reason=reason),))
    if status.problem not in {None, "ENOENT", "ENOTDIR"}:
        gaps.append(Gap(what=CLASS, where=_STATUS, reason=f"can't be read ({status.problem})"))
    for path in (_STATUS, *(path for path in evidence.matching(_PIECES, "*") if not path.endswith(".md5sums"))):
        raw = evidence.content(path)
        if raw is None:
            continue
        for package, problem in parse_status(raw):
            if problem:
                gaps.append(Gap(what=CLASS, where=shown(path), reason=problem))
            if package is not None:
                packages[package.name, package.architecture] = package
        if evidence.files[path].cut:
            gaps.append(Gap(what=CLASS, where=shown(path), reason=f"longer than the limit of {_LIMIT} bytes"))
    notes: list[Note] = []
    if not packages:
        gaps += _unread(evidence)
        _without_database(evidence, gaps, notes)
    return Facts(
        coverage=Coverage(state="partial" if gaps else "complete"),
        fields={"os_packages": tuple(packages[key] for key in sorted(packages))},
        gaps=tuple(gaps),
        notes=tuple(notes),
    )


def _without_database(evidence: Evidence, gaps: list[Gap], notes: list[Note]) -> None:
    """Of a distribution's system the database was removed; an image from scratch never had one."""
    if gaps or evidence.content(_STATUS) is not None:
        return
    release = os_release(evidence)
    if release is not None:
        reason = f"no package database was found, and this is {release.pretty_name}, which has one"
        gaps.append(Gap(what=CLASS, where=_STATUS, reason=reason))
    else:
        reason = "no package database and no os-release: no distribution's system"
        notes.append(Note(what=CLASS, where=evidence.document.header.target, reason=reason))


def _unread(evidence: Evidence) -> Iterator[Gap]:
    for path in (*_OTHER, *_OTHER_RPM):
        file = evidence.files.get(path)
        if file is not None and file.problem is None:
            kind = _OTHER.get(path, "rpm")
            yield Gap(what=CLASS, where=path, reason=f"a database of {kind}, which this version does not read")
    if not evidence.asked(_EACH_PIECE):
        yield Gap(what=CLASS, where=_PIECES, reason="not collected")


def parse_status(raw: bytes) -> Iterator[tuple[OsPackage | None, str | None]]:
    """Each stanza as a package (``None``: not installed) and what is odd about it (``None``: nothing)."""
    line = 1
    for block in raw.replace(b"\r\n", b"\n").split(b"\n\n"):
        start, line = line, line + block.count(b"\n") + 2
        if not block.strip():
            continue
        fields, repeated = _fields(block)
        name, version = fields.get("package"), fields.get("version")
        words = fields.get("status", "install ok installed").split()
        state = words[-1] if words else ""
        if name is None:
            yield None, f"line {start}: a stanza without Package"
        elif state in _BROKEN:
            yield None, f"line {start}: {name} is {state}"
        elif state not in _PRESENT:
            continue  # config-files, not-installed: removed
        elif version is None:
            yield None, f"line {start}: {name} has no Version"
        else:
            package = OsPackage(manager="dpkg", name=name, version=version, architecture=fields.get("architecture", ""))
            yield package, f"line {start}: {name} states {repeated} twice" if repeated else None
    if raw and not raw.endswith(b"\n"):
        last = raw.count(b"\n") + 1
        yield None, f"line {last}: the file ends in the middle of a line"


def _fields(block: bytes) -> tuple[dict[str, str], str | None]:
    """The fields that count, and the name of one that is repeated."""
    fields: dict[str, str] = {}
    repeated = None
    for line in block.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon and line[:1] not in {b" ", b"\t"}:
            key = name.decode("ascii", "replace").lower()
            if key in {"package", "version", "architecture", "status"}:
                repeated = key.title() if key in fields else repeated
                fields.setdefault(key, escape(value.strip()))
    return fields, repeated
