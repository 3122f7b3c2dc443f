"""Containers with something mounted over the places of Python: what runs sees it, what is read statically does not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import Container

from tests.integration.running import Bench, Ran, inside

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]

DEBIAN = "/usr/lib/python3/dist-packages"
VENV = "/opt/venv"
ASK = (
    "import json; from importlib.metadata import distributions;"
    "print(json.dumps({one.metadata['Name']: one.version for one in distributions()}))"
)
MOUNTED = "mounted from elsewhere"


def mounted(source: Path, where: str) -> dict[str, Any]:
    return {"volumes": {os.fspath(source): {"bind": where, "mode": "rw"}}}


def site(folder: Path) -> Path:
    """A site directory with one distribution."""
    info = folder / "site" / "mounted-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mounted\nVersion: 1.0\n")
    return folder / "site"


def versions(document: Mapping[str, Any], environment: str) -> dict[str, str]:
    (one,) = (one for one in document["environments"] if one["id"] == environment)
    return {package["name"]: package["version"] for package in one["packages"] if package["active"]}


def asked(container: Container, python: str) -> dict[str, str]:
    """What Python itself says of its distributions."""
    told: dict[str, str] = json.loads(inside(container, python, "-c", ASK))
    return told


def only_storage() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize(
    ("where", "gaps"),
    [
        (DEBIAN, {"environments[/usr].search_path": DEBIAN}),
        # The engine follows links: it is mounted where /lib leads.
        (DEBIAN.removeprefix("/usr"), {"environments[/usr].search_path": DEBIAN}),
        (VENV, {"environments[/opt/venv]": f"{VENV}/bin/python3"}),
        ("/opt", {"environments[/opt/venv]": f"{VENV}/bin/python3"}),
    ],
)
def test_nothing_is_removed_from_below_a_mount_that_is_not_read(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path, where: str, gaps: dict[str, str], started: bool
) -> None:
    only_storage()
    container = own_bench.create(image("small"), **mounted(site(tmp_path), where))
    if started:
        container.start()
        container.stop(timeout=0)
    before, after = f"image:{image('small')}", f"container:{container.name}"
    run_reprocheck("lock", before, "-o", tmp_path / "b").ended(0)
    report = run_reprocheck("verify", after, "--baseline", tmp_path / "b", "--format", "json").ended(2).json
    assert {(finding["rule"], finding["severity"]) for finding in report["findings"]} <= {("RC505", "info")}
    told = {gap["what"]: gap for gap in report["gaps"] if gap["what"].startswith("environments")}
    assert {what: gap["where"] for what, gap in told.items()} == gaps
    assert all(MOUNTED in gap["reason"] for gap in told.values())
    run_reprocheck("diff", before, after).ended(0)
    # Nothing is added where the other side could not look.
    back = run_reprocheck("diff", after, before, "--format", "json").ended(0).json
    assert {finding["severity"] for finding in back["findings"]} <= {"info"}


@pytest.mark.parametrize(("where", "python", "environment"), [(DEBIAN, "/usr/bin/python3", "/usr")])
def test_a_running_container_shows_what_its_python_sees(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path, where: str, python: str, environment: str
) -> None:
    container = own_bench.start(image("small"), **mounted(site(tmp_path), where))
    document = run_reprocheck("capture", f"container:{container.name}", "--format", "json").ended(0).json
    assert versions(document, environment) == asked(container, python) == {"mounted": "1.0"}
    assert document["gaps"] == []


@pytest.mark.parametrize("where", ["/opt/venv", "/opt"])
def test_an_environment_in_a_volume_of_a_running_container(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path, where: str
) -> None:
    """A named volume begins as a copy of what the image has there."""
    name = f"{own_bench.mark}-{where.rpartition('/')[2]}"
    container = own_bench.start(image("small"), volumes={name: {"bind": where, "mode": "rw"}})
    try:
        run_reprocheck("lock", f"image:{image('small')}", "-o", tmp_path / "b").ended(0)
        run_reprocheck("verify", f"container:{container.name}", "--baseline", tmp_path / "b").ended(0)
        inside(container, "rm", "-r", "/opt/venv/lib/python3.9/site-packages/idna-3.7.dist-info")
        words = ("diff", f"image:{image('small')}", f"container:{container.name}", "--format", "json")
        report = run_reprocheck(*words).ended(1).json
        assert [one["subject"]["name"] for one in report["findings"] if one["rule"] == "RC104"] == ["idna"]
    finally:
        container.remove(force=True)
        own_bench.engine.volumes.get(name).remove()
