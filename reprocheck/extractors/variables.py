"""Variables of the configuration: allow-listed ones with their value, others by name alone."""

from __future__ import annotations

from collections.abc import Sequence

from reprocheck.extractors.base import Facts
from reprocheck.extractors.configuration import configured_variables
from reprocheck.model.evidence import AnyWant, Evidence, Process
from reprocheck.model.snapshot import Coverage, FactClass, Gap
from reprocheck.redact import ALLOWED_VARIABLES, tokens

CLASS: FactClass = "variables"
VERSION = 1


def wants(evidence: Evidence) -> Sequence[AnyWant]:  # noqa: ARG001 - the shape of an extractor
    """The process's own variables: they count where no engine says what was configured."""
    return [Process(variables=ALLOWED_VARIABLES)]


def read(evidence: Evidence) -> Facts:
    """The variables, by name."""
    if evidence.document.subject.kind == "rootfs":
        return Facts(coverage=Coverage(state="not-applicable"))
    if evidence.engine is None and evidence.process is None:
        reason = "neither an engine nor a process says"
        where = evidence.document.header.target
        return Facts(coverage=Coverage(state="not-read"), gaps=(Gap(what=CLASS, where=where, reason=reason),))
    configured = sorted(configured_variables(evidence).items())
    variables = {name: None if value is None else tokens(value) for name, value in configured}
    return Facts(coverage=Coverage(state="complete"), fields={"variables": variables})
