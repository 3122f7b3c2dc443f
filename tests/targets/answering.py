"""Servers that give prepared answers, good ones and bad ones."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Answer = bytes | Callable[[socket.socket], object]
"""What is sent, or who sends it; the connection is closed after what says so, or what only part of was sent."""


def http(body: bytes, *, status: str = "200 OK", head: str = "", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\n{head}Content-Length: {size}\r\n\r\n".encode() + body


def chunked(*pieces: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


PING = http(b"OK", head="Api-Version: 1.41\r\n")


CLOSED = b"<closed>"
"""At the end of an answer: the connection is closed behind it."""


class Server:
    """Gives prepared answers, one a request."""

    def __init__(self, listener: socket.socket, answers: list[Answer]) -> None:
        self.asked: list[str] = []
        self.connections = 0
        self._answers = answers
        self._listener = listener
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._listener.accept()
                self._open.append(one)
                self.connections += 1
                with one, suppress(OSError):
                    while request := one.recv(1 << 16):
                        self.asked.append(request.split(b"\r\n")[0].decode())
                        answer = self._answers.pop(0)
                        if not isinstance(answer, bytes):
                            answer(one)
                        elif not self._whole(one, answer):
                            break

    @staticmethod
    def _whole(one: socket.socket, answer: bytes) -> bool:
        one.sendall(answer.removesuffix(CLOSED))
        return not answer.endswith(CLOSED)


@contextmanager
def serving(*answers: Answer) -> Iterator[tuple[Server, Path]]:
    """A server at a socket of its own, whose path it gives."""
    with tempfile.TemporaryDirectory(prefix="rc-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        with _running(listener, answers) as server:
            yield server, Path(folder, "s")


@contextmanager
def serving_tcp(*answers: Answer) -> Iterator[tuple[Server, str]]:
    """A server at a port of this machine, whose address it gives."""
    with socket.create_server(("127.0.0.1", 0)) as listener, _running(listener, answers) as server:
        yield server, f"tcp://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _running(listener: socket.socket, answers: tuple[Answer, ...]) -> Iterator[Server]:
    listener.listen()
    server = Server(listener, list(answers))
    try:
        yield server
    finally:
        server.close()
