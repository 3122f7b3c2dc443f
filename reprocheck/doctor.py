"""``reprocheck doctor``: by which routes targets can be read on this machine, and why not by others."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from reprocheck import __version__
from reprocheck.errors import EngineError
from reprocheck.layers import cache
from reprocheck.targets.resolve import ROUTES, Access

if TYPE_CHECKING:
    from reprocheck.targets.engine import Engine

Row = tuple[str, tuple[str, ...]]
"""What it is about, and what is to be said of it, a line each."""

_WHEN = {
    "container": "runs the image's Python in a throw-away container, removed again",
    "save": "with --no-exec or --route save: the engine sends the whole image",
    "exec": "runs the container's Python, where it is running",
    "archive": "single files through the engine, of a container that does not run; no environments",
}


def examine(access: Access) -> Iterator[Row]:
    """Look at what this machine has; nothing is started, pulled or changed."""
    yield "reprocheck", (f"{__version__} on Python {platform.python_version()}, {sys.executable}",)
    try:
        engine = access.engine()
    except EngineError as error:
        yield "engine", (str(error),)
    else:
        yield from _with_engine(engine)
    yield "archive:", (_unpacking("gzip", "isal", "the standard library, more slowly"), _unpacking("zstd", *_ZSTD))
    yield "cache", (_cache(cache.directory()),)


def _with_engine(engine: Engine) -> Iterator[Row]:
    from reprocheck.targets.storage import readable

    told = engine.info()
    version = told.get("ServerVersion") or "of unknown version"
    yield "engine", (f"{version} at {engine.address or 'the default socket'}",)
    storage = readable(told, local=engine.local) or "can be read here: nothing is run"
    held = cache.of_user().count()
    known = f"{held:,} layers are in the cache" if held else "the cache is empty, --no-exec fills it"
    when = {**_WHEN, "storage": storage, "cache": f"an image whose layers are all there, and nothing is run; {known}"}
    for kind, routes in ROUTES.items():
        lines = (f"{number}. {name}: {when[name]}" for number, name in enumerate(routes, start=1))
        yield f"{kind}:", tuple(lines)


_ZSTD = ("zstandard", "nothing here") if sys.version_info < (3, 14) else ("zstandard", "the standard library")


def _unpacking(compression: str, module: str, otherwise: str) -> str:
    if find_spec(module) is not None:
        return f"{compression} is unpacked by {module}"
    return f"{compression} is unpacked by {otherwise}: install reprocheck[fast]"


def _cache(directory: Path) -> str:
    held = 0
    with suppress(OSError):
        held = sum(one.lstat().st_size for one in directory.glob("layers-*"))
    refused = cache.refusal(directory)
    if refused is None and not _writable(directory):
        refused = "which can't be written"
    closed = f", {refused}: layers are read anew each time" if refused else ""
    return f"{directory}: {held / 1e6:.0f} MB of layers, {cache.LIMIT / 1e6:.0f} MB at most{closed}"


def _writable(directory: Path) -> bool:
    # Not by Path's own method, which raises where a directory on the way is closed.
    while not os.path.lexists(directory):
        directory = directory.parent
    return os.access(directory, os.W_OK | os.X_OK)
