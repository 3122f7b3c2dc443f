"""One function a file: a report in, text out. Formats never decide; they show what was decided."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from reprocheck.formats import json, terminal
from reprocheck.formats.terminal import WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reprocheck.model.report import Report


class Renderer(Protocol):
    """What a format is."""

    def __call__(self, report: Report, *, width: int = ..., color: bool = ..., all_: bool = ...) -> str:
        """Give the text; ``width``, ``color`` and ``all_`` are for formats that people read on a terminal."""
        ...


FORMATS: Mapping[str, Renderer] = MappingProxyType(
    {
        "text": terminal.render,
        "json": json.render,
    }
)
"""What ``--format`` and ``--write`` take."""

__all__ = ["FORMATS", "WIDTH", "Renderer"]
