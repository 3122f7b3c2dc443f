"""RC6xx: the machine, which is no part of any image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from reprocheck.model.snapshot import IMAGES
from reprocheck.rules.base import Comparison, Rule, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprocheck.knowledge import Knowledge
    from reprocheck.model.fits import Answer
    from reprocheck.model.report import Finding, Severity, SubjectKind
    from reprocheck.model.snapshot import Snapshot

_NO: frozenset[Answer] = frozenset({"driver-too-old", "gpu-not-served-by-driver", "no-kernels"})
"""Answers that are a sure no."""
_NAMES = {"driver": "driver", "device": "GPU"}

_TEXTS: dict[tuple[str, ...], tuple[SubjectKind, str, Severity]] = {
    ("kernel",): ("machine", "kernel", "info"),
    ("cpu", "model"): ("machine", "cpu", "info"),
    ("driver", "version"): ("driver", "driver", "major"),
}


def machine_changed(comparison: Comparison) -> Iterator[Finding]:
    """The machine differs: driver, GPU, processor or kernel.

    ## What it checks
    The driver's version and the devices (major), instruction sets that the processor lacks (minor), the
    processor's model and the kernel's release (info). Counts from the level `machine` on.

    ## Why it matters
    Another GPU or driver gives other kernels and other last digits; a missing instruction set ends a
    framework with `Illegal instruction`.

    ## Example
    `avx2` is missing; driver `525.60.13 → 440.33.01`.

    ## What to do
    Use a machine like the baseline's, or accept tolerances in place of equality.

    ## When it is noise
    Below the level `machine` it is never reported.
    """
    lost: list[str] = []
    for change in comparison.at("machine"):
        path = change.path[1:]
        if path in _TEXTS:
            kind, name, severity = _TEXTS[path]
            before, after = str(change.before), str(change.after)
            message = f"{name}: {before} → {after}"
            yield finding(kind, name, severity, message, before=before, after=after)
        elif path[:2] == ("cpu", "features") and change.kind == "removed":
            lost.append(path[2])
    if lost:
        message = f"the processor lacks {', '.join(lost)}"
        yield finding("machine", "cpu features", "minor", message, before=" ".join(lost))
    yield from _devices(comparison)


def _devices(comparison: Comparison) -> Iterator[Finding]:
    names = sorted({change.path[2] for change in comparison.at("machine", "devices")})
    before, after = (
        [f"{device.name} ({device.compute_capability})" for device in side.machine.devices]
        for side in (comparison.before, comparison.after)
    )
    for name in names:
        counts = (before.count(name), after.count(name))
        message = f"GPU {name}: {counts[0]} → {counts[1]}"
        if counts[0] == counts[1]:
            message = f"GPU {name}: another amount of memory"
        yield finding("device", name, "major", message, before=str(counts[0]), after=str(counts[1]))


def machine_unfit(comparison: Comparison) -> Iterator[Finding]:
    """The machine's driver or GPU can't run what is installed.

    ## What it checks
    Of each framework that was built for CUDA, what `reprocheck fits` checks: whether the driver serves the CUDA
    release, by itself, by minor-version compatibility or by the `cuda-compat` of the image, and whether the build has
    code for the GPU. Breaking where the answer is a sure no. What did not fit in the baseline is no finding; no
    driver at all is told by `machine-changed`.

    ## Why it matters
    It starts, and fails or computes on the processor when the first thing is asked of the GPU.

    ## Example
    tensorflow 2.9.0 on a node with driver 440.33.01: `CUDA driver version is insufficient for CUDA runtime version`.

    ## What to do
    A newer driver on the host, another node, or a build for an older CUDA release.

    ## When it is noise
    Where no GPU is to be used.
    """
    after = dict(_unfit(comparison.after, comparison.knowledge))
    before = dict(_unfit(comparison.before, comparison.knowledge)) if after else {}
    for program, why in after.items():
        if before.get(program) == why:
            continue
        name, environment = program
        yield finding(
            why.kind,
            f"{_NAMES[why.kind]} for {name}",
            "breaking",
            why.said,
            environment=environment,
            after=why.machine,
            suffers=(name,),
            expect=why.expect,
        )


class _Why(NamedTuple):
    """Why a program can't use the GPU of a machine."""

    kind: Literal["driver", "device"]
    """What of the machine does not serve it."""
    machine: str
    """Version of the driver, or names of the GPUs."""
    said: str
    expect: str


def _unfit(side: Snapshot, knowledge: Knowledge) -> Iterator[tuple[tuple[str, str | None], _Why]]:
    """Programs of a target that surely do not run on its own machine."""
    driver = side.machine.driver
    if side.subject.kind in IMAGES or not side.was_read("machine") or driver is None:
        return
    # Most comparisons ask of no machine, and need nothing of it.
    from reprocheck.fits.host import captured
    from reprocheck.fits.judge import TEXTS
    from reprocheck.fits.needs import compat, programs
    from reprocheck.fits.program import NO_DRIVER, Judgement, judge

    if driver.version == NO_DRIVER:
        return
    host = captured(side, side.header.target, knowledge)
    for need in programs(side, knowledge):
        told = judge(Judgement(need=need, host=host, knowledge=knowledge, compat=list(compat(side)), named=False))
        if told.answer in _NO:
            refusing = next(one for one in told.statements if one.holds is False)
            kind: Literal["driver", "device"] = "driver" if told.answer == "driver-too-old" else "device"
            machine = driver.version if kind == "driver" else ", ".join(one.name for one in side.machine.devices)
            what = f"the GPU with driver {machine}" if kind == "driver" else machine
            said = f"{need.name} {need.version} can't use {what}: {refusing.said}"
            yield (need.name, need.environment), _Why(kind, machine, said, TEXTS[told.answer].replace('"', ""))


RULES = (
    Rule(code="RC601", name="machine-changed", level="machine", check=machine_changed),
    Rule(code="RC602", name="machine-unfit", level="machine", check=machine_unfit),
)
