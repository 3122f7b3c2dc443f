"""An audit as text: what is known first, then what was not audited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.formats.layout import Page
from reprocheck.formats.words import brought_by, counted, how_it_was_read, in_a_row, listed, side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprocheck.model.audit import Audit, FixedVersion, Vulnerability, VulnerablePackage
    from reprocheck.model.snapshot import Gap

_STYLES = {"clean": "verified", "vulnerable": "drift", "unaudited": "unverified"}
_MOST = 6
"""Things of one kind that a line lists; the others are counted."""
_MOST_REASONS = 20
_SUMMARY = 160
_PACKAGE, _PACKAGES = "Python package", "Python packages"
_VULNERABILITY, _VULNERABILITIES = "known vulnerability", "known vulnerabilities"


def render(audit: Audit, *, width: int = 100, color: bool = False) -> str:
    """Lay out an audit."""
    page = Page(width=width, color=color)
    page.line((audit.verdict, _STYLES[audit.verdict]), f"  {side(audit.target)}: {_outcome(audit)}")
    for package in audit.vulnerable:
        if any(one.since != "known" for one in package.vulnerabilities):
            _package(page, package)
    _already(page, audit)
    _unaudited(page, audit.gaps)
    _footer(page, audit)
    return page.render()


def _outcome(audit: Audit) -> str:
    summary = audit.summary
    packages = counted(summary.packages, _PACKAGE)
    if audit.verdict != "unaudited":
        return (
            f"{_found(audit)} in {packages}{_before(audit)}" if summary.packages else f"there are no {_PACKAGES} in it"
        )
    if summary.unaudited == summary.packages and summary.packages:
        missing = f"none of {packages} was audited" if summary.packages > 1 else f"its {_PACKAGE} was not audited"
    elif summary.unaudited:
        were = "was" if summary.unaudited == 1 else "were"
        missing = f"{summary.unaudited:,} of {packages} {were} not audited"
    else:
        missing = f"{counted(summary.gaps, 'gap')}: not all of it was audited"
    if not summary.vulnerabilities:
        return f"{missing}{_before(audit)}"
    return f"{missing}; {_found(audit)} in {counted(summary.vulnerable, 'package')}{_before(audit)}"


def _found(audit: Audit) -> str:
    summary = audit.summary
    if summary.new is None:
        found, one, many = summary.vulnerabilities, _VULNERABILITY, _VULNERABILITIES
    else:
        found, one, many = summary.new, "new vulnerability", "new vulnerabilities"
    return counted(found, one, many) if found else f"no {one}"


def _before(audit: Audit) -> str:
    summary = audit.summary
    if summary.new is None:
        return ""
    return f"; {summary.vulnerabilities - summary.new:,} known before, {summary.gone or 0:,} gone"


def _package(page: Page, package: VulnerablePackage) -> None:
    count = counted(len(package.vulnerabilities), _VULNERABILITY, _VULNERABILITIES)
    page.line((f"{package.name} {package.version}", "strong"), f"  in {package.environment}: {count}")
    if package.introduced_by is not None:
        page.row("brought by", brought_by(package.introduced_by, None))
    page.row("repair", _repair(package))
    for one in package.vulnerabilities:
        _vulnerability(page, one)


def _repair(package: VulnerablePackage) -> str:
    if package.repair is None:
        return "no version is known that fixes all of them"
    fix = package.repair
    words = f"{package.name} {fix.version}"
    if fix.refused_by:
        return f"{words} or later, which {_refused(fix)}"
    if package.unjudged:
        return f"{words}; whether {in_a_row(listed(package.unjudged, _MOST))} would allow it can't be judged"
    return f"{words}; the installed requirements allow it"


def _refused(fix: FixedVersion) -> str:
    refusals = [f"{one.by} {one.by_version} ({one.requirement})" for one in fix.refused_by]
    return f"{in_a_row(listed(refusals, _MOST))} {'refuses' if len(refusals) == 1 else 'refuse'}"


def _vulnerability(page: Page, one: Vulnerability) -> None:
    aliases = f" ({', '.join(listed(one.aliases, _MOST))})" if one.aliases else ""
    fixes = [f"{fix.version}{'' if not fix.refused_by else ' (refused)'}" for fix in one.fixed_in]
    fixed = f"fixed in {', '.join(listed(fixes, _MOST))}" if fixes else "no fix is known"
    page.row(one.since or "advisory", (one.id, "strong"), f"{aliases}  {fixed}")
    if one.summary:
        cut = one.summary if len(one.summary) <= _SUMMARY else f"{one.summary[: _SUMMARY - 1]}…"
        page.row("", (cut, "aside"))


def _already(page: Page, audit: Audit) -> None:
    """What the baseline has as well, and what it alone has: a line for each package."""
    label = "already"
    for package in audit.vulnerable:
        if all(one.since == "known" for one in package.vulnerabilities):
            ids = ", ".join(listed([one.id for one in package.vulnerabilities], _MOST))
            page.row(label, f"{package.name} {package.version}: {ids}")
            label = ""
    label = "gone"
    packages: dict[str, list[str]] = {}
    for one in audit.gone:
        packages.setdefault(f"{one.name} {one.version}", []).append(one.id)
    for package_name, ids_gone in packages.items():
        page.row(label, f"{package_name}: {', '.join(listed(ids_gone, _MOST))}")
        label = ""


def _unaudited(page: Page, gaps: Iterable[Gap]) -> None:
    """Packages by the reason why they were not audited."""
    reasons: dict[str, list[str]] = {}
    for gap in gaps:
        reasons.setdefault(gap.reason, []).append(gap.where)
    label = "not audited"
    for reason, places in list(reasons.items())[:_MOST_REASONS]:
        page.row(label, f"{'; '.join(listed(places, _MOST))}: {reason}")
        label = ""
    if len(reasons) > _MOST_REASONS:
        page.row(label, f"and for {len(reasons) - _MOST_REASONS} more reasons (--format json lists all)")


def _footer(page: Page, audit: Audit) -> None:
    for note in audit.notes:
        page.row("note", f"{note.where}: {note.reason}")
    scope = [
        counted(count, noun)
        for count, noun in (
            (audit.out_of_scope.os_packages, "OS package"),
            (audit.out_of_scope.conda_packages, "conda package"),
        )
        if count
    ]
    if scope:
        total = audit.out_of_scope.os_packages + audit.out_of_scope.conda_packages
        page.row(
            "left out", f"{in_a_row(scope)} {'is' if total == 1 else 'are'} not looked at: audit covers {_PACKAGES}"
        )
    service = audit.service
    if service.kind == "package index":
        page.row("asked", "the package index")
    elif service.kind == "OSV server":
        page.row("asked", f"the OSV server {service.place}")
    else:
        newest = f", the newest of {service.newest}" if service.newest else ""
        page.row("asked", f"{counted(service.advisories or 0, 'advisory', 'advisories')} in {service.place}{newest}")
    page.aside(how_it_was_read(audit.target))
