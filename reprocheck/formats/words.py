"""Phrases that several formats share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reprocheck.model.report import Side

_HOW = {
    "exec": "by exec in the running container",
    "throw-away container": "in a throw-away container, removed again",
    "archive endpoint": "through the engine's archive endpoint",
    "interpreter": "by the target's own interpreter",
    "probe": "from evidence that the probe collected",
}
_SHORT_ID = 12


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 gap``, ``2 gaps``, ``1,200 gaps``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(items: Sequence[str], most: int) -> list[str]:
    """Keep the first ``most``, and count the others: ``[a, b, "3 more"]``."""
    return [*items] if len(items) <= most else [*items[:most], f"{len(items) - most} more"]


def in_a_row(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def short_id(digest: str | None) -> str:
    """The part of a digest that people use; empty where there is none."""
    return "" if digest is None else digest.removeprefix("sha256:")[:_SHORT_ID]


def side(one: Side) -> str:
    """One side of a comparison, with the image that it came from."""
    image = short_id(one.image_id)
    return f"{one.name} ({image})" if image else one.name


def how_it_was_read(route: str, *, executed: bool) -> str:
    """The route, and whether anything of the target was run: the last line of every report."""
    ran = "the target's own Python ran the probe" if executed else "nothing of the target was run"
    return f"read {_HOW.get(route, f'by {route}')}; {ran}"
