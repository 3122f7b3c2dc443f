"""One program of an image against a host: driver, forward compatibility, kernels."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reprocheck.fits import kernels
from reprocheck.fits.drivers import Way, need, reported_cuda, way
from reprocheck.fits.needs import RUNTIME, Compat, Need
from reprocheck.fits.numbers import Numbers, parse
from reprocheck.model.fits import About, Answer, FitsDevice, FitsHost, Program, Statement
from reprocheck.model.snapshot import Gap

if TYPE_CHECKING:
    from reprocheck.knowledge import Knowledge
    from reprocheck.knowledge.rows import GpuArchitecture

NO_DRIVER = "none"
_MOST = 3
"""Libraries that a line names."""
_MOST_TARGETS = 16
UNSUPPORTED_PTX = "the provided PTX was compiled with an unsupported toolchain"


def text(numbers: Numbers) -> str:
    """Numbers as a version."""
    return ".".join(map(str, numbers))


@dataclass(kw_only=True)
class Judgement:
    """What is found out of one program, in the order in which it is."""

    need: Need
    host: FitsHost
    knowledge: Knowledge
    compat: Sequence[Compat]
    named: bool
    """Whether driver or GPU were named, not seen together on a host."""
    statements: list[Statement] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def say(self, about: About, said: str, *, holds: bool | None = None) -> None:
        """Take down what was found."""
        self.statements.append(Statement(about=about, holds=holds, said=said))

    def gap(self, what: str, reason: str) -> None:
        """Take down what can't be told."""
        self.answers.append("cannot-tell")
        self.gaps.append(Gap(what=what, where=f"{self.need.name} {self.need.version}", reason=reason))

    @property
    def driver(self) -> Numbers | None:
        """The host's driver, if there is one and it was asked for."""
        return None if self.host.driver is None else parse(self.host.driver)


def judge(judgement: Judgement) -> Program:
    """Judge one program. A definite "no" counts for more than what can't be told, and that for more than a "yes"."""
    one = judgement.need
    _needs(judgement)
    serving: Numbers | None = None
    if one.runtime == "unknown":
        judgement.gap("accelerator.frameworks", f"whether it finds the CUDA runtime can't be told: {one.reason}")
    if judgement.host.driver is not None:
        serving = _driver(judgement)
    if judgement.host.devices is not None and judgement.host.driver != NO_DRIVER:
        _devices(judgement, serving)
    if one.missing:
        # What was said of driver and GPU is what it would come to with them.
        judgement.answers[:], judgement.gaps[:] = ["libraries-missing" if one.runtime == "absent" else "cpu-only"], []
    needed = need(one.cuda, judgement.knowledge) if one.cuda else None
    return Program(
        name=one.name,
        version=one.version,
        environment=one.environment,
        cuda=text(one.cuda) if one.cuda else None,
        answer=worst(judgement.answers),
        own_driver=needed.own if needed else None,
        lowest_driver=needed.lowest if needed else None,
        statements=tuple(judgement.statements),
    )


_RANK: tuple[Answer, ...] = (
    "other-architecture",
    "libraries-missing",
    "no-driver",
    "driver-too-old",
    "gpu-not-served-by-driver",
    "no-kernels",
    "refused-at-start",
    "cpu-only",
    "cannot-tell",
    "fits-by-forward-compatibility",
    "fits-by-minor-version-compatibility",
    "fits",
)


def worst(answers: Sequence[Answer]) -> Answer:
    """The answer that decides."""
    return min(answers, key=_RANK.index, default="fits")


