"""A tree of layers in the shape in which the probe's code looks at a file system: one implementation answers wants."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from reprocheck.layers.entry import Entry, joined
from reprocheck.layers.remembered import Remembered
from reprocheck.layers.tree import Place, Tree
from reprocheck.targets.mounts import Mounts

MOUNTED = errno.EXDEV
"""What the kernel says where a path leads into another mount and must not (openat2(2), ``RESOLVE_NO_XDEV``)."""
_PATH_MAX = 4096
_TYPES = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK, "other": stat.S_IFIFO}


class TreeFiles:
    """What :class:`reprocheck.probe.collect.Disk` is to the probe. Paths are absolute bytes."""

    def __init__(self, tree: Tree, mounts: Mounts | None = None) -> None:
        self._mounts = Mounts(tree, ()) if mounts is None else mounts
        self.tree = self._mounts.tree
        self._real: Remembered[bytes, bytes] = Remembered()
        """Where directories are."""

    def mounts(self) -> frozenset[bytes]:
        """Where something else than the layers is seen, which can't be read here."""
        return self._mounts.points

    def is_image(self) -> bool:
        """It is one."""
        return True

    def scan(self, where: bytes) -> Iterator[tuple[bytes, bool]]:
        """Name, and whether it is a directory and no link, of each entry."""
        for name, (entry, _) in self._directory(where).items():
            yield name, entry.type == "dir"

    def names(self, where: bytes) -> list[bytes]:
        """The names in a directory."""
        return list(self._directory(where))

    def lstat(self, path: bytes) -> tuple[int, int, bytes | None]:
        """Mode (with its type), size, and the target of a link."""
        # What a mount point was before, a directory or a file, it is as a mount.
        entry = self._find(path, follow=False, point=True).entry
        return _TYPES[entry.type] | entry.mode, _size(entry), entry.link if entry.type == "link" else None

    def sizes(self, where: bytes, names: Sequence[bytes]) -> list[int | str | None]:
        """Sizes of files of one directory, links followed; of each that can't be told, the error's name.

        ``None`` stands for what is no regular file.
        """
        try:
            real = self._directory_at(where)
            entries = self.tree.directory(real)
        except OSError as error:
            return [_name(error)] * len(names)
        told: list[int | str | None] = []
        for found in map(entries.get, names):
            if found is None:
                told.append("ENOENT")
            elif found[0].type == "file":
                told.append(found[0].size)
            else:
                told.append(None)
        for at, name in enumerate(names) if None in told else ():
            if told[at] is None and entries[name][0].type == "link":
                told[at] = self._size_behind(where + b"/" + name)
        for at, name in enumerate(names) if self._mounts.points else ():
            if self._mounts.hide(real + b"/" + name):
                told[at] = errno.errorcode[MOUNTED]
        return told

    def _size_behind(self, link: bytes) -> int | str | None:
        try:
            entry = self._find(link).entry
        except OSError as error:
            return _name(error)
        return entry.size if entry.type == "file" else None

    def is_dir(self, path: bytes) -> bool:
        """Whether it is a directory, links followed."""
        try:
            return self._find(path, point=True).entry.type == "dir"
        except OSError:
            return False

    def real(self, path: bytes) -> bytes | None:
        """Links resolved, if it is a file; below a mount, where nobody knows, the path itself."""
        try:
            place = self._find(path)
        except OSError as error:
            return path if error.errno == MOUNTED else None
        return b"/" + place.path if place.entry.type == "file" else None

    def is_mounted(self, path: bytes) -> bool:
        """Whether a path without links lies where something else than the layers is seen."""
        return self._mounts.hide(path)

    def open(self, path: bytes) -> tuple[bool, int, Callable[[int, int], bytes], Callable[[], None]]:
        """Whether it is a regular file, its size, what reads it (length, offset) and what closes it."""
        place = self._find(path)

        def read(length: int, offset: int) -> bytes:
            return self.tree.read(place, offset, length)

        return place.entry.type == "file", place.entry.size, read, _nothing

    def fetch(self, paths: Sequence[bytes]) -> None:
        """Make ready what will be read."""
        self.tree.fetch([place for _, place in self._places(paths)])

    def streams(self, paths: Sequence[bytes]) -> list[list[bytes]]:
        """Of these files those that come by in one stream, for each."""
        streams: dict[int, list[bytes]] = {}
        for path, place in self._places(paths):
            if self.tree.layers[place.layer].streamed:
                streams.setdefault(place.layer, []).append(path)
        return [streams[layer] for layer in sorted(streams)]

    def contents(self, paths: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Path and bytes of each piece of these files; fewer than there are where one can't be read."""
        found = list(self._places(paths))
        for number, piece in self.tree.contents([place for _, place in found]):
            yield found[number][0], piece

    def _places(self, paths: Sequence[bytes]) -> Iterator[tuple[bytes, Place]]:
        for path in paths:
            with suppress(OSError):
                yield path, self._find(path)

    def _find(self, path: bytes, *, follow: bool = True, point: bool = False) -> Place:
        """The entry at a path; ``point``: a mount point itself is one, and nothing below it."""
        try:
            place = self.tree.find(path, follow=follow)
        except OSError:
            # What no layer has may be in a mount.
            if self._mounts.hide_end_of(path):
                raise _mounted(path) from None
            raise
        if self._mounts.hide(place.path) and not (point and b"/" + place.path in self._mounts.points):
            raise _mounted(path)
        return place

    def _directory(self, where: bytes) -> Mapping[bytes, tuple[Entry, int]]:
        return self.tree.directory(self._directory_at(where))

    def _directory_at(self, where: bytes) -> bytes:
        """Where a directory is, links resolved."""
        path = self._below_known(where)
        if path is None:
            place = self._find(where)
            if place.entry.type != "dir":
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), where)
            path = place.path
        return self._real.add(where, path, where, path)

    def _below_known(self, where: bytes) -> bytes | None:
        """The same where that is told by the directory above it, which mostly was asked for before."""
        above, _, name = where.rpartition(b"/")
        real = self._real.get(above)
        if real is None or len(where) >= _PATH_MAX or self._mounts.points:
            return None
        found = self.tree.directory(real).get(name)
        if found is None or found[0].type != "dir":
            return None
        return joined(real, name)


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


def _mounted(path: bytes) -> OSError:
    return OSError(MOUNTED, "mounted from elsewhere", path)


def _nothing() -> None:
    pass


def _size(entry: Entry) -> int:
    return len(entry.link) if entry.type == "link" else entry.size
