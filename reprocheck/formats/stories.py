"""Findings put together as people tell them: one story for each subject, harmless ones counted.

An upgrade of protobuf and the requirement that it violates are two findings and one story.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reprocheck.formats.words import BASE, counted, place_of
from reprocheck.model.report import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeVar

    from reprocheck.model.report import (
        Break,
        Finding,
        FindingSubject,
        Report,
        RequirementCheck,
        Severity,
    )

    T = TypeVar("T")

_NOUNS = {
    "python-package": ("package", "packages"),
    "conda-package": ("conda package", "conda packages"),
    "os-package": ("OS package", "OS packages"),
    "environment": ("environment", "environments"),
    "cuda": ("CUDA library", "CUDA libraries"),
    "variable": ("variable", "variables"),
    "image-config": ("image setting", "image settings"),
    "file": ("file", "files"),
    "device": ("device", "devices"),
    "waiver": ("waiver", "waivers"),
}
_VERSION_RULES = frozenset(
    {
        "package-upgraded",
        "package-downgraded",
        "package-version-changed",
        "package-added",
        "package-removed",
    }
)
"""Rules whose ``before`` and ``after`` are versions; of others they may be origins, builds, hashes."""


_LABELS = {
    "requirement-violated": "unmet since",
    "requirement-missing": "unmet since",
    "package-edited": "edited by",
    "conda-package-edited": "edited by",
    "os-package-edited": "edited by",
}
"""What a layer is to a subject, in a story that has more to tell of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """All that was found about one subject."""

    findings: tuple[Finding, ...]
    """At least one, the worst first, as the report orders them."""

    @property
    def subject(self) -> FindingSubject:
        """What it is about."""
        return self.findings[0].subject

    @property
    def severity(self) -> Severity:
        """The worst of its findings'."""
        return min((finding.severity for finding in self.findings), key=SEVERITIES.index)

    @property
    def rules(self) -> tuple[str, ...]:
        """The codes of the rules, each once."""
        return tuple(sorted({finding.rule for finding in self.findings}))

    @property
    def change(self) -> Finding | None:
        """The finding that tells the two versions of a package, if one does."""
        return next((finding for finding in self.findings if finding.name in _VERSION_RULES), None)

    @property
    def headline(self) -> str:
        """``protobuf 3.19.6 → 4.21.1, a major upgrade``."""
        change = self.change
        if change is None:
            return self.findings[0].message
        if change.before is None:
            added = f"{self.subject.name} {change.after or '(version unknown)'} (added)"
            return next((one.message for one in self.findings if one.message.startswith(f"{added}: ")), added)
        if change.after is None:
            return f"{self.subject.name} {change.before} (removed)"
        size = change.details.get("change")
        direction = change.name.rpartition("-")[2].removesuffix("d")
        told = f", a {size} {direction}" if size in {"major", "minor", "patch"} else ""
        return f"{self.subject.name} {change.before} → {change.after}{told}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """Messages that say what neither the headline nor the requirements say."""
        return _once(
            finding.message
            for finding in self.findings
            if finding.name not in _VERSION_RULES
            and not finding.name.startswith("requirement-")
            and not any(one.fails for one in finding.breaks)
            and finding.message != self.headline
        )

    @property
    def requirements(self) -> tuple[RequirementCheck, ...]:
        """Who requires the subject: those that are known to break first, then those whose requirement is violated."""
        checks = _once(check for finding in self.findings for check in finding.requirements)
        broken = {one.package for one in self.breaks}
        return tuple(sorted(checks, key=lambda check: (check.by not in broken, check.allows_after is not False)))

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """From what was asked for to the subject."""
        return _once(path for finding in self.findings for path in finding.paths)

    @property
    def pulled_by(self) -> tuple[str, ...]:
        """Who dragged the change in."""
        return _once(name for finding in self.findings for name in finding.pulled_by)

    @property
    def suffers(self) -> tuple[str, ...]:
        """Who can't live with it."""
        return _once(name for finding in self.findings for name in finding.suffers)

    @property
    def breaks(self) -> tuple[Break, ...]:
        """Known breaks because of which what is installed fails, the surest first."""
        return tuple(one for finding in self.findings for one in finding.breaks if one.fails)

    @property
    def chain(self) -> tuple[str, ...]:
        """From what was asked for to what fails; the findings of one subject tell the same, and then their own end."""
        return _once(step for finding in self.findings for step in finding.chain)

    @property
    def why(self) -> tuple[str, ...]:
        """Why it is likely to be the cause: what speaks for the surest of its findings."""
        return self.findings[0].why

    @property
    def authors(self) -> tuple[tuple[str, Finding], ...]:
        """The finding that knows the layer of it; behind it those of other layers that tell more of it, each labelled.

        A requirement may be unmet since a later layer, and the files edited in one. Where no layer is known, one
        finding may know whether it comes from the base image.
        """
        told: dict[int, tuple[str, Finding]] = {}
        head = self.change or self.findings[0]
        for finding in (head, *self.findings):
            if finding.introduced_by is not None:
                label = "brought by" if finding is head else _LABELS.get(finding.name, "brought by")
                told.setdefault(finding.introduced_by.layer, (label, finding))
        placed = (finding for finding in (head, *self.findings) if finding.from_base is not None)
        return tuple(told.values()) or tuple(("brought by", finding) for finding in placed)[:1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """Findings of one rule and of one origin, too harmless to be told one by one."""

    findings: tuple[Finding, ...]

    @property
    def sentence(self) -> str:
        """``17 packages added in layer 4: 4 asked for, 13 with them``."""
        first = self.findings[0]
        if len(self.findings) == 1:
            return first.message
        count = counted(len(self.findings), *_NOUNS.get(first.subject.kind, ("finding", "findings")))
        told = f"{count} {first.name.rpartition('-')[2]}"
        if first.introduced_by is not None:
            told += f" in {place_of(first.introduced_by)}"
        if first.from_base is not None:
            told += f", {BASE[first.from_base]}"
        asked = sum(finding.details.get("asked_for") == "true" for finding in self.findings)
        if 0 < asked < len(self.findings):
            told += f": {asked} asked for, {len(self.findings) - asked} with them"
        return told


def stories(report: Report) -> list[Story]:
    """Give the stories of everything that no waiver covers, in the report's order."""
    groups: dict[tuple[str, str, str | None], list[Finding]] = {}
    for finding in report.findings:
        if finding.waived is None:
            subject = finding.subject
            groups.setdefault((subject.kind, subject.name, subject.environment), []).append(finding)
    return [Story(findings=tuple(group)) for group in groups.values()]


def followers(told: Sequence[Story]) -> dict[int, list[Story]]:
    """Give, by the place of each story, those that whatever dragged it along dragged along as well.

    They are its consequences: nobody asked for them, and nothing of them fails by itself.
    """
    followed: dict[int, list[Story]] = {}
    taken: set[int] = set()
    for number, story in enumerate(told):
        if number in taken or not story.chain:
            continue
        causes = {story.subject.name, *story.pulled_by}
        for other_number, other in enumerate(told[number + 1 :], start=number + 1):
            if other_number in taken or other.subject.environment != story.subject.environment:
                continue
            if other.pulled_by and causes.issuperset(other.pulled_by) and not other.suffers and not other.breaks:
                causes.add(other.subject.name)
                taken.add(other_number)
                followed.setdefault(number, []).append(other)
    return followed


def folds(harmless: Iterable[Story]) -> Iterator[Fold]:
    """Fold stories that nobody has to read one by one."""
    groups: dict[tuple[str, str, str | None, bool | None], list[Finding]] = {}
    for story in harmless:
        for finding in story.findings:
            layer = finding.introduced_by.diff_id if finding.introduced_by else None
            groups.setdefault((finding.rule, finding.subject.kind, layer, finding.from_base), []).append(finding)
    for group in groups.values():
        yield Fold(findings=tuple(group))


def _once(items: Iterable[T]) -> tuple[T, ...]:
    kept: list[T] = []
    for item in items:
        if item not in kept:
            kept.append(item)
    return tuple(kept)