def _needs(judgement: Judgement) -> None:
    one = judgement.need
    cuda = f"CUDA {text(one.cuda)}" if one.cuda else "a CUDA release that is not known"
    who = f"{one.name} {one.version}"
    if one.name == RUNTIME:
        judgement.say("needs", f"{cuda}: the image carries its runtime, and no framework that is known here")
        return
    with_what = f"CUDA {text(one.built)}" if one.built else "CUDA"
    built = f"{who} was built with {with_what}" + (f" and cuDNN {one.cudnn}" if one.cudnn else "")
    if one.missing:
        more = len(one.missing) - _MOST
        names = ", ".join(one.missing[:_MOST]) + (f" and {more} more" if more > 0 else "")
        linked = ", which it is linked to" if one.runtime == "absent" else ""
        judgement.say("needs", f"{cuda}: {built}, but the image lacks {names}{linked}", holds=False)
        return
    carried = ""
    if one.runtime == "carried":
        own = one.cuda is not None and one.built is not None and one.cuda[: len(one.built)] != one.built
        carried = f"; the runtime that it loads is {cuda}" if own else ", which the image carries"
    judgement.say("needs", f"{cuda}: {built}{carried}", holds=True if carried else None)


# The driver.


def _driver(judgement: Judgement) -> Numbers | None:
    """Judge the driver; give the CUDA version up to which PTX is compiled."""
    if judgement.host.driver == NO_DRIVER:
        judgement.say("driver", "no NVIDIA driver is visible there", holds=False)
        judgement.answers.append("no-driver")
        return None
    driver, cuda = judgement.driver, judgement.need.cuda
    if driver is None:
        judgement.gap("machine.driver", f"{judgement.host.driver} is no version of a driver")
        return None
    if cuda is None:
        judgement.gap("accelerator", "the CUDA release that it needs is not known")
        return None
    if any(parse(one.compute_capability or "") in _tegra(judgement.knowledge) for one in judgement.host.devices or ()):
        judgement.gap(
            "machine.driver", "drivers of Jetson boards belong to a release of JetPack, and are not known here"
        )
        return None
    found = way(driver, cuda, judgement.knowledge)
    judgement.say("driver", _driver_said(judgement, driver, cuda, found), holds=_HOLDS[found])
    reported = parse(reported_cuda(driver, judgement.knowledge) or "")
    if found == "too-old":
        return _forward(judgement, driver, cuda)
    _compat_in_front(judgement, driver)
    if found == "unknown":
        judgement.gap("machine.driver", f"whether driver {judgement.host.driver} serves CUDA {text(cuda)} is not known")
    else:
        judgement.answers.append("fits" if found == "itself" else "fits-by-minor-version-compatibility")
    return max(reported or (), cuda) if found == "itself" else reported


_HOLDS: dict[Way, bool | None] = {"itself": True, "minor-version": True, "too-old": False, "unknown": None}


def _driver_said(judgement: Judgement, driver: Numbers, cuda: Numbers, found: Way) -> str:
    own, lowest = need(cuda, judgement.knowledge)
    release, version = f"CUDA {text(cuda)}", judgement.host.driver
    minor = lowest is not None and lowest != own
    if found == "itself":
        return f"{version} serves {release} itself" + (f" ({own} and newer do)" if own else ", as every driver does")
    if found == "minor-version":
        owned = f"; {own} is {release}'s own" if own and len(cuda) > 1 else ""
        reported = reported_cuda(driver, judgement.knowledge)
        lacks = f": what came after CUDA {reported} is missing" if reported else ""
        return f"{version} serves {release} by minor-version compatibility ({lowest} and newer do{owned}){lacks}"
    if found == "too-old":
        parts = [f"{own} is {release}'s own"] if own else []
        parts += [f"{lowest} is enough (minor-version compatibility)"] if minor else []
        parts += [] if minor else ["before CUDA 11 there is no minor-version compatibility"]
        return "; ".join([*parts, f"{version} is too old"])
    if own and len(driver) == 1:
        return f"branch {version} has drivers before and after {lowest if minor else own}: name the whole version"
    if own and driver < (parse(own) or ()):
        return f"{version} is older than {own}, the first that is said to serve {release}, though of the same branch"
    return f"which driver {release} needs is not known here"


