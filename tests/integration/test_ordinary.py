"""An ordinary user of the engine: in its group, and closed out of its storage."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks.measure import BenchmarkError
from benchmarks.ordinary import Ordinary, ordinary_user

pytestmark = pytest.mark.engine

Image = Callable[[str], str]


@pytest.fixture(scope="module")
def user() -> Iterator[Ordinary]:
    """Somebody who is nobody else."""
    try:
        with ordinary_user() as ordinary:
            yield ordinary
    except BenchmarkError as error:
        pytest.skip(str(error))


def run(user: Ordinary, *words: str) -> subprocess.CompletedProcess[bytes]:
    who = user.user
    return subprocess.run(
        [user.python, "-m", "reprocheck", *words],
        capture_output=True,
        check=False,
        cwd=who.home,
        env={**os.environ, "HOME": str(who.home), "XDG_CACHE_HOME": "", "COLUMNS": "100", **user.variables},
        user=who.uid,
        group=who.gid,
        extra_groups=who.groups,
    )


def captured(user: Ordinary, *words: str) -> dict[str, Any]:
    ran = run(user, "capture", *words, "--format", "json")
    assert ran.returncode == 0, ran.stderr
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


def facts(document: dict[str, Any]) -> dict[str, Any]:
    return {part: value for part, value in document.items() if part not in {"header", "provenance"}}


def test_an_image_is_run_until_it_has_been_read_and_never_again(user: Ordinary, image: Image) -> None:
    """Three runs of one user: in a container, by the stream, and from what was kept of that."""
    target = f"image:{image('small')}"
    refused = run(user, "capture", target, "--route", "cache")
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert b"can't be read from the layer cache: " in refused.stderr
    documents = [captured(user, target, *more) for more in ((), ("--no-exec",), (), ("--no-exec",))]
    routes = [document["header"]["route"] for document in documents]
    assert routes == ["throw-away container", "save stream", "layer cache", "layer cache"]
    assert [document["header"]["executed"] for document in documents] == [True, False, False, False]
    assert all(facts(document) == facts(documents[0]) for document in documents)
    assert documents[2]["provenance"] == documents[1]["provenance"]
    assert documents[2]["provenance"]["authors"]
    # What it was made from has no other layers.
    assert captured(user, f"image:{image('base')}")["header"]["route"] == "layer cache"
    (database,) = (user.user.home / ".cache" / "reprocheck").glob("layers-*.sqlite")
    assert database.stat().st_uid == user.user.uid
    told = " ".join(run(user, "doctor").stdout.decode().split())
    assert "1. storage: /var/lib/docker/overlay2 can't be read (Permission denied)" in told
    assert "layers are in the cache" in told


def test_how_much_will_be_read_is_said_before_it_begins(user: Ordinary, image: Image) -> None:
    target = f"image:{image('nopython')}"
    ran = run(user, "capture", target, "--no-exec", "--format", "json")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.decode() == f"reprocheck: {target}: the engine sends 2 MB, all of which is read\n"
    assert json.loads(ran.stdout)["header"]["route"] == "save stream"
