"""The dependency graph of one environment: who requires what, along which paths, and what does not hold.

Requirements are evaluated with the target's own marker environment, never with this interpreter's.
Without an extra, the answers are those of ``pip check``; requirements that an extra brings in, which
``pip check`` does not look at, are told apart by :attr:`Edge.extra`.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from reprocheck.versions import Stretch, allows, cut, is_countable, parse_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reprocheck.model.snapshot import Environment, Package

MAX_PATHS = 5
"""How many paths to a package are given; more say nothing new."""

_OR = re.compile(r"\bor\b")
_EXTRA_IS = re.compile(r"""\bextra\s*==\s*['"]([^'"]*)['"]""")
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_VARIABLE = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
_CLAUSE = r"(?:[<>]=?|[!=]=)[ \t]*[0-9]+(?:\.[0-9]+)*"
_PLAIN = re.compile(rf"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)[ \t]*({_CLAUSE}(?:[ \t]*,[ \t]*{_CLAUSE})*)?[ \t]*")
_Step = tuple[str, "str | None"]
"""A package, and the extra (``None``: none) whose requirements are looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """One requirement that applies."""

    by: str
    """Normalised name of the package that states it."""
    to: str
    """Normalised name of the package required."""
    specifier: str
    """PEP 440 specifier set, sorted; empty when any version will do."""
    marker: str | None
    extra: str | None
    """The extra of ``by`` that brings it in; ``None``: it always applies, and ``pip check`` sees it."""
    extras: tuple[str, ...]
    """Extras of ``to`` that it asks for."""
    installed: str | None
    """Version of ``to``; ``None`` when it is missing."""
    holds: bool | None
    """``None``: can't be judged, the version is unknown or not comparable."""

    @property
    def text(self) -> str:
        """The requirement as people write it: ``protobuf<3.20,>=3.9.2``."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.to}{extras}{self.specifier}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unjudged:
    """A requirement that can't be evaluated."""

    by: str
    requirement: str
    """Verbatim."""
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A stretch of versions that the same requirers refuse."""

    specifier: str
    """``>=3.9.2,<3.20``; empty: every version."""
    violates: tuple[str, ...]
    """Names of the requirers that refuse these versions."""
    holds_installed: bool
    """Whether the installed version lies in it."""


class _Parsed(NamedTuple):
    name: str
    specifier: str
    extras: tuple[str, ...]
    marker: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """The requirements of an environment's active packages."""

    packages: Mapping[str, Package]
    """Active copies by normalised name, sorted."""
    markers: Mapping[str, str]
    edges: tuple[Edge, ...]
    """Sorted by ``by``, ``to``, specifier."""
    unjudged: tuple[Unjudged, ...]
    extras: Mapping[str, tuple[str, ...]]
    """Activated extras by package: asked for, and provided."""
    roots: tuple[str, ...]
    """What was requested; where no package says so, what nobody requires."""
    _unrequired: tuple[str, ...]
    _of: Mapping[str, tuple[Edge, ...]]
    _to: Mapping[str, tuple[Edge, ...]]
    _before: Mapping[str, str | None]
    """The package before each on a shortest path from a root."""
    _applying: frozenset[tuple[str, str]]
    """``markers`` as their evaluation is remembered."""
    _reached: frozenset[_Step]
    """The activated extras as steps."""

    def requirements_of(self, name: str) -> tuple[Edge, ...]:
        """Give what a package requires."""
        return self._of.get(name, ())

    def requirers_of(self, name: str) -> tuple[Edge, ...]:
        """Give who requires a package, installed or not; never the package itself."""
        return tuple(edge for edge in self._to.get(name, ()) if edge.by != name)

    def violated(self) -> tuple[Edge, ...]:
        """Give the requirements on installed packages that their version does not meet."""
        return tuple(edge for edge in self.edges if edge.installed is not None and edge.holds is False)

    def missing(self) -> tuple[Edge, ...]:
        """Give the requirements on packages that are not installed."""
        return tuple(edge for edge in self.edges if edge.installed is None)

    def unclear(self) -> tuple[Unjudged, ...]:
        """Give every requirement that can't be judged: for its own sake, or for the version that is installed."""
        of_versions = (
            Unjudged(
                by=edge.by,
                requirement=edge.text,
                reason=f"the version of {edge.to}, {edge.installed}, is none (PEP 440)"
                if edge.installed
                else f"the version of {edge.to} is not known",
            )
            for edge in self.edges
            if edge.holds is None
        )
        return (*self.unjudged, *of_versions)

    def paths_to(self, name: str) -> tuple[tuple[str, ...], ...]:
        """Give the shortest path through each direct requirer, shortest first, at most ``MAX_PATHS``.

        A path begins at what was requested; where nothing requested leads there, at what nobody
        requires; on a cycle that nothing leads to, at the requirer itself.
        """
        paths = []
        around: dict[str, str | None] | None = None
        for by in sorted({edge.by for edge in self.requirers_of(name)}):
            path = _climb(self._before, by)
            if name in path:
                # On a cycle. The way round it is sought for this package alone: one search serves most.
                if around is None:
                    origins = (self.roots, self._unrequired)
                    around = _shortest(self._of, origins, self.packages, avoid=name)
                path = _climb(around, by)
            paths.append((*path, name))
        return tuple(sorted(paths, key=lambda path: (len(path), path))[:MAX_PATHS])

    def intervals(self, name: str) -> tuple[Interval, ...]:
        """Cut the versions of a package at the bounds of its requirers; say who refuses each stretch.

        Final releases only: no bound lies between a pre-release and its release that a reader could use. Where
        the installed version is judged otherwise than those beside it, it gets an interval of its own.
        """
        requirers = self.requirers_of(name)
        stretches: list[tuple[Stretch, tuple[str, ...]]] = []
        for stretch, sample in cut(edge.specifier for edge in requirers):
            violates = tuple(sorted({edge.by for edge in requirers if allows(edge.specifier, sample) is False}))
            if stretches and stretches[-1][1] == violates:
                joined = replace(stretches[-1][0], upper=stretch.upper, upper_included=stretch.upper_included)
                stretches[-1] = (joined, violates)
            else:
                stretches.append((stretch, violates))
        package = self.packages.get(name)
        installed = parse_version(package.version) if package is not None else None
        refusing = tuple(sorted({edge.by for edge in requirers if edge.holds is False}))
        marks = [
            installed is not None and violates == refusing and stretch.holds(installed)
            for stretch, violates in stretches
        ]
        told = [
            Interval(specifier=stretch.specifier, violates=violates, holds_installed=mark)
            for (stretch, violates), mark in zip(stretches, marks, strict=True)
        ]
        if installed is not None and not any(marks):
            above = (index for index, (stretch, _) in enumerate(stretches) if stretch.lies_above(installed))
            own = Interval(specifier=f"=={installed}", violates=refusing, holds_installed=True)
            told.insert(next(above, len(told)), own)
        return tuple(told)

    def broken_by(self, replacements: Mapping[str, Package]) -> tuple[tuple[Edge, ...], tuple[Unjudged, ...]]:
        """Give the requirements that would not hold, or not surely, if other copies stood in place of these.

        Only requirements that touch a replaced package are looked at, and those that its extras bring
        in; so the cost does not grow with the environment. An extra that only a replaced copy asked for
        still counts as asked for: a repair may be refused for it, never printed in spite of it.
        """
        # Copies of what there is a lot of would make the cost grow.
        stand = _Standing(replacements, self.packages)
        steps: list[_Step] = [
            (name, extra)
            for name, package in sorted(replacements.items())
            for extra in (None, *_provided(self._asked(name), package))
        ]
        edges, unjudged, _ = _expand(stand, self._applying, steps, self._reached)
        outside = [
            replace(edge, installed=package.version, holds=holds)
            for name, package in sorted(replacements.items())
            for edge in self.requirers_of(name)
            if edge.by not in replacements and (holds := allows(edge.specifier, package.version)) is not True
        ]
        return (*outside, *(edge for edge in edges if edge.holds is not True)), tuple(unjudged)

    def _asked(self, name: str) -> tuple[str, ...]:
        """Extras that others ask for, of a package that may not be installed (yet)."""
        return tuple(
            sorted({*self.extras.get(name, ()), *(extra for edge in self._to.get(name, ()) for extra in edge.extras)})
        )


