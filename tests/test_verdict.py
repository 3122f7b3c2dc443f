from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reprocheck.errors import ExitCode
from reprocheck.model.report import Finding, FindingSubject, Level, Severity, Waived
from reprocheck.model.snapshot import FACT_CLASSES, Gap
from reprocheck.verdict import CLASS_LEVELS, classes, default_level, exit_code, gap_level, verdict
from tests.make import snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence


def finding(name: str, severity: Severity, *, waived: bool = False) -> Finding:
    """A finding whose subject is the level at which it counts."""
    return Finding(
        fingerprint=f"{name}-{severity}",
        rule="RC101",
        name="package-upgraded",
        severity=severity,
        subject=FindingSubject(kind="python-package", name=name),
        message="",
        waived=Waived(reason="r", expires="2030-01-01") if waived else None,
    )


def level_of(one: Finding) -> Level:
    return one.subject.name  # type: ignore[return-value]


def gaps(*whats: str) -> tuple[Gap, ...]:
    return tuple(Gap(what=what, where="w", reason="r") for what in whats)


def judged(
    findings: Sequence[Finding] = (), *whats: str, level: Level = "stack", fail_on: Any = "major", **more: Any
) -> tuple[str, str | None, tuple[str, ...]]:
    found, reached, *_ = verdict(findings, gaps(*whats), level, fail_on, level_of, **more)
    assert reached.asked == level
    return found, reached.reached, reached.blocked_by


def test_nothing_found() -> None:
    assert judged() == ("verified", "stack", ())


@pytest.mark.parametrize(
    ("fail_on", "severity", "expected"),
    [
        ("breaking", "major", "verified"),
        ("breaking", "breaking", "drift"),
        ("major", "major", "drift"),
        ("major", "minor", "verified"),
        ("minor", "minor", "drift"),
        ("minor", "info", "verified"),
        ("info", "info", "drift"),
        ("never", "major", "drift"),
        ("never", "minor", "verified"),
    ],
)
def test_threshold(fail_on: Any, severity: Severity, expected: str) -> None:
    assert judged([finding("packages", severity)], fail_on=fail_on)[0] == expected


def test_a_waived_finding_does_not_fail_and_is_counted() -> None:
    findings = [finding("packages", "major", waived=True), finding("packages", "minor"), finding("stack", "info")]
    found, _, failing, summary = verdict(findings, gaps("machine"), "stack", "major", level_of)
    assert (found, failing) == ("verified", ())
    assert (summary.breaking, summary.major, summary.minor, summary.info) == (0, 0, 1, 1)
    assert (summary.waived, summary.gaps) == (1, 1)


@pytest.mark.parametrize(
    ("where", "reached"),
    [("framework", None), ("packages", "framework"), ("stack", "packages")],
)
def test_level_reached_is_below_the_first_failure(where: str, reached: str | None) -> None:
    assert judged([finding(where, "major")]) == ("drift", reached, (f"{where}-major",))


def test_blocked_by_names_what_stands_before_the_next_level_only() -> None:
    findings = [finding("packages", "breaking"), finding("packages", "major"), finding("stack", "major")]
    assert judged(findings)[1:] == ("framework", ("packages-breaking", "packages-major"))


def test_a_gap_wins_over_drift() -> None:
    assert judged([finding("packages", "major")], "os_packages") == (
        "unverified",
        "framework",
        ("packages-major",),
    )
    assert judged([], "os_packages") == ("unverified", "packages", ("os_packages",))


def test_a_gap_above_the_level_is_not_missed() -> None:
    assert judged([], "machine.driver") == ("verified", "stack", ())
    assert judged([], "machine.driver", level="machine") == ("unverified", "stack", ("machine.driver",))


@pytest.mark.parametrize(
    ("what", "level"),
    [
        ("environments", "framework"),
        ("environments[/usr]", "framework"),
        ("environments[/usr].packages", "framework"),
        ("environments[/usr].python", "framework"),
        ("environments[/usr].python.version", "framework"),
        ("environments[/usr].python.markers", "packages"),
        ("environments[/usr].packages[torch]", "framework"),
        ("environments[/usr].packages[torch].version", "framework"),
        ("environments[/usr].packages[torch].requires", "packages"),
        ("environments[/usr].packages[numpy].version", "packages"),
        ("environments[/usr].packages[numpy].files.record_sha256", "packages"),
        ("environments[/a[b].c].packages[numpy]", "packages"),
        ("environments[/usr].pth", "packages"),
        ("environments[/opt/conda].conda", "packages"),
        ("environments[/opt/conda].conda[mkl]", "packages"),
        ("os_packages", "stack"),
        ("system.libc", "stack"),
        ("image", "stack"),
        ("variables", "stack"),
        ("accelerator.cuda", "stack"),
        ("machine.driver", "machine"),
        ("smoke", None),
        ("provenance.layers", None),
        ("what is this", "framework"),
    ],
)
def test_gap_level(what: str, level: str | None) -> None:
    assert gap_level(gaps(what)[0]) == level


def test_a_forgiven_gap_is_counted_and_does_not_fail() -> None:
    told = gaps("environments", "os_packages")
    found, reached, failing, summary = verdict([], told, "stack", "major", level_of, forgiven=told)
    assert (found, reached.reached, failing, summary.gaps) == ("verified", "stack", (), 2)
    found, reached, failing, _ = verdict([], told, "stack", "major", level_of, forgiven=told[:1])
    assert (found, reached.blocked_by, failing) == ("unverified", ("os_packages",), ("os_packages",))


@pytest.mark.parametrize(("fail_on", "names"), [("never", "ab"), ("major", "ab"), ("breaking", "a"), ("info", "abc")])
def test_what_fails_is_named_at_every_level(fail_on: Any, names: str) -> None:
    findings = [finding("framework", "breaking"), finding("packages", "major"), finding("stack", "minor")]
    findings.append(finding("stack", "breaking", waived=True))
    by_name = dict(zip("abc", findings, strict=False))
    told = gaps("os_packages", "machine", "environments[/usr].packages[x].requires")
    _, _, failing, _ = verdict(findings, told, "stack", fail_on, level_of)
    expected = [by_name[name].fingerprint for name in names]
    assert failing == (*expected, "environments[/usr].packages[x].requires", "os_packages")


@pytest.mark.parametrize(
    ("found", "fail_on", "code"),
    [
        ("verified", "major", ExitCode.OK),
        ("drift", "major", ExitCode.DRIFT),
        ("drift", "never", ExitCode.OK),
        ("unverified", "never", ExitCode.UNVERIFIED),
    ],
)
def test_exit_code(found: Any, fail_on: Any, code: ExitCode) -> None:
    assert exit_code(found, fail_on) is code


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("image", "image", "stack"),
        ("image", "container", "stack"),
        ("evidence", "image", "stack"),
        ("image", "python", "packages"),
        ("host", "image", "packages"),
        ("python", "python", "packages"),
    ],
)
def test_default_level(one: Any, other: Any, level: str) -> None:
    assert default_level(snapshot(kind=one), snapshot(kind=other)) == level


def test_every_fact_class_has_a_level_but_smoke() -> None:
    assert set(CLASS_LEVELS) == set(FACT_CLASSES) - {"smoke"}
    assert classes("packages") == ("environments",)
    assert "machine" not in classes("stack")
    assert classes("bits") == classes("machine")
