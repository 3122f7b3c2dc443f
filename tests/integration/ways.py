"""Every way to read an image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import docker

from reprocheck.capture import capture
from reprocheck.model.snapshot import Snapshot
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access
from tests.integration.running import Bench
from tests.integration.test_six_ways import save
from tests.packing import layout

Ways = Mapping[str, tuple[str, str | None]]
"""Target and route of each."""


def every_way(tag: str, engine: docker.DockerClient, bench: Bench, where: Path) -> Ways:
    """Make an image readable in each way."""
    saved = save(engine, tag, where)
    found: dict[str, tuple[str, str | None]] = {
        "container": (f"image:{tag}", "container"),
        "exec": (f"container:{bench.start(tag).name}", "exec"),
        "save": (f"image:{tag}", "save"),
        "saved": (f"archive:{saved}", None),
    }
    for compression in ("gzip", "zstd"):
        found[compression] = (f"oci:{layout(saved, where / compression, compression)}", None)
    if os.geteuid() == 0:
        found["storage"] = (f"image:{tag}", "storage")
    return found


def unlayered(way: str) -> bool:
    """Who asks the target's own Python sees no layers, unless the storage can be read beside."""
    return way == "container" or (way == "exec" and os.geteuid() != 0)


def snapshots(ways: Ways, *, deep: bool) -> dict[str, Snapshot]:
    """What each way shows."""
    taken = {}
    for way, (target, route) in ways.items():
        kind, _, value = target.partition(":")
        taken[way] = capture(Address(kind, value), Access(deep=deep, route=route))  # type: ignore[arg-type] # one of the kinds
    return taken
