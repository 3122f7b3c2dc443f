"""An audit: known vulnerabilities of a target's Python packages, and what could not be audited.

Written by ``reprocheck audit`` (schema ``reprocheck.audit/1``). ``None`` means that there is none, or that it can't be
told; sequences are sorted.
"""

from __future__ import annotations

from typing import Literal

from reprocheck.model.report import IntroducedBy, MadeBy, Side
from reprocheck.model.snapshot import Gap, Model, Note

SCHEMA = "reprocheck.audit/1"

AuditVerdict = Literal["clean", "vulnerable", "unaudited"]
Since = Literal["new", "known"]


class AdvisoryService(Model, frozen=True, kw_only=True):
    """Who was asked."""

    kind: Literal["package index", "OSV server", "OSV files"]
    """What sort of service it is."""
    place: str | None = None
    """Address of the server, without credentials, or path of the directory or archive."""
    advisories: int | None = None
    """How many advisories about Python packages the files hold."""
    newest: str | None = None
    """Day on which the last of them was changed, ISO 8601: what became known later is not in them."""


class Refusal(Model, frozen=True, kw_only=True):
    """An installed package that requires another version."""

    by: str
    """Its normalised name."""
    by_version: str
    """Its installed version."""
    extra: str | None = None
    """The extra of ``by`` that brings the requirement in."""
    requirement: str
    """What it asks for: ``urllib3<1.27,>=1.21.1``."""


class FixedVersion(Model, frozen=True, kw_only=True):
    """A later version in which a vulnerability is fixed."""

    version: str
    """As the advisory has it, normalised (PEP 440)."""
    refused_by: tuple[Refusal, ...] = ()
    """Empty: the installed requirements allow it. What the fixed version itself requires is not known here."""


class Vulnerability(Model, frozen=True, kw_only=True):
    """One vulnerability, under all its names."""

    id: str
    """That of the Python Packaging Advisory Database where it has one (``PYSEC-…``), else a CVE, else another."""
    aliases: tuple[str, ...] = ()
    """Its other names."""
    summary: str = ""
    """What its advisory says, in one line; its author's words."""
    fixed_in: tuple[FixedVersion, ...] = ()
    """Later versions in which it is fixed; empty: none is known."""
    since: Since | None = None
    """``known``: the baseline has the same vulnerability in the same package; ``None``: there is no baseline."""


class VulnerablePackage(Model, frozen=True, kw_only=True):
    """One installed package with known vulnerabilities."""

    environment: str
    """Id of its environment."""
    name: str
    """Normalised (PEP 503)."""
    version: str
    """Verbatim; what stands behind a ``+`` is not looked at: a local build is taken for its release."""
    location: str
    """As ``Package.location`` of the snapshot."""
    introduced_by: IntroducedBy | None = None
    """The layer that first brought this version."""
    repair: FixedVersion | None = None
    """The lowest version in which the service knows none of them, of those that the installed requirements allow where
    there is one; ``None``: no version is known."""
    unjudged: tuple[str, ...] = ()
    """Installed packages whose requirement on it can't be judged: they may refuse any version."""
    vulnerabilities: tuple[Vulnerability, ...]
    """By id."""


class GoneVulnerability(Model, frozen=True, kw_only=True):
    """What the baseline has and the target does not have any more."""

    id: str
    """As ``Vulnerability.id``."""
    aliases: tuple[str, ...] = ()
    """Its other names."""
    name: str
    """Normalised name of the package."""
    version: str
    """Its version in the baseline."""


class AuditSummary(Model, frozen=True, kw_only=True):
    """Counts; a package that stands in two environments counts twice."""

    packages: int
    """Python packages of the target that Python takes."""
    unaudited: int
    """Of these, the ones that were not audited, or not in whole."""
    vulnerable: int
    """Of these, the ones with known vulnerabilities."""
    vulnerabilities: int
    """Known vulnerabilities of all of them."""
    new: int | None = None
    """Those that the baseline does not have; ``None``: no baseline."""
    gone: int | None = None
    """Those that the target does not have any more; ``None``: no baseline."""
    gaps: int = 0
    """Number of gaps."""


class OutOfScope(Model, frozen=True, kw_only=True):
    """What no advisory was looked for."""

    os_packages: int = 0
    """Packages of the operating system."""
    conda_packages: int = 0
    """What conda installed; a Python package among it is audited as such."""


class Audit(Model, frozen=True, kw_only=True):
    """What is known of a target's Python packages."""

    schema: str = SCHEMA
    made_by: MadeBy
    verdict: AuditVerdict
    """``unaudited`` as soon as one package was not audited, whatever was found in others; with a baseline,
    ``vulnerable`` for a new vulnerability alone."""
    service: AdvisoryService
    target: Side
    """What was audited."""
    baseline: Side | None = None
    """What it was compared with."""
    summary: AuditSummary
    vulnerable: tuple[VulnerablePackage, ...] = ()
    """By name and environment."""
    gone: tuple[GoneVulnerability, ...] = ()
    """By package and id."""
    gaps: tuple[Gap, ...] = ()
    """What was not audited, and why."""
    notes: tuple[Note, ...] = ()
    """Where no environment was searched for, and why not."""
    out_of_scope: OutOfScope = OutOfScope()
