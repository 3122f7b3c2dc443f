#!/usr/bin/env python3
"""Run the recipes of known breaks, and write into each row what was seen.

    scripts/verify-knowledge              the rows that were not seen yet
    scripts/verify-knowledge NAME ...     these rows
    scripts/verify-knowledge --all        every row that has a recipe

For each row, in a virtual environment of its own with the recipe's Python: what the recipe installs is installed, the
statement has to fail with the symptom, the repaired set is installed, the statement has to work. The outcome stands in
the row's `seen` before the next one begins, so a run can be stopped at any time and goes on where it was. Where the
outcome is another, `seen` is removed and the exit code is 1. What can't be installed now, or has no interpreter here,
says nothing about the row, which stays as it is.

Interpreters are taken from pyenv, PATH and uv. What `install` draws in are wheels alone, so that nothing is compiled;
`then` and `repaired` may name a source distribution.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NoReturn

import msgspec
import tomlkit
from packaging.utils import canonicalize_name

from reprocheck.knowledge import load
from reprocheck.knowledge.rows import KnownBreak, Recipe, Seen

FILE = Path(__file__).resolve().parents[1] / "reprocheck/knowledge/data/known_break.toml"
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}") or "uv"
INSTALL_SECONDS = 900
STATEMENT_SECONDS = 300


class Differs(Exception):  # noqa: N818 - an outcome
    """What was seen is not what the row says."""


class NotTried(Exception):  # noqa: N818 - an outcome
    """The recipe could not be carried out here and now."""


def interpreter(minor: str) -> Path:
    """An interpreter of this minor version.

    Raises:
        NotTried: this machine has none.
    """
    root = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    built = [path for path in sorted(root.glob(f"versions/{minor}.*/bin/python")) if path.is_file()]
    if built:
        return built[-1]
    found = subprocess.run(
        [UV, "python", "find", "--no-python-downloads", "--no-project", "--system", minor],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise NotTried(f"no Python {minor} on this machine (looked into pyenv, PATH and uv)")
    return Path(found.stdout.strip())


def see(row: KnownBreak, recipe: Recipe) -> Seen:
    """Run the recipe of a row.

    Raises:
        Differs: the statement works, fails with another text, or fails with the repaired set, too.
        NotTried: something can't be installed.
    """
    with tempfile.TemporaryDirectory(prefix="verify-knowledge-") as folder:
        python = Path(folder, "environment/bin/python")
        _uv("venv", "--python", interpreter(recipe.python), python.parents[1])
        _install(python, recipe.install, "--only-binary", ":all:")
        _install(python, recipe.then, "--no-deps")
        version = _run(python, "print('%d.%d.%d' % __import__('sys').version_info[:3])")[1].strip()
        there = {
            str(canonicalize_name(one["name"])): one["version"]
            for one in json.loads(_uv("pip", "list", "--python", python, "--format", "json"))
        }
        ended, printed = _run(python, row.statement)
        text = told(printed, row.symptom)
        if row.effect != "warning" and not ended:
            raise Differs("the statement works")
        if text is None:
            raise Differs(f"it says: {printed.strip()[-800:]}")
        _install(python, recipe.repaired, "--no-deps")
        ended, printed = _run(python, row.statement)
        if ended or re.search(row.symptom, printed, re.DOTALL):
            raise Differs(f"the repaired set does not work: {printed.strip()[-800:]}")
    return Seen(
        date=datetime.datetime.now(tz=datetime.timezone.utc).date(),
        python=version,
        versions={name: there[name] for name in (row.package, row.partner) if name in there},
        text=text,
    )


def told(printed: str, symptom: str) -> str | None:
    """What is to be kept of a failure: its last line, or else the last ones that have the symptom; no path of here."""
    printed = re.sub(r"[^\s\"'(]*/site-packages/", "…/site-packages/", printed.strip())
    last = printed.rpartition("\n")[2]
    if re.search(symptom, last):
        return last
    matches = [*re.finditer(symptom, printed, re.DOTALL)]
    if not matches:
        return None
    start, end = printed.rfind("\n", 0, matches[-1].start()) + 1, printed.find("\n", matches[-1].end())
    return printed[start : end if end >= 0 else None].strip()


def _install(python: Path, requirements: Sequence[str], *options: str) -> None:
    if requirements:
        _uv("pip", "install", "--python", python, *options, *requirements)


def _uv(*words: str | Path) -> str:
    ran = subprocess.run(
        [UV, "--quiet", "--no-config", *words], capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    if ran.returncode:
        raise NotTried(" ".join(ran.stderr.split())[-600:])
    return ran.stdout


def _run(python: Path, statement: str) -> tuple[int, str]:
    """Exit code and all that was printed; as in a shell that knows nothing of its user."""
    folder = python.parents[2]
    try:
        ran = subprocess.run(
            [python, "-c", statement],
            cwd=folder,
            env={"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=STATEMENT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Differs(f"the statement did not end within {STATEMENT_SECONDS} seconds") from None
    return ran.returncode, ran.stdout.decode(errors="replace")


def write(path: Path, name: str, seen: Seen | None) -> None:
    """Put what was seen into its row, or take it out; everything else in the file stays as it is."""
    document = tomlkit.parse(path.read_text())
    row = next(row for row in document["known_break"] if row["name"] == name)
    row.pop("seen", None)
    if seen is not None:
        table = tomlkit.table()
        table.update(msgspec.structs.asdict(seen))
        table["versions"] = tomlkit.inline_table()
        table["versions"].update(seen.versions)
        row["seen"] = table
    # One empty line before each row, none within.
    text = re.sub(r"\n+(?=\[known_break\.)", "\n", tomlkit.dumps(document))
    text = re.sub(r"\n+(?=\[\[known_break\]\])", "\n\n", text)
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def main() -> NoReturn:
    """Run what was asked for; exit code 1 where a row is not as it says."""
    parser = argparse.ArgumentParser(description="See the known breaks in environments of their own.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to run, seen or not")
    parser.add_argument("--all", action="store_true", help="run rows that were seen already, too")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at a time (default: 2)")
    asked = parser.parse_args()
    rows = {row.name: row for row in load().known_breaks}
    if unknown := [name for name in asked.names if name not in rows or rows[name].recipe is None]:
        parser.error(f"no row with a recipe: {', '.join(unknown)}")
    chosen = [
        (row, row.recipe)
        for row in rows.values()
        if row.recipe and (row.name in asked.names if asked.names else asked.all or row.seen is None)
    ]
    wrong = 0
    with ThreadPoolExecutor(asked.jobs) as pool:
        running = {pool.submit(see, row, recipe): row for row, recipe in chosen}
        try:
            for done in as_completed(running):
                row = running[done]
                try:
                    seen = done.result()
                except NotTried as reason:
                    print(f"{row.name}: not tried: {reason}", flush=True)
                except Differs as reason:
                    wrong += 1
                    write(FILE, row.name, None)
                    print(f"{row.name}: NOT AS IT SAYS: {reason}", flush=True)
                else:
                    write(FILE, row.name, seen)
                    print(f"{row.name}: seen: {seen.text}", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            sys.exit(130)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
