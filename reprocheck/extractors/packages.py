"""The packages of one environment: every copy on its search path, and which one Python takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from packaging.utils import canonicalize_name
from packaging.version import Version

from reprocheck.extractors.distributions import Distribution
from reprocheck.model.evidence import shown
from reprocheck.model.snapshot import Gap, Package


def packages(
    what: str,
    copies: Sequence[tuple[str, Distribution]],
    rooted: Callable[[str], str],
) -> tuple[tuple[Package, ...], list[Gap]]:
    """Every copy, by name and the one that is taken first; and what is not known of them.

    ``copies`` come in the order of the search path, each with its directory; ``rooted`` gives a directory its
    named root.
    """
    by_name: dict[str, list[tuple[str, Distribution]]] = {}
    for directory, one in copies:
        by_name.setdefault(canonicalize_name(one.name), []).append((directory, one))
    found: list[Package] = []
    gaps: list[Gap] = []
    for name, group in by_name.items():
        chosen = _chosen(group)
        shared = _same_directory(group)
        for directory, one in group:
            gaps.extend(_package_gaps(f"{what}.packages[{name}]", one))
            found.append(
                Package(
                    name=name,
                    display_name=one.name if one.name != name else None,
                    version=one.version,
                    location=rooted(directory),
                    active=one is chosen,
                    requires=one.requires if one.unread is None else None,
                    extras=one.extras,
                    requires_python=one.requires_python,
                    requested=one.requested,
                    installer=one.installer,
                    origin=one.origin,
                    editable=one.editable,
                    tags=one.tags,
                    build=one.build,
                    files=one.files,
                    problems=one.problems + shared.get(directory, ()),
                )
            )
    return tuple(sorted(found, key=lambda one: (one.name, not one.active, one.location, one.version))), gaps


def _package_gaps(what: str, one: Distribution) -> Iterator[Gap]:
    if one.unread is not None:
        yield Gap(what=f"{what}.requires", where=shown(one.metadata_path), reason=f"metadata: {one.unread}")
    if one.uncompared is not None:
        yield Gap(what=f"{what}.files", where=f"{shown(one.metadata_path)}/RECORD", reason=one.uncompared)
    if not one.version:
        yield Gap(what=f"{what}.version", where=shown(one.metadata_path), reason="nothing states its version")


def _chosen(group: Sequence[tuple[str, Distribution]]) -> Distribution:
    """The copy that Python takes: in the first directory on the path; there, as the order is arbitrary, the newest."""
    first = group[0][0]
    return max(
        (one for directory, one in group if directory == first),
        key=lambda one: (sortable(one.version), one.metadata_path),
    )


def sortable(version: str) -> tuple[bool, Version, str]:
    """What orders the versions of copies in one directory, of which the newest is taken."""
    try:
        return True, Version(version), version
    except ValueError:  # no version, or one of more digits than Python counts
        return False, Version("0"), version


def _same_directory(group: Sequence[tuple[str, Distribution]]) -> dict[str, tuple[str, ...]]:
    problems: dict[str, tuple[str, ...]] = {}
    for directory in dict.fromkeys(directory for directory, _ in group):
        versions = sorted(one.version for where, one in group if where == directory)
        if len(versions) > 1:
            problems[directory] = (f"{len(versions)} metadata directories side by side: {', '.join(versions)}",)
    return problems
