"""What every route offers: a document to start from, and answers to wants."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Protocol

import msgspec

from reprocheck import __version__
from reprocheck.model.evidence import Answer, AnyWant, Document
from reprocheck.model.snapshot import Header

SECONDS = 60.0
"""How long one round of wants may take."""


class Session(Protocol):
    """A way into one target; used in rounds, since answers lead to questions."""

    @property
    def document(self) -> Document:
        """Header, subject and what the engine says; no answers yet (all of them, for saved evidence)."""
        ...

    def answer(self, wants: Sequence[AnyWant]) -> Answer | None:
        """Answer what this route can; ``None`` when it can answer nothing more."""
        ...


def started_as(executable: str, answer: Answer) -> Answer:
    """The first answer of a probe, with the name or path that the engine was given to start it."""
    if answer.process is None:
        return answer
    process = msgspec.structs.replace(answer.process, started_as=executable)
    return msgspec.structs.replace(answer, process=process)


def routed(document: Document, route: str, *, executed: bool = False, probe_sha256: str | None = None) -> Document:
    """A document whose route is known by now."""
    told = msgspec.structs.replace(document.header, route=route, executed=executed)
    return msgspec.structs.replace(document, header=told, probe_sha256=probe_sha256)


def header(target: str, route: str, *, executed: bool, time: float | None = None) -> Header:
    """The header of a capture that is made now, or that was made at ``time`` (seconds since the epoch)."""
    utc = datetime.timezone.utc
    moment = datetime.datetime.now(utc) if time is None else datetime.datetime.fromtimestamp(time, utc)
    return Header(
        captured_at=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        reprocheck=__version__,
        target=target,
        route=route,
        executed=executed,
    )
