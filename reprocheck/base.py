"""What comes from the base image, and what does not.

Layers tell, where the base's are the lowest of the target's. Where they are not, or a layer is not known to have
brought a thing, the contents tell: what the base shows as well comes from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from reprocheck.attribution import attribute, common_layers
from reprocheck.diff import pair_environments
from reprocheck.model.report import Base

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from reprocheck.explain import PackageExplanation
    from reprocheck.model.report import Finding, IntroducedBy, Side, SubjectKind
    from reprocheck.model.snapshot import FactClass, Snapshot

_CLASSES: dict[SubjectKind, FactClass] = {
    "os-package": "os_packages",
    "os": "system",
    "cuda": "accelerator",
    "variable": "variables",
    "image-config": "image",
    "driver": "machine",
    "device": "machine",
    "machine": "machine",
}
"""Of subjects that are not of an environment."""


def placed(
    findings: Iterable[Finding], of_base: Iterable[Finding], base: Snapshot, after: Snapshot
) -> tuple[Finding, ...]:
    """Say of each finding whether it comes from the base; where that leaves one layer, name it.

    Args:
        findings: of the target.
        of_base: of the base, against the same first side.
        base: the base.
        after: the target.
    """
    same = {(finding.fingerprint, finding.after) for finding in of_base}
    below, layers = common_layers(base, after), len(base.provenance.layers)
    told = []
    for finding in findings:
        shown = (finding.fingerprint, finding.after) in same
        seen = _seen(base, _class(finding), same=shown)
        told.append(replace(finding, from_base=_told(below, layers, finding.introduced_by, seen)))
    # There may be one layer alone above the base.
    signed = attribute(tuple(told), base, after)
    return tuple(
        other if one.introduced_by is None and one.from_base is False else one
        for one, other in zip(told, signed, strict=True)
    )


def explained(told: Iterable[PackageExplanation], base: Snapshot, after: Snapshot) -> tuple[PackageExplanation, ...]:
    """Say of each package whether the base has brought it, in the version that is there."""
    pairs = {pair.after: pair.before for pair in pair_environments(base, after, {}).pairs}
    # One image is made from the other: what has one name is one thing, whatever either has on its PATH.
    pairs |= {environment.id: environment.id for environment in base.environments}
    versions = {
        (environment.id, package.name): package.version
        for environment in base.environments
        for package in environment.packages
        if package.active
    }
    below, layers = common_layers(base, after), len(base.provenance.layers)
    placed = []
    for one in told:
        shown = versions.get((pairs.get(one.environment, ""), one.name)) == one.version
        seen = _seen(base, "environments", same=shown)
        placed.append(replace(one, from_base=_told(below, layers, one.layer, seen)))
    return tuple(placed)


def summary(side: Side, base: Snapshot, after: Snapshot, before: Snapshot, findings: Iterable[Finding]) -> Base:
    """Tell what the base is to both sides, and count what comes from it."""
    counted = [finding for finding in findings if finding.waived is None]
    told = [finding.from_base for finding in counted]
    untold = {_class(finding) for finding in counted if finding.from_base is None}
    return Base(
        side=side,
        layers=len(base.provenance.layers) or None,
        shared=common_layers(base, after),
        remarks=(*remarks(base, after, before), *unknown(untold)),
        findings=told.count(True),
        others=told.count(False),
        untold=told.count(None),
    )


def remarks(base: Snapshot, after: Snapshot, before: Snapshot | None = None) -> Iterator[str]:
    """Say why layers alone don't tell what comes from a base, and that it moved between the two sides."""
    layers, below = len(base.provenance.layers), common_layers(base, after)
    target = after.header.target
    known = "what it holds as well counts as from it"
    if below is None:
        yield f"the layers of {target if layers else base.header.target} are not known; {known}"
    elif below == 0:
        yield f"{target} is not built on it as it is here, unless it was squashed: no layer agrees; {known}"
    elif below < layers:
        agree = f"only the lowest {below} of the base's {layers} layers agree"
        yield f"{target} is not built on it as it is here: {agree}; {known}"
    if before is not None and {_built_otherwise(base, side) for side in (before, after)} == {True, False}:
        sides = f"{before.header.target} and {target}"
        yield f"{sides} are not built on the same: did the base image move between them?"


def _built_otherwise(base: Snapshot, side: Snapshot) -> bool | None:
    """Whether a side has another layer where the base has one of its own; ``None``: layers are not known."""
    same = common_layers(base, side)
    return None if same is None else same < min(len(base.provenance.layers), len(side.provenance.layers))


def unknown(classes: Collection[str]) -> Iterator[str]:
    """Say why it can't be told of some things whether they come from a base: of what fact classes they are."""
    if classes:
        yield f"not all is known of its {' and '.join(sorted(classes))}"


def _class(finding: Finding) -> FactClass:
    return _CLASSES.get(finding.subject.kind, "environments")


def _seen(base: Snapshot, name: FactClass, *, same: bool) -> bool | None:
    """Whether the base shows the same; ``None``: it was not read as far as that."""
    coverage = base.coverage.get(name)
    return same if same or (coverage is not None and coverage.state == "complete") else None


def _told(below: int | None, layers: int, layer: IntroducedBy | None, seen: bool | None) -> bool | None:
    """What the layer tells, else what was seen.

    Args:
        below: how many layers the base and the target have in common.
        layers: how many the base has.
        layer: who brought it.
        seen: whether the base shows it.
    """
    if layer is not None and below is not None:
        if layer.layer <= below:
            return True
        if below == layers:
            return False
    return seen
