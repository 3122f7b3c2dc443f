"""The rules as text: the table of all, and the manual page of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reprocheck.rules import Rule


def table(rules: Sequence[Rule]) -> str:
    """Code, level, name and first sentence of each rule."""
    width = max(len(rule.name) for rule in rules)
    return "".join(f"{rule.code}  {rule.level:<9}  {rule.name:<{width}}  {_first(rule)}\n" for rule in rules)


def page(rule: Rule) -> str:
    """The manual page of one rule, Markdown."""
    return f"# {rule.code} {rule.name}\n\nCounts from the level `{rule.level}` on.\n\n{rule.manual}\n"


def _first(rule: Rule) -> str:
    return rule.manual.partition("\n")[0]
