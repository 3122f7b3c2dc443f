from __future__ import annotations

from pathlib import Path

from reprocheck.extractors import image, variables
from reprocheck.model.evidence import EngineFacts, Evidence
from reprocheck.model.snapshot import Image
from tests.evidence import Tree, process


def test_the_engine_comes_before_the_process(tmp_path: Path) -> None:
    configured = EngineFacts(image_id="x", platform="", variables={"B": None, "A": "1"})
    found = variables.read(Tree(tmp_path, engine=configured, running=process(A="2", C="3")).evidence())
    assert list(found.fields["variables"].items()) == [("A", "1"), ("B", None)]


def test_the_callers_without_what_its_shell_adds(tmp_path: Path) -> None:
    running = process(TF_X="caf\xc3\xa9\xff\\", SHLVL="1", HOSTNAME="h", MY_KEY=None)
    found = variables.read(Tree(tmp_path, engine=None, kind="python", running=running).evidence())
    assert found.fields["variables"] == {"MY_KEY": None, "TF_X": "café\\xff\\\\"}


def test_a_token_that_tells_itself_is_no_fact(tmp_path: Path) -> None:
    """The probe knows no shapes of tokens."""
    running = process(CUDA_HOME="/usr/ghp_" + "a1B2" * 9, MY_KEY=None)
    found = variables.read(Tree(tmp_path, engine=None, kind="python", running=running).evidence())
    assert found.fields["variables"] == {"CUDA_HOME": "/usr/***", "MY_KEY": None}


def test_nobody_says(tmp_path: Path) -> None:
    found = variables.read(Evidence(Tree(tmp_path, engine=None).document))
    assert found.coverage.state == "not-read"
    assert [gap.what for gap in found.gaps] == ["variables"]


def test_image_settings(tmp_path: Path) -> None:
    told = EngineFacts(
        image_id="x",
        platform="linux/amd64",
        user="1000",
        entrypoint=("/bin/sh",),
        cmd=("-c", "***"),
        command_sha256="ab",
        exposed_ports=("80/tcp",),
        labels={"b": None, "a": "1"},
        volumes=("/data",),
        workdir="/work",
    )
    found = image.read(Tree(tmp_path, engine=told).evidence())
    assert found.fields["image"] == Image(
        user="1000",
        entrypoint=("/bin/sh",),
        cmd=("-c", "***"),
        command_sha256="ab",
        exposed_ports=("80/tcp",),
        labels={"a": "1", "b": None},
        volumes=("/data",),
        workdir="/work",
    )
    assert list(found.fields["image"].labels) == ["a", "b"]


def test_no_image(tmp_path: Path) -> None:
    found = image.read(Tree(tmp_path, engine=None).evidence())
    assert (found.coverage.state, found.fields) == ("not-applicable", {})
