"""RC6xx: the machine, which is no part of any image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.rules.base import Comparison, Rule, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprocheck.model.report import Finding, Severity, SubjectKind

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


RULES = (Rule(code="RC601", name="machine-changed", level="machine", check=machine_changed),)
