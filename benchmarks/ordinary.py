"""An ordinary user who may talk to the engine, and an installation of reprocheck that this user can read."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import BenchmarkError, User

_SOCKET = Path("/var/run/docker.sock")
_NOBODY = 65534
_NOT_NEEDED = shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "ensurepip", "config-*", "*.a")
_TOOLS = shutil.ignore_patterns("mypy*", "ruff*", "pip", "pytest*", "_pytest", "hypothesis*", "*.pth")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ordinary:
    """Whose commands they are, and how this user calls reprocheck."""

    user: User
    python: str
    variables: dict[str, str]
    note: str
    """How it was made measurable."""


@contextmanager
def ordinary_user() -> Iterator[Ordinary]:
    """Lend the credentials of a user who is nobody but in the engine's group; none is added to the machine.

    Raises:
        BenchmarkError: this can't be had here.
    """
    if os.geteuid() != 0:
        raise BenchmarkError("whoever runs this is no root: the rows above are an ordinary user's already")
    if "DOCKER_HOST" in os.environ or not _SOCKET.exists():
        raise BenchmarkError(f"the engine does not answer at {_SOCKET}")
    socket = _SOCKET.stat()
    if socket.st_gid == 0 or not socket.st_mode & stat.S_IWGRP:
        raise BenchmarkError(f"{_SOCKET} belongs to no group of ordinary users")
    with tempfile.TemporaryDirectory(prefix="reprocheck-benchmark-") as folder:
        home = Path(folder)
        os.chown(home, _NOBODY, _NOBODY)
        user = User(uid=_NOBODY, gid=_NOBODY, groups=(socket.st_gid,), home=home)
        in_place = Ordinary(user=user, python=sys.executable, variables={}, note="the same installation")
        if _works(in_place):
            yield in_place
            return
        copied = _copy(home, user)
        if not _works(copied):
            raise BenchmarkError("an ordinary user can read neither this installation nor a copy of it")
        yield copied


def _works(way: Ordinary) -> bool:
    """Whether reprocheck runs for this user; an unreadable interpreter is a PermissionError."""
    user = way.user
    try:
        done = subprocess.run(
            [way.python, "-m", "reprocheck", "--version"],
            capture_output=True,
            check=False,
            cwd=user.home,
            env={**os.environ, "HOME": str(user.home), **way.variables},
            user=user.uid,
            group=user.gid,
            extra_groups=user.groups,
        )
    except OSError:
        return False
    return done.returncode == 0


def _copy(home: Path, user: User) -> Ordinary:
    """Copy the interpreter, its standard library, the installed packages and reprocheck.

    Times are kept: they are what makes the compiled ``.pyc`` beside each file still good.
    """
    installation = home / "python"
    library = Path(sysconfig.get_path("stdlib"))
    target = installation / library.relative_to(sys.base_prefix)
    shutil.copytree(library, target, ignore=_NOT_NEEDED)
    shutil.copytree(sysconfig.get_path("purelib"), target / "site-packages", ignore=_TOOLS)
    package = Path(__file__).resolve().parent.parent / "reprocheck"
    shutil.copytree(package, target / "site-packages" / "reprocheck", dirs_exist_ok=True)
    executable = installation / "bin" / Path(sys.executable).resolve().name
    executable.parent.mkdir()
    shutil.copy2(Path(sys.executable).resolve(), executable)
    for shared in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
        shutil.copy2(shared, installation / "lib")
    variables = {"LD_LIBRARY_PATH": str(installation / "lib"), "PYTHONDONTWRITEBYTECODE": "1"}
    return Ordinary(user=user, python=str(executable), variables=variables, note="a copy of the installation")
