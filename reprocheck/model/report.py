"""The report: findings, gaps and the verdict (schema ``reprocheck.report/1``). A document first, a picture second."""

from __future__ import annotations

from typing import Literal

from reprocheck.model.snapshot import DigestsChecked, FactClass, Gap, Model, Note

SCHEMA = "reprocheck.report/1"

Severity = Literal["breaking", "major", "minor", "info"]
SEVERITIES: tuple[Severity, ...] = ("breaking", "major", "minor", "info")
"""Worst first."""
Threshold = Literal["breaking", "major", "minor", "info", "never"]
Level = Literal["framework", "packages", "stack", "machine", "bits"]
LEVELS: tuple[Level, ...] = ("framework", "packages", "stack", "machine", "bits")
"""Each includes the ones before it."""
Verdict = Literal["verified", "drift", "unverified"]
SubjectKind = Literal[
    "python-package",
    "conda-package",
    "os-package",
    "os",
    "python",
    "environment",
    "cuda",
    "variable",
    "image-config",
    "file",
    "driver",
    "device",
    "machine",
    "container",
    "baseline",
    "waiver",
]


class FindingSubject(Model, frozen=True, kw_only=True):
    """What a finding is about."""

    kind: SubjectKind
    """What sort of thing it is."""
    name: str
    """The thing itself: `protobuf`, `LD_LIBRARY_PATH`, `port 8888/tcp`."""
    environment: str | None = None
    """Id of the environment on the ``after`` side (on the ``before`` side where it is gone)."""


class RequirementCheck(Model, frozen=True, kw_only=True):
    """One installed distribution's requirement on the subject, judged on both sides."""

    by: str
    """Normalised name of the distribution that requires the subject."""
    by_version: str
    """Its installed version, on the ``after`` side."""
    specifier: str
    """PEP 440 specifier set; empty when any version will do."""
    marker: str | None = None
    """Environment marker (PEP 508) of the requirement, verbatim."""
    extra: str | None = None
    """The extra of ``by`` that brings the requirement in; ``None``: it always applies."""
    allows_before: bool | None = None
    """``None``: there is no version on that side, or it can't be parsed."""
    allows_after: bool | None = None
    """As ``allows_before``."""
    extras: tuple[str, ...] = ()
    """Extras of the subject that it asks for."""
    new: bool = False
    """Whether the ``before`` side has no such requirement."""
    missing: bool = False
    """Whether the subject is not installed on the ``after`` side."""


class IntroducedBy(Model, frozen=True, kw_only=True):
    """The layer that brought the change."""

    layer: int
    """From 1, as people count; one more than there are: the container itself, above its image."""
    layers: int
    """How many layers the target's image has."""
    diff_id: str | None
    """Digest of the uncompressed layer (OCI image configuration, ``rootfs``); ``None`` for the container itself."""
    instruction: str | None = None
    """The Dockerfile instruction, secrets masked."""
    time: str | None = None
    """When the container wrote it, as far as its storage tells; UTC, RFC 3339."""


class Fix(Model, frozen=True, kw_only=True):
    """A repair that violates no other installed requirement."""

    summary: str
    """What to do, in words."""
    commands: tuple[str, ...] = ()
    """Commands that do it; empty where no command surely would."""
    avoid: str | None = None
    """What comes to mind first and would not do, and why."""


class Break(Model, frozen=True, kw_only=True):
    """A known break that a change completed."""

    name: str
    """Name of its row in the knowledge."""
    package: str
    """Normalised name of the distribution that stops working."""
    version: str
    """Its installed version, on the ``after`` side."""
    effect: str
    """``import-fails``, ``run-fails``, ``wrong-results``, ``no-gpu``, ``install-fails``, ``conflict``, ``warning``,
    ``api-removed``."""
    fails: bool
    """Whether what is installed fails, whoever uses it; otherwise it depends on what is asked of it."""
    because: str
    """Why, in a few words."""
    allowed: str | None = None
    """The requirement of the package that allows it on paper; ``None``: none does."""
    seen: str | None = None
    """The day on which it was seen, ISO 8601; ``None``: it is reported, not seen."""
    source: str
    """Where it is reported."""


class Waived(Model, frozen=True, kw_only=True):
    """A waiver that applies."""

    reason: str
    """The words of whoever waived it."""
    expires: str
    """Date, ISO 8601."""


class Finding(Model, frozen=True, kw_only=True):
    """A change or a state that a rule has judged."""

    fingerprint: str
    """Stable hash of rule, subject and environment name."""
    rule: str
    """``RC101``."""
    name: str
    """``package-upgraded``."""
    severity: Severity
    """``breaking``: known or shown not to work."""
    own_severity: Severity | None = None
    """The rule's own judgement, where the policy gives another severity; ``None``: the policy gives none."""
    subject: FindingSubject
    before: str | None = None
    """The fact on the first side; ``None``: absent, or withheld."""
    after: str | None = None
    """The fact on the second side."""
    details: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it for each instance
    """Further facts of the rule, by name."""
    message: str
    """One line, understandable alone."""
    evidence: tuple[str, ...] = ()
    """The requirements and lines that the judgement rests on, one sentence each."""
    introduced_by: IntroducedBy | None = None
    from_base: bool | None = None
    """Whether it comes from the base image; ``None``: no base was named, or it can't be told."""
    required_by: tuple[str, ...] = ()
    """Who requires the subject, on the ``after`` side."""
    suffers: tuple[str, ...] = ()
    """Whose requirement is now violated."""
    pulled_by: tuple[str, ...] = ()
    """New or changed packages whose requirement excludes ``before``: who dragged it in."""
    paths: tuple[tuple[str, ...], ...] = ()
    """From what was asked for to the subject."""
    requirements: tuple[RequirementCheck, ...] = ()
    breaks: tuple[Break, ...] = ()
    """Known breaks that the change completed, the surest first."""
    chain: tuple[str, ...] = ()
    """From what was asked for to what fails, one sentence a step; empty where nobody dragged the change along."""
    why: tuple[str, ...] = ()
    """Why it is likely to be the cause of a failure, the surest reason first; findings are ordered by these."""
    expect: str | None = None
    """The error to expect, as of a module that lacks a shared library; ``None`` where it is not known."""
    fix: Fix | None = None
    waived: Waived | None = None


