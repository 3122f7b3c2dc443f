"""Two snapshots in, their differences out. Knows no ecosystem and judges nothing.

deepdiff does the structural work, on keyed mappings only, so that the order of a list never matters.
What one side did not read, or could not, is no difference.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from reprocheck.errors import UsageError
from reprocheck.model import factpath
from reprocheck.model.change import Change
from reprocheck.model.report import Pair
from reprocheck.model.snapshot import FACT_CLASSES, ONE_ENVIRONMENT, Gap, Note

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from reprocheck.model.snapshot import (
        Accelerator,
        CondaPackage,
        CudaLibrary,
        Environment,
        FactClass,
        Image,
        Machine,
        OsPackage,
        Package,
        Snapshot,
        System,
    )

_Facts = dict[str, Any]
_MINOR_IN_PATH = re.compile(r"(?<=/python)\d+\.\d+(?=/|$)")
_ITEM = 4
"""Length of the path of one item: ``environments``, id, ``packages``, name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairing:
    """Which environment is compared with which."""

    pairs: tuple[Pair, ...]
    """Sorted by the id on the ``before`` side."""
    before_only: tuple[str, ...]
    after_only: tuple[str, ...]


def pair_environments(before: Snapshot, after: Snapshot, by_hand: Mapping[str, str]) -> Pairing:
    """Pair the environments of two snapshots, each used once.

    In this order: by hand; both on PATH, or named as an interpreter; the same id; the same kind and Python
    minor version, where that is unique; a lone one on each side. What is on PATH on one side stands for nothing
    where the other side could not have seen it. Raises :class:`UsageError` for an id that does not exist.
    """
    left = {environment.id: environment for environment in before.environments}
    right = {environment.id: environment for environment in after.environments}
    pairs: list[Pair] = []

    def take(one: str, other: str, rule: str) -> None:
        pairs.append(Pair(before=one, after=other, rule=rule))
        del left[one], right[other]

    for one, other in by_hand.items():
        _refuse_unknown(one, left, before, "first")
        _refuse_unknown(other, right, after, "second")
        take(one, other, "--env")
    one_on_path = [name for name, environment in left.items() if environment.on_path]
    other_on_path = [name for name, environment in right.items() if environment.on_path]
    if one_on_path and other_on_path:
        one, other = one_on_path[0], other_on_path[0]
        if {before.subject.kind, after.subject.kind} & ONE_ENVIRONMENT:
            take(one, other, "named")
        elif after.hides(left[one]) is None and before.hides(right[other]) is None:
            take(one, other, "on PATH")
    for name in [name for name in left if name in right]:
        take(name, name, "same id")
    lefts, rights = Counter(map(_likeness, left.values())), Counter(map(_likeness, right.values()))
    for one, environment in list(left.items()):
        likeness = _likeness(environment)
        if likeness is not None and lefts[likeness] == rights[likeness] == 1:
            other = next(name for name, candidate in right.items() if _likeness(candidate) == likeness)
            take(one, other, "same kind and Python")
    if len(left) == len(right) == 1:
        take(next(iter(left)), next(iter(right)), "lone")
    return Pairing(
        pairs=tuple(sorted(pairs, key=lambda pair: pair.before)),
        before_only=tuple(sorted(left)),
        after_only=tuple(sorted(right)),
    )


def changes(before: Snapshot, after: Snapshot, pairing: Pairing) -> tuple[Change, ...]:
    """Give every difference between two snapshots, sorted by path.

    Environments stand under the id that they have on the ``before`` side. A package, variable, OS package
    … that only one side has is one change with all its facts as the value. Prefix, executable and location
    are not compared.
    """
    found: list[Change] = []
    one = _facts(before, after, {pair.before: pair.before for pair in pairing.pairs})
    other = _facts(after, before, {pair.after: pair.before for pair in pairing.pairs})
    left, right = _unequal(one, other)
    if left or right:
        found.extend(_structural(left, right))
    found.extend(_unpaired(before, after, pairing))
    gaps = [*_gap_paths(before, pairing.pairs, "before"), *_gap_paths(after, pairing.pairs, "after")]
    # What an older extractor lacks it may not have looked for: as behind a gap in the whole class.
    gaps += [((name,), "before") for name in FACT_CLASSES if before.reads_less(after, name)]
    gaps += [((name,), "after") for name in FACT_CLASSES if after.reads_less(before, name)]
    known = (change for change in found if not _is_unknown(change) and not _is_behind_gap(change, gaps))
    return tuple(sorted(known, key=lambda change: (change.path, change.kind)))


