"""Findings stand in the order of how likely each is the cause, and say why."""

from __future__ import annotations

import random
from typing import Any

from reprocheck.model.report import Break, Finding
from reprocheck.rules.order import SIGNS, distance, ordered, why
from tests.formats.reports import finding


def broken(package: str = "tensorflow", *, seen: str | None = None, fails: bool = True) -> tuple[Break, ...]:
    return (
        Break(
            name="row",
            package=package,
            version="1",
            effect="import-fails" if fails else "warning",
            fails=fails,
            because="it is old",
            seen=seen,
            source="somebody",
        ),
    )


def of(name: str, rule_name: str = "package-upgraded", severity: str = "major", **fields: Any) -> Finding:
    return finding(name, severity, name, rule=f"RC1{len(name):02}", rule_name=rule_name, **fields)


SURE_FIRST = (
    of("seen", "known-break", breaks=broken(seen="2026-11-22"), suffers=("tensorflow",)),
    of("reported", "known-break", breaks=broken(), suffers=("tensorflow",)),
    of("unmet-of-framework", "requirement-violated", suffers=("board", "torch")),
    of("lacking", "library-missing"),
    of("unfit", "wheel-unfit"),
    of("unmet", "requirement-missing", suffers=("board",)),
    of("hurting", suffers=("board",)),
    of("torch"),
    of("near", paths=(("torch", "near"),)),
    of("farther", paths=(("torch", "near", "farther"),)),
    of("dragged", pulled_by=("near",)),
    of("plain", details={"asked_for": "false"}),
    of("asked", details={"asked_for": "true"}),
)


def names(findings: tuple[Finding, ...]) -> list[str]:
    return [one.subject.name for one in findings]


def test_the_surest_sign_comes_first() -> None:
    shuffled = list(SURE_FIRST)
    for seed in range(20):
        random.Random(seed).shuffle(shuffled)
        assert names(ordered(shuffled)) == names(SURE_FIRST)


def test_severity_comes_before_every_sign() -> None:
    sure, plain = of("sure", "known-break", "major", breaks=broken(seen="2026-11-22")), of("plain", severity="breaking")
    assert names(ordered([sure, plain])) == ["plain", "sure"]


def test_the_reasons_are_words() -> None:
    told = {one.subject.name: one.why for one in ordered(SURE_FIRST)}
    assert told == {
        "seen": ("a known break that was seen", "tensorflow suffers from it"),
        "reported": ("a known break, reported", "tensorflow suffers from it"),
        "unmet-of-framework": ("a requirement of torch is unmet", "a requirement of board is unmet"),
        "lacking": ("a shared library is missing",),
        "unfit": ("a wheel does not fit",),
        "unmet": ("a requirement of board is unmet",),
        "hurting": ("board suffers from it",),
        "torch": ("torch is a framework",),
        "near": ("torch needs it",),
        "farther": ("torch needs it",),
        "dragged": ("near dragged it along",),
        "plain": (),
        "asked": (),
    }


def test_each_sign_is_needed() -> None:
    first = [next(number for number, sign in enumerate(SIGNS) if sign.holds(one)) for one in SURE_FIRST[: len(SIGNS)]]
    assert first == list(range(len(SIGNS)))


def test_what_only_warns_is_no_sign() -> None:
    assert why(of("warns", "known-break", "minor", breaks=broken(fails=False))) == ()


def test_steps_to_a_framework() -> None:
    assert distance(of("torch")) == 0
    assert distance(of("x", paths=(("torch", "a", "x"), ("keras", "x")))) == 1
    assert distance(of("x", paths=(("app", "torch", "a", "x"),))) == 2
    assert distance(of("x", paths=(("app", "x"),))) > 1000
