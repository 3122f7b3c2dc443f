"""From evidence to snapshot: every extractor in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from reprocheck.extractors import accelerator, environments, image, machine, os_packages, system, variables
from reprocheck.extractors.base import Extractor, Traces
from reprocheck.model.evidence import AnyWant, Evidence
from reprocheck.model.snapshot import FACT_CLASSES, Coverage, FactClass, Gap, Note, Provenance, Snapshot

EXTRACTORS: tuple[Extractor, ...] = (
    system,
    environments,
    os_packages,
    accelerator,
    machine,
    variables,
    image,
)
"""In the order of the snapshot's fields."""


def wants(evidence: Evidence) -> Sequence[AnyWant]:
    """What all extractors want to know next."""
    return [want for extractor in EXTRACTORS for want in extractor.wants(evidence)]


def assemble(evidence: Evidence) -> Snapshot:
    """The facts that the evidence holds. Pure: the same evidence gives the same snapshot."""
    coverage: dict[FactClass, Coverage] = dict.fromkeys(FACT_CLASSES, Coverage(state="not-read"))
    fields: dict[str, Any] = {}
    gaps: list[Gap] = []
    notes: list[Note] = []
    traces = Traces()
    for extractor in EXTRACTORS:
        facts = extractor.read(evidence)
        coverage[extractor.CLASS] = facts.coverage
        fields.update(facts.fields)
        gaps += facts.gaps
        notes += facts.notes
        traces.take(facts.traces)
    document, engine = evidence.document, evidence.engine
    provenance = Provenance(
        probe_sha256=document.probe_sha256,
        authors=traces.authors,
        rewritten=traces.rewritten,
        removed=traces.removed,
        notes=tuple(dict.fromkeys(notes)),
    )
    if engine is not None:
        provenance = msgspec.structs.replace(
            provenance,
            image_id=engine.image_id,
            image_name=engine.image_name,
            config_digest=engine.image_id,
            repo_digests=engine.repo_digests,
            layers=engine.layers,
            engine=engine.address,
        )
    return Snapshot(
        header=document.header,
        subject=document.subject,
        coverage=coverage,
        gaps=tuple(sorted(set(gaps), key=lambda gap: (gap.what, gap.where, gap.reason))),
        provenance=provenance,
        **fields,
    )
