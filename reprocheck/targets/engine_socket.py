"""Questions to an engine by a socket of this machine, with the standard library alone.

The SDK takes a tenth of a second to be imported, and an image in the engine's storage is read in little more.
"""

from __future__ import annotations

import re
import select
import socket
import time
import weakref
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any, TypeVar
from urllib.parse import quote

from reprocheck.errors import DataError
from reprocheck.model import codec
from reprocheck.targets.questions import ANSWER_SECONDS, Missing, Unanswered, lost, refused

T = TypeVar("T")

_OK = 200
# An engine sends whoever asks for /containers/../x to /x; what it has bears no such names.
_NOT_THERE = frozenset({301, 404})
_NO_ENGINE = "is it a container engine?"
_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")


class EngineSocket:
    """The questions of :class:`~reprocheck.targets.questions.Questions`, one after the other on one connection."""

    def __init__(self, path: str, *, seconds: float = ANSWER_SECONDS) -> None:
        """Connect, and ask for the version of the API (Docker Engine API, "Ping").

        Args:
            path: of the socket.
            seconds: that each answer may take as a whole.

        Raises:
            OSError, HTTPException, Unanswered: no engine answers.
        """
        self._seconds = seconds
        self._connection = _Connection(path, seconds)
        weakref.finalize(self, self._connection.close)
        response, body = self._get("/_ping")
        if response.status != _OK:
            raise Unanswered(_refusal(response, body))
        self.version = response.headers.get("Api-Version", "")
        if not _VERSION.fullmatch(self.version):
            raise Unanswered("what answers is no container engine (it names no Api-Version)")

    def image(self, reference: str) -> dict[str, Any]:
        """``GET /images/{name}/json``."""
        return self._ask(f"/images/{_quoted(reference)}/json", dict[str, Any])

    def history(self, image_id: str) -> list[dict[str, Any]]:
        """``GET /images/{name}/history``."""
        return self._ask(f"/images/{_quoted(image_id)}/history", list[dict[str, Any]])

    def container(self, name: str) -> dict[str, Any]:
        """``GET /containers/{id}/json``."""
        return self._ask(f"/containers/{_quoted(name)}/json", dict[str, Any])

    def info(self) -> dict[str, Any]:
        """``GET /info``."""
        return self._ask("/info", dict[str, Any])

    def _ask(self, path: str, type_: type[T]) -> T:
        try:
            response, body = self._get(f"/v{self.version}{path}")
        except TimeoutError as error:
            raise Unanswered(f"the engine did not answer within {self._seconds:g} s; try again") from error
        except (HTTPException, OSError) as error:
            raise Unanswered(lost(error)) from error
        if response.status in _NOT_THERE:
            raise Missing(_refusal(response, body))
        if response.status != _OK:
            raise Unanswered(_refusal(response, body))
        try:
            return codec.decode(body, type_, "the engine's answer", advice=_NO_ENGINE)
        except DataError as error:
            raise Unanswered(str(error)) from error

    def _get(self, path: str) -> tuple[HTTPResponse, bytes]:
        """A response and its body."""
        connection = self._connection
        try:
            connection.begin()
            connection.request("GET", path)
            response = connection.getresponse()
            body = _body(response)
        except BaseException:
            # What is left of an answer must not be taken for the next one.
            connection.close()
            raise
        return response, body


def _body(response: HTTPResponse) -> bytes:
    """Of which little more is read than the codec would take."""
    body = bytearray()
    # Not by read(), which believes whatever length a chunk claims, negative ones too.
    while piece := response.read1(1 << 16):
        body += piece
        if len(body) > codec.MAX_BYTES:
            raise Unanswered(f"the engine's answer has more than {codec.MAX_BYTES >> 20} MiB; {_NO_ENGINE}")
    if response.length:
        raise IncompleteRead(b"", response.length)
    response.close()  # the connection stays open
    return bytes(body)


class _Connection(HTTPConnection):
    """HTTP over a socket of this machine."""

    sock: _Socket | None

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost")
        self._path, self._seconds = path, seconds

    def begin(self) -> None:
        """Be ready for a question: from now on the time runs."""
        if self.sock is not None and self.sock.ended():
            self.close()
        if self.sock is None:
            self.sock = _Socket(self._path, self._seconds)
        self.sock.deadline = time.monotonic() + self._seconds


class _Socket(socket.socket):
    """A socket that waits until a deadline, however small the pieces in which an answer comes."""

    deadline = 0.0

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.settimeout(seconds)
            self.connect(path)
        except BaseException:
            self.close()
            raise

    def recv_into(self, *args: Any, **named: Any) -> int:
        """Receive some bytes.

        Raises:
            TimeoutError: none came before the deadline.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left)
        return super().recv_into(*args, **named)

    def ended(self) -> bool:
        """Whether the engine has closed it: one that was not asked says nothing, so what can be read is the end."""
        waiting = select.poll()
        waiting.register(self, select.POLLIN)
        return bool(waiting.poll(0))


def _quoted(name: str) -> str:
    return quote(name, safe="/:", errors="surrogateescape")


def _refusal(response: HTTPResponse, body: bytes) -> str:
    """What the engine says of an error (Docker Engine API, "Errors": ``{"message": …}``)."""
    try:
        said = codec.decode(body, dict[str, Any], "")["message"]
    except (DataError, KeyError):
        said = body.decode("utf-8", "replace")
    return refused(str(said).strip() or f"status {response.status} {response.reason}")
