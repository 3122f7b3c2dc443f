"""What comes from the base image, of images that an engine has built: on it, on an older one, squashed, unpacked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.running import Bench, Ran, put
from tests.integration.test_static import unpacked
from tests.integration.wheels import wheel

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]
FROM_BASE = {"package-upgraded alpha": True, "package-upgraded beta": False}


@pytest.fixture(scope="module")
def built(image: Image, bench: Bench) -> dict[str, str]:
    """A base, one that was built anew, and an application on each."""
    wheels = dict([wheel("alpha", "1.0"), wheel("alpha", "2.0"), wheel("beta", "1.0"), wheel("beta", "2.0")])
    install = "pip3 install --no-index --find-links /wheels"
    made = {}
    for name, version in (("old", "1.0"), ("new", "2.0")):
        made[name] = bench.build(f"FROM {image('base')}\nCOPY *.whl /wheels/\nRUN {install} alpha=={version}\n", wheels)
        made[f"app on {name}"] = bench.build(f"FROM {made[name]}\nRUN {install} beta=={version}\nWORKDIR /{name}\n")
    return made


@pytest.fixture(scope="module")
def baseline(built: dict[str, str], run_module: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was locked of the application on the old base."""
    path = tmp_path_factory.mktemp("base") / "app.json"
    run_module("lock", f"image:{built['app on old']}", "-o", path).ended(0)
    return path


def told(report: Any) -> dict[str, bool | None]:
    return {f"{one['name']} {one['subject']['name']}": one["from_base"] for one in report["findings"]}


def test_a_base_that_moved(run_reprocheck: Run, built: dict[str, str], baseline: Path) -> None:
    words = ("verify", f"image:{built['app on new']}", "--baseline", baseline, "--fail-on", "minor")
    ran = run_reprocheck(*words, "--base", f"image:{built['new']}", "--format", "json").ended(1)
    assert told(ran.json) == {**FROM_BASE, "image-setting-changed workdir": False}
    base = ran.json["base"]
    assert base["shared"] == base["layers"]
    assert (base["findings"], base["others"], base["untold"]) == (1, 2, 0)
    (remark,) = base["remarks"]
    assert remark.endswith("are not built on the same: did the base image move between them?")
    text = " ".join(run_reprocheck(*words, "--base", f"image:{built['new']}").ended(1).stdout.split())
    assert "1 of 3 findings from it" in text
    assert "did the base image move between them?" in text
    # The one that was locked on: as it is here, the target is not built on it.
    ran = run_reprocheck(*words, "--base", f"image:{built['old']}", "--format", "json").ended(1)
    assert 0 < ran.json["base"]["shared"] < ran.json["base"]["layers"]
    assert " is not built on it as it is here: only the lowest " in ran.json["base"]["remarks"][0]
    assert told(ran.json) == dict.fromkeys(told(ran.json), False)
    # The verdict is none of the base's business.
    without = run_reprocheck(*words, "--format", "json").ended(1).json
    assert [one["fingerprint"] for one in without["findings"]] == [one["fingerprint"] for one in ran.json["findings"]]
    assert without["base"] is None


@pytest.mark.parametrize("kind", ["image", "archive", "rootfs", "evidence", "snapshot"])
def test_whatever_the_base_is_given_as(
    run_reprocheck: Run,
    engine: docker.DockerClient,
    bench: Bench,
    built: dict[str, str],
    baseline: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    if os.getuid() != 0 and kind == "rootfs":
        pytest.skip("only root can unpack an image")
    base = f"image:{built['new']}"
    if kind == "archive":
        (tmp_path / "a").write_bytes(b"".join(engine.api.get_image(built["new"])))
        base = f"archive:{tmp_path / 'a'}"
    elif kind == "rootfs":
        base = f"rootfs:{unpacked(engine, bench, built['new'], tmp_path)}"
    elif kind == "evidence":
        run_reprocheck("capture", base, "--evidence", tmp_path / "e").ended(0)
        base = f"evidence:{tmp_path / 'e'}"
    elif kind == "snapshot":
        run_reprocheck("lock", base, "-o", tmp_path / "b").ended(0)
        base = str(tmp_path / "b")
    words = ("verify", f"image:{built['app on new']}", "--baseline", baseline, "--base", base, "--fail-on", "minor")
    report = run_reprocheck(*words, "--format", "json").ended(1).json
    assert {name: from_base for name, from_base in told(report).items() if "package" in name} == FROM_BASE
    assert (report["base"]["layers"] is None) == (kind == "rootfs")


def test_a_squashed_image_and_an_unpacked_one(
    run_reprocheck: Run, engine: docker.DockerClient, own_bench: Bench, built: dict[str, str], tmp_path: Path
) -> None:
    """Their layers tell nothing; what the base holds as well tells all the same."""
    base, old = f"image:{built['new']}", f"image:{built['old']}"
    container = own_bench.create(built["app on new"])
    squashed = engine.api.import_image_from_data(b"".join(container.export()))  # type: ignore[arg-type] # bytes
    identity = str(squashed).rpartition('"status":"')[2].partition('"')[0]
    try:
        targets = [f"image:{identity}"]
        if os.getuid() == 0:
            targets.append(f"rootfs:{unpacked(engine, own_bench, built['app on new'], tmp_path)}")
        for target in targets:
            report = run_reprocheck("diff", old, target, "--base", base, "--format", "json", "--fail-on", "never").json
            packages = {name: one for name, one in told(report).items() if "package" in name}
            assert packages == {"package-upgraded alpha": True, "package-added beta": False}, target
            assert report["base"]["shared"] in {0, None}
            for package in ("alpha", "beta"):
                ran = run_reprocheck("explain", target, package, "--base", base, "--format", "json").ended(0)
                assert [one["from_base"] for one in ran.json] == [package == "alpha"], target
                assert "what it holds as well counts as from it" in ran.stderr
                assert len(ran.stderr.splitlines()) == 1
    finally:
        engine.api.remove_image(identity, force=True)


def test_what_was_changed_in_a_running_container(run_reprocheck: Run, own_bench: Bench, built: dict[str, str]) -> None:
    container = own_bench.start(built["app on new"], None, tty=True)
    site = "/usr/local/lib/python3.9/dist-packages/gamma-1.0.dist-info"
    put(container, f"{site}/METADATA", "Metadata-Version: 2.1\nName: gamma\nVersion: 1.0\n")
    words = ("diff", f"container:{container.name}", "--base", f"image:{built['new']}", "--format", "json")
    report = run_reprocheck(*words, "--fail-on", "never").ended(0).json
    assert told(report) == {"package-added gamma": False}
    assert report["base"]["remarks"] == []


def test_a_base_that_can_not_be_had(run_reprocheck: Run, built: dict[str, str], baseline: Path) -> None:
    target = f"image:{built['app on new']}"
    for words in (("verify", target, "--baseline", baseline), ("diff", target, target), ("explain", target, "alpha")):
        assert "docker pull" in run_reprocheck(*words, "--base", "image:reprocheck-test/none").refused()
    verify = ("verify", target, "--baseline", baseline, "--base", baseline)
    assert "is what is compared" in run_reprocheck(*verify, "-o", baseline).refused()
