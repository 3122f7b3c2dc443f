"""Bad input: one clear line, exit 2, nothing on standard output, nothing left behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
from docker.models.containers import Container

from tests.integration.proxy import Cut, Moment, between
from tests.integration.running import (
    BASELINE,
    Bench,
    Ran,
    eventually,
    finish,
    packages,
    processes,
    put,
    started,
    throw_away,
)

engine_needed = pytest.mark.engine
CONTAINER = ("--route", "container")
"""The image's own Python is asked, as an ordinary user of the engine has it."""

Run = Callable[..., Ran]
Image = Callable[[str], str]

# No engine, no such thing.


@pytest.mark.parametrize(
    ("words", "env", "named"),
    [
        (("capture", "image:x"), {"DOCKER_HOST": "unix:///nowhere/engine.sock"}, "DOCKER_HOST unix:///nowhere"),
        (("capture", "container:x"), {"DOCKER_HOST": "tcp://127.0.0.1:1"}, "DOCKER_HOST tcp://127.0.0.1:1"),
        (("capture", "a-bare-word"), {"DOCKER_HOST": "unix:///nowhere/engine.sock"}, "no such socket"),
        (("capture", "image:x", "--engine", "unix:///nowhere"), {}, "--engine unix:///nowhere"),
        (("capture", "image:x", "--engine", "nonsense://"), {}, "--engine nonsense://"),
        (("capture", "image:x", "--engine", "unix:///dev/null"), {}, "--engine unix:///dev/null"),
        (("diff", "container:x"), {"DOCKER_HOST": "unix:///nowhere/engine.sock"}, "DOCKER_HOST"),
        (
            ("verify", "image:x", "--baseline", str(BASELINE)),
            {"DOCKER_HOST": "unix:///nowhere/engine.sock"},
            "DOCKER_HOST",
        ),
    ],
)
def test_no_engine(run_reprocheck: Run, words: tuple[str, ...], env: dict[str, str], named: str) -> None:
    line = run_reprocheck(*words, env=env).refused()
    assert "no container engine answers" in line
    assert named in line


@pytest.mark.parametrize(
    ("config", "variable", "said"),
    [
        ("gone", None, "the docker context gone, which config.json names, does not exist"),
        (None, "nope", "the docker context nope, which DOCKER_CONTEXT names, does not exist"),
        ("default", "nope", "the docker context nope, which DOCKER_CONTEXT names, does not exist"),
        ("damaged", None, "the docker context damaged, which config.json names, can't be read"),
    ],
)
def test_a_docker_context_that_does_not_exist(
    run_reprocheck: Run, tmp_path: Path, config: str | None, variable: str | None, said: str
) -> None:
    """A choice that was made is the only one tried: another engine would answer for the wrong machine."""
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": config} if config else {}))
    damaged = tmp_path / "contexts/meta" / hashlib.sha256(b"damaged").hexdigest() / "meta.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    env = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": "", "DOCKER_CONTEXT": variable or ""}
    assert said in run_reprocheck("capture", "image:x", env=env).refused()


@engine_needed
def test_the_default_docker_context_is_the_default_socket(run_reprocheck: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "gone"}))
    env = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": "", "DOCKER_CONTEXT": "default"}
    assert "no such image" in run_reprocheck("capture", "image:reprocheck-test/there-is-none", env=env).refused()


def test_an_engine_that_is_none(run_reprocheck: Run) -> None:
    # A Unix socket where somebody listens who says something else.
    import socket

    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        listener.listen()

        def answer() -> None:
            with suppress(OSError):
                while True:
                    one, _ = listener.accept()
                    one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi!")
                    one.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            line = run_reprocheck("capture", "image:x", "--engine", f"unix://{folder}/s").refused()
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
    assert "no container engine answers" in line