def one_sided(before: Snapshot, after: Snapshot, classes: Iterable[FactClass]) -> tuple[Note, ...]:
    """Note what one side alone looked for: fact classes (a gap says so itself), facts in them, environments."""
    notes = []
    for name in classes:
        reads = (before.was_read(name), after.was_read(name))
        for snapshot, read in zip((before, after), reads, strict=True):
            if not read and any(reads) and all(gap.what != name for gap in snapshot.gaps):
                reason = "nothing is known of it on this side, so it was not compared"
                notes.append(Note(what=name, where=snapshot.header.target, reason=reason))
        for snapshot, other in ((before, after), (after, before)):
            if snapshot.reads_less(other, name):
                reason = "an older reprocheck looked for less on this side; what is absent here was not compared"
                notes.append(Note(what=name, where=snapshot.header.target, reason=reason))
    if "environments" in classes:
        notes += _uncompared(before, after)
        for snapshot, fuller in ((before, after), (after, before)):
            if snapshot.subject.kind in ONE_ENVIRONMENT and len(fuller.environments) > 1:
                reason = "one environment; others were not looked for there"
                notes.append(Note(what="environments", where=snapshot.header.target, reason=reason))
    return tuple(notes)


def out_of_sight(before: Snapshot, after: Snapshot, pairs: Iterable[Pair]) -> Iterator[Gap]:
    """A gap for what one side has, and would lie where nobody could look on the other.

    That is each unpaired environment, and each CUDA library of none.
    """
    paired = [(pair.before, pair.after) for pair in pairs]
    for found, side, known, whose in (
        (before, after, {one for one, _ in paired}, ""),
        (after, before, {other for _, other in paired}, f"{before.header.target}: "),
    ):
        told = {gap.what for gap in side.gaps}
        for environment in sorted(found.environments, key=lambda one: one.id):
            what, hidden = f"environments[{environment.id}]", side.hides(environment)
            if environment.id in known or hidden is None or what in told or side.subject.kind in ONE_ENVIRONMENT:
                continue
            reason = f"{hidden[1]}, so it is not known whether this environment is there"
            yield Gap(what=what, where=whose + hidden[0], reason=reason)
        unseen = _unseen_libraries(found, side) if side.was_read("accelerator") else {}
        for library, (place, why) in unseen.items():
            reason = f"{why}, so it is not known whether {library.component} ({library.path}) is there"
            yield Gap(what="accelerator.cuda", where=whose + place, reason=reason)


def _uncompared(before: Snapshot, after: Snapshot) -> Iterator[Note]:
    """Note that the first side did not look; of the second side that is a gap (:func:`scope.no_longer_compared`)."""
    looked, looked_after = (
        any(package.files.checked != "none" for one in side.environments for package in one.packages)
        for side in (before, after)
    )
    recorded = any(package.files.record_sha256 for one in before.environments for package in one.packages)
    if recorded and looked_after and not looked:
        reason = "files were not compared with RECORD on this side, so edits of them are no change"
        yield Note(what="environments", where=before.header.target, reason=reason)


def _refuse_unknown(name: str, left: Mapping[str, Environment], side: Snapshot, which: str) -> None:
    if name in left:
        return
    ids = [environment.id for environment in side.environments]
    there = ", ".join(ids) or "none"
    what = "is given twice" if name in ids else f"is no environment of the {which} side"
    message = f"--env: {name} {what}; there: {there}"
    raise UsageError(message)


def _likeness(environment: Environment) -> tuple[str, str] | None:
    if environment.python is None:
        return None
    return environment.kind, _minor(environment.python.version)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


# The compared mappings. None is "not known"; a fact that can rightly be absent is an empty text.


def _facts(side: Snapshot, opposite: Snapshot, keys: Mapping[str, str]) -> _Facts:
    """Everything of one side that the other side read as well, keyed; ``keys``: own id to common id."""
    builders: dict[FactClass, Callable[[], _Facts]] = {
        "system": lambda: _system(side.system),
        "environments": lambda: {
            keys[environment.id]: _environment(environment)
            for environment in side.environments
            if environment.id in keys
        },
        "os_packages": lambda: _os_packages(side.os_packages),
        "accelerator": lambda: _accelerator(side.accelerator, keys, _unseen_libraries(side, opposite)),
        "machine": lambda: _machine(side.machine),
        "variables": lambda: {name: {"value": value} for name, value in side.variables.items()},
        "image": lambda: _image(side.image),
    }
    return {name: build() for name, build in builders.items() if side.was_read(name) and opposite.was_read(name)}


