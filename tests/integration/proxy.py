"""A socket between reprocheck and the engine: a test acts at a chosen moment of their conversation."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import docker

Moment = Literal["request", "response", "piece", "stream"]
"""Before a request reaches the engine; before its answer reaches reprocheck; before each further piece of the answer
does; before the probe's input reaches the engine."""

Act = Callable[[Moment, str], None]
"""Told of every moment, with the call: ``POST /containers/create``. What it raises closes the connection."""

_CALL = re.compile(rb"(GET|HEAD|POST|DELETE|PUT) (?:/v[\d.]+)?(/[^? ]*)\S* HTTP/1\.1\r\n")
_ID = re.compile(r"(?<=/)(?:[0-9a-f]{64}|sha256:[0-9a-f]{64})(?=/|$)")
_UPGRADES = re.compile(r"POST /(?:containers/ID/attach|exec/ID/start)$")


class Cut(Exception):  # noqa: N818 - a wish, not an error
    """Raised by an act: the connection is closed here."""


class Proxy:
    """Passes on everything between a socket of its own and the engine's."""

    def __init__(self, path: Path, engine: docker.DockerClient, act: Act) -> None:
        self.calls: list[str] = []
        self.trouble: list[BaseException] = []
        self._engine = engine
        self._act = act
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        # A thread that waits in accept() does not see a close().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = _connected(self._engine)
            self._open += [client, server]
            link = _Link(self, client, server)
            for pump in (link.up, link.down):
                self._threads.append(threading.Thread(target=pump))
                self._threads[-1].start()

    def act(self, moment: Moment, call: str) -> None:
        if moment == "request":
            self.calls.append(call)
        try:
            self._act(moment, call)
        except Cut:
            raise
        except BaseException as error:
            self.trouble.append(error)
            raise Cut from error


class _Link:
    """One connection."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._call = ""
        self._answered = True
        self._upgraded = False

    def up(self) -> None:
        with self._ending():
            while piece := self._client.recv(1 << 16):
                if self._upgraded:
                    self._proxy.act("stream", self._call)
                elif found := _CALL.match(piece):
                    path = _ID.sub("ID", found[2].decode())
                    self._call, self._answered = f"{found[1].decode()} {path}", False
                    self._proxy.act("request", self._call)
                self._server.sendall(piece)
            self._server.shutdown(socket.SHUT_WR)

    def down(self) -> None:
        with self._ending():
            while piece := self._server.recv(1 << 16):
                if not self._answered:
                    self._answered = True
                    self._proxy.act("response", self._call)
                    self._upgraded = _UPGRADES.match(self._call) is not None
                elif not self._upgraded:
                    self._proxy.act("piece", self._call)
                self._client.sendall(piece)
            self._client.shutdown(socket.SHUT_WR)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except (Cut, OSError):
            for one in (self._client, self._server):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def _connected(engine: docker.DockerClient) -> socket.socket:
    """A connection to the engine that the SDK has found."""
    base = engine.api.base_url
    if base.startswith("http+docker://"):
        adapter: Any = engine.api.get_adapter(base)  # of the SDK's transport, which the stubs don't tell
        one = socket.socket(socket.AF_UNIX)
        one.connect(adapter.socket_path)
        return one
    parts = urlsplit(base)
    return socket.create_connection((parts.hostname or "", parts.port or 80))


@contextmanager
def between(path: Path, engine: docker.DockerClient, act: Act) -> Iterator[Proxy]:
    """A proxy at ``path`` (short: a socket's path has a limit); an act that failed fails the test."""
    proxy = Proxy(path, engine, act)
    try:
        yield proxy
    finally:
        proxy.close()
    assert not proxy.trouble, proxy.trouble
