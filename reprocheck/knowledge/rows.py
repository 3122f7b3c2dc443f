"""The rows of the knowledge: one type for each table, one field a fact."""

from __future__ import annotations

import datetime
from typing import Literal

from msgspec import Struct

Confidence = Literal["high", "medium"]
Effect = Literal[
    "import-fails", "run-fails", "wrong-results", "no-gpu", "install-fails", "conflict", "warning", "api-removed"
]


_FAILING: frozenset[Effect] = frozenset({"import-fails", "run-fails", "wrong-results", "no-gpu"})


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every row: what is known, and from where."""

    source: str
    """Where it was read: repository and commit, release notes, issue thread, wheel metadata."""
    note: str = ""
    """What a reader of the row should know besides."""


class FrameworkBuild(Row, frozen=True, kw_only=True):
    """What a release of a framework was built with (table ``framework_build``)."""

    framework: str
    """Normalised name of the distribution: ``tensorflow``, ``torch``, ``jax``."""
    version: str
    """Release, or its first two components where all patch releases agree."""
    platform: str
    """``linux-gpu``."""
    python: str
    """Python versions, as its documentation words them: ``3.7-3.10``."""
    cuda: tuple[str, ...]
    """CUDA versions of its builds."""
    cuda_experimental: tuple[str, ...] = ()
    default_cuda: str | None = None
    """CUDA version of the wheel on the package index."""
    cudnn: str | None = None
    nccl: str | None = None
    compiler: str | None = None
    build_tool: str | None = None
    pypi_wheel_tag: str | None = None
    min_jaxlib: str | None = None
    driver_min: str | None = None


class VersionPair(Row, frozen=True, kw_only=True):
    """Two distributions whose versions belong together (table ``version_pair``)."""

    package: str
    version: str
    """PEP 440 specifier, or a version with ``.*``."""
    partner: str
    partner_version: str
    """As ``version``: what the partner has to be."""


class WheelArchitectures(Row, frozen=True, kw_only=True):
    """Compute capabilities that a PyTorch wheel for x86_64 has kernels for (table ``torch_wheel_arch``)."""

    torch: str
    """``2.8``."""
    cuda: str
    """``12.8``."""
    sm: tuple[str, ...]
    """``8.6``; with ``+PTX`` newer devices are served by compiling on first use."""


class CudaRelease(Row, frozen=True, kw_only=True):
    """Drivers that a CUDA release needs on Linux (table ``cuda_driver_min``)."""

    cuda: str
    """``11.2``."""
    release: str
    """``11.2 U1``."""
    toolkit_driver_linux: str
    """Driver that the toolkit ships."""
    minor_compat_linux: str
    """Lowest driver by minor-version compatibility; from CUDA 11 on."""
    minor_compat_applies: bool
    upper_note: str = ""


class DriverBranch(Row, frozen=True, kw_only=True):
    """The CUDA version that a driver branch reports (table ``cuda_driver_branch``)."""

    branch: int
    """First component of the driver's version."""
    reports_cuda: str | None = None
    """Highest CUDA version that it serves by itself."""
    status: str = ""
    max_cuda: str | None = None


class ArchitectureRange(Row, frozen=True, kw_only=True):
    """Compute capabilities that CUDA releases compile for (table ``cuda_arch_range``)."""

    cuda_from: str
    cuda_to: str
    cc_min: str
    cc_max: str


class Gpu(Row, frozen=True, kw_only=True):
    """Compute capability of a device (table ``gpu_capability``)."""

    gpu: str
    """Name, as the vendor writes it, without the vendor's own."""
    compute_capability: str
    data_centre: bool | None = None
    """Whether it is a data-centre GPU, the ones that forward compatibility serves; ``None``: not known."""
    brands: tuple[str, ...] = ()
    """What the driver may report as its brand, in lower case; it depends on the driver's version."""


class GpuArchitecture(Row, frozen=True, kw_only=True):
    """What serves the devices of one compute capability (table ``gpu_architecture``)."""

    compute_capability: str
    name: str
    """``Turing``."""
    first_cuda: str
    """First CUDA release that compiles for it."""
    last_cuda: str | None = None
    """Last one; ``None``: it goes on."""
    first_branch: int | None = None
    """First driver branch that serves it; ``None``: not known, or before all others here."""
    last_branch: int | None = None
    """Last one; ``None``: it goes on."""
    tegra: bool = False
    """A part of a system on a chip: binaries are compatible with no other compute capability."""


class ForwardCompatibility(Row, frozen=True, kw_only=True):
    """Driver branches that ``cuda-compat`` of a CUDA release serves (table ``cuda_forward``)."""

    cuda: str
    """``11.8``: the package ``cuda-compat-11-8``."""
    branches: tuple[int, ...]
    """Older branches; on the branch of the release itself and on newer ones it is not used."""


