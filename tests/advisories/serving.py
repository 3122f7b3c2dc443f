"""A server that answers as the OSV API does, and some that do not, on this machine."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from packaging.version import Version

OSV = Path(__file__).parent / "osv"

Answer = tuple[int, bytes]
Behaviour = Callable[[str, bytes], Answer]
"""Path and body of a request in, status and body of the answer out."""


@contextmanager
def serving(behaviour: Behaviour, drip: float = 0) -> Iterator[str]:
    """The address of a server; with ``drip`` it sends a byte of each answer in so many seconds."""
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = behaviour(self.path, body)
            self.send_response(status)
            if status in {301, 302}:
                self.send_header("Location", answer.decode())
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            for at in range(0, len(answer), 1 if drip else max(len(answer), 1)):
                if stop.wait(drip):
                    return
                self.wfile.write(answer[at : at + 1] if drip else answer)
                self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with _running(server) as address:
        try:
            yield address
        finally:
            stop.set()


@contextmanager
def _running(server: ThreadingTCPServer | ThreadingHTTPServer) -> Iterator[str]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def speaking(answer: bytes) -> Iterator[str]:
    """The address of a server that sends these bytes, whatever it is asked, and closes the connection."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            length = 0
            while (line := self.rfile.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            self.rfile.read(length)
            with contextlib.suppress(OSError):  # whoever has read enough hangs up
                self.wfile.write(answer)

    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    with _running(server) as address:
        yield address


def osv(*advisories: dict[str, Any], page: int = 1000) -> Behaviour:
    """The OSV API over advisories; not by the code that is tested."""

    def behaviour(path: str, body: bytes) -> Answer:
        assert path == "/v1/query"
        query = json.loads(body)
        name, version = query["package"]["name"], Version(query["version"])
        found = [one for one in advisories if _is_affected(one, name, version)]
        start = int(query.get("page_token") or 0)
        answer: dict[str, Any] = {"vulns": found[start : start + page]} if found else {}
        if start + page < len(found):
            answer["next_page_token"] = str(start + page)
        return 200, json.dumps(answer).encode()

    return behaviour


def slow(seconds: float) -> Behaviour:
    """Nothing, and late."""

    def behaviour(_path: str, _body: bytes) -> Answer:
        time.sleep(seconds)
        return 200, b"{}"

    return behaviour


def all_advisories() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(OSV.glob("*.json"))]


def _is_affected(advisory: dict[str, Any], name: str, version: Version) -> bool:
    if "withdrawn" in advisory:
        return False
    for affected in advisory["affected"]:
        if affected["package"]["name"].lower() != name:
            continue
        if str(version) in affected.get("versions", []):
            return True
        for one in affected.get("ranges", []):
            events = one["events"] if one["type"] == "ECOSYSTEM" else []
            for begin, end in zip(events[::2], [*events[1::2], {}], strict=False):
                low = Version(begin["introduced"] if begin["introduced"] != "0" else "0.dev0")
                above = "fixed" in end and version >= Version(end["fixed"])
                beyond = "last_affected" in end and version > Version(end["last_affected"])
                if version >= low and not above and not beyond:
                    return True
    return False
