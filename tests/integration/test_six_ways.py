"""One image packed six ways: the same facts byte for byte, whichever way it is read, and those that it is known for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.running import BASELINE, Bench, Ran
from tests.integration.test_static import unpacked
from tests.packing import layout

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]

STORAGE = "storage"
CONTAINER = "throw-away container"
SAVED = "docker-save"
GZIP = "OCI gzip"
ZSTD = "OCI zstd"
ROOT = "unpacked root"
STREAM = "save stream"
CACHE = "layer cache"
WAYS = (STORAGE, CONTAINER, SAVED, GZIP, ZSTD, ROOT, STREAM, CACHE)
"""All eight; the last two: what an engine sends where nothing of the image may be run, and what is kept of that."""
BOUND = frozenset({"schema", "header", "subject", "machine", "provenance"})
"""What is bound to the way."""
SETTINGS = frozenset({"image", "variables"})
"""What an unpacked root does not have."""
GOLDEN = Path(__file__).parents[1] / "golden" / "tf29.json"
SMALL = {
    "/opt/venv": {
        "attrs": "23.2.0", "certifi": "2024.2.2", "charset-normalizer": "3.3.2", "click": "8.1.7", "idna": "3.7",
        "pip": "20.3.4", "pkg-resources": "0.0.0", "requests": "2.31.0", "setuptools": "44.1.1", "urllib3": "1.26.18",
    },
    "/usr": {"pip": "20.3.4", "setuptools": "52.0.0", "wheel": "0.34.2"},
}  # fmt: skip
"""Each environment of the image `small`, as its recipe and Debian 11 have it."""


def save(engine: docker.DockerClient, tag: str, where: Path) -> Path:
    """What ``docker save`` writes."""
    path = where / "saved.tar"
    with path.open("wb") as sink:
        for piece in engine.api.get_image(tag):
            sink.write(piece)
    return path


@pytest.fixture(scope="module")
def captured(
    image: Image, engine: docker.DockerClient, bench: Bench, run_module: Run, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Any]]:
    """The snapshots of an image by way; each is packed once."""
    made: dict[str, dict[str, Any]] = {}

    def of(name: str) -> dict[str, Any]:
        if name not in made:
            made[name] = {way: ran.ended(0).json for way, ran in _each(name)}
        return made[name]

    def _each(name: str) -> Iterator[tuple[str, Ran]]:
        if os.getuid() != 0:
            pytest.skip("only root can read the engine's storage")
        tag, work = image(name), tmp_path_factory.mktemp(name)

        def capture(*words: str) -> Ran:
            return run_module("capture", *words, "--format", "json")

        for way, route in ((STORAGE, "storage"), (CONTAINER, "container"), (STREAM, "save"), (CACHE, "cache")):
            yield way, capture(f"image:{tag}", "--route", route)
        saved = save(engine, tag, work)
        yield SAVED, capture(f"archive:{saved}")
        for way, compression in ((GZIP, "gzip"), (ZSTD, "zstd")):
            packed = layout(saved, work / compression, compression)
            yield way, capture(f"oci:{packed}")
            _removed(packed)
        saved.unlink()
        root = unpacked(engine, bench, tag, work)
        yield ROOT, capture(f"rootfs:{root}")
        _removed(root)

    return of


def _removed(folder: Path) -> None:
    """Several gigabytes; they are not kept until the end."""
    shutil.rmtree(folder)


def facts(document: dict[str, Any], *, settings: bool = True) -> str:
    """All that is not bound to the way, as text."""
    told = {part: value for part, value in document.items() if part not in BOUND}
    if not settings:
        # Without PATH it is not known which environment is on it, unless it is the system's.
        told["environments"] = [{**one, "on_path": None} for one in told["environments"]]
        told["coverage"] = {name: value for name, value in told["coverage"].items() if name not in SETTINGS}
        told = {part: value for part, value in told.items() if part not in SETTINGS}
    return json.dumps(told, indent=1)


def names(document: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Names and versions of the distributions of each environment."""
    return {
        one["id"]: {package["name"]: package["version"] for package in one["packages"] if package["active"]}
        for one in document["environments"]
    }


IMAGES = ["small", pytest.param("tf29-protobuf", marks=pytest.mark.tensorflow)]


@pytest.mark.parametrize("name", IMAGES)
def test_every_way_tells_the_same(captured: Callable[[str], dict[str, Any]], name: str) -> None:
    ways = captured(name)
    assert tuple(sorted(ways)) == tuple(sorted(WAYS))
    for way in WAYS:
        settings = way != ROOT
        mine, first = (facts(document, settings=settings).splitlines() for document in (ways[way], ways[STORAGE]))
        assert mine == first, way
        assert ways[way]["header"]["executed"] is (way == CONTAINER), way
        assert ways[way]["gaps"] == [], way


@pytest.mark.parametrize("name", IMAGES)
def test_every_way_with_layers_tells_who_brought_what(captured: Callable[[str], dict[str, Any]], name: str) -> None:
    ways = captured(name)
    first = ways[STORAGE]["provenance"]
    assert first["authors"]
    layers = [(one["diff_id"], one["instruction"]) for one in first["layers"]]
    for way in (SAVED, GZIP, ZSTD, STREAM, CACHE):
        provenance = ways[way]["provenance"]
        for part in ("authors", "rewritten", "removed"):
            assert provenance[part] == first[part], (way, part)
        assert [(one["diff_id"], one["instruction"]) for one in provenance["layers"]] == layers, way
        assert provenance["image_id"] == first["image_id"], way


@pytest.mark.parametrize("way", WAYS)
def test_the_small_image_is_what_it_is_known_for(captured: Callable[[str], dict[str, Any]], way: str) -> None:
    document = captured("small")[way]
    assert names(document) == SMALL
    assert document["system"]["os"]["version_id"] == "11"
    assert {(one["manager"], one["name"]) for one in document["os_packages"]} >= {("dpkg", "libc6"), ("dpkg", "tar")}


def golden() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(GOLDEN.read_bytes())
    return told


def test_the_golden_is_the_baseline_in_short() -> None:
    baseline = json.loads(BASELINE.read_bytes())
    assert golden()["python"] == names(baseline)["/usr"]
    assert golden()["os_packages"] == sorted(one["name"] for one in baseline["os_packages"])
    assert len(golden()["python"]) == 141


@pytest.mark.tensorflow
@pytest.mark.parametrize("way", WAYS)
def test_the_image_with_the_upgrade_is_its_base_but_for_that(
    captured: Callable[[str], dict[str, Any]], way: str
) -> None:
    document = captured("tf29-protobuf")[way]
    assert names(document) == {"/usr": {**golden()["python"], "protobuf": "4.21.1"}}
    assert [one["name"] for one in document["os_packages"]] == golden()["os_packages"]


@pytest.mark.tensorflow
@pytest.mark.parametrize("route", ["storage", "container"])
def test_the_base_is_the_golden(image: Image, run_reprocheck: Run, route: str) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")
    words = ("capture", f"image:{image('tf29')}", "--route", route, "--format", "json")
    document = run_reprocheck(*words).ended(0).json
    assert names(document) == {"/usr": golden()["python"]}
    assert [one["name"] for one in document["os_packages"]] == golden()["os_packages"]
