"""What the target's own tools say it holds, and whether a snapshot says the same: an empty one is quick."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from benchmarks.docker import docker
from benchmarks.measure import WrongAnswerError

_INSTALLED = "ii "


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is compared; ``environments`` is counted only, since no tool of the target lists them."""

    environments: int | None = None
    packages: frozenset[tuple[str, str]]
    """Normalised name and version, of the environment on PATH."""
    os_packages: frozenset[tuple[str, str]]
    variables: frozenset[str]
    """Names."""
    layers: tuple[str, ...]
    """diff_id of each."""
    route: str | None = None
    """How the snapshot says that it was read."""


def stated(container: str, image: str) -> Facts:
    """Ask ``pip``, ``dpkg-query`` and the engine.

    Raises:
        BenchmarkError: one of them failed.
    """
    packages = json.loads(docker("exec", container, "pip", "--disable-pip-version-check", "list", "--format=json"))
    dpkg = docker("exec", container, "dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Package}\t${Version}\n")
    rows = (line.split("\t") for line in dpkg.splitlines())
    inspected = json.loads(docker("image", "inspect", image))[0]
    return Facts(
        packages=frozenset((_normalised(one["name"]), one["version"]) for one in packages),
        os_packages=frozenset((name, version) for state, name, version in rows if state == _INSTALLED),
        variables=frozenset(pair.partition("=")[0] for pair in inspected["Config"]["Env"] or ()),
        layers=tuple(inspected["RootFS"]["Layers"]),
    )


def captured(snapshot: bytes) -> Facts:
    """Read a snapshot, as JSON: this process is to stay small, so reprocheck is not imported.

    Raises:
        WrongAnswerError: it has no environment on PATH.
    """
    document: dict[str, Any] = json.loads(snapshot)
    on_path = [one for one in document["environments"] if one["on_path"]]
    if len(on_path) != 1:
        raise WrongAnswerError(f"the snapshot has {len(on_path)} environments on PATH")
    return Facts(
        environments=len(document["environments"]),
        packages=frozenset((one["name"], one["version"]) for one in on_path[0]["packages"]),
        os_packages=frozenset((one["name"], one["version"]) for one in document["os_packages"]),
        variables=frozenset(document["variables"]),
        layers=tuple(one["diff_id"] for one in document["provenance"]["layers"]),
        route=document["header"]["route"],
    )


FILES = ("packages", "os_packages")
"""What files alone can tell."""
ALL = (*FILES, "variables", "layers")


def check(name: str, found: Facts, expected: Facts, route: str, of: tuple[str, ...] = ALL) -> None:
    """Compare what was captured with what the target's own tools say.

    Raises:
        WrongAnswerError: they differ, or either is empty; or it was read by another route than is measured.
    """
    if found.route != route:
        raise WrongAnswerError(f"{name}: read by way of {found.route}, where {route} is measured")
    for what in of:
        ours, theirs = set(getattr(found, what)), set(getattr(expected, what))
        # An engine may set variables of its own in a container.
        differing = theirs - ours if what == "variables" else ours ^ theirs
        if differing or not ours:
            raise WrongAnswerError(
                f"{name}: {len(ours)} {what}, the target's own tools say {len(theirs)}"
                f" (differing: {', '.join(map(str, sorted(differing)[:3])) or 'none'})"
            )


def counts(facts: Facts) -> str:
    """Say how many facts there are."""
    return (
        f"{facts.environments} environment{'' if facts.environments == 1 else 's'}, "
        f"{len(facts.packages)} packages, {len(facts.os_packages)} OS packages, "
        f"{len(facts.variables)} variable{'' if len(facts.variables) == 1 else 's'}, {len(facts.layers)} layers"
    )


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
