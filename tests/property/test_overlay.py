"""Stacks of layers are what the kernel makes of them.

Each layer is a tar for reprocheck, and a directory for the kernel, unpacked there as container engines do it: by
code of its own that asks the file system at every step. The kernel mounts the directories, and resolves paths inside
the mount (openat2(2), RESOLVE_IN_ROOT).
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import process_time

import pytest

from reprocheck.layers.tree import Tree
from tests.layers.archives import directory, entry, file, hard, link, plain

NAMES = (b"a", b"b", b"c", b"d")
STACKS = 400
_LIBC = ctypes.CDLL(None, use_errno=True)
_MS_RDONLY = 1
_MNT_DETACH = 2
_OPENAT2 = 437
_RESOLVE_IN_ROOT = 0x10
_CHARACTER_0_0 = os.makedev(0, 0)


def mount(kind: bytes, where: Path, options: str, flags: int = 0) -> None:
    if _LIBC.mount(kind, bytes(where), kind, flags, options.encode()):
        raise OSError(ctypes.get_errno(), f"mount: {os.strerror(ctypes.get_errno())}", str(where))


def unmount(where: Path) -> None:
    assert not _LIBC.umount2(bytes(where), _MNT_DETACH)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tmpfs: the file system of the temporary directory may not do for layers."""
    if os.geteuid():
        pytest.skip("only root can mount")
    where = tmp_path_factory.mktemp("layers")
    try:
        mount(b"tmpfs", where, "size=64m")
    except PermissionError:
        pytest.skip("only root can mount, and it may not here")
    yield where
    unmount(where)


@dataclass(frozen=True)
class Step:
    """One member of a layer."""

    kind: str
    path: bytes
    text: bytes = b""
    mode: int = 0o755

    def packed(self) -> bytes:
        above, _, name = self.path.rpartition(b"/")
        beside = above + b"/" if above else b""
        made = {
            "file": lambda: file(self.path, self.text, mode=self.mode),
            "dir": lambda: directory(self.path + b"/", mode=self.mode),
            "link": lambda: link(self.path, self.text),
            "hard": lambda: hard(self.path, self.text),
            "pipe": lambda: entry(self.path, b"6"),
            "device": lambda: entry(self.path, b"3"),
            "whiteout": lambda: file(beside + b".wh." + name),
            "opaque": lambda: file(b"/".join(filter(None, [self.path, b".wh..wh..opq"]))),
        }
        return made[self.kind]()


def path_of(chance: random.Random) -> bytes:
    return b"/".join(chance.choice(NAMES) for _ in range(chance.choice((1, 1, 2, 2, 3))))


def target_of(chance: random.Random) -> bytes:
    return chance.choice((b"", b"", b"/", b"../", b"../../", b"./")) + path_of(chance)


def layer_of(chance: random.Random) -> list[Step]:
    steps: list[Step] = []
    for number in range(chance.randint(1, 9)):
        kind = chance.choices(
            ("file", "dir", "link", "hard", "whiteout", "opaque", "pipe", "device"),
            weights=(6, 5, 3, 2, 3, 1.5, 0.5, 0.7),
        )[0]
        text = b""
        if kind == "file":
            text = b"%d" % number * chance.randint(0, 40)
        elif kind == "link":
            text = target_of(chance)
        elif kind == "hard":
            text = chance.choice([step.path for step in steps] or [b"a"])
        mode = chance.choice((0o755, 0o700, 0o644, 0o4711))
        path = b"" if kind == "opaque" and chance.random() < 0.15 else path_of(chance)
        steps.append(Step(kind, path, text, mode if kind in {"file", "dir"} else 0o755))
    return steps


