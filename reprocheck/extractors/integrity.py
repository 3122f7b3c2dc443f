"""How far the files of a package agree with what was recorded when it was installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct, field

from reprocheck.extractors.base import in_words
from reprocheck.model.evidence import Evidence, RecordEvidence, shown
from reprocheck.model.snapshot import Files

_ABSENT = frozenset({"ENOENT", "ENOTDIR"})


class Compared(Struct, frozen=True, kw_only=True):
    """What is known of a package's files."""

    files: Files = field(default_factory=Files)
    problems: tuple[str, ...] = ()
    """What is odd about RECORD itself."""
    reason: str | None = None
    """Why not all of them could be compared."""
    layer: int | None = None
    """The layer that last edited one of them, where that can be told."""


def packaged(path: str, evidence: Evidence, without_hashes: Literal["presence", "sizes"]) -> Compared:
    """The comparison of one record of dpkg or conda; ``without_hashes``: what it is of where hashes were not asked for.

    A record that is not there, or can't be made out, is no gap: the package is not compared.
    """
    record = evidence.records.get(path)
    if record is None or record.problem in _ABSENT:
        return Compared()
    if record.rows is None:
        why = f"is {record.problem}" if record.sha256 else f"can't be read ({in_words(record.problem)})"
        return Compared(reason=f"its record {why}")
    files = Files(
        count=record.rows,
        checked="hashes" if record.deep else without_hashes,
        modified=tuple(sorted(map(shown, record.modified))),
        missing=tuple(sorted(map(shown, record.missing))),
        unnamed=record.unnamed,
        unverifiable=record.unverifiable,
    )
    return Compared(files=files if record.rows else Files(), reason=_reason(record, "its record"), layer=record.layer)


def read(path: str, installer: str | None, evidence: Evidence) -> Compared:
    """The comparison of one RECORD (PyPA, "Recording installed projects"), as it was made where the files are."""
    record = evidence.records.get(path)
    if record is None:
        # Evidence of an older probe has the digest alone.
        file = evidence.files.get(path)
        return Compared(files=Files(count=file.lines, record_sha256=file.sha256) if file else Files())
    if record.sha256 is None:
        absent = record.problem in _ABSENT
        return Compared(reason=None if absent else f"RECORD can't be read ({in_words(record.problem)})")
    digest = Files(count=record.lines, record_sha256=record.sha256)
    if record.rows is None:
        return Compared(files=digest, reason=record.problem and f"RECORD is {record.problem}")
    if _is_packed(path, installer):
        return Compared(files=digest)
    return Compared(
        files=Files(
            count=record.lines,
            record_sha256=record.sha256,
            checked="hashes" if record.deep else "sizes",
            modified=tuple(sorted(map(shown, record.modified))),
            missing=tuple(sorted(map(shown, record.missing))),
            unnamed=record.unnamed,
            unverifiable=record.unverifiable,
        ),
        problems=tuple(_problems(record)),
        reason=_reason(record, "RECORD"),
        layer=record.layer,
    )


def _is_packed(path: str, installer: str | None) -> bool:
    """Whether RECORD was written before somebody packed the files anew, and changed them on purpose.

    conda puts in the prefix and search paths of libraries. Packages of an operating system are in ``/usr`` and name no
    installer; their libraries were stripped of symbols (seen: Debian's cryptography 38.0.4).
    """
    return installer == "conda" or (installer is None and path.startswith("/usr/lib"))


def _problems(record: RecordEvidence) -> Iterator[str]:
    if record.bad:
        yield f"RECORD: {record.bad} malformed {_rows(record.bad)}, the first: {shown(record.first_bad or '')}"
    if record.outside:
        yield (
            f"RECORD: {record.outside} {_rows(record.outside)} outside of the environment, not looked at, the first: "
            f"{shown(record.first_outside or '')}"
        )


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"


def _reason(record: RecordEvidence, of: str) -> str | None:
    if record.problem is not None:
        return f"{of}: {record.problem}"
    if record.unreadable:
        more = f" and {record.unreadable - 1} more" if record.unreadable > 1 else ""
        return f"files that can't be looked at: {shown(record.first_unreadable or '')}{more}"
    return None
