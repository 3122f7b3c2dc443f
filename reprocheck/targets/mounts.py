"""Where a container sees something else than its layers: volumes, bind mounts, tmpfs."""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from reprocheck.layers.entry import ROOT, Entry
from reprocheck.layers.index import LayerIndex
from reprocheck.layers.tree import LINKS, Tree


class Mounts:
    """The mount points of a container, each where the links of its layers lead: so an engine mounts it."""

    def __init__(self, tree: Tree, paths: Iterable[str]) -> None:
        found = frozenset(_leads_to(tree, path.encode("utf-8", "surrogateescape")) for path in paths)
        self.points = frozenset(b"/" + path for path in found)
        """Absolute paths without links."""
        self._covered = tuple(path + b"/" for path in found)
        self.tree = Tree([*tree.layers, _Points(tree, found)]) if found else tree
        """The layers without what the mounts hide: mount points are empty, whether or not a layer has them."""

    def hide(self, path: bytes) -> bool:
        """Whether a path without links is a mount point or lies below one; with or without a slash at its start."""
        return bool(self._covered) and (path.strip(b"/") + b"/").startswith(self._covered)

    def hide_end_of(self, path: bytes) -> bool:
        """Whether a path leads to a mount point or below one."""
        return bool(self._covered) and self.hide(_leads_to(self.tree, path))


class _Points:
    """A layer above all others that has the mount points, and nothing in them."""

    streamed = False
    root = ROOT

    def __init__(self, tree: Tree, points: Iterable[bytes]) -> None:
        directories: dict[bytes, dict[bytes, Entry]] = {}
        for point in sorted(points):
            above, _, name = point.rpartition(b"/")
            directories.setdefault(above, {})[name] = _point(tree, point)
            while above:
                above, _, name = above.rpartition(b"/")
                directories.setdefault(above, {}).setdefault(name, ROOT)
        self._index = LayerIndex(root=ROOT, directories=directories)

    def directory(self, path: bytes) -> Mapping[bytes, Entry]:
        """The mount points in a directory, and what leads to others."""
        return self._index.directory(path)

    def read(self, path: bytes, entry: Entry, start: int, length: int) -> bytes:  # noqa: ARG002 - a layer's shape
        """Nothing: what is mounted is not read here."""
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)

    def fetch(self, wanted: Iterable[tuple[bytes, Entry]], sampled: Iterable[tuple[bytes, Entry]] = ()) -> None:
        """Nothing."""

    def contents(self, wanted: Sequence[tuple[bytes, Entry]]) -> Iterator[tuple[int, bytes]]:  # noqa: ARG002
        """Nothing."""
        return iter(())


def _point(tree: Tree, path: bytes) -> Entry:
    """A mount point is of the type that it had: a file is mounted over a file."""
    with suppress(OSError):
        entry = tree.find(path, follow=False).entry
        if entry.type != "dir":
            return Entry(entry.type, entry.mode)
    return Entry("dir", ROOT.mode, opaque=True)


def _leads_to(tree: Tree, path: bytes) -> bytes:
    """Where a path leads, links resolved as far as there is anything; without a slash at its start."""
    left, where, links = path.split(b"/")[::-1], b"", 0
    while left:
        name = left.pop()
        if name in {b"", b"."}:
            continue
        if name == b"..":
            where = where.rpartition(b"/")[0]
            continue
        target = _link(tree, where, name)
        if target is None or links == LINKS:
            where = posixpath.join(where, name)
            continue
        links += 1
        where = b"" if target.startswith(b"/") else where
        left += target.split(b"/")[::-1]
    return where


def _link(tree: Tree, directory: bytes, name: bytes) -> bytes | None:
    with suppress(OSError):
        found = tree.directory(directory).get(name)
        if found is not None and found[0].type == "link":
            return found[0].link
    return None
