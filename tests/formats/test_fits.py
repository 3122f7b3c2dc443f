"""What ``fits`` shows on a terminal."""

from __future__ import annotations

import pytest

from reprocheck.formats.fits import render
from reprocheck.model.fits import Fits
from tests.fits.images import compat, cudart, framework, image, judged
from tests.fits.test_requirements import NVIDIA_11_2
from tests.formats.golden import check

STORY = image(
    framework(built_with={"cuda": "11.2", "cudnn": "8.1"}),
    cuda=[cudart(), compat()],
    variables={"NVIDIA_REQUIRE_CUDA": NVIDIA_11_2},
)
"""TensorFlow 2.9.0 over NVIDIA's image for CUDA 11.2."""
SEVERAL = image(
    framework(), framework("torch", "2.0.1", "11.8", path="/x", status="unknown"), framework("jaxlib", "0.4", None),
    cuda=[cudart()],
)  # fmt: skip
PAGES = {
    "fits-too-old": judged(STORY, "440.33.01", "RTX 2080 Ti"),
    "fits-forward": judged(STORY, "440.33.01", "T4"),
    "fits-minor-version": judged(STORY, "455.45.01", "V100"),
    "fits-several": judged(SEVERAL, "470.82.01", "H100"),
}


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize(("name", "fits"), PAGES.items())
def test_pages(name: str, fits: Fits, width: int) -> None:
    check(f"{name}-{width}.txt", render(fits, width=width))


def test_hostile_text_is_shown_as_text() -> None:
    name = "\x1b[31m::error::x"
    page = render(judged(image(framework(name), variables={"NVIDIA_REQUIRE_CUDA": f"{name} " * 9000}), "470.82.01"))
    assert "\x1b" not in page
    assert len(page) < 3000
