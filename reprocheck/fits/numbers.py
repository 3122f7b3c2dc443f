"""Versions of drivers and CUDA releases: numbers between dots. A driver may be named by its branch alone."""

from __future__ import annotations

import re

Numbers = tuple[int, ...]

_VERSION = re.compile(r"\d{1,6}(?:\.\d{1,6}){0,4}", re.ASCII)


def parse(version: str) -> Numbers | None:
    """Read a version; ``None`` where it is none."""
    return tuple(int(part) for part in version.split(".")) if _VERSION.fullmatch(version) else None


def at_least(driver: Numbers, lowest: Numbers) -> bool | None:
    """Whether a driver is as new as another; ``None``: its branch alone is known, and is the other's."""
    if len(driver) == 1 and len(lowest) > 1 and driver[0] == lowest[0]:
        return None
    return driver >= lowest


def release(version: str) -> Numbers | None:
    """Major and minor of a CUDA version, ``11.2`` of ``11.2.152``; the major alone where it is all that is known."""
    numbers = parse(version)
    return None if numbers is None else numbers[:2]
