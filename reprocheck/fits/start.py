"""The start of a container: the image's own requirements, as the container runtime checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reprocheck.fits.drivers import reported_cuda
from reprocheck.fits.numbers import parse
from reprocheck.fits.requirements import INVALID, Outcome, Properties, disabled, evaluate, requirements
from reprocheck.model.fits import Expectation, FitsDevice, FitsHost, Statement
from reprocheck.model.snapshot import Gap

if TYPE_CHECKING:
    from reprocheck.knowledge import Knowledge
    from reprocheck.model.snapshot import Snapshot

_OLD_BRANDS = frozenset({"quadro", "tesla", "nvs", "grid", "geforce", "titan"})
_LAST_WITH_OLD_BRANDS = 450
"""Newer drivers tell more brands apart (``nvmlBrandType_t`` in the NVML bindings 11.450.51 and 11.460.79)."""
_MOST = 160
"""Characters of a requirement that a sentence quotes."""


class Start(NamedTuple):
    """What comes of the start."""

    statements: tuple[Statement, ...]
    expect: tuple[Expectation, ...]
    gaps: tuple[Gap, ...]


def start(snapshot: Snapshot, host: FitsHost, knowledge: Knowledge) -> Start:
    """Evaluate the requirements of an image on a host."""
    where, coverage = snapshot.header.target, snapshot.coverage.get("variables")
    gaps = []
    if host.driver is not None and (coverage is None or coverage.state in {"not-read", "partial"}):
        gaps.append(Gap(what="variables", where=where, reason="whether it has requirements of its own was not read"))
    if disabled(snapshot.variables):
        said = "the image asks not to be checked at start (NVIDIA_DISABLE_REQUIRE)"
        return Start((Statement(about="require", holds=None, said=said),), (), tuple(gaps))
    statements, expect = [], []
    for name, value in requirements(snapshot.variables):
        if value is None:
            gaps.append(Gap(what=f"variables[{name}]", where=where, reason="its value is not known"))
            continue
        outcome = _for_any(value, host, knowledge)
        said, reason = _said(outcome, value, host)
        statements.append(Statement(about="require", holds=outcome.holds, said=f"{name} {said}"))
        if reason is not None:
            gaps.append(Gap(what=f"variables[{name}]", where=where, reason=reason))
        if outcome.error is not None and host.driver is not None:
            expect.append(_expected(outcome, outcome.error))
    if expect:
        expect.append(Expectation(where="Docker in CDI mode, Apptainer", text="no such check is made"))
    return Start(tuple(statements), tuple(expect), tuple(gaps))


def _for_any(requirement: str, host: FitsHost, knowledge: Knowledge) -> Outcome:
    """One device that meets it is enough: the others can be left out of the container."""
    devices = host.devices or (FitsDevice(),)
    outcomes = [evaluate(requirement, _properties(device, host, knowledge)) for device in devices]
    return max(outcomes, key=lambda outcome: {True: 2, None: 1, False: 0}[outcome.holds])


def _properties(device: FitsDevice, host: FitsHost, knowledge: Knowledge) -> Properties:
    driver = None if host.driver is None else parse(host.driver)
    brands = frozenset(device.brands)
    if driver is not None and driver[0] <= _LAST_WITH_OLD_BRANDS:
        brands &= _OLD_BRANDS
    return Properties(
        cuda=None if driver is None else reported_cuda(driver, knowledge),
        driver=None if driver is None else host.driver,
        arch=device.compute_capability,
        brands=brands,
    )


def _said(outcome: Outcome, requirement: str, host: FitsHost) -> tuple[str, str | None]:
    """What is said of a requirement, and why it can't be told if that leaves a gap."""
    if outcome.holds:
        return "is met", None
    shown = requirement if len(requirement) <= _MOST else f"{requirement[:_MOST]}…"
    if outcome.holds is False:
        return f'is not met: "{shown}"', None
    if outcome.error == INVALID:
        reason = f'is no requirement that the container runtime understands: "{shown}"'
        return reason, reason
    if host.driver is None:
        return f'hangs on the driver: "{shown}"', None
    missing = "which GPU it is" if host.devices is None else "what the driver says of this GPU"
    reason = f'hangs on {missing}: "{shown}"'
    return reason, reason


def _expected(outcome: Outcome, error: str) -> Expectation:
    sure = "is" if outcome.holds is False or error == INVALID else "may be"
    text = f'it {sure} refused at start: "nvidia-container-cli: requirement error: {error[:_MOST]}"'
    return Expectation(where="Docker", text=text)
