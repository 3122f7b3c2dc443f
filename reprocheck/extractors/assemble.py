"""From evidence to snapshot: every extractor in turn."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import msgspec

from reprocheck.extractors import accelerator, environments, image, machine, os_packages, services, system, variables
from reprocheck.extractors.base import Extractor, Traces
from reprocheck.extractors.discovery import denied, mounts
from reprocheck.model.evidence import AnyWant, Evidence, shown
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


def _times(traces: Traces, evidence: Evidence) -> dict[str, dict[str, str]]:
    """When a container wrote what lies above the layers of its image; of these the build tells."""
    if evidence.document.subject.kind != "container" or evidence.engine is None:
        return {}
    times: dict[str, dict[str, str]] = {}
    for group, names in traces.written.items():
        for name, seconds in names.items():
            if traces.authors[group][name] >= len(evidence.engine.layers):
                moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
                times.setdefault(group, {})[name] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return times


def _failed(evidence: Evidence) -> list[Gap]:
    """A gap of each class whose extractor wanted what the probe failed to answer."""
    if not evidence.failed:
        return []
    wanted = {extractor.CLASS: set(map(msgspec.json.encode, extractor.wants(evidence))) for extractor in EXTRACTORS}
    gaps = []
    for want, error in evidence.failed:
        try:
            asked = msgspec.json.encode(msgspec.convert(want, AnyWant))
        except msgspec.ValidationError:
            asked = b""
        # What nobody here wants may have been of any level: it counts at the lowest.
        for name in [name for name, wants in wanted.items() if asked in wants] or [environments.CLASS]:
            reason = f"the probe could not answer {want}: {error}"
            gaps.append(Gap(what=name, where=evidence.document.header.target, reason=reason))
    return gaps


def assemble(evidence: Evidence) -> Snapshot:
    """The facts that the evidence holds. Pure: the same evidence gives the same snapshot."""
    coverage: dict[FactClass, Coverage] = dict.fromkeys(FACT_CLASSES, Coverage(state="not-read"))
    fields: dict[str, Any] = {}
    gaps: list[Gap] = []
    notes: list[Note] = []
    traces = Traces()
    failed = _failed(evidence)
    for extractor in EXTRACTORS:
        facts = extractor.read(evidence)
        unanswered = [gap for gap in failed if gap.what == extractor.CLASS]
        state = "partial" if unanswered and facts.coverage.state == "complete" else facts.coverage.state
        coverage[extractor.CLASS] = Coverage(state=state, version=extractor.VERSION)
        fields.update(facts.fields)
        gaps += [*facts.gaps, *unanswered]
        notes += facts.notes
        traces.take(facts.traces)
    document, engine = evidence.document, evidence.engine
    for problem in document.problems:
        if problem.lost:
            gaps.append(Gap(what="layers", where=problem.where, reason=problem.reason))
        else:
            notes.append(Note(what="layers", where=problem.where, reason=problem.reason))
    provenance = Provenance(
        probe_sha256=document.probe_sha256,
        authors=traces.authors,
        rewritten=traces.rewritten,
        edited=traces.edited,
        removed=traces.removed,
        times=_times(traces, evidence),
        mounts=tuple(map(shown, mounts(evidence))),
        denied=tuple(map(shown, denied(evidence))),
        notes=tuple(dict.fromkeys(notes)),
    )
    if engine is not None:
        provenance = msgspec.structs.replace(
            provenance,
            image_id=engine.image_id,
            image_name=engine.image_name,
            config_digest=engine.config_digest,
            repo_digests=engine.repo_digests,
            layers=engine.layers,
            engine=engine.address,
            container=services.read(evidence),
        )
    return Snapshot(
        header=document.header,
        subject=document.subject,
        coverage=coverage,
        gaps=tuple(sorted(set(gaps), key=lambda gap: (gap.what, gap.where, gap.reason))),
        provenance=provenance,
        **fields,
    )
