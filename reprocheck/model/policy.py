"""The policy: what a project asks of its environments, and what it tolerates.

A TOML file: `reprocheck.toml`, or the table `[tool.reprocheck]` of `pyproject.toml`. What is left out is as if there
were no policy; what stands on the command line wins.
"""

from __future__ import annotations

from reprocheck.model.report import Level, Severity, Threshold
from reprocheck.model.snapshot import Model


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
