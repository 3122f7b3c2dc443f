"""One function a file: a report in, text out. Formats never decide; they show what was decided."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from reprocheck.formats import json, terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reprocheck.model.report import Report

FORMATS: Mapping[str, Callable[[Report], str]] = MappingProxyType(
    {
        "text": terminal.render,
        "json": json.render,
    }
)
"""What ``--format`` and ``--write`` take; :func:`terminal.render` also fits a terminal, if told of one."""
