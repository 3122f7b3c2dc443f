"""Images that are read without running a line of them, from the engine's storage and from an unpacked root."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.running import Bench, Ran, throw_away
from tests.integration.wheels import wheel

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]

FACTS = ("accelerator", "environments", "image", "os_packages", "smoke", "system", "variables", "coverage", "gaps")
"""Everything but ``header``, ``subject``, ``machine`` and ``provenance``."""
OF_FILES = ("accelerator", "environments", "os_packages", "system", "gaps")
"""What a root file system tells that comes without its settings."""


def unpacked(engine: docker.DockerClient, bench: Bench, image: str, where: Path) -> Path:
    """An image's root file system as a directory."""
    container = bench.create(image)
    archive = where / "root.tar"
    with archive.open("wb") as sink:
        for piece in engine.api.export(str(container.id)):
            sink.write(piece)
    root = where / "root"
    with tarfile.open(archive) as packed:
        packed.extractall(root, filter="fully_trusted")
    archive.unlink()
    return root


@pytest.mark.parametrize("name", ["small", "many", "nopython", "python27", "marks", "escapes"])
def test_storage_and_container_tell_the_same(image: Image, run_reprocheck: Run, name: str) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")
    tag = image(name)
    read = {
        route: run_reprocheck("capture", f"image:{tag}", "--route", route, "--format", "json")
        for route in ("storage", "container")
    }
    static = read["storage"].ended(0).json
    assert static["header"]["executed"] is False
    if name in {"nopython", "python27"}:
        # Nothing answers there: this route alone reads what else is in the image.
        read["container"].refused()
        assert static["gaps"]
        return
    run = read["container"].ended(0).json
    assert [part for part in FACTS if static[part] != run[part]] == []
    assert static["environments"]


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["tf29", "tf29-protobuf", "tf29-team"])
def test_the_tensorflow_images_by_each_route(image: Image, run_reprocheck: Run, name: str) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")
    tag = image(name)
    static, run = (
        run_reprocheck("capture", f"image:{tag}", "--route", route, "--format", "json").ended(0).json
        for route in ("storage", "container")
    )
    assert [part for part in FACTS if static[part] != run[part]] == []
    assert len(static["environments"][0]["packages"]) >= 141


def test_an_unpacked_root_tells_the_same(
    image: Image, engine: docker.DockerClient, bench: Bench, run_reprocheck: Run, tmp_path: Path
) -> None:
    tag = image("small")
    root = unpacked(engine, bench, tag, tmp_path)
    static = run_reprocheck("capture", f"rootfs:{root}", "--format", "json").ended(0).json
    run = run_reprocheck("capture", f"image:{tag}", "--route", "container", "--format", "json").ended(0).json
    run["environments"] = [{**one, "on_path": one["id"] == "/usr"} for one in run["environments"]]
    assert [part for part in OF_FILES if static[part] != run[part]] == []
    assert static["coverage"]["image"]["state"] == static["coverage"]["variables"]["state"] == "not-applicable"


TRAP = "#!/bin/sh\n: > /tmp/reprocheck-trap\n: > /reprocheck-trap\n"


def test_traps_are_not_sprung(image: Image, bench: Bench, engine: docker.DockerClient, run_reprocheck: Run) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")
    names = ("python", "python3", "python3.9", "pip", "pip3", "sh", "bash", "nvidia-smi")
    tag = bench.build(
        f"FROM {image('base')}\n" + "".join(f"COPY trap /usr/bin/{name}\n" for name in names), {"trap": TRAP}
    )
    marks = (Path("/tmp/reprocheck-trap"), Path("/reprocheck-trap"))
    assert not any(mark.exists() for mark in marks)
    for words in (("--no-exec",), ("--route", "save"), ("--route", "cache")):
        ran = run_reprocheck("capture", f"image:{tag}", *words, "--format", "json")
        static = ran.ended(0).json
        assert static["header"]["executed"] is False
        assert static["os_packages"]
        assert any(gap["what"] == "environments" for gap in static["gaps"]), "its Pythons are scripts"
        assert not any(mark.exists() for mark in marks)
        assert throw_away(engine, ran.pid) == []


@pytest.fixture(scope="module")
def history(image: Image, bench: Bench) -> dict[str, str]:
    """An image of eight steps over the base, and each step's image."""
    wheels = dict(
        [
            wheel("alpha", "1.0"), wheel("alpha", "2.0"), wheel("beta", "1.0"), wheel("beta", "1.5"),
            wheel("gamma", "3.0"), wheel("delta", "1.0", ["beta>=1.5"]),
        ]
    )  # fmt: skip
    install = "pip3 install --no-index --find-links /wheels"
    steps = (
        "COPY *.whl /wheels/",
        f"RUN {install} alpha==1.0 beta==1.5 gamma==3.0",
        f"RUN {install} alpha==2.0",  # upgrade
        f"RUN {install} beta==1.0",  # downgrade
        "RUN pip3 uninstall --yes gamma",  # uninstall
        f"RUN {install} --force-reinstall --no-deps alpha==2.0",  # the same again
        f"RUN {install} gamma==3.0",  # and back
        f"RUN {install} delta==1.0",  # drags beta along
    )
    made = {}
    for number in range(1, len(steps) + 1):
        made[str(number)] = bench.build(f"FROM {image('base')}\n" + "\n".join(steps[:number]) + "\n", wheels)
    return made


def authors(document: Any) -> dict[str, str]:
    """The instruction that brought each package, as the snapshot's provenance tells."""
    layers = document["provenance"]["layers"]
    return {
        name: (layers[index]["instruction"] or "").partition("/wheels ")[2] or layers[index]["instruction"]
        for name, index in document["provenance"]["authors"]["/usr"].items()
        if name in {"alpha", "beta", "gamma", "delta"}
    }


def test_eight_layers_are_attributed_right_at_each_step(history: dict[str, str], run_reprocheck: Run) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")
    first = "alpha==1.0 beta==1.5 gamma==3.0"
    expected = {
        "2": {"alpha": first, "beta": first, "gamma": first},
        "3": {"alpha": "alpha==2.0", "beta": first, "gamma": first},
        "4": {"alpha": "alpha==2.0", "beta": "beta==1.0", "gamma": first},
        "5": {"alpha": "alpha==2.0", "beta": "beta==1.0"},
        "6": {"alpha": "alpha==2.0", "beta": "beta==1.0"},
        "7": {"alpha": "alpha==2.0", "beta": "beta==1.0", "gamma": "gamma==3.0"},
        "8": {"alpha": "alpha==2.0", "beta": "delta==1.0", "gamma": "gamma==3.0", "delta": "delta==1.0"},
    }
    for step, wanted in expected.items():
        static = run_reprocheck("capture", f"image:{history[step]}", "--format", "json").ended(0).json
        assert authors(static) == wanted, step
        provenance = static["provenance"]
        below = len(provenance["layers"]) - int(step) - 1  # where the layers of the base end
        gone = {"gamma": below + 5} if step in {"5", "6"} else {}
        assert provenance["removed"].get("/usr", {}) == gone, step
        again = below + 6 if int(step) >= 6 else None
        assert provenance["rewritten"].get("/usr", {}).get("alpha") == again, step
