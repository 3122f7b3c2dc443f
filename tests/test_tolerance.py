"""What a policy does to findings."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reprocheck.compare import Question, compare
from reprocheck.formats.terminal import render
from reprocheck.model.policy import Ignorable, Policy, Waiver
from reprocheck.model.report import SEVERITIES, Fix, Waived
from reprocheck.model.snapshot import (
    FACT_CLASSES,
    Accelerator,
    CudaLibrary,
    Driver,
    Image,
    Machine,
    OsPackage,
    OsRelease,
    Provenance,
    System,
)
from reprocheck.policy import PolicyFile
from reprocheck.rules import RULES
from reprocheck.sides import BaselineFile
from reprocheck.tolerance import waive, without
from tests.make import KNOWLEDGE, environment, of, package, snapshot
from tests.property.test_laws import snapshots

if TYPE_CHECKING:
    from reprocheck.model.report import Report
    from reprocheck.model.snapshot import Snapshot

BOARD = package("tensorboard==2.9.1", "protobuf<3.20,>=3.9.2")
BEFORE, AFTER = of(BOARD, package("protobuf==3.19.6")), of(BOARD, package("protobuf==4.21.1"))
"""RC101 and RC201 about protobuf: minor and major."""


TODAY = datetime.date(2026, 12, 1)
FILE = BaselineFile(name="base.json", digest="sha256:1")


def judged(before: Snapshot = BEFORE, after: Snapshot = AFTER, question: Any = None, **policy: Any) -> Report:
    file = PolicyFile(path=Path("reprocheck.toml"), digest="sha256:0", policy=Policy(**policy))
    return compare(before, after, Question(policy=file, today=TODAY, knowledge=KNOWLEDGE, **(question or {})), FILE)


def told(report: Report) -> list[tuple[str, str, str | None]]:
    return [(finding.rule, finding.severity, finding.own_severity) for finding in report.findings]


def test_the_policy_that_was_used_is_named() -> None:
    used = judged().policy
    assert used is not None
    assert (used.name, used.digest) == ("reprocheck.toml", "sha256:0")
    assert compare(BEFORE, AFTER, Question()).policy is None


# Severities.


def test_without_severities_each_finding_keeps_its_own() -> None:
    assert sorted(told(judged())) == [("RC101", "minor", None), ("RC201", "major", None)]


@pytest.mark.parametrize("rule", ["RC101", "package-upgraded"])
def test_a_severity_of_the_policy_is_told_with_the_own_one_beside_it(rule: str) -> None:
    report = judged(severity={rule: "info"})
    assert told(report) == [("RC201", "major", None), ("RC101", "info", "minor")]
    assert (report.summary.major, report.summary.info) == (1, 1)


def test_severities_decide_the_verdict_in_both_directions() -> None:
    assert judged(severity={"RC101": "minor", "RC201": "minor"}).verdict == "verified"
    one, other = of(package("a==1.0")), of(package("a==1.0"), package("b==1"))
    assert judged(one, other).verdict == "verified"
    assert judged(one, other, severity={"package-added": "breaking"}).verdict == "drift"


def test_the_same_severity_is_no_change() -> None:
    assert sorted(told(judged(severity={"RC201": "major"}))) == [("RC101", "minor", None), ("RC201", "major", None)]


# Waivers.


def waiver(rule: str = "RC101", subject: str = "protobuf", days: int = 30, **fields: Any) -> Waiver:
    return Waiver(rule=rule, subject=subject, reason="tested", expires=TODAY + datetime.timedelta(days), **fields)


BOTH = (waiver(), waiver("RC201"))


def test_what_is_waived_does_not_fail_and_says_why_and_until_when() -> None:
    report = judged(waiver=BOTH)
    assert (report.verdict, report.failing, report.level.reached) == ("verified", (), "stack")
    assert (report.summary.major, report.summary.waived) == (0, 2)
    assert [one.waived for one in report.findings] == [Waived(reason="tested", expires="2026-12-31")] * 2


@pytest.mark.parametrize(
    ("days", "waives"), [(1, True), (0, True), (-1, False)], ids=["tomorrow", "today", "yesterday"]
)
def test_a_waiver_holds_through_the_day_on_which_it_expires(days: int, waives: bool) -> None:
    report = judged(waiver=(waiver(), waiver("RC201", days=days)))
    assert report.verdict == ("verified" if waives else "drift")
    expired = [finding for finding in report.findings if finding.rule == "RC901"]
    assert bool(expired) is not waives
    if expired:
        (one,) = expired
        assert (one.severity, one.subject.kind, one.subject.name) == ("minor", "waiver", "RC201 protobuf")
        assert one.message == "the waiver of RC201 protobuf expired on 2026-11-30: tested"


def test_an_expired_waiver_is_a_finding_though_it_would_cover_nothing() -> None:
    report = judged(BEFORE, BEFORE, waiver=(waiver(days=-1),))
    assert ([one.rule for one in report.findings], report.verdict) == (["RC901"], "verified")


def test_a_waiver_that_covers_nothing_is_told() -> None:
    report = judged(waiver=(*BOTH, waiver(subject="numpy")))
    unused = [one for one in report.findings if one.rule == "RC902"]
    assert [(one.severity, one.message) for one in unused] == [
        ("info", "the waiver of RC101 numpy waives nothing: tested")
    ]
    assert report.verdict == "verified"


def test_a_waiver_of_what_was_not_asked_is_not_unused() -> None:
    os_packages = waiver("os-package-removed", "zlib")
    assert [one.rule for one in judged(BEFORE, BEFORE, {"level": "packages"}, waiver=(os_packages,)).findings] == []
    assert [one.rule for one in judged(BEFORE, BEFORE, {"level": "stack"}, waiver=(os_packages,)).findings] == ["RC902"]


def test_a_severity_of_the_policy_holds_for_the_waivers_themselves() -> None:
    report = judged(BEFORE, BEFORE, waiver=(waiver(days=-1),), severity={"waiver-expired": "major"})
    assert (report.verdict, told(report)) == ("drift", [("RC901", "major", "minor")])


def test_what_is_wrong_with_the_policy_or_the_baseline_stands_before_no_level() -> None:
    report = judged(BEFORE, BEFORE, {"fail_on": "minor"}, waiver=(waiver(days=-1),))
    assert (report.verdict, report.level.reached, report.level.blocked_by) == ("drift", "stack", ())
    assert report.failing == (report.findings[0].fingerprint,)
    assert "level     stack reached\n" in render(report)


def test_in_diff_waivers_waive_and_nobody_judges_them() -> None:
    policy = Policy(waiver=(*BOTH, waiver(subject="numpy"), waiver(subject="six", days=-1)))
    file = PolicyFile(path=Path("reprocheck.toml"), digest="sha256:0", policy=policy)
    report = compare(BEFORE, AFTER, Question(policy=file, today=TODAY, gate=False))
    assert (report.verdict, {one.rule for one in report.findings}) == ("verified", {"RC101", "RC201"})


@pytest.mark.parametrize(
    ("fields", "covered"),
    [
        ({"rule": "package-upgraded"}, True),
        ({"rule": "RC102"}, False),
        ({"subject": "Protobuf"}, True),
        ({"subject": "proto*"}, True),
        ({"subject": "proto?"}, False),
        ({"environment": "/usr"}, True),
        ({"environment": "/opt"}, False),
        ({"before": "3.19.6"}, True),
        ({"before": "3.19.5"}, False),
        ({"after": "4.21.1"}, True),
        ({"after": "4.21.2"}, False),
    ],
)
def test_what_a_waiver_covers(fields: dict[str, Any], covered: bool) -> None:
    report = judged(waiver=(waiver(**fields),))
    (finding,) = [one for one in report.findings if one.rule == "RC101"]
    assert (finding.waived is not None) is covered


def test_names_with_brackets_are_taken_as_they_stand() -> None:
    one = snapshot(environment(name="/usr"))
    two = snapshot(environment(name="/usr"), environment(name="/a[b]", kind="venv"))
    (finding,) = judged(one, two, waiver=(waiver("environment-added", "/a[b]"),)).findings
    assert finding.waived is not None


def test_text_folds_what_is_waived_and_lists_it_with_all() -> None:
    report = judged(waiver=BOTH)
    assert "waived    2 findings  (--all lists each)" in render(report)
    listed = render(report, all_=True)
    assert listed.count("(until 2026-12-31: tested)") == 2


# What is ignored, and what is required.


def full(version: str = "1", **fields: Any) -> Snapshot:
    """Every fact class that can be ignored, in one of two versions."""
    states: Any = dict.fromkeys(("machine", "accelerator"), "complete")
    facts: dict[str, Any] = {
        "system": System(os=OsRelease(id="debian", version_id=version, pretty_name=""), locale=version),
        "os_packages": (OsPackage(manager="dpkg", name="zlib", version=version, architecture="amd64"),),
        "accelerator": Accelerator(
            cuda=(CudaLibrary(component="cudart", version=version, path="/a", source="soname", owner="none"),)
        ),
        "machine": Machine(kernel=version, driver=Driver(version=version, source="libcuda")),
        "variables": {"LD_PRELOAD": version},
        "image": Image(user=version, workdir=version),
    }
    return snapshot(environment(package("a==1")), kind="container", states=states, **{**facts, **fields})


CLASSES = get_args(Ignorable)


def test_what_can_be_ignored_is_all_but_python() -> None:
    assert set(CLASSES) == set(FACT_CLASSES) - {"environments", "smoke"}


@pytest.mark.parametrize("name", CLASSES)
def test_an_ignored_class_is_not_compared(name: Any) -> None:
    plain = judged(full(), full("2"), {"level": "bits"})
    assert name in plain.checked.classes
    assert judged(full(), full("2"), {"level": "bits"}, ignore=CLASSES).findings == ()
    report = judged(full(), full("2"), {"level": "bits"}, ignore=(name,))
    assert 0 < len(report.findings) < len(plain.findings)
    assert name not in report.checked.classes
    assert report.policy is not None
    assert report.policy.ignored == (name,)
    assert f"ignored: {name}" in render(report)


@pytest.mark.parametrize("name", CLASSES)
def test_gaps_of_an_ignored_class_do_not_count(name: Any) -> None:
    one = full(gaps=[name])
    assert judged(full(), one, {"level": "bits"}).verdict == "unverified"
    assert judged(one, full(), {"level": "bits"}).verdict == "unverified"
    for before, after in ((full(), one), (one, full())):
        report = judged(before, after, {"level": "bits"}, ignore=(name,))
        assert (report.verdict, report.gaps, report.notes) == ("verified", (), ())


def test_a_level_that_needs_an_ignored_class_does_not_miss_it() -> None:
    image = snapshot(environment(package("a==1")))
    assert judged(image, image, {"level": "machine"}).verdict == "unverified"
    assert judged(image, image, {"level": "machine"}, ignore=("machine",)).verdict == "verified"


def test_a_system_that_is_ignored_still_tells_what_a_wheel_meets() -> None:
    side = without(full(), ("system", "image"))
    assert (side.system, side.was_read("system")) == (full().system, False)
    assert side.image == Image()


def test_variables_that_are_ignored_still_tell_who_brought_a_package() -> None:
    # They decide where Python looks: what one side alone can see was not brought by the one layer above.
    one = snapshot(environment(package("a==1")), layers=("x",), variables={"PYTHONPATH": "/x"})
    two = snapshot(environment(package("a==2")), layers=("x", "y"), variables={"PYTHONPATH": "/y"})
    plain = [one.introduced_by for one in judged(one, two).findings if one.rule == "RC101"]
    assert [one.introduced_by for one in judged(one, two, ignore=("variables",)).findings] == plain


@pytest.mark.parametrize(
    ("required", "gap", "verdict"),
    [
        ("machine.driver", "machine.driver", "unverified"),
        ("machine.driver", "machine", "unverified"),
        ("machine", "machine.driver", "unverified"),
        ("machine.driver", "machine.devices", "verified"),
        ("environments[/usr].packages[a].requires", "environments[/usr].packages[a].requires", "unverified"),
        ("environments[/usr].packages[a].requires", "environments[/usr].search_path", "unverified"),
        ("environments[/usr].packages[a].requires", "environments[/usr].packages[b].requires", "verified"),
        ("os_packages", "layers", "unverified"),
        ("image", "machine", "verified"),
    ],
)
def test_what_is_required_must_be_known_at_every_level(required: str, gap: str, verdict: str) -> None:
    one = full(gaps=[gap])
    report = judged(full(), one, {"level": "framework"}, require=(required,))
    plain = judged(full(), one, {"level": "framework"})
    if plain.verdict == "verified":
        assert report.verdict == verdict
    assert report.gaps == plain.gaps
    assert (gap in report.failing) == (report.verdict == "unverified")


@pytest.mark.parametrize(
    ("required", "why"),
    [
        ("environments[/nope].packages[a].requires", "there is no such environment"),
        ("environments[/usr].packages[nope].requires", "no such package is installed"),
    ],
)
def test_a_required_fact_of_what_is_not_there_is_a_gap(required: str, why: str) -> None:
    report = judged(full(), full(), {"level": "framework"}, require=(required,))
    assert report.verdict == "unverified"
    assert [(gap.what, gap.reason) for gap in report.gaps] == [(required, f"the policy requires it, and {why}")]


def test_a_required_fact_of_a_class_that_nobody_read_is_a_gap() -> None:
    image = snapshot(environment(package("a==1")))
    report = judged(image, image, require=("machine.driver",))
    (gap,) = report.gaps
    assert (report.verdict, report.failing, report.level.reached) == ("unverified", ("machine.driver",), "stack")
    assert gap.reason == "the policy requires it, and machine was not read; capture where it can be"


def test_diff_tells_what_is_required_and_unknown_and_goes_on() -> None:
    image = snapshot(environment(package("a==1")))
    report = judged(image, image, {"gate": False}, require=("machine.driver",))
    assert (report.verdict, [gap.what for gap in report.gaps]) == ("verified", ["machine.driver"])


# The baseline itself.


def aged(days: int, **fields: Any) -> Snapshot:
    captured = f"{TODAY - datetime.timedelta(days)}T23:59:00Z"
    header = replace(BEFORE.header, captured_at=captured, **fields)
    return replace(BEFORE, header=header)


@pytest.mark.parametrize(("age", "most", "old"), [(30, 30, False), (31, 30, True), (31, None, False), (0, 0, False)])
def test_a_baseline_has_its_time(age: int, most: int | None, old: bool) -> None:
    report = judged(aged(age), BEFORE, max_baseline_age_days=most)
    assert report.verdict == ("drift" if old else "verified")
    assert [one.message for one in report.findings] == ["the baseline is 31 days old; the policy allows 30"] * old


def test_a_baseline_whose_age_is_not_known_is_too_old() -> None:
    header = replace(BEFORE.header, captured_at="some day")
    (finding,) = judged(replace(BEFORE, header=header), BEFORE, max_baseline_age_days=30).findings
    assert (finding.rule, finding.severity) == ("RC912", "major")
    assert "some day is no date" in finding.message


@pytest.mark.parametrize(
    ("name", "digests", "told"),
    [
        ("python", ("python@sha256:1",), True),
        ("python:latest", ("python@sha256:1",), True),
        ("localhost:5000/app", ("localhost:5000/app@sha256:1",), True),
        ("python:3.9-slim", ("python@sha256:1",), False),
        ("python@sha256:1", ("python@sha256:1",), False),
        ("app:latest", (), False),
    ],
)
def test_a_baseline_of_latest_names_the_digest(name: str, digests: tuple[str, ...], told: bool) -> None:
    side = replace(BEFORE, subject=replace(BEFORE.subject, name=name), provenance=Provenance(repo_digests=digests))
    found = judged(side, BEFORE).findings
    assert [(one.rule, one.severity) for one in found] == [("RC911", "info")] * told
    if told:
        assert found[0].fix == Fix(summary=f"lock it by its digest: image:{digests[0]}")


def test_many_waivers_cost_little() -> None:
    findings = judged(of(*(package(f"p{number}==1") for number in range(2000))), of()).findings
    assert len(findings) == 2000
    many = [waiver("RC104", f"P_{number}") for number in range(2000)]
    many += [waiver("RC104", f"p{number}") for number in range(2000)]
    began = time.process_time()
    waived = waive(findings, many, TODAY)
    assert time.process_time() - began < 1
    assert (len(waived.unused), {one.waived is None for one in waived.findings}) == (2000, {False})


# What holds whatever was found.


@given(snapshots(), snapshots())
@settings(deadline=None, max_examples=50)
def test_whatever_is_waived_the_verdict_is_verified_unless_there_is_a_gap(before: Snapshot, after: Snapshot) -> None:
    plain = judged(before, after)
    of_each = {
        Waiver(rule=one.rule, subject=one.subject.name, reason="all", expires=TODAY)
        for one in plain.findings
        if one.subject.name.strip("*?")
    }
    report = judged(before, after, waiver=tuple(of_each))
    assert report.gaps == plain.gaps
    assert all(one.waived for one in report.findings)
    assert (report.verdict == "unverified") == (plain.verdict == "unverified")
    assert report.verdict in {"verified", "unverified"}


@given(
    snapshots(),
    snapshots(),
    st.dictionaries(st.sampled_from([rule.code for rule in RULES]), st.sampled_from(SEVERITIES)),
)
@settings(deadline=None, max_examples=50)
def test_severities_change_no_number_of_findings(before: Snapshot, after: Snapshot, severity: Any) -> None:
    plain, report = judged(before, after), judged(before, after, severity=severity)
    assert sorted(one.fingerprint for one in plain.findings) == sorted(one.fingerprint for one in report.findings)
    assert report.gaps == plain.gaps


def test_a_story_says_what_the_policy_made_of_it_as_a_whole() -> None:
    report = judged(
        snapshot(environment(package("tensorflow==2.9.0"), package("numpy==1.23.5"))),
        snapshot(environment(package("tensorflow==2.9.0"), package("numpy==2.0.2"))),
        severity={"package-upgraded": "minor"},
    )
    page = render(report)
    assert "breaking  numpy 1.23.5 → 2.0.2" in page
    assert "by the policy" not in page
