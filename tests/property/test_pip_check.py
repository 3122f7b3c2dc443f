"""Two hundred generated environments on disk: ``pip check`` and reprocheck report the same requirements of each.

pip is the real one, started by each interpreter as ``pip --python`` starts it; reprocheck reads the same files as an
unpacked root file system, of which it runs nothing.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pip
import pytest
from msgspec.structs import replace
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from reprocheck.capture import capture
from reprocheck.graph import build
from reprocheck.model.snapshot import Environment
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access
from tests import interpreters
from tests.make import findings, snapshot
from tests.property import environments

ENVIRONMENTS = 200
SHARING = 7
"""Of so many environments one sees the packages of its interpreter too."""
OLDEST = 10
"""Minor version of the oldest Python that today's pip runs on."""
PIP = Path(pip.__file__).resolve().parent.parent
PROGRAM = Path(__file__).with_name("pip_check.py")
MISSING = re.compile(r"(\S+) \S+ requires (\S+), which is not installed\.")
VIOLATED = re.compile(r"(\S+) \S+ has requirement (.+), but you have (\S+) \S+\.")

Need = tuple[str, str, SpecifierSet]
"""Who requires, what, which versions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One environment: what pip says of it, and what reprocheck read."""

    missing: set[tuple[str, str]]
    """Who requires what is not installed, as ``pip check`` says."""
    violated: set[Need]
    """Whose requirement is not met, as ``pip check`` says."""
    with_extras: set[Need]
    """What does not hold where extras count too."""
    read: Environment


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Made by number: the same ones in each run."""
    root = tmp_path_factory.mktemp("root")
    found = ((python, _transplanted(python, root)) for python in interpreters.those_from(OLDEST))
    homes = {python: home for python, home in found if home is not None}
    paths: dict[Path, dict[str, list[str]]] = {python: {} for python in homes}
    for number in range(ENVIRONMENTS):
        python, home = list(homes.items())[number % len(homes)]
        shares = number % SHARING == 0
        where = root / f"srv/{number:03}"
        site = where / home.site
        environments.plant(site, environments.distributions(number))
        config = f"home = /{home.prefix}/bin\ninclude-system-site-packages = {str(shares).lower()}\n"
        (where / "pyvenv.cfg").write_text(config)
        (where / "bin").mkdir()
        (where / "bin/python3").symlink_to(f"/{home.prefix}/bin/{python.name}")
        below = [str(root / home.prefix / home.site)] if shares else []
        paths[python][f"/srv/{number:03}"] = [str(site), *below]
    read = {one.id: one for one in capture(Address("rootfs", str(root)), Access()).environments}
    return [
        _case(answer, read[name])
        for python, asked in paths.items()
        for name, answer in zip(asked, _pip(python, list(asked.values())), strict=True)
    ]


def test_all_that_pip_check_reports_is_reported(cases: list[Case]) -> None:
    assert len(cases) == ENVIRONMENTS
    for case in cases:
        reported = {(by, to) for by, to, _ in _reported(case, "RC202", extra=False)}
        assert case.missing - reported == set()
        assert case.violated - _reported(case, "RC201", extra=False) == set()


def test_nothing_else_is_reported(cases: list[Case]) -> None:
    for case in cases:
        reported = {(by, to) for by, to, _ in _reported(case, "RC202", extra=False)}
        assert reported - case.missing == set()
        assert _reported(case, "RC201", extra=False) - case.violated == set()
        assert build(case.read).unclear() == ()


def test_what_extras_bring_in_is_reported_and_told_apart(cases: list[Case]) -> None:
    apart = 0
    for case in cases:
        plain, of_extras = (
            _reported(case, "RC201", extra=extra) | _reported(case, "RC202", extra=extra) for extra in (False, True)
        )
        assert plain | of_extras == case.with_extras
        assert {one for one in plain if one not in case.violated and one[:2] not in case.missing} == set()
        apart += len(of_extras - plain)
    assert apart > ENVIRONMENTS // 2


def test_the_environments_are_worth_checking(cases: list[Case]) -> None:
    """All that the two could differ about is in there, many times."""
    assert sum(len(case.missing) for case in cases) > ENVIRONMENTS
    assert sum(len(case.violated) for case in cases) > ENVIRONMENTS
    assert sum(not case.missing and not case.violated for case in cases) > 0
    edges = [edge for case in cases for edge in build(case.read).edges]
    assert sum(edge.holds is True for edge in edges) > ENVIRONMENTS
    assert any(not package.active for case in cases for package in case.read.packages)


def test_the_answers_are_those_of_the_command(tmp_path: Path) -> None:
    """The program that asks for many at once says what ``pip check`` says in an environment that is a real one."""
    executable, site = _environment(tmp_path)
    environments.plant(site, environments.distributions(1))
    answer = _pip(interpreters.those_from(OLDEST)[-1], [[str(site)]])[0]
    assert _command(executable).stdout.splitlines() == answer["check"]


def test_what_pip_gives_up_on_is_a_gap(tmp_path: Path) -> None:
    """Of a package with one requirement that is none, ``pip check`` reads nothing, and says that it is not there."""
    executable, site = _environment(tmp_path)
    odd = environments.Made(name="odd", version="1", requires=("x ?? 1", "old>=2"))
    old = environments.Made(name="old", version="1")
    user = environments.Made(name="user", version="1", requires=("odd",))
    environments.plant(site, (odd, old, user))
    ran = _command(executable)
    assert ran.stdout == "user 1 requires odd, which is not installed.\n"
    assert "Error parsing dependencies of odd" in ran.stderr
    read = capture(Address("python", str(executable)), Access()).environments[0]
    graph = build(read)
    assert [(one.by, one.requirement) for one in graph.unclear()] == [("odd", "x ?? 1")]
    assert graph.missing() == ()
    assert [(edge.by, edge.to) for edge in graph.violated()] == [("odd", "old")]


def _environment(folder: Path) -> tuple[Path, Path]:
    """A virtual environment of the newest Python, and its site directory."""
    executable = interpreters.virtual_environment(interpreters.those_from(OLDEST)[-1], folder / "venv")
    return executable, interpreters.site_packages(executable)


def _command(executable: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--python", str(executable), "--disable-pip-version-check", "check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """An interpreter's place in the root; relative to it."""

    prefix: str
    site: str
    """Relative to the prefix, and to that of an environment."""


