"""What `doctor` says of this machine, and of one without an engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from tests.integration.running import Ran

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
