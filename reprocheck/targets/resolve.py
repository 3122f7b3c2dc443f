"""From a word on the command line to an open target."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from reprocheck.errors import DataError, EngineError, TargetError, UsageError
from reprocheck.model import codec
from reprocheck.targets import address as addresses
from reprocheck.targets.address import Address, Kind
from reprocheck.targets.session import SECONDS, Session

if TYPE_CHECKING:
    from reprocheck.targets.engine import Engine

_KINDS = ", ".join(f"{kind}:" for kind in addresses.KINDS)


@dataclass(kw_only=True, slots=True)
class Access:
    """How targets are reached in this run; the engine is asked for once, and only when it is needed."""

    engine_address: str | None = None
    python: Path | None = None
    """The interpreter that ``host:`` shall mean."""
    seconds: float = SECONDS
    route: str | None = None
    """The one route to take; ``None``: the first that this machine lets a target be read by."""
    platform: str | None = None
    """``OS/ARCHITECTURE[/VARIANT]``, where an archive or layout holds several."""
    deep: bool = False
    """The contents of files and of uncompressed layers are compared with their digests too."""
    no_verify: bool = False
    """Nothing is compared with digests."""
    no_exec: bool = False
    """Nothing of the target may be run."""
    tell: Callable[[str], None] = lambda _: None
    """Where it is said which engine answered, if it is not the default one, and which interpreter is read instead."""
    _engine: Engine | None = field(default=None, init=False)

    def engine(self) -> Engine:
        """The container engine.

        Raises:
            EngineError: none answers.
        """
        from reprocheck.targets.engine import connect

        if self._engine is None:
            self._engine = connect(self.engine_address)
            if self._engine.address is not None:
                self.tell(f"the engine at {self._engine.address} answers")
        return self._engine


def resolve(word: str, access: Access) -> Address:
    """Read ``KIND:VALUE``, or find the one thing that a bare word can mean.

    Raises:
        UsageError: nothing, or more than one thing, answers to the word.
    """
    address = addresses.parse(word)
    if address is not None:
        if address.kind == "python":
            _not_an_image(address, access)
        return address
    path, name = addresses.chosen(word)
    if os.path.lexists(path):
        found_there = _from_path(Path(path))
        if name is not None and found_there.kind not in {"archive", "oci"}:
            raise UsageError(f"{word}: #{name} chooses an image of an archive or layout, and {path} is a {found_there}")
        return Address(found_there.kind, word)
    found = [one for one in (_container(word, access), _image(word, access)) if one is not None]
    if len(found) > 1:
        raise UsageError(f"{word} can mean {' or '.join(map(str, found))}; write the one that you mean")
    if not found:
        raise UsageError(f"{word}: no file, directory, container or image of that name; targets are {_KINDS}")
    return found[0]


def _not_an_image(address: Address, access: Access) -> None:
    if Path(address.value).expanduser().exists():
        return
    try:
        image = _image(str(address), access)
    except EngineError:
        image = None
    if image is not None:
        raise UsageError(f"{address}: no such path; did you mean {image}?")


def _container(name: str, access: Access) -> Address | None:
    try:
        access.engine().container(name)
    except TargetError:
        return None
    return Address("container", name)


def _image(reference: str, access: Access) -> Address | None:
    try:
        access.engine().image(reference)
    except (TargetError, EngineError):
        # A word that is no valid image reference is refused by the engine; it is simply no image.
        return None
    return Address("image", reference)


def _from_path(path: Path) -> Address:
    try:
        facts = path.stat()
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from error
    if path.suffix == ".sif":
        raise UsageError(
            f"{path}: an Apptainer image is read from inside; run these two, then use evidence:{path.stem}.evidence",
            commands=(
                "reprocheck probe -o p.py",
                (
                    f"apptainer exec --nv {shlex.quote(str(path))} python3 -I -S -B - < p.py"
                    f" > {shlex.quote(path.stem + '.evidence')}"
                ),
            ),
        )
    if stat.S_ISDIR(facts.st_mode):
        return Address(_kind_of_directory(path), str(path))
    if stat.S_ISREG(facts.st_mode) and facts.st_mode & 0o111 and path.name.startswith(("python", "pypy")):
        return Address("python", str(path))
    if stat.S_ISREG(facts.st_mode) and _looks_like_archive(path):
        return Address("archive", str(path))
    from reprocheck.targets.saved import is_evidence

    raw = codec.read_file(path)
    if is_evidence(raw):
        return Address("evidence", str(path))
    if raw.lstrip().startswith(b"{"):
        return Address("snapshot", str(path))
    raise UsageError(
        f"{path}: neither an image archive, nor a snapshot, nor evidence, nor an interpreter; name its kind: {_KINDS}"
    )


_SIGNS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("oci", ("oci-layout",)),
    ("python", ("pyvenv.cfg", "conda-meta")),
    # Before bin/python, which a root file system has too.
    ("rootfs", ("etc/os-release", "usr/lib")),
    ("python", ("bin/python3", "bin/python")),
)
"""What tells the kind of a directory."""


def _kind_of_directory(path: Path) -> Kind:
    for kind, names in _SIGNS:
        # In a root file system a link may lead to what is not there when seen from here.
        if any(os.path.lexists(path / name) for name in names):
            return kind
    known = ", ".join(name for _, names in _SIGNS for name in names)
    raise UsageError(f"{path}: a directory without any of {known}; name its kind: {_KINDS}")


def _looks_like_archive(path: Path) -> bool:
    from reprocheck.archives import guess
    from reprocheck.layers.compression import MAGIC, sniff
    from reprocheck.layers.tar import BLOCK

    try:
        with path.open("rb") as file:
            head = file.read(BLOCK)
    except OSError:
        return False
    return guess.looks_like_tar(head) or sniff(head[:MAGIC]) != "none"


ROUTES: dict[addresses.Kind, tuple[str, ...]] = {
    "image": ("storage", "cache", "container", "save"),
    "container": ("exec", "storage", "archive"),
}
"""Routes of the kinds that have several, in the order in which they are tried."""


@contextmanager
def open_target(address: Address, access: Access, *, cached: bool = True) -> Iterator[Session]:
    """A session with a target that can be asked.

    Args:
        address: the target.
        access: how it is reached.
        cached: whether an image of the engine may be read from the layer cache alone.

    Raises:
        TargetError: it does not exist or can't be read.
        DataError: saved evidence that can't be used.
        UsageError: the route that was asked for is none of the kind's.
    """
    if access.route is not None and access.route not in ROUTES.get(address.kind, ()):
        several = [f"{kind}: {', '.join(routes)}" for kind, routes in ROUTES.items()]
        raise UsageError(f"{address}: can't be read by the route {access.route}; routes are {'; '.join(several)}")
    match address.kind:
        case "container":
            from reprocheck.targets.container import open_container

            with open_container(
                address, access.engine(), route=access.route, no_exec=access.no_exec, seconds=access.seconds
            ) as session:
                yield session
        case "image":
            from reprocheck.targets.image import open_image

            with open_image(
                address,
                access.engine(),
                route=access.route,
                no_exec=access.no_exec,
                cached=cached and not access.deep and not access.no_verify,
                seconds=access.seconds,
                tell=access.tell,
            ) as image:
                yield image
        case "archive" | "oci":
            from reprocheck.targets.stored import open_stored

            with open_stored(
                address, platform=access.platform, verify=not access.no_verify, deep=access.deep
            ) as stored:
                yield stored
        case "rootfs":
            from reprocheck.targets.rootfs import open_rootfs

            with open_rootfs(address) as root:
                yield root
        case "python" | "host":
            if access.no_exec:
                raise UsageError(f"{address}: an interpreter is read by running it; read its files with rootfs:DIR")
            from reprocheck.targets.local import open_interpreter

            with open_interpreter(
                address, named=access.python, seconds=access.seconds, tell=access.tell
            ) as interpreter:
                yield interpreter
        case "evidence":
            from reprocheck.targets.saved import SavedSession, load_evidence

            yield SavedSession(load_evidence(Path(address.value)))
        case "snapshot":
            raise DataError(f"{address}: a snapshot holds facts, not evidence")


def image_of(address: Address, access: Access) -> Address:
    """The image that a container was started from.

    Raises:
        UsageError: the address is no container's.
    """
    if address.kind != "container":
        raise UsageError(f"{address}: diff with one target compares a container with its image; name a second target")
    return Address("image", access.engine().container(address.value)["Image"])
