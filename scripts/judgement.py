"""Make environments for the judgement tests: have uv resolve them as of a day, keep what it chose and its metadata.

    python scripts/judgement.py compile NAME PYTHON DAY REQUIREMENT...
    python scripts/judgement.py install NAME BEFORE DAY ARGUMENT...
    python scripts/judgement.py metadata
    python scripts/judgement.py run [CASE...]

``compile`` resolves requirements from nothing. ``install`` plants the metadata of an environment in an empty virtual
environment and asks uv what ``uv pip install ARGUMENT...`` would do to it. ``metadata`` asks the package index, through
pip, for what is not there yet of any environment. ``run`` installs both sides of each case (that was not run yet),
exactly as they are pinned, runs the case's statement in them and keeps what came of it. uv and the interpreters have
to be on ``PATH``.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.judgement import score, store

_MOVE = re.compile(r"^ (?P<sign>[-+~]) (?P<name>\S+?)==(?P<version>\S+)")
_FAILURE = re.compile(r"[\w.]*(Error|Exception)\b")
_UNAVAILABLE = re.compile(r"No matching distribution found for (\S+?)==")


def main(arguments: list[str]) -> None:
    """Do one of the three things."""
    match arguments:
        case ["compile", name, python, day, *requirements]:
            compile_set(name, python, day, requirements)
            fetch(name)
        case ["install", name, before, day, *rest]:
            install(name, before, day, rest)
            fetch(name)
        case ["metadata"]:
            for environment in store.names():
                fetch(environment)
        case ["run", *chosen]:
            for case in score.cases():
                if case.statement and (case.name in chosen or (not chosen and case.name not in store.seen())):
                    run(case)
        case _:
            sys.exit(__doc__)


def compile_set(name: str, python: str, day: str, requirements: list[str]) -> None:
    """Resolve requirements from nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write("\n".join(requirements))
        file.flush()
        command = ["uv", "pip", "compile", "-q", "--no-header", "--no-annotate", "--python", python]
        out = _run([*command, "--exclude-newer", day, file.name])
    full = _version(python)
    asked = {canonicalize_name(Requirement(text).name) for text in requirements}
    pins = dict(line.split("==") for line in out.split())
    note = f"uv pip compile, as of {day}: {' '.join(requirements)}"
    store.write(name, store.Pinned(python=full, made=note, pins=pins, requested=frozenset(asked)))


def install(name: str, before: str, day: str, arguments: list[str]) -> None:
    """Ask what an installation would do to an environment."""
    base = store.read(before)
    asked = {canonicalize_name(Requirement(text).name) for text in arguments if not text.startswith("-")}
    pins = dict(base.pins)
    minor = ".".join(base.python.split(".")[:2])
    with tempfile.TemporaryDirectory() as directory:
        _run(["uv", "venv", "-q", "--python", minor, f"{directory}/v"])
        plant(base, Path(directory) / "v" / "lib" / f"python{minor}" / "site-packages")
        command = ["uv", "pip", "install", "--dry-run", "--python", f"{directory}/v", "--exclude-newer", day]
        for line in _run([*command, *arguments]).splitlines():
            if move := _MOVE.match(line):
                if move["sign"] == "-":
                    del pins[move["name"]]
                else:
                    pins[move["name"]] = move["version"]
    note = f"{before}, then uv pip install {' '.join(arguments)}, as of {day}"
    store.write(name, store.Pinned(python=base.python, made=note, pins=pins, requested=base.requested | asked))


def plant(pinned: store.Pinned, site: Path) -> None:
    """Write the metadata of an environment as an installer would have."""
    for name, version in pinned.pins.items():
        row = store.metadata(name)[version]
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {text}" for text in row.requires]
        lines += [f"Provides-Extra: {text}" for text in row.extras]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "RECORD").write_text(f"{info.name}/METADATA,,\n{info.name}/RECORD,,\n{info.name}/INSTALLER,,\n")
        (info / "INSTALLER").write_text("pip\n")


def fetch(environment: str) -> None:
    """Ask for the metadata that is missing: of wheels without loading them, else of the source distribution."""
    pinned = store.read(environment)
    missing = {name: version for name, version in pinned.pins.items() if version not in store.metadata(name)}
    minor = ".".join(pinned.python.split(".")[:2])
    wheels = ["--only-binary", ":all:", "--python-version", minor, "--ignore-requires-python", "--target", "unused"]
    while missing:
        report, error = _report([f"{name}=={version}" for name, version in missing.items()], wheels)
        if report is not None:
            keep(report)
            return
        lacking = _UNAVAILABLE.search(error)
        if lacking is None:
            sys.exit(error)
        name = canonicalize_name(lacking[1])
        report, error = _report([f"{name}=={missing.pop(name)}"], ["--no-binary", name])
        if report is None:
            sys.exit(error)
        keep(report)


def run(case: score.Case) -> None:
    """Install both sides of a case and run its statement."""
    outcomes = [_outcome(side, case.statement) for side in score.sides(case)]
    before, after = outcomes
    print(f"{case.name}: before: {before or 'works'}; after: {after or 'works'}", flush=True)
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    store.saw(case.name, store.Seen(date=today, before=before, after=after))


def _outcome(side: store.Pinned, statement: str) -> str:
    minor = ".".join(side.python.split(".")[:2])
    pins = [f"{name}=={version}" for name, version in side.pins.items()]
    with tempfile.TemporaryDirectory() as directory:
        _run(["uv", "venv", "-q", "--python", minor, f"{directory}/v"])
        _run(["uv", "pip", "install", "-q", "--no-deps", "--python", f"{directory}/v", *pins])
        command = [f"{directory}/v/bin/python", "-W", "ignore", "-c", statement]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)
    # A failure may print much: the last line of the traceback names it.
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    failed = [line for line in lines if _FAILURE.match(line)] or lines or [f"exit code {done.returncode}"]
    return failed[-1].replace(directory, "...")[:300] if done.returncode else ""


def keep(report: Iterable[dict[str, dict[str, object]]]) -> None:
    """Add the rows of an installation report (pip's, version 1) to the store."""
    for item in report:
        found = item["metadata"]
        row = store.Row(
            requires=tuple(sorted(_strings(found.get("requires_dist")))),
            extras=tuple(sorted(canonicalize_name(extra) for extra in _strings(found.get("provides_extra")))),
            requires_python=str(found["requires_python"]) if found.get("requires_python") else None,
        )
        store.add(canonicalize_name(str(found["name"])), str(found["version"]), row)


def _report(pins: list[str], options: list[str]) -> tuple[list[dict[str, dict[str, object]]] | None, str]:
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
        done = subprocess.run(
            [*command, "--report", file.name, *options, *pins], capture_output=True, text=True, check=False
        )
        return (json.load(file)["install"] if done.returncode == 0 else None), done.stderr


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _version(python: str) -> str:
    return _run([f"python{python}", "-c", "import platform; print(platform.python_version())"]).strip()


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stderr}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    main(sys.argv[1:])