def _transplanted(python: Path, root: Path) -> Home | None:
    """Lay an interpreter's own files into the root, as far as its version and its paths stand in them.

    ``None``: it is Debian's, which looks for packages outside its prefix.
    """
    told: dict[str, Any] = interpreters.run(
        python,
        "import json, os, site, sys, sysconfig; get = sysconfig.get_config_var; print(json.dumps({"
        "'library': os.path.join(get('LIBDIR'), get('INSTSONAME')), 'standard': os.path.dirname(os.__file__),"
        "'base': sys.base_prefix, 'sites': site.getsitepackages()}))",
    )
    prefix, standard = f"opt/{python.name}", Path(told["standard"])
    within = standard.relative_to(told["base"])
    if told["sites"] != [str(standard / "site-packages")]:
        return None
    (root / prefix / "bin").mkdir(parents=True)
    (root / prefix / within).mkdir(parents=True)
    shutil.copy(python.resolve(), root / prefix / "bin" / python.name)
    if Path(told["library"]).suffix != ".a":
        shutil.copy(told["library"], root / prefix / "lib")
    for file in (standard / "os.py", standard / "site.py", *standard.glob("_sysconfigdata_*.py")):
        shutil.copy(file, root / prefix / within)
    home = Home(prefix=prefix, site=f"{within}/site-packages")
    environments.plant(root / prefix / home.site, environments.distributions(ENVIRONMENTS))
    return home


def _pip(python: Path, paths: list[list[str]]) -> list[dict[str, Any]]:
    command = [str(python), "-I", str(PROGRAM), str(PIP)]
    ran = subprocess.run(command, input=json.dumps(paths), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    answers: list[dict[str, Any]] = json.loads(ran.stdout)
    return answers


def _case(answer: dict[str, Any], read: Environment) -> Case:
    missing, violated = set(), set()
    for line in answer["check"]:
        if found := MISSING.fullmatch(line):
            missing.add((found[1], found[2]))
        elif found := VIOLATED.fullmatch(line):
            need = Requirement(found[2])
            violated.add((found[1], str(canonicalize_name(need.name)), need.specifier))
        else:
            assert line == "No broken requirements found.", line
    with_extras = {(by, to, SpecifierSet(specifier)) for by, to, specifier in answer["with_extras"]}
    return Case(missing=missing, violated=violated, with_extras=with_extras, read=read)


def _reported(case: Case, code: str, *, extra: bool) -> set[Need]:
    """What a rule says of the environment, compared with an empty one: all that does not hold is new."""
    empty = snapshot(replace(case.read, packages=()))
    return {
        (one.by, finding.subject.name, SpecifierSet(one.specifier))
        for finding in findings(empty, snapshot(case.read), code)
        for one in finding.requirements
        if (one.extra is not None) is extra
    }