def build(environment: Environment) -> Graph:
    """Build the graph of an environment's active packages."""
    packages: dict[str, Package] = {}
    for package in sorted(environment.packages, key=lambda package: (package.name, package.location)):
        if package.active:
            packages.setdefault(package.name, package)
    markers = environment.python.markers if environment.python is not None else {}
    applying = frozenset(markers.items())
    edges, unjudged, reached = _expand(packages, applying, [(name, None) for name in packages], frozenset())
    edges.sort(key=lambda edge: (edge.by, edge.to, edge.specifier, edge.marker or "", edge.extra or ""))
    extras: dict[str, tuple[str, ...]] = {}
    for name, extra in sorted(reached, key=lambda step: (step[0], step[1] or "")):
        if extra is not None:
            extras[name] = (*extras.get(name, ()), extra)
    of, to = _grouped(edges, "by"), _grouped(edges, "to")
    unrequired = tuple(name for name in packages if all(edge.by == name for edge in to.get(name, ())))
    requested = tuple(name for name, package in packages.items() if package.requested is True)
    return Graph(
        packages=packages,
        markers=markers,
        edges=tuple(edges),
        unjudged=tuple(sorted(unjudged, key=lambda item: (item.by, item.requirement))),
        extras=extras,
        roots=requested or unrequired,
        _unrequired=unrequired,
        _of=of,
        _to=to,
        _before=_shortest(of, (requested or unrequired, unrequired), packages),
        _applying=applying,
        _reached=frozenset(step for step in reached if step[1] is not None),
    )


