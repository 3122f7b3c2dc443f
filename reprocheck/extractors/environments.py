"""Every Python environment of a target: its interpreter, search path, distributions and ``.pth`` files."""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import msgspec
from packaging.utils import canonicalize_name

from reprocheck import pythonpath
from reprocheck.extractors import conda, distributions, home, zipped
from reprocheck.extractors.base import Facts, Traces, in_words, stated_since
from reprocheck.extractors.discovery import mounts, remarks, search
from reprocheck.extractors.distributions import Distribution
from reprocheck.extractors.layout import EvidenceTree, layout_of, site_module, unsure_of_site
from reprocheck.extractors.packages import packages
from reprocheck.extractors.places import (
    Place,
    configurations_on_path,
    hidden_on_path,
    on_path,
    path_candidates,
    places,
)
from reprocheck.extractors.uncovered import Searched
from reprocheck.model.evidence import AnyWant, Evidence, Interpreter, InterpreterEvidence, List, Read, literal, shown
from reprocheck.model.snapshot import Coverage, Environment, FactClass, Gap, Note, Package, PathFile, Python, copy_of

CLASS: FactClass = "environments"
VERSION = 4

_LIBRARIES = (
    "/usr/lib/python3",
    "@prefix/lib",
    "@prefix/lib64",
    "@prefix/lib/python*",
    "@prefix/lib64/python*",
    "@prefix/local/lib",
    "@prefix/local/lib/python*",
    "@home/.local/lib",
    "@home/.local/lib/python*",
)
_SITE_LIMIT = 1 << 18
_CONFIG_LIMIT = 1 << 16
_CLOSED = frozenset({"EACCES", "EXDEV"})
"""Problems of a directory that is there."""
_MACHINE_MARKERS = frozenset({"platform_release", "platform_version"})


def wants(evidence: Evidence) -> Sequence[AnyWant]:
    """First the search and all that it finds; then where the search paths lead."""
    first: list[AnyWant] = [
        search(evidence),
        Interpreter(at="@self"),
        Interpreter(at="@python"),
        Read(at="@venv", limit=_CONFIG_LIMIT),
        *distributions.wants("@site", deep=evidence.document.deep),
        *distributions.written_again(evidence),
        *conda.wants(evidence),
        # So that a directory that is not there is known not to be, without another round.
        *(List(at=at) for at in _LIBRARIES),
        *(Read(at=f"@prefix/{library}/python*/site.py", limit=_SITE_LIMIT) for library in ("lib", "lib64")),
        *(Interpreter(at=literal(path)) for path in path_candidates(evidence)),
        *(Read(at=literal(path), limit=_CONFIG_LIMIT) for path in configurations_on_path(evidence)),
        *_at_mounts(evidence),
        *home.wants(evidence),
    ]
    follow = [want for place in places(evidence) for want in _follow(place, evidence)]
    return [*first, *follow]


def _at_mounts(evidence: Evidence) -> Iterator[AnyWant]:
    """Mounts are not searched, but one may be a virtual environment as a whole."""
    for mount in mounts(evidence):
        yield Read(at=literal(f"{mount}/pyvenv.cfg"), limit=_CONFIG_LIMIT)
        yield from (Interpreter(at=literal(f"{mount}/bin/{name}")) for name in ("python3", "python"))


def _follow(place: Place, evidence: Evidence) -> Iterator[AnyWant]:
    layout = layout_of(place, evidence)
    if layout is None:
        return
    if place.facts is not None and site_module(place.facts) not in evidence.files:
        yield Read(at=literal(site_module(place.facts)), limit=_SITE_LIMIT)
    tree = EvidenceTree(evidence)
    directories = dict.fromkeys((*pythonpath.site_directories(layout), *pythonpath.search_path(layout, tree)))
    # The archive of the standard library, which comes first on every path and holds no distribution.
    standard = {entry for entry in layout.standard_path if entry.endswith(".zip")}
    for directory in (*directories, *tree.unknown):
        if directory not in evidence.listings and directory not in standard:
            yield from distributions.wants(literal(directory), deep=evidence.document.deep)
        listing = evidence.listings.get(directory)
        if directory not in standard and (
            directory.endswith(zipped.SUFFIXES) or (listing is not None and listing.problem == "ENOTDIR")
        ):
            yield Read(at=literal(directory), limit=zipped.LIMIT)


