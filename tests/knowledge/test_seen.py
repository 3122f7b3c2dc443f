"""Breaks were seen: what their rows say is what came of their recipes, and no row contradicts another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomlkit
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from reprocheck.knowledge import load
from reprocheck.knowledge.rows import KnownBreak, Recipe, Seen
from scripts.verify_knowledge import FILE, Differs, NotTried, see, told, write

ROWS = load().known_breaks
SEEN = [(row, row.recipe, row.seen) for row in ROWS if row.recipe is not None and row.seen is not None]
NAMES = [row.name for row, _, _ in SEEN]
FAILING = {"import-fails", "run-fails", "wrong-results", "api-removed"}

seen_rows = pytest.mark.parametrize(("row", "recipe", "seen"), SEEN, ids=NAMES)


def versions(*steps: tuple[str, ...]) -> dict[str, str]:
    """What stands in an environment after these steps of a recipe, as far as it is pinned."""
    there: dict[str, str] = {}
    for requirement in (Requirement(text) for step in steps for text in step):
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        there[canonicalize_name(requirement.name)] = pin.version
    return there


def meets(row: KnownBreak, python: str, there: dict[str, str]) -> bool:
    """Whether a combination is the one that a row says not to work."""

    def within(name: str, specifier: str) -> bool:
        return name in there and SpecifierSet(specifier).contains(there[name], prereleases=True)

    if not SpecifierSet(row.python).contains(python) or not within(row.package, row.specifier):
        return False
    if row.partner is None:
        return True
    if row.partner_absent:
        return row.partner not in there
    return bool(row.partner_specifier) and within(row.partner, row.partner_specifier)


def test_enough_was_seen() -> None:
    assert len(ROWS) >= 70
    assert len(SEEN) >= 40


def test_what_has_a_recipe_was_seen_as_well() -> None:
    """Else the recipe does not show what the row says."""
    assert [row.name for row in ROWS if row.recipe is not None and row.seen is None] == []


def test_what_was_not_seen_says_who_reported_it() -> None:
    told_by = re.compile(r"[\w.-]+/[\w.-]+#\d+|\w+/\w+|METADATA|release notes", re.IGNORECASE)
    reported = [row for row in ROWS if row.effect in FAILING and row.seen is None]
    assert [row.name for row in reported if not told_by.search(row.source)] == []


def test_what_stops_working_says_how_it_is_noticed() -> None:
    assert [row.name for row in ROWS if row.seen is not None and not row.statement] == []
    assert [row.name for row in ROWS if row.statement and row.seen is None and not row.expect] == []


@seen_rows
def test_the_text_that_was_seen_has_the_symptom(row: KnownBreak, recipe: Recipe, seen: Seen) -> None:
    assert re.search(row.symptom, seen.text, re.DOTALL)
    assert not re.search(r"/(root|home|tmp|usr|work)/", seen.text)
    assert seen.python.startswith(recipe.python + ".")


@seen_rows
def test_what_was_seen_lies_within_what_the_row_says(row: KnownBreak, recipe: Recipe, seen: Seen) -> None:
    assert meets(row, seen.python, seen.versions)
    there = versions(recipe.install, recipe.then)
    for name in (row.package, row.partner):
        if name in there:
            assert seen.versions[name] == there[name]


@seen_rows
def test_what_was_repaired_lies_within_no_break(row: KnownBreak, recipe: Recipe, seen: Seen) -> None:
    there = {**seen.versions, **versions(recipe.install, recipe.then, recipe.repaired)}
    assert not meets(row, seen.python, there)
    # What an API that was removed breaks is the code that uses it, not the environment.
    broken = [
        other.name
        for other in ROWS
        if other.effect not in {"api-removed", "warning"} and meets(other, seen.python, there)
    ]
    assert broken == []


# The program that sees.

ROW = KnownBreak(
    name="made",
    package="made",
    effect="run-fails",
    statement="raise SystemExit('it is broken')",
    symptom="it is broken",
    explanation="",
    fix="",
    confidence="high",
    source="here",
)
"""A row whose statement fails everywhere."""


def recipe() -> Recipe:
    return Recipe(python="3.9", install=(), repaired=())


def tried(row: KnownBreak, by: Recipe) -> Seen:
    try:
        return see(row, by)
    except NotTried as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", ["markupsafe-soft-unicode", "pyyaml-6-loader"])
def test_a_recipe_shows_what_its_row_says(name: str) -> None:
    row, by, before = next(found for found in SEEN if found[0].name == name)
    again = tried(row, by)
    assert (again.text, again.versions) == (before.text, before.versions)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"statement": "pass"}, "the statement works"),
        ({"symptom": "it is whole"}, "it says: it is broken"),
        ({}, "the repaired set does not work: it is broken"),
    ],
)
def test_a_row_that_says_something_else_is_told(changed: dict[str, str], said: str) -> None:
    import msgspec

    with pytest.raises(Differs, match=said):
        tried(msgspec.structs.replace(ROW, **changed), recipe())


def test_a_python_that_is_not_there_says_nothing_about_the_row() -> None:
    with pytest.raises(NotTried, match=r"no Python 3\.99 on this machine"):
        see(ROW, Recipe(python="3.99", install=(), repaired=()))


@pytest.mark.parametrize(
    ("printed", "symptom", "kept"),
    [
        ("first\nError: no such name", "no such", "Error: no such name"),
        ("Error: no such name\nMore help\nthere", "no such", "Error: no such name"),
        ("one\nfirst half of\nsecond half\nend", "half of.second", "first half of\nsecond half"),
        ("Error: x (/home/me/v/lib/python3.9/site-packages/a.py)", "x", "Error: x (…/site-packages/a.py)"),
        ("all is well", "broken", None),
    ],
)
def test_what_is_kept_of_a_failure(printed: str, symptom: str, kept: str | None) -> None:
    assert told(printed, symptom) == kept


def test_an_outcome_is_written_and_taken_back_and_nothing_else_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "known_break.toml"
    text = FILE.read_text()
    path.write_text(text)
    row, _, seen = SEEN[len(SEEN) // 2]
    write(path, row.name, None)
    without = path.read_text()
    kept = [line for line in text.splitlines() if line not in without.splitlines()]
    assert "seen" not in next(one for one in tomlkit.parse(without)["known_break"] if one["name"] == row.name)
    assert kept  # the lines of this outcome, and no others
    write(path, row.name, seen)
    assert path.read_text() == text
