"""The two stories of the project, from lock to explain, on a real engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.images.build import BUILD_SECONDS, RECIPES
from tests.integration.running import Bench, Ran, inside, packages, put
from tests.integration.wheels import wheel

pytestmark = pytest.mark.engine
tensorflow = pytest.mark.tensorflow

Run = Callable[..., Ran]
Image = Callable[[str], str]

COMMITTED = "baselines/tensorflow-2.9.0-py39.json"

ROUTE = ("engine storage", False) if os.getuid() == 0 else ("throw-away container", True)
"""How an image is read, and whether anything of it is run."""


@pytest.fixture(scope="module")
def locked(run_module: Run, image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline of the image that stands here: only its layers are below those of the images made from it."""
    baseline = tmp_path_factory.mktemp("locked") / "tensorflow.json"
    run_module("lock", f"image:{image('tf29')}", "-o", baseline).ended(0)
    return baseline


def _found(report: Any, rule: str, name: str) -> Any:
    (finding,) = [one for one in report["findings"] if one["rule"] == rule and one["subject"]["name"] == name]
    return finding


def _content(path: Path) -> Any:
    """A snapshot without the two parts that are bound to a capture."""
    document = json.loads(path.read_bytes())
    del document["header"], document["provenance"]
    return document


@tensorflow
def test_lock_then_verify(run_reprocheck: Run, image: Image, tmp_path: Path) -> None:
    tag = image("tf29").removesuffix(":latest")
    baseline = tmp_path / "baseline.json"
    locked = run_reprocheck("lock", f"image:{tag}", "-o", baseline, "--note", "as trained").ended(0)
    assert locked.stdout == ""
    assert f"warning: {tag} is a tag, and a tag can move" in locked.stderr
    document = json.loads(baseline.read_bytes())
    assert document["schema"] == "reprocheck.snapshot/1"
    assert document["header"]["note"] == "as trained"
    assert (document["header"]["route"], document["header"]["executed"]) == ROUTE
    assert document["gaps"] == []
    assert len(packages(document, "/usr")) == 141
    assert len(document["os_packages"]) == 121

    text = run_reprocheck("verify", f"image:{tag}", "--baseline", baseline).ended(0)
    assert text.stderr == ""
    assert text.stdout.startswith("verified  ")
    assert "141 Python packages" in text.stdout

    report = run_reprocheck("verify", f"image:{tag}", "--baseline", baseline, "--format", "json").ended(0).json
    assert report["schema"] == "reprocheck.report/1"
    assert report["verdict"] == "verified"
    assert report["findings"] == []
    assert report["gaps"] == []
    assert report["level"] == {"asked": "stack", "reached": "stack", "blocked_by": []}
    assert report["pairs"] == [{"before": "/usr", "after": "/usr", "rule": "on PATH"}]


@tensorflow
def test_the_committed_baseline_verifies_the_image(run_reprocheck: Run, image: Image) -> None:
    ran = run_reprocheck("verify", f"image:{image('tf29')}", "--baseline", COMMITTED, "--format", "json").ended(0)
    assert ran.json["verdict"] == "verified"
    # Python's packages are pinned; the distribution's follow its security updates.
    assert {one["subject"]["kind"] for one in ran.json["findings"]} <= {"os-package"}
    assert ran.json["checked"]["python_packages_unchanged"] == 141


