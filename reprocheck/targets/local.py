"""``python:`` and ``host:``: an interpreter of this machine, asked by the probe in a process of its own."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from reprocheck.errors import TargetError, UsageError
from reprocheck.model.evidence import Answer, AnyWant, Document
from reprocheck.model.snapshot import Subject, TargetKind
from reprocheck.model.text import printable
from reprocheck.targets import probe
from reprocheck.targets.address import Address
from reprocheck.targets.session import SECONDS, header

_SEND_SECONDS = 10.0
_LAST_WORDS = 1 << 16
"""Bytes of standard error that are kept: the last ones."""
_END_SECONDS = 1.0
"""How long a process is waited for that has closed its output."""


class _Pipes:
    """The probe's process on this machine."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("the process needs pipes")
        self._process = process
        self._in, self._out, self._errors = process.stdin, process.stdout, process.stderr
        self._silent = False
        self._said = b""
        # A process that never reads must not block us for ever.
        os.set_blocking(self._in.fileno(), False)

    def send(self, data: bytes) -> None:
        while data:
            _, ready, _ = select.select([], [self._in], [], _SEND_SECONDS)
            if not ready:
                raise TimeoutError
            data = data[os.write(self._in.fileno(), data) :]

    def receive(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while self._out not in (ready := self._ready(deadline, self._out)):
            if not ready:
                raise TimeoutError
        return os.read(self._out.fileno(), 1 << 20)

    def last_words(self) -> tuple[int | None, bytes]:
        """Exit code, ``None`` while it runs, and the end of standard error of a process that closed its output."""
        deadline = time.monotonic() + _END_SECONDS
        while not self._silent and self._ready(deadline):
            pass
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(deadline - time.monotonic(), 0))
        return self._process.returncode, self._said

    def _ready(self, deadline: float, *streams: IO[bytes]) -> list[IO[bytes]]:
        """What can be read in time. Standard error is emptied on the way: a process that fills it would stand still."""
        watched = [*streams, *([] if self._silent else [self._errors])]
        ready, _, _ = select.select(watched, [], [], max(deadline - time.monotonic(), 0))
        if self._errors in ready:
            piece = os.read(self._errors.fileno(), 1 << 16)
            self._silent = not piece
            self._said = (self._said + piece)[-_LAST_WORDS:]
        return ready if time.monotonic() < deadline else [stream for stream in ready if stream in streams]


class InterpreterSession:
    """A conversation with one interpreter of this machine."""

    def __init__(self, document: Document, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.document = document
        self._pipes = _Pipes(process)
        self._talk = probe.Conversation(self._pipes, document.header.target, seconds)

    def answer(self, wants: Sequence[AnyWant]) -> Answer:
        """Ask the probe.

        Raises:
            TargetError: it is too old, is no Python, or does not answer.
        """
        try:
            return self._talk.ask(wants)
        except probe.Lost as lost:
            name = self.document.header.target
            code, stderr = self._pipes.last_words()
            if version := probe.too_old(code, stderr):
                raise TargetError(probe.too_old_message(name, version)) from None
            if lost.args:
                raise TargetError(f"{name}: its Python {lost.args[0]}; try again") from None
            last = stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it printed nothing"]
            raise TargetError(f"{name}: does not run as Python ({printable(last[0])[:200]})") from None


@contextmanager
def open_interpreter(
    address: Address,
    *,
    named: Path | None = None,
    seconds: float = SECONDS,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[InterpreterSession]:
    """Start the probe in the interpreter that the address names (``host:``: the active one, or ``named``).

    Raises:
        TargetError: there is none, or it can't be started.
    """
    executable = (named or active_interpreter(tell)) if address.kind == "host" else _interpreter_at(Path(address.value))
    kind: TargetKind = "host" if address.kind == "host" else "python"
    document = Document(
        header=header(str(address), "interpreter", executed=True),
        subject=Subject(kind=kind, name=address.value or os.uname().nodename),
        probe_sha256=probe.program_sha256(),
    )
    try:
        process = subprocess.Popen(
            [os.fspath(executable), *probe.arguments()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise TargetError(f"{address}: {executable} can't be started ({error.strerror})") from error
    with process:
        try:
            yield InterpreterSession(document, process, seconds)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    # The group: an interpreter that is a wrapper script leaves children behind.
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        process.kill()


def _interpreter_at(path: Path) -> Path:
    # Made absolute without resolving links: a virtual environment's python is a link out of it.
    path = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() would follow links
    if path.is_dir():
        for name in ("bin/python3", "bin/python"):
            if (path / name).is_file():
                return path / name
        raise TargetError(f"python:{path}: no interpreter there (looked for bin/python3 and bin/python)")
    if path.is_file():
        return path
    raise TargetError(f"python:{path}: no such file; name an interpreter or a virtual environment's directory")


def active_interpreter(tell: Callable[[str], None]) -> Path:
    """The user's active interpreter: ``VIRTUAL_ENV``, ``CONDA_PREFIX``, else ``python3`` on ``PATH``.

    The environment that reprocheck itself is installed in is passed over: its packages are reprocheck's. A
    variable that names no environment is passed over too, and ``tell`` is told so.

    Raises:
        UsageError: no other interpreter is to be found.
    """
    broken: list[str] = []
    for executable, source in _active():
        if Path(executable).is_file():
            for variable in broken:
                tell(f"{variable} holds no bin/python; reading {executable}")
            return Path(executable)
        broken.append(source)
    raise UsageError(
        "host: found no interpreter but the one that reprocheck is installed in; name one with --python PATH"
    )


def _active() -> Iterator[tuple[str, str]]:
    """Where the active interpreter should be, in order, and what says so."""
    own = Path(sys.prefix).resolve()
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        prefix = os.environ.get(variable)
        if prefix and Path(prefix).resolve() != own:
            yield os.path.join(prefix, "bin/python"), f"{variable}={prefix}"  # noqa: PTH118 - a text that is shown
    for directory in os.get_exec_path():
        found = shutil.which("python3", path=directory)
        if found and Path(directory).parent.resolve() != own:
            yield found, "PATH"
