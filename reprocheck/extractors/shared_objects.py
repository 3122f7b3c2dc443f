"""The shared objects of a target, who brought them, and which of them need what is nowhere."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from reprocheck import pythonpath
from reprocheck.extractors import ld_cache
from reprocheck.extractors.discovery import SHARED_OBJECT
from reprocheck.extractors.layout import EvidenceTree, layout_of
from reprocheck.extractors.owners import Owners, lists
from reprocheck.extractors.places import Place, places
from reprocheck.model.evidence import AnyWant, Elf, ElfEvidence, Evidence, Find, Read, shown
from reprocheck.model.snapshot import MissingLibrary
from reprocheck.model.text import escape

_DRIVER = re.compile(
    r"lib(?:cuda|cudadebugger|nvcuvid|nvoptix|nvidia-[\w-]+|(?:GLX?|GLESv\d(?:_CM)?|EGL|vdpau)_nvidia)\.so(?:\.|$)"
)
_DEBIAN = "/usr/lib/python3/dist-packages/"
"""Where dpkg's packages of Python modules put them (Debian Python Policy)."""
GROUP = "module"
"""Of the shared objects below site directories."""
_LEAVES = ("__pycache__", "include")
"""Nothing that is loaded lies among bytecode or headers, which are half of the directories of a framework."""
_KERNEL_MOUNTS = frozenset({"/proc", "/sys", "/dev"})
_EXTENSION = re.compile(r"([A-Za-z_]\w*)((?:\.[\w-]+)*\.so)")


def wants() -> list[AnyWant]:
    """The objects of the site directories, what each Python is, and the dynamic linker's cache."""
    return [
        Find(at="@site", group=GROUP, name=SHARED_OBJECT, leaves=_LEAVES),
        Elf(at=f"@{GROUP}"),
        Elf(at="@python"),
        Elf(at="@self"),
        Read(at=ld_cache.PATH),
    ]


class Home(Struct, frozen=True, kw_only=True):
    """An environment with the directories that it imports from."""

    place: Place
    directories: tuple[str, ...]

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings of extension modules, most telling first."""
        return self.place.facts.suffixes if self.place.facts else (".so",)


class SharedObjects:
    """What the evidence tells of shared objects, worked out once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.owners = Owners(evidence)

    @cached_property
    def homes(self) -> tuple[Home, ...]:
        """Every environment, by id."""
        found = []
        for place in sorted(places(self.evidence), key=lambda place: place.id):
            layout = layout_of(place, self.evidence)
            if layout is not None:
                path = pythonpath.search_path(layout, EvidenceTree(self.evidence))
                found.append(Home(place=place, directories=tuple(path)))
        return tuple(found)

    @cached_property
    def provided(self) -> frozenset[str]:
        """Names under which something is there: of files, of links, and of libraries by their own account."""
        evidence = self.evidence
        found = [*evidence.found.get("library", ()), *evidence.found.get(GROUP, ())]
        names = {posixpath.basename(path) for path in found}
        names |= {told.soname for told in evidence.elf.values() if told.soname}
        names |= {posixpath.basename(path) for path, told in evidence.elf.items() if told.problem is None}
        names |= {entry.name for listing in evidence.listings.values() for entry in listing.entries}
        return frozenset(names | {entry.name for entry in ld_cache.parse(evidence.content(ld_cache.PATH) or b"")})

    @property
    def certain(self) -> bool:
        """Whether the whole file system was searched."""
        walk, search = self.evidence.walk, self.evidence.searches.get(GROUP)
        if walk is None or search is None or not walk.searched:
            return False
        elsewhere = set(walk.mounts) - _KERNEL_MOUNTS
        return not (walk.reason or walk.denied or elsewhere or search.reason or search.denied)

    def home_of(self, path: str) -> tuple[Home, str] | None:
        """The environment that imports from above a path, and the deepest such directory; of equals the first by id."""
        best: tuple[Home, str] | None = None
        for home in self.homes:
            for directory in home.directories:
                if path.startswith(directory + "/") and (best is None or len(directory) > len(best[1])):
                    best = home, directory
        return best

    def python_of(self, place: Place) -> ElfEvidence | None:
        """The program of an environment's Python; ``None``: it was not read, or is none."""
        evidence = self.evidence
        told = evidence.elf.get(place.executable)
        if told is None:
            told = next((one for one in evidence.elf.values() if one.real == place.executable), None)
        return told if told is not None and told.problem is None else None

    def rooted(self, path: str) -> str:
        """A path with the named root of its environment, if it has one."""
        found = self.home_of(path)
        return found[0].place.rooted(path, self.evidence.home) if found else shown(path)


def is_of_driver(library: str) -> bool:
    """Whether the container runtime brings a library when a container is started (NVIDIA Container Toolkit)."""
    return _DRIVER.match(library) is not None