@tensorflow
def test_locking_again_changes_nothing_but_the_header(run_reprocheck: Run, image: Image, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_reprocheck("lock", f"image:{image('tf29')}", "-o", tmp_path / name).ended(0)
    one, two = (json.loads((tmp_path / name).read_bytes()) for name in ("one", "two"))
    for document in (one, two):
        del document["header"]["captured_at"]
    assert one == two
    # As bytes too: what is in version control shows no other difference.
    first, second = ((tmp_path / name).read_text().splitlines() for name in ("one", "two"))
    assert [
        line for line, other in zip(first, second, strict=True) if line != other and "captured_at" not in line
    ] == []


@pytest.mark.parametrize("name", ["small", pytest.param("tf29", marks=tensorflow)])
def test_a_rebuild_with_the_same_content_changes_nothing_but_header_and_provenance(
    run_reprocheck: Run, image: Image, engine: docker.DockerClient, own_bench: Bench, tmp_path: Path, name: str
) -> None:
    tag = f"reprocheck-test/rebuilt-{own_bench.mark[:12]}:latest"
    original = engine.images.get(image(name))
    recipe = RECIPES / name
    files = {path.name: path.read_bytes() for path in recipe.iterdir() if path.name != "Dockerfile"}
    try:
        assert original.tag(tag)
        run_reprocheck("lock", f"image:{tag}", "-o", tmp_path / "before").ended(0)
        rebuilt = own_bench.build(
            recipe.joinpath("Dockerfile").read_text(), files,
            labels=original.labels, tag=tag, nocache=True, network_mode="host", timeout=BUILD_SECONDS,
        )  # fmt: skip
        assert rebuilt == tag
        run_reprocheck("lock", f"image:{tag}", "-o", tmp_path / "after").ended(0)
        verified = run_reprocheck(
            "verify", f"image:{tag}", "--baseline", tmp_path / "before", "--fail-on", "info", "--format", "json"
        )
    finally:
        own_bench.forget(tag)
    one, two = (json.loads((tmp_path / name).read_bytes()) for name in ("before", "after"))
    assert one["provenance"]["image_id"] == original.id
    assert two["provenance"]["image_id"] != original.id
    layers = [{layer["diff_id"] for layer in document["provenance"]["layers"]} for document in (one, two)]
    assert layers[0] != layers[1]
    assert _content(tmp_path / "before") == _content(tmp_path / "after")
    assert verified.ended(0).json["findings"] == []


@tensorflow
def test_protobuf_as_json(run_reprocheck: Run, image: Image, locked: Path) -> None:
    tag = image("tf29-protobuf")
    ran = run_reprocheck("verify", f"image:{tag}", "--baseline", locked, "--format", "json").ended(1)
    assert ran.stderr == ""
    report = ran.json
    assert report["verdict"] == "drift"
    assert report["summary"] == {"breaking": 1, "major": 2, "minor": 0, "info": 0, "waived": 0, "gaps": 0}
    assert report["gaps"] == []
    assert {(one["rule"], one["subject"]["name"]) for one in report["findings"]} == {
        ("RC101", "protobuf"),
        ("RC201", "protobuf"),
        ("RC203", "protobuf"),
    }
    assert report["level"]["reached"] == "framework"
    assert set(report["level"]["blocked_by"]) == {one["fingerprint"] for one in report["findings"]}
    assert report["baseline"]["name"] == str(locked)
    assert report["target"]["target"] == f"image:{tag}"
    assert (report["target"]["route"], report["target"]["executed"]) == ROUTE

    instruction = "RUN pip3 install protobuf==4.21.1"
    upgraded = _found(report, "RC101", "protobuf")
    assert upgraded["name"] == "package-upgraded"
    assert upgraded["severity"] == "major"
    assert upgraded["subject"] == {"kind": "python-package", "name": "protobuf", "environment": "/usr"}
    assert (upgraded["before"], upgraded["after"]) == ("3.19.6", "4.21.1")
    assert upgraded["required_by"] == ["tensorboard", "tensorflow"]
    assert upgraded["suffers"] == ["tensorboard"]
    assert upgraded["pulled_by"] == []
    assert upgraded["paths"] == [["tensorflow", "protobuf"], ["tensorflow", "tensorboard", "protobuf"]]
    assert upgraded["requirements"] == [
        {
            "by": "tensorboard", "by_version": "2.9.1", "specifier": "<3.20,>=3.9.2", "marker": None, "extra": None,
            "allows_before": True, "allows_after": False, "extras": [], "new": False, "missing": False,
        },
        {
            "by": "tensorflow", "by_version": "2.9.0", "specifier": ">=3.9.2", "marker": None, "extra": None,
            "allows_before": True, "allows_after": True, "extras": [], "new": False, "missing": False,
        },
    ]  # fmt: skip
    assert upgraded["fix"]["commands"] == ["pip install protobuf==3.19.6"]
    assert upgraded["introduced_by"]["instruction"] == instruction
    assert upgraded["introduced_by"]["layer"] == upgraded["introduced_by"]["layers"]
    assert upgraded["introduced_by"]["diff_id"].startswith("sha256:")

    violated = _found(report, "RC201", "protobuf")
    assert violated["severity"] == "major"
    assert violated["suffers"] == ["tensorboard"]
    assert [one["by"] for one in violated["requirements"]] == ["tensorboard"]
    assert violated["introduced_by"]["instruction"] == instruction

    known = _found(report, "RC203", "protobuf")
    assert known["severity"] == "breaking"
    assert known["suffers"] == ["tensorflow"]
    assert known["expect"].startswith("import tensorflow: TypeError: Descriptors cannot not be created directly.")
    assert "tensorflow 2.9.0 allows it on paper (protobuf>=3.9.2)" in known["evidence"]
    assert report["made_by"]["knowledge"]


@tensorflow
def test_protobuf_as_text(run_reprocheck: Run, image: Image, locked: Path) -> None:
    ran = run_reprocheck("verify", f"image:{image('tf29-protobuf')}", "--baseline", locked).ended(1)
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("drift  1 breaking · 140 of 141 Python packages, OS packages and settings agree")
    for essential in (
        "protobuf 3.19.6 → 4.21.1, a major upgrade",
        "tensorboard 2.9.1  requires protobuf<3.20,>=3.9.2, now violated",
        "import tensorflow: TypeError: Descriptors cannot not be created directly.",
        "tensorflow 2.9.0  allows it on paper (protobuf>=3.9.2)",
        "tensorflow → tensorboard → protobuf",
        "RUN pip3 install protobuf==4.21.1",
        "drop that line; in a running container:",
        "pip install protobuf==3.19.6",
    ):
        assert essential in ran.stdout
    assert len(lines) < 15


@tensorflow
def test_protobuf_explained(run_reprocheck: Run, image: Image) -> None:
    target = f"image:{image('tf29-protobuf')}"
    (told,) = run_reprocheck("explain", target, "protobuf", "--format", "json").ended(0).json
    assert told["version"] == "4.21.1"
    assert told["origin"] == "index"
    assert told["requested"] is True
    assert [(one["by"], one["specifier"], one["satisfied"]) for one in told["required_by"]] == [
        ("tensorboard", "<3.20,>=3.9.2", False),
        ("tensorflow", ">=3.9.2", True),
    ]
    assert [(one["specifier"], one["violates"], one["holds_installed"]) for one in told["intervals"]] == [
        ("<3.9.2", ["tensorboard", "tensorflow"], False),
        (">=3.9.2,<3.20", [], False),
        (">=3.20", ["tensorboard"], True),
    ]
    text = run_reprocheck("explain", target, "Protobuf").ended(0).stdout
    assert "protobuf 4.21.1" in text
    assert "tensorflow → tensorboard → protobuf" in text
    absent = run_reprocheck("explain", target, "no-such-package").refused()
    assert "no-such-package" in absent


@tensorflow
def test_the_team_as_json(run_reprocheck: Run, image: Image, locked: Path) -> None:
    target = f"image:{image('tf29-team')}"
    report = run_reprocheck("verify", target, "--baseline", locked, "--format", "json").ended(1).json
    assert report["verdict"] == "drift"
    broken, lacking, grave = [one for one in report["findings"] if one["severity"] in {"breaking", "major"}]
    assert (broken["rule"], broken["severity"], broken["subject"]["name"]) == ("RC203", "breaking", "numpy")
    assert broken["suffers"][0] == "tensorflow"
    assert broken["expect"].startswith("import tensorflow: TypeError: Unable to convert function return value")
    assert (lacking["rule"], lacking["severity"], lacking["subject"]["name"]) == ("RC701", "breaking", "opencv-python")
    assert (grave["rule"], grave["subject"]["name"]) == ("RC101", "numpy")
    assert (grave["before"], grave["after"]) == ("1.23.5", "2.0.2")
    assert grave["details"]["asked_for"] == "false"
    assert grave["pulled_by"] == ["opencv-python"]
    assert grave["suffers"] == []
    by = {one["by"]: one for one in grave["requirements"]}
    assert by["opencv-python"]["allows_before"] is False
    assert [name for name, one in by.items() if one["allows_before"] is False] == ["opencv-python"]
    assert {"tensorflow", "transformers", "scikit-learn", "seaborn"} <= {*by}
    assert all(one["allows_after"] for one in grave["requirements"])
    instruction = "RUN pip3 install opencv-python transformers scikit-learn seaborn"
    assert grave["introduced_by"]["instruction"] == instruction

    # Never "put numpy back" while opencv-python requires 2, nor a version that nobody has asked an index for.
    assert grave["fix"]["commands"] == []
    assert "opencv-python that allows numpy 1.23.5" in grave["fix"]["summary"]
    others = "scikit-learn, seaborn, transformers"
    assert broken["chain"][:2] == [
        f"opencv-python 5.0.0.93, asked for, requires numpy>=2 ({others} are content with 1.23.5)",
        "numpy 1.23.5 → 2.0.2, which nobody asked for",
    ]
    assert broken["chain"][2].startswith("tensorflow 2.9.0: it was built for NumPy 1; its metadata (numpy>=1.20) allow")
    assert broken["why"][1:] == ["tensorflow suffers from it", "opencv-python dragged it along"]

    added = [one for one in report["findings"] if one["rule"] == "RC103"]
    assert {one["severity"] for one in added} == {"info"}
    asked_for = {one["subject"]["name"] for one in added if one["details"]["asked_for"] == "true"}
    assert asked_for == {"opencv-python", "transformers", "scikit-learn", "seaborn"}
    assert len(added) > len(asked_for)
    assert {one["introduced_by"]["instruction"] for one in added} == {instruction}
    assert report["checked"]["python_packages_unchanged"] == 140


@tensorflow
def test_the_team_as_text(run_reprocheck: Run, image: Image, locked: Path) -> None:
    words = ("verify", f"image:{image('tf29-team')}", "--baseline", locked)
    folded = run_reprocheck(*words).ended(1).stdout
    unfolded = run_reprocheck(*words, "--all").ended(1).stdout
    report = run_reprocheck(*words, "--format", "json").ended(1).json
    added = {one["subject"]["name"] for one in report["findings"] if one["rule"] == "RC103"}
    assert "numpy 1.23.5 → 2.0.2" in folded
    # Its finding is a story of its own: it lacks libraries.
    assert "import cv2 needs " in folded
    others = len(added) - 1
    assert f"{others} packages added in layer 4: 3 asked for, {others - 3} with them" in folded
    for name in added - {"opencv-python", "transformers", "scikit-learn", "seaborn"}:
        assert name not in folded
        assert name in unfolded
    for text in (folded, unfolded):
        # The one place where it is named is the warning against it.
        assert text.count("pip install numpy") == 1
        assert "not a later `pip install numpy==1.23.5`" in " ".join(text.split())
        assert "repair in that RUN line: find an opencv-python that allows numpy 1.23.5" in " ".join(text.split())


@tensorflow
def test_somebody_installed_in_a_running_container(run_reprocheck: Run, image: Image, own_bench: Bench) -> None:
    tag = image("tf29")
    container = own_bench.start(tag)
    before = run_reprocheck("diff", f"container:{container.name}", "--fail-on", "major", "--format", "json").ended(0)
    assert [one["subject"]["kind"] for one in before.json["findings"]] == ["image-config"]  # its command

    file, raw = wheel("protobuf", "4.21.1")
    put(container, f"/tmp/{file}", raw)
    assert "Successfully installed protobuf-4.21.1" in inside(
        container, "pip3", "install", "--no-index", f"/tmp/{file}"
    )

    for words in ((f"image:{tag}", f"container:{container.name}"), (f"container:{container.name}",)):
        report = run_reprocheck("diff", *words, "--format", "json").ended(1).json
        upgraded = _found(report, "RC101", "protobuf")
        assert (upgraded["before"], upgraded["after"]) == ("3.19.6", "4.21.1")
        assert upgraded["suffers"] == ["tensorboard"]
        # No layer of the image did that: the container itself did.
        brought = upgraded["introduced_by"]
        assert (brought["layer"], brought["diff_id"]) == (brought["layers"] + 1, None)
        assert report["baseline"]["kind"] == "image"
        assert report["baseline"]["image_id"] == report["target"]["image_id"]
        assert report["target"]["target"] == f"container:{container.name}"
        assert report["checked"]["python_packages_unchanged"] == 140
    text = run_reprocheck("diff", f"container:{container.name}").ended(1).stdout
    assert "protobuf 3.19.6 → 4.21.1" in text
    assert "pip install protobuf==3.19.6" in text


def test_diff_of_one_target_that_is_no_container(run_reprocheck: Run, image: Image) -> None:
    assert "name a second target" in run_reprocheck("diff", f"image:{image('small')}").refused()


@tensorflow
def test_the_probe_by_hand(run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path) -> None:
    container = own_bench.start(image("tf29"))
    program, evidence = tmp_path / "p.py", tmp_path / "e.evidence"
    run_reprocheck("probe", "-o", program).ended(0)
    client = shutil.which("docker")
    assert client, "the story is told with the docker command"
    with program.open("rb") as source, evidence.open("wb") as sink:
        words = [client, "exec", "-i", str(container.name), "python3", "-"]
        subprocess.run(words, stdin=source, stdout=sink, check=True, timeout=120)
    report = run_reprocheck("verify", f"evidence:{evidence}", "--baseline", COMMITTED, "--format", "json").ended(0).json
    assert report["verdict"] == "verified"
    assert report["gaps"] == []
    assert report["checked"]["python_packages_unchanged"] == 141
    assert run_reprocheck("verify", evidence, "--baseline", COMMITTED).ended(0).stdout.startswith("verified  ")


@tensorflow
def test_a_baseline_with_machine_facts_verifies_the_image(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path
) -> None:
    container = own_bench.start(image("tf29"), command=None, tty=True)  # the image's own command, so that it is equal
    run_reprocheck("lock", f"container:{container.name}", "-o", tmp_path / "b").ended(0)
    document = json.loads((tmp_path / "b").read_bytes())
    assert document["machine"]["kernel"] == inside(container, "uname", "-r").strip()
    assert document["machine"]["cpu"]["features"]
    assert document["coverage"]["machine"]["state"] == "complete"
    report = run_reprocheck(
        "verify", f"image:{image('tf29')}", "--baseline", tmp_path / "b", "--fail-on", "info", "--format", "json"
    ).ended(0)
    assert report.json["verdict"] == "verified"
    assert report.json["level"]["reached"] == "stack"
    assert report.json["findings"] == []
    # Asked for the machine, an image can't answer.
    machine = run_reprocheck(
        "verify", f"image:{image('tf29')}", "--baseline", tmp_path / "b", "--level", "machine", "--format", "json"
    ).ended(2)
    assert machine.json["verdict"] == "unverified"


def test_many_outputs_of_one_run(run_reprocheck: Run, image: Image, tmp_path: Path) -> None:
    run_reprocheck("lock", f"image:{image('small')}", "-o", tmp_path / "b").ended(0)
    ran = run_reprocheck(
        "verify", f"image:{image('small-drift')}", "--baseline", tmp_path / "b", "--fail-on", "minor",
        "--write", f"json={tmp_path / 'r.json'}", "--write", f"text={tmp_path / 'r.txt'}",
    ).ended(1)  # fmt: skip
    report = json.loads((tmp_path / "r.json").read_bytes())
    assert _found(report, "RC101", "urllib3")["after"] == "2.0.7"
    assert "urllib3 1.26.18 → 2.0.7" in ran.stdout
    assert "urllib3 1.26.18 → 2.0.7" in (tmp_path / "r.txt").read_text()


def test_thresholds_decide(run_reprocheck: Run, image: Image, tmp_path: Path) -> None:
    run_reprocheck("lock", f"image:{image('small')}", "-o", tmp_path / "b").ended(0)
    words = ("verify", f"image:{image('small-drift')}", "--baseline", tmp_path / "b")
    assert run_reprocheck(*words, "--fail-on", "breaking").ended(0).stdout
    assert "urllib3" in run_reprocheck(*words, "--fail-on", "never").ended(0).stdout
    assert run_reprocheck(*words, "--level", "framework").ended(0).stdout.startswith("verified")


def test_lock_refuses_violated_requirements(run_reprocheck: Run, image: Image, tmp_path: Path) -> None:
    target = f"image:{image('many')}"
    line = run_reprocheck("lock", target, "-o", tmp_path / "b").refused()
    assert "not locked" in line
    assert "--force" in line
    assert not (tmp_path / "b").exists()
    forced = run_reprocheck("lock", target, "-o", tmp_path / "b", "--force").ended(0)
    assert "flask 2.3.3 requires click>=8.1.3, and there is click 7.1.2" in forced.stderr
    assert (tmp_path / "b").exists()
