"""Findings and gaps in; verdict, level reached and counts out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reprocheck.errors import ExitCode
from reprocheck.model import factpath
from reprocheck.model.report import (
    LEVELS,
    SEVERITIES,
    Level,
    LevelReached,
    Severity,
    Summary,
    Threshold,
    Verdict,
)
from reprocheck.model.snapshot import ONE_ENVIRONMENT
from reprocheck.versions import FRAMEWORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from reprocheck.model.report import Finding
    from reprocheck.model.snapshot import FactClass, Gap, Snapshot

CLASS_LEVELS: dict[FactClass, Level] = {
    "environments": "framework",
    "system": "stack",
    "os_packages": "stack",
    "accelerator": "stack",
    "variables": "stack",
    "image": "stack",
    "machine": "machine",
}
"""The lowest level that needs something of a fact class. Results of smoke tests belong to none."""


def default_level(before: Snapshot, after: Snapshot) -> Level:
    """Give the level that is verified when nobody says: ``packages`` where a side is an interpreter, else ``stack``."""
    kinds = {before.subject.kind, after.subject.kind}
    return "packages" if kinds & ONE_ENVIRONMENT else "stack"


def classes(level: Level) -> tuple[FactClass, ...]:
    """Give the fact classes that a level looks at."""
    asked = LEVELS.index(level)
    return tuple(name for name, lowest in CLASS_LEVELS.items() if LEVELS.index(lowest) <= asked)


def unreadable(side: Snapshot) -> bool:
    """Whether a side could not be read: it shows no environment, and every level looks into those first.

    What else was read (of a container that does not run: its release, OS packages and settings) is compared, and
    does not make it verified.
    """
    coverage = side.coverage.get("environments")
    return not side.environments and (coverage is None or coverage.state != "complete")


def gap_level(gap: Gap) -> Level | None:
    """Give the lowest level that a gap touches; ``None``: it touches none.

    A gap that is not understood touches the lowest: a gate never turns green on what it could not read.
    """
    path = factpath.keys(gap.what)
    match path:
        case ("smoke" | "provenance" | "header" | "subject", *_):
            return None
        case ("environments", _, "packages", name, *facts):
            return "framework" if name in FRAMEWORKS and facts in ([], ["version"]) else "packages"
        case ("environments", _, "python", fact, *_):
            return "framework" if fact in {"version", "implementation", "abi"} else "packages"
        case ("environments", _, "conda" | "pth" | "search_path" | "duplicates", *_):
            return "packages"
    return next((level for name, level in CLASS_LEVELS.items() if path[:1] == (name,)), "framework")


class Judged(NamedTuple):
    """What a comparison comes to; each field as in :class:`reprocheck.model.report.Report`."""

    verdict: Verdict
    level: LevelReached
    failing: tuple[str, ...]
    summary: Summary


def verdict(
    findings: Sequence[Finding],
    gaps: Sequence[Gap],
    level: Level,
    fail_on: Threshold,
    blocks: Callable[[Finding], Level | None],
    *,
    forgiven: Collection[Gap] = (),
    required: Collection[Gap] = (),
) -> Judged:
    """Judge a whole comparison.

    ``blocks`` gives the level before which a finding stands; ``None``: before none, though it may fail.

    A gap in a fact class of the level makes it ``unverified``, whatever else was found, unless it is
    ``forgiven``: told, and no more. One in what is ``required`` counts at every level. With the threshold ``never``
    the verdict is the one of the default threshold; :func:`exit_code` forgives it.
    """
    asked = LEVELS.index(level)
    counting = {
        gap.what: min(where, asked + 1)
        for gap in gaps
        if gap not in forgiven and ((where := _index(gap)) <= asked or gap in required)
    }
    failing = [finding for finding in findings if finding.waived is None and _fails(finding.severity, fail_on)]
    blockers = [
        (LEVELS.index(lowest), finding.fingerprint) for finding in failing if (lowest := blocks(finding)) is not None
    ]
    blockers += [(where, what) for what, where in sorted(counting.items())]
    blocked = min((where for where, _ in blockers), default=asked + 1)
    reached = LevelReached(
        asked=level,
        reached=LEVELS[blocked - 1] if blocked else None,
        blocked_by=tuple(name for where, name in blockers if where == blocked),
    )
    counts = {
        severity: sum(finding.severity == severity and finding.waived is None for finding in findings)
        for severity in SEVERITIES
    }
    waived = sum(finding.waived is not None for finding in findings)
    summary = Summary(**counts, waived=waived, gaps=len(gaps))
    outcome: Verdict = "unverified" if counting else "drift" if failing else "verified"
    why = (*(finding.fingerprint for finding in failing), *sorted(counting))
    return Judged(outcome, reached, why, summary)


def _index(gap: Gap) -> int:
    """Position of the lowest level that a gap touches; behind all of them where it touches none."""
    level = gap_level(gap)
    return len(LEVELS) if level is None else LEVELS.index(level)


def exit_code(judged: Verdict, fail_on: Threshold) -> ExitCode:
    """Give the exit code of a verdict; with the threshold ``never``, drift is reported and forgiven."""
    if judged == "unverified":
        return ExitCode.UNVERIFIED
    if judged == "drift" and fail_on != "never":
        return ExitCode.DRIFT
    return ExitCode.OK


def _fails(severity: Severity, fail_on: Threshold) -> bool:
    threshold: Severity = "major" if fail_on == "never" else fail_on
    return SEVERITIES.index(severity) <= SEVERITIES.index(threshold)