@engine_needed
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("image:reprocheck-test/there-is-none", "docker pull reprocheck-test/there-is-none"),
        ("image:sha256:" + "0" * 64, "the engine has no such image"),
        ("container:reprocheck-there-is-none", "the engine has no such container"),
        ("reprocheck-there-is-none", "no file, directory, container or image of that name"),
        ("image:Not A Reference!", "image:Not A Reference!"),
        ("container:--privileged", "container:--privileged"),
        ("container:../../images/json", "container:../../images/json"),
        ("container:", "names nothing"),
        ("host:x", "takes no value"),
    ],
)
def test_no_such_target(engine: docker.DockerClient, run_reprocheck: Run, target: str, said: str) -> None:
    ran = run_reprocheck("capture", target)
    assert said in ran.refused()
    assert throw_away(engine, ran.pid) == []


@engine_needed
def test_a_word_that_names_a_container_and_an_image(image: Image, own_bench: Bench, run_reprocheck: Run) -> None:
    word = f"reprocheck-both-{own_bench.mark[:8]}"
    own_bench.build(f"FROM {image('nopython')}\nLABEL x=1\n", tag=word)
    own_bench.create(image("nopython"), name=word)
    line = run_reprocheck("capture", word).refused()
    assert f"container:{word}" in line
    assert f"image:{word}" in line


@engine_needed
def test_a_bare_word_that_names_one_thing(image: Image, run_reprocheck: Run) -> None:
    tag = image("small")
    document = run_reprocheck("capture", tag, "--format", "json").ended(0).json
    assert document["header"]["target"] == f"image:{tag}"


@engine_needed
def test_an_image_for_an_interpreter(image: Image, engine: docker.DockerClient, run_reprocheck: Run) -> None:
    tag = "python:reprocheck-test-only"
    engine.images.get(image("nopython")).tag(tag)
    try:
        assert f"did you mean image:{tag}?" in run_reprocheck("capture", tag).refused()
    finally:
        engine.images.remove(tag)


# Lost on the way.


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rc-") as folder:
        yield Path(folder) / "s"


def _through(
    engine: docker.DockerClient, scratch: Path, socket: Path, act: Callable[[Moment, str], None], target: str,
    route: tuple[str, ...] = CONTAINER,
) -> Ran:  # fmt: skip
    words = ("capture", target, *(route if target.startswith("image:") else ()))
    with (
        between(socket, engine, act),
        started(sys.executable, words, scratch=scratch, env={"DOCKER_HOST": f"unix://{socket}"}) as process,
    ):
        return finish(process)


def _one_line(ran: Ran, socket: Path) -> str:
    """The error of a run through a proxy, whose address is named first once it has answered."""
    ran.ended(2)
    assert ran.stdout == ""
    lines = ran.stderr.splitlines()
    if lines[0] == f"reprocheck: the engine at unix://{socket} answers":
        del lines[0]
    assert len(lines) == 1, ran.stderr
    return lines[0].removeprefix("reprocheck: ")


@engine_needed
def test_a_container_removed_while_it_is_read(
    engine: docker.DockerClient, image: Image, own_bench: Bench, tmp_path: Path, socket_path: Path
) -> None:
    container = own_bench.start(image("small"))

    def remove(moment: Moment, _call: str) -> None:
        if moment == "stream":
            with suppress(docker.errors.NotFound):
                engine.api.remove_container(str(container.id), force=True, v=True)

    line = _one_line(_through(engine, tmp_path, socket_path, remove, f"container:{container.name}"), socket_path)
    # Which it is depends on how far the engine has come.
    assert re.fullmatch(
        f"container:{container.name}: the container (vanished|is (exited|removing|dead); it ended the probe) "
        "while it was being read",
        line,
    )


@engine_needed
def test_a_container_stopped_while_it_is_read(
    engine: docker.DockerClient, image: Image, own_bench: Bench, tmp_path: Path, socket_path: Path
) -> None:
    container = own_bench.start(image("small"))

    def stop(moment: Moment, _call: str) -> None:
        if moment == "stream":
            engine.api.kill(str(container.id))

    once = _first(stop, "stream")
    line = _one_line(_through(engine, tmp_path, socket_path, once, f"container:{container.name}"), socket_path)
    assert line.startswith(f"container:{container.name}: the container is exited; it ended the probe")


