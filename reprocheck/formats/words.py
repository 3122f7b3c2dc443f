"""Phrases that several formats share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reprocheck.model.report import IntroducedBy, Side
    from reprocheck.model.snapshot import DigestsChecked, Header

_HOW = {
    "engine storage": "in the engine's storage",
    "layer cache": "from the layer cache",
    "save stream": "from the stream that the engine sent",
    "archive": "from the archive",
    "OCI layout": "from the layout",
    "root file system": "from the directory",
    "exec": "by exec in the running container",
    "throw-away container": "in a throw-away container, removed again",
    "archive endpoint": "through the engine's archive endpoint",
    "interpreter": "by the target's own interpreter",
    "probe": "from evidence that the probe collected",
}
_CHECKED: dict[DigestsChecked, str] = {
    "digests": "digests checked",
    "headers": "headers checked (digests of its layers with --deep)",
    "none": "digests not checked",
}
BASE = {True: "in the base image", False: "not in the base image"}
"""Where something comes from, by ``from_base``."""
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


def place_of(layer: IntroducedBy) -> str:
    """``layer 4``, or the container itself."""
    return "the container itself" if layer.diff_id is None else f"layer {layer.layer}"


def brought_by(layer: IntroducedBy | None, from_base: bool | None) -> str:
    """The layer and its instruction, or the container itself; where none is known, the base image or another."""
    if layer is None:
        return "the base image" if from_base else "what is not in the base image"
    if layer.diff_id is None:
        return f"the container itself, above its image{f', {layer.time}' if layer.time else ''}"
    place = f"layer {layer.layer} of {layer.layers}{'' if from_base is None else f', {BASE[from_base]}'}"
    return f"{place}: {layer.instruction or 'instruction not recorded'}"


def how_it_was_read(one: Side | Header) -> str:
    """The route, what was checked on it, and whether anything of the target was run: the last line of every report."""
    ran = "the target's own Python ran the probe" if one.executed else "nothing of the target was run"
    checked = f", {_CHECKED[one.checked]}" if one.checked else ""
    return f"read {_HOW.get(one.route, f'by {one.route}')}{checked}; {ran}"
