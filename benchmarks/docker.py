"""The docker command: what the floors are made of, and the container that is captured."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import BenchmarkError

_LABEL = "dev.reprocheck.benchmark"
_SECONDS = "3600"


def docker(*arguments: str) -> str:
    """Run ``docker`` and give what it prints.

    Raises:
        BenchmarkError: it failed, or there is none.
    """
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, check=False, text=True)
    except OSError as error:
        raise BenchmarkError(f"docker: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise BenchmarkError(f"docker {arguments[0]}: {said[0]}")
    return done.stdout.strip()


@contextmanager
def container(image: str) -> Iterator[str]:
    """Run a container that does nothing, without a network, as long as it is needed; its id.

    It ends and goes by itself after a while, also when this program was killed.

    Raises:
        BenchmarkError: it can't be started.
    """
    settings = ("--detach", "--rm", "--network", "none", "--label", _LABEL, "--entrypoint", "sleep")
    name = docker("run", *settings, image, _SECONDS)
    try:
        yield name
    finally:
        docker("kill", name)


def unpacked(image: str, root: Path) -> Path:
    """An image's files, unpacked into a new directory.

    Raises:
        BenchmarkError: that failed.
    """
    root.mkdir()
    packed = root.with_suffix(".tar")
    made = docker("create", "--label", _LABEL, image)
    try:
        docker("export", "-o", str(packed), made)
    finally:
        docker("rm", made)
    done = subprocess.run(
        ["tar", "-x", "-f", str(packed), "-C", str(root)], capture_output=True, check=False, text=True
    )
    packed.unlink()
    if done.returncode:
        raise BenchmarkError(f"tar: {done.stderr.strip().splitlines()[-1]}")
    return root