class Recipe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a break is seen: in a virtual environment of its own."""

    python: str
    """Minor version of the interpreter: ``3.9``."""
    install: tuple[str, ...]
    """Requirements (PEP 508) that are resolved together."""
    then: tuple[str, ...] = ()
    """Requirements that are installed afterwards without their dependencies, as one careless command would."""
    repaired: tuple[str, ...]
    """Requirements, installed afterwards in the same way, with which the statement works."""


class Seen(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of a recipe when it was run: it failed as the row says, and worked with the repaired set."""

    date: datetime.date
    python: str
    """Full version of the interpreter."""
    versions: dict[str, str]
    """Versions of the package and of its partner in that environment."""
    text: str
    """Last line of what the statement printed when it failed; the lines with the symptom, where these are others."""


class KnownBreak(Row, frozen=True, kw_only=True):
    """A combination that is known not to work (table ``known_break``)."""

    name: str
    package: str
    """Normalised name of the distribution that stops working."""
    specifier: str = ""
    """PEP 440 specifier of its versions; empty: any."""
    partner: str | None = None
    """Normalised name of the distribution that it does not work with; ``None``: none is needed."""
    partner_specifier: str = ""
    """PEP 440 specifier of the partner's versions, ``>=0`` for any; empty: versions alone don't tell."""
    partner_is: Literal["", "older", "newer"] = ""
    """The partner's version against the package's own, where that alone decides."""
    paired: bool = False
    """It breaks where the partner is not of the version that ``version_pair`` has for the package's."""
    partner_required: bool = False
    """It works with those versions of the partner alone that its own metadata require."""
    system: bool = False
    """It depends on libraries of the system, too: versions of distributions alone don't tell."""
    partner_absent: bool = False
    """The package does not work where the partner is not installed."""
    python: str = ""
    """PEP 440 specifier of the interpreter's versions; empty: any."""
    effect: Effect
    statement: str = ""
    """Python statement that fails: ``import tensorflow``."""
    symptom: str
    """Regular expression that finds the failure in what is printed."""
    expect: str = ""
    """The line to expect, in words, where it was not seen by a recipe."""
    explanation: str
    """Why; its first sentence says it of the package, in a few words."""
    fix: str
    confidence: Confidence
    recipe: Recipe | None = None
    seen: Seen | None = None
    """``None``: reported by its source, not seen."""

    @property
    def fails(self) -> bool:
        """Whether what is installed fails, whoever uses it; otherwise it depends on what is asked of it."""
        return self.effect in _FAILING


class FailureSignature(Row, frozen=True, kw_only=True):
    """A text that a failing program prints, and what it means (table ``failure_signature``)."""

    name: str
    pattern: str
    """Regular expression; to be searched with ``re.DOTALL``."""
    framework: str
    diagnosis: str
    fix: str
    confidence: Confidence
    benign: bool = False
    """It is printed where all is well, too."""


class DeterminismSetting(Row, frozen=True, kw_only=True):
    """A setting that affects numbers or their order (table ``determinism``)."""

    name: str
    kind: Literal["env", "api", "artifact"]
    """``env``: an environment variable."""
    scope: str
    """The framework or library that reads it."""
    readers: tuple[str, ...] = ()
    """Normalised names of the distributions of which one has to be installed for it to be read; empty: not known."""
    effect: str
    changes: Literal["values", "runs", "order", "nothing"] = "order"
    """What another value of it does to numbers. ``values``: others come out, by another kernel, precision or random
    stream; ``runs``: two runs of one program may differ; ``order``: sums are added up in another order, so that last
    digits differ; ``nothing``: they stay."""
    repeats: str = ""
    """Regular expression of the values with which runs repeat, where it ``changes`` them; in any case."""
    unset: str | None = None
    """The value that has the same effect as none; ``None``: there is none, or a table ``default_change`` tells it."""
    recommended: str
    confidence: Confidence


class DefaultChange(Row, frozen=True, kw_only=True):
    """A release that changed a default which affects numbers (table ``default_change``)."""

    packages: tuple[str, ...]
    """Normalised names of the distributions that are this software."""
    version: str
    """The first release with the new default."""
    setting: str
    """Variable or function that sets it."""
    before: str
    after: str
    effect: str
    """What the new default does."""
    architecture: str = ""
    """Only there, as ``uname -m`` names it; empty: everywhere."""
    gpu: bool = False
    """It is about GPUs: builds for the processor alone stay as they are."""
    keep: str
    """What brings the old default back."""
    overruled_by: tuple[str, ...] = ()
    """Variables that overrule it."""