# Missing libraries.


def owners_wants(objects: SharedObjects) -> list[AnyWant]:
    """What Debian's own packages recorded, where one of their modules needs what is nowhere and no wheel owns it."""
    unowned = (path for path in lacking(objects) if objects.owners.of(path) is None)
    return [lists("python3")] if any(path.startswith(_DEBIAN) for path in unowned) else []


def missing(objects: SharedObjects) -> Iterator[MissingLibrary]:
    """Libraries that objects of the site directories need and that are nowhere; one for each owner and name."""
    found: dict[tuple[str, str | None, str], MissingLibrary] = {}
    certain = objects.certain
    needing = lacking(objects)
    if not needing:
        return
    there = objects.evidence.found.get(GROUP, ())
    modules = _modules_by_object(objects, {path: told for path in there if (told := _judged(path, objects))})
    for path, names in needing.items():
        home = objects.home_of(path)
        owner = objects.owners.of(path)
        for name in names:
            environment = home[0].place.id if home else None
            one = MissingLibrary(
                library=_text(name),
                owner=str(owner) if owner else "none",
                environment=environment,
                needed_by=objects.rooted(path),
                module=modules.get(path),
                certain=certain,
            )
            key = (one.owner, one.environment, one.library)
            # Of several objects that need it one stands for all: rather one that an import leads to.
            if key not in found or (found[key].module is None and one.module is not None):
                found[key] = one
    yield from sorted(found.values(), key=lambda one: (one.owner, one.library, one.environment or ""))


def lacking(objects: SharedObjects) -> dict[str, list[str]]:
    """Objects of the site directories that need what is nowhere, by path, and what that is."""
    needing = {}
    provided = objects.provided
    for path in objects.evidence.found.get(GROUP, ()):
        told = objects.evidence.elf.get(path)
        names = [name for name in told.needed if name not in provided and not is_of_driver(name)] if told else []
        # Most need nothing that is nowhere, and whose they are takes longer to tell.
        if names and _judged(path, objects):
            needing[path] = names
    return needing


def _judged(path: str, objects: SharedObjects) -> ElfEvidence | None:
    """An object that the environment's Python could load: of its machine, of its C library, not for another version."""
    told, home = objects.evidence.elf.get(path), objects.home_of(path)
    if told is None or told.problem is not None or home is None:
        return None
    python = objects.python_of(home[0].place)
    if python is None or (told.bits, told.order, told.machine) != (python.bits, python.order, python.machine):
        return None
    musl = any(name.startswith("libc.musl-") for name in told.needed)
    if musl != ("ld-musl-" in (python.interpreter or "")) and (musl or "libc.so.6" in told.needed):
        return None
    found = _EXTENSION.fullmatch(posixpath.basename(path))
    tag = found[2] if found else ".so"
    foreign = re.match(r"\.(?:cpython|cp|pypy|graalpy)", tag) is not None and tag not in home[0].suffixes
    return None if foreign else told


def _modules_by_object(objects: SharedObjects, judged: Mapping[str, ElfEvidence]) -> dict[str, str]:
    """The extension module that loads an object, by the object's path: itself, or what is linked to it."""
    by_name: dict[str, list[str]] = {}
    for path, told in judged.items():
        for name in {posixpath.basename(path), told.soname or posixpath.basename(path)}:
            by_name.setdefault(name, []).append(path)
    modules: dict[str, str] = {}
    # The shortest name first: it is the one that people import.
    own = ((module, path) for path in judged if (module := _module(path, objects)) is not None)
    for module, start in sorted(own, key=lambda one: (one[0].count("."), one)):
        left = [start]
        while left:
            path = left.pop()
            if path in modules:
                continue
            modules[path] = module
            left += [other for name in judged[path].needed for other in _nearest(by_name.get(name, []), path)]
    return modules


def _nearest(candidates: Iterable[str], path: str) -> list[str]:
    """Of objects with one name, those that share the longest beginning of their path."""
    ranked = [(len(posixpath.commonpath((one, path))), one) for one in candidates]
    best = max((length for length, _ in ranked), default=0)
    return [one for length, one in ranked if length == best]


def _module(path: str, objects: SharedObjects) -> str | None:
    """Dotted name of an extension module; ``package/package.so`` is what importing the package loads."""
    home = objects.home_of(path)
    if home is None:
        return None
    *above, name = path.removeprefix(home[1] + "/").split("/")
    found = _EXTENSION.fullmatch(name)
    if found is None or found[2] not in home[0].suffixes or name.startswith("lib"):
        return None
    if not all(part.isidentifier() for part in above):
        return None
    parts = above if above and above[-1] == found[1] else [*above, found[1]]
    return ".".join(parts)


def _text(name: str) -> str:
    return escape(name.encode("latin-1"))
