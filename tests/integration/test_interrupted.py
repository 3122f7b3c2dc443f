"""Runs that are ended from outside, at chosen moments: nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.integration.proxy import Moment, between
from tests.integration.running import Bench, Ran, eventually, finish, processes, started, throw_away

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]

CREATE = "POST /containers/create"
ATTACH = "POST /containers/ID/attach"
START = "POST /containers/ID/start"
REMOVE = "DELETE /containers/ID"
GET = "GET /images/ID/get"
CONTAINER = ("--route", "container")
EXEC_CREATE = "POST /containers/ID/exec"
EXEC_START = "POST /exec/ID/start"

IMAGE_MOMENTS: tuple[tuple[Moment, str], ...] = (
    ("request", "GET /images/reprocheck-test/small:latest/json"),
    ("request", "GET /containers/json"),
    ("request", CREATE),
    ("response", CREATE),
    ("request", ATTACH),
    ("response", ATTACH),
    ("request", START),
    ("response", START),
    ("stream", ATTACH),
    ("request", REMOVE),
    ("response", REMOVE),
)


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rc-") as folder:
        yield Path(folder) / "s"


@contextmanager
def _begun(scratch: Path, socket: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    with started(sys.executable, words, scratch=scratch, env={"DOCKER_HOST": f"unix://{socket}"}) as process:
        yield process


class _Once:
    """Does something at the first of a moment."""

    def __init__(self, moment: Moment, call: str, action: Callable[[], None]) -> None:
        self._wanted = (moment, call)
        self._action = action
        self._lock = threading.Lock()
        self.done = False

    def __call__(self, moment: Moment, call: str) -> None:
        with self._lock:
            now = (moment, call) == self._wanted and not self.done
            self.done = self.done or now
        if now:
            self._action()


def _interrupted(
    engine: docker.DockerClient, scratch: Path, socket: Path, number: int, at: tuple[Moment, str], target: Sequence[str]
) -> None:
    pid: list[int] = []
    known = threading.Event()

    def strike() -> None:
        assert known.wait(10)
        os.kill(pid[0], number)

    once = _Once(*at, strike)
    words = ("capture", *target)
    with between(socket, engine, once), _begun(scratch, socket, *words) as process:
        pid.append(process.pid)
        known.set()
        ran = finish(process)
    assert once.done, "the moment never came"
    assert ran.ended(2).stdout == ""
    told = ran.stderr.splitlines()
    assert told[0] == f"reprocheck: the engine at unix://{socket} answers"
    assert told[-1] == "reprocheck: interrupted: nothing was verified"
    # Before a whole image is read it is said how large it is.
    assert len(told) == (3 if "save" in target else 2), told
    assert throw_away(engine, ran.pid) == []
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("at", IMAGE_MOMENTS, ids=lambda at: f"{at[0]} {at[1]}")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_an_image_capture_that_is_interrupted_leaves_no_container(
    engine: docker.DockerClient, image: Image, tmp_path: Path, socket_path: Path, number: int, at: tuple[Moment, str]
) -> None:
    _interrupted(engine, tmp_path, socket_path, number, at, (f"image:{image('small')}", *CONTAINER))


@pytest.mark.parametrize("at", [("request", GET), ("response", GET)], ids=lambda at: at[0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_a_stream_that_is_interrupted(
    engine: docker.DockerClient, image: Image, tmp_path: Path, socket_path: Path, number: int, at: tuple[Moment, str]
) -> None:
    _interrupted(engine, tmp_path, socket_path, number, at, (f"image:{image('small')}", "--route", "save"))


def test_those_are_the_calls_of_an_image_capture(
    engine: docker.DockerClient, image: Image, tmp_path: Path, socket_path: Path
) -> None:
    with (
        between(socket_path, engine, lambda _moment, _call: None) as proxy,
        _begun(tmp_path, socket_path, "capture", f"image:{image('small')}", *CONTAINER) as process,
    ):
        finish(process).ended(0)
    struck = {call for _, call in IMAGE_MOMENTS}
    # The others only read.
    assert struck <= {*proxy.calls}
    assert {call for call in proxy.calls if not call.startswith("GET ")} <= struck


@pytest.mark.parametrize(
    "at",
    [("request", EXEC_CREATE), ("response", EXEC_CREATE), ("request", EXEC_START), ("stream", EXEC_START)],
    ids=lambda at: f"{at[0]} {at[1]}",
)
def test_a_container_capture_that_is_interrupted_leaves_no_process(
    engine: docker.DockerClient, bench: Bench, image: Image, tmp_path: Path, socket_path: Path, at: tuple[Moment, str]
) -> None:
    container = bench.start(image("small"))
    before = processes(container)
    _interrupted(engine, tmp_path, socket_path, signal.SIGTERM, at, [f"container:{container.name}"])
    # The probe ends with its input; that takes the engine a moment.
    eventually(lambda: processes(container) == before)


def test_the_next_run_sweeps_what_a_killed_one_left(
    engine: docker.DockerClient, image: Image, tmp_path: Path, socket_path: Path, run_reprocheck: Run
) -> None:
    pid: list[int] = []
    known = threading.Event()

    def kill() -> None:
        assert known.wait(10)
        os.kill(pid[0], signal.SIGKILL)

    with (
        between(socket_path, engine, _Once("stream", ATTACH, kill)),
        _begun(tmp_path, socket_path, "capture", f"image:{image('small')}", *CONTAINER) as process,
    ):
        pid.append(process.pid)
        known.set()
        assert process.wait(60) == -signal.SIGKILL
    (left,) = throw_away(engine, process.pid)
    run_reprocheck("capture", f"image:{image('nopython')}", *CONTAINER).ended(2)
    with pytest.raises(docker.errors.NotFound):
        engine.containers.get(left)
    assert throw_away(engine, process.pid) == []


def test_a_run_leaves_alone_what_a_live_one_uses(
    engine: docker.DockerClient, image: Image, tmp_path: Path, socket_path: Path, run_reprocheck: Run
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        assert go_on.wait(60)

    words = ("capture", f"image:{image('small')}", *CONTAINER, "--format", "json")
    with between(socket_path, engine, _Once("stream", ATTACH, hold)), _begun(tmp_path, socket_path, *words) as process:
        assert reached.wait(60)
        (used,) = throw_away(engine, process.pid)
        other = run_reprocheck(*words).ended(0)
        assert throw_away(engine, process.pid) == [used]
        go_on.set()
        held = finish(process).ended(0)
    assert held.json["environments"] == other.json["environments"]
    assert throw_away(engine, process.pid) == throw_away(engine, other.pid) == []


@pytest.mark.parametrize(
    "label", ["", "x", "elsewhere 1 2", "elsewhere 1 0 99999999999", "elsewhere not-a-number 0 soon"]
)
def test_a_label_that_names_no_dead_run_of_ours_is_left_alone(
    image: Image, own_bench: Bench, run_reprocheck: Run, label: str
) -> None:
    from reprocheck.targets.owner import LABEL

    container = own_bench.create(image("nopython"), labels={LABEL: label})
    run_reprocheck("capture", f"image:{image('nopython')}", *CONTAINER).ended(2)
    container.reload()


@pytest.mark.parametrize("route", ["storage", "container", "save"])
def test_two_runs_at_once(engine: docker.DockerClient, image: Image, tmp_path: Path, route: str) -> None:
    if route == "storage" and os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")
    words = ("capture", f"image:{image('small')}", "--route", route, "--format", "json")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with (
        started(sys.executable, words, scratch=tmp_path / "one") as one,
        started(sys.executable, words, scratch=tmp_path / "two") as two,
    ):
        ran = [finish(process).ended(0) for process in (one, two)]
    assert ran[0].json["environments"] == ran[1].json["environments"]
    for each in ran:
        assert throw_away(engine, each.pid) == []
