"""Writing results: a file is replaced whole or not at all; ``-`` is standard output."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reprocheck.errors import OutputError
from reprocheck.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEW_FILE = 0o666  # less the umask, as every program creates files


def write_output(destination: str, data: bytes) -> None:
    """Write to a file as :func:`atomic_write` does, or to standard output for ``-``."""
    if destination == "-":
        _write_standard_output(data)
    else:
        atomic_write(Path(destination), data)


def atomic_write(path: Path, data: bytes) -> None:
    """Replace a file's contents: at every moment it holds either all of the old or all of the new.

    The new contents are written beside the file, synced, and renamed over it, with the old file's mode.
    A symbolic link stays, and what it points to is replaced. Devices and pipes, which can't be replaced,
    are written in place. Raises :class:`OutputError`, one line; then the old file is untouched and
    nothing is left beside it.
    """
    with _one_line(path):
        target = Path(os.path.realpath(path))
        try:
            old = os.stat(path)  # noqa: PTH116 - through the link itself: /proc/self/fd/1 resolves to no real name
        except FileNotFoundError:
            old = None
        if old is not None and stat.S_ISDIR(old.st_mode):
            raise OutputError(f"{_name(path)}: is a directory; name a file in it")
        if old is not None and (not stat.S_ISREG(old.st_mode) or _is_descriptor(path)):
            _write_in_place(path, data)
            return
        if not target.parent.is_dir():
            raise OutputError(f"{_name(path)}: the directory {_name(target.parent)} does not exist; create it first")
        if old is not None and not os.access(target, os.W_OK):
            raise OutputError(f"{_name(path)}: is write-protected; change its permissions or name another file")
        _replace(target, data, old)


def _replace(target: Path, data: bytes, old: os.stat_result | None) -> None:
    beside = target.parent / f".reprocheck-{secrets.token_hex(8)}.tmp"
    try:
        mode = _NEW_FILE if old is None else stat.S_IMODE(old.st_mode)
        # Never more open than the old file, not even for a moment.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            if old is not None:
                with contextlib.suppress(PermissionError):
                    os.fchown(descriptor, old.st_uid, old.st_gid)
                os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        beside.replace(target)
    except BaseException:  # also when interrupted
        beside.unlink(missing_ok=True)
        raise
    # The rename itself is safe only once the directory is. Some file systems can't sync one; the file
    # is in place all the same.
    with contextlib.suppress(OSError):
        directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _is_descriptor(path: Path) -> bool:
    """Whether a path names an open file of a process (``/dev/stdout``): a rename would miss the open one."""
    parent = os.path.realpath(path.parent)
    return parent == "/dev" or parent.startswith("/proc/")


def _write_in_place(path: Path, data: bytes) -> None:
    # Appending: /dev/stdout may be a file that already holds something.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY)
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(data)


def _write_standard_output(data: bytes) -> None:
    if sys.stdout is None:  # closed by the caller: >&-
        raise OutputError("standard output: is closed; name a file with -o")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _silence_standard_output()  # whoever reads has read enough: no error
    except OSError as error:
        _silence_standard_output()
        raise OutputError(f"standard output: cannot be written ({error.strerror})") from error


def _silence_standard_output() -> None:
    """Keep the interpreter from failing once more, noisily, when it flushes at exit."""
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{_name(path)}: cannot be written ({error.strerror}); nothing was changed") from error


def _name(path: Path) -> str:
    return printable(str(path))
