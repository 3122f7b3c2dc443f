"""Which layer each file of an answer is of."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress

import msgspec

from reprocheck.layers.tree import Place, Tree, Untraceable
from reprocheck.model.evidence import (
    Answer,
    AnyWant,
    Document,
    Elf,
    ElfEvidence,
    FileEvidence,
    FileVersion,
    InterpreterEvidence,
    LayerProblem,
    Read,
    RecordEvidence,
    literal,
)
from reprocheck.probe import urls
from reprocheck.targets.interpreter_files import tells
from reprocheck.targets.mounts import Mounts
from reprocheck.targets.session import Session
from reprocheck.targets.static import StaticSession

_VERSIONS_LIMIT = 64 << 20
"""Bytes of all earlier versions in one answer; those of the highest layers come first."""


_READ = frozenset({None, "ENOENT", "ENOTDIR"})
"""Problems of a listing with which the names that were removed are still told: of a directory that is gone, all."""
_UNTOLD = "which layer brought what: of some facts no layer is named"


class Traced:
    """A session whose answers name layers: the files are the session's, their layers are read from a tree of them."""

    def __init__(self, session: Session, tree: Tree, *, mounts: Mounts | None = None) -> None:
        self._session = session
        self._mounts = Mounts(tree, ()) if mounts is None else mounts
        self._tree = self._mounts.tree
        self._gone: dict[str, dict[str, int]] = {}
        """What was taken out of directories, as far as it was asked for."""
        self._untold: str | None = None
        """Why of some answers no layer is named."""

    @property
    def document(self) -> Document:
        """The session's own; with a note where layers could not be named."""
        document = self._session.document
        if self._untold is None:
            return document
        note = LayerProblem(where=document.header.target, reason=self._untold, lost=False)
        return msgspec.structs.replace(document, problems=(*document.problems, note))

    def answer(self, wants: Sequence[AnyWant]) -> Answer | None:
        """The session's answer, with layers; without any where they can't be told of all."""
        told = self._session.answer(wants)
        if told is None:
            return None
        try:
            return self._traced(told, wants)
        except Untraceable:
            self._untold = f"links were moved too often to tell {_UNTOLD}"
        except OSError as error:
            self._untold = f"a layer can't be read ({error.strerror}) to tell {_UNTOLD}"
        return told

    def _traced(self, told: Answer, wants: Sequence[AnyWant]) -> Answer:
        limits = {want.at: want.limit for want in wants if isinstance(want, Read) and want.versions}
        versioned = ((path, limits.get(literal(path))) for path in (told.files if limits else ()))
        versions = self._versions({path: limit for path, limit in versioned if limit is not None})
        compared = {want.at for want in wants if isinstance(want, Elf) and want.changed}
        objects = {one.real for path, one in told.elf.items() if one.real and literal(path) in compared}
        edited = (name for path, record in told.records.items() for name in _named(path, record.modified))
        changed = self._changed(objects.union(edited))
        return msgspec.structs.replace(
            told,
            files={path: self._file(path, file, versions.get(path, ())) for path, file in told.files.items()},
            listings={
                path: msgspec.structs.replace(listing, removed=self._removed(path))
                if listing.problem in _READ
                else listing
                for path, listing in told.listings.items()
            },
            records={path: self._edited(path, record, changed) for path, record in told.records.items()},
            interpreters={
                path: msgspec.structs.replace(one, **self._of_program(one.real), **self._of_version(one))
                for path, one in told.interpreters.items()
            },
            elf={path: self._object(one, changed) for path, one in told.elf.items()},
        )

    def _file(self, path: str, file: FileEvidence, versions: tuple[FileVersion, ...]) -> FileEvidence:
        if file.problem in _READ:
            return msgspec.structs.replace(file, **({} if file.problem else self._written(path)), versions=versions)
        return file

    def _edited(self, path: str, record: RecordEvidence, changed: Mapping[str, int | None]) -> RecordEvidence:
        """The highest layer that changed one of the modified files, or took a missing one away."""
        modified = [changed[name] for name in _named(path, record.modified)]
        taken = [self._taken(name) for name in _named(path, record.missing)]
        known = [layer for layer in (*modified, *taken) if layer is not None]
        # One of which it is not known may have been changed last.
        return msgspec.structs.replace(record, layer=None if None in modified else max(known, default=None))

    def _changed(self, paths: Collection[str]) -> dict[str, int | None]:
        """The layer that gave each file its contents, as far as that can be told."""
        places = {path: place for path in paths if (place := self._place(path)) is not None}
        return {**dict.fromkeys(paths), **dict(zip(places, self._tree.changed(list(places.values())), strict=True))}

    def _taken(self, path: str) -> int | None:
        """The layer that took a file away, or a directory above it."""
        above, _, name = path.rpartition("/")
        return self._removed(above).get(name)

    def _object(self, one: ElfEvidence, changed: Mapping[str, int | None]) -> ElfEvidence:
        if not one.real:
            return one
        return msgspec.structs.replace(one, **self._written(one.real), changed=changed.get(one.real))

    def _of_program(self, real: str) -> dict[str, int]:
        place = self._place(real)
        return {} if place is None else self._layers(real, place)

    def _of_version(self, one: InterpreterEvidence) -> dict[str, int]:
        """The layers of the file that told the version; one that was replaced by another of this version counts on."""
        if one.facts is None or one.facts.version_file is None:
            return {}
        path, version = one.facts.version_file, one.facts.version
        place = self._place(path)
        if place is None:
            return {}
        since = place.layer
        for earlier in self._below(path):
            if not tells(self._tree, earlier, version):
                break
            since = earlier.layer
        return {"version_layer": place.layer, "version_since": since}

    def _layers(self, path: str, place: Place) -> dict[str, int]:
        return {"layer": place.layer, "since": self._tree.since(path.encode("latin-1"))}

    def _written(self, path: str) -> dict[str, int]:
        place = self._place(path)
        if place is None:
            return {}
        return {**self._layers(path, place), "mtime": place.entry.mtime}

    def _place(self, path: str) -> Place | None:
        """Where a path leads; ``None`` where what a layer has there is not what is seen."""
        try:
            place = self._tree.find(path.encode("latin-1"))
        except OSError:
            return None
        return None if self._mounts.hide(place.path) else place

    def _removed(self, path: str) -> dict[str, int]:
        if path not in self._gone:
            raw = path.encode("latin-1")
            removed: Mapping[bytes, int] = {}
            if not self._mounts.hide_end_of(raw):
                with suppress(OSError):
                    removed = self._tree.removed(raw)
            self._gone[path] = {name.decode("latin-1"): layer for name, layer in removed.items()}
        return self._gone[path]

    def _versions(self, limits: Mapping[str, int]) -> dict[str, tuple[FileVersion, ...]]:
        """What files held in lower layers, the lowest first; ``limits``: bytes of each, by path."""
        below = {path: list(self._below(path)) for path in limits}
        room = _VERSIONS_LIMIT
        carried = set()
        for path, places in below.items():
            for place in places:
                if place.entry.type == "file" and place.entry.size <= min(limits[path], room):
                    room -= place.entry.size
                    carried.add(place)
        self._tree.fetch(list(carried))
        return {
            path: tuple(
                FileVersion(layer=place.layer, content=self._content(place) if place in carried else None)
                for place in reversed(places)
            )
            for path, places in below.items()
        }

    def _below(self, path: str) -> Iterator[Place]:
        """Where a file was in lower layers, the highest first, as far down as it was there without a break.

        Of one that is gone it is where it was last.
        """
        place = self._place(path)
        layer = self._taken(path) or 0 if place is None else place.layer
        while layer > 0:
            try:
                place = self._tree.find(path.encode("latin-1"), before=layer)
            except OSError:
                return
            yield place
            layer = place.layer

    def _content(self, place: Place) -> str | None:
        try:
            raw: bytes = urls.scrub(self._tree.read(place, 0, place.entry.size))
        except OSError:
            return None
        return raw.decode("latin-1")


def traced(document: Document, tree: Tree, *, home: str | None) -> Traced:
    """Read a tree of layers without running anything of it, and name them; ``home``: as is configured."""
    return Traced(StaticSession(document, tree, home=home), tree)


def _named(record: str, names: Sequence[str]) -> list[str]:
    """Paths of files that a record names."""
    base = posixpath.dirname(posixpath.dirname(record))
    return [posixpath.join(base, name) for name in names]
