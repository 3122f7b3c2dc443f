"""The engine's own storage as layers, where it can be read: overlay2, as root, on the engine's machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from reprocheck.errors import TargetError
from reprocheck.layers.directory import OverlayDirectory
from reprocheck.layers.tree import Tree


class Unreadable(Exception):  # noqa: N818 - a reason to take another route, no error
    """This storage can't be read from here; the argument says why."""


@contextmanager
def open_storage(inspected: Mapping[str, Any], *, local: bool) -> Iterator[Tree]:
    """The layers of an image or container as its storage driver describes them (Engine API, ``GraphDriver``).

    Raises:
        Unreadable: the storage is of another kind, elsewhere, or closed to this user.
    """
    directories = _directories(inspected, local=local)
    with ExitStack() as stack:
        layers = []
        for directory in directories:
            try:
                layer = OverlayDirectory(directory)
            except OSError as error:
                raise Unreadable(f"{directory} can't be read ({os.strerror(error.errno or 0)})") from error
            stack.callback(layer.close)
            layers.append(layer)
        yield Tree(layers)


def _directories(inspected: Mapping[str, Any], *, local: bool) -> list[Path]:
    """The lowest first, as many as ``rootfs.diff_ids``."""
    driver = inspected.get("GraphDriver") or {}
    if driver.get("Name") != "overlay2":
        raise Unreadable(_driver(driver.get("Name")))
    if not local:
        raise Unreadable(_ELSEWHERE)
    data = driver.get("Data") or {}
    upper = data.get("UpperDir")
    if not upper:
        raise Unreadable("the engine does not say where its layers are")
    lower = [part for part in (data.get("LowerDir") or "").split(":") if part]
    found = [Path(path) for path in reversed([upper, *lower])]
    diff_ids = (inspected.get("RootFS") or {}).get("Layers")
    if diff_ids is not None and len(diff_ids) != len(found):
        raise Unreadable(f"the engine's storage has {len(found)} directories for {len(diff_ids)} layers")
    return found


def readable(info: Mapping[str, Any], *, local: bool) -> str | None:
    """Why the storage of an engine can't be read here (Engine API, system information); ``None`` where it can."""
    if info.get("Driver") != "overlay2":
        return _driver(info.get("Driver"))
    if not local:
        return _ELSEWHERE
    where = Path(info.get("DockerRootDir") or "/var/lib/docker") / "overlay2"
    try:
        next(where.iterdir(), None)
    except OSError as error:
        return f"{where} can't be read ({os.strerror(error.errno or 0)})"
    return None


_ELSEWHERE = "the engine is not reached by a socket of this machine"


def _driver(name: str | None) -> str:
    return f"the engine's storage driver is {name or 'not known'}, not overlay2"


def refused(name: str, reason: str) -> TargetError:
    """The error where this route was asked for by name."""
    return TargetError(f"{name}: its storage can't be read: {reason}; leave out --route, or run as root")
