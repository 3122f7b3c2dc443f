"""The Python interpreters of this machine, for tests that run what reprocheck has to read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import pytest

MINORS = tuple(range(6, 15))

FLOOR = 6
"""The oldest Python 3 that the probe collects on."""
RECENT = 12
"""From here on Python is as it will be: one of these stands for those that a machine has not."""
FEWEST = 6
"""How many of ``MINORS`` a machine has to have for its tests to speak for all."""


@cache
def _asked(path: Path) -> tuple[str, str] | None:
    """Version and real executable as an interpreter says itself; ``None`` where it does not start."""
    say = "import sys, json; print(json.dumps(['%d.%d.%d' % sys.version_info[:3], sys.executable]))"
    try:
        ran = subprocess.run([path, "-S", "-c", say], capture_output=True, timeout=20, check=True)
        version, executable = json.loads(ran.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return version, executable


def _candidates(name: str) -> list[Path]:
    """pyenv's builds, then what stands on PATH and in the usual place."""
    root = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    number = name.removeprefix("python")
    found = [path / "bin" / name for path in sorted(root.glob(f"versions/{number}.*"))]
    return [path for path in (*found, Path(shutil.which(name) or "/"), Path("/usr/bin") / name) if path.is_file()]


@cache
def _interpreter(name: str) -> Path | None:
    for path in _candidates(name):
        told = _asked(path)
        if told and told[0].startswith(name.removeprefix("python") + "."):
            return Path(told[1])
    return None


def lacking() -> str | None:
    """What this machine lacks for its tests to speak for all Pythons, and how to mend it."""
    return lacking_of({minor for minor in MINORS if _interpreter(f"python3.{minor}")})


def lacking_of(minors: Collection[int]) -> str | None:
    """The same for a machine with these minor versions of Python 3."""
    wanted = []
    if FLOOR not in minors:
        wanted.append(f"3.{FLOOR}")
    if not any(minor >= RECENT for minor in minors):
        wanted.append(f"3.{RECENT} or newer")
    if len(minors) < FEWEST:
        wanted.append(f"{FEWEST} of 3.{MINORS[0]} to 3.{MINORS[-1]} in all")
    if not wanted:
        return None
    there = ", ".join(f"3.{minor}" for minor in sorted(minors)) or "none"
    return f"there are too few Pythons ({there}): needed are {'; '.join(wanted)}; pyenv install gives them"


def python(minor: int) -> Path:
    """An interpreter of Python 3.``minor``; the test is skipped where there is none."""
    found = _interpreter(f"python3.{minor}")
    if found is None:
        pytest.skip(f"no Python 3.{minor} on this machine (looked into pyenv, PATH and /usr/bin)")
    return found


def those_from(oldest: int) -> list[Path]:
    """Each interpreter of Python 3.``oldest`` or newer, the oldest first; the test is skipped where there is none."""
    found = [path for minor in MINORS if minor >= oldest and (path := _interpreter(f"python3.{minor}"))]
    if not found:
        pytest.skip(f"no Python 3.{oldest} or newer on this machine (looked into pyenv, PATH and /usr/bin)")
    return found


def python2() -> Path:
    """A Python 2.7; the test is skipped where there is none."""
    found = _interpreter("python2.7")
    if found is None:
        pytest.skip("no Python 2.7 on this machine (looked into pyenv, PATH and /usr/bin)")
    return found


def debian_python() -> Path:
    """Debian's own interpreter; the test is skipped elsewhere."""
    path = Path("/usr/bin/python3")
    if not path.exists() or not Path("/usr/lib/python3/dist-packages").is_dir():
        pytest.skip("the system's Python is not Debian's")
    return path


def run(executable: Path, code: str, *, env: dict[str, str] | None = None, cwd: Path | None = None) -> Any:
    """What a program prints as JSON, run as a user would run it: with ``site``, with the environment."""
    ran = subprocess.run(
        [executable, "-c", code],
        capture_output=True,
        timeout=60,
        check=True,
        env=None if env is None else {**os.environ, **env},
        cwd=cwd,
    )
    return json.loads(ran.stdout.splitlines()[-1])


def real_path(executable: Path) -> list[str]:
    """``sys.path`` of an interpreter, without the entry for the working directory."""
    entries: list[str] = run(executable, "import sys, json; print(); print(json.dumps(sys.path))")
    assert entries[0] == ""
    return entries[1:]


def virtual_environment(executable: Path, where: Path, *options: str) -> Path:
    """A virtual environment without pip; its ``bin/python``."""
    subprocess.run(
        [executable, "-m", "venv", "--without-pip", *options, where],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return where / "bin/python"


def site_packages(executable: Path) -> Path:
    """Where an environment keeps its packages."""
    where: str = run(executable, "import sysconfig, json; print(); print(json.dumps(sysconfig.get_path('purelib')))")
    return Path(where)
