"""One environment, read five ways."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.copying import copied_environment
from tests.integration.running import Bench, Ran
from tests.interpreters import python

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]

GOLDEN = {
    "attrs": "23.2.0",
    "certifi": "2024.2.2",
    "charset-normalizer": "3.3.2",
    "click": "8.1.7",
    "idna": "3.7",
    "pip": "20.3.4",
    "pkg-resources": "0.0.0",
    "requests": "2.31.0",
    "setuptools": "44.1.1",
    "urllib3": "1.26.18",
}
"""What `pip list` says of /opt/venv in the image `small`; the three that are not in its recipe are Debian's."""


def _environment(document: Any, identity: str = "/opt/venv") -> Any:
    return next(one for one in document["environments"] if one["id"] == identity)


def _by_hand(container: str, program: Path, evidence: Path) -> None:
    client = shutil.which("docker")
    assert client
    with program.open("rb") as source, evidence.open("wb") as sink:
        subprocess.run([client, "exec", "-i", container, "python3", "-"], stdin=source, stdout=sink, check=True)


@pytest.fixture(scope="module")
def five(
    image: Image, bench: Bench, run_module: Run, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """The snapshot by each way."""
    work = tmp_path_factory.mktemp("five")
    tag = image("small")
    container = bench.start(tag)
    copy = copied_environment(container, "/opt/venv", work, python(9))

    def captured(*words: Any) -> Any:
        return run_module("capture", *words, "--format", "json").ended(0).json

    run_module("probe", "-o", work / "p.py").ended(0)
    _by_hand(str(container.name), work / "p.py", work / "hand.evidence")
    return {
        "container": captured(f"container:{container.name}", "--evidence", work / "saved.evidence"),
        "image": captured(f"image:{tag}", "--evidence", work / "image.evidence"),
        "saved evidence": captured(f"evidence:{work / 'saved.evidence'}"),
        "saved evidence of the image": captured(f"evidence:{work / 'image.evidence'}"),
        "probe by hand": captured(f"evidence:{work / 'hand.evidence'}"),
        "venv copied out": captured(f"python:{copy}"),
        "its interpreter": captured(f"python:{copy / 'bin' / 'python'}"),
    }  # fmt: skip


WAYS = (
    "container", "image", "saved evidence", "saved evidence of the image", "probe by hand", "venv copied out",
    "its interpreter",
)  # fmt: skip


def _that(document: Any, way: str) -> Any:
    if way in {"venv copied out", "its interpreter"}:
        (only,) = document["environments"]
        return only
    return _environment(document)


@pytest.mark.parametrize("way", WAYS)
def test_packages_are_those_of_the_golden_list(five: dict[str, dict[str, Any]], way: str) -> None:
    found = _that(five[way], way)["packages"]
    assert {one["name"]: one["version"] for one in found} == GOLDEN
    assert len(found) == len(GOLDEN)


@pytest.mark.parametrize("way", WAYS[1:])
def test_packages_are_equal_in_every_field(five: dict[str, dict[str, Any]], way: str) -> None:
    found = _that(five[way], way)["packages"]
    assert found == _environment(five["container"])["packages"]
    assert all(one["files"]["record_sha256"] for one in found)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_missing(five: dict[str, dict[str, Any]], way: str) -> None:
    assert five[way]["gaps"] == []
    assert five[way]["coverage"]["environments"]["state"] == "complete"
    assert _that(five[way], way)["on_path"] is True
    assert _that(five[way], way)["kind"] == "venv"


@pytest.mark.parametrize("way", WAYS[1:5])
def test_what_the_files_say_is_equal_within_the_target(five: dict[str, dict[str, Any]], way: str) -> None:
    for part in ("environments", "os_packages", "system"):
        assert five[way][part] == five["container"][part], part
    assert {one["id"] for one in five[way]["environments"]} == {"/usr", "/opt/venv"}
    assert five[way]["os_packages"]


def test_evidence_replays_the_capture_it_was_saved_by(five: dict[str, dict[str, Any]]) -> None:
    for live, saved in (("container", "saved evidence"), ("image", "saved evidence of the image")):
        assert five[saved] == five[live]


def test_only_what_runs_on_a_machine_says_what_it_is(five: dict[str, dict[str, Any]]) -> None:
    for way in ("container", "saved evidence", "venv copied out"):
        assert five[way]["machine"]["kernel"], way
    for way in ("image", "saved evidence of the image"):
        assert five[way]["machine"] == {"cpu": None, "devices": [], "driver": None, "kernel": None}, way


def test_the_copy_has_the_version_of_its_new_interpreter(five: dict[str, dict[str, Any]]) -> None:
    copy, original = _that(five["venv copied out"], "venv copied out"), _environment(five["container"])
    assert copy["python"]["version"].split(".")[:2] == ["3", "9"]
    assert copy["python"]["abi"] == original["python"]["abi"] == "cpython-39"


def test_each_way_verifies_each_other(five: dict[str, dict[str, Any]], run_reprocheck: Run, tmp_path: Path) -> None:
    for way, document in five.items():
        (tmp_path / way).write_text(json.dumps(document))
    for before in WAYS:
        after = "container" if before == "image" else "image"
        ran = run_reprocheck(
            "verify", f"snapshot:{tmp_path / after}", "--baseline", tmp_path / before, "--level", "packages",
            "--fail-on", "minor", "--format", "json",
        )  # fmt: skip
        changed = {one["subject"]["kind"] for one in ran.json["findings"] if one["severity"] != "info"}
        # A copy runs on another patch release of Python, which is no package.
        assert changed <= ({"python"} if before in WAYS[5:] else set()), before
        assert ran.json["checked"]["python_packages_unchanged"] >= len(GOLDEN)