def _forward(judgement: Judgement, driver: Numbers, cuda: Numbers) -> Numbers | None:
    """Judge the forward compatibility of a driver that is too old; the CUDA version of the library in the image."""
    found = max(judgement.compat, key=lambda one: one.numbers, default=None)
    if found is None:
        judgement.say("compat", "the image has no cuda-compat, which would serve data-centre GPUs", holds=False)
        judgement.answers.append("driver-too-old")
        return None
    version = found.numbers
    reported = reported_cuda(version, judgement.knowledge)
    package = f"cuda-compat ({found.version}" + (f", CUDA {reported})" if reported else ")") + " in the image"
    devices = judgement.host.devices
    others = [one for one in devices or () if one.data_centre is False]
    served = way(version, cuda, judgement.knowledge)
    row = next((each for each in judgement.knowledge.forward_compatibility if each.cuda == reported), None)
    no = None
    if served == "too-old":
        no = f"does not serve CUDA {text(cuda)} either"
    elif others:
        no = f"can't help: forward compatibility is for data-centre GPUs, which {_device(others[0])} is not"
    elif version[0] <= driver[0]:
        no = "is no newer than the driver, so it is not used"
    if no is not None:
        judgement.say("compat", f"{package} {no}", holds=False)
        judgement.answers.append("driver-too-old")
        return None
    unknown = None
    if served == "unknown":
        unknown = f"whether it serves CUDA {text(cuda)} is not known"
    elif not devices or any(one.data_centre is None for one in devices):
        unknown = "it serves data-centre GPUs alone, and whether this is one is not known"
    elif row is None or driver[0] not in row.branches:
        listed = f" (it names {', '.join(map(str, row.branches))})" if row else ""
        unknown = f"whether it serves driver branch {driver[0]} is not known{listed}"
    if unknown is not None:
        judgement.say("compat", f"{package} may help: {unknown}")
        judgement.gap("compat", f"{found.path}: {unknown}")
        return None
    judgement.say("compat", f"{package} serves it on driver branch {driver[0]} (forward compatibility)", holds=True)
    judgement.say(
        "compat", f"with Apptainer: --env LD_LIBRARY_PATH={posixpath.dirname(found.path)}, in front of what is there"
    )
    judgement.answers.append("fits-by-forward-compatibility")
    return parse(reported or "")


def _compat_in_front(judgement: Judgement, driver: Numbers) -> None:
    """Tell of a ``cuda-compat`` that nobody needs and that breaks what works without it."""
    newer = [one.version for one in judgement.compat if one.numbers[0] > driver[0]]
    others = [one for one in judgement.host.devices or () if one.data_centre is False]
    if newer and others:
        judgement.say(
            "compat",
            f"cuda-compat ({max(newer)}) in the image is not needed, and {_device(others[0])} is no data-centre "
            "GPU: where the engine puts it in front, CUDA ends with "
            '"forward compatibility was attempted on non supported HW"',
        )


# The GPUs.


def _device(one: FitsDevice) -> str:
    if one.name is None:
        return f"a GPU of compute capability {one.compute_capability}"
    return one.name


def _devices(judgement: Judgement, serving: Numbers | None) -> None:
    """Judge the GPUs: one that is served is enough."""
    devices = judgement.host.devices or ()
    if not devices:
        judgement.gap("machine.devices", "which GPU the host has is not known; name it with --gpu")
        return
    before = len(judgement.answers)
    per_device: list[list[Answer]] = []
    gaps: list[list[Gap]] = []
    for one in devices:
        kept = len(judgement.gaps)
        _one_device(judgement, one, serving)
        per_device.append(judgement.answers[before:])
        gaps.append(judgement.gaps[kept:])
        del judgement.answers[before:], judgement.gaps[kept:]
    best = max(range(len(devices)), key=lambda number: _RANK.index(worst(per_device[number])))
    judgement.answers += per_device[best]
    judgement.gaps += gaps[best]


