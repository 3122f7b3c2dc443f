"""Wheels that pip would not install here, unpacked by hand: ``pip check`` and reprocheck name the same ones."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests import interpreters
from tests.integration.running import Ran

Run = Callable[..., Ran]

UNFIT = {
    "other-python": ("RC211", "cp27-cp27mu-manylinux1_x86_64"),
    "other-system": ("RC211", "py3-none-win_amd64"),
    "newer-libc": ("RC212", "py3-none-manylinux_2_99_x86_64"),
    "other-libc": ("RC212", "py3-none-musllinux_1_1_x86_64"),
}
"""Rule and tag by name of the distribution."""
FITTING = {
    "stable-abi": "cp36-abi3-manylinux2014_x86_64",
    "old-libc": "py3-none-manylinux1_x86_64",
    "pure": "py2.py3-none-any",
    "local-build": f"cp3{sys.version_info[1]}-cp3{sys.version_info[1]}-linux_x86_64",
}


def unpack(site: Path, name: str, tag: str) -> None:
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
    (info / "RECORD").write_text("")


def test_both_name_the_same_wheels(tmp_path: Path, run_reprocheck: Run) -> None:
    python = interpreters.virtual_environment(Path(sys.executable), tmp_path / "venv")
    baseline = tmp_path / "baseline.json"
    run_reprocheck("lock", f"python:{python}", "-o", baseline).ended(0)
    site = interpreters.site_packages(python)
    for name, tag in {**{name: tag for name, (_, tag) in UNFIT.items()}, **FITTING}.items():
        unpack(site, name, tag)
    command = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "check"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert set(re.findall(r"(\S+) 1\.0 is not supported on this platform", said)) == set(UNFIT)
    ran = run_reprocheck("verify", f"python:{python}", "--baseline", baseline, "--format", "json").ended(1)
    found = {one["subject"]["name"]: one["rule"] for one in ran.json["findings"] if one["rule"] in {"RC211", "RC212"}}
    assert found == {name: rule for name, (rule, _) in UNFIT.items()}
    run_reprocheck("lock", f"python:{python}", "-o", baseline).ended(0)
    run_reprocheck("verify", f"python:{python}", "--baseline", baseline).ended(0)
