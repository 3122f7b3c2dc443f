"""The README's first command, in a clone of its own, by a user who has nothing but Python, git and make."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 600.0
"""It takes half a minute, most of it for the packages to come."""
_NETWORK = re.compile(r"(?i)(?:PIP_\w+|\w+_proxy|SSL_CERT_\w+|REQUESTS_CA_BUNDLE)$")
"""How this machine reaches the package index."""
_UNREACHABLE = re.compile(r"NewConnectionError|ConnectTimeoutError|Temporary failure in name resolution")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a commit of the working tree would hold, and no more."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    where = tmp_path / "clone"
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, where / name)
    return where


def test_make_demo(clone: Path, tmp_path: Path) -> None:
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    environment = {name: value for name, value in os.environ.items() if _NETWORK.match(name)}
    environment |= {
        "HOME": str(home),
        "PATH": f"{programs}:/usr/bin:/bin",
        "DOCKER_HOST": f"unix://{tmp_path}/none",
        "LC_ALL": "C.UTF-8",
    }
    made = subprocess.run(
        ["make", "demo"], cwd=clone, env=environment, capture_output=True, check=False, text=True, timeout=SECONDS
    )
    if made.returncode and _UNREACHABLE.search(made.stderr):
        pytest.skip("the package index does not answer")
    assert made.returncode == 0, made.stdout + made.stderr
    for shown in ("protobuf 3.19.6 → 4.21.1", "numpy 1.23.5 → 2.0.2", "verified"):
        assert shown in made.stdout
    # All that was installed is in the clone.
    assert {path.name for path in home.iterdir()} <= {".cache"}
    assert (clone / ".venv" / "bin" / "reprocheck").is_file()
