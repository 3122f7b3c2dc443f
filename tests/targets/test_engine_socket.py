"""Questions to an engine by its socket: the real one, and servers that do not answer as they should."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

import docker
import pytest

from reprocheck.targets.engine_socket import EngineSocket
from reprocheck.targets.questions import Missing, Unanswered
from tests.targets.answering import CLOSED, PING, Answer, chunked, http, serving

SECONDS = 1.0
"""What is late is awaited so long."""


@pytest.fixture
def ask() -> Callable[..., Any]:
    """Ask for an image, after a ping that was answered well."""

    def asking(*answers: Answer) -> Any:
        with serving(PING, *answers) as (_, path):
            return EngineSocket(str(path)).image("x")

    return asking


@pytest.mark.engine
def test_the_engine_says_the_same_as_by_the_sdk(engine: docker.DockerClient, image: Callable[[str], str]) -> None:
    by_sdk = docker.APIClient(version="auto")
    asked = EngineSocket("/var/run/docker.sock")
    name = image("small")
    told = asked.image(name)
    assert told == by_sdk.inspect_image(name)
    assert asked.image(told["Id"]) == told
    assert asked.history(name) == by_sdk.history(name)
    assert asked.version == by_sdk.api_version
    assert asked.info()["ID"] == engine.info()["ID"]
    by_sdk.close()


@pytest.mark.engine
@pytest.mark.parametrize(
    "name", ["there-is-none", "../../info", "a//b", "a?b", "a#b", "a%2fb", "a\r\nb", "\udcff", "ü"]
)
def test_the_engine_has_no_such_container(name: str) -> None:
    with pytest.raises(Missing, match=r"^the engine refused \("):
        EngineSocket("/var/run/docker.sock").container(name)


def test_all_questions_go_by_one_connection() -> None:
    with serving(PING, http(b'{"Id": "1"}'), chunked(b'[{"Id"', b': "2"}]', b""), http(b'{"ID": 3}')) as (server, path):
        asked = EngineSocket(str(path))
        assert asked.image("a/b:c@sha256:d") == {"Id": "1"}
        assert asked.history("x") == [{"Id": "2"}]
        assert asked.info() == {"ID": 3}
    assert server.connections == 1
    assert server.asked == [
        "GET /_ping HTTP/1.1",
        "GET /v1.41/images/a/b:c%40sha256:d/json HTTP/1.1",
        "GET /v1.41/images/x/history HTTP/1.1",
        "GET /v1.41/info HTTP/1.1",
    ]


@pytest.mark.parametrize(
    "first",
    [
        http(b"{}") + CLOSED,
        http(b"{}", head="Connection: close\r\n") + CLOSED,
        b"HTTP/1.0 200 OK\r\n\r\n{}" + CLOSED,
        http(b"{}") + http(b'{"of": "another question"}') + CLOSED,
    ],
)
def test_a_connection_that_was_closed_between_two_questions_is_made_again(first: bytes) -> None:
    with serving(PING, first, http(b'{"Id": "x"}')) as (server, path):
        asked = EngineSocket(str(path))
        assert asked.info() == {}
        time.sleep(0.05)  # until the end has come
        assert asked.image("x") == {"Id": "x"}
    assert server.connections == 2


def _dribble(one: socket.socket) -> None:
    for letter in http(b" " * 1000):
        one.sendall(bytes([letter]))
        time.sleep(SECONDS / 20)


def _endless(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"%x\r\n%s\r\n" % (1 << 20, b" " * (1 << 20))
    for _ in range(200):
        one.sendall(piece)


def _endless_claim(one: socket.socket) -> None:
    """A chunk of a negative length, which some readers take for "all there is"."""
    one.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
    for _ in range(200):
        one.sendall(b" " * (1 << 20))


def _endless_continue(one: socket.socket) -> None:
    while True:
        one.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def _endless_head(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        one.sendall(b"X-%d: 1\r\n" % number)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (CLOSED, "the connection to the engine was lost (RemoteDisconnected); try again"),
        (b"HTTP/1.1 200 OK\r\nConte" + CLOSED, "the engine's answer: is empty; is it a container engine?"),
        (http(b'{"Id": ', length=40) + CLOSED, "the connection to the engine was lost (IncompleteRead); try again"),
        (chunked(b'{"Id": 1')[:-5] + CLOSED, "the connection to the engine was lost (IncompleteRead); try again"),
        (chunked(b'{"Id": 1}') + CLOSED, "the connection to the engine was lost (IncompleteRead); try again"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n" + CLOSED,
            "lost (IncompleteRead)",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n" + CLOSED, "the connection to the engine was lost (BadStatusLine); try again"),
        (b"HTTP/1.1 200 " + b"x" * 100_000 + CLOSED, "the connection to the engine was lost (LineTooLong); try again"),
        (_endless_head, "the connection to the engine was lost (HTTPException); try again"),
        (_endless_claim, "the engine's answer has more than 64 MiB; is it a container engine?"),
        (_endless, "the engine's answer has more than 64 MiB; is it a container engine?"),
        (http(b"OK"), "the engine's answer: is not JSON: it begins with 'OK'"),
        (http(b"[]"), "the engine's answer: the document: expected object, got array; is it a container engine?"),
        (http(b"[" * 100_000), "the engine's answer: is nested more than 100 levels deep"),
        (http(b"\xff\xfe"), "the engine's answer: "),
        (http(b"", status="204 No Content"), "the engine refused (status 204 No Content)"),
        (http(b"", status="503 Busy"), "the engine refused (status 503 Busy)"),
        (http(b'{"message": "one\\ntwo"}', status="500 Oh"), "the engine refused (one)"),
        (http(b'{"message": ""}', status="500 Oh"), "the engine refused (status 500 Oh)"),
        (http(b"no JSON\nat all", status="403 Forbidden"), "the engine refused (no JSON)"),
        (http(b"x" * 10_000, status="403 Forbidden"), f"the engine refused ({'x' * 500})"),
        (http(b"", status="302 Found", head="Location: http://example.invalid/\r\n"), "refused (status 302 Found)"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_what_is_no_answer_is_told_in_a_line(ask: Callable[..., Any], answer: Answer, said: str) -> None:
    with pytest.raises(Unanswered) as caught:
        ask(answer)
    assert said in str(caught.value)
    assert not isinstance(caught.value, Missing)


@pytest.mark.parametrize(
    "answer",
    [lambda _: None, lambda one: one.sendall(PING[:-1]), _dribble, _endless_continue],
    ids=["silence", "half", "dribble", "continue"],
)
def test_an_answer_has_its_time_as_a_whole(answer: Answer) -> None:
    begun = time.monotonic()
    with serving(PING, answer) as (_, path):
        asked = EngineSocket(str(path), seconds=SECONDS)
        with pytest.raises(Unanswered, match=r"^the engine did not answer within 1 s; try again$"):
            asked.image("x")
    assert time.monotonic() - begun < 10 * SECONDS


@pytest.mark.parametrize("status", ["404 Not Found", "301 Moved Permanently"])
def test_what_the_engine_does_not_have(ask: Callable[..., Any], status: str) -> None:
    with pytest.raises(Missing, match=r"^the engine refused \(No such image: x\)$"):
        ask(http(b'{"message": "No such image: x"}', status=status))


def test_a_question_after_one_that_was_not_answered() -> None:
    late = http(b'{"Id": "of the first question"}')
    with serving(PING, lambda one: one.sendall(late[:-1]), http(b'{"Id": "x"}')) as (_, path):
        asked = EngineSocket(str(path), seconds=SECONDS)
        with pytest.raises(Unanswered):
            asked.info()
        assert asked.image("x") == {"Id": "x"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http(b"OK"), "what answers is no container engine (it names no Api-Version)"),
        (http(b"OK", head="Api-Version: 1.41/../..\r\n"), "what answers is no container engine"),
        (http(b'{"message": "not now"}', status="503 Busy"), "the engine refused (not now)"),
        (CLOSED, "Remote end closed connection without response"),
        (lambda _: None, "timed out"),
    ],
    ids=["no version", "no such version", "refusal", "closed", "silence"],
)
def test_what_is_no_engine(answer: Answer, said: str) -> None:
    with serving(answer) as (_, path), pytest.raises((Unanswered, OSError, HTTPException)) as caught:
        EngineSocket(str(path), seconds=SECONDS)
    assert said in str(caught.value)
