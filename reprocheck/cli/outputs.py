"""Where the report of one run goes: in one format or in several."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reprocheck.cli.say import color, width
from reprocheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprocheck.model.report import Report

FORMATS = ("text", "json")
"""Those of reports."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """Format and place of each output."""

    places: tuple[tuple[str, str], ...]
    all: bool
    """List in text what is otherwise folded."""

    def spare(self, files: Iterable[str]) -> None:
        """Make sure that no report replaces what is compared.

        Raises:
            UsageError: one would.
        """
        places = {_identity(place) for _, place in self.places}
        for file in files:
            if _identity(file) in places:
                raise UsageError(f"{file} is what is compared; write the report to another file")

    def deliver(self, report: Report) -> int:
        """Write the report to each place; the exit code."""
        from reprocheck.formats import FORMATS as RENDERERS
        from reprocheck.formats import WIDTH
        from reprocheck.output import write_output
        from reprocheck.verdict import exit_code

        for name, place in self.places:
            columns = width() if place == "-" else WIDTH
            text = RENDERERS[name](report, width=columns, color=color(place), all_=self.all)
            write_output(place, text.encode())
        return exit_code(report.verdict, report.threshold)


def outputs(format_: str, output: str, write: tuple[str, ...], *, all_: bool) -> Outputs:
    """Read ``--format``, ``-o`` and ``--write``.

    Raises:
        UsageError: a place without a format, or with two reports.
    """
    places = [(format_, output)]
    for one in write:
        name, equals, file = one.partition("=")
        if not equals or not file or name not in FORMATS:
            raise UsageError(f"--write {one}: write FORMAT=FILE; formats are {', '.join(FORMATS)}")
        if _identity(file) in {_identity(place) for _, place in places} and not _takes_many(file):
            raise UsageError(f"--write {one}: two reports in one place; name another file")
        places.append((name, file))
    return Outputs(places=tuple(places), all=all_)


def _identity(place: str) -> str:
    return place if place == "-" else os.path.realpath(place)


def _takes_many(place: str) -> bool:
    """Whether a place is a device or a pipe, of which nothing is replaced."""
    return os.path.exists(place) and not os.path.isfile(place)  # noqa: PTH110, PTH113 - a word of the command line
