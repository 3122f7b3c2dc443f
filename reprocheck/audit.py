"""How a target is audited: its Python packages → what a service of advisories says → an audit."""

from __future__ import annotations

import datetime
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import Version

from reprocheck import __version__
from reprocheck.advisories.ask import Said, ask
from reprocheck.advisories.folder import read_advisories, without_surrogates
from reprocheck.advisories.services import Files, OsvServer, PackageIndex
from reprocheck.errors import ExitCode, UsageError
from reprocheck.explain import layer_of
from reprocheck.graph import build
from reprocheck.model import factpath
from reprocheck.model.audit import (
    AdvisoryService,
    Audit,
    AuditSummary,
    AuditVerdict,
    FixedVersion,
    GoneVulnerability,
    OutOfScope,
    Refusal,
    Vulnerability,
    VulnerablePackage,
)
from reprocheck.model.report import MadeBy
from reprocheck.model.snapshot import Gap
from reprocheck.redact import url as without_credentials
from reprocheck.sides import side_of
from reprocheck.verdict import unreadable
from reprocheck.versions import allows, parse_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pip_audit._service import VulnerabilityResult

    from reprocheck.advisories.services import Service
    from reprocheck.graph import Graph
    from reprocheck.model.snapshot import Environment, Package, Snapshot
    from reprocheck.sides import BaselineFile

_NAME = re.compile(r"\s*([\w.-]+)")
_VCS = re.compile(r"[a-z]+\+")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")
_QUERY = "/v1/query"
_MOST_FIXES = 8
"""Versions that a service is asked for before no repair is named."""
_MOST_UNREADABLE = 100
"""Advisories that can't be read and are listed; the others are counted."""
_NO_MATTER = frozenset({"python", "conda", "duplicates"})
"""Facts of an environment that say nothing of which packages there are."""
EXIT_CODES: dict[AuditVerdict, ExitCode] = {
    "clean": ExitCode.OK,
    "vulnerable": ExitCode.DRIFT,
    "unaudited": ExitCode.UNVERIFIED,
}


class Asked(NamedTuple):
    """A service, what it is called, and how long it may take."""

    service: Service
    name: AdvisoryService
    seconds: float
    """For one answer."""
    gaps: tuple[Gap, ...] = ()
    """What of its advisories could not be read."""


_Release = tuple[str, Version]
"""Normalised name, and version without local label."""


class _Row(NamedTuple):
    """An installed package and what was said of it."""

    environment: Environment
    package: Package
    found: tuple[VulnerabilityResult, ...]
    reason: str | None
    """Why it was not audited, or not in whole."""


def open_service(server: str | None, files: Path | None, seconds: float, wanted: frozenset[str]) -> Asked:
    """Give who is to be asked: a server, files, or, where neither is named, the package index.

    Args:
        server: address of an OSV API, what stands before ``/v1/query`` or with it.
        files: a directory or archive of advisories.
        seconds: how long one answer may take.
        wanted: the packages that will be asked for; advisories about others are not kept.

    Raises:
        UsageError: both are named, or the address is none.
        DataError: the files can't be read.
    """
    if server is not None and files is not None:
        raise UsageError("--service and --advisories: name one of them")
    if server is not None:
        if re.match(r"https?://[^/]", server) is None:
            raise UsageError(f"--service {without_credentials(server)}: is no address; write https://HOST")
        address = server.rstrip("/").removesuffix(_QUERY)
        name = AdvisoryService(kind="OSV server", place=without_credentials(address))
        return Asked(OsvServer(address + _QUERY, seconds), name, seconds)
    if files is not None:
        advisories = read_advisories(files, wanted)
        name = AdvisoryService(
            kind="OSV files",
            place=without_surrogates(str(files)),
            advisories=advisories.count,
            newest=advisories.newest,
        )
        gaps = [Gap(what="advisories", where=where, reason=reason) for where, reason in advisories.unreadable]
        if len(gaps) > _MOST_UNREADABLE:
            more = len(gaps) - _MOST_UNREADABLE
            gaps[_MOST_UNREADABLE:] = [
                Gap(what="advisories", where=without_surrogates(str(files)), reason=f"{more:,} more can't be read")
            ]
        return Asked(Files(advisories), name, seconds, tuple(gaps))
    return Asked(PackageIndex(seconds), AdvisoryService(kind="package index"), seconds)


def names_of(*snapshots: Snapshot | None) -> frozenset[str]:
    """The names of all Python packages, normalised."""
    return frozenset(package.name for one in snapshots if one is not None for _, package in _installed(one))


