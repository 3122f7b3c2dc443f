from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

import reprocheck.formats
from reprocheck.formats import FORMATS, json, stories, words
from reprocheck.model import codec
from tests.formats.reports import EVERYTHING, PROTOBUF


def test_every_format_is_in_the_table() -> None:
    folder = Path(reprocheck.formats.__file__).parent
    modules = [import_module(f"reprocheck.formats.{path.stem}") for path in sorted(folder.glob("[!_]*.py"))]
    renderers = {module.render for module in modules if hasattr(module, "render")}
    of_reports = {render for render in renderers if "report" in signature(render).parameters}
    assert of_reports == {*FORMATS.values()}
    assert len(FORMATS) == len(of_reports) >= 2


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_a_report_and_ends_with_a_newline(name: str) -> None:
    text = FORMATS[name](EVERYTHING)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "protobuf" in text


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        FORMATS["x"] = json.render  # type: ignore[index]


def test_json_can_be_loaded_and_rendered_again() -> None:
    loaded = codec.decode_report(json.render(EVERYTHING).encode(), "x")
    assert loaded == EVERYTHING
    assert FORMATS["text"](loaded) == FORMATS["text"](EVERYTHING)


def test_json_does_not_import_what_only_a_terminal_needs() -> None:
    program = (
        "import sys; from reprocheck.formats import FORMATS, capture, explain; "
        "assert not {'rich', 'docker', 'deepdiff'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_fold_counts_what_was_asked_for() -> None:
    added = [story for story in stories.stories(EVERYTHING) if story.severity == "info"]
    assert [fold.sentence for fold in stories.folds(added)] == ["libc6 2.31-13 → 2.31-14"]


def test_waived_findings_are_no_stories() -> None:
    assert "certifi" not in {story.subject.name for story in stories.stories(EVERYTHING)}


def test_a_story_is_as_severe_as_its_worst_finding() -> None:
    (story,) = stories.stories(PROTOBUF)
    assert story.rules == ("RC101", "RC201")
    assert story.severity == "major"
    assert [check.by for check in story.requirements] == ["tensorboard", "tensorflow"]


@pytest.mark.parametrize(("number", "says"), [(0, "0 gaps"), (1, "1 gap"), (2, "2 gaps"), (1234, "1,234 gaps")])
def test_counts_agree_with_their_noun(number: int, says: str) -> None:
    assert words.counted(number, "gap") == says


def test_words_in_a_row() -> None:
    assert words.in_a_row(["a"]) == "a"
    assert words.in_a_row(["a", "b"]) == "a and b"
    assert words.in_a_row(words.listed(["a", "b", "c", "d"], 2)) == "a, b and 2 more"
    assert words.in_a_row([]) == ""
