"""Settings of the image or container, as the engine says (OCI image configuration)."""

from __future__ import annotations

from collections.abc import Sequence

from reprocheck.extractors import services
from reprocheck.extractors.base import Facts
from reprocheck.model.evidence import AnyWant, Evidence
from reprocheck.model.snapshot import Coverage, FactClass, Image

CLASS: FactClass = "image"
VERSION = 1


def wants(evidence: Evidence) -> Sequence[AnyWant]:
    """Of settings nothing: the engine has said them already."""
    return services.wants(evidence)


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
        notebook=engine.notebook,
    )
    return Facts(coverage=Coverage(state="complete"), fields={"image": image})
