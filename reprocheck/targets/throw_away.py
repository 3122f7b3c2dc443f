"""``image:`` by a throw-away container: the target's own interpreter runs the probe in a throw-away container.

No network, no capabilities, no new privileges, a read-only root, limits on memory, processes and time; no
entrypoint, no health check. The container carries a label with its owner and is removed whatever happens:
by this run, or, after a ``kill -9``, by the next.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
from docker.errors import APIError

from reprocheck.errors import TargetError
from reprocheck.model.evidence import OUT_OF_REACH, Answer, AnyWant, Document, Interpreter, InterpreterEvidence
from reprocheck.targets import probe
from reprocheck.targets.engine import Engine
from reprocheck.targets.interpreters import CLEARED, candidates
from reprocheck.targets.owner import LABEL, mine, sweep, undisturbed
from reprocheck.targets.sdk import attempt, talking
from reprocheck.targets.session import routed, started_as
from reprocheck.targets.stream import Stream

_MEMORY = 1 << 30
_PROCESSES = 64
_KILLED = 137
_ROOT = frozenset({"", "0", "root"})
_MARK = re.compile(r"\[(.)\]")
"""A character that would be a wildcard, as :func:`reprocheck.model.evidence.literal` writes it."""
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ThrowAwaySession:
    """A conversation with a probe in a container of its own."""

    def __init__(self, document: Document, engine: Engine, image_id: str, seconds: float) -> None:
        self.document = document
        self._engine = engine
        self._image = image_id
        self._seconds = seconds
        self._container = ""
        self._stream: Stream | None = None
        self._talk: probe.Conversation | None = None

    @classmethod
    @contextmanager
    def open(cls, document: Document, engine: Engine, image_id: str, seconds: float) -> Iterator[ThrowAwaySession]:
        """Sweep what dead runs left, and be ready to start."""
        sweep(engine)
        executed = routed(document, "throw-away container", executed=True, probe_sha256=probe.program_sha256())
        session = cls(executed, engine, image_id, seconds)
        try:
            yield session
        finally:
            session.close()

    @property
    def _name(self) -> str:
        return self.document.header.target

    def answer(self, wants: Sequence[AnyWant]) -> Answer:
        """Ask the probe; the first round finds the interpreter.

        Raises:
            TargetError: no Python that can be used.
        """
        if self._talk is not None:
            try:
                return self._talk.ask(wants)
            except probe.Lost:
                raise self._ended() from None
        old: str | None = None
        for executable in self._candidates():
            self.close()
            if not self._start(executable):
                continue
            try:
                return started_as(executable, self._first(wants))
            except probe.Lost:
                version = probe.too_old(self._exit_code(), self._stderr())
                if version is None:
                    raise self._ended() from None
                old = old or version
        if old:
            raise TargetError(probe.too_old_message(self._name, old))
        raise TargetError(f"{self._name}: no Python found (searched PATH and the usual places)")

    def close(self) -> None:
        """Remove the container, with its anonymous volumes."""
        with undisturbed():
            if self._stream is not None:
                self._stream.close()
                self._stream = None
            if self._container:
                container, self._container = self._container, ""
                attempt(lambda: self._engine.client.remove_container(container, v=True, force=True))

    def _first(self, wants: Sequence[AnyWant]) -> Answer:
        if self._stream is None:
            raise probe.Lost
        talk = probe.Conversation(self._stream, self._name, self._seconds)
        answer = self._reached(wants, talk.ask(wants))
        self._talk = talk
        return answer

    def _reached(self, wants: Sequence[AnyWant], answer: Answer) -> Answer:
        """An answer with the named programs that the image's root could run, and who has no capabilities can't.

        Whoever else the image's user is can't enter what the probe can't, and starts the next one on ``PATH``.
        """
        user = self.document.engine.user.partition(":")[0] if self.document.engine else ""
        if user not in _ROOT:
            return answer
        closed = {posixpath.dirname(path) for path, told in answer.files.items() if told.problem == "EACCES"}
        named = (
            _MARK.sub(r"\1", want.at) for want in wants if isinstance(want, Interpreter) and want.at.startswith("/")
        )
        beyond = {
            path: InterpreterEvidence(real=path, problem=OUT_OF_REACH)
            for path in named
            if posixpath.dirname(path) in closed
            and self._has(path.encode("latin-1").decode("utf-8", "surrogateescape"))
        }
        return msgspec.structs.replace(answer, interpreters=answer.interpreters | beyond)

    def _start(self, executable: str) -> bool:
        """Make and start a container; ``False`` when the image has no such program."""
        client = self._engine.client
        with talking(self._name):
            host = client.create_host_config(
                network_mode="none",
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                read_only=True,
                mem_limit=_MEMORY,
                pids_limit=_PROCESSES,
            )
            with undisturbed():
                created = client.create_container(
                    self._image,
                    entrypoint=[executable],
                    command=probe.arguments(),
                    environment=list(CLEARED),
                    stdin_open=True,
                    healthcheck={"test": ["NONE"]},
                    labels={LABEL: mine()},
                    host_config=host,
                )
                self._container = created["Id"]
            self._stream = Stream(
                client.attach_socket(self._container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            )
            try:
                client.start(self._container)
            except APIError as error:
                said = str(error.explanation)
                if any(sign in said for sign in ("no such file", "executable file not found", "permission denied")):
                    return False
                raise TargetError(
                    f"{self._name}: a throw-away container can't be started ({said.splitlines()[0]})"
                ) from error
        return True

    def _candidates(self) -> Iterator[str]:
        """What ``PATH`` finds; then the others that the image has, asked of the container that did not start."""
        yield "python3"
        yield from self._others()

    def _others(self) -> list[str]:
        engine = self.document.engine
        variables = engine.variables if engine else {}
        directories = (variables.get("PATH") or _DEFAULT_PATH).split(":")
        found = []
        for candidate in candidates(variables):
            places = [candidate] if "/" in candidate else [f"{place}/{candidate}" for place in directories]
            found += [place for place in places if place not in found and self._has(place)]
        return found

    def _has(self, path: str) -> bool:
        told = attempt(lambda: self._engine.client.get_archive(self._container, path))
        if told is None:
            return False
        stream, _ = told
        stream.close()  # ends the transfer
        return True

    def _stderr(self) -> bytes:
        return self._stream.stderr if self._stream is not None else b""

    def _exit_code(self) -> int | None:
        told = attempt(lambda: self._engine.client.wait(self._container, timeout=5))
        return told["StatusCode"] if told else None

    def _ended(self) -> TargetError:
        if self._container:
            told = attempt(lambda: self._engine.client.inspect_container(self._container))
            if told is None:
                return TargetError(f"{self._name}: its throw-away container vanished while it was being read")
            if told["State"].get("OOMKilled"):
                return TargetError(
                    f"{self._name}: the probe was killed at the throw-away container's limit of "
                    f"{_MEMORY >> 20} MiB of memory"
                )
            if told["State"].get("ExitCode") == _KILLED:
                # Not by itself: the first process of a container is out of reach of its own signals.
                return TargetError(
                    f"{self._name}: its throw-away container was killed from outside while it was being read; try again"
                )
        last = self._stderr().decode("utf-8", "replace").strip().splitlines()[-1:] or ["it printed nothing"]
        return TargetError(
            f"{self._name}: its Python ended without an answer (exit code {self._exit_code()}: {last[0]})"
        )
