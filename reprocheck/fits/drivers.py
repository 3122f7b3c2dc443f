"""Whether a driver serves a CUDA release: by itself, by minor-version compatibility, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from reprocheck.fits.numbers import Numbers, at_least, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reprocheck.knowledge import Knowledge
    from reprocheck.knowledge.rows import CudaRelease

Way = Literal["itself", "minor-version", "too-old", "unknown"]

_FIRST_WITH_MINOR_VERSIONS = 11
"""CUDA 11 is the first major release with minor-version compatibility (CUDA Compatibility guide)."""


class DriverNeed(NamedTuple):
    """What a CUDA release needs."""

    own: str | None
    """Lowest driver that serves it by itself; ``None``: not known."""
    lowest: str | None
    """Lowest driver that serves it at all; ``None``: not known."""


def need(cuda: Numbers, knowledge: Knowledge) -> DriverNeed:
    """What a CUDA release needs: of the first release of its minor version, whose updates need no more.

    Of a minor version that is not known (``12`` alone, or one that is newer than what is known) the major version
    tells the lowest driver.
    """
    rows = [(row, parse(row.cuda) or ()) for row in knowledge.cuda_releases]
    exact = [row for row, number in rows if number == cuda]
    major = [row for row, number in rows if number[:1] == cuda[:1]]
    if exact:
        first = _lowest([row.toolkit_driver_linux for row in exact])
        return DriverNeed(first, _lowest([first, *_minor(exact)]))
    if not major or cuda[0] < _FIRST_WITH_MINOR_VERSIONS:
        return DriverNeed(None, None)
    # A release that no driver table names (12.7) is served by whatever serves the next one.
    later = [row.toolkit_driver_linux for row, number in rows if number[: len(cuda)] > cuda]
    own = _lowest(later) if later else None
    return DriverNeed(own, _lowest(_minor(major)))


def _minor(rows: Sequence[CudaRelease]) -> list[str]:
    return [row.minor_compat_linux for row in rows if row.minor_compat_applies]


def _lowest(versions: Sequence[str]) -> str:
    return min(versions, key=lambda version: parse(version) or ())


def way(driver: Numbers, cuda: Numbers, knowledge: Knowledge) -> Way:
    """How a driver serves a CUDA release. Drivers serve every older release (CUDA Compatibility guide)."""
    needed = need(cuda, knowledge)
    own, lowest = (None if one is None else parse(one) for one in needed)
    if own is None and lowest is None:
        oldest = min(parse(row.cuda) or () for row in knowledge.cuda_releases)
        served = _lowest([row.toolkit_driver_linux for row in knowledge.cuda_releases])
        return "itself" if cuda < oldest and at_least(driver, parse(served) or ()) else "unknown"
    itself = at_least(driver, own) if own is not None else False
    if itself:
        return "itself"
    enough = at_least(driver, lowest) if lowest is not None else False
    if itself is None:
        return "unknown" if not enough else "minor-version"
    if enough is False:
        # A driver from before the release, of the branch that came with it, may serve it all the same.
        reported = parse(reported_cuda(driver, knowledge) or "")
        return "unknown" if reported is not None and reported >= cuda else "too-old"
    return "minor-version" if enough else "unknown"


def reported_cuda(driver: Numbers, knowledge: Knowledge) -> str | None:
    """The CUDA version that a driver reports; ``None``: it is not known, or differs within the branch.

    Between two known branches it is that of the lower one: Windows, and so WSL, has numbers of its own (537 is of 535).
    """
    rows = sorted(knowledge.driver_branches, key=lambda row: row.branch)
    if driver[0] > rows[-1].branch:
        return None
    return next((row.reports_cuda for row in reversed(rows) if row.branch <= driver[0]), None)
