from __future__ import annotations

import pytest
from click.testing import CliRunner

from reprocheck.cli.main import cli
from reprocheck.errors import UsageError
from reprocheck.knowledge import TABLES, load


def printed(*words: str) -> list[str]:
    return CliRunner().invoke(cli, ["rules", *words], catch_exceptions=False).output.splitlines()


def test_the_rules_are_listed_and_then_what_is_known() -> None:
    lines = printed()
    assert lines[0].startswith("RC101  packages   package-upgraded ")
    known = [line.split()[1:3] for line in lines if line.startswith("known ")]
    assert known == [[name, str(len(load().table(name)))] for name in TABLES]
    assert any(line.startswith("known  known_break ") and line.endswith(" reported") for line in lines)


@pytest.mark.parametrize("table", TABLES)
def test_each_row_of_a_table_is_a_line_with_its_source(table: str) -> None:
    rows = load().table(table)
    lines = printed(table)
    assert len(lines) == len(rows)
    assert all(line.endswith(f"{row.source})") for line, row in zip(lines, rows, strict=True))


def test_a_break_says_whether_it_was_seen() -> None:
    one = next(line for line in printed("known_break") if line.startswith("tf-2.9.0-protobuf-4: "))
    assert one.startswith("tf-2.9.0-protobuf-4: tensorflow==2.9.0 with protobuf>=4.21: import-fails (")
    assert "(seen 2" in one or "(reported; " in one


def test_another_table_is_refused() -> None:
    with pytest.raises(UsageError, match="breaks: no such table; reprocheck rules lists them"):
        printed("breaks")