@engine_needed
@pytest.mark.parametrize("call", ["GET /containers/NAME/json", "POST /containers/ID/exec", "POST /exec/ID/start"])
def test_a_container_removed_between_two_calls(
    engine: docker.DockerClient, image: Image, own_bench: Bench, tmp_path: Path, socket_path: Path, call: str
) -> None:
    container = own_bench.start(image("small"))
    wanted = call.replace("NAME", str(container.name))

    def remove(moment: Moment, seen: str) -> None:
        if moment == "request" and seen == wanted:
            with suppress(docker.errors.NotFound):
                engine.api.remove_container(str(container.id), force=True, v=True)

    line = _one_line(_through(engine, tmp_path, socket_path, remove, f"container:{container.name}"), socket_path)
    assert line.startswith(f"container:{container.name}: ")
    assert re.search("no such container|vanished", line, re.IGNORECASE)


@engine_needed
def test_a_throw_away_container_removed_by_somebody_else(
    engine: docker.DockerClient, image: Image, tmp_path: Path, socket_path: Path
) -> None:
    pid: list[int] = []
    known = threading.Event()

    def remove(moment: Moment, _call: str) -> None:
        if moment == "stream" and known.wait(10):
            for one in throw_away(engine, pid[0]):
                engine.api.remove_container(one, force=True, v=True)

    words = ("capture", f"image:{image('small')}", *CONTAINER)
    with (
        between(socket_path, engine, remove),
        started(sys.executable, words, scratch=tmp_path, env={"DOCKER_HOST": f"unix://{socket_path}"}) as process,
    ):
        pid.append(process.pid)
        known.set()
        ran = finish(process)
    assert re.search(
        "its throw-away container (vanished|was killed from outside) while it was being read",
        _one_line(ran, socket_path),
    )


def _first(act: Callable[[Moment, str], None], wanted: Moment) -> Callable[[Moment, str], None]:
    lock = threading.Lock()
    done: list[str] = []

    def once(moment: Moment, call: str) -> None:
        with lock:
            now = moment == wanted and not done
            done.extend([call] if now else [])
        if now:
            act(moment, call)

    return once


@engine_needed
@pytest.mark.parametrize(
    ("kind", "moment", "call"),
    [
        ("image", "response", "GET /images/reprocheck-test/small:latest/json"),
        ("image", "response", "GET /containers/json"),
        ("image", "request", "POST /containers/create"),
        ("image", "response", "POST /containers/ID/attach"),
        ("image", "response", "POST /containers/ID/start"),
        ("image", "stream", "POST /containers/ID/attach"),
        ("container", "response", "POST /containers/ID/exec"),
        ("container", "response", "POST /exec/ID/start"),
        ("container", "stream", "POST /exec/ID/start"),
    ],
)
def test_an_engine_that_hangs_up(
    engine: docker.DockerClient, image: Image, bench: Bench, tmp_path: Path, socket_path: Path, kind: str,
    moment: Moment, call: str,
) -> None:  # fmt: skip
    target = f"image:{image('small')}" if kind == "image" else f"container:{bench.start(image('small')).name}"
    struck = []

    def cut(now: Moment, seen: str) -> None:
        if (now, seen) == (moment, call):
            struck.append(seen)
            raise Cut

    ran = _through(engine, tmp_path, socket_path, cut, target)
    assert struck
    line = _one_line(ran, socket_path)
    assert target in line or line.startswith("throw-away containers of earlier runs: the connection")
    assert "internal error" not in line
    assert throw_away(engine, ran.pid) == []


@engine_needed
@pytest.mark.parametrize(("moment", "times"), [("request", 1), ("response", 1), ("piece", 1), ("piece", 300)])
def test_an_engine_that_hangs_up_as_it_sends_an_image(
    engine: docker.DockerClient, image: Image, tmp_path: Path, socket_path: Path, moment: Moment, times: int
) -> None:
    """What came until then is no image."""
    struck = []

    def cut(now: Moment, seen: str) -> None:
        if (now, seen) == (moment, "GET /images/ID/get"):
            struck.append(seen)
            if len(struck) >= times:
                raise Cut

    target = f"image:{image('small')}"
    ran = _through(engine, tmp_path, socket_path, cut, target, ("--route", "save")).ended(2)
    assert len(struck) >= times
    assert ran.stdout == ""
    last = ran.stderr.splitlines()[-1]
    assert last.startswith(f"reprocheck: {target}: ")
    assert "lost" in last
    assert "internal error" not in last


