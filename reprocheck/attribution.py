"""Who brought a change: the layer, and the instruction that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from reprocheck.model.report import IntroducedBy

if TYPE_CHECKING:
    from reprocheck.model.report import Finding
    from reprocheck.model.snapshot import Layer, Snapshot

_OF_FILES = frozenset({"python-package", "os-package", "os", "python", "environment", "file"})
"""Subjects that a layer brings; settings and variables are no files."""


def attribute(findings: tuple[Finding, ...], before: Snapshot, after: Snapshot) -> tuple[Finding, ...]:
    """Sign the findings about files with the layer that brought them, where there can be only one."""
    layer = _introduced_by(before, after)
    if layer is None:
        return findings
    return tuple(
        replace(finding, introduced_by=layer) if finding.subject.kind in _OF_FILES else finding for finding in findings
    )


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
