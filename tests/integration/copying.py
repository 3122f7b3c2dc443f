"""Directories copied out of a container, as `docker cp` does."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from docker.models.containers import Container


def copied(container: Container, path: str, where: Path) -> Path:
    """Copy a directory of a container into ``where``."""
    stream, _ = container.get_archive(path)
    raw = io.BytesIO(b"".join(stream))
    with tarfile.open(fileobj=raw) as archive:
        # Of our own making: links out of it are what a virtual environment has.
        archive.extractall(where, filter="fully_trusted")
    return where / Path(path).name


def copied_environment(container: Container, path: str, where: Path, executable: Path) -> Path:
    """Copy a virtual environment and link it to an interpreter of this machine."""
    copy = copied(container, path, where)
    for name in ("python", "python3", f"python3.{_minor(executable)}"):
        (copy / "bin" / name).unlink(missing_ok=True)
        (copy / "bin" / name).symlink_to(executable)
    settings = (copy / "pyvenv.cfg").read_text().splitlines()
    kept = [line for line in settings if not line.startswith("home")]
    (copy / "pyvenv.cfg").write_text("\n".join([f"home = {executable.parent}", *kept]) + "\n")
    return copy


def _minor(executable: Path) -> str:
    return executable.resolve().name.rpartition(".")[2]
