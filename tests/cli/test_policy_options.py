"""The policy on the command line: which one holds, and that options win over it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from reprocheck.cli.main import main
from reprocheck.model import codec
from tests.make import of, package

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A directory with two snapshots that differ by a minor finding: exit code, report, messages of a verify there."""
    monkeypatch.chdir(tmp_path)
    for name, version in (("before", "1.0"), ("after", "1.1")):
        (tmp_path / f"{name}.json").write_bytes(codec.encode_json(of(package(f"a=={version}"))))

    def verify(*words: str) -> tuple[object, Any, str]:
        with pytest.raises(SystemExit) as left:
            main(["verify", "after.json", "--baseline", "before.json", "--format", "json", *words])
        said = capsys.readouterr()
        return left.value.code, json.loads(said.out) if said.out else None, said.err

    return verify


def test_without_a_policy_every_default_holds(run: Any) -> None:
    code, report, _ = run()
    assert (code, report["threshold"], report["level"]["asked"], report["policy"]) == (0, "major", "stack", None)


def test_a_policy_is_found_and_named(run: Any, tmp_path: Path) -> None:
    (tmp_path / "reprocheck.toml").write_text('fail_on = "minor"\nlevel = "packages"')
    code, report, _ = run()
    assert (code, report["threshold"], report["level"]["asked"]) == (1, "minor", "packages")
    assert report["policy"]["name"] == "reprocheck.toml"


def test_options_win_over_the_policy(run: Any, tmp_path: Path) -> None:
    (tmp_path / "reprocheck.toml").write_text('fail_on = "minor"\nlevel = "packages"')
    code, report, _ = run("--fail-on", "major", "--level", "framework")
    assert (code, report["threshold"], report["level"]["asked"]) == (0, "major", "framework")


def test_a_named_policy_wins_over_a_found_one(run: Any, tmp_path: Path) -> None:
    (tmp_path / "reprocheck.toml").write_text('fail_on = "minor"')
    (tmp_path / "other.toml").write_text('[severity]\npackage-upgraded = "breaking"')
    code, report, _ = run("--policy", "other.toml")
    assert (code, report["threshold"], report["policy"]["name"]) == (1, "major", "other.toml")


def test_a_bad_policy_is_one_line_and_no_verdict(run: Any, tmp_path: Path) -> None:
    (tmp_path / "reprocheck.toml").write_text('fail_in = "minor"')
    code, report, said = run()
    assert (code, report) == (2, None)
    assert said == "reprocheck: reprocheck.toml: fail_in: no such key; did you mean fail_on?\n"


def test_the_baseline_that_it_extends_stands_beside_the_policy(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "team"
    folder.mkdir()
    (folder / "base.json").write_bytes(codec.encode_json(of(package("b==1"))))
    (folder / "policy.toml").write_text('extends = "base.json"')
    code, report, _ = run("--policy", "team/policy.toml")
    assert code == 1
    assert {one["rule"]: one["message"] for one in report["findings"]} == {
        "RC101": "a 1.0 → 1.1 (minor)",
        "RC921": "b is not installed; team/base.json has 1",
    }
    assert report["policy"]["extends"]["name"] == "team/base.json"
    code, _, said = run("--policy", "team/policy.toml", "-o", "team/base.json")
    assert code == 2
    assert "write the report to another file" in said


def test_a_baseline_to_extend_that_is_not_there_is_an_error(run: Any, tmp_path: Path) -> None:
    (tmp_path / "reprocheck.toml").write_text('extends = "none.json"')
    assert run() == (2, None, "reprocheck: none.json: no such file; check the path\n")


BREAK = """
[[known_break]]
name = "ours"
package = "a"
specifier = ">=1.1"
partner = "a"
partner_specifier = ">=0"
effect = "import-fails"
symptom = "no a"
explanation = "It was never tried."
fix = "keep a 1.0"
confidence = "high"
source = "the team"
"""


def test_knowledge_of_the_policy_and_of_the_option_is_used(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "team"
    folder.mkdir()
    (folder / "own.toml").write_text(BREAK)
    (folder / "policy.toml").write_text('knowledge = ["own.toml"]')
    _, plain, _ = run()
    for words in (("--policy", "team/policy.toml"), ("--knowledge", "team/own.toml")):
        code, report, _ = run(*words)
        assert code == 1
        assert report["summary"]["breaking"] == 1
        assert report["made_by"]["knowledge"] != plain["made_by"]["knowledge"]
    code, _, said = run("--knowledge", "team/none.toml")
    assert (code, said) == (2, "reprocheck: team/none.toml: no such file; check the path\n")


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["schema", "policy"])
    assert left.value.code == 0
    assert set(json.loads(capsys.readouterr().out)["$defs"]) == {"Policy", "Waiver"}


def test_no_report_replaces_the_policy(run: Any, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("")
    code, _, said = run("--policy", "other.toml", "-o", "other.toml")
    assert code == 2
    assert "write the report to another file" in said
