"""Targets that are put together in an odd way, and are targets all the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.running import Bench, Ran, eventually, inside

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]


def on_path(document: Any) -> list[str]:
    return [one["id"] for one in document["environments"] if one["on_path"]]


def test_a_user_without_an_entry_in_passwd(run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path) -> None:
    """Its home directory is ``/``."""
    built = own_bench.build(f"FROM {image('base')}\nUSER 65532\n")
    container = own_bench.start(built)
    locked = []
    for words in ((f"image:{built}", "--route", "container"), (f"image:{built}",), (f"container:{container.name}",)):
        run_reprocheck("lock", *words, "-o", tmp_path / "b").ended(0)
        run_reprocheck("verify", *words, "--baseline", tmp_path / "b").ended(0)
        locked.append(json.loads((tmp_path / "b").read_bytes())["environments"])
    assert locked[0] == locked[1] == locked[2]


def test_a_wrapper_script_on_the_path(run_reprocheck: Run, image: Image, own_bench: Bench) -> None:
    """As the shims of pyenv are: what the name starts stands further down, or nowhere, on PATH."""
    built = own_bench.build(
        f"FROM {image('base')}\nRUN python3 -m venv --without-pip /opt/wrapped\n"
        "COPY python3 /opt/shims/python3\nENV PATH=/opt/shims:/usr/bin:/bin\n",
        {"python3": '#!/bin/sh\nexec /opt/wrapped/bin/python3 "$@"\n'},
    )
    container = own_bench.start(built)
    assert inside(container, "python3", "-c", "import sys; print(sys.prefix)") == "/opt/wrapped\n"
    for words in ((f"image:{built}", "--route", "container"), (f"container:{container.name}",)):
        document = run_reprocheck("capture", *words, "--format", "json").ended(0).json
        assert on_path(document) == ["/opt/wrapped"], words
    if os.getuid() == 0:
        # Nobody knows what a script would start without starting it: none is said to be on PATH, and none is missed.
        document = run_reprocheck("capture", f"image:{built}", "--route", "storage", "--format", "json").ended(0).json
        assert on_path(document) == []
        assert {one["id"] for one in document["environments"]} == {"/usr", "/opt/wrapped"}


def test_a_container_that_is_restarted_again_and_again(run_reprocheck: Run, image: Image, own_bench: Bench) -> None:
    """What is read of it by exec ends with it."""
    restarts = {"Name": "always"}
    container = own_bench.start(image("base"), ["sh", "-c", "sleep 2; exit 1"], restart_policy=restarts)

    def runs_again() -> bool:
        container.reload()
        return bool(container.status == "running" and container.attrs["RestartCount"])

    eventually(runs_again)
    words = ("capture", f"container:{container.name}", "--format", "json")
    document = run_reprocheck(*words, "--route", "archive").ended(0).json
    assert document["header"]["route"] == "archive endpoint"
    assert document["os_packages"]
    (gap,) = (gap for gap in document["gaps"] if gap["what"] == "environments")
    assert gap["reason"].startswith("the container is restarting")
    if os.getuid() == 0:
        eventually(runs_again)
        document = run_reprocheck(*words).ended(0).json
        assert document["header"]["route"] == "engine storage"
        assert document["gaps"] == []
        assert on_path(document) == ["/usr"]


def test_a_package_database_that_was_removed(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path
) -> None:
    container = own_bench.start(image("base"))
    target = f"container:{container.name}"
    run_reprocheck("lock", target, "-o", tmp_path / "b").ended(0)
    inside(container, "rm", "-rf", "/var/lib/dpkg")
    report = run_reprocheck("verify", target, "--baseline", tmp_path / "b", "--format", "json").ended(2).json
    assert [gap["what"] for gap in report["gaps"]] == ["os_packages"]
    # What was not read is not gone.
    assert report["findings"] == []
