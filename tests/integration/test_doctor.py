"""What `doctor` says of this machine, of one without an engine, and of how containers are run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from tests.integration.running import Bench, Ran

Run = Callable[..., Ran]


@pytest.mark.engine
def test_the_order_of_the_routes_and_why(engine: docker.DockerClient, run_reprocheck: Run) -> None:
    told = run_reprocheck("doctor").ended(0)
    assert told.stderr == ""
    lines = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert f"engine {engine.info()['ServerVersion']} at the default socket" in lines
    readable = os.access(Path(engine.info()["DockerRootDir"]) / "overlay2", os.R_OK)
    storage = next(line for line in lines if line.startswith("image:"))
    assert ("can be read here" in storage) == readable
    assert "the cache is empty, --no-exec fills it" in " ".join(lines)
    assert [line.split(":")[0] for line in lines if line[0].isdigit()] == [
        "2. cache", "3. container", "4. save", "2. storage", "3. archive",
    ]  # fmt: skip


def test_without_an_engine_what_needs_none_is_told(run_reprocheck: Run, tmp_path: Path) -> None:
    told = run_reprocheck("doctor", "--engine", f"unix://{tmp_path}/nothing.sock").ended(0).stdout
    assert "no container engine answers" in told
    assert "image:" not in told
    assert "gzip is unpacked by" in told
    assert str(tmp_path / "cache" / "reprocheck") in told


def test_a_cache_that_is_not_used(run_reprocheck: Run, tmp_path: Path) -> None:
    place = tmp_path / "cache" / "reprocheck"
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(tmp_path)
    told = run_reprocheck("doctor", "--engine", f"unix://{tmp_path}/nothing.sock").ended(0).stdout
    assert f"{place} is a symbolic link: layers are read anew each time" in " ".join(told.split())


def test_it_takes_no_options_that_tell_it_nothing(run_reprocheck: Run) -> None:
    """It reads no target, so how one would be read is no question."""
    assert "No such option" in run_reprocheck("doctor", "--route", "save").ended(2).stderr


# How a target is run.

AS_A_SERVER = ("sh", "-c", "cp /bin/sleep /tmp/sshd && exec /tmp/sshd infinity")
"""A process of this name is all that is to be seen of an SSH server from outside of its arguments."""


def remarks(told: str) -> list[tuple[str, str]]:
    """Severity and code of each, in order."""
    begun = re.findall(r"^(breaking|major|minor|info) .*(?:\n {10}.*)*?(RC\d+)$", told, re.MULTILINE)
    return [(severity, code) for severity, code in begun]


@pytest.mark.engine
def test_a_container_that_is_run_carelessly(bench: Bench, run_reprocheck: Run) -> None:
    socket = {"/var/run/docker.sock": {"bind": "/var/run/docker.sock", "mode": "ro"}}
    ports = {"22/tcp": ("127.0.0.1", None)}
    options = {"network_mode": "bridge", "ports": ports, "volumes": socket}
    container = bench.start("reprocheck-test/small", AS_A_SERVER, **options)
    told = run_reprocheck("doctor", f"container:{container.name}").ended(0).stdout
    assert remarks(told) == [
        ("major", "RC957"), ("minor", "RC956"), ("minor", "RC954"), ("minor", "RC952"), ("minor", "RC951"),
    ]  # fmt: skip
    assert "what root can: the engine's socket is mounted" in " ".join(told.split())
    assert "sshd is run, port 22 is published (127.0.0.1:" in " ".join(told.split())


@pytest.mark.engine
def test_a_container_that_was_never_started(bench: Bench, run_reprocheck: Run) -> None:
    container = bench.create("reprocheck-test/small", privileged=True, volumes=["/cache"], mem_limit="256m")
    told = run_reprocheck("doctor", f"container:{container.name}").ended(0).stdout
    assert remarks(told) == [("major", "RC957"), ("minor", "RC956"), ("minor", "RC951")]
    assert "(volumes without a name: /cache)" in " ".join(told.split())


@pytest.mark.engine
def test_a_container_that_is_run_carefully(bench: Bench, run_reprocheck: Run, tmp_path: Path) -> None:
    results = {str(tmp_path): {"bind": "/results", "mode": "rw"}}
    container = bench.start("reprocheck-test/small", volumes=results, mem_limit="256m", user="1000:1000")
    told = run_reprocheck("doctor", f"container:{container.name}").ended(0).stdout
    assert "no remarks" in told
    assert remarks(told) == []
    assert str(tmp_path) not in run_reprocheck("capture", f"container:{container.name}", "-o", "-").ended(0).stdout


@pytest.mark.engine
def test_a_build_for_gpus_without_one(bench: Bench, run_reprocheck: Run) -> None:
    container = bench.start("reprocheck-test/tf29")
    told = run_reprocheck("doctor", f"container:{container.name}").ended(0).stdout
    assert ("major", "RC955") in remarks(told)
    assert "no GPU was passed in, and tensorflow 2.9.0 is built for GPUs" in told


@pytest.mark.engine
def test_an_image_that_opens_its_jupyter(bench: Bench, run_reprocheck: Run) -> None:
    command = 'CMD ["sh", "-c", "jupyter lab --NotebookApp.token=\'\' --allow-root"]'
    image = bench.build(f"FROM reprocheck-test/small\n{command}\n")
    told = run_reprocheck("doctor", f"image:{image}").ended(0).stdout
    assert remarks(told) == [("major", "RC953"), ("minor", "RC951")]
    assert "memory, GPUs, data, privileges: they are a container's" in told


def test_what_is_not_run_has_no_practice(run_reprocheck: Run) -> None:
    assert run_reprocheck("doctor", "host:").refused().startswith("host:: nobody says how it is run")
