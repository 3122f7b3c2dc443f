"""How two snapshots are compared: snapshots → changes → findings → report."""

from __future__ import annotations

import datetime
import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from reprocheck import __version__, rules
from reprocheck.attribution import attribute
from reprocheck.base import placed, summary
from reprocheck.diff import one_sided, out_of_sight
from reprocheck.inheritance import Inherited, inherited
from reprocheck.knowledge import Knowledge, load
from reprocheck.model.policy import Policy
from reprocheck.model.report import Level, MadeBy, PolicyUsed, Report, Threshold
from reprocheck.model.snapshot import Snapshot
from reprocheck.policy import PolicyFile
from reprocheck.rules import Gate
from reprocheck.scope import checked, no_longer_compared, unasked_machine, unpaired
from reprocheck.sides import BaselineFile, arranged, gaps_of, side_of
from reprocheck.tolerance import lacking, left, waive, with_severities, without
from reprocheck.verdict import classes, default_level, unreadable, verdict


def today() -> datetime.date:
    """The date, in UTC: one gate gives one answer everywhere."""
    return datetime.datetime.now(datetime.timezone.utc).date()


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a comparison is asked."""

    level: Level | None = None
    """``None``: what suits the two sides."""
    fail_on: Threshold = "major"
    pairs: Mapping[str, str] = field(default_factory=dict)
    """Environments paired by hand: id before, id after."""
    gate: bool = True
    """``verify``: a gap in a fact class of the level is no success. ``diff``: only an unreadable side is."""
    policy: PolicyFile | None = None
    """``level`` and ``fail_on`` of it are answered above, by whoever asks: what stands on the command line wins."""
    knowledge: Knowledge = field(default_factory=load)
    """By it rules judge."""
    today: datetime.date = field(default_factory=today)
    """In UTC: by it waivers expire."""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let the garbage collector rest: nothing in here makes any, and to look for it takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_uncollected()
def compare(
    before: Snapshot,
    after: Snapshot,
    question: Question,
    baseline: BaselineFile | None = None,
    base: Snapshot | None = None,
    extends: tuple[Snapshot, BaselineFile] | None = None,
) -> Report:
    """Judge what differs between two snapshots.

    Args:
        before: the first side.
        after: the second side.
        question: what is asked.
        baseline: the file that the first side was read from, if any.
        base: the image that the second side is built on, where one was named: it is told what comes from it.
        extends: the baseline that the policy extends, if it does.
    """
    level = question.level or default_level(before, after)
    policy = question.policy.policy if question.policy else Policy()
    sides = before, after
    before, after = (without(side, policy.ignore) for side in sides)
    comparison, pairs = arranged(before, after, question.pairs, question.knowledge)
    comparison = replace(comparison, states=policy.practice)
    findings = attribute(rules.judge(comparison, level), *sides)
    kept = Inherited()
    if extends is not None and (baseline is None or extends[1].digest != baseline.digest):
        lower = without(extends[0], policy.ignore)
        kept = inherited(lower, extends[1].name, after, question.pairs, level, question.knowledge)
    findings += kept.findings
    if base is not None:
        by_hand = {one: other for one, other in question.pairs.items() if other in {it.id for it in base.environments}}
        of_base = rules.judge(arranged(before, base, by_hand, question.knowledge)[0], level)
        findings = placed(findings, of_base, base, after)
    findings, expired, unused = waive(with_severities(findings, policy.severity), policy.waiver, question.today)
    below = summary(side_of(base, None), base, after, before, findings) if base is not None else None
    if baseline is not None:
        gate = Gate(today=question.today, policy=policy, expired=expired, unused=unused)
        findings += tuple(with_severities(rules.hold_to(gate, comparison, level), policy.severity))
    findings = rules.ordered(findings)
    theirs = gaps_of(before)
    unjudged, accepted = rules.unjudged(comparison)
    unasked = unasked_machine(before, after, question.level)
    alone = tuple(unpaired(before, after, pairs))
    hidden = tuple(out_of_sight(before, after, pairs))
    lost = tuple(no_longer_compared(before, after, pairs))
    told = tuple(left((*after.gaps, *theirs, *alone, *hidden, *lost, *unjudged, *unasked, *kept.gaps), policy.ignore))
    required = tuple(lacking(told, after, policy.require))
    gaps = tuple(dict.fromkeys((*told, *required)))
    unread = {*(after.gaps if unreadable(after) else ()), *(theirs if unreadable(before) else ()), *alone}
    forgiven = () if question.gate else tuple(gap for gap in gaps if gap not in unread)
    judged = verdict(findings, gaps, level, question.fail_on, rules.blocks, forgiven=forgiven, required=required)
    return Report(
        made_by=MadeBy(reprocheck=__version__, knowledge=question.knowledge.version, date=question.today.isoformat()),
        verdict=judged.verdict,
        threshold=question.fail_on,
        level=judged.level,
        failing=judged.failing,
        baseline=side_of(before, baseline),
        target=side_of(after, None),
        base=below,
        policy=_used(question.policy, extends),
        pairs=pairs,
        summary=judged.summary,
        checked=checked(before, after, pairs, level),
        findings=findings,
        gaps=gaps,
        notes=(*one_sided(before, after, classes(level)), *accepted, *kept.notes, *after.provenance.notes),
    )


def _used(policy: PolicyFile | None, extends: tuple[Snapshot, BaselineFile] | None) -> PolicyUsed | None:
    if policy is None:
        return None
    side = side_of(*extends) if extends else None
    return PolicyUsed(name=str(policy.path), digest=policy.digest, ignored=policy.policy.ignore, extends=side)