class MadeBy(Model, frozen=True, kw_only=True):
    """Who judged, and when."""

    reprocheck: str
    """Its version."""
    knowledge: str | None = None
    """Version of the knowledge that was used; ``None``: none was."""
    date: str
    """UTC, ISO 8601."""


class Side(Model, frozen=True, kw_only=True):
    """One side of the comparison."""

    name: str
    """Name for people: the file of a baseline, else the target without its kind."""
    target: str
    """The target as ``KIND:VALUE``."""
    kind: str
    """Kind of the target."""
    image_id: str | None = None
    """The engine's id of the image, for images and containers."""
    digest: str | None = None
    """SHA-256 of the file, for a baseline."""
    route: str
    """As ``header.route`` of the snapshot."""
    executed: bool
    """Whether anything of the target was run."""
    checked: DigestsChecked | None = None
    """As ``header.checked`` of the snapshot."""


class Base(Model, frozen=True, kw_only=True):
    """The base image that was named (``--base``)."""

    side: Side
    """What was named, and how it was read."""
    layers: int | None = None
    """How many layers it has; ``None``: it has none that are known, and only what it holds can be compared."""
    shared: int | None = None
    """How many of them, from the lowest up, the target has as well (OCI image configuration, ``rootfs``): all of them
    where it was built on the base. ``None``: layers of the target or of the base are not known."""
    remarks: tuple[str, ...] = ()
    """Why layers alone don't tell what comes from it; that it moved between the two sides."""
    findings: int = 0
    """Number of unwaived findings that come from it."""
    others: int = 0
    """Number of unwaived findings that do not."""
    untold: int = 0
    """Number of unwaived findings of which neither can be told."""


class PolicyUsed(Model, frozen=True, kw_only=True):
    """The policy by which it was judged."""

    name: str
    """Its file."""
    digest: str
    """SHA-256 of the file."""
    ignored: tuple[FactClass, ...] = ()
    """Fact classes that it left out."""
    extends: Side | None = None
    """The baseline whose packages have to be kept; ``None``: it extends none."""


class Pair(Model, frozen=True, kw_only=True):
    """Two environments that were compared with each other."""

    before: str
    """Id of the environment on the first side."""
    after: str
    """Id of the environment on the second side."""
    rule: str
    """``--env``, ``on PATH``, ``named`` (as an interpreter), ``same id``, ``same kind and Python``, ``lone``."""


class LevelReached(Model, frozen=True, kw_only=True):
    """How far the two sides agree."""

    asked: Level
    """The level that was verified."""
    reached: Level | None
    """The highest level at which nothing at or above the threshold stands; ``None``: not even ``framework``."""
    blocked_by: tuple[str, ...] = ()
    """Fingerprints of the findings (or fact paths of gaps) that stand before the next level."""


class Summary(Model, frozen=True, kw_only=True):
    """Counts of unwaived findings by severity, of waived ones, of gaps."""

    breaking: int = 0
    """Number of unwaived findings of this severity."""
    major: int = 0
    """Number of unwaived findings of this severity."""
    minor: int = 0
    """Number of unwaived findings of this severity."""
    info: int = 0
    """Number of unwaived findings of this severity."""
    waived: int = 0
    """Number of findings that a waiver covers."""
    gaps: int = 0
    """Number of gaps, of both sides."""


class Checked(Model, frozen=True, kw_only=True):
    """What was compared, for the reader of a clean report."""

    python: tuple[str, ...] = ()
    """Versions of the interpreters compared, second side."""
    python_packages: int = 0
    """Distributions of the first side, in paired environments."""
    python_packages_unchanged: int = 0
    """Of these, the ones with the same version and origin on the second side."""
    conda_packages: int = 0
    """Packages that conda installed, of the first side, in paired environments; 0 where they were not compared."""
    os_packages: int = 0
    """OS packages of the second side; 0 where they were not compared."""
    classes: tuple[str, ...] = ()
    """Fact classes that both sides had read."""
    not_asked: tuple[str, ...] = ()
    """What was not looked at, one remark each."""


class Report(Model, frozen=True, kw_only=True):
    """Findings, gaps and the verdict."""

    schema: str = SCHEMA
    made_by: MadeBy
    verdict: Verdict
    """What the exit code says, before ``--fail-on never`` forgives."""
    threshold: Threshold
    """Findings of this severity and above fail."""
    level: LevelReached
    failing: tuple[str, ...] = ()
    """Fingerprints of the findings that fail, then fact paths of the gaps that count: why it is not `verified`."""
    baseline: Side
    """The first side."""
    target: Side
    """The second side."""
    base: Base | None = None
    """``None``: none was named."""
    policy: PolicyUsed | None = None
    """``None``: there was none."""
    pairs: tuple[Pair, ...] = ()
    summary: Summary
    checked: Checked
    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[Note, ...] = ()
