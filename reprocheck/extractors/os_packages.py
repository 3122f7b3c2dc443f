"""Packages of the operating system, out of the databases of dpkg, apk and rpm."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from reprocheck.extractors import integrity
from reprocheck.extractors.base import Facts, Traces, in_one_pass, in_words
from reprocheck.extractors.databases import Found, apk, dpkg, history, rpm
from reprocheck.extractors.system import os_release
from reprocheck.model.evidence import AnyWant, Evidence, FileEvidence, List, Read, Record, literal, shown
from reprocheck.model.os_names import called, native
from reprocheck.model.snapshot import ONE_ENVIRONMENT, Coverage, FactClass, Gap, Note, OsPackage

CLASS: FactClass = "os_packages"
VERSION = 2

_DPKG = "/var/lib/dpkg/status"
_DPKG_PIECES = "/var/lib/dpkg/status.d"
"""Distroless images keep one file a package here."""
_DPKG_SUMS = "/var/lib/dpkg/info"
"""One file a package, ``NAME.md5sums``, or ``NAME:ARCHITECTURE.md5sums`` where there can be several of a name."""
_SUMS = ".md5sums"
_PIECE_LIMIT = 1 << 20
_EACH_PIECE = Read(at=f"{_DPKG_PIECES}/*", limit=_PIECE_LIMIT)
_APK = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
"""One of them, reached by two names, where ``/lib`` is a link."""
_RPM = tuple(
    f"{directory}/{name}"
    # Fedora and SUSE have moved it, and left a link; rpm-ostree has a place of its own.
    for directory in ("/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm")
    for name in ("rpmdb.sqlite", "Packages.db", "Packages")
)
_LOG = "-wal"
"""What SQLite has not yet written into the database itself (SQLite, "Write-Ahead Logging")."""
_LIMIT = 16 << 20
_RPM_LIMIT = 64 << 20
"""A header holds the package's files and its change log: 50 to 100 KiB a package."""
_MOST = 100_000
"""Entries of one database that are read; no distribution has so many packages."""
_MOST_DAMAGE = 1000
"""Damaged ones after which the others are not looked at: it is no database, or made to take long."""
_NAMED = 20
"""Damaged ones that are told one by one."""
_ABSENT = frozenset({"ENOENT", "ENOTDIR"})


def wants(evidence: Evidence) -> Sequence[AnyWant]:
    """The small databases at once; of rpm's, which are large and have several names, first what they are."""
    first: list[AnyWant] = [
        Read(at=_DPKG, limit=_LIMIT, versions=True),
        _EACH_PIECE,
        List(at=_DPKG_PIECES),
        *(Read(at=literal(path), limit=_PIECE_LIMIT, versions=True) for path in _written_again(evidence)),
        *(Read(at=literal(path), limit=_PIECE_LIMIT, versions=True) for path in _removed_pieces(evidence)),
        *_sums(evidence),
        *(Read(at=path, limit=_LIMIT, versions=True) for path in _APK),
        *(Read(at=path + _LOG, limit=0) for path in _RPM if path.endswith(".sqlite")),
    ]
    digests = [Read(at=path, part="digest") for path in _RPM]
    unanswered = bool(evidence.document.answers) and not any(map(evidence.asked, digests))
    if in_one_pass(evidence) or unanswered:
        return [*first, *map(_whole, _RPM)]
    return [*first, *digests, *map(_whole, _distinct(evidence))]


def _pieces(evidence: Evidence) -> Iterator[str]:
    return (path for path in evidence.matching(_DPKG_PIECES, "*") if not path.endswith(_SUMS))


def _written_again(evidence: Evidence) -> Iterator[str]:
    """Pieces that several layers wrote: of another version, or of the same."""
    return (path for path in _pieces(evidence) if evidence.files[path].layer != evidence.files[path].since)


def _removed_pieces(evidence: Evidence) -> dict[str, int]:
    """Pieces that are gone, by path, and the layer that removed each."""
    listing = evidence.listings.get(_DPKG_PIECES)
    removed = listing.removed if listing else {}
    return {f"{_DPKG_PIECES}/{name}": layer for name, layer in removed.items() if not name.endswith(_SUMS)}


