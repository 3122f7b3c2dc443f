"""The policy file: where it is found, and what is said of a bad one."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprocheck.errors import DataError
from reprocheck.model.codec import json_schema
from reprocheck.model.policy import Policy, Waiver
from reprocheck.policy import find, find_here, load
from reprocheck.rules import RULES

NAMES = {rule.code: rule.name for rule in RULES}


def policy(folder: Path, text: str, name: str = "reprocheck.toml") -> Policy:
    file = folder / name
    file.write_text(text)
    return load(file, NAMES).policy


def test_nothing_in_it_is_no_policy(tmp_path: Path) -> None:
    assert policy(tmp_path, "") == Policy()


def test_all_keys_of_a_policy(tmp_path: Path) -> None:
    text = 'fail_on = "never"\nlevel = "bits"\nno_exec = true\n[severity]\nRC101 = "info"\nbecame-root = "breaking"'
    wanted = Policy(fail_on="never", level="bits", no_exec=True, severity={"RC101": "info", "became-root": "breaking"})
    assert policy(tmp_path, text) == wanted
    table = text.replace("[severity]", "[tool.reprocheck.severity]")
    assert policy(tmp_path, f"[tool.reprocheck]\n{table}", "pyproject.toml") == wanted


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('fail_at = "major"', "fail_at: no such key; did you mean fail_on?"),
        ("xyzzy = 1", "xyzzy: no such key"),
        ('fail_on = "serious"', "fail_on: expected one of breaking, major, minor, info, never"),
        ("level = 3", "level: expected one of framework, packages, stack, machine, bits"),
        ('no_exec = "yes"', "no_exec: expected true or false"),
        ("severity = 1", "severity: expected a table"),
        (
            'severity.package-upgarded = "info"',
            "severity.package-upgarded: no rule has this code or name; did you mean package-upgraded?",
        ),
        ('severity.zzz = "info"', "severity.zzz: no rule has this code or name; reprocheck rules lists them"),
        ('severity.RC101 = "low"', "severity.RC101: expected one of breaking, major, minor, info"),
        ("severity.RC101 = []", "severity.RC101: expected one of breaking, major, minor, info"),
        (
            'severity.RC101 = "info"\nseverity.package-upgraded = "info"',
            "severity.package-upgraded: is the rule RC101, which has a severity already",
        ),
        ("max_baseline_age_days = -1", "max_baseline_age_days: expected a number of days, 0 or more"),
        ("max_baseline_age_days = true", "max_baseline_age_days: expected a whole number"),
        ('ignore = ["os_package"]', "ignore[0]: expected one of system, os_packages, accelerator, machine"),
        ('ignore = ["environments"]', "ignore[0]: expected one of system, os_packages, accelerator"),
        ('ignore = "image"', "ignore: expected a list"),
        ('require = ["machine.drvier"]', "require[0]: machine.drvier is no path of a fact; did you mean driver?"),
        ('require = ["machne"]', "require[0]: machne is no path of a fact; did you mean machine?"),
        ('require = [""]', "require[0]:  is no path of a fact; facts are named as in gaps, as in machine.driver"),
        (
            'require = ["image", "environments[/a[b].c].packages[x].version.y"]',
            "require[1]: environments[/a[b].c].packages[x].version.y is no path of a fact; facts are named as in gaps",
        ),
        ('ignore = ["image"]\nrequire = ["image.user"]', "require[0]: image is ignored; keep one of the two"),
        ('extends = ""', "extends: is empty; name a baseline"),
        ('extends = ["a.json"]', "extends: expected text"),
        ('knowledge = "own.toml"', "knowledge: expected a list"),
        ('knowledge = ["own.toml", ""]', "knowledge[1]: is empty; name a file"),
        ("waiver = 1", "waiver: expected a list"),
        ("waiver = [1]", "waiver[0]: expected a table"),
        ("level = ", "is not TOML: invalid value"),
        ('level = "bits"\nlevel = "bits"', "is not TOML: cannot overwrite a value"),
        (f"x = {'9' * 5000}", "is not TOML: "),
        (f"x = {'[' * 20000}", "is "),
        ('"\\u001b[31m" = 1', r"\x1b[31m: no such key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_path(tmp_path: Path, text: str, wrong: str) -> None:
    for name, before in (("reprocheck.toml", ""), ("pyproject.toml", "tool.reprocheck.")):
        head = "[tool.reprocheck]\n" if before else ""
        if before and wrong.startswith("is "):
            continue
        with pytest.raises(DataError) as error:
            policy(tmp_path, head + text, name)
        assert str(error.value).startswith(f"{tmp_path / name}: {before}{wrong}")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "what",
    [
        "machine",
        "machine.driver",
        "system.os.version_id",
        "variables[PATH]",
        "environments",
        "environments[/opt/venv]",
        "environments[/opt/a[b].c].python.version",
        "environments[/opt/venv].packages[numpy].files.record_sha256",
        "os_packages[libc6]",
    ],
)
def test_paths_of_facts_can_be_required(tmp_path: Path, what: str) -> None:
    assert policy(tmp_path, f"require = ['{what}']").require == (what,)


def test_a_file_that_is_no_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape("pyproject.toml: has no table [tool.reprocheck]")):
        policy(tmp_path, "[tool.other]", "pyproject.toml")
    with pytest.raises(DataError, match=r"pyproject.toml: tool: expected a table"):
        policy(tmp_path, "tool = 1", "pyproject.toml")
    with pytest.raises(DataError, match=r"pyproject.toml: tool.reprocheck: expected a table"):
        policy(tmp_path, "tool.reprocheck = 1", "pyproject.toml")
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path / "none.toml", NAMES)
    (tmp_path / "latin.toml").write_bytes(b'note = "\xe9"')
    with pytest.raises(DataError, match="is not UTF-8 text"):
        load(tmp_path / "latin.toml", NAMES)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no more than 1 MiB are read"):
        policy(tmp_path, "#" * (1 << 20) + "##")


def test_it_is_found_upwards_as_far_as_the_repository(tmp_path: Path) -> None:
    deep = tmp_path / "repository" / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "reprocheck.toml").touch()
    assert find(deep) is None, "outside a repository, the directory alone"
    (tmp_path / "repository" / ".git").touch()
    assert find(deep) is None, "what lies above the repository is another's"
    root = tmp_path / "repository" / "pyproject.toml"
    root.write_text("[tool.reprocheck]")
    assert find(deep) == root
    (deep.parent / "pyproject.toml").write_text("[project]\nname = 'x'")
    assert find(deep) == root, "a project without a policy"
    nearer = deep.parent / "reprocheck.toml"
    nearer.touch()
    assert find(deep) == nearer
    assert find(tmp_path) == tmp_path / "reprocheck.toml"


def test_two_in_one_directory_are_refused(tmp_path: Path) -> None:
    (tmp_path / "reprocheck.toml").touch()
    (tmp_path / "pyproject.toml").write_text("[tool.reprocheck]")
    with pytest.raises(DataError, match=r"pyproject.toml beside it has a policy too; keep one of them"):
        find(tmp_path)


def test_a_broken_project_file_on_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool")
    with pytest.raises(DataError, match=r"pyproject.toml: is not TOML"):
        find(tmp_path)


def test_the_schema_says_that_there_are_no_other_keys() -> None:
    schema = json_schema("policy")
    assert schema["$defs"]["Policy"]["additionalProperties"] is False


# Waivers.

WHOLE = {"rule": '"RC101"', "subject": '"numpy"', "reason": '"tested"', "expires": "2026-12-31"}


def waivers(*tables: dict[str, str]) -> str:
    return "\n".join(
        "\n".join(["[[waiver]]", *(f"{key} = {value}" for key, value in table.items())]) for table in tables
    )


def test_a_whole_waiver(tmp_path: Path) -> None:
    more = {"environment": '"/usr"', "before": '"1"', "after": '"2"'}
    (one, other) = policy(tmp_path, waivers(WHOLE, {**WHOLE, **more})).waiver
    assert one == Waiver(rule="RC101", subject="numpy", reason="tested", expires=datetime.date(2026, 12, 31))
    assert (other.environment, other.before, other.after) == ("/usr", "1", "2")


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"expires": '"2026-12-31"'}, ".expires: expected a date, as in 2026-12-31"),
        ({"expires": "2026-12-31T00:00:00Z"}, ".expires: expected a date, as in 2026-12-31"),
        ({"expires": "20261231"}, ".expires: expected a date, as in 2026-12-31"),
        ({"expires": None}, ".expires: is missing; write the last day on which it waives, as in 2026-12-31"),
        ({"reason": None}, ".reason: is missing; say why it is tolerated"),
        ({"reason": '" "'}, ".reason: is empty; say why it is tolerated"),
        ({"rule": None}, ".rule: is missing; write the code or name of a rule"),
        ({"rule": '"package-upgrade"'}, ".rule: no rule has this code or name; did you mean package-upgraded?"),
        ({"rule": '["RC101"]'}, ".rule: expected text"),
        ({"subject": None}, ".subject: is missing; name what the finding is about: a waiver is for one thing"),
        ({"subject": '""'}, ".subject: is empty; name what the finding is about"),
        ({"subject": '"*"'}, ".subject: covers anything; name what the finding is about"),
        ({"subject": '"?*"'}, ".subject: covers anything; name what the finding is about"),
        ({"subject": '"[!x]*"'}, ".subject: covers anything; name what the finding is about"),
        ({"until": "2026-12-31"}, ".until: no such key"),
        ({"reson": '"x"'}, ".reson: no such key; did you mean reason?"),
        ({}, ": waives the same as waiver[0]; keep one of them"),
        ({"rule": '"package-upgraded"'}, ": waives the same as waiver[0]; keep one of them"),
    ],
)
def test_what_is_wrong_with_a_waiver_is_said_with_its_path(
    tmp_path: Path, change: dict[str, str | None], wrong: str
) -> None:
    table = {key: value for key, value in {**WHOLE, **change}.items() if value is not None}
    with pytest.raises(DataError) as error:
        policy(tmp_path, waivers(WHOLE, table))
    assert str(error.value) == f"{tmp_path / 'reprocheck.toml'}: waiver[1]{wrong}"


def test_a_date_that_is_none_is_no_toml(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not TOML: invalid date"):
        policy(tmp_path, waivers({**WHOLE, "expires": "2026-02-30"}))


# The pages.

GUIDE = Path(__file__).parent.parent / "docs" / "how-to" / "policy.md"


def test_the_examples_of_the_guide_are_policies(tmp_path: Path) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    loaded = [policy(tmp_path, block) for block in blocks]
    shown = {
        name for name in Policy.__struct_fields__ for one in loaded if getattr(one, name) != getattr(Policy(), name)
    }
    assert shown == set(Policy.__struct_fields__), "each key has an example"


# What nobody would write.

KEYS = st.sampled_from([*Policy.__struct_fields__, *Waiver.__struct_fields__, "RC101", "x"])
VALUES = st.recursive(
    st.one_of(
        st.sampled_from(['"major"', '"*"', '"RC101"', '"machine"', '""', "2026-12-31", "12:00:00", "1e400", "nan"]),
        st.booleans().map(lambda one: str(one).lower()),
        st.integers(-9, 9).map(str),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(KEYS, inner, max_size=3).map(
            lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
        ),
    ),
    max_leaves=6,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_policy_is_read_or_refused_in_one_line(tmp_path: Path, table: dict[str, str]) -> None:
    said = ""
    try:
        policy(tmp_path, "".join(f"{key} = {value}\n" for key, value in table.items()))
    except DataError as error:
        said = str(error).removeprefix(f"{tmp_path / 'reprocheck.toml'}: ")
    assert len(said.splitlines()) <= 1
    assert not said.startswith((str(tmp_path), ":"))


def test_a_directory_that_can_not_be_looked_into_holds_no_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert find_here() is None
    closed = ("x" * 300, "a" * 10)
    assert find(tmp_path.joinpath(*closed)) is None, "a name too long for the file system"