class _Standing(NamedTuple):
    """Packages, some of which are replaced."""

    replacements: Mapping[str, Package]
    packages: Mapping[str, Package]

    def get(self, name: str) -> Package | None:
        return self.replacements.get(name) or self.packages.get(name)


def _shortest(
    requirements: Mapping[str, tuple[Edge, ...]],
    origins: Iterable[tuple[str, ...]],
    packages: Mapping[str, Package],
    avoid: str | None = None,
) -> dict[str, str | None]:
    """Each package that the origins lead to, and the one before it on a shortest path; earlier origins first."""
    before: dict[str, str | None] = {}
    for sources in origins:
        queue = deque(name for name in sources if name != avoid and name not in before)
        before.update(dict.fromkeys(queue))
        while queue:
            name = queue.popleft()
            for edge in requirements.get(name, ()):
                if edge.to not in before and edge.to != avoid and edge.to in packages:
                    before[edge.to] = name
                    queue.append(edge.to)
    return before


def _climb(before: Mapping[str, str | None], name: str) -> tuple[str, ...]:
    """The path that leads to a package, from its origin."""
    path = []
    step: str | None = name
    while step is not None:
        path.append(step)
        step = before.get(step)
    return tuple(reversed(path))


def _grouped(edges: Iterable[Edge], key: str) -> dict[str, tuple[Edge, ...]]:
    groups: dict[str, list[Edge]] = {}
    for edge in edges:
        groups.setdefault(getattr(edge, key), []).append(edge)
    return {name: tuple(group) for name, group in groups.items()}


def _expand(
    packages: Mapping[str, Package] | _Standing,
    markers: frozenset[tuple[str, str]],
    steps: list[_Step],
    known: frozenset[_Step],
) -> tuple[list[Edge], list[Unjudged], set[_Step]]:
    """Follow requirements and the extras that they ask for, until nothing new is asked for.

    ``known`` steps are not followed again, unless they are among the first.
    """
    reached = set(steps)
    queue = deque(steps)
    edges: list[Edge] = []
    unjudged: dict[tuple[str, str], Unjudged] = {}
    taken: set[tuple[str, _Parsed]] = set()
    while queue:
        name, extra = queue.popleft()
        package = packages.get(name)
        applying, unclear = _requirements(package.requires if package and package.requires else (), extra, markers)
        for text, reason in unclear:
            unjudged[name, text] = Unjudged(by=name, requirement=text, reason=reason)
        for parsed in applying:
            # One requirement can belong to several extras.
            if extra is not None and (name, parsed) in taken:
                continue
            taken.add((name, parsed))
            found = packages.get(parsed.name)
            edges.append(_edge(name, parsed, extra, found))
            for asked in _provided(parsed.extras, found):
                if (parsed.name, asked) not in reached and (parsed.name, asked) not in known:
                    reached.add((parsed.name, asked))
                    queue.append((parsed.name, asked))
    return edges, list(unjudged.values()), reached


