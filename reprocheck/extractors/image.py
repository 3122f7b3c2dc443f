"""Settings of the image or container, as the engine says (OCI image configuration)."""

from __future__ import annotations

from collections.abc import Sequence

from reprocheck.extractors.base import Facts
from reprocheck.model.evidence import AnyWant, Evidence
from reprocheck.model.snapshot import Coverage, FactClass, Image

CLASS: FactClass = "image"
VERSION = 1


def wants(evidence: Evidence) -> Sequence[AnyWant]:  # noqa: ARG001 - the shape of an extractor
    """Nothing: the engine has said it already."""
    return []


def read(evidence: Evidence) -> Facts:
    """The settings; not applicable where there is no image."""
    engine = evidence.engine
    if engine is None:
        return Facts(coverage=Coverage(state="not-applicable"))
    image = Image(
        user=engine.user,
        entrypoint=engine.entrypoint,
        cmd=engine.cmd,
        command_sha256=engine.command_sha256,
        exposed_ports=engine.exposed_ports,
        labels=dict(sorted(engine.labels.items())),
        volumes=engine.volumes,
        workdir=engine.workdir,
    )
    return Facts(coverage=Coverage(state="complete"), fields={"image": image})
