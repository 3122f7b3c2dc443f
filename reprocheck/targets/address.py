"""How a target is named on the command line: ``KIND:VALUE``."""

from __future__ import annotations

import os
from typing import Literal, get_args

from msgspec import Struct

from reprocheck.errors import UsageError

Kind = Literal["container", "image", "archive", "oci", "rootfs", "python", "host", "snapshot", "evidence"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Address(Struct, frozen=True):
    """A target, named in full."""

    kind: Kind
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


def chosen(value: str) -> tuple[str, str | None]:
    """``PATH#NAME`` as path and name; a path that exists as it stands has no name in it."""
    path, mark, name = value.rpartition("#")
    if not mark or os.path.lexists(value):
        return value, None
    return path, name or None


def parse(word: str) -> Address | None:
    """Read ``KIND:VALUE``; ``None`` for a bare word (``tf:2.9.0`` is one, since ``tf`` is no kind).

    Raises:
        UsageError: a kind without its value.
    """
    kind, colon, value = word.partition(":")
    if not colon or kind not in KINDS:
        return None
    if not value and kind != "host":
        raise UsageError(f"{word!r} names nothing: write {kind}:NAME")
    if value and kind == "host":
        raise UsageError(f"{word!r}: host: takes no value; name an interpreter with python:PATH")
    return Address(kind, value)
