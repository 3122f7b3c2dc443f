"""The host's end of a conversation with the probe: how it is started, and how its answers are read.

An answer is believed only between its markers and at its full length; whatever else the target prints
is noise, bounded in size, and the whole exchange is bounded in time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
import time
import zlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Protocol

import msgspec

from reprocheck.errors import TargetError
from reprocheck.model.evidence import Answer, AnyWant
from reprocheck.targets.session import SECONDS

NOISE_LIMIT = 4 << 20
"""Bytes that a target may print beside its answers."""
FRAME_LIMIT = 64 << 20
"""Bytes of one packed answer."""
ANSWER_LIMIT = 192 << 20
"""Bytes of one unpacked answer: a compressed bomb ends here."""
TOO_OLD_EXIT = 79
TOO_OLD_MARK = b"reprocheck-probe: Python is too old"


_PART = re.compile(rb"^from reprocheck\.probe\.(\w+) import .*\n", re.MULTILINE)


class Lost(Exception):  # noqa: N818 - an event of the conversation, never shown
    """The other end closed before a whole answer had come."""


class Channel(Protocol):
    """A byte stream to a probe process and back."""

    def send(self, data: bytes) -> None:
        """Write to the process's standard input."""

    def receive(self, timeout: float) -> bytes:
        """Some bytes of its standard output; empty at the end.

        Raises:
            TimeoutError: nothing came in time.
        """
        ...


@cache
def program() -> bytes:
    """The source of the probe: one program, its parts put in where it imports them."""
    folder = files("reprocheck.probe")
    source = folder.joinpath("collect.py").read_bytes()

    def part(found: re.Match[bytes]) -> bytes:
        # What it imports of another part stands before it.
        return _PART.sub(b"", folder.joinpath(f"{found[1].decode()}.py").read_bytes())

    return _PART.sub(part, source)


@cache
def sent() -> bytes:
    """The program as it is sent: small enough for a pipe to hold it, so that writing it waits for nobody."""
    return zlib.compress(program())


@cache
def program_sha256() -> str:
    """SHA-256 of the source of the probe, hex."""
    return hashlib.sha256(program()).hexdigest()


def arguments() -> list[str]:
    """What follows the interpreter on its command line: the program itself comes on standard input.

    ``-I -S -B``: isolated, without ``site``, without writing bytecode; so nothing of the target's own
    start-up (``.pth`` files, ``sitecustomize``, ``PYTHONSTARTUP``) runs.
    """
    read = f"getattr(sys.stdin, 'buffer', sys.stdin).read({len(sent())})"
    boot = f"import sys, zlib; exec(compile(zlib.decompress({read}), '<probe>', 'exec'))"
    return ["-I", "-S", "-B", "-c", boot]


class Conversation:
    """Rounds of wants and answers with one probe process."""

    def __init__(self, channel: Channel, name: str, seconds: float = SECONDS) -> None:
        self._channel = channel
        self._name = name
        self._seconds = seconds
        self._buffer = bytearray()
        self._started = False

    def ask(self, wants: Sequence[AnyWant]) -> Answer:
        """Put one round of wants.

        Raises:
            TargetError: no answer in time, or too much noise.
            Lost: the process ended without answering.
        """
        marker = secrets.token_hex(16)
        request = {"wants": wants, "marker": marker, "seconds": int(self._seconds) + 5}
        line = msgspec.json.encode(request)
        # The probe reads ASCII lines; json.dumps escapes the rest.
        packed = json.dumps(json.loads(line)).encode("ascii") + b"\n"
        try:
            self._channel.send(packed if self._started else sent() + packed)
        except TimeoutError:
            raise TargetError(self._late()) from None
        except OSError as error:
            raise Lost from error
        self._started = True
        return unpack(self._frame(marker[::-1].encode()), self._name)

    def _frame(self, marker: bytes) -> bytes:
        begin = re.compile(rb"\n" + marker + rb" begin (\d{1,10})\n")
        deadline = time.monotonic() + self._seconds
        while not (found := begin.search(self._buffer)):
            if len(self._buffer) > NOISE_LIMIT:
                raise TargetError(
                    f"{self._name}: its Python printed more than {NOISE_LIMIT >> 20} MiB that is no answer of "
                    "the probe; check what `python3` is there"
                )
            self._more(deadline)
        length = int(found[1])
        if length > FRAME_LIMIT:
            raise TargetError(f"{self._name}: an answer of {length} bytes is over the limit of {FRAME_LIMIT}")
        start, tail = found.end(), b"\n" + marker + b" end\n"
        try:
            while len(self._buffer) < start + length + len(tail):
                self._more(deadline)
        except Lost:
            raise Lost("ended in the middle of an answer") from None
        packed = bytes(self._buffer[start : start + length])
        if not self._buffer.startswith(tail, start + length):
            raise TargetError(f"{self._name}: the answer of the probe is damaged; try again")
        self._buffer.clear()
        return packed

    def _more(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TargetError(self._late())
        try:
            piece = self._channel.receive(left)
        except TimeoutError:
            raise TargetError(self._late()) from None
        except OSError as error:
            raise Lost from error
        if not piece:
            raise Lost
        self._buffer += piece

    def _late(self) -> str:
        return (
            f"{self._name}: its Python did not answer within {self._seconds:g} s; "
            "check what `python3` is there, or give it longer with --timeout"
        )


def unpack(packed: bytes, name: str) -> Answer:
    """Read a packed answer.

    Raises:
        TargetError: it is no base64 of zlib of JSON of an answer, or larger than the limit.
    """
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.b64decode(packed, validate=True), ANSWER_LIMIT)
        if not inflate.eof:
            raise TargetError(f"{name}: an answer is cut or over the limit of {ANSWER_LIMIT} bytes")
        answer = msgspec.json.decode(raw, type=Answer)
        check_bytes([answer])
    except (binascii.Error, zlib.error, msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise TargetError(f"{name}: the answer of the probe can't be read ({error})") from error
    return answer


def check_bytes(answers: Sequence[Answer]) -> None:
    """Bytes travel as Latin-1 text; a character beyond it came from nobody's probe.

    Raises:
        UnicodeEncodeError: there is one.
    """
    msgspec.json.encode(answers).decode("utf-8").encode("latin-1")


def too_old(exit_code: int | None, stderr: bytes) -> str | None:
    """The version that said it is too old, or a phrase for it; ``None`` when that is not what happened.

    Python 2.7 and older do not know ``-I``; 3.4 and 3.5 reach the gate of the probe, which gives both
    an exit code of its own and a line.
    """
    if exit_code == TOO_OLD_EXIT and TOO_OLD_MARK in stderr:
        said = stderr.split(TOO_OLD_MARK, 1)[1].split(b"\n")[0].strip(b": ")
        return said.decode("ascii", "replace")
    if b"Unknown option: -I" in stderr:
        return "2"
    return None


def too_old_message(name: str, version: str) -> str:
    """The line for a target that has no Python but one that is too old."""
    return f"{name}: its Python {version} is too old to be read; reprocheck collects on Python 3.6 and newer"