def read(evidence: Evidence) -> Facts:
    """The environments, in order of their ids."""
    if evidence.walk is None:
        return _unread(evidence)
    gaps: list[Gap] = []
    notes: list[Note] = []
    found = places(evidence)
    active = on_path(found, evidence)
    hidden = hidden_on_path(found, evidence)
    if hidden is not None:
        what = f"{CLASS}[{shown(posixpath.dirname(posixpath.dirname(hidden)))}]"
        why = in_words(evidence.interpreters[hidden].problem)
        reason = f"is what python3 may start, and can't be looked at ({why}), so nothing is known of its environment"
        gaps.append(Gap(what=what, where=shown(hidden), reason=reason))
    traces = Traces()
    environments = [_environment(place, evidence, place.id == active, gaps, notes, traces) for place in found]
    if not any(place.has_python for place in found):
        where = evidence.document.header.target
        gaps.append(Gap(what=CLASS, where=where, reason="no Python environment was found"))
    unfound, aside = remarks(CLASS, evidence, gaps)
    return Facts(
        coverage=Coverage(state="partial" if gaps or unfound else "complete"),
        fields={"environments": tuple(sorted(environments, key=lambda one: one.id))},
        traces=traces,
        gaps=(*gaps, *unfound),
        notes=(*notes, *aside),
    )


def _unread(evidence: Evidence) -> Facts:
    state = evidence.engine.state if evidence.engine else None
    target = evidence.document.header.target
    remedy = {
        "paused": "docker unpause",
        "exited": "docker start",
        "created": "docker start",
    }.get(state or "")
    why = f"the container is {state}" if state else "no process answered"
    reason = f"{why}: reading an environment needs a running Python" + (
        f" ({remedy} {evidence.document.subject.name})" if remedy else ""
    )
    return Facts(coverage=Coverage(state="not-read"), gaps=(Gap(what=CLASS, where=target, reason=reason),))


def _environment(
    place: Place, evidence: Evidence, active: bool, gaps: list[Gap], notes: list[Note], traces: Traces
) -> Environment:
    what = f"environments[{place.id}]"
    layout = layout_of(place, evidence)
    managed, unread = conda.read(place.prefix, what, evidence, traces) if place.kind == "conda" else ((), [])
    gaps += unread
    if not place.has_python:
        return Environment(id=place.id, kind=place.kind, on_path=active, conda=managed)
    if place.facts is None:
        gaps.append(Gap(what=f"{what}.python", where=shown(place.executable), reason=place.reason or "not asked"))
    if layout is None:
        gaps.append(
            Gap(what=f"{what}.packages", where=shown(place.prefix), reason="the version of its Python is unknown")
        )
        return Environment(id=place.id, kind=place.kind, on_path=active, python=None, conda=managed)
    if place.unsure is not None:
        gaps.append(Gap(what=f"{what}.search_path", where=shown(place.executable), reason=place.unsure))
    if unsure_of_site(place, evidence):
        reason = "its site module was not read, so it is not known whether it looks into dist-packages"
        gaps.append(Gap(what=f"{what}.search_path", where=shown(place.executable), reason=reason))
    if place.unable is not None:
        notes.append(Note(what=f"{what}.python", where=shown(place.executable), reason=place.unable))
    tree = EvidenceTree(evidence)
    path = pythonpath.search_path(layout, tree)
    opened = _archives(path, evidence)
    _unsearched(what, path, tree, evidence, opened, gaps)
    copies: list[tuple[str, Distribution]] = []
    for directory in path:
        found, leftovers = distributions.read(directory, evidence)
        inside = opened.get(directory, [])
        found += inside if isinstance(inside, list) else []
        copies += [(directory, one) for one in found]
        notes += [Note(what=what, where=left.partition(": ")[0], reason=left.partition(": ")[2]) for left in leftovers]
    for link, target in _broken_links(layout, path, evidence):
        gaps.append(
            Gap(what=f"{what}.packages", where=shown(link), reason=f"names {shown(target)}, which is not there")
        )
    rooted = partial(place.rooted, home=evidence.home)
    listed, unknown = packages(what, copies, rooted)
    gaps += unknown
    _trace(place, listed, copies, Searched(path, layout, evidence), evidence, traces)
    for file in _paths_of_pth(layout, evidence):
        traces.of(place.id, rooted(file), stated_since(evidence.files[file], bytes))
    return Environment(
        id=place.id,
        kind=place.kind,
        on_path=active,
        python=_python(place),
        search_path=tuple(map(rooted, path)),
        packages=listed,
        pth=_path_files(layout, evidence, rooted),
        conda=managed,
    )


def _trace(
    place: Place,
    listed: Sequence[Package],
    copies: Sequence[tuple[str, Distribution]],
    searched: Searched,
    evidence: Evidence,
    traces: Traces,
) -> None:
    config = evidence.files.get(f"{place.prefix}/pyvenv.cfg") if place.kind == "venv" else None
    told = _told(place, evidence)
    traces.of("environments", place.id, config or told)
    if told is not None and told.version_since is not None:
        version = msgspec.structs.replace(told, layer=told.version_layer, since=told.version_since)
        traces.of(f"environments[{place.id}].python", "python", version)
    there = {package.name for package in listed}
    active = {(package.name, package.location, package.version) for package in listed if package.active}
    for directory, one in copies:
        name: str = canonicalize_name(one.name)
        if (name, place.rooted(directory, evidence.home), one.version) in active:
            file = distributions.metadata_file(one, evidence)
            if file is not None:
                traces.of(place.id, name, searched.taken_since(file, one, directory))
            if one.edited_by is not None:
                traces.edited.setdefault(place.id, {})[name] = one.edited_by
    _trace_copies(place, copies, evidence, traces)
    for gone, removed in searched.removed.items():
        for _, _, layer in removed if gone not in there else ():
            traces.gone(place.id, gone, layer)


