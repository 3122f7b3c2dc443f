"""Commands of reprocheck, and captures whose facts are checked each time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import facts
from benchmarks.measure import Command, run
from benchmarks.ordinary import Ordinary

BYTES = 300_000_000
"""The most that a capture may hold in memory, up to 200,000 entries."""


def reprocheck(name: str, *arguments: str, ordinary: Ordinary | None = None, **fields: object) -> Command:
    """``python -m reprocheck``, by whoever runs this or by an ordinary user."""
    python = sys.executable if ordinary is None else ordinary.python
    return Command(
        name=name,
        argv=(python, "-m", "reprocheck", *arguments),
        user=None if ordinary is None else ordinary.user,
        **{"variables": {} if ordinary is None else ordinary.variables, **fields},  # type: ignore[arg-type]
    )


def checking(
    name: str, stated: facts.Facts, route: str, counts: dict[str, str], *, of: tuple[str, ...] = facts.ALL
) -> Callable[[bytes], None]:
    """What checks a snapshot and puts down how much is in it."""

    def check(printed: bytes) -> None:
        found = facts.captured(printed)
        facts.check(name, found, stated, route, of)
        counts[name] = facts.counts(found)

    return check


def compile_all() -> None:
    """Compile reprocheck: users have compiled files, and a shell can forbid Python to write them as it runs.

    Raises:
        BenchmarkError: it does not compile.
    """
    package = Path(__file__).resolve().parent.parent / "reprocheck"
    run(Command(name="compile", argv=(sys.executable, "-m", "compileall", "-q", str(package))))
