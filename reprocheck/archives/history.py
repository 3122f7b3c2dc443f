"""Which instruction made which layer (OCI image configuration, ``history``)."""

from __future__ import annotations

from collections.abc import Sequence

from reprocheck import redact
from reprocheck.archives.manifest import HistoryEntry

_EMPTY = frozenset(
    {"ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "SHELL"}
    | {"STOPSIGNAL", "USER", "VOLUME"}
)
"""Instructions that make no layer."""


def instructions(history: list[tuple[str, int]], layers: int) -> list[tuple[str | None, int | None]]:
    """Instruction and size of each layer, from the history, oldest entry first.

    The engine's API leaves out ``empty_layer`` (OCI image configuration, ``history``), so which entry made
    a layer is worked out: bytes mean a layer, settings mean none, and any other instruction of no bytes
    (``WORKDIR``, a ``RUN`` that changed nothing) goes either way. Where that does not come out even, the
    layers below the first and above the last doubtful entry are still certain; of the others nothing is
    claimed.
    """
    entries = [(redact.instruction(text), size) for text, size in history]
    entries = [(text, size) for text, size in entries if size > 0 or _word(text) not in _EMPTY]
    certain = [entry for entry in entries if entry[1] > 0]
    if layers in {len(entries), len(certain)}:
        return list(entries if layers == len(entries) else certain)
    doubtful = [position for position, (_, size) in enumerate(entries) if size == 0]
    if not doubtful or not len(certain) < layers < len(entries):
        return [(None, None)] * layers
    below, above = entries[: doubtful[0]], entries[doubtful[-1] + 1 :]
    return [*below, *[(None, None)] * (layers - len(below) - len(above)), *above]


def from_config(history: Sequence[HistoryEntry], layers: int) -> tuple[str | None, ...] | None:
    """Instruction of each layer, from the history of an image configuration, secrets masked.

    It says of each entry whether it made a layer. ``None`` where that does not come out even: the specification
    leaves the history optional, and tools that cut or add layers don't always keep it.
    """
    made = [entry for entry in history if not entry.empty_layer]
    if len(made) != layers:
        return None
    return tuple(redact.instruction(entry.created_by or "") for entry in made)


def _word(instruction: str | None) -> str:
    return (instruction or "").partition(" ")[0].upper()
