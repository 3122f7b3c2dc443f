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
from reprocheck.targets import probe
from reprocheck.targets.address import Address
from reprocheck.targets.saved import SavedSession, is_evidence, load_evidence
from reprocheck.targets.session import Session

if TYPE_CHECKING:
    from reprocheck.targets.engine import Engine


@dataclass(kw_only=True, slots=True)
class Access:
    """How targets are reached in this run; the engine is asked for once, and only when it is needed."""

    engine_address: str | None = None
    python: Path | None = None
    """The interpreter that ``host:`` shall mean."""
    seconds: float = probe.SECONDS
    route: str | None = None
    """The one route to take; ``None``: the first that this machine lets a target be read by."""
    deep: bool = False
    """Compare the contents of files too."""
    tell: Callable[[str], None] = lambda _: None
    """Where it is said which engine answered, if it is not the default one."""
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
    path = Path(word)
    if os.path.lexists(path):
        return _from_path(path)
    found = [one for one in (_container(word, access), _image(word, access)) if one is not None]
    if len(found) > 1:
        raise UsageError(f"{word} can mean {' or '.join(map(str, found))}; write the one that you mean")
    if not found:
        raise UsageError(
            f"{word}: no file, directory, container or image of that name; targets are "
            f"{', '.join(f'{kind}:' for kind in addresses.KINDS)}"
        )
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
        if any((path / name).exists() for name in ("pyvenv.cfg", "conda-meta", "bin/python3", "bin/python")):
            return Address("python", str(path))
        raise UsageError(f"{path}: a directory without pyvenv.cfg, conda-meta or bin/python: no environment")
    if stat.S_ISREG(facts.st_mode) and facts.st_mode & 0o111 and path.name.startswith(("python", "pypy")):
        return Address("python", str(path))
    raw = codec.read_file(path)
    if is_evidence(raw):
        return Address("evidence", str(path))
    if raw.lstrip().startswith(b"{"):
        return Address("snapshot", str(path))
    raise UsageError(f"{path}: neither a snapshot, nor evidence, nor an interpreter; name its kind as KIND:{path}")


@contextmanager
def open_target(address: Address, access: Access) -> Iterator[Session]:
    """A session with a target that can be asked.

    Raises:
        TargetError: it does not exist or can't be read.
        DataError: saved evidence that can't be used.
    """
    match address.kind:
        case "container":
            from reprocheck.targets.container import open_container

            with open_container(address, access.engine, seconds=access.seconds) as session:
                yield session
        case "image":
            from reprocheck.targets.image import open_image

            with open_image(address, access.engine, route=access.route, seconds=access.seconds) as image:
                yield image
        case "rootfs":
            from reprocheck.targets.rootfs import open_rootfs

            with open_rootfs(address) as root:
                yield root
        case "python" | "host":
            from reprocheck.targets.local import open_interpreter

            with open_interpreter(address, named=access.python, seconds=access.seconds) as interpreter:
                yield interpreter
        case "evidence":
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
