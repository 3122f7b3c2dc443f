"""Where the report of one run goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reprocheck import formats
from reprocheck.cli.main import cli
from reprocheck.cli.outputs import outputs
from reprocheck.errors import UsageError
from reprocheck.formats import FORMATS
from tests.formats.reports import EVERYTHING

if TYPE_CHECKING:
    from pathlib import Path

    from reprocheck.model.report import Report


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_reaches_its_renderer(name: str, tmp_path: Path) -> None:
    one, more = tmp_path / "one", tmp_path / "more"
    code = outputs(name, str(one), (f"{name}={more}",), all_=False).deliver(EVERYTHING)
    assert code == 2
    assert one.read_text() == more.read_text() == FORMATS[name](EVERYTHING)


def test_a_new_format_needs_its_line_in_the_table_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(report: Report, **look: object) -> str:
        return f"{report.verdict} {sorted(look)}\n"

    monkeypatch.setattr(formats, "FORMATS", {**FORMATS, "new": render})
    outputs("new", str(tmp_path / "it"), (), all_=False).deliver(EVERYTHING)
    assert (tmp_path / "it").read_text() == "unverified ['all_', 'color', 'width']\n"


def test_all_reaches_the_text(tmp_path: Path) -> None:
    outputs("text", str(tmp_path / "it"), (), all_=True).deliver(EVERYTHING)
    assert (tmp_path / "it").read_text() == FORMATS["text"](EVERYTHING, all_=True) != FORMATS["text"](EVERYTHING)


def test_a_place_without_a_format_is_refused() -> None:
    for wrong in ("file", "text=", "=file", "pdf=file"):
        with pytest.raises(UsageError, match="write FORMAT=FILE; formats are text, json"):
            outputs("text", "-", (wrong,), all_=False)


@pytest.mark.parametrize("command", ["capture", "explain"])
def test_what_is_no_report_is_text_or_json(command: str) -> None:
    (option,) = [one for one in cli.commands[command].params if one.name == "format_"]
    assert tuple(getattr(option.type, "choices", ())) == ("text", "json")