# Containers that do not run.


def _paused(container: Container) -> None:
    container.start()
    container.pause()


def _exited(container: Container) -> None:
    container.start()
    container.kill()
    container.wait()


@engine_needed
@pytest.mark.parametrize(
    ("state", "bring", "remedy"),
    [
        ("paused", _paused, "docker unpause"),
        ("exited", _exited, "docker start"),
        ("created", lambda _container: None, "docker start"),
    ],
)
def test_a_container_that_does_not_run(
    image: Image, own_bench: Bench, run_reprocheck: Run, tmp_path: Path, state: str,
    bring: Callable[[Container], None], remedy: str,
) -> None:  # fmt: skip
    container = own_bench.create(image("small"), environment={"TF_DETERMINISTIC_OPS": "1"})
    bring(container)
    target, archive = f"container:{container.name}", ("--route", "archive")
    run_reprocheck("lock", f"image:{image('small')}", "-o", tmp_path / "b").ended(0)
    locked = json.loads((tmp_path / "b").read_bytes())
    run_reprocheck("capture", f"image:{image('small')}", "-o", tmp_path / "s").ended(0)

    document = run_reprocheck("capture", target, *archive, "--format", "json").ended(0).json
    assert document["header"]["route"] == "archive endpoint"
    assert document["header"]["executed"] is False
    assert document["system"]["os"] == locked["system"]["os"]
    # Of every file by itself it would have to be asked whether it is there.
    assert {package["files"]["checked"] for package in document["os_packages"]} == {"none"}
    names, theirs = ([{**one, "files": None} for one in side["os_packages"]] for side in (document, locked))
    assert names == theirs
    assert document["variables"]["TF_DETERMINISTIC_OPS"] == "1"
    assert document["image"]["cmd"] == ["sleep", "infinity"]
    assert document["environments"] == []
    assert document["coverage"]["environments"]["state"] == "not-read"
    (gap,) = [one for one in document["gaps"] if one["what"] == "environments"]
    assert state in gap["reason"]
    assert f"{remedy} {container.name}" in gap["reason"]

    # What could be read agrees; the environments were not compared with anything.
    for sides in ((f"snapshot:{tmp_path / 's'}", target), (target, f"snapshot:{tmp_path / 's'}")):
        report = run_reprocheck("diff", *sides, *archive, "--format", "json").ended(2).json
        assert report["verdict"] == "unverified"
        assert report["level"]["blocked_by"] == ["environments"]

    words = ("verify", target, "--baseline", tmp_path / "b", *archive)
    report = run_reprocheck(*words, "--format", "json").ended(2).json
    assert report["verdict"] == "unverified"
    # What was not read is not gone.
    assert not [one for one in report["findings"] if one["subject"]["kind"] in {"python-package", "environment"}]
    assert run_reprocheck("lock", target, "-o", tmp_path / "c", *archive).refused()
    assert "environments" in run_reprocheck(*words).ended(2).stdout
    container.reload()
    assert container.status == state