def _in_removed(path: str, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Name and architecture of the packages of a piece that is gone."""
    file = evidence.files.get(path)
    content = file.versions[-1].content if file and file.versions else None
    if content is None:
        # A piece has the name of its package, nearly always.
        yield posixpath.basename(path), ""
        return
    yield from ((one.name, one.architecture) for one, _ in _entries(content.encode("latin-1"), dpkg.parse) if one)


def _sums(evidence: Evidence) -> Iterator[Record]:
    """Not those of a machine of which one environment was named: it has thousands of packages and gigabytes of them."""
    if evidence.document.subject.kind not in ONE_ENVIRONMENT:
        yield Record(at=f"{_DPKG_SUMS}/*{_SUMS}", by="dpkg", deep=evidence.document.deep)


def _whole(path: str) -> Read:
    return Read(at=path, limit=_RPM_LIMIT, versions=True)


def _distinct(evidence: Evidence) -> list[str]:
    """Databases of rpm that are there; of equal ones the first: a directory can have a second name."""
    there: dict[str, str] = {}
    for path in _RPM:
        file = evidence.files.get(path)
        if file is not None and file.problem not in _ABSENT:
            there.setdefault(_digest(path, evidence) or file.content or path, path)
    return list(there.values())


def _digest(path: str, evidence: Evidence) -> str | None:
    """SHA-256 of a file, from the round that asked for it: a later one asked for contents."""
    rounds = (answer.files.get(path) for answer in evidence.document.answers)
    return next((file.sha256 for file in rounds if file and file.sha256), None)


def read(evidence: Evidence) -> Facts:
    """The installed packages. A database that can't be read, or not as a whole, is a gap, never "no packages"."""
    if _DPKG not in evidence.files:
        gap = Gap(what=CLASS, where=_DPKG, reason="not collected")
        return Facts(coverage=Coverage(state="not-read"), gaps=(gap,))
    packages: dict[tuple[str, str, str, str], OsPackage] = {}
    gaps: list[Gap] = []
    databases: list[_Database] = []
    for path, parse in _databases(evidence):
        file = evidence.files[path]
        if file.problem in _ABSENT:
            continue
        there: list[OsPackage] = []
        problems: list[str] = []
        for package, problem in _told(file, evidence.content(path), parse):
            if package is not None:
                there.append(package)
            if problem is not None:
                problems.append(problem)
        packages.update({(one.manager, one.name, one.architecture, one.version): one for one in there})
        gaps += [Gap(what=CLASS, where=shown(path), reason=problem) for problem in problems]
        databases.append(_Database(file, there, list(_states(file, there, problems, parse))))
    gaps += _unmerged(evidence)
    notes: list[Note] = []
    if not packages:
        _without_packages(evidence, gaps, notes)
    gone = [(key, layer) for path, layer in _removed_pieces(evidence).items() for key in _in_removed(path, evidence)]
    traces = _traces(databases, gone)
    listed = [packages[key] for key in sorted(packages)]
    home = native(one.architecture for one in listed)
    return Facts(
        coverage=Coverage(state="partial" if gaps else "complete"),
        fields={"os_packages": tuple(_compared(one, home, evidence, gaps, traces) for one in listed)},
        traces=traces,
        gaps=tuple(gaps),
        notes=tuple(notes),
    )


def _databases(evidence: Evidence) -> Iterator[tuple[str, Callable[[bytes], Iterator[Found]]]]:
    yield _DPKG, dpkg.parse
    for path in _pieces(evidence):
        yield path, dpkg.parse
    seen: set[str | None] = set()
    for path in _APK:
        file = evidence.files.get(path)
        if file is not None and (file.content is None or file.content not in seen):
            seen.add(file.content)
            yield path, apk.parse
    for path in _distinct(evidence):
        yield path, rpm.parse


def _compared(one: OsPackage, home: str, evidence: Evidence, gaps: list[Gap], traces: Traces) -> OsPackage:
    """A package with what became of its files, as far as dpkg recorded them."""
    if one.manager != "dpkg":
        return one
    paths = [f"{_DPKG_SUMS}/{name}{_SUMS}" for name in (f"{one.name}:{one.architecture}", one.name)]
    path = next((path for path in paths if path in evidence.records), None)
    if path is None:
        return one
    compared = integrity.packaged(path, evidence, "presence")
    name = called(one.name, one.architecture, home)
    if compared.layer is not None:
        traces.edited.setdefault(CLASS, {})[name] = compared.layer
    if compared.reason is not None:
        gaps.append(Gap(what=f"{CLASS}[{name}].files", where=path, reason=compared.reason))
    return msgspec.structs.replace(one, files=compared.files)


def _without_packages(evidence: Evidence, gaps: list[Gap], notes: list[Note]) -> None:
    """Of a distribution's system the database was removed; an image from scratch never had one."""
    if not evidence.asked(_EACH_PIECE):
        gaps.append(Gap(what=CLASS, where=_DPKG_PIECES, reason="not collected"))
    if gaps or any(evidence.files[path].problem not in _ABSENT for path, _ in _databases(evidence)):
        return
    release = os_release(evidence)
    if release is not None:
        reason = f"no package database was found, and this is {release.pretty_name}, which has one"
        gaps.append(Gap(what=CLASS, where=_DPKG, reason=reason))
    else:
        reason = "no package database and no os-release: no distribution's system"
        notes.append(Note(what=CLASS, where=evidence.document.header.target, reason=reason))


def _told(file: FileEvidence, raw: bytes | None, parse: Callable[[bytes], Iterator[Found]]) -> Iterator[Found]:
    """What a database says, and what is wrong with it, in a few words however much that is."""
    if file.problem is not None:
        yield None, f"can't be read ({in_words(file.problem)})"
        return
    if raw is None:
        yield None, "its contents were not collected"
        return
    yield from _entries(raw, parse)
    if file.cut:
        yield None, f"longer than the limit: {len(raw):,} of its {file.size:,} bytes were read"


def _entries(raw: bytes, parse: Callable[[bytes], Iterator[Found]]) -> Iterator[Found]:
    damaged = 0
    for number, (package, problem) in enumerate(parse(raw)):
        if number >= _MOST or damaged >= _MOST_DAMAGE:
            yield None, f"{number:,} entries were read, {damaged:,} of them damaged; the others were not"
            return
        damaged += problem is not None
        yield package, problem if damaged <= _NAMED else None
    if damaged > _NAMED:
        yield None, f"and {damaged - _NAMED:,} more damaged entries"


class _Database(NamedTuple):
    file: FileEvidence
    packages: Sequence[OsPackage]
    states: Sequence[history.State]
    """Empty where the file has no earlier version."""


def _states(
    file: FileEvidence,
    packages: Sequence[OsPackage],
    problems: Sequence[str],
    parse: Callable[[bytes], Iterator[Found]],
) -> Iterator[history.State]:
    """A database layer by layer, as it is now last."""
    if file.layer is None or not file.versions:
        return
    for version in file.versions:
        raw = version.content
        entries = [] if raw is None else list(_entries(raw.encode("latin-1"), parse))
        there = _versions(one for one, _ in entries if one is not None)
        whole = raw is not None and all(problem is None for _, problem in entries)
        yield history.State(version.layer, there, whole=whole)
    yield history.State(file.layer, _versions(packages), whole=not problems)


def _versions(packages: Iterable[OsPackage]) -> dict[history.Key, frozenset[str]]:
    found: dict[history.Key, frozenset[str]] = {}
    for one in packages:
        key = one.name, one.architecture
        found[key] = found.get(key, frozenset()) | {one.version}
    return found


def _traces(databases: Sequence[_Database], removed: Sequence[tuple[history.Key, int]]) -> Traces:
    """Which layer brought each package, in the version that is there, and which removed those that are gone."""
    traces = Traces()
    keys = {(one.name, one.architecture) for database in databases for one in database.packages}
    keys |= {key for database in databases for state in database.states for key in state.packages}
    keys |= {key for key, _ in removed}
    home = native(architecture for _, architecture in keys)
    for database in databases:
        if not database.states:
            for one in database.packages:
                traces.of(CLASS, called(one.name, one.architecture, home), database.file)
        for (name, architecture), layer in history.brought(database.states).items():
            traces.since(CLASS, called(name, architecture, home), layer, database.file)
    there = {called(one.name, one.architecture, home) for database in databases for one in database.packages}
    for database in databases:
        for (name, architecture), layer in history.dropped(database.states).items():
            if (gone := called(name, architecture, home)) not in there:
                traces.gone(CLASS, gone, layer)
    for (name, architecture), layer in removed:
        if (gone := called(name, architecture, home)) not in there:
            traces.gone(CLASS, gone, layer)
    return traces


def _unmerged(evidence: Evidence) -> Iterator[Gap]:
    for path in _distinct(evidence):
        log = evidence.files.get(path + _LOG)
        if log is not None and log.size:
            reason = f"holds {log.size:,} bytes of changes that {shown(path)} does not have yet; they were not read"
            yield Gap(what=CLASS, where=shown(path) + _LOG, reason=reason)