def _one_device(judgement: Judgement, one: FitsDevice, serving: Numbers | None) -> None:
    capability = parse(one.compute_capability or "")
    if capability is None:
        judgement.gap("machine.devices", f"the compute capability of {_device(one)} is not known")
        return
    said = text(capability)
    if one.name is not None and len(judgement.host.devices or ()) > 1:
        said = f"{one.name} ({said})"
    architecture = _architecture(capability, judgement.knowledge)
    if judgement.named and not _driven(judgement, said, architecture):
        judgement.answers.append("gpu-not-served-by-driver")
        return
    if not judgement.need.targets:
        _by_release(judgement, said, architecture)
        return
    strange = kernels.unread(judgement.need.targets)
    found = kernels.served(kernels.targets(judgement.need.targets), capability, _tegra(judgement.knowledge))
    source = f", by {judgement.need.targets_source}" if judgement.need.targets_source else ""
    if found.kernels == "binary":
        judgement.say("GPU", f"{said} is served by this build ({found.by}{source})", holds=True)
        judgement.answers.append("fits")
    elif found.kernels == "ptx":
        _by_ptx(judgement, said, f"{found.by}{source}", serving)
    elif strange:
        judgement.gap("accelerator.frameworks", f"its GPU targets are not understood: {', '.join(strange[:3])}")
    else:
        more = len(judgement.need.targets) - _MOST_TARGETS
        built = ", ".join(judgement.need.targets[:_MOST_TARGETS]) + (f" and {more:,} more" if more > 0 else "")
        judgement.say("GPU", f"{said} is not served by this build, which is for {built}{source}", holds=False)
        judgement.answers.append("no-kernels")


def _by_ptx(judgement: Judgement, said: str, by: str, serving: Numbers | None) -> None:
    """PTX is compiled by the driver, which must not be older than the CUDA release that wrote it."""
    built = judgement.need.built
    asked = judgement.host.driver is not None
    known = serving is not None and built is not None and (len(built) > 1 or serving[0] > built[0])
    if not asked or (known and serving >= built):  # type: ignore[operator]
        first = "" if asked else ", by a driver that is not older than its CUDA release"
        judgement.say("GPU", f"{said} is served by PTX ({by}), compiled on first use{first}", holds=True)
        judgement.answers.append("fits")
    elif known:
        driver, ptx = text(serving or ()), text(built or ())
        said = f"{said} is served by PTX alone ({by}), and a driver of CUDA {driver} compiles no PTX of CUDA {ptx}"
        judgement.say("GPU", said, holds=False)
        judgement.answers.append("no-kernels")
    elif worst(judgement.answers) not in {"driver-too-old", "no-driver"}:
        judgement.gap(
            "machine.driver", f"{said} is served by PTX alone ({by}): whether this driver compiles it is not known"
        )


def _by_release(judgement: Judgement, said: str, architecture: GpuArchitecture | None) -> None:
    """Judge by the CUDA release alone, where it is not known what the code was built for."""
    cuda = judgement.need.built or judgement.need.cuda
    first, last = (
        (parse(architecture.first_cuda) or (), parse(architecture.last_cuda or "")) if architecture else (None, None)
    )
    if cuda is not None and last is not None and cuda > last:
        judgement.say("GPU", f"CUDA {text(cuda)} has no code for {said}: CUDA {text(last)} was the last", holds=False)
        judgement.answers.append("no-kernels")
    elif judgement.need.name == RUNTIME and first is not None and cuda is not None and cuda[:2] >= first[: len(cuda)]:
        judgement.say("GPU", f"{said} is served by CUDA {text(cuda)}; what your own code was built for is not known")
    else:
        judgement.gap("accelerator.frameworks", f"which GPUs it was built for is not known, so neither is {said}")


def _tegra(knowledge: Knowledge) -> set[Numbers]:
    return {parse(row.compute_capability) or () for row in knowledge.gpu_architectures if row.tegra}


def _architecture(capability: Numbers, knowledge: Knowledge) -> GpuArchitecture | None:
    return next((row for row in knowledge.gpu_architectures if parse(row.compute_capability) == capability), None)


def _driven(judgement: Judgement, said: str, architecture: GpuArchitecture | None) -> bool:
    driver = judgement.driver
    if driver is None or architecture is None or architecture.tegra:
        return True
    first, last = architecture.first_branch, architecture.last_branch
    if first is not None and driver[0] < first:
        too_new = f"driver {judgement.host.driver} does not know {said}: branch {first} was the first"
        judgement.say("GPU", too_new, holds=False)
        return False
    if last is not None and driver[0] > last:
        too_old = f"driver {judgement.host.driver} serves {said} no more: branch {last} was the last"
        judgement.say("GPU", too_old, holds=False)
        return False
    return True
