"""Whether code that was built for some GPU targets runs on a compute capability.

The rules are those of the CUDA documentation ("Binary Compatibility", "PTX Compatibility", "Family-Specific
Architectures"): a binary for X.y runs on X.z where z >= y; one for a part of a system on a chip, or on one, on its own
alone; PTX for X.y is compiled on first use for any newer device; with an ``a`` it is for one device, with an ``f`` for
the family.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

from reprocheck.fits.numbers import Numbers

Kernels = Literal["binary", "ptx", "none"]

_TARGET = re.compile(r"(?P<kind>sm|compute|lto)_(?P<major>\d{1,2})(?P<minor>\d)(?P<only>[af]?)", re.ASCII)
_CAPABILITY = re.compile(r"(?P<major>\d{1,2})\.(?P<minor>\d)(?P<only>[af]?)(?P<ptx>\+PTX)?", re.ASCII)


class Target(NamedTuple):
    """One target of a build."""

    ptx: bool
    capability: Numbers
    only: str
    """``a``: that device alone, ``f``: its family; empty: neither."""
    text: str


class Served(NamedTuple):
    """How a device is served."""

    kernels: Kernels
    by: str
    """The target that serves it; empty: none."""


def targets(texts: Iterable[str]) -> list[Target]:
    """Read targets as compilers (``sm_80``, ``compute_80``) and builds of PyTorch (``8.0``, ``8.0+PTX``) write them.

    What is neither is left out: :func:`unread` tells it.
    """
    found = []
    for text in texts:
        if target := _TARGET.fullmatch(text):
            capability = int(target["major"]), int(target["minor"])
            # Code for the linker at run time is compiled for a device by the driver, as PTX is.
            found.append(Target(target["kind"] != "sm", capability, target["only"], text))
        elif target := _CAPABILITY.fullmatch(text):
            capability = int(target["major"]), int(target["minor"])
            found.append(Target(False, capability, target["only"], text.removesuffix("+PTX")))
            if target["ptx"]:
                found.append(Target(True, capability, target["only"], text))
    return found


def unread(texts: Iterable[str]) -> list[str]:
    """The targets that are not understood."""
    return [text for text in texts if not targets([text])]


def served(built_for: Iterable[Target], device: Numbers, tegra: Collection[Numbers]) -> Served:
    """How a device is served by a build: by a binary, else by PTX, else not at all."""
    ordered = sorted(built_for, key=lambda target: target.capability, reverse=True)
    for target in ordered:
        if not target.ptx and _binary_runs(target, device, tegra):
            return Served("binary", target.text)
    for target in ordered:
        if target.ptx and _ptx_runs(target, device):
            return Served("ptx", target.text)
    return Served("none", "")


def _binary_runs(target: Target, device: Numbers, tegra: Collection[Numbers]) -> bool:
    if target.capability == device:
        return True
    if target.only == "a" or device in tegra or target.capability in tegra:
        return False
    return target.capability[0] == device[0] and target.capability[1] <= device[1]


def _ptx_runs(target: Target, device: Numbers) -> bool:
    if target.only == "a":
        return target.capability == device
    if target.only == "f":
        return target.capability[0] == device[0] and target.capability[1] <= device[1]
    return target.capability <= device
