"""The rules, in order, and the judgement of a comparison by them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reprocheck.model.report import LEVELS, Finding, Level
from reprocheck.rules import (
    abi,
    accelerator,
    breaks,
    conda,
    determinism,
    environments,
    frameworks,
    hygiene,
    image,
    inheritance,
    machine,
    packages,
    practice,
    requirements,
    startup,
    system,
)
from reprocheck.rules.base import Comparison, Gate, Rule, arrange
from reprocheck.rules.order import ordered
from reprocheck.rules.requirements import unjudged
from reprocheck.versions import FRAMEWORKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reprocheck.knowledge import Knowledge
    from reprocheck.model.snapshot import Snapshot


RULES: tuple[Rule, ...] = (
    *packages.RULES,
    *conda.RULES,
    *requirements.RULES,
    *breaks.RULES,
    *abi.RULES,
    *startup.RULES,
    *environments.RULES,
    *system.RULES,
    *image.RULES,
    *machine.RULES,
    *accelerator.RULES,
    *frameworks.RULES,
    *determinism.RULES,
    *hygiene.RULES,
    *inheritance.RULES,
    *practice.RULES,
)

_LEVEL = {rule.code: rule for rule in RULES}


def judge(comparison: Comparison, level: Level, rules: Sequence[Rule] = RULES) -> tuple[Finding, ...]:
    """Give the findings that count at a level, ordered."""
    asked = LEVELS.index(level)
    found = (
        finding
        for rule in rules
        if rule.frameworks_count_earlier or LEVELS.index(rule.level) <= asked
        for finding in rule.findings(comparison)
        if LEVELS.index(level_of(finding, rule)) <= asked
    )
    return ordered(found)


def kept(comparison: Comparison, base: str, level: Level) -> tuple[Finding, ...]:
    """Judge whether the second side keeps what the first has; ``base``: the name of that one."""
    return judge(replace(comparison, extends=base), level, inheritance.RULES)


def examine(snapshot: Snapshot, knowledge: Knowledge) -> tuple[Finding, ...]:
    """Judge the state of a target, by the rules that need no other side."""
    comparison = replace(arrange(snapshot, snapshot, (), (), knowledge), states=True)
    return judge(comparison, "bits", [rule for rule in RULES if rule.state])


def hold_to(gate: Gate, comparison: Comparison, level: Level) -> tuple[Finding, ...]:
    """Judge the baseline and the policy themselves, once all else is judged.

    A waiver is unused only where its rule had its say: one that counts from a higher level had none.
    """
    asked = LEVELS.index(level)
    levels = {word: LEVELS.index(rule.level) for rule in RULES for word in (rule.code, rule.name)}
    unused = tuple(waiver for waiver in gate.unused if levels[waiver.rule] <= asked)
    return judge(replace(comparison, gate=replace(gate, unused=unused)), level, hygiene.RULES)


def level_of(finding: Finding, rule: Rule | None = None) -> Level:
    """Give the lowest level at which a finding counts; ``rule``: the one that made it, where that is at hand."""
    rule = rule or _LEVEL[finding.rule]
    about_framework = finding.subject.name in FRAMEWORKS or "frameworks" in finding.details
    if rule.frameworks_count_earlier and about_framework:
        return "framework"
    return rule.level


def blocks(finding: Finding) -> Level | None:
    """Give the level before which a finding stands; ``None``: it is about no fact of the environment."""
    return None if finding.subject.kind in {"baseline", "waiver"} else level_of(finding)


__all__ = [
    "RULES",
    "Comparison",
    "Gate",
    "Rule",
    "arrange",
    "blocks",
    "examine",
    "hold_to",
    "judge",
    "kept",
    "level_of",
    "ordered",
    "unjudged",
]