@engine_needed
@pytest.mark.parametrize(
    ("state", "bring"), [("paused", _paused), ("exited", _exited), ("created", lambda _container: None)]
)
def test_a_container_that_does_not_run_is_read_from_the_storage(
    image: Image, own_bench: Bench, run_reprocheck: Run, tmp_path: Path, state: str, bring: Callable[[Container], None]
) -> None:
    """Nothing has to run in it for all of it to be known, what was done in it since it was made too."""
    if os.geteuid() != 0:
        pytest.skip("only root can read the engine's storage")
    container = own_bench.create(image("small"), environment={"TF_DETERMINISTIC_OPS": "1"})
    bring(container)
    target = f"container:{container.name}"
    run_reprocheck("lock", f"image:{image('small')}", "-o", tmp_path / "b").ended(0)
    locked = json.loads((tmp_path / "b").read_bytes())
    document = run_reprocheck("capture", target, "--format", "json").ended(0).json
    assert document["header"]["route"] == "engine storage"
    assert document["header"]["executed"] is False
    assert document["gaps"] == []
    for part in ("environments", "os_packages", "system"):
        assert document[part] == locked[part], part
    assert document["variables"]["TF_DETERMINISTIC_OPS"] == "1"
    assert document["image"]["cmd"] == ["sleep", "infinity"]
    run_reprocheck("verify", target, "--baseline", tmp_path / "b").ended(0)
    assert "nothing of the target was run" in run_reprocheck("diff", target).ended(0).stdout

    put(container, "/opt/venv/lib/python3.9/site-packages/added-1.dist-info/METADATA", "Name: added\nVersion: 1\n")
    report = run_reprocheck("diff", target, "--format", "json").json
    (added,) = [one for one in report["findings"] if one["subject"]["kind"] == "python-package"]
    assert added["subject"]["name"] == "added"
    container.reload()
    assert container.status == state


# Targets without a Python that answers.


@engine_needed
@pytest.mark.parametrize("name", ["nopython", "python27"])
@pytest.mark.parametrize("kind", ["image", "container"])
def test_no_python_and_one_too_old(
    engine: docker.DockerClient, image: Image, bench: Bench, run_reprocheck: Run, tmp_path: Path, name: str, kind: str
) -> None:
    tag = image(name)
    command = ("/bin/sleep", "infinity")
    container = bench.start(tag, command) if kind == "container" else None
    before = processes(container) if container else []
    target = f"image:{tag}" if container is None else f"container:{container.name}"
    route = ("--route", "exec" if container else "container")
    said = {"nopython": "no Python found", "python27": "too old to be read; reprocheck collects on Python 3.6"}[name]
    for words in (("lock", target, "-o", str(tmp_path / "b")), ("verify", target, "--baseline", str(BASELINE))):
        ran = run_reprocheck(*words, *route)
        assert said in ran.refused()
        assert target in ran.stderr
        assert throw_away(engine, ran.pid) == []
    assert not (tmp_path / "b").exists()
    assert (processes(container) if container else []) == before


@engine_needed
@pytest.mark.parametrize("route", ["storage", "save"])
@pytest.mark.parametrize("name", ["nopython", "python27"])
def test_no_python_and_one_too_old_read_without_it(
    image: Image, run_reprocheck: Run, tmp_path: Path, name: str, route: str
) -> None:
    """Files tell that there is none, or none that can be read; that agrees with no baseline."""
    if route == "storage" and os.geteuid() != 0:
        pytest.skip("only root can read the engine's storage")
    words = (f"image:{image(name)}", "--route", route)
    document = run_reprocheck("capture", *words, "--format", "json").ended(0).json
    assert document["header"]["executed"] is False
    assert "environments" in {gap["what"].partition("[")[0] for gap in document["gaps"]}
    assert bool(document["os_packages"]) == (name == "python27")
    report = run_reprocheck("verify", *words, "--baseline", BASELINE, "--format", "json").ended(2).json
    assert report["verdict"] == "unverified"
    assert "not locked" in run_reprocheck("lock", *words, "-o", tmp_path / "b").ended(2).stderr
    assert not (tmp_path / "b").exists()


