"""What may be locked as a baseline."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from reprocheck.errors import TargetError
from reprocheck.graph import build
from reprocheck.integrity import words
from reprocheck.knowledge import load
from reprocheck.model import factpath
from reprocheck.model.snapshot import CondaPackage, Gap, Package, Snapshot
from reprocheck.rules.breaks import standing
from reprocheck.verdict import CLASS_LEVELS, classes, default_level


def lock(
    snapshot: Snapshot, *, note: str | None, allowed_gaps: frozenset[str], force: bool
) -> tuple[Snapshot, list[str]]:
    """The snapshot as a baseline, and warnings.

    Raises:
        TargetError: it has gaps in a default class that are not allowed, known breaks or violated requirements.
    """
    blocking = [gap for gap in _default_gaps(snapshot) if _class(gap) not in allowed_gaps]
    if blocking:
        first = blocking[0]
        more = f" and {len(blocking) - 1} more" if len(blocking) > 1 else ""
        raise TargetError(
            f"{snapshot.header.target}: not locked: {first.what} is unknown ({first.where}: {first.reason}){more}; "
            f"mend it, or lock with {' '.join(f'--allow-gaps {name}' for name in sorted({*map(_class, blocking)}))}"
        )
    violations = [*_breaks(snapshot), *_violations(snapshot)]
    if violations and not force:
        more = f" and {len(violations) - 1} more" if len(violations) > 1 else ""
        raise TargetError(
            f"{snapshot.header.target}: not locked: {violations[0]}{more}; mend it, or lock it as it is with --force"
        )
    header = msgspec.structs.replace(snapshot.header, note=note)
    return msgspec.structs.replace(snapshot, header=header), [
        *violations,
        *_unjudged(snapshot),
        *_edited(snapshot),
        *_mutable_tag(snapshot),
    ]


def _default_gaps(snapshot: Snapshot) -> Iterator[Gap]:
    names = classes(default_level(snapshot, snapshot))
    return (gap for gap in snapshot.gaps if _class(gap) in names or _class(gap) not in CLASS_LEVELS)


def _class(gap: Gap) -> str:
    return "".join(factpath.keys(gap.what)[:1])


def _breaks(snapshot: Snapshot) -> Iterator[str]:
    knowledge = load()
    for environment in snapshot.environments:
        for broken in standing(environment, knowledge):
            yield f"{environment.id}: {broken}"


def _violations(snapshot: Snapshot) -> Iterator[str]:
    for environment in snapshot.environments:
        graph = build(environment)
        versions = {package.name: package.version for package in environment.packages if package.active}
        for edge in (*graph.violated(), *graph.missing()):
            has = f"{edge.to} {edge.installed}" if edge.installed else f"no {edge.to}"
            yield f"{environment.id}: {edge.by} {versions[edge.by]} requires {edge.text}, and there is {has}"


def _edited(snapshot: Snapshot) -> Iterator[str]:
    for environment in snapshot.environments:
        installed: list[Package | CondaPackage] = [one for one in environment.packages if one.active]
        for package in (*installed, *(environment.conda or ())):
            if said := words(package.files):
                yield f"{environment.id}: {package.name} {package.version} was edited since it was installed: {said}"
    for one in snapshot.os_packages:
        if said := words(one.files):
            yield f"{one.name} {one.version} was edited since it was installed: {said}"


def _unjudged(snapshot: Snapshot) -> Iterator[str]:
    for environment in snapshot.environments:
        for item in build(environment).unclear():
            yield f"{environment.id}: {item.by} requires {item.requirement}, which can't be judged: {item.reason}"


def _mutable_tag(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.subject.kind == "image" and not re.search(r"(?:^|@)sha256:|^[0-9a-f]{12,64}$", snapshot.subject.name):
        yield (
            f"{snapshot.subject.name} is a tag, and a tag can move; this baseline holds image "
            f"{(snapshot.provenance.image_id or '')[:19]}"
        )
