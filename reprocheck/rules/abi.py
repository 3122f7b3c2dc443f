"""RC21x: wheels that were built for something else than what they lie on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reprocheck.model.report import SEVERITIES, Fix
from reprocheck.model.text import printable
from reprocheck.rules.base import Comparison, EnvironmentPair, Rule, finding
from reprocheck.rules.repair import reinstall, restore
from reprocheck.rules.requirers import listed, requirers
from reprocheck.versions import FRAMEWORKS
from reprocheck.wheel_tags import Misfit, misfit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reprocheck.model.report import Finding, Severity, SubjectKind
    from reprocheck.model.snapshot import Environment, Package, Snapshot
    from reprocheck.wheel_tags import Kind

_MACHINE: frozenset[Kind] = frozenset({"interpreter", "machine"})
_LIBC: frozenset[Kind] = frozenset({"older libc", "other libc"})
_MULTIARCH = frozenset({"debian", "ubuntu"})
"""Whose C library stands in a directory named after the machine (os-release, ``ID``)."""


def wheel_unfit(comparison: Comparison) -> Iterator[Finding]:
    """A package was built for another interpreter or another machine.

    ## What it checks
    The tags of each wheel (the file WHEEL) against the interpreter's version, ABI flags and implementation, and
    the platform part against operating system and processor. A wheel with one tag that fits is fine; so is pure
    Python (`any`), the stable ABI (`abi3`) of an older version, and what was compiled on the spot
    (`linux_x86_64`). What the baseline had just so is not new. Packages that did not change and no longer fit are
    one finding; where Python's minor version changed, `python-minor-changed` names them.

    ## Why it matters
    Python looks for extension modules under names with its own ABI in them: of another one's it sees nothing.

    ## Example
    `numpy 1.23.5` of `cp38-cp38` below `PYTHONPATH`, and Python 3.9: `ModuleNotFoundError: No module named
    'numpy.core._multiarray_umath'`.

    ## What to do
    Install the package with the interpreter that shall use it, on the platform on which it runs; don't copy
    site-packages from one to the other.

    ## When it is noise
    When a package with an optional extension module falls back to Python code.
    """
    for pair in comparison.pairs:
        changed, others = _unfit(comparison, pair, _MACHINE)
        for one in changed:
            yield _package(comparison, pair, one)
        others = [one for one in others if one.misfit.kind != "interpreter" or not _is_other_minor(pair)]
        if others:
            sides = (_both(comparison.before, pair.before), _both(comparison.after, pair.after))
            yield _together(comparison, pair, others, ("python", "python"), sides)


def libc_unfit(comparison: Comparison) -> Iterator[Finding]:
    """A package was built for a newer C library, or for another one.

    ## What it checks
    The platform tags of each wheel: `manylinux_2_28` is for glibc from 2.28 on (`manylinux1`, `2010` and `2014`: 2.5,
    2.12 and 2.17), `musllinux_1_2` for musl. A wheel for another library is breaking, one for a newer version
    major: how much of it is used can't be told from the tag. As in `wheel-unfit`, one tag that fits is enough, and
    what the baseline had just so is not new.

    ## Why it matters
    pip does not install such a wheel; a copied directory, and a base image that was exchanged below it, do not ask.

    ## Example
    A wheel of `manylinux_2_34` on glibc 2.31: its import fails with `version 'GLIBC_2.34' not found`, or with
    `version 'GLIBCXX_3.4.29' not found` of the C++ library of the same age.

    ## What to do
    Build on the baseline's base image, or install the package again on the one that is there.

    ## When it is noise
    When the wheel was built on a new system and uses nothing new of it; or on Alpine, with `gcompat`.
    """
    for pair in comparison.pairs:
        changed, others = _unfit(comparison, pair, _LIBC)
        for one in changed:
            yield _package(comparison, pair, one)
        if others:
            sides = (_libc(comparison.before), _libc(comparison.after))
            yield _together(comparison, pair, others, ("os", "libc"), sides)


class _Unfit(NamedTuple):
    package: Package
    misfit: Misfit


def _unfit(comparison: Comparison, pair: EnvironmentPair, kinds: frozenset[Kind]) -> tuple[list[_Unfit], list[_Unfit]]:
    """Packages that do not fit now: those that changed, and those that did not, and fitted before."""
    changed: list[_Unfit] = []
    others: list[_Unfit] = []
    sides = (comparison.before, pair.before), (comparison.after, pair.after)
    if all(one == other for one, other in zip(*map(_what_decides, sides), strict=True)):
        return changed, others
    before = {package.name: package for package in pair.before.packages if package.active}
    for package in pair.after.packages:
        found = _misfit(package, *sides[1], kinds) if package.active else None
        if found is None:
            continue
        was, name = before.get(package.name), package.name
        if was is not None and _misfit(was, *sides[0], kinds) is not None:
            continue
        if name in pair.news or not {"tags", "build"}.isdisjoint(pair.changed.get(name, ())):
            changed.append(_Unfit(package, found))
        elif was is not None and _tells(comparison.before, pair.before, kinds):
            others.append(_Unfit(package, found))
    return changed, others


def _what_decides(side: tuple[Snapshot, Environment]) -> tuple[object, ...]:
    snapshot, environment = side
    return environment.packages, environment.python, snapshot.system.libc, snapshot.system.architecture


def _misfit(package: Package, snapshot: Snapshot, environment: Environment, kinds: frozenset[Kind]) -> Misfit | None:
    if environment.python is None or not package.tags:
        return None
    found = misfit(package.tags, environment.python, snapshot.system)
    return found if found is not None and found.kind in kinds else None


def _tells(snapshot: Snapshot, environment: Environment, kinds: frozenset[Kind]) -> bool:
    """Whether a side knows what it would take to say that a wheel did not fit there."""
    return snapshot.system.libc is not None if kinds == _LIBC else environment.python is not None


def _package(comparison: Comparison, pair: EnvironmentPair, unfit: _Unfit) -> Finding:
    package = unfit.package
    before = pair.graph_before.packages.get(package.name)
    same = before is not None and before.version == package.version
    return finding(
        "python-package",
        package.name,
        _severity(unfit.misfit),
        f"{package.name} {package.version} is a wheel for {_built_for(unfit.misfit)}, and this is "
        f"{_here(unfit.misfit, comparison, pair)}",
        environment=pair.after.id,
        before=before.version if before is not None else None,
        after=package.version,
        evidence=(_tags(package),),
        required_by=requirers(pair.graph_after.requirers_of(package.name)),
        expect=_expect(unfit.misfit, comparison.after),
        fix=reinstall(pair, package.name) if same else restore(pair, package.name),
    )


def _together(
    comparison: Comparison,
    pair: EnvironmentPair,
    unfit: Sequence[_Unfit],
    subject: tuple[SubjectKind, str],
    sides: tuple[str | None, str | None],
) -> Finding:
    worst = min((one.misfit for one in unfit), key=lambda one: SEVERITIES.index(_severity(one)))
    names = tuple(one.package.name for one in unfit)
    frameworks = ", ".join(name for name in names if name in FRAMEWORKS)
    first = unfit[0].package
    many = f"{len(names)} packages are wheels" if len(names) > 1 else f"{first.name} {first.version} is a wheel"
    return finding(
        *subject,
        _severity(worst),
        f"{many} for {_built_for(worst)}, and this is {_here(worst, comparison, pair)} now"
        + (f": {listed(names)}" if len(names) > 1 else ""),
        environment=pair.after.id,
        before=sides[0],
        after=sides[1],
        details={"frameworks": frameworks} if frameworks else {},
        evidence=tuple(_tags(one.package) for one in unfit),
        suffers=names,
        expect=_expect(worst, comparison.after),
        fix=Fix(summary=f"install them again here, or build on what the baseline has: {sides[0]}"),
    )


def _severity(misfit: Misfit) -> Severity:
    return "major" if misfit.kind == "older libc" else "breaking"


def _built_for(misfit: Misfit) -> str:
    return printable(f"{misfit.built_for} or newer" if misfit.kind == "older libc" else misfit.built_for)


def _here(misfit: Misfit, comparison: Comparison, pair: EnvironmentPair) -> str | None:
    match misfit.kind:
        case "interpreter":
            return _python(pair.after)
        case "machine":
            return _machine(comparison.after, pair.after)
        case _:
            return _libc(comparison.after)


def _is_other_minor(pair: EnvironmentPair) -> bool:
    minors = [one.python.version.split(".")[:2] for one in (pair.before, pair.after) if one.python is not None]
    return any(minor != minors[0] for minor in minors)


def _both(snapshot: Snapshot, environment: Environment) -> str:
    return f"{_python(environment)} on {_machine(snapshot, environment)}"


def _python(environment: Environment) -> str:
    python = environment.python
    return "another Python" if python is None else printable(f"Python {python.version} ({python.abi})")


def _machine(snapshot: Snapshot, environment: Environment) -> str:
    markers = environment.python.markers if environment.python is not None else {}
    words = markers.get("platform_system"), markers.get("platform_machine") or snapshot.system.architecture
    return printable(" ".join(filter(None, words)))


def _libc(snapshot: Snapshot) -> str | None:
    libc = snapshot.system.libc
    return None if libc is None else f"{libc.name} {libc.version}".rstrip()


def _tags(package: Package) -> str:
    return printable(f"{package.name} {package.version}: {', '.join(package.tags)}")


def _expect(misfit: Misfit, after: Snapshot) -> str | None:
    """What the dynamic linker says; which of the new symbols it misses first can't be told."""
    if misfit.kind != "older libc" or not misfit.built_for.startswith("glibc"):
        return None
    multiarch = after.system.os is not None and after.system.os.id in _MULTIARCH and after.system.architecture
    directory = f"/lib/{multiarch}-linux-gnu" if multiarch else "/lib64"
    floor = ".".join(map(str, misfit.floor))
    return f"ImportError: {directory}/libc.so.6: version `GLIBC_{floor}' not found, or GLIBCXX_… of libstdc++.so.6"


RULES = (
    Rule(code="RC211", name="wheel-unfit", level="packages", check=wheel_unfit, frameworks_count_earlier=True),
    Rule(code="RC212", name="libc-unfit", level="packages", check=libc_unfit, frameworks_count_earlier=True),
)
