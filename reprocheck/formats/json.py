"""The report as JSON: the document itself, which can be loaded and rendered again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.model.codec import encode_report

if TYPE_CHECKING:
    from reprocheck.model.report import Report


def render(report: Report) -> str:
    """Give the document."""
    return encode_report(report).decode()
