"""Where the report of one run goes: in one format or in several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reprocheck.cli.say import color, width
from reprocheck.errors import UsageError

if TYPE_CHECKING:
    from reprocheck.model.report import Report

FORMATS = ("text", "json")
"""Those of reports."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """Format and place of each output."""

    places: tuple[tuple[str, str], ...]
    all: bool
    """List in text what is otherwise folded."""

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
        UsageError: a place without a format.
    """
    places = [(format_, output)]
    for one in write:
        name, equals, file = one.partition("=")
        if not equals or not file or name not in FORMATS:
            raise UsageError(f"--write {one}: write FORMAT=FILE; formats are {', '.join(FORMATS)}")
        places.append((name, file))
    return Outputs(places=tuple(places), all=all_)
