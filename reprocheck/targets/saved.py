"""``evidence:``: evidence collected elsewhere, by ``capture --evidence`` or by the bare probe."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from reprocheck.errors import DataError, TargetError
from reprocheck.model import codec
from reprocheck.model.evidence import SCHEMA, Answer, AnyWant, Document
from reprocheck.model.snapshot import Subject
from reprocheck.targets import probe
from reprocheck.targets.address import Address
from reprocheck.targets.session import header

_FRAME = re.compile(rb"\n(reprocheck-evidence-[0-9a-f]{64}) begin (\d{1,10})\r?\n")


class SavedSession:
    """Replays what was collected; it can answer nothing new."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def answer(self, wants: Sequence[AnyWant]) -> Answer | None:  # noqa: ARG002 - the protocol's shape
        """Nothing: the target is not here."""
        return None


def is_evidence(raw: bytes) -> bool:
    """Whether the contents of a file are evidence, by their looks."""
    return _FRAME.search(raw) is not None or (
        raw.lstrip().startswith(b"{") and SCHEMA.encode() in raw[:200] + raw[-200:]
    )


def load_evidence(path: Path) -> Document:
    """Read an evidence file: a saved document, or the probe's output with whatever noise stands around it.

    Raises:
        DataError: neither, cut, or damaged.
    """
    raw = codec.read_file(path)
    # A terminal in between (docker exec -t) ends lines its own way; nothing of ours holds a carriage return.
    frames = _FRAME.findall(raw := raw.replace(b"\r\n", b"\n"))
    if not frames:
        document = codec.decode(raw, Document, str(path), SCHEMA)
        try:
            probe.check_bytes(document.answers)
        except UnicodeEncodeError as error:
            raise DataError(f"{path}: holds text where bytes belong; was it edited? ({error})") from error
        return document
    if len(frames) > 1:
        raise DataError(f"{path}: holds the output of {len(frames)} probe runs; keep one in a file")
    return _by_hand(path, raw)


def _by_hand(path: Path, raw: bytes) -> Document:
    begin = _FRAME.search(raw)
    if begin is None:
        raise DataError(f"{path}: no evidence in it")
    length, tail = int(begin[2]), b"\n" + begin[1] + b" end"
    packed = raw[begin.end() : begin.end() + length]
    if len(packed) < length or not raw.startswith(tail, begin.end() + length):
        raise DataError(f"{path}: the evidence is cut or damaged; run the probe again")
    try:
        answer = probe.unpack(packed, str(path))
    except TargetError as error:
        raise DataError(str(error)) from error
    return Document(
        header=header(str(Address("evidence", str(path))), "probe", executed=True, time=answer.time),
        subject=Subject(kind="evidence", name=path.name),
        answers=(answer,),
    )