def _environment(environment: Environment) -> _Facts:
    python = environment.python
    return {
        "python": python and {"version": python.version, "implementation": python.implementation, "abi": python.abi},
        "packages": {package.name: _package(package) for package in reversed(environment.packages) if package.active},
        # The directory names the Python minor version, which is a change of its own.
        "pth": {
            _MINOR_IN_PATH.sub("*", file.path): {"executable": file.executable, "sha256": file.sha256}
            for file in environment.pth
        },
        "duplicates": dict(_duplicates(environment)),
        "conda": None if environment.conda is None else _conda(environment.conda),
    }


def _package(package: Package) -> _Facts:
    return {
        "version": package.version or None,
        "origin": None if package.origin == "unreadable" else package.origin,
        "editable": package.editable,
        "tags": " ".join(package.tags),
        "build": package.build or "",
        "record_sha256": package.files.record_sha256,
    }


def _duplicates(environment: Environment) -> Iterator[tuple[str, _Facts]]:
    copies: dict[str, list[Package]] = {}
    for package in environment.packages:
        copies.setdefault(package.name, []).append(package)
    for name, group in copies.items():
        if len(group) == 1:
            continue
        here = Counter(package.location for package in group)
        taken = next((package for package in group if package.active), group[0])
        same = sorted(package.version for package in group if here[package.location] > 1)
        shadowed = {
            package.version
            for package in group
            if package.location != taken.location and package.version != taken.version
        }
        facts = {"same_directory": ", ".join(same), "shadowed": ", ".join(sorted(shadowed))}
        if any(facts.values()):
            yield name, facts


def _conda(packages: Iterable[CondaPackage]) -> _Facts:
    """By name; of two records of one package, which conda itself would complain of, both."""
    records: dict[str, list[CondaPackage]] = {}
    for package in packages:
        records.setdefault(package.name, []).append(package)
    return {
        name: {
            fact: ", ".join(sorted({getattr(one, fact) for one in group})) for fact in ("version", "build", "channel")
        }
        for name, group in records.items()
    }


def _os_packages(packages: Iterable[OsPackage]) -> _Facts:
    versions: dict[str, list[str]] = {}
    for package in packages:
        key = f"{package.manager}/{package.name}/{package.architecture}"
        versions.setdefault(key, []).append(package.version)
    return {key: {"version": ", ".join(sorted(found))} for key, found in versions.items()}


def _unseen_libraries(side: Snapshot, opposite: Snapshot) -> dict[CudaLibrary, tuple[str, str]]:
    """CUDA libraries that the other side does not know of, and would not if it had them; each with where, and why."""
    known = {(one.component, one.path) for one in opposite.accelerator.cuda}
    return {
        one: hidden
        for one in side.accelerator.cuda
        if (one.component, one.path) not in known and (hidden := opposite.hides(one)) is not None
    }


def _accelerator(accelerator: Accelerator, keys: Mapping[str, str], unseen: Collection[CudaLibrary]) -> _Facts:
    """Of environments that are paired, and of none. No path has a NUL in it, so that keys can be taken apart."""
    own: dict[str | None, str] = {None: ""} | dict(keys)
    return {
        "cuda": {
            "\0".join((one.component, own[one.environment], _MINOR_IN_PATH.sub("*", one.path))): {
                "version": one.version
            }
            for one in accelerator.cuda
            if one.environment in own and one not in unseen
        },
        "frameworks": {
            f"{own[one.environment]}\0{one.name}": {
                "built_with": one.built_with,
                "gpu_targets": " ".join(one.gpu_targets),
                "loads": {
                    loaded.component: None if loaded.status == "unknown" else loaded.path or "" for loaded in one.loads
                },
            }
            for one in accelerator.frameworks
            if one.environment in own
        },
    }


def _system(system: System) -> _Facts:
    return {
        "os": system.os
        and {
            "id": system.os.id,
            "version_id": system.os.version_id,
            "pretty_name": system.os.pretty_name,
        },
        "libc": system.libc and {"name": system.libc.name, "version": system.libc.version},
        "architecture": system.architecture,
        "locale": system.locale,
    }


def _machine(machine: Machine) -> _Facts:
    devices: dict[str, list[int | None]] = {}
    for device in machine.devices:
        devices.setdefault(f"{device.name} ({device.compute_capability})", []).append(device.memory_bytes)
    return {
        "kernel": machine.kernel,
        "cpu": machine.cpu and {"model": machine.cpu.model, "features": {name: name for name in machine.cpu.features}},
        "driver": machine.driver and {"version": machine.driver.version},
        "devices": {name: {"count": len(memory), "memory_bytes": memory[0]} for name, memory in devices.items()},
    }