class Unpacked:
    """A layer in a directory of its own, with the marks of the overlay file system."""

    def __init__(self, root: Path) -> None:
        self.root = bytes(root)
        self.whiteouts: list[bytes] = []
        self.opaque: list[bytes] = []
        os.mkdir(self.root)

    def unpack(self, steps: list[Step]) -> None:
        for step in steps:
            # Some no file system takes: below a file, or a hard link to nothing or to a directory.
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                self._add(step)
        # Marks of the layers below apply to nothing of this layer, and they count wherever they stood.
        for where in self.whiteouts:
            if not os.path.isdir(os.path.dirname(where)):
                continue
            if not os.path.lexists(where):
                os.mknod(where, stat.S_IFCHR, _CHARACTER_0_0)
            elif os.path.isdir(where) and not os.path.islink(where):
                self.opaque.append(where)
        for where in self.opaque:
            if os.path.isdir(where):
                os.setxattr(where, "trusted.overlay.opaque", b"y")

    def _add(self, step: Step) -> None:
        if step.kind == "opaque":
            self.opaque.append(self._made(self._inside(step.path)))
            return
        above, _, name = step.path.rpartition(b"/")
        where = self._made(self._inside(above)) + b"/" + name
        if step.kind == "whiteout":
            self.whiteouts.append(where)
            return
        source = self._source(step, where) if step.kind == "hard" else b""
        if os.path.lexists(where) and not (step.kind == "dir" and self._is_directory(where)):
            self._remove(where)
        make: dict[str, Callable[[], object]] = {
            "file": lambda: Path(os.fsdecode(where)).write_bytes(step.text),
            "dir": lambda: os.makedirs(where, exist_ok=True),
            "link": lambda: os.symlink(step.text, where),
            "pipe": lambda: os.mkfifo(where),
            "device": lambda: os.mknod(where, stat.S_IFCHR, _CHARACTER_0_0),
            "hard": lambda: os.link(source, where, follow_symlinks=False),
        }
        make[step.kind]()
        if step.kind in {"file", "dir"}:
            os.chmod(where, step.mode)

    def _source(self, step: Step, where: bytes) -> bytes:
        above, _, name = step.text.rpartition(b"/")
        source = self._inside(above) + b"/" + name
        if self._is_directory(source):
            raise PermissionError
        if source == where or source.startswith(where + b"/"):
            raise FileNotFoundError
        return source

    @staticmethod
    def _is_directory(where: bytes) -> bool:
        return stat.S_ISDIR(os.lstat(where).st_mode)

    def _remove(self, where: bytes) -> None:
        if self._is_directory(where):
            shutil.rmtree(os.fsdecode(where))
            below = where + b"/"
            self.whiteouts = [one for one in self.whiteouts if not one.startswith(below)]
            self.opaque = [one for one in self.opaque if one != where and not one.startswith(below)]
        else:
            os.unlink(where)

    def _made(self, where: bytes) -> bytes:
        missing = []
        while not os.path.lexists(where):
            missing.append(where)
            where = os.path.dirname(where)
        if not self._is_directory(where):
            raise NotADirectoryError
        for one in reversed(missing):
            os.mkdir(one, 0o755)
            where = one
        return where

    def _inside(self, path: bytes) -> bytes:
        """Where a directory's path leads in this layer; a name that is not there stands for itself."""
        done: list[bytes] = []
        left = path.split(b"/") if path else []
        links = 0
        while left:
            name = left.pop(0)
            if name in {b"", b"."}:
                continue
            if name == b"..":
                done = done[:-1]
                continue
            where = b"/".join([self.root, *done, name])
            if os.path.islink(where):
                links += 1
                if links > 40:
                    raise NotADirectoryError
                to = os.readlink(where)
                done = [] if to.startswith(b"/") else done
                left = to.split(b"/") + left
                continue
            if os.path.lexists(where) and not self._is_directory(where):
                raise NotADirectoryError
            done.append(name)
        return b"/".join([self.root, *done])


def kernel_tree(root: bytes) -> dict[bytes, tuple[object, ...]]:
    """Every path of a mount: type, mode, and contents or target."""
    found: dict[bytes, tuple[object, ...]] = {}
    left = [b""]
    while left:
        path = left.pop()
        for name in os.listdir(root + b"/" + path):
            whole = path + b"/" + name if path else name
            try:
                status = os.lstat(root + b"/" + whole)
            except FileNotFoundError:
                continue  # a whiteout in a directory of one layer alone is listed, but it is not there
            found[whole] = _said(root + b"/" + whole, status)
            if stat.S_ISDIR(status.st_mode):
                left.append(whole)
    return found


def _said(where: bytes, status: os.stat_result) -> tuple[object, ...]:
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return "dir", mode
    if stat.S_ISLNK(status.st_mode):
        return "link", os.readlink(where)
    if stat.S_ISREG(status.st_mode):
        return "file", mode, Path(os.fsdecode(where)).read_bytes()
    return ("other",)


