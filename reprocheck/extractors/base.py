"""What an extractor is: two pure functions over the evidence, and the facts that it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from reprocheck.model.evidence import AnyWant, Evidence
from reprocheck.model.snapshot import Coverage, FactClass, Gap, Note


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What one extractor read."""

    coverage: Coverage
    fields: dict[str, Any] = field(default_factory=dict)
    """Fields of the snapshot."""
    gaps: tuple[Gap, ...] = ()
    notes: tuple[Note, ...] = ()


def in_one_pass(evidence: Evidence) -> bool:
    """Whether the target is asked once only, by the bare probe: what may be needed has to be asked at once."""
    return evidence.document.subject.kind == "evidence"


class Extractor(Protocol):
    """A module of this package."""

    CLASS: FactClass

    def wants(self, evidence: Evidence) -> Sequence[AnyWant]:
        """What to ask next, given the answers so far; the first round's wants need no answer at all."""
        ...

    def read(self, evidence: Evidence) -> Facts:
        """The facts, from whatever evidence there is."""
        ...
