"""A layer that lies on disk as a directory: of the engine's storage (overlayfs documentation), or an unpacked root."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from reprocheck.layers.contents import one_by_one
from reprocheck.layers.entry import Entry

_TRUSTED, _USERS = "trusted.overlay.", "user.overlay."
"""How the names of attributes begin that mark entries: the second where an ordinary user mounts (``userxattr``)."""
_NO_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC
_ON_THE_WAY = os.O_PATH | os.O_DIRECTORY | _NO_FOLLOW
_HANDLES = 32
"""Directories on the way to the last one that stay open: the next is mostly beside it or in it."""


class Directory:
    """An unpacked root file system as the one layer. No link of it is ever followed by the kernel."""

    streamed = False
    marks: tuple[str, ...] = ()
    """How the names of attributes begin by which an overlay file system marks entries; none in a plain directory."""

    def __init__(self, path: Path) -> None:
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.root = self._entry(os.fstat(self._root), self._root, b"")
        self._read: dict[bytes, Mapping[bytes, Entry]] = {}
        self._way: list[tuple[bytes, int]] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the directory."""
        self._leave(0)
        os.close(self._root)

    def directory(self, path: bytes) -> Mapping[bytes, Entry]:
        """The entries of a directory, by name.

        Raises:
            OSError: it can't be read.
        """
        if path in self._read:
            return self._read[path]
        try:
            handle = self._open(path, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return self._read.setdefault(path, {})
        entries: dict[bytes, Entry] = {}
        try:
            marked = self._has_whiteouts_as_files(handle)
            with os.scandir(handle) as scan:
                for found in scan:
                    name = os.fsencode(found.name)
                    try:
                        entries[name] = self._entry(found.stat(follow_symlinks=False), handle, name, marked=marked)
                    except FileNotFoundError:  # gone meanwhile
                        continue
        finally:
            os.close(handle)
        self._read[path] = entries
        return entries

    def read(self, path: bytes, entry: Entry, start: int, length: int) -> bytes:  # noqa: ARG002 - a layer's shape
        """Bytes of a file's contents.

        Raises:
            OSError: they can't be read, or it is no file any more.
        """
        # O_NONBLOCK: what was a file may be a FIFO by now.
        handle = self._open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.ESTALE, "it is no file any more", path)
            return os.pread(handle, length, start)
        finally:
            os.close(handle)

    def fetch(self, wanted: Iterable[tuple[bytes, Entry]], sampled: Iterable[tuple[bytes, Entry]] = ()) -> None:
        """Nothing: files are at hand."""

    def contents(self, wanted: Sequence[tuple[bytes, Entry]]) -> Iterator[tuple[int, bytes]]:
        """The contents of files in pieces, each with the position of its file."""
        return one_by_one(self, wanted)

    def _open(self, path: bytes, flags: int) -> int:
        """Open below the root, step by step: a link that was put in the way meanwhile is not followed."""
        *above, last = path.split(b"/") if path else [b"."]
        near, far = above[:_HANDLES], above[_HANDLES:]
        with self._lock:
            handle = self._enter(near)
            if not far:
                return os.open(last, flags | _NO_FOLLOW, dir_fd=handle)
            handle = os.dup(handle)
        try:
            for step in far:
                below = os.open(step, _ON_THE_WAY, dir_fd=handle)
                os.close(handle)
                handle = below
            return os.open(last, flags | _NO_FOLLOW, dir_fd=handle)
        finally:
            os.close(handle)

    def _enter(self, steps: Sequence[bytes]) -> int:
        """A handle of a directory. The ones on the way stay open: what is asked next is mostly beside it or in it."""
        kept = 0
        for (name, _), step in zip(self._way, steps, strict=False):
            if name != step:
                break
            kept += 1
        self._leave(kept)
        for step in steps[kept:]:
            above = self._way[-1][1] if self._way else self._root
            self._way.append((step, os.open(step, _ON_THE_WAY, dir_fd=above)))
        return self._way[-1][1] if self._way else self._root

    def _leave(self, kept: int) -> None:
        """Close the handles of the way but for the first ones."""
        while len(self._way) > kept:
            os.close(self._way.pop()[1])

    def _entry(self, facts: os.stat_result, above: int, name: bytes, *, marked: bool = False) -> Entry:
        """An entry of a directory; ``marked``: which may hold whiteouts that are files."""
        mode, size, mtime = stat.S_IMODE(facts.st_mode), facts.st_size, int(facts.st_mtime)
        if stat.S_ISREG(facts.st_mode):
            if marked and not size and "whiteout" in self._marks_of(_below(above, name)):
                return Entry("whiteout")
            return Entry("file", mode, size, mtime)
        if stat.S_ISDIR(facts.st_mode):
            return Entry("dir", mode, 0, mtime, b"", -1, bool(self.marks) and self._hides(_below(above, name), name))
        if stat.S_ISLNK(facts.st_mode):
            return Entry("link", mode, 0, mtime, os.readlink(name, dir_fd=above))
        if self.marks and stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0:
            return Entry("whiteout")
        return Entry("other", mode, 0, mtime)

    def _hides(self, path: bytes, name: bytes) -> bool:
        """Whether a directory hides what the layers below have in it."""
        marks = self._marks_of(path)
        if "redirect" in marks:
            raise OSError(errno.EREMOTE, "the kernel has moved this directory within its storage", name)
        return marks.get("opaque") == b"y"

    def _has_whiteouts_as_files(self, directory: int) -> bool:
        """Whether empty files with a mark are whiteouts there (overlayfs, "whiteouts and opaque directories")."""
        return bool(self.marks) and self._marks_of(directory).get("opaque") == b"x"

    def _marks_of(self, entry: bytes | int) -> dict[str, bytes]:
        """Name and value of each mark of an entry, by its path or handle."""
        marks: dict[str, bytes] = {}
        with suppress(OSError):
            names = os.listxattr(entry)
            for start in self.marks:
                for name in names:
                    if name.startswith(start):
                        marks.setdefault(name.removeprefix(start), os.getxattr(entry, name))
        return marks


def _below(directory: int, name: bytes) -> bytes:
    return b"/proc/self/fd/%d/%s" % (directory, name)


class OverlayDirectory(Directory):
    """A layer of the engine's overlay storage: whiteouts are character devices 0/0, opaque directories bear a mark."""

    def __init__(self, path: Path) -> None:
        # An engine that root runs heeds no attributes that any file of an image may bear.
        self.marks = (_TRUSTED,) if path.parent.stat().st_uid == 0 else (_TRUSTED, _USERS)
        super().__init__(path)
