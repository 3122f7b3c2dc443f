"""The repair that is printed for the team's image, carried out: what was locked and what was added can be imported."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.running import Bench, Ran, inside

pytestmark = [pytest.mark.engine, pytest.mark.tensorflow]

Run = Callable[..., Ran]
Image = Callable[[str], str]

EVERYTHING = "import cv2, h5py, matplotlib, numpy, pandas, scipy, seaborn, sklearn, tensorflow, transformers"


def _grave(report: Any) -> list[tuple[str, str]]:
    return [
        (one["rule"], one["subject"]["name"]) for one in report["findings"] if one["severity"] in {"breaking", "major"}
    ]


def test_the_repaired_environment_imports_everything(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path
) -> None:
    run_reprocheck("lock", f"image:{image('tf29')}", "-o", tmp_path / "b").ended(0)
    container = own_bench.start(image("tf29-team"), network_mode="bridge")
    verify = ("verify", f"container:{container.name}", "--baseline", tmp_path / "b", "--level", "stack")

    def judged() -> Any:
        return run_reprocheck(*verify, "--format", "json").json

    before = judged()
    assert ("RC203", "numpy") in _grave(before)
    said = inside(container, "sh", "-c", "python3 -c 'import tensorflow' 2>&1 || true")
    expected = next(one["expect"] for one in before["findings"] if one["rule"] == "RC203")
    assert expected.partition(": ")[2] in said

    # As it is printed: an opencv-python that allows this numpy, which pip finds, with the numpy of the baseline.
    fix = next(one["fix"] for one in before["findings"] if one["rule"] == "RC203")
    printed = re.fullmatch(r"find an (\S+) that allows numpy \S+, with (numpy==\S+) beside it", fix["summary"])
    assert printed is not None
    inside(container, "pip3", "install", "--quiet", *printed.groups())
    assert _grave(judged()) == [("RC701", "opencv-python")], "what it lacked was told from the beginning"

    # What lacked libraries is replaced by the build that does without, as the manual page of the rule says.
    inside(container, "pip3", "uninstall", "--quiet", "--yes", "opencv-python")
    inside(container, "pip3", "install", "--quiet", "opencv-python-headless", printed[2])
    assert _grave(judged()) == []
    inside(container, "python3", "-c", EVERYTHING)
