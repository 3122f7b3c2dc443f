"""The order of findings: how likely each is the reason why something fails, and the reasons in words."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from reprocheck.model.report import SEVERITIES
from reprocheck.versions import FRAMEWORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reprocheck.model.report import Finding

_FAR = sys.maxsize
"""Steps to a framework where no path leads from one."""


class Sign(NamedTuple):
    """Something that makes a finding likely to be the cause."""

    holds: Callable[[Finding], bool]
    words: str
    """``{frameworks}``: those of the sufferers that are frameworks; ``{first}``: the first sufferer; ``{name}``."""


SIGNS = (
    Sign(lambda it: any(one.fails and one.seen is not None for one in it.breaks), "a known break that was seen"),
    Sign(lambda it: any(one.fails and one.seen is None for one in it.breaks), "a known break, reported"),
    Sign(lambda it: _is_unmet(it) and bool(_frameworks(it.suffers)), "a requirement of {frameworks} is unmet"),
    Sign(lambda it: it.name == "library-missing", "a shared library is missing"),
    Sign(lambda it: it.name in {"wheel-unfit", "libc-unfit"}, "a wheel does not fit"),
    Sign(lambda it: _is_unmet(it) and bool(it.suffers), "a requirement of {first} is unmet"),
    Sign(lambda it: bool(it.suffers) and not it.breaks and not _is_unmet(it), "{first} suffers from it"),
    Sign(lambda it: it.subject.kind == "python-package" and it.subject.name in FRAMEWORKS, "{name} is a framework"),
)
"""From the surest down. The first that holds places a finding; all that hold are told."""


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings as a report lists them, each with its reasons.

    By severity; then by the surest sign that each is the cause; by the steps between a framework and what changed;
    by how many suffer; what nobody asked for before what somebody did; then by name.
    """
    return tuple(replace(finding, why=why(finding)) for finding in sorted(findings, key=place))


def place(finding: Finding) -> tuple[object, ...]:
    """Where a finding stands: the smaller, the more likely the cause."""
    return (
        SEVERITIES.index(finding.severity),
        next((number for number, sign in enumerate(SIGNS) if sign.holds(finding)), len(SIGNS)),
        distance(finding),
        -len(finding.suffers),
        not finding.pulled_by,
        finding.details.get("asked_for") == "true",
        finding.subject.name,
        finding.subject.environment or "",
        finding.rule,
    )


def why(finding: Finding) -> tuple[str, ...]:
    """Say why a finding may be the cause; nothing where nothing speaks for it."""
    words = {
        "frameworks": _frameworks(finding.suffers),
        "first": finding.suffers[0] if finding.suffers else "",
        "name": finding.subject.name,
    }
    told = [sign.words.format_map(words) for sign in SIGNS if sign.holds(finding)]
    if finding.breaks and words["frameworks"]:
        told.append(f"{words['frameworks']} suffers from it")
    elif not words["frameworks"] and 0 < distance(finding) < _FAR:
        told.append(f"{_nearest(finding)} needs it")
    if finding.pulled_by:
        told.append(f"{' and '.join(finding.pulled_by)} dragged it along")
    return tuple(dict.fromkeys(told))


def distance(finding: Finding) -> int:
    """Count the steps between the nearest framework and what the finding is about."""
    if finding.subject.name in FRAMEWORKS:
        return 0
    return _steps(finding.paths)


@lru_cache(maxsize=16384)
def _steps(paths: tuple[tuple[str, ...], ...]) -> int:
    steps = (len(path) - 1 - index for path in paths for index, name in enumerate(path) if name in FRAMEWORKS)
    return min(steps, default=_FAR)


def _nearest(finding: Finding) -> str:
    steps = distance(finding)
    return next(path[-1 - steps] for path in finding.paths if len(path) > steps and path[-1 - steps] in FRAMEWORKS)


def _is_unmet(finding: Finding) -> bool:
    return finding.name in {"requirement-violated", "requirement-missing"}


def _frameworks(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(name for name in names if name in FRAMEWORKS))
