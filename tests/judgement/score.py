"""The labelled cases, how reprocheck judges each, and the figures over all of them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import msgspec

from reprocheck.compare import Question, compare
from reprocheck.model.report import SEVERITIES, Finding, Severity
from tests.judgement import store

Label = Literal["breaking", "violation", "harmless"]
PAGE = store.HERE.parents[1] / "docs" / "explanation" / "judgement.md"
"""Where the figures are published."""
FRIGHTENING: tuple[Severity, ...] = ("breaking", "major")


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A before/after pair and what is true of it."""

    name: str
    before: str
    """An environment."""
    after: str = ""
    """An environment; empty: ``before`` with ``change``."""
    change: tuple[str, ...] = ()
    """``numpy==2.0.2``, or ``-tqdm``: by hand, as ``pip install --no-deps`` and ``pip uninstall`` would."""
    label: Label
    """``breaking``: something that worked does not any more. ``violation``: a requirement is violated."""
    cause: str = ""
    """The package that has to go back for all to be well again; empty where there is nothing to repair."""
    chain: tuple[str, ...] = ()
    """Packages that belong to the cause: what took it along, what goes back with it."""
    suffers: str = ""
    """What does not work any more, or whose requirement is violated."""
    statement: str = ""
    """What was run on both sides (``seen.toml``)."""
    why: str = ""
    """How the label is known to be true, where nothing was run."""

    @property
    def real(self) -> bool:
        """Whether an installer made both sides."""
        return not self.change


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One case, judged."""

    case: Case
    worst: Severity | None
    """Worst severity among the findings about the cause; of a harmless case, among all."""
    rank: int | None
    """Place of the cause among the subjects of the findings, in the order of the report; ``None``: it is not there."""
    changes: int
    """Packages that differ."""
    harmless: int
    """Packages that differ and have no part in what is wrong."""
    alarms: tuple[str, ...]
    """Of these, the ones with a finding that is major or worse."""
    false_breaks: tuple[str, ...]
    """Subjects of breaking findings that have no part in what is wrong."""


@cache
def cases() -> tuple[Case, ...]:
    found = msgspec.toml.decode((store.HERE / "cases.toml").read_bytes(), type=dict[str, tuple[Case, ...]])
    return found["case"]


def sides(case: Case) -> tuple[store.Pinned, store.Pinned]:
    before = store.read(case.before)
    if case.after:
        return before, store.read(case.after)
    pins = dict(before.pins)
    for text in case.change:
        if text.startswith("-"):
            del pins[text[1:]]
        else:
            name, _, version = text.partition("==")
            pins[name] = version
    return before, replace(before, pins=pins, requested=before.requested & pins.keys())


def score(case: Case) -> Scored:
    before, after = sides(case)
    question = Question(level="packages", today=datetime.date(2026, 11, 24))
    findings = compare(store.capture(before), store.capture(after), question).findings
    changed = {name for name in before.pins.keys() | after.pins.keys() if before.pins.get(name) != after.pins.get(name)}
    involved = {case.cause, case.suffers, *case.chain}
    subjects = list(dict.fromkeys(finding.subject.name for finding in findings))
    about = findings if case.label == "harmless" else [one for one in findings if one.subject.name == case.cause]
    return Scored(
        case=case,
        worst=worst(about),
        rank=subjects.index(case.cause) + 1 if case.cause in subjects else None,
        changes=len(changed),
        harmless=len(changed - involved),
        alarms=_subjects(findings, FRIGHTENING, involved),
        false_breaks=_subjects(findings, ("breaking",), involved),
    )


def worst(findings: Sequence[Finding]) -> Severity | None:
    return min((finding.severity for finding in findings), key=SEVERITIES.index, default=None)


def _subjects(findings: Sequence[Finding], severities: Sequence[Severity], without: set[str]) -> tuple[str, ...]:
    return tuple(sorted({one.subject.name for one in findings if one.severity in severities} - without))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Over all cases."""

    scored: tuple[Scored, ...]

    def of(self, *labels: Label) -> tuple[Scored, ...]:
        return tuple(one for one in self.scored if one.case.label in labels)

    @property
    def missed(self) -> tuple[str, ...]:
        """Breaks of which no breaking finding names the cause."""
        return tuple(one.case.name for one in self.of("breaking") if one.worst != "breaking")

    @property
    def misplaced(self) -> tuple[str, ...]:
        """Cases with a cause that is not ranked first."""
        return tuple(one.case.name for one in self.of("breaking", "violation") if one.rank != 1)

    @property
    def recall(self) -> float:
        """Breaks that are ``breaking``, of all."""
        breaks = self.of("breaking")
        return (len(breaks) - len(self.missed)) / len(breaks)

    @property
    def precision(self) -> float:
        """Subjects of breaking findings that have a part in a break, of all subjects of breaking findings."""
        true = len(self.of("breaking")) - len(self.missed)
        called = true + sum(len(one.false_breaks) for one in self.scored)
        return true / called if called else 1.0

    @property
    def first(self) -> float:
        """Cases whose cause is ranked first, of all that have one."""
        caused = self.of("breaking", "violation")
        return (len(caused) - len(self.misplaced)) / len(caused)

    @property
    def harmless(self) -> int:
        return sum(one.harmless for one in self.scored)

    @property
    def alarms(self) -> int:
        return sum(len(one.alarms) for one in self.scored)


