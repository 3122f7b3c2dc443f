"""What a policy tolerates: findings in, the same findings out, with its severities and waivers."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from msgspec.structs import replace
from packaging.utils import canonicalize_name

from reprocheck.model import factpath
from reprocheck.model.report import Waived
from reprocheck.model.snapshot import Accelerator, Coverage, Gap, Image, Machine, Note

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import date

    from reprocheck.model.policy import Ignorable, Waiver
    from reprocheck.model.report import Finding, Severity
    from reprocheck.model.snapshot import FactClass, Snapshot


Told = TypeVar("Told", Gap, Note)

_NOTHING: Mapping[Ignorable, object] = {
    "os_packages": (),
    "accelerator": Accelerator(),
    "machine": Machine(),
    "variables": {},
    "image": Image(),
}


def without(side: Snapshot, ignored: Collection[Ignorable]) -> Snapshot:
    """Give a side as if some fact classes had never been read, nor anything been said of them.

    Of the system, which is not compared either, the facts stay: whether a wheel fits the C library is a question
    about the wheel.
    """
    if not ignored:
        return side
    unread: dict[FactClass, Coverage] = {name: Coverage(state="not-read") for name in ignored}
    provenance = replace(side.provenance, notes=tuple(left(side.provenance.notes, ignored)))
    return replace(
        side,
        **{name: _NOTHING[name] for name in ignored if name in _NOTHING},
        coverage=side.coverage | unread,
        gaps=tuple(left(side.gaps, ignored)),
        provenance=provenance,
    )


def left(told: Iterable[Told], ignored: Collection[Ignorable]) -> Iterator[Told]:
    """Give the gaps or notes that are of no ignored class."""
    return (one for one in told if factpath.keys(one.what)[:1] not in {(name,) for name in ignored})


def lacking(gaps: Iterable[Gap], side: Snapshot, required: Iterable[str]) -> Iterator[Gap]:
    """Give the gaps in what is required, and a new one for each required fact of a class that nobody read.

    Args:
        gaps: what is not known.
        side: the second side.
        required: paths of facts that must be known.
    """
    ids = [environment.id for environment in side.environments]
    known = [(gap, {*factpath.listings(keys), keys}) for gap in gaps for keys in [factpath.keys(gap.what, ids)]]
    for what in required:
        wanted = factpath.keys(what, ids)
        found = [gap for gap, paths in known if any(_overlap(path, wanted) for path in paths)]
        yield from found
        if not found and (missing := _missing(side, wanted)):
            yield Gap(what=what, where=side.header.target, reason=f"the policy requires it, and {missing}")


def _missing(side: Snapshot, wanted: tuple[str, ...]) -> str | None:
    """Say why nothing is known of a fact that is no gap: its class was not read, or there is no such thing."""
    if not side.was_read(wanted[0]):  # type: ignore[arg-type] # the loader has looked
        return f"{wanted[0]} was not read; capture where it can be"
    match wanted:
        case ("environments", name, *rest):
            environment = next((one for one in side.environments if one.id == name), None)
            if environment is None:
                return "there is no such environment"
            if rest[:1] == ["packages"] and len(rest) > 1:
                names = {package.name for package in environment.packages}
                return None if canonicalize_name(rest[1]) in names else "no such package is installed"
    return None


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one of two paths leads to, or through, the other."""
    return all(first == second for first, second in zip(one, other, strict=False))


def with_severities(findings: Iterable[Finding], severity: Mapping[str, Severity]) -> Iterator[Finding]:
    """Give each finding the severity that a policy has for its rule, by code or name; its own is kept beside it."""
    for finding in findings:
        given = severity.get(finding.rule) or severity.get(finding.name) or finding.severity
        if given == finding.severity:
            yield finding
        else:
            yield replace(finding, severity=given, own_severity=finding.severity)


_WILD = re.compile(r"[*?[]")
"""What makes a pattern of a name."""


class Waiving(NamedTuple):
    """What the waivers of a policy come to."""

    findings: tuple[Finding, ...]
    """All of them; those that are covered say so."""
    expired: tuple[Waiver, ...]
    """Waivers that were not asked any more."""
    unused: tuple[Waiver, ...]
    """Waivers that cover nothing."""


def waive(findings: Iterable[Finding], waivers: Iterable[Waiver], today: date) -> Waiving:
    """Mark the findings that a waiver covers; one waives through the day on which it expires.

    Args:
        findings: what was found.
        waivers: what is tolerated.
        today: the date, in UTC.
    """
    standing = [waiver for waiver in waivers if waiver.expires >= today]
    by_rule_and_name: dict[tuple[str, str | None], list[Waiver]] = {}
    for waiver in standing:
        names = {None} if _WILD.search(waiver.subject) else {waiver.subject, _as_package(waiver.subject)}
        for name in names:
            by_rule_and_name.setdefault((waiver.rule, name), []).append(waiver)
    used: set[Waiver] = set()
    marked = []
    for finding in findings:
        likely = (
            waiver
            for rule in (finding.rule, finding.name)
            for name in (finding.subject.name, None)
            for waiver in by_rule_and_name.get((rule, name), ())
        )
        covering = [waiver for waiver in likely if covers(waiver, finding)]
        used.update(covering)
        waived = Waived(reason=covering[0].reason, expires=covering[0].expires.isoformat()) if covering else None
        marked.append(replace(finding, waived=waived))
    return Waiving(
        findings=tuple(marked),
        expired=tuple(waiver for waiver in waivers if waiver.expires < today),
        unused=tuple(waiver for waiver in standing if waiver not in used),
    )


@lru_cache(maxsize=4096)
def _as_package(pattern: str) -> str:
    """A name or pattern in the one spelling that packages have in findings (PEP 503)."""
    return canonicalize_name(pattern)


def covers(waiver: Waiver, finding: Finding) -> bool:
    """Whether a waiver is about a finding."""
    return (
        waiver.rule in {finding.rule, finding.name}
        and waiver.environment in {None, finding.subject.environment}
        and waiver.before in {None, finding.before}
        and waiver.after in {None, finding.after}
        and _names(waiver.subject, finding)
    )


def _names(pattern: str, finding: Finding) -> bool:
    name = finding.subject.name
    if finding.subject.kind == "python-package":
        pattern = _as_package(pattern)
    # First as it stands: a name may hold brackets itself.
    return pattern == name or fnmatchcase(name, pattern)
