"""Whether an image will run on a host's driver and GPU, judged before it is started.

Written by ``reprocheck fits`` (schema ``reprocheck.fits/1``). ``None`` means that there is none, that it can't be told,
or that it was not asked.
"""

from __future__ import annotations

from typing import Literal

from reprocheck.model.report import MadeBy, Side
from reprocheck.model.snapshot import Gap, Model

SCHEMA = "reprocheck.fits/1"

FitsVerdict = Literal["fits", "does-not-fit", "cannot-tell"]
Answer = Literal[
    "fits",
    "fits-by-minor-version-compatibility",
    "fits-by-forward-compatibility",
    "other-architecture",
    "libraries-missing",
    "no-driver",
    "driver-too-old",
    "gpu-not-served-by-driver",
    "no-kernels",
    "refused-at-start",
    "cpu-only",
    "cannot-tell",
]
About = Literal["needs", "driver", "compat", "GPU", "require", "machine"]


class FitsDevice(Model, frozen=True, kw_only=True):
    """A GPU that the image is to run on."""

    name: str | None = None
    """As the host or the command line names it; ``None``: the compute capability alone was named."""
    compute_capability: str | None = None
    """``8.6``; ``None``: it can't be told."""
    data_centre: bool | None = None
    """Whether it is a data-centre GPU, the ones that forward compatibility serves."""
    brands: tuple[str, ...] = ()
    """What the driver may report as its brand, in lower case; empty: not known."""


class FitsHost(Model, frozen=True, kw_only=True):
    """What the image is to run on."""

    name: str
    """For people: ``this host``, the file of a snapshot, or ``as named``."""
    driver: str | None = None
    """Version of the NVIDIA driver; ``none``: the host has none that is visible; ``None``: not asked."""
    devices: tuple[FitsDevice, ...] | None = None
    """``None``: not asked."""
    architecture: str | None = None
    """As ``uname -m`` names it; ``None``: not asked, or not known."""


class Statement(Model, frozen=True, kw_only=True):
    """One thing that was judged."""

    about: About
    """What it is about; ``require``: the image's own ``NVIDIA_REQUIRE_`` variables."""
    holds: bool | None
    """Whether it lets the image run; ``None``: it can't be told, or it decides nothing."""
    said: str
    """In words."""


class Program(Model, frozen=True, kw_only=True):
    """A framework of the image that was built for CUDA, or the CUDA runtime that the image carries."""

    name: str
    """``tensorflow``, or ``CUDA runtime``."""
    version: str
    """Its version."""
    environment: str | None = None
    """Id of its environment; ``None``: it is in none."""
    cuda: str | None = None
    """The CUDA release that the driver has to serve: ``11.2``; ``12``, where the minor version is not known."""
    answer: Answer
    """What becomes of it on that host, the start of the container aside."""
    own_driver: str | None = None
    """Lowest driver that serves this CUDA release by itself."""
    lowest_driver: str | None = None
    """Lowest driver that serves it at all, forward compatibility aside."""
    statements: tuple[Statement, ...] = ()
    """Why."""


class Expectation(Model, frozen=True, kw_only=True):
    """What an engine or a program would show."""

    where: str
    """``Docker``, ``Apptainer``, or both."""
    text: str
    """The error, or what happens."""


class Fits(Model, frozen=True, kw_only=True):
    """The whole document."""

    schema: str = SCHEMA
    made_by: MadeBy
    target: Side
    """What was judged."""
    host: FitsHost
    verdict: FitsVerdict
    """``fits``: exit code 0; ``does-not-fit``: 1; ``cannot-tell``: 2."""
    answer: Answer
    """Why, in one word: that of the program that fares worst, or of the container's start."""
    programs: tuple[Program, ...] = ()
    """By environment and name."""
    statements: tuple[Statement, ...] = ()
    """What is judged of the image as a whole."""
    expect: tuple[Expectation, ...] = ()
    """What would be seen where it does not fit."""
    repair: str | None = None
    """What to do, in words."""
    gaps: tuple[Gap, ...] = ()
    """What could not be judged."""