HANG = "did not answer within 3 s"
NOISE = "printed more than 4 MiB that is no answer of the probe"
FORGED = (
    "#!/bin/sh\n"
    "printf '\\n%s begin 4\\n%s\\n%s end\\n' 00000000000000000000000000000000 e30= 00000000000000000000000000000000\n"
    'printf \'{"schema": "reprocheck.evidence/1", "environments": []}\\n\'\n'
)
FAKES = {
    "hangs": ("#!/bin/sh\nexec sleep 1000\n", HANG),
    "hangs in a child": ("#!/bin/sh\nsleep 1000\n", HANG),
    "hangs and ignores signals": ("#!/bin/sh\ntrap '' TERM INT HUP PIPE\nwhile :; do sleep 1; done\n", HANG),
    "drips": ("#!/bin/sh\nwhile :; do echo x; sleep 0.2; done\n", HANG),
    "prints 1 GB": ("#!/bin/sh\nexec head -c 1073741824 /dev/zero\n", NOISE),
    "prints for ever": ("#!/bin/sh\nexec yes\n", NOISE),
    "prints for ever in a child": ("#!/bin/sh\nyes\n", NOISE),
    "complains for ever": ("#!/bin/sh\nexec yes >&2\n", HANG),
    "forges an answer": (FORGED, "exit code 0"),
    "forges an answer and hangs": (FORGED + "sleep 1000\n", HANG),
    "echoes the request": ("#!/bin/sh\nexec cat\n", HANG),
    "ends": ("#!/bin/sh\nexit 0\n", "exit code 0: it printed nothing"),
    "fails": ("#!/bin/sh\necho out of order >&2\nexit 3\n", "exit code 3: out of order"),
    # The first process of a container is out of reach of its own signals.
    "is killed": ("#!/bin/sh\nkill -9 $$\n", "exit code (137|0)"),
    "leaves a child": ("#!/bin/sh\nsleep 1000 &\nexit 0\n", "exit code 0"),
    "leaves a child that holds the output": ("#!/bin/sh\n(sleep 1000; echo late) &\nexit 0\n", "exit code 0"),
    "writes escapes": ("#!/bin/sh\nprintf '\\033[2J\\007\\302\\233gone' >&2\nexit 1\n", "\\x1b[2J\\x07\\x9bgone"),
}


@engine_needed
@pytest.mark.parametrize("name", FAKES)
def test_a_container_whose_python_is_a_fake(image: Image, own_bench: Bench, run_reprocheck: Run, name: str) -> None:
    program, said = FAKES[name]
    container = own_bench.start(image("base"))
    put(container, "/usr/local/bin/python3", program)
    before = processes(container)
    ran = run_reprocheck("capture", f"container:{container.name}", "--timeout", "3" if said == HANG else "60")
    line = ran.refused()
    assert line.startswith(f"container:{container.name}: ")
    assert said in line or re.search(said, line), line
    assert len(line) < 400
    assert not set(line) & {"\x1b", "\x07", "\x9b"}
    eventually(lambda: processes(container) == before)


@engine_needed
@pytest.mark.parametrize("name", FAKES)
def test_an_image_whose_python_is_a_fake(
    engine: docker.DockerClient, image: Image, own_bench: Bench, run_reprocheck: Run, name: str
) -> None:
    program, said = FAKES[name]
    built = own_bench.build(f"FROM {image('base')}\nCOPY python3 /usr/local/bin/python3\n", {"python3": program})
    ran = run_reprocheck("capture", f"image:{built}", *CONTAINER, "--timeout", "3" if said == HANG else "60")
    line = ran.refused()
    assert line.startswith(f"image:{built}: ")
    assert said in line or re.search(said, line), line
    assert not set(line) & {"\x1b", "\x07", "\x9b"}
    assert throw_away(engine, ran.pid) == []
    if os.geteuid() == 0:
        # To its files it is all one what the program would do.
        document = run_reprocheck("capture", f"image:{built}", "--timeout", "3", "--format", "json").ended(0).json
        assert document["header"]["executed"] is False
        assert [one["id"] for one in document["environments"]] == ["/usr"]


# Baselines.


def _altered(tmp_path: Path, change: Callable[[Any], None]) -> Path:
    document = json.loads(BASELINE.read_bytes())
    change(document)
    path = tmp_path / "altered.json"
    path.write_text(json.dumps(document))
    return path


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    raw = BASELINE.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])


def _newer(path: Path) -> None:
    path.write_bytes(BASELINE.read_bytes().replace(b"reprocheck.snapshot/1", b"reprocheck.snapshot/2"))


