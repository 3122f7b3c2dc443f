"""Findings put together as people tell them: one story for each subject, harmless ones counted.

An upgrade of protobuf and the requirement that it violates are two findings and one story.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reprocheck.formats.words import BASE, counted, place_of
from reprocheck.model.report import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeVar

    from reprocheck.model.report import (
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
            return f"{self.subject.name} {change.after or '(version unknown)'} (added)"
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
            and finding.message != self.headline
        )

    @property
    def requirements(self) -> tuple[RequirementCheck, ...]:
        """Who requires the subject, violated ones first."""
        checks = _once(check for finding in self.findings for check in finding.requirements)
        return tuple(sorted(checks, key=lambda check: check.allows_after is not False))

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
