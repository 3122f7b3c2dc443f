"""What tests against a real container engine stand on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
from hypothesis import settings

from reprocheck.cli.main import main
from tests.images.build import BuildError, ensure
from tests.integration.running import Bench, Ran, run

pytest_plugins = ("tests.unskipped",)

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The engine that answers; the test is skipped where there is none (`scripts/engine` makes one answer)."""
    try:
        client = docker.from_env(timeout=120)
    except docker.errors.DockerException as error:
        pytest.skip(f"no container engine answers ({error})")
    with closing(client):
        try:
            client.ping()
        except Exception as error:  # noqa: BLE001 - whatever it is, there is nothing to test against
            pytest.skip(f"no container engine answers ({error})")
        yield client


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient) -> Callable[[str], str]:  # noqa: ARG001 - no image without an engine
    """Tag of a test image, built if it does not stand."""

    def standing(name: str) -> str:
        try:
            return ensure(name)
        except BuildError as error:
            pytest.skip(f"the image {name} can't be built ({error})")

    return standing


@pytest.fixture(scope="session")
def bench(engine: docker.DockerClient) -> Iterator[Bench]:
    """Containers and images for the whole session; removed at its end, whatever happened."""
    with closing(Bench(engine)) as made:
        yield made


@pytest.fixture
def own_bench(engine: docker.DockerClient) -> Iterator[Bench]:
    """Containers and images for one test."""
    with closing(Bench(engine)) as made:
        yield made


@pytest.fixture
def run_reprocheck(tmp_path: Path) -> Callable[..., Ran]:
    """Run the command line in a process of its own; no temporary file may be left."""
    return _runner(tmp_path)


@pytest.fixture(scope="module")
def run_module(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ran]:
    """The same for fixtures of a module."""
    return _runner(tmp_path_factory.mktemp("runs"))


def _runner(folder: Path) -> Callable[..., Ran]:
    scratch = folder / "scratch"
    scratch.mkdir()

    def runs(*words: str | os.PathLike[str], **options: Any) -> Ran:
        ran = run(sys.executable, words, scratch=scratch, **options)
        assert not list(scratch.iterdir()), "a temporary file was left behind"
        return ran

    return runs


@pytest.fixture
def command(
    tmp_path_factory: pytest.TempPathFactory, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Ran]]:
    """Run the command line in this process, with a cache of its own and without an engine.

    A start of its own for each of many small cases would take most of the time.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def runs(*words: str | Path) -> Ran:
        said = tuple(os.fspath(word) for word in words)
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(said)
        out, err = capfdbinary.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Ran(words=said, code=int(code), stdout=out.decode(), stderr=err.decode(), pid=os.getpid())

    yield runs
    for number, handler in before.items():
        signal.signal(number, handler)
