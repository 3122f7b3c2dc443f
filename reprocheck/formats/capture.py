"""The summary of a capture: what it is, what is in it, what could not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.formats.layout import Page
from reprocheck.formats.words import counted, how_it_was_read
from reprocheck.versions import FRAMEWORKS

if TYPE_CHECKING:
    from reprocheck.model.snapshot import Accelerator, Environment, Gap, Machine, Snapshot, System

_MOST = 4
"""Environments and gaps that are listed; the others are counted, so that the summary stays a summary."""

_INTERPRETERS = ("python", "host")
"""Kinds of target that are an interpreter which somebody named, whatever PATH says."""


def render(snapshot: Snapshot, *, width: int = 100, color: bool = False) -> str:
    """Lay out the summary of a snapshot, about ten lines."""
    page = Page(width=width, color=color)
    platform = f"  {snapshot.subject.platform}" if snapshot.subject.platform else ""
    page.line(("captured", "verified"), f"  {snapshot.header.target}{platform}")
    page.row("OS", _system(snapshot.system) or "not known")
    environments = sorted(snapshot.environments, key=lambda environment: not environment.on_path)
    for environment in environments[:_MOST]:
        page.row("Python", _environment(environment, snapshot.gaps, named=snapshot.subject.kind in _INTERPRETERS))
    if len(environments) > _MOST:
        page.row("", f"and {counted(len(environments) - _MOST, 'more environment')}")
    if not environments:
        page.row("Python", "no environment found")
    found = {
        f"{package.name} {package.version}"
        for environment in snapshot.environments
        for package in environment.packages
        if package.active and package.name in FRAMEWORKS
    }
    page.row("frameworks", ", ".join(sorted(found)) or "none found")
    _accelerator(page, snapshot.accelerator)
    page.row("OS packages", _os_packages(snapshot))
    machine = _machine(snapshot.machine)
    if machine:
        page.row("machine", machine)
    for number, gap in enumerate(snapshot.gaps[:_MOST]):
        page.row("" if number else "gaps", f"{gap.what}  {gap.where}: {gap.reason}")
    if len(snapshot.gaps) > _MOST:
        page.row("", f"and {counted(len(snapshot.gaps) - _MOST, 'more gap')} (-o FILE keeps all)")
    if not snapshot.gaps:
        page.row("gaps", "none")
    page.aside(how_it_was_read(snapshot.header))
    return page.render()


def _system(system: System) -> str:
    parts = [
        system.os.pretty_name if system.os else "",
        system.architecture or "",
        f"{system.libc.name} {system.libc.version}" if system.libc else "",
    ]
    return " · ".join(part for part in parts if part)


def _environment(environment: Environment, gaps: tuple[Gap, ...], *, named: bool) -> str:
    # Conda manages environments without a Python; where one could not be read, a gap says so.
    unknown = any(gap.what.startswith(f"environments[{environment.id}].python") for gap in gaps)
    version = environment.python.version if environment.python else "of unknown version" if unknown else "none"
    on_path = (", named" if named else ", on PATH") if environment.on_path else ""
    active = sum(package.active for package in environment.packages)
    words = f"{version}  {environment.id} ({environment.kind}{on_path}): {counted(active, 'package')}"
    if environment.conda:
        words += f", {counted(len(environment.conda), 'conda package')}"
    shadowed = len(environment.packages) - active
    if shadowed:
        words += f", {counted(shadowed, 'shadowed copy', 'shadowed copies')}"
    run_at_start = sum(file.executable for file in environment.pth)
    if run_at_start:
        words += f", {counted(run_at_start, '.pth file')} that {'runs' if run_at_start == 1 else 'run'} code"
    return words


def _accelerator(page: Page, accelerator: Accelerator) -> None:
    """Each component with its versions, and how many copies where there are several; then what is missing."""
    copies: dict[str, list[str]] = {}
    for one in accelerator.cuda:
        copies.setdefault(one.component, []).append(one.version or "of unknown version")
    parts = []
    for component, versions in sorted(copies.items()):
        several = f" ({len(versions)} copies)" if len(versions) > 1 else ""
        parts.append(f"{component} {' and '.join(sorted(set(versions)))}{several}")
    if parts:
        page.row("CUDA", " · ".join(parts))
    missing: dict[str, list[str]] = {}
    for lacking in accelerator.missing:
        missing.setdefault(lacking.owner, []).append(lacking.library)
    for owner, libraries in list(missing.items())[:_MOST]:
        who = "files of no package" if owner == "none" else owner.removeprefix("python:")
        page.row("missing", f"{', '.join(libraries)}: for {who}")
    if len(missing) > _MOST:
        page.row("", f"and libraries for {len(missing) - _MOST} more")


def _os_packages(snapshot: Snapshot) -> str:
    coverage = snapshot.coverage.get("os_packages")
    state = coverage.state if coverage else "not-read"
    if state in {"not-read", "not-applicable"}:
        return state.replace("-", " ")
    managers = sorted({package.manager for package in snapshot.os_packages})
    counts = [
        f"{sum(package.manager == manager for package in snapshot.os_packages):,} {manager}" for manager in managers
    ]
    return " · ".join(counts) or "none"


def _machine(machine: Machine) -> str:
    parts = [
        f"kernel {machine.kernel}" if machine.kernel else "",
        machine.cpu.model if machine.cpu else "",
        f"driver {machine.driver.version}" if machine.driver else "",
        ", ".join(device.name for device in machine.devices),
    ]
    return " · ".join(part for part in parts if part)
