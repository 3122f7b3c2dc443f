"""Programs among a container's processes that let others in, by their names alone: arguments may hold secrets."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import structs

from reprocheck.model.evidence import AnyWant, Evidence, Read
from reprocheck.model.snapshot import Container

_NAMES = "/proc/[0-9]*/comm"
_NAME = re.compile(r"/proc/\d+/comm")
_LET_IN = frozenset({"sshd", "dropbear", "vncserver", "Xvnc", "xrdp"})


def wants(evidence: Evidence) -> Sequence[AnyWant]:
    """The names of the processes of a container that runs."""
    engine = evidence.engine
    return [Read(at=_NAMES, limit=64)] if engine and engine.container and engine.state == "running" else []


def read(evidence: Evidence) -> Container | None:
    """How the container was started, with what runs in it; ``None``: it is none."""
    container = evidence.engine.container if evidence.engine else None
    if container is None:
        return None
    names = {evidence.content(path) for path in evidence.files if _NAME.fullmatch(path)} - {None}
    if not names:
        return container
    running = {(name or b"").decode("latin-1").strip() for name in names}
    return structs.replace(container, services=tuple(sorted(running & _LET_IN)))
