"""Who brought a change: the layer, and the instruction that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from reprocheck.model.report import IntroducedBy

if TYPE_CHECKING:
    from reprocheck.model.report import Finding
    from reprocheck.model.snapshot import Layer, Provenance, Snapshot

_OF_FILES = frozenset({"python-package", "conda-package", "os-package", "os", "python", "environment", "file"})
"""Subjects that a layer brings; settings and variables are no files."""


def attribute(findings: tuple[Finding, ...], before: Snapshot, after: Snapshot) -> tuple[Finding, ...]:
    """Sign the findings about files with the layer that brought each; unsigned where that is not known.

    The second side's provenance tells, where its layers were read; else there must be one possibility.
    """
    only = _introduced_by(before, after)
    signed = []
    for finding in findings:
        layer = None
        if finding.subject.kind in _OF_FILES:
            index = _index(finding, after.provenance)
            layer = only if index is None else named(after.provenance.layers[index], after)
        signed.append(finding if layer is None else replace(finding, introduced_by=layer))
    return tuple(signed)


def _index(finding: Finding, provenance: Provenance) -> int | None:
    """Position of the layer from which on there was what the finding tells."""
    subject = finding.subject
    group = {
        "os-package": "os_packages",
        "os": "system",
        "python": "environments",
        "environment": "environments",
    }.get(subject.kind, subject.environment or "")
    name = (subject.environment or subject.name) if group == "environments" else subject.name
    found = _of(provenance, group, name)
    # A requirement is violated once both are there: what it asks of, and the first of those who ask.
    suffering = [index for one in finding.suffers if (index := _of(provenance, group, one)) is not None]
    if suffering and found is not None:
        return max(found, min(suffering))
    return found if found is not None else min(suffering, default=None)


def _of(provenance: Provenance, group: str, name: str) -> int | None:
    there = provenance.authors.get(group, {})
    return there[name] if name in there else provenance.removed.get(group, {}).get(name)


def named(layer: Layer, snapshot: Snapshot) -> IntroducedBy:
    """Name a layer of a snapshot, as people count."""
    return IntroducedBy(
        layer=layer.index + 1,
        layers=len(snapshot.provenance.layers),
        diff_id=layer.diff_id,
        instruction=layer.instruction,
    )


def _introduced_by(before: Snapshot, after: Snapshot) -> IntroducedBy | None:
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
    return named(filled[0], after) if len(filled) == 1 else None
