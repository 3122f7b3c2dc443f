"""What a policy tolerates: findings in, the same findings out, with its severities and waivers."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace
from packaging.utils import canonicalize_name

from reprocheck.model.report import Waived

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from reprocheck.model.policy import Waiver
    from reprocheck.model.report import Finding, Severity


def with_severities(findings: Iterable[Finding], severity: Mapping[str, Severity]) -> Iterator[Finding]:
    """Give each finding the severity that a policy has for its rule, by code or name; its own is kept beside it."""
    for finding in findings:
        given = severity.get(finding.rule) or severity.get(finding.name) or finding.severity
        if given == finding.severity:
            yield finding
        else:
            yield replace(finding, severity=given, own_severity=finding.severity)


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
    used: set[Waiver] = set()
    marked = []
    for finding in findings:
        covering = [waiver for waiver in standing if covers(waiver, finding)]
        used.update(covering)
        waived = Waived(reason=covering[0].reason, expires=covering[0].expires.isoformat()) if covering else None
        marked.append(replace(finding, waived=waived))
    return Waiving(
        findings=tuple(marked),
        expired=tuple(waiver for waiver in waivers if waiver.expires < today),
        unused=tuple(waiver for waiver in standing if waiver not in used),
    )


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
        pattern = canonicalize_name(pattern)
    # First as it stands: a name may hold brackets itself.
    return pattern == name or fnmatchcase(name, pattern)
