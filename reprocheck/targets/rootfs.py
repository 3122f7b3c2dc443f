"""``rootfs:``: an unpacked root file system; links are resolved inside it, never outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from reprocheck.errors import TargetError
from reprocheck.layers.directory import Directory
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import Document
from reprocheck.model.snapshot import Subject
from reprocheck.targets.address import Address
from reprocheck.targets.mounts import Mounts
from reprocheck.targets.session import header
from reprocheck.targets.static import StaticSession

_KERNEL = ("/proc", "/sys", "/dev")
"""What the kernel shows there where the root is one that is in use."""


@contextmanager
def open_rootfs(address: Address) -> Iterator[StaticSession]:
    """Look at the directory as the one layer of an image that says nothing of its settings.

    Raises:
        TargetError: there is no such directory, or it can't be read.
    """
    try:
        root = Directory(Path(address.value))
    except OSError as error:
        said = os.strerror(error.errno or 0)
        raise TargetError(f"{address}: can't be read ({said}); name the directory that is the root") from error
    with closing(root):
        document = Document(
            header=header(str(address), "root file system", executed=False),
            subject=Subject(kind="rootfs", name=address.value),
        )
        tree = Tree([root])
        yield StaticSession(document, tree, mounts=Mounts(tree, _KERNEL))
