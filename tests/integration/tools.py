"""Tools that tests take from an index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def installed(name: str, folder: Path) -> Path:
    """The folder, with a distribution in it; the test is skipped where there is no index."""
    command: list[str | Path] = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, name]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip(f"{name} can't be installed ({ran.stderr.strip().splitlines()[-1:]})")
    return folder
