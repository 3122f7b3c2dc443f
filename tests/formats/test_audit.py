"""An audit as text."""

from __future__ import annotations

import pytest

from reprocheck.formats.audit import render
from reprocheck.model.audit import (
    AdvisoryService,
    Audit,
    AuditSummary,
    FixedVersion,
    GoneVulnerability,
    OutOfScope,
    Refusal,
    Vulnerability,
    VulnerablePackage,
)
from reprocheck.model.report import IntroducedBy, MadeBy, Side
from reprocheck.model.snapshot import Gap
from tests.formats import golden

REFUSED = FixedVersion(
    version="2.0.7",
    refused_by=(Refusal(by="requests", by_version="2.25.1", requirement="urllib3<1.27,>=1.21.1"),),
)
URLLIB3 = VulnerablePackage(
    environment="/opt/venv",
    name="urllib3",
    version="1.26.4",
    location="{prefix}/lib/python3.9/site-packages",
    introduced_by=IntroducedBy(layer=4, layers=4, diff_id="sha256:0", instruction='RUN pip3 install "urllib3==1.26.4"'),
    repair=FixedVersion(version="1.26.18"),
    vulnerabilities=(
        Vulnerability(
            id="PYSEC-2021-108",
            aliases=("CVE-2021-33503", "GHSA-q2q7-5pp4-w6pg"),
            summary="An authority with many at signs takes the parser very long",
            fixed_in=(FixedVersion(version="1.26.5"),),
        ),
        Vulnerability(
            id="PYSEC-2023-212",
            aliases=("CVE-2023-45803",),
            summary="\x1b[2J##[error]pwned ::error::" + "x" * 1000,
            fixed_in=(FixedVersion(version="1.26.18"), REFUSED),
        ),
    ),
)
OLD = VulnerablePackage(
    environment="/usr",
    name="old",
    version="1.0",
    location="/x",
    repair=REFUSED,
    unjudged=("odd",),
    vulnerabilities=(Vulnerability(id="X-1", fixed_in=(REFUSED,)), Vulnerability(id="X-2")),
)


def counts(packages: int, unaudited: int, vulnerable: int, vulnerabilities: int, **others: int) -> AuditSummary:
    return AuditSummary(
        packages=packages, unaudited=unaudited, vulnerable=vulnerable, vulnerabilities=vulnerabilities, **others
    )


def audit(**fields: object) -> Audit:
    defaults = {
        "made_by": MadeBy(reprocheck="0", date="2026-11-24"),
        "verdict": "clean",
        "service": AdvisoryService(kind="package index"),
        "target": Side(name="app:ci", target="image:app:ci", kind="image", route="engine storage", executed=False),
        "summary": counts(141, 0, 0, 0),
    }
    return Audit(**{**defaults, **fields})  # type: ignore[arg-type] # a test's words


EVERYTHING = audit(
    verdict="unaudited",
    service=AdvisoryService(kind="OSV files", place="all.zip", advisories=26_610, newest="2024-10-10"),
    summary=counts(141, 9, 2, 4, gaps=10),
    vulnerable=(OLD, URLLIB3),
    gaps=(
        *(
            Gap(what="environments[/usr].packages[x]", where=f"x{n} 1.0", reason="its version is none")
            for n in range(8)
        ),
        Gap(what="environments[/usr].packages[mine]", where="mine 1.0", reason="installed from file:///src"),
        Gap(what="advisories", where="all.zip: X.json", reason="is empty"),
    ),
    out_of_scope=OutOfScope(os_packages=121, conda_packages=1),
)
AGAINST = audit(
    verdict="vulnerable",
    baseline=Side(name="b.json", target="image:app:1", kind="image", route="archive", executed=False),
    service=AdvisoryService(kind="OSV server", place="https://osv.example.org"),
    summary=counts(2, 0, 2, 3, new=1, gone=8),
    vulnerable=(
        VulnerablePackage(
            environment="/usr",
            name="old",
            version="1.0",
            location="/x",
            vulnerabilities=(Vulnerability(id="X-1", since="known"), Vulnerability(id="X-2", since="known")),
        ),
        VulnerablePackage(
            environment="/usr",
            name="pillow",
            version="9.0.0",
            location="/x",
            vulnerabilities=(Vulnerability(id="PYSEC-2023-175", since="new", summary="Writes out of bounds"),),
        ),
    ),
    gone=tuple(GoneVulnerability(id=f"Y-{number}", name="gone", version="1") for number in range(8)),
)


@pytest.mark.parametrize("width", [60, 100])
def test_everything_at_once(width: int) -> None:
    golden.check(f"audit-everything-{width}.txt", render(EVERYTHING, width=width))


def test_against_a_baseline() -> None:
    golden.check("audit-against-100.txt", render(AGAINST, width=100))


def test_what_an_advisory_says_drives_no_terminal_and_no_runner() -> None:
    for width in (60, 100, 200):
        text = render(EVERYTHING, width=width, color=False)
        assert "\x1b" not in text
        assert "##[" not in text


@pytest.mark.parametrize(
    ("summary", "first"),
    [
        (counts(141, 0, 0, 0), "clean  app:ci: no known vulnerability in 141 Python packages"),
        (counts(0, 0, 0, 0), "clean  app:ci: there are no Python packages in it"),
    ],
)  # fmt: skip
def test_the_first_line_of_a_clean_audit(summary: AuditSummary, first: str) -> None:
    assert render(audit(summary=summary)).splitlines()[0] == first


@pytest.mark.parametrize(
    ("summary", "first"),
    [
        (counts(3, 3, 0, 0, gaps=3), "none of 3 Python packages was audited"),
        (counts(1, 1, 0, 0, gaps=1), "its Python package was not audited"),
        (counts(3, 2, 0, 0, gaps=2), "2 of 3 Python packages were not audited"),
        (counts(3, 0, 0, 0, gaps=1), "1 gap: not all of it was audited"),
        (counts(0, 0, 0, 0, gaps=1), "1 gap: not all of it was audited"),
        (
            counts(3, 1, 2, 3, gaps=1),
            "1 of 3 Python packages was not audited; 3 known vulnerabilities in 2 packages",
        ),
        (
            counts(3, 1, 2, 3, new=0, gone=0, gaps=1),
            "1 of 3 Python packages was not audited; no new vulnerability in 2 packages; 3 known before, 0 gone",
        ),
    ],
)  # fmt: skip
def test_the_first_line_says_what_was_not_audited_and_what_was_found(summary: AuditSummary, first: str) -> None:
    text = render(audit(summary=summary, verdict="unaudited"), width=200)
    assert text.splitlines()[0] == f"unaudited  app:ci: {first}"
    assert "no known vulnerability" not in text
