"""The policy: what a project asks of its environments, and what it tolerates.

A TOML file: `reprocheck.toml`, or the table `[tool.reprocheck]` of `pyproject.toml`. What is left out is as if there
were no policy; what stands on the command line wins.
"""

from __future__ import annotations

import datetime
from typing import Literal

from reprocheck.model.report import Level, Severity, Threshold
from reprocheck.model.snapshot import Model

Ignorable = Literal["system", "os_packages", "accelerator", "machine", "variables", "image"]


class Waiver(Model, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finding that is tolerated for some time, and why."""

    rule: str
    """The rule's code or name."""
    subject: str
    """What the finding is about, as reports name it; or a pattern with ``*``, ``?`` and ``[…]``, which says more than
    that anything will do. Names of Python packages may be spelt in any way (PEP 503)."""
    environment: str | None = None
    """Id of the environment on the second side; default: any."""
    before: str | None = None
    """The finding's ``before``; default: any."""
    after: str | None = None
    """The finding's ``after``; default: any. With it, another version is another decision."""
    reason: str
    """Why it is tolerated, for whoever reads the report."""
    expires: datetime.date
    """The last day on which it waives, in UTC."""

    @property
    def title(self) -> str:
        """``RC101 protobuf``, with the versions where it names some."""
        versions = f" {self.before or '…'} → {self.after or '…'}" if self.before or self.after else ""
        return f"{self.rule} {self.subject}{versions}"


class Policy(Model, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a project tolerates."""

    fail_on: Threshold | None = None
    """Findings of this severity and above fail; default: ``major``."""
    level: Level | None = None
    """What has to agree; default: what suits the two sides."""
    no_exec: bool = False
    """Run nothing of a target, whatever it costs."""
    severity: dict[str, Severity] = {}  # noqa: RUF012 - msgspec copies it for each instance
    """The severity of each finding of a rule, by the rule's code or name: ``package-upgraded = "info"``."""
    extends: str | None = None
    """A baseline, relative to the policy's own directory: a target must keep all packages that are locked in it, in
    their versions, and may have others besides."""
    ignore: tuple[Ignorable, ...] = ()
    """Fact classes that are not compared, and whose gaps don't count."""
    practice: bool = False
    """Judge how the target is run, too: as root, with SSH, an open Jupyter, without limits, GPUs or volumes."""
    require: tuple[str, ...] = ()
    """Paths of facts that must be known, whatever the level: ``machine.driver``,
    ``environments[/opt/venv].packages[numpy].requires``. With a gap in one, ``verify`` ends unverified."""
    max_baseline_age_days: int | None = None
    """How old a baseline may be; default: any age."""
    knowledge: tuple[str, ...] = ()
    """Files of your own knowledge, relative to the policy's directory, in the format of the one that ships."""
    waiver: tuple[Waiver, ...] = ()
    """Findings that are tolerated, ``[[waiver]]`` each."""
