"""``image:`` by the layer cache: an image of the engine all of whose layers were read before."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from reprocheck.errors import IncompleteError
from reprocheck.layers.cache import Kept, LayerCache
from reprocheck.layers.entry import Entry
from reprocheck.layers.index import LayerIndex
from reprocheck.layers.room import Room
from reprocheck.layers.tar_layer import StreamedLayer
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import Answer, AnyWant, Document, LayerProblem
from reprocheck.targets import harmless, kept
from reprocheck.targets.session import Session, routed
from reprocheck.targets.storage import Unreadable
from reprocheck.targets.traced import traced


class CachedSession:
    """A session that ends where something is asked for that the cache does not hold: nothing becomes a gap by that."""

    def __init__(self, session: Session, layers: Sequence[_CachedLayer]) -> None:
        self._session = session
        self._layers = layers

    @classmethod
    def open(
        cls, document: Document, inspected: Mapping[str, Any], cache: LayerCache, *, home: str | None
    ) -> CachedSession:
        """Put the layers of an image together, by the ``diff_ids`` that its engine states (``rootfs.diff_ids``).

        Raises:
            Unreadable: they are not all in the cache.
        """
        diff_ids = (inspected.get("RootFS") or {}).get("Layers") or []
        lacking = len(cache.lacking(diff_ids))
        if lacking or not diff_ids:
            raise Unreadable(f"{lacking or 'no'} of its {len(diff_ids)} layers are not in it")
        layers = []
        room = kept.room()
        for number, diff_id in enumerate(diff_ids, start=1):
            known = cache.load(diff_id)
            if known is None:
                raise Unreadable(f"layer {number} of {len(diff_ids)} is damaged there")
            layers.append(_CachedLayer(*known, room))
        problems = tuple(
            LayerProblem(where=problem.within(f"layer {number} ({diff_id})"), reason=problem.reason, lost=problem.lost)
            for number, (diff_id, layer) in enumerate(zip(diff_ids, layers, strict=True), start=1)
            for problem in layer.index.problems
        )
        told = routed(document, "layer cache")
        header = msgspec.structs.replace(told.header, checked="digests")
        tree = Tree(layers)
        return cls(traced(msgspec.structs.replace(told, header=header, problems=problems), tree, home=home), layers)

    @property
    def document(self) -> Document:
        """Header, subject and what the engine says."""
        return self._session.document

    def answer(self, wants: Sequence[AnyWant]) -> Answer | None:
        """Answer from what the cache holds.

        Raises:
            IncompleteError: it does not hold all that was asked for.
        """
        told = self._session.answer(wants)
        if any(layer.lacks for layer in self._layers):
            raise IncompleteError(f"{self.document.header.target}: the layer cache lacks the contents of some files")
        return told


class _CachedLayer(StreamedLayer):
    """A layer that can't come by again."""

    def __init__(self, index: LayerIndex, contents: Kept, room: Room) -> None:
        super().__init__(index, contents, self._again, sampling=kept.Sampling, kept_file=kept.FILE_LIMIT, room=room)
        self.lacks = False
        """Whether something was asked for that was not kept."""

    def read(self, path: bytes, entry: Entry, start: int, length: int) -> bytes:
        """Bytes of a file's contents, fewer only at its end.

        Raises:
            OSError: it is no file, or these bytes were not kept.
        """
        try:
            return super().read(path, entry, start, length)
        except OSError:
            self.lacks = self.lacks or entry.type == "file"
            raise

    def contents(self, wanted: Sequence[tuple[bytes, Entry]]) -> Iterator[tuple[int, bytes]]:
        """The contents of the files that the cache holds as they are; of others nothing.

        They tell who wrote a file, and no fact: for them alone the image is not read by another route.
        """
        for number, (_, entry) in enumerate(wanted):
            if self._is_whole(entry) and harmless.is_as_it_was(self._kept[entry.offset]):
                yield number, self._kept[entry.offset]

    def _again(self) -> NoReturn:
        self.lacks = True
        raise OSError(errno.ENODATA, "the layer cache does not hold it")
