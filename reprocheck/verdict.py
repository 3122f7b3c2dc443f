"""Findings and gaps in; verdict, level reached and counts out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reprocheck.errors import ExitCode
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
    from collections.abc import Callable, Sequence

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

_PACKAGE = re.compile(r"environments\[.*?\]\.packages\[(?P<name>[^\]]*)\](?:\.(?P<fact>\w+))?")
_SIDE_FACT = re.compile(r"environments\[.*?\]\.(?:pth|search_path|duplicates)\b")
_PYTHON_FACT = re.compile(r"environments\[.*?\]\.python\.(?P<fact>\w+)")


def default_level(before: Snapshot, after: Snapshot) -> Level:
    """Give the level that is verified when nobody says: ``packages`` where a side is an interpreter, else ``stack``."""
    kinds = {before.subject.kind, after.subject.kind}
    return "packages" if kinds & ONE_ENVIRONMENT else "stack"


def classes(level: Level) -> tuple[FactClass, ...]:
    """Give the fact classes that a level looks at."""
    asked = LEVELS.index(level)
    return tuple(name for name, lowest in CLASS_LEVELS.items() if LEVELS.index(lowest) <= asked)


def gap_level(gap: Gap) -> Level | None:
    """Give the lowest level that a gap touches; ``None``: it touches none.

    A gap that is not understood touches the lowest: a gate never turns green on what it could not read.
    """
    head = re.split(r"[.\[]", gap.what, maxsplit=1)[0]
    if head in {"smoke", "provenance", "header", "subject"}:
        return None
    if head != "environments":
        return next((level for name, level in CLASS_LEVELS.items() if name == head), "framework")
    if match := _PACKAGE.match(gap.what):
        is_framework = match["name"] in FRAMEWORKS and match["fact"] in {None, "version"}
        return "framework" if is_framework else "packages"
    if match := _PYTHON_FACT.match(gap.what):
        return "framework" if match["fact"] in {"version", "implementation", "abi"} else "packages"
    return "packages" if _SIDE_FACT.match(gap.what) else "framework"


def verdict(
    findings: Sequence[Finding],
    gaps: Sequence[Gap],
    level: Level,
    fail_on: Threshold,
    level_of: Callable[[Finding], Level],
    *,
    only_unreadable: bool = False,
) -> tuple[Verdict, LevelReached, Summary]:
    """Judge a whole comparison.

    A gap in a fact class of the level makes it ``unverified``, whatever else was found. With
    ``only_unreadable`` (``diff``) gaps count only where a side has one for each whole class of the level: it
    could not be read. With the threshold ``never`` the verdict is the one of the default threshold;
    :func:`exit_code` forgives it.
    """
    asked = LEVELS.index(level)
    counting = {gap.what: found for gap in gaps if (found := gap_level(gap)) is not None}
    counting = {what: found for what, found in counting.items() if LEVELS.index(found) <= asked}
    if only_unreadable and not set(classes(level)) <= counting.keys():
        counting = {}
    failing = [finding for finding in findings if finding.waived is None and _fails(finding.severity, fail_on)]
    blockers = [(LEVELS.index(level_of(finding)), finding.fingerprint) for finding in failing]
    blockers += [(LEVELS.index(found), what) for what, found in sorted(counting.items())]
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
    if counting:
        return "unverified", reached, summary
    return "drift" if failing else "verified", reached, summary


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
