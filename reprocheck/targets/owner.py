"""Whose throw-away container it is, so that what a killed run left can be told from what a live one uses."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

from reprocheck.targets.engine import Engine
from reprocheck.targets.sdk import attempt, talking

LABEL = "dev.reprocheck.owner"
_STRANGER_SECONDS = 3600
"""A container of a run that can't be seen from here (another machine or PID namespace) is left alone this long."""


@cache
def _place() -> str:
    """This machine since its start, and this PID namespace: where a PID means something."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        return f"{boot.read_text().strip()}/{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116
    except OSError:
        return os.uname().nodename


def _started(pid: int) -> str:
    """When a process began, in the kernel's ticks (tells a recycled PID); empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def mine() -> str:
    """The label of this process's containers."""
    return f"{_place()} {os.getpid()} {_started(os.getpid())} {int(time.time())}"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep an interrupt waiting: what the engine has made must be known, and what is being removed must go."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def sweep(engine: Engine) -> None:
    """Remove the throw-away containers whose owner is dead."""
    with talking("throw-away containers of earlier runs"):
        left = engine.client.containers(all=True, filters={"label": LABEL})
    for container in left:
        if _dead(container["Labels"][LABEL]):
            remove = partial(engine.client.remove_container, container["Id"], v=True, force=True)
            attempt(remove)


def _dead(label: str) -> bool:
    try:
        place, pid, started, made = label.split(" ")
        if place != _place():
            return time.time() - int(made) > _STRANGER_SECONDS
        return _started(int(pid)) != started
    except ValueError:
        # Not of our making, or of another version: left alone.
        return False
