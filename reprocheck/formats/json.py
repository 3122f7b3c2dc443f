"""The report as JSON: the document itself, which can be loaded and rendered again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.model.codec import encode_json

if TYPE_CHECKING:
    from reprocheck.model.report import Report


def render(report: Report, **_look: object) -> str:
    """Give the document."""
    return encode_json(report).decode()
