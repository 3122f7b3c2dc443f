"""The process of an environment's Python, as the dynamic linker would set it up in the target."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterator
from functools import cached_property

from reprocheck.extractors import ld_cache
from reprocheck.extractors.configuration import path_variable
from reprocheck.extractors.ld_cache import CacheEntry
from reprocheck.extractors.loader import Process, Settings, Unknown
from reprocheck.extractors.places import Place
from reprocheck.extractors.shared_objects import GROUP, SharedObjects, is_of_driver
from reprocheck.model.evidence import AnyWant, Elf, ElfEvidence, literal

_ABSENT = frozenset({"ENOENT", "ENOTDIR", "ELOOP"})
_VARIETIES = "/glibc-hwcaps/"


class Processes:
    """Starts processes over the evidence, and takes down what it would have to know for that."""

    def __init__(self, objects: SharedObjects) -> None:
        self._objects = objects
        self._evidence = objects.evidence
        self.unknown: dict[str, None] = {}
        """Paths that were not looked at."""

    def start(self, place: Place) -> Process:
        """A process of an environment's Python.

        Raises:
            Unknown: nothing can be told of it.
        """
        program = self._objects.python_of(place)
        if program is None:
            raise Unknown("its Python is no ELF file that was read")
        if program.interpreter is None:
            raise Unknown("its Python names no dynamic linker")
        if "ld-musl-" in program.interpreter:
            raise Unknown("its C library is musl, whose search is another one")
        linker = self.look(program.interpreter)
        if linker is None:
            raise Unknown(f"its dynamic linker {program.interpreter} is not there")
        settings = Settings(
            library_path=path_variable(self._evidence, "LD_LIBRARY_PATH") or "",
            cache=self._cache if program.order == "<" else {},
            default=_default_directories(linker.real),
            given=is_of_driver,
        )
        process = Process(self, settings, program)
        for name in re.split("[: ]+", path_variable(self._evidence, "LD_PRELOAD") or ""):
            if name:
                process.load(name)
        return process

    def modules(self, *patterns: str) -> list[str]:
        """Shared objects of site directories whose paths match, those of the first pattern first."""
        there = self._evidence.found.get(GROUP, ())
        return [path for pattern in patterns for path in there if fnmatch.fnmatchcase(path, pattern)]

    def wants(self) -> Iterator[AnyWant]:
        """What to look at, so that the next try goes further."""
        return (Elf(at=literal(path)) for path in self.unknown)

    def look(self, path: str) -> ElfEvidence | None:
        """The ELF file that a path leads to; what was not looked at is taken down, and passes for absent."""
        told = self._evidence.elf.get(path)
        if told is None:
            if not (self._objects.certain and posixpath.basename(path) not in self._objects.provided):
                self.unknown[path] = None
            return None
        return None if told.problem in _ABSENT else told

    def varieties(self, name: str) -> bool:
        """Whether there are builds of a library for some processors only."""
        return name in self._varieties

    @cached_property
    def _varieties(self) -> frozenset[str]:
        found = (path for path in self._evidence.found.get("library", ()) if _VARIETIES in path)
        return frozenset(posixpath.basename(path) for path in found)

    @cached_property
    def _cache(self) -> dict[str, tuple[CacheEntry, ...]]:
        cache: dict[str, tuple[CacheEntry, ...]] = {}
        for entry in ld_cache.parse(self._evidence.content(ld_cache.PATH) or b""):
            cache[entry.name] = (*cache.get(entry.name, ()), entry)
        return cache


def _default_directories(linker: str) -> tuple[str, ...]:
    """The directories that a linker was built with: its own, without and with ``/usr``; on Debian two more."""
    own = "/" + posixpath.dirname(linker).removeprefix("/usr").strip("/")
    directories = [own, f"/usr{own}"]
    if own.startswith("/lib/"):  # multiarch
        directories += ["/lib", "/usr/lib"]
    return tuple(directories)
