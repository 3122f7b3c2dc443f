"""Which file the dynamic linker takes for a library: ld.so(8), and where that is silent glibc's ``elf/dl-load.c``.

A process is followed from its program on: what is loaded already answers first, then RPATH (of the object that
asks, of the one that loaded it, and so on up to the program; not where the asking object has a RUNPATH),
``LD_LIBRARY_PATH``, the asking object's own RUNPATH, the cache, the default directories. What hangs on the
processor or on where the process is started is not guessed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct, field

from reprocheck.extractors.ld_cache import CacheEntry
from reprocheck.model.evidence import ElfEvidence

_OBJECTS = 2000
"""Objects of one process; more are not followed."""
_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")
_FLAGS = {(64, 62): 0x0303, (64, 183): 0x0A03, (64, 21): 0x0503, (64, 22): 0x0403, (32, 3): 0x0003}
"""Kinds of objects in the cache, by class and ``e_machine`` (glibc, ``sysdeps/*/dl-cache.h``)."""


class Unknown(Exception):  # noqa: N818 - an answer, no error
    """It can't be told; the argument says why."""


class Files(Protocol):
    """The files of the target."""

    def look(self, path: str) -> ElfEvidence | None:
        """The ELF file that a path leads to; ``None``: there is nothing."""
        ...

    def varieties(self, name: str) -> bool:
        """Whether there are builds of a library for some processors only (``glibc-hwcaps``)."""
        ...


class Settings(Struct, frozen=True, kw_only=True):
    """What the linker is told by others than the objects."""

    library_path: str
    """``LD_LIBRARY_PATH``."""
    cache: Mapping[str, tuple[CacheEntry, ...]]
    """By name."""
    default: tuple[str, ...]
    """The directories that are searched last."""
    given: Callable[[str], bool]
    """Whether a library comes from outside when the process is started, as the driver's do."""


class Loaded(Struct, eq=False):
    """An object of the process."""

    path: str
    """As the linker opened it: links stand in it as they are."""
    told: ElfEvidence
    loader: Loaded | None
    reason: str
    names: set[str] = field(default_factory=set)
    """That it was asked for by."""


class Outcome(Struct, frozen=True):
    """What loading one library gives."""

    loaded: Loaded | None
    reason: str
    certain: bool = True
    """Whether ``None`` means that there is none."""


class Process:
    """A process, as far as its shared objects go."""

    def __init__(self, files: Files, settings: Settings, program: ElfEvidence) -> None:
        self._files = files
        self._settings = settings
        self.program = Loaded(program.real, program, None, "the program")
        self.objects = [self.program]
        self.unknown: dict[str, str] = {}
        """Libraries that objects need and that can't be told, and why."""
        self._needs(self.program)

    def load(self, name: str, caller: Loaded | None = None) -> Outcome:
        """Load a library by name or path with all that it needs, as ``dlopen`` called by ``caller`` does."""
        before = len(self.objects)
        try:
            found, reason, fresh = self._one(name, caller or self.program)
        except Unknown as unknown:
            return Outcome(None, str(unknown), certain=False)
        if found is not None and fresh:
            failed = self._needs(found)
            if failed is not None:  # then nothing of it stays
                del self.objects[before:]
                return Outcome(None, f"{found.path} needs {failed}")
        return Outcome(found, reason)

    def _needs(self, start: Loaded) -> str | None:
        """Load what an object needs, and what that needs, breadth first as the linker does; what is missing."""
        queue = [start]
        missing = None
        while queue and len(self.objects) < _OBJECTS:
            one = queue.pop(0)
            for name in one.told.needed:
                try:
                    found, reason, fresh = self._one(name, one)
                except Unknown as unknown:
                    self.unknown.setdefault(name, str(unknown))
                    continue
                if found is None and not self._settings.given(name):
                    missing = missing or f"{name}, which is {reason}"
                elif found is not None and fresh:
                    queue.append(found)
        return missing

    def _one(self, name: str, caller: Loaded) -> tuple[Loaded | None, str, bool]:
        """An object for a name, why this one, and whether it was not loaded before."""
        for known in self.objects[1:]:
            if name in known.names or name == known.told.soname:
                return known, f"loaded already: {known.reason}", False
        found, reason = self._direct(name, caller) if "/" in name else self._search(name, caller)
        if found is None:
            return None, reason, False
        path, told = found
        for known in self.objects:
            if known.told.real == told.real:
                known.names.add(name)
                return known, f"loaded already: {known.reason}", False
        loaded = Loaded(path, told, caller, reason, {name})
        self.objects.append(loaded)
        return loaded, reason, True

    def _direct(self, name: str, caller: Loaded) -> tuple[tuple[str, ElfEvidence] | None, str]:
        path = self._expand(name, caller)
        if not path.startswith("/"):
            raise Unknown(f"{name} depends on the working directory")
        told = self._usable(path)
        return ((path, told) if told else None), "by its path"

    def _search(self, name: str, caller: Loaded) -> tuple[tuple[str, ElfEvidence] | None, str]:
        if self._files.varieties(name):
            raise Unknown(f"there are builds of {name} for some processors only")
        for directory, reason in self._directories(caller):
            found = self._in(directory, name)
            if found is not None:
                return found, reason
        entries = self._settings.cache.get(name, ())
        kind = _FLAGS.get((self.program.told.bits or 0, self.program.told.machine or 0))
        if entries and kind is None:
            raise Unknown("the kind of machine in ld.so.cache is not known")
        fitting = [entry for entry in entries if entry.flags == kind]
        if any(entry.hwcap for entry in fitting):
            raise Unknown("ld.so.cache has builds for some processors only")
        for entry in fitting[:1]:
            told = self._usable(entry.path)
            hidden = caller.told.nodeflib and posixpath.dirname(entry.path) in self._settings.default
            if told is not None and not hidden:
                return (entry.path, told), "ld.so.cache"
        for directory in () if caller.told.nodeflib else self._settings.default:
            found = self._in(directory, name)
            if found is not None:
                return found, "default directory"
        return None, "nowhere that the dynamic linker looks"

    def _directories(self, caller: Loaded) -> Iterator[tuple[str, str]]:
        """The directories of paths, in order, with the path's name."""
        if caller.told.runpath is None:
            one: Loaded | None = caller
            met = False
            while one is not None:
                met = met or one is self.program
                yield from self._rpath(one)
                one = one.loader
            if not met:
                yield from self._rpath(self.program)
        for part in re.split("[:;]", self._settings.library_path) if self._settings.library_path else ():
            yield self._expand(part, self.program), "LD_LIBRARY_PATH"
        if caller.told.runpath is not None:
            for part in caller.told.runpath.split(":"):
                yield self._expand(part, caller), f"RUNPATH of {posixpath.basename(caller.path)}"

    def _rpath(self, one: Loaded) -> Iterator[tuple[str, str]]:
        # An object that has both is read as if it had no RPATH.
        if one.told.rpath is not None and one.told.runpath is None:
            for part in one.told.rpath.split(":"):
                yield self._expand(part, one), f"RPATH of {posixpath.basename(one.path)}"

    def _expand(self, part: str, one: Loaded) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name != "ORIGIN":
                raise Unknown(f"a search path has ${name}")
            return posixpath.dirname(one.path)

        return _TOKEN.sub(value, part)

    def _in(self, directory: str, name: str) -> tuple[str, ElfEvidence] | None:
        # A relative or empty one means the working directory: that no library lies there is taken for granted.
        if not directory.startswith("/"):
            return None
        path = re.sub("//+", "/", f"{directory}/{name}")
        told = self._usable(path)
        return (path, told) if told is not None else None

    def _usable(self, path: str) -> ElfEvidence | None:
        """The object at a path, if the linker would not pass it over."""
        told = self._files.look(path)
        if told is None or told.problem == "EACCES":
            return None
        program = self.program.told
        if told.machine is not None and (told.bits, told.machine) != (program.bits, program.machine):
            return None
        if told.problem is not None:
            raise Unknown(f"{path}: {told.problem}")
        return told