def audit(target: Snapshot, asked: Asked, baseline: tuple[Snapshot, BaselineFile] | None = None) -> Audit:
    """Audit the Python packages of a target.

    Args:
        target: its facts.
        asked: who is asked.
        baseline: what the vulnerabilities are compared with; it is audited too, with the same service.
    """
    sides = [target] if baseline is None else [target, baseline[0]]
    said = _ask(sides, asked)
    rows = _rows(target, said, asked)
    old = None if baseline is None else _rows(baseline[0], said, asked)
    vulnerable = tuple(_vulnerable(target, rows, old, partial(_said_of, asked, said)))
    gaps = (*asked.gaps, *_unread(target), *_gaps(rows), *_untold(vulnerable, old, baseline))
    found = [one for package in vulnerable for one in package.vulnerabilities]
    gone = () if old is None else tuple(_gone(old, rows))
    failing = [one for one in found if one.since != "known"]
    return Audit(
        made_by=MadeBy(reprocheck=__version__, date=datetime.datetime.now(datetime.timezone.utc).date().isoformat()),
        verdict="unaudited" if gaps else "vulnerable" if failing else "clean",
        service=asked.name,
        target=side_of(target, None),
        baseline=None if baseline is None else side_of(*baseline),
        summary=AuditSummary(
            packages=len(rows),
            unaudited=sum(row.reason is not None for row in rows),
            vulnerable=len(vulnerable),
            vulnerabilities=len(found),
            new=None if old is None else len(failing),
            gone=None if old is None else len(gone),
            gaps=len(gaps),
        ),
        vulnerable=vulnerable,
        gone=gone,
        gaps=gaps,
        notes=tuple(note for note in target.provenance.notes if factpath.keys(note.what)[:1] == ("environments",)),
        out_of_scope=OutOfScope(
            os_packages=len(target.os_packages),
            conda_packages=sum(len(environment.conda or ()) for environment in target.environments),
        ),
    )


def _installed(snapshot: Snapshot) -> Iterator[tuple[Environment, Package]]:
    for environment in snapshot.environments:
        for package in environment.packages:
            if package.active:
                yield environment, package


def _release(package: Package) -> _Release | None:
    """The release that is asked for: a local build is its release, which advisories know."""
    version = parse_version(package.version)
    return None if version is None else (package.name, Version(version.public))


def _ask(sides: Sequence[Snapshot], asked: Asked) -> dict[_Release, Said]:
    releases = {_release(package) for side in sides for _, package in _installed(side)} - {None}
    return ask(asked.service, sorted(release for release in releases if release is not None), asked.seconds)


def _said_of(asked: Asked, said: dict[_Release, Said], name: str, version: Version) -> Said:
    """What is said of one more release; it is asked for once."""
    release = name, Version(version.public)
    if release not in said:
        said |= ask(asked.service, [release], asked.seconds)
    return said[release]


def _rows(snapshot: Snapshot, said: Mapping[_Release, Said], asked: Asked) -> list[_Row]:
    rows = []
    for environment, package in sorted(_installed(snapshot), key=lambda one: (one[1].name, one[0].id)):
        release = _release(package)
        if release is None:
            reason = "its version is none (PEP 440)" if package.version else "its version is not known"
            rows.append(_Row(environment, package, (), reason))
        else:
            answer = said[release]
            rows.append(_Row(environment, package, answer.found, answer.reason or _foreign(package, asked.service)))
    return rows


def _foreign(package: Package, service: Service) -> str | None:
    """Why advisories about the releases of the package index may not be about this copy."""
    if package.origin in {"index", "unrecorded"} and not package.editable:
        return None
    if package.origin == "unreadable":
        return "where it was installed from can't be read: it may be no release of the package index"
    is_archive = package.origin.partition("#")[0].endswith(_ARCHIVES) and _VCS.match(package.origin) is None
    if service.knows_releases and is_archive and not package.editable:
        return None
    return f"installed from {package.origin}: it may be no release of the package index, which advisories are about"


def _unread(target: Snapshot) -> Iterator[Gap]:
    """The gaps that leave open which packages there are."""
    ids = [environment.id for environment in target.environments]
    told = False
    for gap in target.gaps:
        match factpath.keys(gap.what, ids):
            case ("environments", _, "packages", _, fact, *_) if fact not in {"version", "name"}:
                continue
            case ("environments", _, fact, *_) if fact in _NO_MATTER:
                continue
            case ("environments" | "layers", *_):
                told = True
                yield gap
    if unreadable(target) and not told:
        yield Gap(what="environments", where=target.header.target, reason="no Python environment could be read")


def _gaps(rows: Iterable[_Row]) -> Iterator[Gap]:
    for environment, package, _, reason in rows:
        if reason is not None:
            what = f"environments[{environment.id}].packages[{package.name}]"
            yield Gap(what=what, where=f"{package.name} {package.version}".rstrip(), reason=reason)