@cache
def figures() -> Figures:
    return Figures(scored=tuple(score(case) for case in cases()))


def page(figures: Figures) -> Iterator[str]:
    """The lines of ``docs/explanation/judgement.md``."""
    caused, breaks = figures.of("breaking", "violation"), figures.of("breaking")
    harmless, real = figures.of("harmless"), sum(one.case.real for one in figures.scored)
    yield from _HEAD
    yield (
        f"- **Cases:** {len(figures.scored)}, of which {real} are real on both sides: sets that an installer resolved."
        " The others take such a set and change it by hand."
    )
    yield (
        f"- **Recall:** {len(breaks) - len(figures.missed)} of {len(breaks)} breaks are `breaking`"
        f" ({figures.recall:.0%})."
    )
    yield f"- **Precision:** {figures.precision:.0%} of what is called `breaking` belongs to a break."
    run = sum(bool(one.case.statement) for one in figures.scored)
    yield (
        f"- **Seen:** in {run} cases both sides were installed, and a statement was run in them that worked before, and"
        " afterwards failed where the truth is a break. The others say how their truth is known."
    )
    yield (
        f"- **Rank of the cause:** first in {len(caused) - len(figures.misplaced)} of {len(caused)} cases"
        f" ({figures.first:.0%})."
    )
    yield (
        f"- **False alarms:** {figures.alarms} of {figures.harmless} harmless changes are `major` or worse"
        f" ({100 * figures.alarms / figures.harmless:.1f} in 100); {sum(one.changes for one in harmless)} of these"
        f" changes stand in the {len(harmless)} harmless cases, the others beside a cause."
    )
    yield ""
    yield "| case | truth | cause | judged | rank | changes | false alarms |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for one in figures.scored:
        case = one.case
        cells = (
            case.name + ("" if case.real else " (by hand)"),
            case.label,
            case.cause or "-",
            one.worst or "nothing",
            str(one.rank or "-") if case.cause else "-",
            str(one.changes),
            ", ".join(one.alarms) or "none",
        )
        yield f"| {' | '.join(cells)} |"


_HEAD = """\
# How well it judges

<!-- Written by `python -m tests.judgement --write`; edit the program, not this page. -->

Before/after pairs of Python environments whose truth is known, judged as `verify` would. A *break* was seen: what
worked does not work any more with these versions. A *violation* is a requirement that held and does not any more. A
*harmless* pair looks frightening and is not: every requirement holds, and what was asked for can be imported. `judged`
is the worst finding about the cause, in a harmless pair the worst of all; `rank` is the place of the cause in the
report. A false alarm is a package that differs, has no part in what is wrong, and is called `major` or worse. How each
pair was made, and how its truth is known, stands in `tests/judgement/`.
""".splitlines()
