"""The rules and what they know, as text: all rules, the manual page of one; all tables, the rows of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from reprocheck.knowledge import TABLES
from reprocheck.knowledge.rows import KnownBreak
from reprocheck.model.text import printable

if TYPE_CHECKING:
    from reprocheck.knowledge import Knowledge
    from reprocheck.knowledge.rows import Row
    from reprocheck.rules import Rule


def table(rules: Sequence[Rule]) -> str:
    """Code, level, name and first sentence of each rule."""
    width = max(len(rule.name) for rule in rules)
    return "".join(f"{rule.code}  {rule.level:<9}  {rule.name:<{width}}  {_first(rule)}\n" for rule in rules)


def page(rule: Rule) -> str:
    """The manual page of one rule, Markdown."""
    return f"# {rule.code} {rule.name}\n\nCounts from the level `{rule.level}` on.\n\n{rule.manual}\n"


def tables(known: Knowledge) -> str:
    """Name and number of rows of each table; of known breaks, how many were seen."""
    width = max(map(len, TABLES))
    lines = []
    for name in TABLES:
        rows = known.table(name)
        breaks = [row for row in rows if isinstance(row, KnownBreak)]
        seen = sum(row.seen is not None for row in breaks)
        told = f", {seen} seen, {len(breaks) - seen} reported" if breaks else ""
        lines.append(f"known  {name:<{width}}  {len(rows)} rows{told}\n")
    return "".join(lines)


def rows(of_table: Sequence[Row]) -> str:
    """Each row in a line: a break with when it was seen or that it was reported, others with their facts."""
    return "".join(f"{printable(_break(row) if isinstance(row, KnownBreak) else _facts(row))}\n" for row in of_table)


def _break(row: KnownBreak) -> str:
    seen = f"seen {row.seen.date}" if row.seen else "reported"
    what = f"{row.package}{row.specifier}"
    if row.partner:
        what += f" {'without' if row.partner_absent else 'with'} {row.partner}{row.partner_specifier}"
    if row.python:
        what += f" on Python {row.python}"
    return f"{row.name}: {what}: {row.effect} ({seen}; {row.source})"


def _facts(row: Row) -> str:
    facts = msgspec.to_builtins(row)
    source, note = facts.pop("source"), facts.pop("note")
    facts["note"] = note
    told = (
        f"{name} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in facts.items()
        if value not in (None, "", (), False)
    )
    return f"{', '.join(told)} ({source})"


def _first(rule: Rule) -> str:
    return rule.manual.partition("\n")[0]
