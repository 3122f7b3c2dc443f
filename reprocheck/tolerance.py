"""What a policy tolerates: findings in, the same findings out, with its severities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reprocheck.model.report import Finding, Severity


def with_severities(findings: Iterable[Finding], severity: Mapping[str, Severity]) -> Iterator[Finding]:
    """Give each finding the severity that a policy has for its rule, by code or name; its own is kept beside it."""
    for finding in findings:
        given = severity.get(finding.rule) or severity.get(finding.name) or finding.severity
        if given == finding.severity:
            yield finding
        else:
            yield replace(finding, severity=given, own_severity=finding.severity)
