"""What a rule is given, and what it gives."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from reprocheck.graph import Graph, build
from reprocheck.model import factpath
from reprocheck.model.report import Finding, FindingSubject, Level, Severity, SubjectKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import date

    from reprocheck.graph import Edge, Unjudged
    from reprocheck.knowledge import Knowledge
    from reprocheck.model.change import Change
    from reprocheck.model.policy import Policy, Waiver
    from reprocheck.model.report import Fix, Pair
    from reprocheck.model.snapshot import Environment, FactClass, Package, Snapshot

HEADINGS = ("What it checks", "Why it matters", "Example", "What to do", "When it is noise")
"""The sections of each rule's manual page, in this order."""
WHOLE_ENVIRONMENT = 2
"""Length of the path of a change that is a whole environment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repairs:
    """What is known of the ways back to the baseline, each by the name of a package; it grows as rules ask."""

    fixes: dict[str, Fix | None] = field(default_factory=dict)
    copies: dict[str, Package | None] = field(default_factory=dict)
    """The baseline's copy, where another one is installed now, or none."""
    alone: dict[str, tuple[tuple[Edge, ...], tuple[Unjudged, ...]]] = field(default_factory=dict)
    """What would not hold if it alone went back."""
    too_many: set[str] = field(default_factory=set)
    """More would have to go back with it than anybody puts into one command."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EnvironmentPair:
    """Two environments that are compared, with what differs between their packages."""

    before: Environment
    after: Environment
    added: tuple[str, ...]
    """Names of packages, sorted."""
    removed: tuple[str, ...]
    changed: Mapping[str, Mapping[str, Change]]
    """By package, then by fact: ``version``, ``origin``, ``tags`` …"""
    changes: tuple[Change, ...]
    """All changes inside; the first two keys of each path lead here."""
    listing_gap: bool
    """The after side was not listed completely, or by an older extractor: a package that is absent may be there."""
    named: bool
    """The after side is one interpreter that was named, whichever comes first on ``PATH``."""

    @cached_property
    def graph_before(self) -> Graph:
        """Requirements on the before side."""
        return build(self.before)

    @cached_property
    def graph_after(self) -> Graph:
        """Requirements on the after side."""
        return build(self.after)

    @cached_property
    def news(self) -> frozenset[str]:
        """Packages that are new, or in another version than before."""
        return frozenset({*self.added, *(name for name, facts in self.changed.items() if "version" in facts)})

    @cached_property
    def repairs(self) -> Repairs:
        """What was worked out of repairs already: several findings can be about one package."""
        return Repairs()

    @property
    def same_requirements(self) -> bool:
        """Whether both sides surely have the same graph, told without building it."""
        return (
            self.before.packages == self.after.packages
            and (self.before.python and self.before.python.markers)
            == (self.after.python and self.after.python.markers)
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """What the baseline and the policy themselves are held to."""

    today: date
    """In UTC."""
    policy: Policy
    expired: tuple[Waiver, ...] = ()
    """Waivers that have expired."""
    unused: tuple[Waiver, ...] = ()
    """Waivers that cover nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Everything that a rule may look at."""

    before: Snapshot
    after: Snapshot
    pairs: tuple[EnvironmentPair, ...]
    changes: Mapping[tuple[str, str], tuple[Change, ...]]
    """By the first two keys of their path."""
    knowledge: Knowledge
    extends: str | None = None
    """Name of the baseline that the first side is, where the second has to keep all that is in it; it may have more."""
    states: bool = False
    """Whether states of the second side are judged as well as what changed."""
    gate: Gate | None = None
    """``None``: nobody verifies against a baseline, or what is found in it is not yet judged."""

    def at(self, fact_class: FactClass, key: str | None = None) -> tuple[Change, ...]:
        """Give the changes of a fact class, or of one key in it."""
        if key is not None:
            return self.changes.get((fact_class, key), ())
        return tuple(change for path, group in self.changes.items() if path[0] == fact_class for change in group)


def arrange(
    before: Snapshot, after: Snapshot, pairs: Iterable[Pair], changes: Iterable[Change], knowledge: Knowledge
) -> Comparison:
    """Arrange two snapshots, the pairs of their environments and their changes for the rules, which go by knowledge."""
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        groups.setdefault((change.path[0], change.path[1]), []).append(change)
    left = {environment.id: environment for environment in before.environments}
    right = {environment.id: environment for environment in after.environments}
    return Comparison(
        before=before,
        after=after,
        pairs=tuple(
            _pair(left[pair.before], right[pair.after], groups.get(("environments", pair.before), ()), before, after)
            for pair in pairs
        ),
        changes={path: tuple(group) for path, group in groups.items()},
        knowledge=knowledge,
    )


def _pair(
    before: Environment, after: Environment, changes: Iterable[Change], before_side: Snapshot, after_side: Snapshot
) -> EnvironmentPair:
    added, removed = [], []
    changed: dict[str, dict[str, Change]] = {}
    # An environment of the after side that pairs with none may have the id that this one had before.
    inside = tuple(change for change in changes if len(change.path) > WHOLE_ENVIRONMENT)
    for change in inside:
        match change.path[2:], change.kind:
            case ("packages", name), "added":
                added.append(name)
            case ("packages", name), "removed":
                removed.append(name)
            case ("packages", name, fact), _:
                changed.setdefault(name, {})[fact] = change
    listing = ("environments", after.id, "packages")
    unread = {path for gap in after_side.gaps for path in factpath.listings(factpath.keys(gap.what, [after.id]))}
    return EnvironmentPair(
        before=before,
        after=after,
        changes=inside,
        added=tuple(added),
        removed=tuple(removed),
        changed=changed,
        named=after_side.subject.kind in {"python", "host"},
        listing_gap=after_side.reads_less(before_side, "environments")
        or any(listing[: len(path)] == path for path in unread),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A named judgement. The docstring of ``check`` is its manual page."""

    code: str
    """``RC101``; never used for anything else."""
    name: str
    """``package-upgraded``: reads well after "allow"."""
    level: Level
    """The lowest level at which it counts."""
    check: Callable[[Comparison], Iterator[Finding]]
    frameworks_count_earlier: bool = False
    """Whether a finding about a framework, or about what took one along, counts at the level ``framework`` already."""
    state: bool = False
    """It judges the second side alone, whatever the first is, and only where that is asked."""

    @property
    def manual(self) -> str:
        """The manual page, Markdown."""
        return inspect.getdoc(self.check) or ""

    def findings(self, comparison: Comparison) -> Iterator[Finding]:
        """Give this rule's findings, signed with its code, its name and their fingerprint."""
        if self.state and not comparison.states:
            return
        baseline = {pair.after.id: pair.before.id for pair in comparison.pairs}
        for draft in self.check(comparison):
            subject = draft.subject
            environment = subject.environment or ""
            if subject.kind != "environment":
                environment = baseline.get(environment, environment)
            key = (self.code, subject.kind, subject.name, environment)
            fingerprint = sha256("\0".join(key).encode("utf-8", "surrogatepass")).hexdigest()[:16]
            yield replace(draft, rule=self.code, name=self.name, fingerprint=fingerprint)


def finding(
    kind: SubjectKind,
    name: str,
    severity: Severity,
    message: str,
    *,
    environment: str | None = None,
    **fields: Any,
) -> Finding:
    """Write a finding; the rule signs it (:meth:`Rule.findings`)."""
    subject = FindingSubject(kind=kind, name=name, environment=environment)
    return Finding(fingerprint="", rule="", name="", severity=severity, subject=subject, message=message, **fields)