def _untold(
    vulnerable: Iterable[VulnerablePackage],
    old: Sequence[_Row] | None,
    baseline: tuple[Snapshot, BaselineFile] | None,
) -> Iterator[Gap]:
    """What seems new in a package that was not audited in the baseline."""
    if old is None or baseline is None:
        return
    reasons = {row.package.name: row for row in old if row.reason is not None}
    for package in vulnerable:
        row = reasons.get(package.name)
        if row is not None and any(one.since == "new" for one in package.vulnerabilities):
            yield Gap(
                what=f"environments[{package.environment}].packages[{package.name}]",
                where=f"{row.package.name} {row.package.version}".rstrip() + f", baseline {baseline[1].name}",
                reason=f"what is new in it can't be told: in the baseline, {row.reason}",
            )


def _ids(one: VulnerabilityResult) -> set[str]:
    return {one.id, *one.aliases}


def _by_package(rows: Iterable[_Row]) -> dict[str, set[str]]:
    names: dict[str, set[str]] = {}
    for row in rows:
        for one in row.found:
            names.setdefault(row.package.name, set()).update(_ids(one))
    return names


def _vulnerable(
    target: Snapshot, rows: Iterable[_Row], old: Iterable[_Row] | None, said_of: Callable[[str, Version], Said]
) -> Iterator[VulnerablePackage]:
    known = None if old is None else _by_package(old)
    graphs: dict[str, Graph] = {}
    for environment, package, found, _ in rows:
        if not found:
            continue
        if environment.id not in graphs:
            graphs[environment.id] = build(environment)
        graph = graphs[environment.id]
        yield VulnerablePackage(
            environment=environment.id,
            name=package.name,
            version=package.version,
            location=package.location,
            introduced_by=layer_of(target, environment, package),
            repair=_repair(graph, package.name, found, said_of),
            unjudged=_unjudged(graph, package.name),
            vulnerabilities=tuple(
                Vulnerability(
                    id=one.id,
                    aliases=tuple(sorted(one.aliases)),
                    summary=one.description,
                    fixed_in=tuple(_fixed(graph, package.name, version) for version in one.fix_versions),
                    since=None if known is None else "known" if _ids(one) & known.get(package.name, set()) else "new",
                )
                for one in found
            ),
        )


def _fixed(graph: Graph, name: str, version: Version) -> FixedVersion:
    return FixedVersion(
        version=str(version),
        refused_by=tuple(
            Refusal(
                by=edge.by,
                by_version=graph.packages[edge.by].version,
                extra=edge.extra,
                requirement=edge.text,
            )
            for edge in graph.requirers_of(name)
            if allows(edge.specifier, str(version)) is not True
        ),
    )


def _repair(
    graph: Graph, name: str, found: Sequence[VulnerabilityResult], said_of: Callable[[str, Version], Said]
) -> FixedVersion | None:
    """The lowest version without any of these vulnerabilities, of those that nobody refuses where there is one.

    The service is asked once more: a version above the fix of one line of releases may come before that of the next.
    """
    if not all(one.fix_versions for one in found):
        return None
    ids = set().union(*map(_ids, found))
    lowest = max(one.fix_versions[0] for one in found)
    fixed = []
    versions = sorted({version for one in found for version in one.fix_versions if version >= lowest})
    for version in versions[:_MOST_FIXES]:
        said = said_of(name, version)
        if said.reason is None and not any(_ids(one) & ids for one in said.found):
            fixed.append(_fixed(graph, name, version))
            if not fixed[-1].refused_by:
                return fixed[-1]
    return fixed[0] if fixed else None


def _unjudged(graph: Graph, name: str) -> tuple[str, ...]:
    unread = {one.name for one in graph.packages.values() if one.requires is None}
    unclear = {item.by for item in graph.unjudged if canonicalize_name(_begin(item.requirement)) == name}
    return tuple(sorted((unread | unclear) - {name}))


def _begin(requirement: str) -> str:
    found = _NAME.match(requirement)
    return "" if found is None else found[1]


def _gone(old: Iterable[_Row], rows: Sequence[_Row]) -> Iterator[GoneVulnerability]:
    there = _by_package(rows)
    told: set[tuple[str, str | None]] = {(row.package.name, None) for row in rows if row.reason is not None}
    for row in old:
        for one in row.found:
            name = row.package.name
            if not _ids(one) & there.get(name, set()) and not {(name, None), (name, one.id)} & told:
                told.add((name, one.id))
                yield GoneVulnerability(
                    id=one.id,
                    aliases=tuple(sorted(one.aliases)),
                    name=name,
                    version=row.package.version,
                )
