"""The command line in a process of its own, and containers for it to look at."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import docker.errors
import pytest
from docker.models.containers import Container

from reprocheck.targets.owner import LABEL as OWNER
from tests.images.build import LABEL

ROOT = Path(__file__).resolve().parents[2]
BASELINE = ROOT / "baselines" / "tensorflow-2.9.0-py39.json"
SECONDS = 120.0
"""No run takes that long; one that does is stuck."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What became of one run."""

    words: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    pid: int

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    def ended(self, code: int) -> Ran:
        assert self.code == code, f"exit {self.code}, not {code}: {self.words}\n{self.stdout}{self.stderr}"
        return self

    def refused(self) -> str:
        """The one line of an error; nothing else was printed."""
        self.ended(2)
        assert self.stdout == ""
        lines = self.stderr.splitlines()
        assert len(lines) == 1, self.stderr
        assert self.stderr.endswith("\n")
        start = "reprocheck: "
        assert lines[0].startswith(start)
        return lines[0].removeprefix(start)


def run(
    python: str,
    words: Sequence[str | os.PathLike[str]],
    *,
    scratch: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: int | None = None,
) -> Ran:
    """Run the command line to its end."""
    with started(python, words, scratch=scratch, env=env, cwd=cwd, stdout=stdout) as process:
        return finish(process)


@contextmanager
def started(
    python: str,
    words: Sequence[str | os.PathLike[str]],
    *,
    scratch: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command line; killed at the end if it still runs."""
    process = subprocess.Popen(
        [python, "-m", "reprocheck", *(os.fspath(word) for word in words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        cwd=cwd or ROOT,
        env={
            **os.environ,
            "TMPDIR": str(scratch),
            "XDG_CACHE_HOME": str(scratch.parent / "cache"),
            "COLUMNS": "100",
            "LC_ALL": "C.UTF-8",
            **(env or {}),
        },
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[bytes]) -> Ran:
    out, err = process.communicate(timeout=SECONDS)
    words = process.args
    assert isinstance(words, list)
    # JSON and text are UTF-8, whatever was in the target: strictly.
    return Ran(
        words=tuple(words[3:]),
        code=process.returncode,
        stdout=(out or b"").decode(),
        stderr=err.decode(),
        pid=process.pid,
    )


class Bench:
    """Containers and images of a test; all carry a label, and all are removed at the end."""

    def __init__(self, engine: docker.DockerClient) -> None:
        self.engine = engine
        self.mark = uuid4().hex
        self._containers: list[str] = []
        self._images: list[str] = []

    def start(self, image: str, command: Sequence[str] | None = ("sleep", "infinity"), **options: Any) -> Container:
        """A running container without a network."""
        container = self.create(image, command, **options)
        container.start()
        return container

    def create(self, image: str, command: Sequence[str] | None = ("sleep", "infinity"), **options: Any) -> Container:
        """A container that was never started."""
        options = {"name": f"reprocheck-test-{uuid4().hex[:12]}", "network_mode": "none", "labels": {}, **options}
        options["labels"] = {LABEL: self.mark, **options["labels"]}
        container = self.engine.containers.create(image, list(command) if command else None, **options)
        self._containers.append(str(container.id))
        return container

    def build(self, dockerfile: str, files: Mapping[str, str | bytes] | None = None, **options: Any) -> str:
        """A small image, by its recipe; files are laid with mode 755. Its id, or its tag if one is given."""
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as archive:
            for name, content in {"Dockerfile": dockerfile, **(files or {})}.items():
                raw = content.encode() if isinstance(content, str) else content
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(raw), 0o755
                archive.addfile(member, io.BytesIO(raw))
        context.seek(0)
        options = {"labels": {LABEL: self.mark}, "network_mode": "none", **options}
        # The API, not the model: that one parses the output, which the escapes of a recipe can break.
        log = list(
            self.engine.api.build(
                fileobj=context, custom_context=True, rm=True, forcerm=True, decode=True, **options
            )
        )  # fmt: skip
        made = [event["aux"]["ID"] for event in log if "aux" in event]
        assert made, log
        self._images.append(made[-1])
        return str(options.get("tag") or made[-1])

    def forget(self, tag: str) -> None:
        """Take a tag away."""
        with suppress(docker.errors.ImageNotFound):
            self.engine.api.remove_image(tag, force=True)

    def close(self) -> None:
        for container in reversed(self._containers):
            with suppress(docker.errors.NotFound):
                self.engine.api.remove_container(container, force=True, v=True)
        for image in reversed(self._images):
            with suppress(docker.errors.ImageNotFound):
                self.engine.api.remove_image(image, force=True)


def throw_away(engine: docker.DockerClient, pid: int) -> list[str]:
    """Ids of the throw-away containers that a run of ours has made and not removed."""
    found = engine.api.containers(all=True, filters={"label": OWNER})
    return [one["Id"] for one in found if one["Labels"][OWNER].split()[1] == str(pid)]


def processes(container: Container) -> list[str]:
    """Command lines of a running container's processes; one that is being started has none yet."""
    lines: list[str] = []

    def started() -> bool:
        nonlocal lines
        lines = sorted(row[-1] for row in container.top(ps_args="-eo pid,args")["Processes"])
        return not any(line.startswith("[") for line in lines)

    eventually(started)
    return lines


def inside(container: Container, *command: str) -> str:
    """What a program prints in a running container."""
    code, output = container.exec_run(list(command))
    assert code == 0, output
    assert isinstance(output, bytes)
    return output.decode()


def put(container: Container, path: str, content: str | bytes, mode: int = 0o755) -> None:
    """Lay a file in a container, as `docker cp` does."""
    raw = content.encode() if isinstance(content, str) else content
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo(path.lstrip("/"))
        member.size, member.mode = len(raw), mode
        tar.addfile(member, io.BytesIO(raw))
    assert container.put_archive("/", archive.getvalue())


def packages(document: Any, environment: str) -> dict[str, str]:
    """Name and version of the copies that an environment takes."""
    chosen = next(one for one in document["environments"] if one["id"] == environment)
    return {one["name"]: one["version"] for one in chosen["packages"] if one["active"]}


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what the engine does in its own time, ten seconds at most."""
    pause = threading.Event()
    for _ in range(100):
        if holds():
            return
        pause.wait(0.1)
    pytest.fail("it never came to hold")
