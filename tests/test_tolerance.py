"""What a policy does to findings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reprocheck.compare import Question, compare
from reprocheck.model.policy import Policy
from reprocheck.policy import PolicyFile
from tests.make import of, package, tensorflow

if TYPE_CHECKING:
    from reprocheck.model.report import Report
    from reprocheck.model.snapshot import Snapshot

BEFORE, AFTER = tensorflow(), tensorflow("4.21.1")
"""RC101 and RC201 about protobuf, both major."""


def judged(before: Snapshot = BEFORE, after: Snapshot = AFTER, question: Any = None, **policy: Any) -> Report:
    file = PolicyFile(path=Path("reprocheck.toml"), digest="sha256:0", policy=Policy(**policy))
    return compare(before, after, Question(policy=file, **(question or {})))


def told(report: Report) -> list[tuple[str, str, str | None]]:
    return [(finding.rule, finding.severity, finding.own_severity) for finding in report.findings]


def test_the_policy_that_was_used_is_named() -> None:
    used = judged().policy
    assert used is not None
    assert (used.name, used.digest) == ("reprocheck.toml", "sha256:0")
    assert compare(BEFORE, AFTER, Question()).policy is None


# Severities.


def test_without_severities_each_finding_keeps_its_own() -> None:
    assert sorted(told(judged())) == [("RC101", "major", None), ("RC201", "major", None)]


@pytest.mark.parametrize("rule", ["RC101", "package-upgraded"])
def test_a_severity_of_the_policy_is_told_with_the_own_one_beside_it(rule: str) -> None:
    report = judged(severity={rule: "info"})
    assert told(report) == [("RC201", "major", None), ("RC101", "info", "major")]
    assert (report.summary.major, report.summary.info) == (1, 1)


def test_severities_decide_the_verdict_in_both_directions() -> None:
    assert judged(severity={"RC101": "minor", "RC201": "minor"}).verdict == "verified"
    one, other = of(package("a==1.0")), of(package("a==1.0"), package("b==1"))
    assert judged(one, other).verdict == "verified"
    assert judged(one, other, severity={"package-added": "breaking"}).verdict == "drift"


def test_the_same_severity_is_no_change() -> None:
    assert sorted(told(judged(severity={"RC101": "major"}))) == [("RC101", "major", None), ("RC201", "major", None)]
