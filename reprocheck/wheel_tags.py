"""Whether an installed wheel fits the interpreter and the machine that it lies on, as its tags tell (PEP 425).

``packaging`` knows the tags of an interpreter, and of the machine that it runs on itself; of another machine's platform
tags it knows nothing, so that these are read here (PEP 513, 571, 599, 600 and 656).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from reprocheck.versions import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.tags import Tag

    from reprocheck.model.snapshot import Python, System

Kind = Literal["older libc", "other libc", "machine", "interpreter"]
_KINDS: tuple[Kind, ...] = ("older libc", "other libc", "machine", "interpreter")
"""What a wheel does not fit, the nearest miss first."""

_MOST = 64
"""Tags that one compressed tag may stand for; real ones stand for a dozen."""
_ABI = re.compile(r"cpython-\d+([a-z]*)")
_MANYLINUX = re.compile(r"manylinux(?:(1|2010|2014)|_(\d{1,3})_(\d{1,3}))_(\w+)", re.ASCII)
_MUSLLINUX = re.compile(r"musllinux_(\d{1,3})_(\d{1,3})_(\w+)", re.ASCII)
_LEGACY = {"1": (2, 5), "2010": (2, 12), "2014": (2, 17)}
"""glibc of the tags that name a year (PEP 600, "Legacy manylinux tags")."""
_OTHER_SYSTEMS = {"win": "Windows", "macosx": "macOS", "ios": "iOS", "android": "Android"}
_FAMILIES = {
    **dict.fromkeys(("i686", "x86_64"), "x86"),
    **dict.fromkeys(("armv6l", "armv7l", "armv8l", "aarch64"), "ARM"),
}
"""Of these ``uname -m`` can name one where programs of the other run."""


class Misfit(NamedTuple):
    """Why a wheel does not fit."""

    kind: Kind
    built_for: str
    """``cp38-cp38``, ``glibc 2.28``, ``aarch64``."""
    floor: tuple[int, int] = (0, 0)
    """Version of glibc or musl that it needs; of an older libc alone."""


@lru_cache(maxsize=16384)
def parsed(texts: tuple[str, ...]) -> tuple[Tag, ...] | None:
    """Parse the ``Tag`` fields of a wheel; ``None``: one of them is no tag, or stands for too many."""
    from packaging.tags import parse_tag

    found: list[Tag] = []
    for text in texts:
        # The field is written uncompressed, but nothing stops a build tool from writing "py2.py3".
        parts = [part.count(".") + 1 for part in text.split("-")]
        if len(parts) != len(("interpreter", "abi", "platform")) or parts[0] * parts[1] * parts[2] > _MOST:
            return None
        try:
            found += sorted(parse_tag(text), key=str)
        except ValueError:
            return None
    return tuple(found)


def interpreter_tags(python: Python) -> frozenset[tuple[str, str]] | None:
    """Interpreter and ABI of each tag that CPython takes; ``None`` for other implementations."""
    match = _ABI.fullmatch(python.abi or "")
    version = parse_version(python.version)
    if python.implementation != "cpython" or version is None or match is None:
        return None
    return _interpreter_tags(version.major, version.minor, match[1])


@lru_cache(maxsize=64)
def _interpreter_tags(major: int, minor: int, flags: str) -> frozenset[tuple[str, str]]:
    from packaging.tags import compatible_tags, cpython_tags

    name = f"cp{major}{minor}"
    # A debug build takes the modules of others too (documentation of Python 3.8, "What's New").
    abis = dict.fromkeys((f"{name}{flags}", f"{name}{flags.replace('d', '')}"))
    tags = (
        *cpython_tags((major, minor), abis=abis, platforms=["any"]),
        *compatible_tags((major, minor), interpreter=name, platforms=["any"]),
    )
    return frozenset((tag.interpreter, tag.abi) for tag in tags)


def misfit(texts: tuple[str, ...], python: Python, system: System) -> Misfit | None:
    """Say why none of a wheel's tags fits; ``None``: one fits, or it can't be told.

    Pure Python (``any``) fits wherever it lies, and what was compiled on the spot (``linux_x86_64``) promises nothing.
    """
    if all(text.endswith("-none-any") for text in texts):
        return None
    tags = parsed(texts)
    if not tags or all(tag.platform == "any" for tag in tags):
        return None
    fitting = interpreter_tags(python)
    found: list[Misfit] = []
    for tag in tags:
        if fitting is not None and (tag.interpreter, tag.abi) not in fitting:
            found.append(Misfit("interpreter", f"{tag.interpreter}-{tag.abi}"))
            continue
        missed = next(_platform(tag.platform, python, system), None)
        if missed is None:
            return None
        found.append(missed)
    return min(found, key=lambda one: (_KINDS.index(one.kind), one.floor))


def _platform(platform: str, python: Python, system: System) -> Iterator[Misfit]:
    """What a platform tag does not fit, of a system with Linux."""
    other = _OTHER_SYSTEMS.get(platform.partition("_")[0].rstrip("0123456789"))
    if python.markers.get("platform_system") == "Linux" and other is not None:
        yield Misfit("machine", other)
    if found := _MANYLINUX.fullmatch(platform):
        libc, architecture = "glibc", found[4]
        floor = _LEGACY[found[1]] if found[1] else (int(found[2]), int(found[3]))
    elif found := _MUSLLINUX.fullmatch(platform):
        libc, architecture, floor = "musl", found[3], (int(found[1]), int(found[2]))
    else:
        return
    machine = python.markers.get("platform_machine") or system.architecture
    if machine is not None and _family(machine) != _family(architecture):
        yield Misfit("machine", architecture)
    if system.libc is None:
        return
    if system.libc.name != libc:
        yield Misfit("other libc", libc)
    version = parse_version(system.libc.version)
    if version is not None and (version.major, version.minor) < floor:
        yield Misfit("older libc", f"{libc} {floor[0]}.{floor[1]}", floor)


def _family(machine: str) -> str:
    return _FAMILIES.get(machine, machine)
