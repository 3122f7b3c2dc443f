"""Nothing of a target's own start-up runs: files that leave a mark when Python starts leave none in a capture."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from reprocheck.capture import capture
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access
from tests.integration.copying import copied_environment
from tests.integration.running import BASELINE, Bench, Ran, inside
from tests.interpreters import python, run

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]

MARKED = "/opt/marked"
HOST = Path("/tmp")
SYSTEM = {"/tmp/MARK-system-pth", "/tmp/MARK-system-sitecustomize"}
USER = {"/tmp/MARK-user-pth", "/tmp/MARK-user-usercustomize"}
VENV = {"/tmp/MARK-venv-pth", "/tmp/MARK-venv-sitecustomize"}


@pytest.fixture(autouse=True)
def no_mark_on_this_machine() -> Iterator[None]:
    """The files name places in /tmp: what ran here by mistake would leave its mark there."""
    assert _marks(HOST) == set()
    yield
    assert _marks(HOST) == set()


def _marks(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("MARK-*")}


def _changed(container: Container) -> set[str]:
    """What the engine says was written since the container was made."""
    return {str(change["Path"]) for change in container.diff() or ()}


def _read(document: Any, environment: str) -> None:
    """The files were found, so that they could have run."""
    assert "marks.pth" in _executable(next(one for one in document["environments"] if one["id"] == environment))


def _executable(environment: Any) -> set[str]:
    return {one["path"].rpartition("/")[2] for one in environment["pth"] if one["executable"]}


# A running container.


@pytest.mark.parametrize(("user", "marks"), [("root", SYSTEM | USER), ("nobody", SYSTEM)])
def test_a_running_container(
    run_reprocheck: Run, image: Image, own_bench: Bench, user: str, marks: set[str], tmp_path: Path
) -> None:
    container = own_bench.start(image("marks"), user=user)
    target, baseline = f"container:{container.name}", tmp_path / "b"
    before = _changed(container)
    captured = run_reprocheck("capture", target, "--format", "json", "--evidence", tmp_path / "e").ended(0).json
    _read(captured, "/usr")
    _read(captured, MARKED)
    run_reprocheck("lock", target, "-o", baseline, "--force").ended(0)
    run_reprocheck("verify", target, "--baseline", baseline).ended(0)
    run_reprocheck("diff", target, "--fail-on", "never").ended(0)
    run_reprocheck("explain", target, "pip").ended(0)
    run_reprocheck("capture", f"evidence:{tmp_path / 'e'}").ended(0)
    assert _changed(container) == before

    # An ordinary start is what leaves them.
    inside(container, "python3", "-B", "-c", "pass")
    assert _changed(container) - before - {"/tmp"} == marks
    inside(container, f"{MARKED}/bin/python3", "-B", "-c", "pass")
    assert _changed(container) - before - {"/tmp"} == marks | VENV


def test_the_probe_by_hand(run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path) -> None:
    container = own_bench.start(image("marks"))
    before = _changed(container)
    program, evidence = tmp_path / "p.py", tmp_path / "e.evidence"
    run_reprocheck("probe", "-o", program).ended(0)
    client = shutil.which("docker")
    assert client, "the documented line has the docker command"
    for executable in ("python3", f"{MARKED}/bin/python3"):
        with program.open("rb") as source, evidence.open("wb") as sink:
            words = [client, "exec", "-i", str(container.name), executable, "-I", "-S", "-B", "-"]
            subprocess.run(words, stdin=source, stdout=sink, check=True, timeout=120)
        _read(run_reprocheck("capture", f"evidence:{evidence}", "--format", "json").ended(0).json, MARKED)
        assert _changed(container) == before


# A container that does not run.


@pytest.mark.parametrize("route", ["storage", "archive"])
@pytest.mark.parametrize("begun", [False, True], ids=["created", "exited"])
def test_a_container_that_does_not_run(
    run_reprocheck: Run, image: Image, own_bench: Bench, route: str, *, begun: bool
) -> None:
    if route == "storage" and os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")
    container = own_bench.create(image("marks"), ["sh", "-c", "test -e /tmp/now && python3 -B -c pass; touch /tmp/now"])
    state = "created"
    if begun:
        container.start()
        container.wait()
        state = "exited"
    before = _changed(container)
    words = ("capture", f"container:{container.name}", "--route", route, "--format", "json")
    captured = run_reprocheck(*words).ended(0).json
    assert captured["os_packages"]
    if route == "storage":
        assert captured["gaps"] == []
        _read(captured, "/usr")
        _read(captured, MARKED)
    else:
        assert "environments" in {gap["what"] for gap in captured["gaps"]}
    container.reload()
    assert container.status == state
    assert _changed(container) == before

    for _ in range(2):
        container.start()
        container.wait()
    assert _changed(container) >= SYSTEM | USER


# An image.


@pytest.mark.parametrize("route", ["storage", "container", "save"])
def test_an_image(run_reprocheck: Run, image: Image, engine: docker.DockerClient, tmp_path: Path, route: str) -> None:
    if route == "storage" and os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")
    target = f"image:{image('marks')}"
    before = engine.images.get(image("marks")).id
    words = ("capture", target, "--route", route, "--format", "json", "--evidence", tmp_path / "e")
    captured = run_reprocheck(*words).ended(0).json
    _read(captured, "/usr")
    _read(captured, MARKED)
    replayed = run_reprocheck("capture", f"evidence:{tmp_path / 'e'}", "--format", "json").ended(0).json
    assert replayed == captured
    assert engine.images.get(image("marks")).id == before


def test_the_container_that_an_image_is_read_in(
    image: Image, own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its root can't be written to, which would hide an attempt: here it can, and the engine shows what was written."""
    settings, remove = docker.APIClient.create_host_config, docker.APIClient.remove_container
    written: list[Any] = []

    def writable(client: docker.APIClient, **options: Any) -> Any:
        assert options["read_only"] is True
        return settings(client, **{**options, "read_only": False})

    def look_first(client: docker.APIClient, container: str, **options: Any) -> None:
        written.append(client.diff(container))
        remove(client, container, **options)

    with monkeypatch.context() as patched:
        patched.setattr(docker.APIClient, "create_host_config", writable)
        patched.setattr(docker.APIClient, "remove_container", look_first)
        snapshot = capture(Address(kind="image", value=image("marks")), Access(route="container"))
    assert {one.id for one in snapshot.environments} == {"/usr", MARKED}
    assert written == [None]

    ordinary = own_bench.create(image("marks"), ["python3", "-B", "-c", "pass"], cap_drop=["ALL"])
    ordinary.start()
    ordinary.wait()
    assert _changed(ordinary) - {"/tmp"} == SYSTEM | USER


