"""``oci:``: an image layout in a directory (OCI image layout specification).

Nothing outside the directory is opened: names that become part of a path are digests that were checked, and no
symbolic link is followed below it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from reprocheck.archives.choose import INDEX, LAYOUT, SAVED
from reprocheck.archives.image import Image, describe
from reprocheck.archives.platforms import Platform
from reprocheck.archives.store import Blob, in_place
from reprocheck.errors import TargetError
from reprocheck.layers.blob import OpenFile, ReopenedFile, Source, Window
from reprocheck.model.text import printable

_OPEN = 200
"""Files that stand open at a time; a process may have 1,024."""
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


@contextmanager
def open_layout(
    directory: Path,
    *,
    tag: str | None = None,
    platform: Platform | None = None,
    verify: bool = True,
    deep: bool = False,
) -> Iterator[Image]:
    """An image of a layout, for as long as its files stand open.

    Args:
        directory: the layout.
        tag: the image that is meant, by name or digest, where there are several.
        platform: the platform that is meant, where there are several; without, this machine's.
        verify: check digests and sizes.
        deep: check digests of uncompressed layers as well.

    Raises:
        TargetError: it can't be read, is no image layout, or holds no such image.
    """
    where = f"oci:{printable(str(directory))}"
    with ExitStack() as stack:
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        except NotADirectoryError as error:
            raise TargetError(f"{where}: is a file; an archive is read as archive:PATH") from error
        except OSError as error:
            raise TargetError(f"{where}: can't be read ({error.strerror}); check the path") from error
        stack.callback(os.close, descriptor)
        layout = _Layout(where, descriptor, stack, verify=verify, deep=deep)
        try:
            if layout.find(INDEX) is None:
                raise TargetError(f"{where}: not an OCI layout: it has no {INDEX}{_instead(descriptor)}")
            image = describe(layout, tag, platform)
        except OSError as error:
            raise TargetError(f"{where}: can't be read ({error.strerror})") from error
        yield image


def _instead(descriptor: int) -> str:
    names = set(os.listdir(descriptor))
    if SAVED in names:
        return "; it looks like an unpacked archive: pack it with tar, and read it as archive:PATH"
    if {"etc", "usr"} <= names:
        return "; it looks like a root file system: rootfs:DIR"
    if "pyvenv.cfg" in names or "conda-meta" in names:
        return "; it looks like an environment: python:DIR"
    return f"; name the directory of {LAYOUT} and {INDEX}"


class _Layout:
    """Files of a directory by name."""

    def __init__(self, where: str, descriptor: int, stack: ExitStack, *, verify: bool, deep: bool) -> None:
        self.where = where
        self.verify = verify
        self.deep = deep
        self.problem: str | None = None
        self.notes: tuple[str, ...] = ()
        self._directory = descriptor
        self._stack = stack
        self._found: dict[str, Blob | None] = {}
        self._open = 0

    def find(self, name: str) -> Blob | None:
        """A file."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Blob | None:
        if name == SAVED:
            return None  # what an archive has beside a layout counts in archives only
        where = f"{self.where}: {name}"
        try:
            descriptor = self._opened(name)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise TargetError(
                    f"{where}: is or stands behind a symbolic link, and none is followed; copy the layout with cp -rL"
                ) from error
            raise TargetError(f"{where}: can't be read ({error.strerror})") from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise TargetError(f"{where}: is no regular file")
        source: Source
        if self._open < _OPEN:
            self._open += 1
            self._stack.callback(os.close, descriptor)
            source = OpenFile(descriptor)
        else:
            os.close(descriptor)
            source = ReopenedFile(partial(self._opened, name))
        return in_place(Window(source, 0, status.st_size))

    def _opened(self, name: str) -> int:
        """Step by step, so that no part of the way is a link."""
        parts = name.split("/")
        descriptor = os.dup(self._directory)
        for position, part in enumerate(parts, start=1):
            try:
                flags = _FLAGS if position == len(parts) else _FLAGS | os.O_DIRECTORY
                following = os.open(part, flags, dir_fd=descriptor)
            except NotADirectoryError as error:
                # What the kernel says of a link where a directory is asked for.
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
            finally:
                os.close(descriptor)
            descriptor = following
        return descriptor
