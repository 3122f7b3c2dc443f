from __future__ import annotations

import pytest

from reprocheck.model.report import LEVELS
from reprocheck.rules import RULES, judge, level_of
from reprocheck.rules.base import Rule
from tests.make import comparison, environment, finding, findings, of, package, snapshot, tensorflow


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_is_named_after_its_check_and_what_it_finds(rule: Rule) -> None:
    assert not rule.name.startswith(("no-", "disallow-", "avoid-"))
    assert rule.level in LEVELS
    assert rule.check.__name__ == rule.name.replace("-", "_")


def test_a_finding_is_signed_with_a_stable_fingerprint() -> None:
    found = finding(tensorflow(), tensorflow("4.21.1"), "RC101")
    assert (found.rule, found.name) == ("RC101", "package-upgraded")
    # A waiver or another tool may have stored it: it must never change.
    assert found.fingerprint == "8d91b9f2fea51e42"
    other = finding(tensorflow(), tensorflow("5.0"), "RC101")
    assert other.fingerprint == found.fingerprint


def test_the_fingerprint_names_the_environment_of_the_baseline() -> None:
    before = snapshot(environment(package("a==1"), name="/old", on_path=True))
    after = snapshot(environment(package("a==2"), name="/new", on_path=True))
    again = snapshot(environment(package("a==2"), name="/other", on_path=True))
    one, two = finding(before, after, "RC101"), finding(before, again, "RC101")
    assert one.fingerprint == two.fingerprint
    assert (one.subject.environment, two.subject.environment) == ("/new", "/other")
    moved = snapshot(environment(package("a==1"), name="/else", on_path=True))
    assert finding(moved, after, "RC101").fingerprint != one.fingerprint


def test_order() -> None:
    before = [
        package("minor==1.0"),
        package("quiet==1"),
        package("asked==1", requested=True),
        package("torch==1", requested=True),
        package("pulled==1"),
        package("hurts==1"),
        package("user==1", "hurts<2"),
    ]
    after = [
        package("minor==1.1"),
        package("quiet==2"),
        package("asked==2", requested=True),
        package("torch==2", requested=True),
        package("pulled==2"),
        package("hurts==2"),
        package("user==1", "hurts<2"),
        package("new==1", "pulled>=2", "quiet", requested=True),
    ]
    found = findings(of(*before), of(*after), "RC101", "RC103")
    assert [one.subject.name for one in found] == [
        "torch",
        "hurts",
        "pulled",
        "minor",
        "quiet",
        "asked",
        "new",
    ]


def test_level_of_a_signed_finding() -> None:
    found = findings(of(package("torch==1"), package("a==1")), of(package("torch==2"), package("a==2")))
    assert {one.subject.name: level_of(one) for one in found} == {"torch": "framework", "a": "packages"}


def test_judge_takes_the_rules_it_is_given() -> None:
    compared = comparison(tensorflow(), tensorflow("4.21.1"))
    assert {one.rule for one in judge(compared, "packages")} == {"RC101", "RC201", "RC203"}
    assert judge(compared, "packages", ()) == ()


def test_an_id_that_changed_sides_confuses_nobody() -> None:
    before = snapshot(environment(package("a==1"), name="/usr", on_path=True))
    after = snapshot(
        environment(package("a==2"), name="/usr", on_path=False),
        environment(package("a==3"), name="/v", on_path=True),
    )
    found = findings(before, after)
    assert [(one.rule, one.subject.environment, one.after) for one in found] == [
        ("RC101", "/v", "3"),
        ("RC314", "/usr", "/usr"),
    ]
