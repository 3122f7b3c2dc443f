"""The demo verifies recorded evidence as everything else is verified: one byte of a version decides."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reprocheck import demo
from reprocheck.capture import capture
from reprocheck.compare import Question, compare
from reprocheck.sides import load_baseline
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access

_NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere.sock", "PATH": "/usr/bin:/bin"}


def _verdict(recording: Path) -> str:
    locked, file = load_baseline(demo.baselines() / demo.BASELINE)
    after = capture(Address("evidence", str(recording)), Access())
    return compare(locked, after, Question(fail_on="info"), file).verdict


def test_it_needs_no_engine() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reprocheck", "demo"], capture_output=True, text=True, env=_NO_ENGINE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(verified|drift)\b", done.stdout, re.MULTILINE) == ["verified", "drift", "drift"]
    assert "numpy 1.23.5 → 2.0.2" in done.stdout
    assert "protobuf 3.19.6 → 4.21.1" in done.stdout
    assert "Nothing was asked of an engine" in done.stdout


def test_the_recorded_image_agrees() -> None:
    assert _verdict(demo.recordings() / "tf29.evidence") == "verified"


@pytest.mark.parametrize(
    ("name", "version"), [("numpy", "1.23.5"), ("protobuf", "3.19.6"), ("tensorflow", "2.9.0"), ("zipp", "3.23.1")]
)
@pytest.mark.parametrize("position", [0, -1])
def test_one_byte_of_a_version_decides(name: str, version: str, position: int, tmp_path: Path) -> None:
    copy = tmp_path / "altered.evidence"
    shutil.copyfile(demo.recordings() / "tf29.evidence", copy)
    text = copy.read_text(encoding="utf-8")
    digits = list(version)
    digits[position] = "7" if digits[position] != "7" else "8"
    altered, count = re.subn(
        rf"(Name: {name}\\nVersion: ){re.escape(version)}(?=\\n)", rf"\g<1>{''.join(digits)}", text
    )
    assert count == 1
    copy.write_text(altered, encoding="utf-8")
    assert _verdict(copy) == "drift"


def test_the_recordings_tell_nothing_of_the_machine_that_made_them() -> None:
    for name, _, _ in demo.STORIES:
        text = (demo.recordings() / f"{name}.evidence").read_text(encoding="utf-8")
        assert "/root/" not in text.replace("/root/.local", "")
        assert "/home/" not in text
