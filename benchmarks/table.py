"""The table: what, ours, floor or peer, the figure made of the two, its limit, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from benchmarks.measure import Samples

Kind = Literal["times", "faster", "more", "growth", "seconds", "bytes"]
"""What the figure is.

- ``times``: median by median.
- ``faster``: the same upside down; the limit is the least that it may be.
- ``more``: least less least.
- ``growth``: the least by the least, after the least of ``start`` is taken off both.
- ``seconds``: the least.
- ``bytes``: the most.

What else the machine does only ever adds. A ratio divides it out again, a difference does not: so limits in
milliseconds are held against the least.
"""

_HEADINGS = ("what", "reprocheck", "floor or peer", "", "figure", "limit", "")
_MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line."""

    what: str
    ours: str
    """Name of a measured command."""
    base: str | None = None
    base_words: str = ""
    start: str | None = None
    """Name of a measured command whose time is in both others."""
    kind: Kind = "times"
    limit: float | None = None
    """``None``: for orientation only."""

    def figure(self, samples: Mapping[str, Samples]) -> float:
        """Give what is held against the limit."""
        ours = samples[self.ours]
        if self.kind == "bytes":
            return ours.peak
        base = samples[self.base] if self.base is not None else None
        if self.kind == "times" and base is not None:
            return ours.median / base.median
        if self.kind == "faster" and base is not None:
            return base.median / ours.median
        if self.kind == "growth" and base is not None and self.start is not None:
            start = samples[self.start].least
            return (ours.least - start) / (base.least - start)
        return ours.least - (base.least if base is not None else 0.0)

    def holds(self, samples: Mapping[str, Samples]) -> bool:
        """Say whether the figure is within its limit."""
        if self.limit is None:
            return True
        figure = self.figure(samples)
        return figure >= self.limit if self.kind == "faster" else figure <= self.limit


def table(rows: Iterable[Row], samples: Mapping[str, Samples]) -> str:
    """Lay the rows out in columns."""
    cells = [_HEADINGS, *(_cells(row, samples) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def _cells(row: Row, samples: Mapping[str, Samples]) -> tuple[str, ...]:
    ours = samples[row.ours]
    base = samples[row.base] if row.base is not None else None
    verdict = "" if row.limit is None else "ok" if row.holds(samples) else "OVER"
    return (
        row.what,
        _in_words(row.kind, ours.peak) if row.kind == "bytes" else _spread(ours),
        _spread(base) if base is not None else "",
        row.base_words,
        _in_words(row.kind, row.figure(samples)),
        "" if row.limit is None else _in_words(row.kind, row.limit),
        verdict,
    )


def _spread(samples: Samples) -> str:
    return f"{samples.median:.3f} s ({samples.least:.3f} to {max(samples.seconds):.3f})"


def _in_words(kind: Kind, value: float) -> str:
    match kind:
        case "times" | "growth":
            return f"{value:.2f} x"
        case "faster":
            return f"{value:.0f} x faster"
        case "bytes":
            return f"{value / _MEGABYTE:.0f} MB"
        case "more":
            return f"{value * 1000:+.0f} ms"
        case "seconds":
            return f"{value * 1000:.0f} ms"
