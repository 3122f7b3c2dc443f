"""What ``doctor`` found, as text."""

from __future__ import annotations

from collections.abc import Iterable

from reprocheck.formats.layout import Page


def render(rows: Iterable[tuple[str, tuple[str, ...]]], *, width: int, color: bool) -> str:
    """One labelled row a subject."""
    page = Page(width=width, color=color)
    for label, lines in rows:
        for number, line in enumerate(lines):
            page.row(label if number == 0 else "", line)
    return page.render()
