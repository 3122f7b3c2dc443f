"""What is captured of a virtual environment with real wheels, against `pip list` and a golden list."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from reprocheck.capture import capture
from reprocheck.model.snapshot import Package
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access
from tests import interpreters

ASKED = ("requests==2.31.0", "jinja2==3.1.3", "python-dateutil==2.8.2", "click==8.1.7", "PyYAML==6.0.1")
PINS = {
    "certifi": "2024.2.2",
    "charset-normalizer": "3.3.2",
    "click": "8.1.7",
    "idna": "3.6",
    "jinja2": "3.1.3",
    "markupsafe": "2.1.5",
    "python-dateutil": "2.8.2",
    "pyyaml": "6.0.1",
    "requests": "2.31.0",
    "six": "1.16.0",
    "urllib3": "2.2.1",
}
DRAGGED = {"certifi", "charset-normalizer", "idna", "markupsafe", "six", "urllib3"}
NO_INDEX = ("Could not fetch URL", "Failed to establish a new connection", "Temporary failure in name resolution")
NO_INDEX_UV = ("error sending request", "dns error", "Failed to fetch", "Request failed")


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300, env=environment)


def installed(ran: subprocess.CompletedProcess[str], unreachable: tuple[str, ...]) -> None:
    """Skip where no index answers; anything else that goes wrong is a failure."""
    if ran.returncode and any(sign in ran.stderr + ran.stdout for sign in unreachable):
        pytest.skip("no package index can be reached")
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with pip, and a constraints file beside it."""
    where = tmp_path_factory.mktemp("agree")
    (where / "constraints.txt").write_text("".join(f"{name}=={version}\n" for name, version in PINS.items()))
    ran = run(interpreters.python(11), "-m", "venv", where / "venv")
    assert ran.returncode == 0, ran.stderr
    return where


def packages(executable: Path) -> dict[str, Package]:
    snapshot = capture(Address("python", str(executable)), Access())
    (one,) = snapshot.environments
    assert snapshot.gaps == ()
    assert snapshot.coverage["environments"].state == "complete"
    listed = {package.name: package for package in one.packages}
    assert len(listed) == len(one.packages)
    return listed


def listed_by_pip(pip: Path, executable: Path) -> dict[str, str]:
    ran = run(pip, "-m", "pip", "--python", executable, "list", "--format", "json", "--disable-pip-version-check")
    assert ran.returncode == 0, ran.stderr
    return {canonicalize_name(one["name"]): one["version"] for one in json.loads(ran.stdout)}


def as_golden(found: dict[str, Package], installer: str) -> None:
    for name, version in PINS.items():
        package = found[name]
        assert (package.version, package.installer, package.origin) == (version, installer, "index")
        # uv marks all that it installs, which says nothing.
        assert package.requested is (None if installer == "uv" else name not in DRAGGED)
        assert package.problems == ()
        assert package.files.count
        assert package.tags
    assert found["requests"].requires is not None
    assert "urllib3<3,>=1.21.1" in {
        one.replace(" ", "").replace("(", "").replace(")", "") for one in found["requests"].requires
    }
    assert found["requests"].extras == ("security", "socks", "use-chardet-on-py3")
    assert found["requests"].requires_python == ">=3.7"
    assert found["jinja2"].display_name == "Jinja2"
    assert found["click"].display_name is None


def test_what_pip_installed(base: Path) -> None:
    executable = base / "venv/bin/python"
    ran = run(executable, "-m", "pip", "install", "-q", "--only-binary=:all:", "-c", base / "constraints.txt", *ASKED)
    installed(ran, NO_INDEX)
    found = packages(executable)
    assert {name: one.version for name, one in found.items()} == listed_by_pip(executable, executable)
    assert {name for name in found if name not in {"pip", "setuptools"}} == set(PINS)
    as_golden(found, "pip")
    # After an uninstall it is gone, and an upgrade leaves one copy.
    assert run(executable, "-m", "pip", "uninstall", "-qy", "click").returncode == 0
    again = packages(executable)
    assert set(found) - set(again) == {"click"}
    assert {name: one for name, one in found.items() if name != "click"} == again


def test_what_uv_installed(base: Path, tmp_path: Path) -> None:
    pip = base / "venv/bin/python"
    tool = interpreters.virtual_environment(interpreters.python(11), tmp_path / "tool")
    ran = run(pip, "-m", "pip", "--python", tool, "install", "-q", "--only-binary=:all:", "uv")
    if "No matching distribution" in ran.stderr:
        pytest.skip("uv is no wheel for this machine")
    installed(ran, NO_INDEX)
    executable = interpreters.virtual_environment(interpreters.python(11), tmp_path / "venv")
    ran = run(
        tmp_path / "tool/bin/uv",
        *("pip", "install", "-q", "--python", executable, "--no-cache", "--only-binary", ":all:"),
        *("-c", base / "constraints.txt", *ASKED),
    )
    installed(ran, NO_INDEX_UV)
    found = packages(executable)
    assert {name: one.version for name, one in found.items()} == PINS == listed_by_pip(pip, executable)
    as_golden(found, "uv")
