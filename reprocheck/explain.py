"""What one package's place in an environment is."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from reprocheck.attribution import named
from reprocheck.errors import UsageError
from reprocheck.graph import Graph, build
from reprocheck.model.report import IntroducedBy
from reprocheck.model.snapshot import IMAGES, Files, Model
from reprocheck.model.text import printable

if TYPE_CHECKING:
    from reprocheck.graph import Edge
    from reprocheck.model.snapshot import Environment, Package, Snapshot


class Copy(Model, frozen=True, kw_only=True):
    """Another copy of the package, which Python does not take."""

    version: str
    location: str


class Requirer(Model, frozen=True, kw_only=True):
    """An installed package that requires this one."""

    by: str
    by_version: str
    specifier: str
    """PEP 440 specifier set; empty when any version will do."""
    marker: str | None
    extra: str | None
    """The extra of ``by`` that brings the requirement in; ``pip check`` does not see such a one."""
    satisfied: bool | None
    """``None``: can't be judged."""


class Requirement(Model, frozen=True, kw_only=True):
    """A package that this one requires."""

    name: str
    specifier: str
    marker: str | None
    extra: str | None
    installed: str | None
    """Installed version; ``None``: missing."""
    satisfied: bool | None


class Unjudged(Model, frozen=True, kw_only=True):
    """A requirement of this package that can't be evaluated."""

    requirement: str
    reason: str


class VersionInterval(Model, frozen=True, kw_only=True):
    """Versions between two bounds of the requirers, and who refuses them."""

    specifier: str
    """Empty: every version."""
    violates: tuple[str, ...]
    holds_installed: bool


class PackageExplanation(Model, frozen=True, kw_only=True):
    """One package in one environment."""

    environment: str
    name: str
    display_name: str
    version: str
    location: str
    origin: str
    editable: bool
    installer: str | None
    requested: bool | None
    problems: tuple[str, ...]
    files: Files
    copies: tuple[Copy, ...]
    required_by: tuple[Requirer, ...]
    paths: tuple[tuple[str, ...], ...]
    """From what was requested to the package, shortest first, at most five."""
    requires: tuple[Requirement, ...]
    unjudged: tuple[Unjudged, ...]
    intervals: tuple[VersionInterval, ...]
    """What each version would violate, from the lowest up."""
    layer: IntroducedBy | None
    """The layer that first brought this version, as ``Provenance.authors`` has it; ``None`` where it has none."""
    from_base: bool | None = None
    """Whether the base image has brought it; ``None``: no base was named, or it can't be told."""


def explain_package(snapshot: Snapshot, name: str) -> tuple[PackageExplanation, ...]:
    """Explain a package in each environment that has it, sorted by the environment's id.

    Raises :class:`UsageError` where none has it, with the names that come nearest.
    """
    wanted = canonicalize_name(name)
    # Or as it is printed: what a name holds that is no text, nobody can type.
    names = {
        package.name
        for environment in snapshot.environments
        for package in environment.packages
        if wanted in {package.name, canonicalize_name(printable(package.name))}
    }
    found = []
    for environment in sorted(snapshot.environments, key=lambda environment: environment.id):
        copies = [package for package in environment.packages if package.name in names]
        taken = next((package for package in copies if package.active), None)
        if taken is not None:
            found.append(_explain(snapshot, environment, taken, copies))
    if not found:
        there = {package.name for environment in snapshot.environments for package in environment.packages}
        near = difflib.get_close_matches(wanted, sorted(there), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"{snapshot.header.target} has no Python package {name}{hint}")
    return tuple(found)


def _explain(
    snapshot: Snapshot, environment: Environment, package: Package, copies: list[Package]
) -> PackageExplanation:
    graph = build(environment)
    return PackageExplanation(
        environment=environment.id,
        name=package.name,
        display_name=package.display_name or package.name,
        version=package.version,
        location=package.location,
        origin=package.origin,
        editable=package.editable,
        installer=package.installer,
        requested=package.requested,
        problems=package.problems,
        files=package.files,
        copies=tuple(Copy(version=copy.version, location=copy.location) for copy in copies if copy is not package),
        required_by=tuple(_requirer(graph, edge) for edge in graph.requirers_of(package.name)),
        paths=graph.paths_to(package.name),
        requires=tuple(_requirement(edge) for edge in graph.requirements_of(package.name)),
        unjudged=tuple(
            Unjudged(requirement=item.requirement, reason=item.reason)
            for item in graph.unjudged
            if item.by == package.name
        ),
        intervals=tuple(
            VersionInterval(
                specifier=interval.specifier,
                violates=interval.violates,
                holds_installed=interval.holds_installed,
            )
            for interval in graph.intervals(package.name)
        ),
        layer=layer_of(snapshot, environment, package),
    )


def layer_of(snapshot: Snapshot, environment: Environment, package: Package) -> IntroducedBy | None:
    """The layer that first brought a package in this version, as far as it is known."""
    provenance = snapshot.provenance
    index = provenance.authors.get(environment.id, {}).get(package.name)
    if index is None and len(provenance.layers) == 1 and snapshot.subject.kind in IMAGES:
        index = 0
    time = provenance.times.get(environment.id, {}).get(package.name)
    return None if index is None else named(index, snapshot, time)


def _requirer(graph: Graph, edge: Edge) -> Requirer:
    return Requirer(
        by=edge.by,
        by_version=graph.packages[edge.by].version,
        specifier=edge.specifier,
        marker=edge.marker,
        extra=edge.extra,
        satisfied=edge.holds,
    )


def _requirement(edge: Edge) -> Requirement:
    return Requirement(
        name=edge.to,
        specifier=edge.specifier,
        marker=edge.marker,
        extra=edge.extra,
        installed=edge.installed,
        satisfied=edge.holds,
    )
