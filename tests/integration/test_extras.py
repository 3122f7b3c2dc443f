"""What an extra brings in, and ``pip check`` does not look at: installed and broken by a real pip, then verified."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import interpreters
from tests.integration.running import Ran
from tests.integration.wheels import wheel

Run = Callable[..., Ran]

WHEELS = (
    wheel("app", "1", ["Lib[Fast_Path,undeclared]", 'ancient; python_version < "3"']),
    wheel(
        "lib",
        "1",
        [
            'x<2; extra == "fast-path" and sys_platform == "linux"',
            'other; extra == "fast-path" and sys_platform == "win32"',
            'unasked; extra == "slow"',
            'unprovided; extra == "undeclared"',
        ],
        extras=["fast-path", "slow"],
    ),
    wheel("x", "1"),
    wheel("x", "2"),
)


class Installed:
    """A virtual environment, and a pip that finds the wheels and nothing else."""

    def __init__(self, folder: Path) -> None:
        self._wheels = folder / "wheels"
        self._wheels.mkdir()
        for name, content in WHEELS:
            (self._wheels / name).write_bytes(content)
        self.python = interpreters.virtual_environment(Path(sys.executable), folder / "venv")
        self.baseline = folder / "baseline.json"

    def pip(self, *words: str) -> str:
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def install(self, *words: str) -> None:
        self.pip("install", "--no-index", "--find-links", str(self._wheels), *words)


@pytest.fixture
def installed(tmp_path: Path, run_reprocheck: Run) -> Installed:
    """The application with what its extra brings in, locked."""
    made = Installed(tmp_path)
    made.install("app")
    run_reprocheck("lock", f"python:{made.python}", "-o", made.baseline).ended(0)
    return made


def verified(installed: Installed, run_reprocheck: Run, code: int) -> list[dict[str, Any]]:
    assert installed.pip("check") == "No broken requirements found.\n"
    words = ("verify", f"python:{installed.python}", "--baseline", installed.baseline, "--format", "json")
    found: list[dict[str, Any]] = run_reprocheck(*words).ended(code).json["findings"]
    return found


def test_an_extra_that_holds(installed: Installed, run_reprocheck: Run) -> None:
    assert verified(installed, run_reprocheck, 0) == []


def test_a_version_that_the_extra_does_not_allow(installed: Installed, run_reprocheck: Run) -> None:
    installed.install("x==2")
    found = {one["rule"]: one for one in verified(installed, run_reprocheck, 1)}
    assert found.keys() == {"RC101", "RC201"}
    violated = found["RC201"]
    assert violated["message"] == "x 2 does not meet what lib 1 requires with its extra fast-path: x<2"
    assert violated["details"] == {"seen_by_pip_check": "false"}
    assert violated["suffers"] == ["lib"]
    (check,) = violated["requirements"]
    assert (check["by"], check["extra"], check["allows_before"], check["allows_after"]) == (
        ("lib", "fast-path", True, False)
    )
    # The way to it is the one that pip took.
    assert violated["paths"] == [["app", "lib", "x"]]
    assert violated["fix"]["commands"] == [f"{installed.python} -m pip install x==1"]


def test_a_package_that_the_extra_needs_and_is_gone(installed: Installed, run_reprocheck: Run) -> None:
    installed.pip("uninstall", "--yes", "x")
    found = {one["rule"]: one for one in verified(installed, run_reprocheck, 1)}
    assert found.keys() == {"RC104", "RC202"}
    assert found["RC202"]["message"] == ("x is not installed; lib 1 requires with its extra fast-path: x<2")
    assert found["RC202"]["details"] == {"seen_by_pip_check": "false"}


def test_nobody_asks_for_the_extra_any_more(installed: Installed, run_reprocheck: Run) -> None:
    installed.pip("uninstall", "--yes", "app")
    installed.install("x==2")
    rules = {one["rule"] for one in verified(installed, run_reprocheck, 1)}
    assert rules == {"RC104", "RC101"}
