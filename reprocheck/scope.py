"""What a comparison looked at, and what it was not asked: for the reader of a clean report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reprocheck.integrity import edited
from reprocheck.model.report import LEVELS, Checked, Level, Pair
from reprocheck.model.snapshot import Environment, Files, Gap, Package, Snapshot
from reprocheck.verdict import classes

_NO_RECORD = "its files were compared with what was recorded of them on the other side; there is no such record here"


def checked(before: Snapshot, after: Snapshot, pairs: Sequence[Pair], level: Level) -> Checked:
    """Count what was compared at a level; packages are those of the first side."""
    left = {environment.id: environment for environment in before.environments}
    right = {environment.id: environment for environment in after.environments}
    paired = [(left[pair.before], right[pair.after]) for pair in pairs]
    read = [name for name in classes(level) if before.was_read(name) and after.was_read(name)]
    packages = [(_active(one), _active(two)) for one, two in paired]
    total = sum(len(one) for one, _ in packages)
    unchanged = sum(
        package.version == other.version and package.origin == other.origin and not edited(package.files, other.files)
        for one, two in packages
        for name, package in one.items()
        if (other := two.get(name)) is not None
    )
    return Checked(
        python=tuple(dict.fromkeys(two.python.version for _, two in paired if two.python)),
        python_packages=total,
        python_packages_unchanged=unchanged,
        conda_packages=sum(len(one.conda) for one, two in paired if one.conda is not None and two.conda is not None),
        os_packages=len(after.os_packages) if "os_packages" in read else 0,
        classes=tuple(read),
        not_asked=tuple(_not_asked(before, after, level)),
    )


def unasked_machine(before: Snapshot, after: Snapshot, asked: Level | None) -> Iterator[Gap]:
    """A gap for each side without machine facts, where somebody asked for a level that needs them.

    Nobody asks for them by asking nothing: an image has no machine.
    """
    if asked is not None and "machine" in classes(asked):
        for snapshot in (before, after):
            if not snapshot.was_read("machine"):
                reason = f"the level {asked} was asked for, and there are no facts of a machine; capture where it runs"
                yield Gap(what="machine", where=snapshot.header.target, reason=reason)


def unpaired(before: Snapshot, after: Snapshot, pairs: Sequence[Pair]) -> Iterator[Gap]:
    """A gap where both sides have environments and none of one was compared with any of the other."""
    if before.environments and after.environments and not pairs:
        sides = (", ".join(environment.id for environment in side.environments) for side in (before, after))
        reason = (
            "none could be paired, so none was compared; pair two by hand: "
            f"--env A=B (A of {next(sides)}; B of {next(sides)})"
        )
        yield Gap(what="environments", where=after.header.target, reason=reason)


def no_longer_compared(before: Snapshot, after: Snapshot, pairs: Sequence[Pair]) -> Iterator[Gap]:
    """A gap for each package whose files were compared with its record before, and are not now.

    Whoever edits a package can write INSTALLER and take RECORD away as well, and the edit would pass unseen. What was
    installed in another version by conda or the package manager of the system is another thing, with other files.
    """
    left = {environment.id: environment for environment in before.environments}
    right = {environment.id: environment for environment in after.environments}
    for pair in pairs:
        one, other = left[pair.before], right[pair.after]
        what = f"environments[{pair.after}]"
        packages = _active(one)
        for name, package in _active(other).items():
            if name in packages and _is_lost(packages[name].files, package.files):
                reason = f"its files were compared with RECORD on the other side, and can't be here: {_why(package)}"
                yield Gap(what=f"{what}.packages[{name}].files", where=after.header.target, reason=reason)
        installed = {(package.name, package.version, package.build): package.files for package in one.conda or ()}
        for its in other.conda or ():
            was = installed.get((its.name, its.version, its.build))
            if was and _is_lost(was, its.files):
                yield Gap(what=f"{what}.conda[{its.name}].files", where=after.header.target, reason=_NO_RECORD)
    of_system = {(package.name, package.version, package.architecture): package.files for package in before.os_packages}
    for own in after.os_packages:
        was = of_system.get((own.name, own.version, own.architecture))
        if was and _is_lost(was, own.files):
            yield Gap(what=f"os_packages[{own.name}].files", where=after.header.target, reason=_NO_RECORD)


def _is_lost(before: Files, after: Files) -> bool:
    return before.checked != "none" and after.checked == "none"


def _why(package: Package) -> str:
    if package.files.record_sha256 is None:
        return "there is no RECORD"
    if package.installer is None:
        return "INSTALLER names nobody, as for packages of the system, whose files were changed after RECORD was made"
    return f"INSTALLER names {package.installer}, which changes files after RECORD was made"


def _active(environment: Environment) -> dict[str, Package]:
    return {package.name: package for package in environment.packages if package.active}


def _not_asked(before: Snapshot, after: Snapshot, level: Level) -> list[str]:
    asked = LEVELS.index(level)
    remarks = []
    if asked < LEVELS.index("stack"):
        remarks.append("OS packages, CUDA libraries, settings and variables (--level stack)")
    if not (before.was_read("machine") and after.was_read("machine")):
        remarks.append("driver, GPU, CPU: facts of a machine, not of an image (--level machine on a container)")
    elif asked < LEVELS.index("machine"):
        remarks.append("driver, GPU, CPU (--level machine)")
    return remarks
