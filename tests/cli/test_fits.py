"""``reprocheck fits`` as it is called: exit codes, the first line, one line of error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reprocheck.model import codec
from reprocheck.model.snapshot import Snapshot
from tests.fits.images import cudart, framework, host, image

ROOT = Path(__file__).resolve().parents[2]
TF = image(framework(), cuda=[cudart()])


def run(
    folder: Path, *words: str, target: str = "snapshot:image.json", columns: int = 100
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reprocheck", "fits", target, *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder), "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        check=False,
    )


def save(folder: Path, snapshot: Snapshot, name: str = "image.json") -> None:
    (folder / name).write_bytes(codec.encode_json(snapshot))


def test_exit_codes_and_first_lines(tmp_path: Path) -> None:
    save(tmp_path, TF)
    fits = run(tmp_path, "--driver", "470.82.01", "--gpu", "A100")
    assert (fits.returncode, fits.stderr) == (0, "")
    assert fits.stdout.startswith("fits  it on driver 470.82.01, A100 (compute capability 8.0)\n")
    old = run(tmp_path, "--driver", "440.33.01")
    assert (old.returncode, old.stderr) == (1, "")
    assert old.stdout.startswith("does not fit  it on driver 440.33.01, the driver is too old\n")
    unsure = run(tmp_path, "--driver", "450")
    assert (unsure.returncode, unsure.stderr) == (2, "")
    assert unsure.stdout.startswith("cannot tell  it on driver 450\n")
    assert run(tmp_path, "--gpu", "sm_75").returncode == 0
    assert run(tmp_path, "--gpu", "3.0").returncode == 1


def test_a_host_by_its_facts(tmp_path: Path) -> None:
    save(tmp_path, TF)
    save(tmp_path, host("470.82.01", ("NVIDIA A100-SXM4-40GB", "8.0")), "node.json")
    fits = run(tmp_path, "--host", "node.json", "--format", "json")
    assert (fits.returncode, fits.stderr) == (0, "")
    told = json.loads(fits.stdout)
    assert told["schema"] == "reprocheck.fits/1"
    assert told["host"]["devices"][0]["name"] == "NVIDIA A100-SXM4-40GB"
    assert (told["verdict"], told["programs"][0]["lowest_driver"]) == ("fits", "450.80.02")
    old = run(tmp_path, "--host", "node.json", "--driver", "440.33.01")
    assert (old.returncode, old.stderr) == (1, "")


def test_this_host_is_asked_where_nothing_is_named(tmp_path: Path) -> None:
    save(tmp_path, TF)
    ran = run(tmp_path, "--format", "json")
    assert ran.stderr == ""
    assert json.loads(ran.stdout)["host"]["name"] == "this host"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gpu", "RTX 4000"), "--gpu RTX 4000 can mean Quadro RTX 4000 (7.5), "),
        (("--gpu", "Radeon"), "--gpu Radeon: no GPU of that name is known; give its compute capability"),
        (("--driver", "newest"), "--driver newest: is no version of a driver"),
        (("--host", "image.json"), "image.json: is of an image, which has no driver and no GPU"),
        (("--host", "nothing.json"), "nothing.json: no file"),
        (("--host", "host:"), "--host host:: is a host; name a snapshot or evidence of the host"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    save(tmp_path, TF)
    ran = run(tmp_path, *words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"reprocheck: {said}")
    assert ran.stderr.count("\n") == 1


def test_the_recorded_image_runs_on_the_cpu_alone(tmp_path: Path) -> None:
    """TensorFlow 2.9.0 without the CUDA libraries, by its own evidence."""
    evidence = f"evidence:{ROOT}/reprocheck/recordings/tf29.evidence"
    ran = run(tmp_path, "--driver", "440.33.01", "--gpu", "RTX 2080 Ti", target=evidence, columns=200)
    assert (ran.returncode, ran.stderr) == (1, "")
    first, needs, *_ = ran.stdout.splitlines()
    assert first.endswith("on driver 440.33.01, GeForce RTX 2080 Ti (compute capability 7.5), on the CPU only")
    assert "tensorflow 2.9.0 was built with CUDA 11.2 and cuDNN 8, but the image lacks libcublas.so.11" in needs
