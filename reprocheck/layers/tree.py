"""The merged view of a stack of layers, as the kernel's overlay file system shows it (overlayfs documentation).

Nothing is merged ahead: a directory is put together when it is asked for, from the layers that have a say in
it. Links are followed inside the tree, never outside: ``..`` of the root is the root.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from itertools import takewhile
from typing import NamedTuple

from msgspec import Struct

from reprocheck.layers.entry import Entry, Layer, joined
from reprocheck.layers.history import History
from reprocheck.layers.remembered import Remembered

LINKS = 40
"""As many links as the kernel follows for one path (path_resolution(7))."""
_NAME_MAX = 255
_PATH_MAX = 4096
_PAST_MOST = 4_000_000
"""Names that are looked up in the past in all: layers that move links, which lead to links, make much of little."""
_FINAL = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
"""What a way ends in whenever it is gone."""


class Place(Struct, frozen=True, gc=False):
    """An entry, where it stands, and the layer that it is of."""

    path: bytes
    """Without a leading slash and without links on the way; the root is ``b""``."""
    entry: Entry
    layer: int
    """Position of the layer that last wrote it, from 0 for the lowest."""


class _Way(NamedTuple):
    """How far a path has led."""

    place: Place
    links: int
    """How many were followed."""


class Untraceable(Exception):  # noqa: N818 - an answer that is not given, no error
    """To tell which layer it was takes more steps than are made for one image."""


class Tree:
    """A file system of layers, the lowest first."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        # The kernel takes no notice of an opaque mark on the root of a layer: all roots are merged.
        self._shares: dict[bytes, tuple[int, ...]] = {b"": tuple(reversed(range(len(self.layers))))}
        self._merged: dict[bytes, dict[bytes, tuple[Entry, int]]] = {}
        self._histories: dict[bytes, History] = {}
        self._ways: Remembered[bytes, _Way] = Remembered()
        self._links: Remembered[tuple[bytes, bytes, int | None], _Way | tuple[int, int]] = Remembered()
        """Where links lead, by directory, target and layer; or the error, and how many more links there might be."""
        self._sinces: Remembered[bytes, int] = Remembered()
        """Of directories."""
        self._past = 0

    @property
    def streamed(self) -> bool:
        """Whether a layer comes by as a stream, so that what is read of it has to be fetched."""
        return any(layer.streamed for layer in self.layers)

    def find(self, path: bytes, *, follow: bool = True, before: int | None = None) -> Place:
        """The entry that a path leads to; the last link is left alone unless it is to be followed.

        With ``before`` it is the one that the path led to before this layer was laid on those below it.

        Raises:
            OSError: ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, or what the layer's own reading raised.
            Untraceable: of the past too much was asked.
        """
        if len(path) >= _PATH_MAX:
            raise _error(errno.ENAMETOOLONG, path)
        if before is not None:
            return self._followed(_Way(self._root(before), 0), _steps(path), path, before, follow=follow).place
        known = self._ways.get(path) if follow else None
        if known is not None:
            return known.place
        directory, _, name = path.rpartition(b"/")
        way = self._ways.get(directory)
        if way is None:
            way = self._followed(_Way(self._root(None), 0), _steps(directory), path, None)
            self._ways.add(directory, way, directory, way.place.path)
        # Without a name, as after a slash at the end, it has to be a directory.
        found = self._followed(way, [name or b"."], path, None, follow=follow)
        if found.place.entry.type == "dir":
            self._ways.add(path, found, path, found.place.path)
        return found.place

    def _followed(
        self, way: _Way, left: list[bytes], path: bytes, before: int | None, *, follow: bool = True, most: int = LINKS
    ) -> _Way:
        """Go on from a place by names, the first one last, over so many links at most."""
        place, links = way
        while left:
            if before is not None:
                self._look_back(1)
            name = left.pop()
            if place.entry.type != "dir":
                raise _error(errno.ENOTDIR, path)
            if name == b".":
                continue
            if name == b"..":
                place = self._above(place.path, path, before)
                continue
            entry, layer = self._entry(place.path, name, path, before)
            if entry.type == "link" and (left or follow):
                if links == most:
                    raise _error(errno.ELOOP, path)
                behind = self._behind(_Way(place, 0), entry.link, path, before, most - links - 1)
                place, links = behind.place, links + 1 + behind.links
                continue
            place = Place(joined(place.path, name), entry, layer)
        return _Way(place, links)

    def _above(self, directory: bytes, path: bytes, before: int | None) -> Place:
        """The directory that one is in, which has no links on its way; of the root, the root."""
        above = directory.rpartition(b"/")[0]
        if not above:
            return self._root(before)
        outer, _, name = above.rpartition(b"/")
        return Place(above, *self._entry(outer, name, path, before))

    def _behind(self, way: _Way, link: bytes, path: bytes, before: int | None, most: int) -> _Way:
        """Where a link leads from its directory, over so many more links at most: of each it is found out once."""
        key = (way.place.path, link, before)
        known = self._links.get(key)
        if isinstance(known, _Way):
            if known.links > most:
                raise _error(errno.ELOOP, path)
            return known
        if known is not None and (most <= known[1] if known[0] == errno.ELOOP else most >= known[1]):
            raise _error(known[0], path)
        start = _Way(self._root(before), 0) if link.startswith(b"/") else way
        try:
            found = self._followed(start, _steps(link), path, before, most=most)
        except OSError as error:
            if error.errno in _FINAL:
                self._links.add(key, (error.errno or 0, most), way.place.path, link)
            raise
        self._links.add(key, found, way.place.path, link, found.place.path)
        return found

    def _look_back(self, names: int) -> None:
        """Count names that are looked up in the past.

        Raises:
            Untraceable: there were too many.
        """
        self._past += names
        if self._past > _PAST_MOST:
            raise Untraceable

    def directory(self, path: bytes) -> Mapping[bytes, tuple[Entry, int]]:
        """The entries of a directory and the layer of each, by name; ``path`` has no links on its way.

        Raises:
            OSError: a layer's part of it can't be read.
        """
        merged = self._merged.get(path)
        if merged is None:
            merged = self._merged[path] = self._merge(path)
        return merged

    def read(self, place: Place, start: int, length: int) -> bytes:
        """Bytes of a file's contents, fewer only at its end.

        Raises:
            OSError: they can't be read.
        """
        return self.layers[place.layer].read(place.path, place.entry, start, length)

    def fetch(self, places: Sequence[Place], sampled: Sequence[Place] = ()) -> None:
        """Make ready what will be read, layer by layer; of the ``sampled`` ones parts alone."""
        wanted: dict[int, tuple[list[tuple[bytes, Entry]], list[tuple[bytes, Entry]]]] = {}
        for part, asked in enumerate((places, sampled)):
            for place in asked:
                wanted.setdefault(place.layer, ([], []))[part].append((place.path, place.entry))
        for number in sorted(wanted):
            self.layers[number].fetch(*wanted[number])

    def contents(self, places: Sequence[Place]) -> Iterator[tuple[int, bytes]]:
        """The contents of files in pieces, each with the position of its file: one pass for each streamed layer.

        Of a file that can't be read there are fewer bytes than its size.

        Raises:
            OSError: a stream can't be read, or is another one by now: nothing that was given counts.
        """
        layers: dict[int, list[int]] = {}
        for position, place in enumerate(places):
            layers.setdefault(place.layer, []).append(position)
        for layer, positions in sorted(layers.items()):
            wanted = [(places[at].path, places[at].entry) for at in positions]
            for number, piece in self.layers[layer].contents(wanted):
                yield positions[number], piece

    def _entry(self, directory: bytes, name: bytes, path: bytes, before: int | None) -> tuple[Entry, int]:
        if len(name) > _NAME_MAX:
            raise _error(errno.ENAMETOOLONG, path)
        there = self.directory(directory).get(name) if before is None else self._history(directory).before(name, before)
        if there is None:
            raise _error(errno.ENOENT, path)
        return there

    def since(self, path: bytes) -> int:
        """The layer from which on a path led to an entry of this type in this place, without a break.

        Raises:
            OSError: as of :meth:`find`.
            Untraceable: its links, and those that they lead to, were moved too often.
        """
        above, _, _ = path.rpartition(b"/")
        unknown = []
        while above and above not in self._sinces:
            unknown.append(above)
            above = above.rpartition(b"/")[0]
        since = self._sinces.get(above, 0)
        for directory in reversed(unknown):
            since = self._sinces.add(directory, self._since(directory, since), directory)
        return self._since(path, since)

    def _since(self, path: bytes, above: int) -> int:
        """As :meth:`since`; ``above``: since when the directory that the path is in was where it is."""
        place = self.find(path)
        since = min((one.layer for one in self.before(place)), default=place.layer)
        directory, _, name = path.rpartition(b"/")
        if place.path == joined(self.find(directory).path, name):
            # No link itself, so nothing but a link in another directory can have led here before that.
            if above <= since:
                return since
            if not self._leads(path, place, above):
                return above
        for turn in reversed(self._led(path, len(self.layers))[1]):
            if since < turn < len(self.layers) and not self._leads(path, place, turn):
                return turn
        return since

    def _leads(self, path: bytes, place: Place, before: int) -> bool:
        try:
            return self.find(path, before=before).path == place.path
        except OSError:
            return False

    def changed(self, places: Sequence[Place]) -> list[int | None]:
        """The layer that gave each its contents; ``None``: they can't be read where they have to be compared.

        Who writes the same again, or changes mode, owner or time alone, changes nothing. Contents are compared where
        several layers have a file of one size: one pass for each streamed layer.

        Raises:
            OSError: a layer's part of a directory can't be read.
        """
        stacks = [[place, *takewhile(partial(_may_equal, place), self.before(place))] for place in places]
        files = [one for stack in stacks if len(stack) > 1 for one in stack if one.entry.type == "file"]
        digests = self._digests(files)
        return [_lowest_equal(stack, digests) for stack in stacks]

    def _digests(self, places: Sequence[Place]) -> dict[Place, bytes]:
        """SHA-256 of each file that can be read as a whole."""
        digests, sizes = [sha256() for _ in places], [0] * len(places)
        try:
            for position, piece in self.contents(places):
                digests[position].update(piece)
                sizes[position] += len(piece)
        except OSError:
            return {}
        return {
            place: digest.digest()
            for place, digest, size in zip(places, digests, sizes, strict=True)
            if size == place.entry.size
        }

    def before(self, place: Place) -> Iterator[Place]:
        """What stood in a place, of its type, without a break; the highest layer first."""
        above, _, name = place.path.rpartition(b"/")
        layer = place.layer
        while layer > 0:
            if not name:
                yield (place := self._root(layer))
            else:
                there = self._history(above).before(name, layer)
                if there is None or there[0].type != place.entry.type:
                    return
                yield (place := Place(place.path, *there))
            layer = place.layer

    def removed(self, path: bytes) -> dict[bytes, int]:
        """Names that lower layers had in a directory and that are there no more; the layer that took each away.

        Whatever hid it: the name itself, or a directory or link on the way. The directory need not be there any more.

        Raises:
            OSError: a layer's part of it can't be read.
            Untraceable: its links, and those that they lead to, were moved too often.
        """
        gone: dict[bytes, int] = {}
        had: set[bytes] = set()
        height = 1
        while height <= len(self.layers):
            led, turns = self._led(path, height)
            history = self._history(led) if led is not None else History(self.layers, b"", {})
            end = next((turn for turn in turns if turn >= height), len(self.layers))
            self._look_back(len(history))
            gone.update(dict.fromkeys(had - history.names(height), height - 1))
            gone.update((name, layer) for name, layer in history.lost() if height <= layer < end)
            had = history.names(end)
            height = end + 1
        return {name: layer for name, layer in gone.items() if name not in had}

    def _led(self, path: bytes, before: int) -> tuple[bytes | None, list[int]]:
        """Where a path led to before a layer, be there something or not, and the layers that moved a link in its way.

        ``None``: its links led round and round.
        """
        left = _steps(path)
        steps: list[bytes] = []
        turns: set[int] = set()
        links = 0
        while left:
            self._look_back(1)
            name = left.pop()
            if name == b".":
                continue
            if name == b"..":
                del steps[-1:]
                continue
            history = self._history(b"/".join(steps))
            turns.update(history.turns(name))
            there = history.before(name, before)
            if there is None or there[0].type != "link":
                steps.append(name)
                continue
            links += 1
            if links > LINKS:
                return None, sorted(turns)
            if there[0].link.startswith(b"/"):
                steps = []
            left += _steps(there[0].link)
        return b"/".join(steps), sorted(turns)

    def _root(self, before: int | None) -> Place:
        highest = (len(self.layers) if before is None else before) - 1
        return Place(b"", self.layers[highest].root if highest >= 0 else Entry(type="dir"), max(highest, 0))

    def _merge(self, path: bytes) -> dict[bytes, tuple[Entry, int]]:
        """Put a directory together, and take down which layers have a say in the directories in it."""
        share = self._share(path)
        if len(share) == 1:  # nothing to merge with, as in most directories
            (layer,) = share
            entries = self.layers[layer].directory(path)
            return {name: (entry, layer) for name, entry in entries.items() if entry.type != "whiteout"}
        merged: dict[bytes, tuple[Entry, int]] = {}
        more: dict[bytes, list[int]] = {}
        hidden: set[bytes] = set()
        for layer in share:
            for name, entry in self.layers[layer].directory(path).items():
                if name in hidden:
                    continue
                if name not in merged:
                    if entry.type != "whiteout":
                        merged[name] = (entry, layer)
                elif entry.type == "dir":
                    more.setdefault(name, []).append(layer)
                if entry.type != "dir" or entry.opaque:
                    hidden.add(name)
        for name, layers in more.items():
            self._shares[joined(path, name)] = (merged[name][1], *layers)
        return merged

    def _share(self, path: bytes) -> tuple[int, ...]:
        """The layers that have a say in a directory, the highest first."""
        unknown = []
        while path not in self._shares:
            unknown.append(path)
            path = path.rpartition(b"/")[0]
        for path in reversed(unknown):
            above, _, name = path.rpartition(b"/")
            found = self.directory(above).get(name)
            # Merging the directory above may have told which layers, if they are more than one.
            self._shares.setdefault(path, (found[1],) if found and found[0].type == "dir" else ())
        return self._shares[path]

    def _history(self, path: bytes) -> History:
        unknown = []
        while (known := self._histories.get(path)) is None and path:
            unknown.append(path)
            path = path.rpartition(b"/")[0]
        if known is None:
            known = self._histories[b""] = History.of_root(self.layers)
        for path in reversed(unknown):
            known = self._histories[path] = known.below(path.rpartition(b"/")[2])
        return known


def _may_equal(one: Place, other: Place) -> bool:
    return (one.entry.size, one.entry.link) == (other.entry.size, other.entry.link)


def _lowest_equal(stack: Sequence[Place], digests: Mapping[Place, bytes]) -> int | None:
    """The layer down to which entries of one type and size, the highest first, are equal."""
    highest, *lower = stack
    layer = highest.layer
    for one in lower:
        if one.entry.type == "file":
            digest = digests.get(one)
            if digest is None or highest not in digests:
                return None
            if digest != digests[highest]:
                break
        layer = one.layer
    return layer


def _steps(path: bytes) -> list[bytes]:
    """The components of a path, the first one last; a slash at the end asks for a directory, as ``.`` does."""
    steps = [part for part in path.split(b"/") if part]
    if steps and path.endswith(b"/"):
        steps.append(b".")
    return steps[::-1]


def _error(code: int, path: bytes) -> OSError:
    return OSError(code, os.strerror(code), path)