def our_tree(tree: Tree) -> dict[bytes, tuple[object, ...]]:
    found: dict[bytes, tuple[object, ...]] = {}
    left = [b""]
    while left:
        path = left.pop()
        for name in tree.directory(path):
            whole = path + b"/" + name if path else name
            place = tree.find(whole, follow=False)
            one = place.entry
            if one.type == "dir":
                found[whole] = "dir", one.mode
                left.append(whole)
            elif one.type == "link":
                found[whole] = "link", one.link
            elif one.type == "file":
                found[whole] = "file", one.mode, tree.read(place, 0, one.size + 1)
            else:
                found[whole] = (one.type,)
    return found


def kernel_leads(handle: int, root: bytes, path: bytes) -> bytes | int:
    """Where a path leads within a mount, or the error."""
    how = (ctypes.c_uint64 * 3)(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    for _ in range(10_000):
        found = _LIBC.syscall(_OPENAT2, handle, path or b".", ctypes.byref(how), ctypes.sizeof(how))
        # Whenever something is mounted or renamed on the machine, ".." may have to be asked for again.
        if found >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    if found < 0:
        return ctypes.get_errno()
    try:
        return os.readlink(b"/proc/self/fd/%d" % found)[len(root) + 1 :]
    finally:
        os.close(found)


def our_leads(tree: Tree, path: bytes) -> bytes | int:
    try:
        return tree.find(path).path
    except OSError as error:
        return error.errno or 0


def asked_paths(chance: random.Random, there: dict[bytes, tuple[object, ...]]) -> list[bytes]:
    paths = [*there]
    for path in [*there, b"a"]:
        paths += [path + b"/", path + b"/..", path + b"/../" + chance.choice(NAMES), b"/" + path + b"/./c"]
    return paths + [target_of(chance) for _ in range(5)]


def show(stack: list[list[Step]]) -> str:
    return "\n".join(f"layer {number}: {step}" for number, steps in enumerate(stack) for step in steps)


@contextmanager
def mounted(room: Path, stack: list[list[Step]]) -> Iterator[tuple[bytes, int]]:
    """Layers on disk, stacked by the kernel: where, and a handle of it."""
    where = room / "stack"
    merged = where / "merged"
    merged.mkdir(parents=True)
    # The kernel mounts no single layer.
    layers = [where / "empty"]
    layers[0].mkdir()
    for number, steps in enumerate(stack):
        layers.append(where / str(number))
        Unpacked(layers[-1]).unpack(steps)
    mount(b"overlay", merged, "lowerdir=" + ":".join(map(str, reversed(layers))), _MS_RDONLY)
    handle = os.open(merged, os.O_PATH | os.O_CLOEXEC)
    try:
        yield bytes(merged), handle
    finally:
        os.close(handle)
        unmount(merged)
        shutil.rmtree(where)


def compare(room: Path, chance: random.Random, stack: list[list[Step]]) -> int:
    tree = Tree([plain(*(step.packed() for step in steps)) for steps in stack])
    with mounted(room, stack) as (root, handle):
        there = kernel_tree(root)
        assert our_tree(tree) == there, show(stack)
        for path in asked_paths(chance, there):
            expected = kernel_leads(handle, root, path)
            assert our_leads(tree, path) == expected, f"{path!r} of\n{show(stack)}"
    return len(there)


def test_random_stacks_are_what_the_kernel_shows(room: Path) -> None:
    start = process_time()
    entries = 0
    for seed in range(STACKS):
        chance = random.Random(seed)
        entries += compare(room, chance, [layer_of(chance) for _ in range(chance.randint(1, 6))])
    assert entries > 5 * STACKS, "the stacks must hold something to compare"
    assert process_time() - start < 20


@pytest.mark.parametrize("length", [7, 39, 40, 41])
def test_chains_of_links_are_as_long_as_the_kernel_has_them(room: Path, length: int) -> None:
    steps = [Step("link", b"l%d" % number, b"l%d" % after) for number, after in pairwise(range(length + 1))]
    steps.append(Step("file", b"l%d" % length, b"end"))
    tree = Tree([plain(*(step.packed() for step in steps))])
    with mounted(room, [steps]) as (root, handle):
        expected = kernel_leads(handle, root, b"l0")
        assert our_leads(tree, b"l0") == expected == (b"l%d" % length if length <= 40 else errno.ELOOP)
