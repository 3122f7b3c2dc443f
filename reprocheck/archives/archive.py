"""``archive:``: what docker-save and OCI tools write, plain or compressed as a whole.

A plain archive is walked from header to header and its members are read in place. A compressed one is streamed
once: documents are kept, layers are shown to a visitor as they come by.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from reprocheck.archives import guess
from reprocheck.archives.image import Image, describe
from reprocheck.archives.members import LIMIT, Members, damaged
from reprocheck.archives.platforms import Platform
from reprocheck.archives.store import Blob, Store, Visit, in_place
from reprocheck.archives.streamed import StreamedArchive
from reprocheck.errors import TargetError
from reprocheck.layers.blob import BlobError, OpenFile, Reader, Window
from reprocheck.layers.compression import MAGIC, Compression, decompressed, sniff
from reprocheck.layers.problem import Problem
from reprocheck.layers.tar import BLOCK, walk
from reprocheck.model.text import printable


@contextmanager
def open_archive(
    path: Path,
    *,
    tag: str | None = None,
    platform: Platform | None = None,
    verify: bool = True,
    deep: bool = False,
    visit: Visit | None = None,
) -> Iterator[Image]:
    """An image of an archive, for as long as the archive stands open.

    Args:
        path: the archive.
        tag: the image that is meant, by name or digest, where there are several.
        platform: the platform that is meant, where there are several; without, this machine's.
        verify: check digests and sizes.
        deep: check digests of uncompressed layers as well.
        visit: is given the uncompressed bytes of each layer of a compressed archive, in the one pass over it;
            :attr:`Layer.visited` is what it gave back.

    Raises:
        TargetError: it can't be read, is no image archive, or holds no such image.
    """
    where = f"archive:{printable(str(path))}"
    with _opened(path, where) as window:
        try:
            head = window.read_at(0, BLOCK)
            compression = sniff(head[:MAGIC])
            store: Store
            if compression != "none":
                opened = partial(_unpacked, where, window, compression)
                store = StreamedArchive(where, opened, compression, verify=verify, deep=deep, visit=visit)
            elif guess.looks_like_tar(head):
                store = _PlainArchive(where, window, verify=verify, deep=deep)
            else:
                raise TargetError(f"{where}: not a docker-save or OCI archive: it is {guess.no_tar(head, compression)}")
            image = describe(store, tag, platform)
        except OSError as error:
            raise TargetError(f"{where}: can't be read ({error.strerror})") from error
        yield image


def open_stream(where: str, opened: Callable[[], Reader], visit: Visit) -> Image:
    """The one image of a docker-save archive that an engine sends.

    Its digests are taken as it comes by, and compared with none: the engine has made those that it states itself.

    Args:
        where: how messages name it.
        opened: has the engine send it, from the beginning.
        visit: as in :func:`open_archive`.

    Raises:
        TargetError: it is no image archive, or holds several images.
    """
    store = StreamedArchive(where, opened, "none", verify=False, deep=True, visit=visit)
    return describe(store, None, None)


def _unpacked(where: str, window: Window, compression: Compression) -> Reader:
    try:
        return decompressed(window.reader(), compression)
    except BlobError as error:
        raise TargetError(f"{where}: {error}") from error


@contextmanager
def _opened(path: Path, where: str) -> Iterator[Window]:
    try:
        # Without O_NONBLOCK, opening a pipe waits for somebody who writes.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise TargetError(f"{where}: can't be read ({error.strerror}); check the path") from error
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise TargetError(
                f"{where}: is a directory; an image layout is read as oci:DIR, an unpacked root as rootfs:DIR"
            )
        if not stat.S_ISREG(status.st_mode):
            raise TargetError(f"{where}: is a pipe or device; save it to a file first")
        yield Window(OpenFile(descriptor), 0, status.st_size)
    finally:
        os.close(descriptor)


class _PlainArchive:
    """An archive whose members are read in place."""

    def __init__(self, where: str, window: Window, *, verify: bool, deep: bool) -> None:
        self.where = where
        self.verify = verify
        self.deep = deep
        self.problem: str | None = None
        self._window = window
        self._members = Members(where)
        for member in walk(window, self._report, limit=LIMIT):
            self._members.add(member)
        self.notes = self._members.notes

    def _report(self, problem: Problem) -> None:
        if problem.lost:
            self.problem = damaged(problem)

    def find(self, name: str) -> Blob | None:
        """A member."""
        found = self._members.resolve(name)
        if found is None:
            return None
        _, member = found
        return in_place(self._window.sub(member.offset, member.size))
