"""Which layer took away a shared library that is missing now: what was removed from where libraries lie."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from reprocheck.extractors import ld_cache
from reprocheck.extractors.shared_objects import SharedObjects, lacking
from reprocheck.model.evidence import List, literal
from reprocheck.model.text import escape

_ORIGIN = re.compile(r"\$(?:ORIGIN\b|\{ORIGIN\})")


def wants(objects: SharedObjects) -> Iterator[List]:
    """The directories to ask for what was removed from them; none where nothing is missing, or no layer is known."""
    evidence = objects.evidence
    needing = [path for path in lacking(objects) if evidence.elf[path].layer is not None]
    if not needing:
        return
    entries = ld_cache.parse(evidence.content(ld_cache.PATH) or b"")
    known = [*evidence.found.get("library", ()), *(entry.path for entry in entries), *needing]
    directories = {posixpath.dirname(path) for path in known}
    directories.update(directory for path in needing for directory in _told_by(path, objects))
    yield from (List(at=literal(directory)) for directory in sorted(directories) if directory.startswith("/"))


def removed(objects: SharedObjects) -> Iterator[tuple[str, int]]:
    """Names of missing libraries, and the layers that removed them; of one name as many as directories had it."""
    names = {name for needed in lacking(objects).values() for name in needed}
    for listing in objects.evidence.listings.values():
        yield from ((escape(name.encode("latin-1")), listing.removed[name]) for name in names & listing.removed.keys())


def _told_by(path: str, objects: SharedObjects) -> Iterator[str]:
    """The directories that an object itself names (``DT_RPATH``, ``DT_RUNPATH``)."""
    told = objects.evidence.elf[path]
    for part in (told.runpath or told.rpath or "").split(":"):
        yield posixpath.normpath(_ORIGIN.sub(lambda _: posixpath.dirname(path), part))
