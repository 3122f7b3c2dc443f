"""Whole commands, run as processes: how long each took, and how much memory its process had at most."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_KIB = 1024


class BenchmarkError(Exception):
    """Something could not be measured. The message is one line."""


class WrongAnswerError(BenchmarkError):
    """A command was done, and what it says is not so: its time means nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """Whose process it is."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What is measured."""

    name: str
    argv: tuple[str, ...]
    exit_code: int = 0
    user: User | None = None
    """``None``: who runs the benchmark."""
    variables: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[bytes], float] | None = None
    """Reads the seconds out of what was printed, where the process itself is not what is measured."""
    check: Callable[[bytes], None] | None = None
    """Looks at what was printed, each time. Raises :class:`WrongAnswerError`."""
    before: Callable[[], None] | None = None
    """Is done before each run, and not timed."""
    once: bool = False
    """Run a single time, after all rounds: it takes minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """The measured repetitions of one command."""

    seconds: tuple[float, ...]
    peak: int
    """Bytes: the largest resident set of any repetition."""

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    @property
    def least(self) -> float:
        """Seconds."""
        return min(self.seconds)


def measure(commands: Sequence[Command], repetitions: int, tell: Callable[[str], None]) -> dict[str, Samples]:
    """Run all commands by turns, so that what else the machine does meets each of them alike.

    The first round warms caches and is not counted. Each round begins one command later than the one
    before: otherwise a command would always pay for what its neighbour left behind.

    Raises:
        BenchmarkError: a command failed or gave a wrong answer.
    """
    runs: dict[str, list[tuple[float, int]]] = {command.name: [] for command in commands}
    turns = [command for command in commands if not command.once]
    for repetition in range(repetitions + 1):
        tell(f"round {repetition} of {repetitions}" if repetition else "warm-up")
        begin = repetition % len(turns)
        for command in (*turns[begin:], *turns[:begin]):
            once = run(command)
            if repetition:
                runs[command.name].append(once)
    for command in commands:
        if command.once:
            tell(command.name)
            runs[command.name].append(run(command))
    return {
        name: Samples(seconds=tuple(seconds for seconds, _ in one), peak=max(peak for _, peak in one))
        for name, one in runs.items()
    }


def run(command: Command) -> tuple[float, int]:
    """Run a command once; seconds, and bytes of the largest resident set of its process.

    The kernel hands the parent's own resident set on to a child until that has become another program
    (``exec_mmap`` raises ``maxrss``), so the smallest peak that can be seen is that of this process: it
    imports neither reprocheck nor anything else of size.

    Raises:
        BenchmarkError: it failed or gave a wrong answer.
    """
    if command.before is not None:
        command.before()
    user = command.user
    home = {} if user is None else {"HOME": str(user.home), "XDG_CACHE_HOME": str(user.home / ".cache")}
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        began = time.perf_counter()
        process = subprocess.Popen(
            command.argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **home, **command.variables},
            cwd=None if user is None else user.home,
            user=None if user is None else user.uid,
            group=None if user is None else user.gid,
            extra_groups=None if user is None else user.groups,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        printed, said = stdout.read(), stderr.read()
    if process.returncode != command.exit_code:
        last = (said or printed).decode("utf-8", "replace").strip().splitlines()[-1:] or ["it printed nothing"]
        raise BenchmarkError(
            f"{command.name}: exit code {process.returncode} instead of {command.exit_code} ({last[0]})"
        )
    if command.check is not None:
        command.check(printed)
    return (seconds if command.clock is None else command.clock(printed)), usage.ru_maxrss * _KIB
