"""A tree of layers in the shape in which the probe's code looks at a file system: one implementation answers wants."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping

from reprocheck.layers.entry import Entry
from reprocheck.layers.tree import Place, Tree

_REMEMBERED = 20_000
"""Directories whose real path is kept."""
_TYPES = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK, "other": stat.S_IFIFO}


class TreeFiles:
    """What :class:`reprocheck.probe.collect.Disk` is to the probe. Paths are absolute bytes."""

    def __init__(self, tree: Tree, mounts: frozenset[bytes] = frozenset()) -> None:
        self.tree = tree
        self._real: dict[bytes, bytes] = {}
        self._mounts = mounts
        self._covered = tuple(mount.strip(b"/") + b"/" for mount in mounts)

    def mounts(self) -> frozenset[bytes]:
        """Where something else than the layers is seen, which can't be read here."""
        return self._mounts

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
        entry = self._find(path, follow=False).entry
        return _TYPES[entry.type] | entry.mode, _size(entry), entry.link if entry.type == "link" else None

    def is_dir(self, path: bytes) -> bool:
        """Whether it is a directory, links followed."""
        try:
            return self._find(path).entry.type == "dir"
        except OSError:
            return False

    def real(self, path: bytes) -> bytes | None:
        """Links resolved, if it is a file."""
        try:
            place = self._find(path)
        except OSError:
            return None
        return b"/" + place.path if place.entry.type == "file" else None

    def open(self, path: bytes) -> tuple[bool, int, Callable[[int, int], bytes], Callable[[], None]]:
        """Whether it is a regular file, its size, what reads it (length, offset) and what closes it."""
        place = self._find(path)

        def read(length: int, offset: int) -> bytes:
            return self.tree.read(place, offset, length)

        return place.entry.type == "file", place.entry.size, read, _nothing

    def _find(self, path: bytes, *, follow: bool = True) -> Place:
        place = self.tree.find(path, follow=follow)
        if (place.path + b"/").startswith(self._covered):
            raise PermissionError(errno.EACCES, "mounted from elsewhere", path)
        return place

    def _directory(self, where: bytes) -> Mapping[bytes, tuple[Entry, int]]:
        path = self._below_known(where)
        if path is None:
            place = self._find(where)
            if place.entry.type != "dir":
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), where)
            path = place.path
        if len(self._real) >= _REMEMBERED:
            self._real.clear()
        self._real[where] = path
        return self.tree.directory(path)

    def _below_known(self, where: bytes) -> bytes | None:
        """A directory in one that was looked at before, which spares the way to it from the root."""
        above, _, name = where.rpartition(b"/")
        known = self._real.get(above)
        if known is None:
            return None
        found = self.tree.directory(known).get(name)
        if found is None or found[0].type != "dir":
            return None
        path = known + b"/" + name if known else name
        return None if (path + b"/").startswith(self._covered) else path


def _nothing() -> None:
    pass


def _size(entry: Entry) -> int:
    return len(entry.link) if entry.type == "link" else entry.size
