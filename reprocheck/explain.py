"""Who brought a change, and what one package's place in an environment is."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from reprocheck.errors import UsageError
from reprocheck.graph import Graph, build
from reprocheck.model.report import IntroducedBy
from reprocheck.model.snapshot import Files, Model

if TYPE_CHECKING:
    from reprocheck.graph import Edge
    from reprocheck.model.snapshot import Environment, Layer, Package, Snapshot


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
    """The layer that brought it; ``None`` unless the target's layers leave one possibility."""


def introduced_by(before: Snapshot, after: Snapshot) -> IntroducedBy | None:
    """Name the layer that brought every change of an image's files, where there can be only one.

    That is so where the second image is the first with layers on top, of which exactly one holds bytes (``WORKDIR``
    makes an empty one). A container is left out: what was changed in it since it was started lies above every
    layer.
    """
    if {before.subject.kind, after.subject.kind} != {"image"}:
        return None
    below = [layer.diff_id for layer in before.provenance.layers]
    layers = after.provenance.layers
    if not below or [layer.diff_id for layer in layers[: len(below)]] != below:
        return None
    filled = [layer for layer in layers[len(below) :] if layer.bytes != 0]
    return _named(filled[0], after) if len(filled) == 1 else None


def explain_package(snapshot: Snapshot, name: str) -> tuple[PackageExplanation, ...]:
    """Explain a package in each environment that has it, sorted by the environment's id.

    Raises :class:`UsageError` where none has it, with the names that come nearest.
    """
    wanted = canonicalize_name(name)
    found = []
    for environment in sorted(snapshot.environments, key=lambda environment: environment.id):
        copies = [package for package in environment.packages if package.name == wanted]
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
    alone = len(snapshot.provenance.layers) == 1 and snapshot.subject.kind == "image"
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
        layer=_named(snapshot.provenance.layers[0], snapshot) if alone else None,
    )


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


def _named(layer: Layer, snapshot: Snapshot) -> IntroducedBy:
    return IntroducedBy(
        layer=layer.index + 1,
        layers=len(snapshot.provenance.layers),
        diff_id=layer.diff_id,
        instruction=layer.instruction,
    )