def _image(image: Image) -> _Facts:
    return {
        "user": image.user,
        "entrypoint": json.dumps(image.entrypoint),
        "cmd": json.dumps(image.cmd),
        "command_sha256": image.command_sha256 or "",
        "exposed_ports": {port: port for port in image.exposed_ports},
        "volumes": json.dumps(image.volumes),
        "workdir": image.workdir,
    }


# The comparison.


_Leaves = dict[tuple[str, ...], Any]
"""By path: a fact, or a whole item that the other side has not."""


def _unequal(one: _Facts, other: _Facts) -> tuple[_Leaves, _Leaves]:
    """What is not equal: deepdiff would look at thousands of equal facts, and at each step on the way to the others."""
    left: _Leaves = {}
    right: _Leaves = {}
    ahead: list[tuple[tuple[str, ...], _Facts, _Facts]] = [((), one, other)]
    while ahead:
        path, mine, theirs = ahead.pop()
        for key in {**mine, **theirs}:
            here = (*path, key)
            if key in mine and key in theirs:
                if mine[key] == theirs[key]:
                    continue
                if isinstance(mine[key], dict) and isinstance(theirs[key], dict):
                    ahead.append((here, mine[key], theirs[key]))
                    continue
            if key in mine:
                left[here] = mine[key]
            if key in theirs:
                right[here] = theirs[key]
    return left, right


def _structural(one: _Leaves, other: _Leaves) -> Iterator[Change]:
    # Importing deepdiff costs as much as a small verify, and equal sides don't need it.
    from deepdiff import DeepDiff

    kinds: dict[str, Literal["added", "removed", "changed"]] = {
        "dictionary_item_added": "added",
        "dictionary_item_removed": "removed",
        "values_changed": "changed",
        "type_changes": "changed",
    }
    # By default deepdiff gives up on mappings that share few keys.
    tree = DeepDiff(one, other, view="tree", threshold_to_diff_deeper=0)
    for category, levels in tree.items():
        kind = kinds[category]
        for level in levels:
            (path,) = level.path(output_format="list")
            yield Change(
                path=path,
                kind=kind,
                before=None if kind == "added" else level.t1,
                after=None if kind == "removed" else level.t2,
            )


def _unpaired(before: Snapshot, after: Snapshot, pairing: Pairing) -> Iterator[Change]:
    if not (before.was_read("environments") and after.was_read("environments")):
        return
    if after.subject.kind not in ONE_ENVIRONMENT:
        for environment in _in_sight(before, pairing.before_only, after):
            value = _summary(environment)
            yield Change(path=("environments", environment.id), kind="removed", before=value, after=None)
    if before.subject.kind not in ONE_ENVIRONMENT:
        for environment in _in_sight(after, pairing.after_only, before):
            value = _summary(environment)
            yield Change(path=("environments", environment.id), kind="added", before=None, after=value)


def _in_sight(side: Snapshot, names: Collection[str], other: Snapshot) -> Iterator[Environment]:
    """Environments that the other side would have found, had it had them."""
    return (one for one in side.environments if one.id in names and other.hides(one) is None)


def _summary(environment: Environment) -> _Facts:
    return {
        "kind": environment.kind,
        "python": environment.python.version if environment.python is not None else None,
        "packages": len({package.name for package in environment.packages}),
    }


# What is not known.


def _gap_paths(
    side: Snapshot, pairs: Iterable[Pair], which: Literal["before", "after"]
) -> Iterator[tuple[tuple[str, ...], Literal["before", "after"]]]:
    common = {getattr(pair, which): pair.before for pair in pairs}
    ids = {*common, *(environment.id for environment in side.environments)}
    for gap in side.gaps:
        path = factpath.keys(gap.what, ids)
        if path[:1] == ("environments",) and len(path) > 1:
            if path[1] not in common and path[1] in common.values():
                continue  # the other side has an environment of this id, which is paired with another one
            path = ("environments", common.get(path[1], path[1]), *path[2:])
        for listing in factpath.listings(path):
            yield listing, which


def _is_unknown(change: Change) -> bool:
    """Whether a side does not know the fact; a withheld variable has ``None`` on purpose, and says no more."""
    return change.kind == "changed" and (change.before is None or change.after is None)


def _is_behind_gap(change: Change, gaps: Iterable[tuple[tuple[str, ...], Literal["before", "after"]]]) -> bool:
    """Whether a side has a gap where it would have to know the fact.

    A gap in a listing leaves what was listed comparable: only what is absent is not known. A gap in one item
    or in one of its facts leaves nothing of it.
    """
    for path, side in gaps:
        if change.path[: len(path)] != path:
            continue
        value = change.before if side == "before" else change.after
        if change.path == path or len(path) >= _ITEM or value in (None, "", {}):
            return True
    return False
