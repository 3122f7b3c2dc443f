"""An image that BuildKit built: its history has another form than the classic builder's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from tests.images.build import BUILD_ARGS
from tests.integration.running import Bench, Ran

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]

SECRET = BUILD_ARGS["buildkit"]["BUILD_SECRET"]

INSTRUCTIONS = [
    None,
    "RUN pip3 install idna==${IDNA}",
    "COPY hello.txt /opt/",
    'RUN test -n "$BUILD_SECRET" && echo told > /opt/told',
    "RUN pip3 install six==1.16.0",
]
"""As their author wrote them, without the options of BuildKit's own; the base has no history."""


def test_the_history_is_of_buildkit_and_holds_the_secret(image: Image, engine: docker.DockerClient) -> None:
    # Else no test below could fail.
    history = [entry["CreatedBy"] for entry in engine.images.get(image("buildkit")).history()]
    assert any(text.startswith("RUN |") and text.endswith("# buildkit") for text in history)
    assert sum(SECRET in text for text in history) >= 2
    assert any("IDNA=3.6" in text for text in history)


def test_instructions_are_shown_as_their_author_wrote_them(run_reprocheck: Run, image: Image, own_bench: Bench) -> None:
    container = own_bench.start(image("buildkit"))
    for target in (f"image:{image('buildkit')}", f"container:{container.name}"):
        ran = run_reprocheck("capture", target, "--format", "json").ended(0)
        layers = ran.json["provenance"]["layers"]
        assert [one["instruction"] for one in layers] == INSTRUCTIONS
        assert all(one["bytes"] > 0 for one in layers)
        # Build arguments stand in front of an instruction, in the history alone.
        for withheld in (SECRET, "IDNA=", "buildkit #", "# buildkit", "/bin/sh", "--mount"):
            assert withheld not in ran.stdout + ran.stderr, withheld


def test_a_change_is_attributed_to_its_instruction(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path
) -> None:
    instruction = "RUN sed -i 's/^Version: .*/Version: 2.0.0/' /usr/local/lib/python3.*/*-packages/six-*/METADATA"
    built = own_bench.build(f"FROM {image('buildkit')}\n{instruction}\n")
    run_reprocheck("lock", f"image:{image('buildkit')}", "-o", tmp_path / "b").ended(0)
    words = ("verify", f"image:{built}", "--baseline", tmp_path / "b", "--fail-on", "minor")
    report = run_reprocheck(*words, "--format", "json").ended(1).json
    found = [one for one in report["findings"] if one["subject"]["name"] == "six"]
    # Another version; and its METADATA is not as it was installed.
    assert sorted(one["name"] for one in found) == ["package-edited", "package-upgraded"]
    for one in found:
        assert one["introduced_by"]["instruction"] == instruction
        assert one["introduced_by"]["layer"] == len(INSTRUCTIONS) + 1
    text = run_reprocheck(*words).ended(1).stdout
    assert SECRET not in text + json.dumps(report) + (tmp_path / "b").read_text()
