"""What is printed, and where: messages to standard error, text as wide as the terminal."""

from __future__ import annotations

import os
import sys

import click

_NARROWEST = 60


def say(message: str) -> None:
    """Print a message to standard error, in one line."""
    from reprocheck.model.text import printable

    click.echo(f"reprocheck: {printable(message)}", err=True)


def width() -> int:
    """Columns of the terminal; 100 where there is none."""
    import shutil

    return max(_NARROWEST, shutil.get_terminal_size((100, 24)).columns)


def color(place: str = "-") -> bool:
    """Whether text at a place may be coloured: on a terminal, unless ``NO_COLOR`` is set."""
    return place == "-" and sys.stdout.isatty() and "NO_COLOR" not in os.environ