# Interpreters of this machine.


@pytest.fixture
def copy(image: Image, bench: Bench, tmp_path: Path) -> Path:
    """The virtual environment of the image, whose files leave their marks beside it here."""
    environment = copied_environment(bench.start(image("marks")), MARKED, tmp_path, python(9))
    for name in ("marks.pth", "sitecustomize.py"):
        path = environment / "lib/python3.9/site-packages" / name
        path.write_text(path.read_text().replace("/tmp/MARK-", f"{tmp_path}/MARK-"))
    return environment


def test_a_virtual_environment_that_was_copied_out(run_reprocheck: Run, copy: Path, tmp_path: Path) -> None:
    files = _files(copy)
    for words, env in (
        ((f"python:{copy}",), {}),
        ((f"python:{copy / 'bin' / 'python'}",), {}),
        (("host:",), {"VIRTUAL_ENV": str(copy)}),
        (("host:", "--python", copy / "bin" / "python"), {}),
    ):
        captured = run_reprocheck("capture", *words, "--format", "json", env=env).ended(0).json
        _read(captured, str(copy))
        assert _marks(tmp_path) == set()
    run_reprocheck("lock", f"python:{copy}", "-o", tmp_path / "b").ended(0)
    run_reprocheck("verify", f"python:{copy}", "--baseline", tmp_path / "b").ended(0)
    run_reprocheck("explain", f"python:{copy}", "pip").ended(0)
    assert _marks(tmp_path) == set()
    assert _files(copy) == files

    run(copy / "bin/python", "import json; print(json.dumps(0))")
    assert _marks(tmp_path) == {"MARK-venv-pth", "MARK-venv-sitecustomize"}


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_the_user_site_of_an_interpreter(run_reprocheck: Run, tmp_path: Path) -> None:
    executable, home = python(9), tmp_path / "home"
    site = home / ".local/lib/python3.9/site-packages"
    site.mkdir(parents=True)
    for name in ("marks.pth", "usercustomize.py"):
        (site / name).write_text(f"import pathlib; pathlib.Path({str(tmp_path)!r}, 'MARK-{name}').touch()\n")
    words = ("capture", f"python:{executable}", "--format", "json")
    (environment,) = run_reprocheck(*words, env={"HOME": str(home)}).ended(0).json["environments"]
    assert "marks.pth" in _executable(environment)
    assert _marks(tmp_path) == set()

    run(executable, "import json; print(json.dumps(0))", env={"HOME": str(home)})
    assert _marks(tmp_path) == {"MARK-marks.pth", "MARK-usercustomize.py"}


def test_reading_what_was_saved_starts_no_python(run_reprocheck: Run, image: Image, tmp_path: Path) -> None:
    target = f"image:{image('marks')}"
    run_reprocheck("capture", target, "--evidence", tmp_path / "e", "-o", tmp_path / "s").ended(0)
    # No engine, and no other program that could be started.
    env = {"DOCKER_HOST": "unix:///nowhere", "PATH": os.fspath(tmp_path / "none")}
    for saved in (f"evidence:{tmp_path / 'e'}", f"snapshot:{tmp_path / 's'}"):
        run_reprocheck("verify", saved, "--baseline", tmp_path / "s", env=env).ended(0)
        run_reprocheck("diff", saved, f"snapshot:{BASELINE}", "--fail-on", "never", env=env).ended(0)