def _duplicate(path: Path) -> None:
    text = BASELINE.read_text()
    first = '"name": "protobuf"'
    assert first in text
    path.write_text(text.replace(first, f'{first}, "name": "protobuf"', 1))


def _nested(path: Path) -> None:
    path.write_bytes(b"[" * 100_000 + b"]" * 100_000)


def _wrong_type(path: Path) -> None:
    document = json.loads(BASELINE.read_bytes())
    document["environments"][0]["packages"][7]["version"] = 7
    path.write_text(json.dumps(document))


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


def _conflict(path: Path) -> None:
    text = BASELINE.read_text()
    half = text.index("\n", len(text) // 2) + 1
    path.write_text(f"{text[:half]}<<<<<<< HEAD\n=======\n>>>>>>> theirs\n{text[half:]}")


def _yaml(path: Path) -> None:
    path.write_text("!!python/object/apply:os.system ['true']\n")


def _surrogate(path: Path) -> None:
    path.write_text('{"schema": "reprocheck.snapshot/1", "x": "\\ud800"}')


def _report(path: Path) -> None:
    path.write_text('{"schema": "reprocheck.report/1"}')


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_empty, "is empty"),
        (_cut, "ends in the middle"),
        (_newer, "was written by a newer reprocheck"),
        (_duplicate, "the key stands twice"),
        (_nested, "nested more than"),
        (_wrong_type, "environments[0].packages[7].version: expected str"),
        (_large, "has 1024 MiB"),
        (_conflict, "merge conflict markers at line"),
        (_yaml, "is not JSON"),
        (_surrogate, "surrogate"),
        (_report, "is a report"),
        (Path.mkdir, "is a directory"),
        (lambda _path: None, "no such file"),
        (os.mkfifo, "pipe"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
@pytest.mark.parametrize("as_target", [False, True], ids=["baseline", "target"])
def test_a_baseline_that_is_unusable(
    run_reprocheck: Run, tmp_path: Path, make: Callable[[Path], None], said: str, as_target: bool
) -> None:
    path = tmp_path / "the-baseline.json"
    make(path)
    if as_target:
        line = run_reprocheck("verify", f"snapshot:{path}", "--baseline", BASELINE).refused()
    else:
        line = run_reprocheck("verify", f"snapshot:{BASELINE}", "--baseline", path).refused()
    assert line.startswith((f"{path}: ", f"snapshot:{path}: "))
    assert said in line


def test_an_unusable_baseline_is_refused_before_the_engine_is_asked(run_reprocheck: Run, tmp_path: Path) -> None:
    _empty(tmp_path / "b")
    env = {"DOCKER_HOST": "unix:///nowhere"}
    assert "is empty" in run_reprocheck("verify", "image:x", "--baseline", tmp_path / "b", env=env).refused()


# Outputs.


def _kept(path: Path, content: str) -> None:
    assert path.read_text() == content
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("command", ["capture", "lock", "verify", "diff", "probe"])
def test_an_output_that_is_a_directory(run_reprocheck: Run, tmp_path: Path, command: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    line = _unwritten(run_reprocheck(*_words(command), "-o", folder))
    assert line.startswith(f"{folder}: is a directory")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["capture", "lock", "verify", "diff", "probe"])
def test_an_output_in_no_directory(run_reprocheck: Run, tmp_path: Path, command: str) -> None:
    assert "does not exist" in _unwritten(run_reprocheck(*_words(command), "-o", tmp_path / "none" / "out"))


@pytest.mark.parametrize("command", ["capture", "lock", "verify", "diff", "probe"])
def test_an_output_that_is_full(run_reprocheck: Run, command: str) -> None:
    assert "No space left on device" in _unwritten(run_reprocheck(*_words(command), "-o", "/dev/full"))


def test_standard_output_that_is_full(run_reprocheck: Run) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = run_reprocheck("probe", stdout=full.fileno())
    assert ran.refused() == "standard output: cannot be written (No space left on device)"


def test_standard_output_that_nobody_reads(run_reprocheck: Run) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = run_reprocheck("probe", stdout=writer)
    finally:
        os.close(writer)
    assert ran.stderr == ""


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB that is full, with a file of the user's on it."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    where = tmp_path / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", where], check=True)
    try:
        (where / "old.json").write_text("the old one\n")
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


@pytest.mark.parametrize("command", ["capture", "lock", "verify", "diff"])
def test_a_disk_that_is_full_keeps_the_old_file(run_reprocheck: Run, full_disk: Path, command: str) -> None:
    old = full_disk / "old.json"
    words = (*_words(command), "--format", "json") if command in {"verify", "diff"} else _words(command)
    filling = full_disk / "filling"
    with filling.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    line = _unwritten(run_reprocheck(*words, "-o", old))
    filling.unlink()
    assert line.startswith(f"{old}: cannot be written (No space left on device)")
    _kept(old, "the old one\n")


def test_a_write_that_is_refused_keeps_the_old_file(run_reprocheck: Run, tmp_path: Path) -> None:
    old = tmp_path / "kept" / "old.json"
    old.parent.mkdir()
    old.write_text("the old one\n")
    # The first output is refused before the second is begun.
    line = run_reprocheck(*_words("verify"), "-o", tmp_path / "none" / "x", "--write", f"json={old}").refused()
    assert "does not exist" in line
    _kept(old, "the old one\n")


def test_a_temporary_directory_that_is_missing_is_not_needed(run_reprocheck: Run, tmp_path: Path) -> None:
    ran = run_reprocheck(*_words("verify"), env={"TMPDIR": str(tmp_path / "none")}).ended(0)
    assert ran.stderr == ""


def _unwritten(ran: Ran) -> str:
    """The error of a run; `lock` has warned before it writes."""
    warnings = [line for line in ran.stderr.splitlines() if line.startswith("reprocheck: warning: ")]
    assert len(warnings) == ("lock" in ran.words)
    return replace(ran, stderr=ran.stderr.removeprefix("".join(f"{line}\n" for line in warnings))).refused()


def _words(command: str) -> tuple[str, ...]:
    snapshot = f"snapshot:{BASELINE}"
    return {
        "capture": ("capture", snapshot),
        "lock": ("lock", snapshot),
        "verify": ("verify", snapshot, "--baseline", str(BASELINE)),
        "diff": ("diff", snapshot, snapshot),
        "probe": ("probe",),
    }[command]


# Usage.


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", f"snapshot:{BASELINE}"), "--baseline"),
        (("no-such-command",), "no-such-command"),
        (("capture",), "TARGET"),
        (("capture", "x", "--no-such-option"), "--no-such-option"),
        (("verify", f"snapshot:{BASELINE}", "--baseline", str(BASELINE), "--write", "pdf=x"), "pdf=x"),
        (("verify", f"snapshot:{BASELINE}", "--baseline", str(BASELINE), "--level", "x"), "--level"),
        (("verify", f"snapshot:{BASELINE}", "--baseline", str(BASELINE), "--env", "x"), "--env x"),
        (("rule", "RC999"), "RC999"),
        (("capture", "--timeout", "0", "x"), "--timeout"),
        (("capture", "python:/nowhere"), "no such file"),
        (("capture", "python:/etc/hostname"), "/etc/hostname"),
        (("capture", "evidence:/nowhere"), "no such file"),
        (("capture", "evidence:/etc/hostname"), "/etc/hostname"),
    ],
)
def test_usage(run_reprocheck: Run, words: tuple[str, ...], said: str) -> None:
    assert said in run_reprocheck(*words, env={"DOCKER_HOST": "unix:///nowhere"}).refused()


def test_evidence_that_is_cut(run_reprocheck: Run, tmp_path: Path) -> None:
    whole = run_reprocheck("capture", f"python:{sys.executable}", "--evidence", tmp_path / "e", "--format", "json")
    assert packages(whole.ended(0).json, whole.json["environments"][0]["id"])
    raw = (tmp_path / "e").read_bytes()
    (tmp_path / "cut").write_bytes(raw[: len(raw) // 2])
    assert "ends in the middle" in run_reprocheck("capture", f"evidence:{tmp_path / 'cut'}").refused()