def _trace_copies(place: Place, copies: Sequence[tuple[str, Distribution]], evidence: Evidence, traces: Traces) -> None:
    """Of packages of which there are several copies, the layer of each."""
    counts: Counter[str] = Counter(canonicalize_name(one.name) for _, one in copies)
    for directory, one in copies:
        name: str = canonicalize_name(one.name)
        file = distributions.metadata_file(one, evidence) if counts[name] > 1 else None
        location = place.rooted(directory, evidence.home)
        group, copy = f"environments[{place.id}].copies", copy_of(name, one.version, location)
        # Two in one directory may be of one version; the later one makes it two.
        if file is not None and traces.authors.get(group, {}).get(copy, 0) <= (file.since or 0):
            traces.of(group, copy, file)


def _told(place: Place, evidence: Evidence) -> InterpreterEvidence | None:
    return next((told for told in evidence.interpreters.values() if told.facts and told.real == place.executable), None)


def _python(place: Place) -> Python | None:
    facts = place.facts
    if facts is None:
        return None
    return Python(
        version=facts.version,
        implementation=facts.implementation,
        executable=shown(place.executable),
        prefix=shown(facts.base_prefix),
        abi=facts.cache_tag + ("t" if "t" in facts.abiflags else "") if facts.cache_tag else None,
        markers={name: value for name, value in sorted(facts.markers.items()) if name not in _MACHINE_MARKERS},
        extension_suffixes=facts.suffixes,
    )


def _archives(path: Sequence[str], evidence: Evidence) -> dict[str, list[Distribution] | str]:
    """What stands in each archive on the path, or why that is not known."""
    opened: dict[str, list[Distribution] | str] = {}
    for place in path:
        listing, file, raw = evidence.listings.get(place), evidence.files.get(place), evidence.content(place)
        if listing is None or listing.problem != "ENOTDIR":
            continue
        if file is None or raw is None or file.cut:
            kind = "an archive" if place.endswith(zipped.SUFFIXES) else "a file that may be an archive"
            opened[place] = f"is {kind}, which is not searched"
            continue
        if not place.endswith(zipped.SUFFIXES) and not zipped.is_archive(raw):
            continue  # which Python passes over
        try:
            opened[place] = distributions.read_archive(place, raw)
        except ValueError as error:
            opened[place] = f"is {error}"
    return opened


def _unsearched(
    what: str,
    path: Sequence[str],
    tree: EvidenceTree,
    evidence: Evidence,
    opened: Mapping[str, list[Distribution] | str],
    gaps: list[Gap],
) -> None:
    for directory in dict.fromkeys((*path, *tree.unknown)):
        listing = evidence.listings.get(directory)
        if directory in tree.unknown and listing is None:
            reason = "lies on the search path and was not collected"
        elif listing is not None and listing.problem in _CLOSED:
            reason = f"lies on the search path and can't be entered ({in_words(listing.problem)})"
        elif isinstance(said := opened.get(directory), str):
            reason = f"lies on the search path and {said}"
        else:
            continue
        gaps.append(Gap(what=f"{what}.search_path", where=shown(directory), reason=reason))


def _broken_links(layout: pythonpath.Layout, path: Sequence[str], evidence: Evidence) -> Iterator[tuple[str, str]]:
    for directory in pythonpath.site_directories(layout):
        if directory in path:
            for link, target in distributions.egg_link_targets(directory, evidence):
                # One that is there and not on the path is on Python's neither.
                if target not in path and not evidence.is_dir(target):
                    yield link, target


def _path_files(layout: pythonpath.Layout, evidence: Evidence, rooted: Callable[[str], str]) -> tuple[PathFile, ...]:
    found = []
    for path in _paths_of_pth(layout, evidence):
        content = evidence.content(path)
        if content is not None:
            found.append(
                PathFile(
                    path=rooted(path),
                    executable=pythonpath.is_executable(content),
                    sha256=hashlib.sha256(content).hexdigest(),
                )
            )
    return tuple(sorted(found, key=lambda one: one.path))


def _paths_of_pth(layout: pythonpath.Layout, evidence: Evidence) -> Iterator[str]:
    for directory in pythonpath.site_directories(layout):
        yield from evidence.matching(directory, "*.pth")
