"""Which programs among a container's processes let others in."""

from __future__ import annotations

from pathlib import Path

import pytest

from reprocheck.extractors import services
from reprocheck.model.evidence import EngineFacts, Evidence
from reprocheck.model.snapshot import Container
from tests.evidence import Tree, plant

RUNNING = EngineFacts(image_id="x", platform="", state="running", container=Container(privileged=True))


def evidence(root: Path, engine: EngineFacts, *names: str) -> Evidence:
    plant(root, {f"/proc/{number}/comm": f"{name}\n" for number, name in enumerate(names, start=1)})
    return Tree(root, engine=engine).evidence()


def test_names_of_servers_are_kept_and_no_others(tmp_path: Path) -> None:
    found = services.read(evidence(tmp_path, RUNNING, "sleep", "sshd", "sshd", "python3"))
    assert found == Container(privileged=True, services=("sshd",))
    assert services.read(evidence(tmp_path / "b", RUNNING, "sleep")) == Container(privileged=True, services=())


@pytest.mark.parametrize("state", ["exited", "created"])
def test_one_that_does_not_run_has_no_processes(tmp_path: Path, state: str) -> None:
    engine = EngineFacts(image_id="x", platform="", state=state, container=Container())
    assert services.read(evidence(tmp_path, engine, "sshd")) == Container()


def test_an_image_was_not_started(tmp_path: Path) -> None:
    assert services.read(evidence(tmp_path, EngineFacts(image_id="x", platform=""), "sshd")) is None
