from __future__ import annotations

import pytest

from reprocheck.graph import build
from tests.judgement import store
from tests.judgement.score import FRIGHTENING, PAGE, Case, cases, figures, page, sides


def name(case: Case) -> str:
    return case.name


def test_the_set_is_large_enough_and_mostly_real() -> None:
    assert len(cases()) >= 70
    assert len({case.name for case in cases()}) == len(cases())
    assert 2 * sum(case.real for case in cases()) >= len(cases())


def test_long_lists_with_one_culprit_are_among_them() -> None:
    def length(case: Case) -> int:
        before, after = (side.pins for side in sides(case))
        return sum(before.get(one) != after.get(one) for one in before.keys() | after.keys())

    assert sum(length(case) >= 50 for case in cases() if case.label == "breaking") >= 5


def test_each_environment_belongs_to_a_case_and_each_release_to_an_environment() -> None:
    used = {one for case in cases() for one in (case.before, case.after) if one}
    assert set(store.names()) == used
    installed = {pin for case in cases() for side in sides(case) for pin in side.pins.items()}
    kept = {path.stem for path in (store.HERE / "metadata").glob("*.json")}
    assert {(one, version) for one in kept for version in store.metadata(one)} == installed


@pytest.mark.parametrize("case", cases(), ids=name)
def test_a_label_agrees_with_the_metadata(case: Case) -> None:
    before, after = (build(store.capture(side).environments[0]) for side in sides(case))
    known = {(edge.by, edge.to, edge.specifier) for edge in (*before.violated(), *before.missing())}
    new = [edge for edge in (*after.violated(), *after.missing()) if (edge.by, edge.to, edge.specifier) not in known]
    if case.label == "harmless":
        assert new == []
    else:
        assert case.cause != case.suffers or case.chain
        assert {case.cause, case.suffers} <= before.packages.keys() | after.packages.keys()
        assert before.packages.get(case.cause) != after.packages.get(case.cause)
    if case.label == "violation":
        assert (case.suffers, case.cause) in {(edge.by, edge.to) for edge in new}


def test_each_label_was_seen_or_says_how_it_is_known() -> None:
    ran = {case.name for case in cases() if case.statement}
    assert ran == store.seen().keys()
    assert [case.name for case in cases() if not case.statement and not case.why] == []


@pytest.mark.parametrize("case", [case for case in cases() if case.name in store.seen()], ids=name)
def test_a_label_was_seen(case: Case) -> None:
    seen = store.seen()[case.name]
    assert seen.before == ""
    if case.label != "violation":  # which may work all the same
        assert (seen.after == "") == (case.label == "harmless")


def test_every_break_is_breaking() -> None:
    assert figures().missed == ()


def test_every_violation_is_major_or_worse() -> None:
    assert [one.case.name for one in figures().of("violation") if one.worst not in FRIGHTENING] == []


def test_the_cause_is_ranked_first_in_95_of_100() -> None:
    assert figures().first >= 0.95


def test_no_more_than_2_in_100_harmless_changes_are_major_or_worse() -> None:
    assert figures().alarms <= 0.02 * figures().harmless


def test_the_published_figures_are_the_measured_ones() -> None:
    assert PAGE.read_text() == "\n".join(page(figures())) + "\n", "run: python -m tests.judgement --write"
