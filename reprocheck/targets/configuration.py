"""The settings of an image or container as facts, secrets withheld (OCI image configuration, ``config``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reprocheck import redact
from reprocheck.targets.started import notebook


def settings(
    *,
    user: str | None,
    entrypoint: Sequence[str],
    cmd: Sequence[str],
    env: Sequence[str] | None,
    exposed_ports: Iterable[str] | None,
    labels: Mapping[str, str] | None,
    volumes: Iterable[str] | None,
    workdir: str | None,
) -> dict[str, Any]:
    """Fields of :class:`reprocheck.model.evidence.EngineFacts`."""
    return {
        "user": user or "",
        "entrypoint": redact.command(entrypoint),
        "cmd": redact.command(cmd),
        "command_sha256": redact.command_digest(entrypoint, cmd),
        "exposed_ports": tuple(sorted(exposed_ports or ())),
        "labels": redact.labels(labels or {}),
        "volumes": tuple(sorted(volumes or ())),
        "workdir": workdir or "",
        "notebook": notebook([*entrypoint, *cmd], variable(env, "JUPYTER_TOKEN")),
        "variables": redact.variables(env or []),
    }


def variable(env: Sequence[str] | None, name: str) -> str | None:
    """A configured variable, for use here: it goes into no evidence."""
    values = [value for key, _, value in (setting.partition("=") for setting in env or ()) if key == name]
    return values[-1] if values else None
