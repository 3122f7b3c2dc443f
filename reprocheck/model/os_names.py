"""What a package of the operating system is called: its name, with its architecture where that is a foreign one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEUTRAL = frozenset({"all", "noarch", ""})


def native(architectures: Iterable[str]) -> str:
    """The architecture that most packages have: naming it each time says nothing."""
    counts = Counter(one for one in architectures if one not in _NEUTRAL)
    return max(sorted(counts), key=counts.__getitem__, default="")


def called(name: str, architecture: str, home: str) -> str:
    """``libc6``; ``libc6:i386`` where ``home``, the native architecture, is another one."""
    return name if architecture == home or architecture in _NEUTRAL else f"{name}:{architecture}"
