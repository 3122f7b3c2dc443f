"""Whether a target keeps the packages of the baseline that a policy extends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reprocheck import rules
from reprocheck.attribution import attribute
from reprocheck.diff import one_sided, out_of_sight
from reprocheck.knowledge import Knowledge
from reprocheck.model import factpath
from reprocheck.model.report import Finding, Level
from reprocheck.model.snapshot import Gap, Note, Snapshot
from reprocheck.scope import unpaired
from reprocheck.sides import arranged, gaps_of
from reprocheck.verdict import classes


class Inherited(NamedTuple):
    """What the baseline that a policy extends comes to."""

    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[Note, ...] = ()


def inherited(
    lower: Snapshot, name: str, after: Snapshot, by_hand: Mapping[str, str], level: Level, knowledge: Knowledge
) -> Inherited:
    """Judge whether the second side keeps the packages of a baseline.

    Args:
        lower: the baseline.
        name: its name, for people.
        after: the second side.
        by_hand: environments paired by hand; of the first sides, it may know some.
        level: what is asked.
        knowledge: by it rules judge.
    """
    known = {environment.id for environment in lower.environments}
    by_hand = {one: other for one, other in by_hand.items() if one in known}
    comparison, pairs = arranged(lower, after, by_hand, knowledge)
    held = [name for name in classes(level) if name in {"environments", "os_packages"}]
    theirs = [gap for gap in gaps_of(lower) if factpath.keys(gap.what)[:1] in {(name,) for name in held}]
    return Inherited(
        findings=attribute(rules.kept(comparison, name, level), lower, after),
        gaps=(*theirs, *unpaired(lower, after, pairs), *out_of_sight(lower, after, pairs)),
        notes=one_sided(lower, after, held),
    )
