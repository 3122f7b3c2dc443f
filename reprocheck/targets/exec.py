"""``container:`` by exec: the probe in a running container, as the container's configured user."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from docker.errors import APIError

from reprocheck.errors import EngineError, TargetError
from reprocheck.model.evidence import Answer, AnyWant, Document
from reprocheck.targets import probe
from reprocheck.targets.engine import Engine
from reprocheck.targets.interpreters import CLEARED, candidates
from reprocheck.targets.owner import undisturbed
from reprocheck.targets.sdk import attempt, talking
from reprocheck.targets.session import routed, started_as
from reprocheck.targets.stream import Stream

_NOT_THERE = frozenset({126, 127})
_KILLED = 137
_MARK = "REPROCHECK_PROBE"
"""A variable that the probe, and whatever a program that is no Python starts, carries in its environment."""
_KILL_MARKED = (
    'for e in /proc/[0-9]*/environ; do if grep -q "$0" "$e" 2>/dev/null; then '
    'p=${e#/proc/}; kill -9 "${p%/environ}"; fi; done'
)


class ExecSession:
    """A conversation with a probe that was started by exec."""

    def __init__(self, document: Document, engine: Engine, container_id: str, seconds: float) -> None:
        self.document = document
        self._engine = engine
        self._container = container_id
        self._seconds = seconds
        self._stream: Stream | None = None
        self._exec = ""
        self._mark = f"{_MARK}={secrets.token_hex(16)}"
        self._left = False
        """Whether something may be running in the container that does not end with its input."""
        self._talk: probe.Conversation | None = None

    @classmethod
    @contextmanager
    def open(cls, document: Document, engine: Engine, container_id: str, seconds: float) -> Iterator[ExecSession]:
        """Be ready to start, and end what was started."""
        executed = routed(document, "exec", executed=True, probe_sha256=probe.program_sha256())
        session = cls(executed, engine, container_id, seconds)
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
            TargetError: no Python that can be used, or the container is gone.
        """
        if self._talk is not None:
            try:
                return self._talk.ask(wants)
            except probe.Lost:
                raise self._gone() from None
        engine = self.document.engine
        variables = engine.variables if engine else {}
        old: str | None = None
        tried = []
        for executable in candidates(variables):
            tried.append(executable)
            try:
                return started_as(executable, self._first(executable, wants))
            except probe.Lost:
                old = old or self._why(executable)
        if old:
            raise TargetError(probe.too_old_message(self._name, old))
        raise TargetError(
            f"{self._name}: no Python found (tried {', '.join(tried[:4])} and {len(tried) - 4} more names)"
        )

    def close(self) -> None:
        """End the probe, and make sure that it did end."""
        with undisturbed():
            if self._stream is not None:
                self._stream.close()
            if self._left:
                attempt(self._kill_leftover)

    def _first(self, executable: str, wants: Sequence[AnyWant]) -> Answer:
        with talking(self._name):
            try:
                created = self._engine.client.exec_create(
                    self._container,
                    [executable, *probe.arguments()],
                    stdin=True,
                    environment=[*CLEARED, self._mark],  # a name without "=" unsets the variable
                )
                self._exec, self._stream, self._left = created["Id"], None, True
                self._stream = Stream(self._engine.client.exec_start(self._exec, socket=True))
            except APIError as error:
                # Newer engines refuse at once what older ones report in the stream.
                if "executable file not found" in str(error.explanation) or "no such file" in str(error.explanation):
                    self._left = False
                    raise probe.Lost from error
                if error.status_code in {404, 409}:  # no such container or exec; not running
                    raise self._gone() from error
                raise
        talk = probe.Conversation(self._stream, self._name, self._seconds)
        answer = talk.ask(wants)
        self._talk, self._left = talk, False
        return answer

    def _why(self, executable: str) -> str | None:
        """Why a candidate did not answer: a version that is too old, or ``None`` when there is no such program."""
        if self._stream is None:
            return None
        ended = attempt(lambda: self._engine.client.exec_inspect(self._exec))
        if ended is None:
            raise self._gone()
        stderr, code = self._stream.stderr, ended["ExitCode"]
        self._stream.close()
        version = probe.too_old(code, stderr)
        if version or code in _NOT_THERE or b"executable file not found" in stderr or b"no such file" in stderr:
            self._left = False
            return version
        if code is None or (code == _KILLED and self._stopped()):
            raise self._gone()
        said = stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it printed nothing"]
        raise TargetError(f"{self._name}: {executable} does not run as Python (exit code {code}: {said[0]})")

    def _stopped(self) -> bool:
        # What runs in a container is killed with it; the engine needs a moment to say that the container ended.
        for _ in range(20):
            told = attempt(lambda: self._engine.client.inspect_container(self._container))
            if told is None or told["State"]["Status"] != "running":
                return True
            time.sleep(0.1)
        return False

    def _gone(self) -> TargetError:
        try:
            state = self._engine.container(self._container)["State"]["Status"]
        except (TargetError, EngineError):
            return TargetError(f"{self._name}: the container vanished while it was being read")
        if state == "running":
            return TargetError(f"{self._name}: the connection to the probe was lost while it was being read; try again")
        return TargetError(f"{self._name}: the container is {state}; it ended the probe while it was being read")

    def _kill_leftover(self) -> None:
        # The engine can't end an exec. A probe ends with its input; a program that only bears the name of
        # Python, and what it has started, may not: killed from this machine where we may, else from inside.
        if not _kill_from_here(self._mark.encode()):
            killer = self._engine.client.exec_create(self._container, ["sh", "-c", _KILL_MARKED, self._mark])
            self._engine.client.exec_start(killer["Id"])


def _kill_from_here(mark: bytes) -> bool:
    """Kill the processes that carry a mark; whether there was one."""
    killed = False
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # another user's, or gone
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), 9)
                killed = True
    return killed
