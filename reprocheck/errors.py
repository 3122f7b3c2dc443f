"""The exceptions that end a command, and the exit codes they end it with.

Each message is one line: what, where, what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command."""

    OK = 0
    """Verified, or done."""
    DRIFT = 1
    """At least one finding at or above the threshold."""
    UNVERIFIED = 2
    """Bad usage, unreachable target, unreadable file, a gap in what had to be verified, an interrupted run."""


class ReprocheckError(Exception):
    """Something that the user can act on; ends the command with exit code 2."""

    def __init__(self, message: str, *, commands: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.commands = tuple(commands)
        """Commands to run instead, shown one a line below the message."""


class UsageError(ReprocheckError):
    """The command line, or the way a target was named, is wrong."""


class EngineError(ReprocheckError):
    """The container engine is missing, refused, or was lost on the way."""


class TargetError(ReprocheckError):
    """The target does not exist or can't be read."""


class IncompleteError(TargetError):
    """The route that was taken can't tell all that is asked; another one may."""


class DataError(ReprocheckError):
    """A file given to reprocheck (baseline, snapshot, evidence) can't be used."""


class OutputError(ReprocheckError):
    """A result could not be written."""
