"""What an image is to run on: this host, one whose facts were saved, or a driver and a GPU that somebody named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.errors import UsageError
from reprocheck.fits.devices import named, observed
from reprocheck.fits.numbers import parse
from reprocheck.model.fits import FitsDevice, FitsHost
from reprocheck.model.snapshot import IMAGES
from reprocheck.model.text import printable

if TYPE_CHECKING:
    from reprocheck.knowledge import Knowledge
    from reprocheck.model.snapshot import Snapshot


def described(driver: str | None, gpu: str | None, knowledge: Knowledge) -> FitsHost:
    """A host by what of it was named on the command line; what was not named is not asked.

    Raises:
        UsageError: the driver's version is none, the GPU is unknown, or its name means several.
    """
    if driver is not None and parse(driver) is None:
        raise UsageError(f"--driver {printable(driver)[:80]}: is no version of a driver; write it as in 470.82.01")
    return FitsHost(name="as named", driver=driver, devices=None if gpu is None else (named(gpu, knowledge),))


def captured(snapshot: Snapshot, name: str, knowledge: Knowledge) -> FitsHost:
    """A host by its facts.

    Raises:
        UsageError: they are of an image, which is of no machine, or the machine was not read.
    """
    if snapshot.subject.kind in IMAGES:
        raise UsageError(f"{name}: is of an image, which has no driver and no GPU; capture host: on the host itself")
    if not snapshot.was_read("machine") or snapshot.machine.driver is None:
        raise UsageError(f"{name}: says nothing of driver and GPU; capture host: on the host itself")
    devices: tuple[FitsDevice, ...] = tuple(observed(one, knowledge) for one in snapshot.machine.devices)
    return FitsHost(
        name=name,
        driver=snapshot.machine.driver.version,
        devices=devices,
        architecture=snapshot.system.architecture,
    )


def amended(host: FitsHost, other: FitsHost) -> FitsHost:
    """A host with what was named beside its facts in their place."""
    return FitsHost(
        name=host.name,
        driver=host.driver if other.driver is None else other.driver,
        devices=host.devices if other.devices is None else other.devices,
        architecture=host.architecture,
    )
