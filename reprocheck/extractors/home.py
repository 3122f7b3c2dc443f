"""``PYTHONHOME``: where the configuration says that the standard library is, whatever interpreter is started."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from reprocheck.extractors.configuration import path_variable
from reprocheck.model.evidence import AnyWant, Evidence, InterpreterFacts, List, literal, shown

_ABSENT = frozenset({"ENOENT", "ENOTDIR"})
_NEWEST = 13
"""The last minor version for which this holds; from 3.14 on it is ``getpath`` that reads pyvenv.cfg."""


class Started(NamedTuple):
    """An interpreter as its configuration lets it start; the probe asks it without (``-I``)."""

    facts: InterpreterFacts
    unsure: str | None = None
    """Why that is not known."""
    unable: str | None = None
    """Why it does not start: its facts are those without the configuration."""


def wants(evidence: Evidence) -> Iterator[AnyWant]:
    """The directory of each interpreter's standard library, and of the archive that may stand for it."""
    for told in evidence.interpreters.values():
        moved = _moved(told.facts, evidence) if told.facts else None
        if moved is not None:
            yield from (List(at=literal(at)) for at in (moved.library, posixpath.dirname(moved.library)))


def started(facts: InterpreterFacts, evidence: Evidence) -> Started:
    """What ``PYTHONHOME``, ``PREFIX`` or ``PREFIX:EXEC_PREFIX``, makes of an interpreter.

    CPython takes the prefixes from there without looking whether anything is below them (``Modules/getpath.c``, from
    3.11 on ``getpath.py``), in a virtual environment as well.
    """
    value = path_variable(evidence, "PYTHONHOME")
    if not value or facts.implementation != "cpython":
        return Started(facts)
    moved = _moved(facts, evidence)
    if moved is None:
        return Started(facts, unsure=f"what PYTHONHOME={shown(value)} means for Python {facts.version} is not known")
    where = shown(moved.library)
    match _is_there(moved, evidence):
        case True:
            return Started(moved)
        case False:
            reason = f"PYTHONHOME leads to {where}, which is no standard library: it does not start; read without"
            return Started(facts, unable=reason)
        case None:
            return Started(moved, unsure=f"PYTHONHOME leads to {where}, which was not seen")


def _moved(facts: InterpreterFacts, evidence: Evidence) -> InterpreterFacts | None:
    """The facts with the prefixes that are configured; ``None``: none are, or it is not known what comes of them."""
    prefix, colon, exec_prefix = (path_variable(evidence, "PYTHONHOME") or "").partition(":")
    if not colon:
        exec_prefix = prefix
    known = facts.implementation == "cpython" and int(facts.version.split(".")[1]) <= _NEWEST
    if not (known and prefix.startswith("/") and exec_prefix.startswith("/")):
        return None
    prefix, exec_prefix = posixpath.normpath(prefix), posixpath.normpath(exec_prefix)
    inside = [(entry, posixpath.relpath(entry, facts.base_prefix)) for entry in facts.standard_path]
    return msgspec.structs.replace(
        facts,
        base_prefix=prefix,
        base_exec_prefix=exec_prefix,
        standard_path=tuple(
            posixpath.join(exec_prefix if entry.endswith("/lib-dynload") else prefix, rest) for entry, rest in inside
        ),
    )


def _is_there(facts: InterpreterFacts, evidence: Evidence) -> bool | None:
    """Whether the standard library is where the facts say; ``None``: not known (yet)."""
    library = facts.library
    listing, around = evidence.listings.get(library), evidence.listings.get(posixpath.dirname(library))
    if listing is None or listing.problem not in {None, *_ABSENT}:
        return None
    if {"os.py", "os.pyc"} & {entry.name for entry in listing.entries}:
        return True
    archives = {posixpath.basename(path) for path in facts.standard_path if path.endswith(".zip")}
    return None if around and archives & {entry.name for entry in around.entries} else False
