"""The path of a fact, as gaps and notes name it: ``environments[/opt/venv].packages[numpy].requires``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_STEP = re.compile(r"\[(.*?)\](?=[.\[]|$)|([^.\[\]]+)", re.DOTALL)
_ENVIRONMENT = re.compile(
    r"environments\[(.*?)\](\.(?:packages|python|conda|pth|search_path|duplicates)\b.*)?", re.DOTALL
)


def keys(what: str, environments: Iterable[str] = ()) -> tuple[str, ...]:
    """Give the keys of a path: of the one above ``environments``, ``/opt/venv``, ``packages``, ``numpy``, ``requires``.

    The id of an environment is a path of the target, and may hold brackets and dots itself: of ``environments``, the
    ids that there are, the longest that fits is taken; else the shortest text that something known follows.
    """
    own = max((name for name in environments if what.startswith(f"environments[{name}]")), key=len, default=None)
    if own is not None:
        return ("environments", own, *_steps(what.removeprefix(f"environments[{own}]")))
    if found := _ENVIRONMENT.fullmatch(what):
        return ("environments", found[1], *_steps(found[2] or ""))
    return _steps(what)


def listings(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Give what a gap at a path leaves incomplete, as paths: itself, or all that would have been read from there."""
    match path:
        case ("layers", *_):
            yield from (("system",), ("environments",), ("os_packages",), ("accelerator",))
        case ("environments", identity, "search_path", *_):
            yield from (("environments", identity, part) for part in ("packages", "pth", "duplicates"))
        case _:
            yield path


def _steps(what: str) -> tuple[str, ...]:
    return tuple(match[1] if match[1] is not None else match[2] for match in _STEP.finditer(what))
