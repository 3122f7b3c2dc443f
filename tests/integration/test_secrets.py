"""Secrets planted in a target appear in nothing that a run prints, writes or hands to another program."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from tests.images.build import BUILD_ARGS, RECIPES
from tests.integration.running import BASELINE, Bench, Ran, finish, inside, put, started
from tests.integration.test_six_ways import save
from tests.packing import layout

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]

WORD = "CANARY"


@pytest.fixture(scope="module")
def target(image: Image, bench: Bench) -> Container:
    """A running container with every secret of the image, and some of its own."""
    return bench.start(
        image("secrets"),
        ["sh", "-c", "exec sleep infinity", "--api-key", f"{WORD}-argv-1", f"--password={WORD}-argv-2"],
        environment={
            "TOKEN": f"{WORD}-variable-1",
            "TF_API_TOKEN": f"{WORD}-variable-2",
            "CUDA_MIRROR": f"https://me:{WORD}-variable-3@example.invalid/cuda?token={WORD}-variable-4",
            "PYTHONPATH": f"/opt/lib:https://me:{WORD}-variable-5@example.invalid",
        },
        labels={"com.example.token": f"{WORD}-label-1"},
        healthcheck={"test": ["CMD", "true", f"--token={WORD}-health-1"], "interval": 3600 * 10**9},
    )


def test_the_secrets_are_there(target: Container, engine: docker.DockerClient, image: Image) -> None:
    # Else no test below could fail.
    recipe = RECIPES / "secrets"
    text = recipe.joinpath("Dockerfile").read_text() + recipe.joinpath("lay.py").read_text()
    planted = {*re.findall(rf"{WORD}-[a-z]+-[0-9a-f]+", text), *BUILD_ARGS["secrets"].values()}
    planted |= {f"{WORD}-{found}" for found in re.findall(r"""url\(["']([a-z]+-[0-9a-f]+)["']""", text)}
    assert len(planted) >= 12
    history = engine.images.get(image("secrets")).history()
    # A pattern that doesn't hold the word itself: another run may be looking at the arguments of all processes.
    seen = (
        json.dumps(target.attrs)
        + json.dumps(history)
        + inside(target, "grep", "-rh", f"{WORD[:-1]}[{WORD[-1]}]", "/usr", "/root", "/opt", "/etc/passwd")
    )
    missed = {one for one in planted if one not in seen}
    assert missed == set()
    for own in ("argv-1", "argv-2", "variable-1", "variable-2", "variable-3", "label-1", "health-1"):
        assert f"{WORD}-{own}" in json.dumps(target.attrs)


def _commands(kind: str, name: str, folder: Path) -> list[tuple[int, list[str]]]:
    """Exit code and words; one that fails before it has read anything would show no secret either."""
    target = f"{kind}:{name}"
    evidence, baseline = f"evidence:{folder / 'e.evidence'}", str(folder / "baseline.json")
    return [
        (0, ["capture", target]),
        (0, ["capture", target, "--debug", "--format", "json", "--evidence", str(folder / "e.evidence")]),
        (0, ["capture", target, "-o", str(folder / "snapshot.json")]),
        (0, ["lock", target, "-o", baseline, "--force", "--allow-gaps", "environments"]),
        (0, ["verify", target, "--baseline", baseline, "--all", "--debug"]),
        (0, ["diff", target, f"snapshot:{baseline}", "--format", "json"]),
        (0, ["explain", target, "cloned"]),
        (0, ["explain", target, "edited", "--format", "json"]),
        (2, ["explain", target, "no-such-package", "--debug"]),
        (2, ["verify", target, "--baseline", str(folder / "e.evidence"), "--debug"]),
        (0, ["capture", evidence, "--format", "json"]),
        (0, ["verify", evidence, "--baseline", baseline, "--format", "json"]),
        # Against another image: what was planted stands in findings.
        (1, ["diff", f"snapshot:{BASELINE}", target, "--all", "--debug"]),
        (1, ["diff", target, f"snapshot:{BASELINE}", "--format", "json"]),
        (1, ["verify", target, "--baseline", str(BASELINE), "--fail-on", "info"]),
    ]


@pytest.mark.parametrize("kind", ["image", "container"])
def test_no_secret_is_in_an_output_or_file(
    image: Image, target: Container, run_reprocheck: Run, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "written"
    folder.mkdir()
    name = image("secrets") if kind == "image" else str(target.name)
    for code, words in _commands(kind, name, folder):
        ran = run_reprocheck(*words).ended(code)
        assert WORD not in ran.stdout, words
        assert WORD not in ran.stderr, words
        assert "internal error" not in ran.stderr
        assert ran.stdout or code == 2 or words[0] == "lock" or "-o" in words
    for file in folder.iterdir():
        assert WORD.encode() not in file.read_bytes(), file.name
    assert {file.name for file in folder.iterdir()} == {"e.evidence", "snapshot.json", "baseline.json"}
    # What is withheld is known by name.
    document = json.loads((folder / "snapshot.json").read_bytes())
    assert document["variables"]["API_TOKEN"] is None
    assert document["image"]["labels"]["deploy.token"] is None
    environment = next(one for one in document["environments"] if one["id"] == "/usr")
    origins = {one["name"]: one["origin"] for one in environment["packages"]}
    assert origins["cloned"].startswith("git+https://example.invalid/x.git@")
    if kind == "container":
        assert document["variables"]["TOKEN"] is None
        assert document["variables"]["TF_API_TOKEN"] is None
        assert document["variables"]["CUDA_MIRROR"] == "https://example.invalid/cuda?token=***"


@pytest.fixture(scope="module")
def saved(
    engine: docker.DockerClient, image: Image, target: Container, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[str, ...]]:
    """The words for each way to read the image, or the container, that runs nothing of it or only its Python."""
    work = tmp_path_factory.mktemp("saved")
    archive = save(engine, image("secrets"), work)
    named, root = f"image:{image('secrets')}", work / "root"
    return {
        "container": (named, "--route", "container"),
        "storage": (named, "--route", "storage"),
        "save": (named, "--route", "save"),
        "container's storage": (f"container:{target.name}", "--no-exec"),
        "archive": (f"archive:{archive}",),
        "layout": (f"oci:{layout(archive, root, 'gzip')}",),
    }


@pytest.mark.parametrize("way", ["container", "storage", "save", "container's storage", "archive", "layout"])
def test_no_secret_is_in_what_any_route_tells_or_keeps(
    saved: dict[str, tuple[str, ...]], run_reprocheck: Run, tmp_path: Path, way: str
) -> None:
    if "storage" in way and os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")
    for words in (
        ("capture", *saved[way], "--format", "json", "--evidence", tmp_path / "e", "--debug"),
        ("capture", *saved[way]),
        ("lock", *saved[way], "-o", tmp_path / "b", "--force", "--allow-gaps", "environments"),
        ("verify", *saved[way], "--baseline", tmp_path / "b", "--all"),
    ):
        ran = run_reprocheck(*words).ended(0)
        assert WORD not in ran.stdout + ran.stderr, words
    (environment, *_) = json.loads((tmp_path / "b").read_bytes())["environments"]
    assert "cloned" in {one["name"] for one in environment["packages"]}, "what has the secrets was read"
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any("cache" in file.parts for file in files) == (way in {"save", "layout"}), (
        "the layer cache is looked into as well"
    )
    for file in files:
        assert WORD.encode() not in file.read_bytes(), file.name


def test_no_secret_is_in_what_is_told_of_an_image_of_buildkit(
    image: Image, bench: Bench, run_reprocheck: Run, tmp_path: Path
) -> None:
    """Its history has build arguments in another place."""
    container = bench.start(image("buildkit"))
    secret = BUILD_ARGS["buildkit"]["BUILD_SECRET"]
    assert secret in json.dumps(bench.engine.images.get(image("buildkit")).history())
    for number, target in enumerate((f"image:{image('buildkit')}", f"container:{container.name}")):
        folder = tmp_path / str(number)
        folder.mkdir()
        for words in (
            ("capture", target, "--format", "json", "--evidence", folder / "e", "--debug"),
            ("capture", target),
            ("lock", target, "-o", folder / "b"),
            ("verify", target, "--baseline", folder / "b", "--all"),
            ("diff", target, f"image:{image('base')}", "--fail-on", "never", "--all"),
            ("diff", f"image:{image('base')}", target, "--fail-on", "never", "--format", "json"),
            ("explain", target, "idna"),
        ):
            ran = run_reprocheck(*words).ended(0)
            assert WORD not in ran.stdout + ran.stderr, words
        assert {file.name for file in folder.iterdir()} == {"e", "b"}
        for file in folder.iterdir():
            assert WORD.encode() not in file.read_bytes(), file.name
    assert secret.startswith(WORD)


def test_no_secret_is_in_the_evidence_of_the_bare_probe(target: Container, run_reprocheck: Run, tmp_path: Path) -> None:
    run_reprocheck("probe", "-o", tmp_path / "p.py").ended(0)
    put(target, "/tmp/p.py", (tmp_path / "p.py").read_bytes())
    evidence = inside(target, "python3", "/tmp/p.py")
    (tmp_path / "e").write_text(evidence)
    ran = run_reprocheck("capture", f"evidence:{tmp_path / 'e'}", "--evidence", tmp_path / "e2", "--format", "json")
    assert WORD not in ran.ended(0).stdout + ran.stderr
    assert WORD.encode() not in (tmp_path / "e2").read_bytes()
    assert '"cloned"' in ran.stdout


@contextmanager
def _watched(ours: Callable[[], int]) -> Iterator[set[str]]:
    """Command lines of every process that appears while the block runs."""
    known = {path.name for path in Path("/proc").glob("[0-9]*")}
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for path in Path("/proc").glob("[0-9]*"):
                if path.name in known and int(path.name) != ours():
                    continue
                try:
                    raw = (path / "cmdline").read_bytes() + b"\0" + (path / "comm").read_bytes()
                except OSError:
                    continue
                seen.add(raw.decode("utf-8", "replace"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("kind", ["image", "container"])
def test_no_secret_is_in_the_arguments_of_a_process(image: Image, target: Container, tmp_path: Path, kind: str) -> None:
    route = "container" if kind == "image" else "exec"
    name = image("secrets") if kind == "image" else str(target.name)
    (tmp_path / "scratch").mkdir()
    pid: list[int] = []
    with _watched(lambda: pid[0] if pid else 0) as seen:
        words = ("capture", f"{kind}:{name}", "--route", route, "--format", "json")
        with started(sys.executable, words, scratch=tmp_path / "scratch") as process:
            pid.append(process.pid)
            finish(process).ended(0)
    # The probe was seen, so its arguments were.
    assert any("<probe>" in one for one in seen)
    assert [one for one in seen if WORD in one] == []


def test_credentials_of_an_engine_address_are_not_shown(run_reprocheck: Run) -> None:
    for address in (f"tcp://me:{WORD}@127.0.0.1:1", f"ssh://me:{WORD}@127.0.0.1:1", f"https://me:{WORD}@127.0.0.1:1/"):
        for words, env in (
            (("capture", "image:x"), {"DOCKER_HOST": address}),
            (("capture", "image:x", "--engine", address), {}),
            (("capture", "image:x", "--debug"), {"DOCKER_HOST": address}),
        ):
            ran = run_reprocheck(*words, env=env).ended(2)
            assert WORD not in ran.stdout + ran.stderr, words
            assert "no container engine answers" in ran.stderr


def test_secrets_of_the_caller_are_not_shown(run_reprocheck: Run, tmp_path: Path) -> None:
    env = {
        "API_TOKEN": f"{WORD}-1",
        "PIP_INDEX_URL": f"https://me:{WORD}-2@example.invalid/simple",
        "TF_SECRET": f"{WORD}-3",
    }
    ran = run_reprocheck(
        "capture", f"python:{sys.executable}", "--format", "json", "--evidence", tmp_path / "e", env=env
    ).ended(0)
    assert WORD not in ran.stdout + ran.stderr
    assert WORD.encode() not in (tmp_path / "e").read_bytes()
    assert ran.json["variables"]["API_TOKEN"] is None
