"""Environments as an installer made them (``environments/``), and the metadata of what is in them (``metadata/``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from reprocheck.model.snapshot import Snapshot, System
from tests.make import environment, package, python, snapshot

HERE = Path(__file__).resolve().parent
_REQUESTED = "  # requested"


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one release says of itself (core metadata)."""

    requires: tuple[str, ...] = ()
    """``Requires-Dist``, verbatim, sorted."""
    extras: tuple[str, ...] = ()
    """``Provides-Extra``, normalised."""
    requires_python: str | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of a case's statement when both sides were installed and it was run."""

    date: str
    before: str
    """The line that tells the failure; empty: it worked."""
    after: str


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """A whole environment."""

    python: str
    made: str
    """How: the command, and the day as of which the index was asked."""
    pins: dict[str, str]
    requested: frozenset[str]


def names() -> list[str]:
    return sorted(path.stem for path in (HERE / "environments").glob("*.txt"))


@cache
def read(name: str) -> Pinned:
    head, *lines = (HERE / "environments" / f"{name}.txt").read_text().splitlines()
    version, made = head.removeprefix("# Python ").split("; ", 1)
    return Pinned(
        python=version,
        made=made,
        pins={one: pin for one, _, pin in (line.removesuffix(_REQUESTED).partition("==") for line in lines)},
        requested=frozenset(line.partition("==")[0] for line in lines if line.endswith(_REQUESTED)),
    )


def write(name: str, pinned: Pinned) -> None:
    lines = [f"# Python {pinned.python}; {pinned.made}"]
    for one, version in sorted(pinned.pins.items()):
        lines.append(f"{one}=={version}{_REQUESTED if one in pinned.requested else ''}")
    (HERE / "environments" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    read.cache_clear()


@cache
def metadata(name: str) -> dict[str, Row]:
    path = HERE / "metadata" / f"{name}.json"
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Row]) if path.exists() else {}


def add(name: str, version: str, row: Row) -> None:
    metadata.cache_clear()
    rows = {**metadata(name), version: row}
    encoded = msgspec.json.encode(dict(sorted(rows.items())))
    (HERE / "metadata" / f"{name}.json").write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")
    metadata.cache_clear()


def capture(pinned: Pinned) -> Snapshot:
    """The facts that a capture of this environment holds, its files aside."""
    minor = ".".join(pinned.python.split(".")[:2])
    packages = []
    for name, version in pinned.pins.items():
        row = metadata(name)[version]
        facts = package(
            f"{name}=={version}",
            *row.requires,
            extras=row.extras,
            requires_python=row.requires_python,
            requested=name in pinned.requested,
            location=f"{{prefix}}/lib/python{minor}/site-packages",
        )
        packages.append(facts)
    return snapshot(environment(*packages, python=python(pinned.python)), system=System(architecture="x86_64"))


def seen() -> dict[str, Seen]:
    return msgspec.json.decode((HERE / "seen.json").read_bytes(), type=dict[str, Seen])


def saw(name: str, outcome: Seen) -> None:
    encoded = msgspec.json.encode(dict(sorted({**seen(), name: outcome}.items())))
    (HERE / "seen.json").write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")
