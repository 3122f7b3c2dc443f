"""No wrong "no", no wrong "yes": drivers and CUDA releases in every pairing, GPUs too old and too new for a build."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli

from reprocheck.fits.numbers import parse
from tests.fits.images import KNOWN, built_for, judged

FOLDER = Path(__file__).parent
ANSWERS = {"y": "fits", "m": "fits-by-minor-version-compatibility", "n": "driver-too-old"}


def table(name: str) -> dict[str, Any]:
    return tomli.loads((FOLDER / name).read_text())


def pairings() -> Iterator[tuple[str, str, str]]:
    written = table("drivers.toml")
    for driver, row in written["driver"].items():
        for cuda, letter in zip(written["cuda"], row.replace(" ", ""), strict=True):
            yield driver, cuda, ANSWERS[letter]


PAIRINGS = list(pairings())


def test_the_table_holds_every_family() -> None:
    """A driver family or a CUDA release that becomes known has to be written into the table too."""
    branches = {int(driver.partition(".")[0]) for driver, _, _ in PAIRINGS}
    assert {row.branch for row in KNOWN.driver_branches if 410 <= row.branch < 600} <= branches
    assert {row.cuda for row in KNOWN.cuda_releases if row.cuda >= "10"} <= {cuda for _, cuda, _ in PAIRINGS} | {
        "8.0",
        "9.0",
        "9.1",
        "9.2",
    }
    assert len(PAIRINGS) == 40 * 24


@pytest.mark.parametrize("driver", sorted({driver for driver, _, _ in PAIRINGS}))
def test_drivers_and_cuda_releases(driver: str) -> None:
    for own, cuda, expected in PAIRINGS:
        if own == driver:
            found = judged(built_for(cuda), driver)
            assert found.answer == expected, f"CUDA {cuda}"
            assert (found.verdict, found.gaps) == ("does-not-fit" if expected == "driver-too-old" else "fits", ())


@pytest.mark.parametrize("cuda", table("drivers.toml")["cuda"])
def test_the_repair_is_the_lowest_driver_that_serves(cuda: str) -> None:
    """What is told to be enough is enough, and nothing in the table below it is."""
    enough = judged(built_for(cuda), "410.48").programs[0].lowest_driver
    assert enough is not None
    for driver, release, answer in PAIRINGS:
        if release == cuda:
            assert (answer != "driver-too-old") == ((parse(driver) or ()) >= (parse(enough) or ()))


@pytest.mark.parametrize("build", table("gpus.toml")["build"], ids=lambda build: build["name"])
def test_gpus_and_builds(build: dict[str, Any]) -> None:
    target = built_for("12.8", build["targets"])
    for gpu in build.get("binary", ()):
        found = judged(target, gpu=gpu)
        assert (found.verdict, found.gaps) == ("fits", ()), gpu
        assert "PTX" not in found.programs[0].statements[-1].said, gpu
    for gpu in build.get("ptx", ()):
        found = judged(target, gpu=gpu)
        assert (found.verdict, found.gaps) == ("fits", ()), gpu
        assert "served by PTX" in found.programs[0].statements[-1].said, gpu
    for gpu in build.get("none", ()):
        found = judged(target, gpu=gpu)
        assert (found.verdict, found.answer) == ("does-not-fit", "no-kernels"), gpu


def test_ptx_is_compiled_from_the_release_s_own_driver_on() -> None:
    """TensorFlow 2.9.0, of CUDA 11.2: a binary serves the T4, PTX alone the A100 and the GeForce RTX 3090."""
    targets = next(build["targets"] for build in table("gpus.toml")["build"] if build["name"] == "tensorflow 2.9.0")
    target = built_for("11.2", targets)
    by_ptx = {**{answer: answer for answer in ANSWERS.values()}, ANSWERS["m"]: "no-kernels"}
    for driver, cuda, expected in PAIRINGS:
        if cuda == "11.2":
            assert judged(target, driver, "T4").answer == expected, driver
            if expected != ANSWERS["n"]:
                assert judged(target, driver, "A100").answer == by_ptx[expected], driver
            if driver > "455":
                assert judged(target, driver, "GeForce RTX 3090").answer == by_ptx[expected], driver


@pytest.mark.parametrize("row", table("gpus.toml")["driven"], ids=lambda row: row["gpu"])
def test_gpus_and_drivers(row: dict[str, Any]) -> None:
    target = built_for("8.0")
    for driver in row["by"]:
        assert judged(target, driver, row["gpu"]).answer == "fits", driver
    for driver in row["not_by"]:
        assert judged(target, driver, row["gpu"]).answer == "gpu-not-served-by-driver", driver


def test_the_tables_of_architectures_agree() -> None:
    """First and last CUDA release of each architecture, against the ranges of what releases compile for."""
    known = {row.compute_capability: row for row in KNOWN.gpu_architectures}
    for row in KNOWN.architecture_ranges:
        low, high = (parse(text) or () for text in (row.cuda_from, row.cuda_to))
        newest = known[row.cc_max]
        assert (parse(newest.first_cuda) or ()) <= low
        oldest = known[row.cc_min]
        assert oldest.last_cuda is None or (parse(oldest.last_cuda) or ()) >= high


def test_each_device_is_of_a_known_architecture() -> None:
    assert {gpu.compute_capability for gpu in KNOWN.gpus} <= {row.compute_capability for row in KNOWN.gpu_architectures}