def _provided(extras: Iterable[str], package: Package | None) -> tuple[str, ...]:
    """Those of the extras that a package provides: installers pass over all others."""
    return () if package is None else tuple(extra for extra in extras if extra in package.extras)


def _edge(by: str, parsed: _Parsed, extra: str | None, package: Package | None) -> Edge:
    return Edge(
        by=by,
        to=parsed.name,
        specifier=parsed.specifier,
        marker=parsed.marker,
        extra=extra,
        extras=parsed.extras,
        installed=package.version if package is not None else None,
        holds=package is not None and allows(parsed.specifier, package.version),
    )


@lru_cache(maxsize=16384)
def _requirements(
    requires: tuple[str, ...], extra: str | None, markers: frozenset[tuple[str, str]]
) -> tuple[tuple[_Parsed, ...], tuple[tuple[str, str], ...]]:
    """The requirements that apply, or that this extra brings in; and those that can't be judged, and why.

    Cached, because most packages are the same on both sides of a comparison.
    """
    applying: list[_Parsed] = []
    unclear: list[tuple[str, str]] = []
    for text in requires:
        if _is_of_other_extra(text, extra):
            continue
        if not is_countable(text):
            unclear.append((text, "holds a number of more than 1,000 digits"))
            continue
        try:
            parsed = _parse(text)
        except (InvalidRequirement, InvalidMarker) as error:
            unclear.append((text, f"not a requirement (PEP 508): {str(error).splitlines()[0]}"))
            continue
        applies = _applies(parsed.marker, extra, markers)
        if applies is None:
            unclear.append((text, "the interpreter's markers are not known"))
        elif applies:
            applying.append(parsed)
    return tuple(applying), tuple(unclear)


def _is_of_other_extra(text: str, extra: str | None) -> bool:
    """Tell cheaply that a requirement belongs to an extra nobody asked for.

    Most requirements of a large environment do, and parsing one costs ten times as much as this.
    """
    _, found, marker = text.partition(";")
    match = _EXTRA_IS.search(marker) if found else None
    if match is None or _OR.search(marker):
        return False
    return extra is None or canonicalize_name(match[1]) != extra


def _parse(text: str) -> _Parsed:
    head, found, tail = text.partition(";")
    if "@" in head:
        # A URL may hold a semicolon.
        requirement = Requirement(text)
        marker = str(requirement.marker) if requirement.marker is not None else None
    else:
        # The same few markers stand behind many requirements: they are parsed once.
        marker = _marker_text(tail.strip()) if found else None
        plain = _plain(head, marker)
        if plain is not None:
            return plain
        requirement = Requirement(head)
    return _Parsed(
        name=canonicalize_name(requirement.name),
        specifier=str(requirement.specifier),
        extras=tuple(sorted({canonicalize_name(extra) for extra in requirement.extras})),
        marker=marker,
    )


def _plain(head: str, marker: str | None) -> _Parsed | None:
    """Parse the plainest form, a name and release numbers; ``None``: packaging has to.

    Nine in ten requirements are of it, and packaging's parser was half of the time that judging took.
    """
    match = _PLAIN.fullmatch(head)
    if match is None:
        return None
    clauses = re.sub(r"[ \t]", "", match[2] or "").split(",")
    if len({clause.rstrip("0123456789.") for clause in clauses}) < len(clauses):
        # Which of two equal clauses stays is packaging's to say.
        return None
    specifier = ",".join(sorted(clauses))
    return _Parsed(name=canonicalize_name(match[1]), specifier=specifier, extras=(), marker=marker)


@lru_cache(maxsize=4096)
def _marker(text: str) -> Marker:
    return Marker(text)


@lru_cache(maxsize=4096)
def _marker_text(text: str) -> str:
    return str(_marker(text))


@lru_cache(maxsize=16384)
def _applies(text: str | None, extra: str | None, markers: frozenset[tuple[str, str]]) -> bool | None:
    if text is None:
        return extra is None
    # With an extra, only what that extra adds is looked for.
    if extra is not None and "extra" not in text:
        return False
    values = dict(markers)
    # packaging fills what is not given from this interpreter: a variable that the target did not state
    # would be answered by the wrong machine.
    if not values.keys() >= set(_VARIABLE.findall(_QUOTED.sub("", text))):
        return None
    try:
        return _marker(text).evaluate({**values, "extra": extra or ""})
    except (UndefinedComparison, UndefinedEnvironmentName):
        return None
