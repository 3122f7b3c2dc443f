"""Where the report of one run goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reprocheck import formats
from reprocheck.cli.main import cli
from reprocheck.cli.outputs import outputs
from reprocheck.errors import UsageError
from reprocheck.formats import FORMATS
from reprocheck.model import codec
from tests.formats.reports import EVERYTHING
from tests.make import of, package

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


def test_two_outputs_in_one_file_are_refused(tmp_path: Path) -> None:
    file, link = tmp_path / "it", tmp_path / "link"
    file.touch()
    link.symlink_to(file)
    for one, other in ((file, file), (file, link), (tmp_path / "new", tmp_path / "." / "new"), ("-", "-")):
        with pytest.raises(UsageError, match="two reports in one place"):
            outputs("text", str(one), (f"json={other}",), all_=False)
    assert len(outputs("text", "/dev/null", ("json=/dev/null",), all_=False).places) == 2


@pytest.mark.parametrize("command", ["verify", "diff"])
@pytest.mark.parametrize("name", ["b.json", "link"])
def test_what_is_compared_is_not_written_over(command: str, name: str, tmp_path: Path) -> None:
    locked = codec.encode_json(of(package("numpy==1.23.5")))
    baseline = tmp_path / "b.json"
    baseline.write_bytes(locked)
    (tmp_path / "link").symlink_to(baseline)
    target = f"snapshot:{baseline}"
    words = {"verify": [target, "--baseline", str(baseline)], "diff": [target, target]}[command]
    for output in (["--write", f"json={tmp_path / name}"], ["-o", str(tmp_path / name)]):
        with pytest.raises(UsageError, match="is what is compared; write the report to another file"):
            cli.main([command, *words, *output], standalone_mode=False)
        assert baseline.read_bytes() == locked


@pytest.mark.parametrize("command", ["capture", "explain"])
def test_what_is_no_report_is_text_or_json(command: str) -> None:
    (option,) = [one for one in cli.commands[command].params if one.name == "format_"]
    assert tuple(getattr(option.type, "choices", ())) == ("text", "json")
