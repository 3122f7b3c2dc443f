"""`capture`, `diff` and `explain` against what the target's own pip says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import Container
from packaging.utils import canonicalize_name

from reprocheck.explain import explain_package
from reprocheck.model import codec
from tests.integration.running import Bench, Ran, packages

pytestmark = [pytest.mark.engine, pytest.mark.tensorflow]

Run = Callable[..., Ran]
Image = Callable[[str], str]

NAMES = ("tf29", "tf29-protobuf", "tf29-team", "many")
Pairs = set[tuple[str, str]]
"""Who requires what."""

ENVIRONMENT = {"many": "/opt/many"}
_MISSING = re.compile(r"(\S+) (\S+) requires (\S+), which is not installed\.")
_VIOLATED = re.compile(r"(\S+) (\S+) has requirement (.+), but you have (\S+) (\S+)\.")


@dataclass(frozen=True, kw_only=True)
class Said:
    """What pip and reprocheck say of one image."""

    name: str
    target: str
    listed: dict[str, str]
    """`pip list`: name and version."""
    missing: Pairs
    """`pip check`: who requires what is not there."""
    violated: Pairs
    """`pip check`: who requires another version of what."""
    document: Any
    environment: str


@pytest.fixture(scope="module", params=NAMES)
def said(request: pytest.FixtureRequest, image: Image, bench: Bench, run_module: Run) -> Iterator[Said]:
    name = request.param
    container = bench.start(image(name))
    target = f"image:{image(name)}"
    missing, violated = _check(container)
    yield Said(
        name=name,
        target=target,
        listed=_list(container),
        missing=missing,
        violated=violated,
        document=run_module("capture", target, "--format", "json").ended(0).json,
        environment=ENVIRONMENT.get(name, "/usr"),
    )
    container.remove(force=True, v=True)


def _list(container: Container) -> dict[str, str]:
    code, output = container.exec_run(["python3", "-m", "pip", "list", "--format", "json"], stderr=False)
    assert code == 0
    assert isinstance(output, bytes)
    return {canonicalize_name(one["name"]): one["version"] for one in json.loads(output)}


def _check(container: Container) -> tuple[Pairs, Pairs]:
    _, output = container.exec_run(["python3", "-m", "pip", "check"])
    assert isinstance(output, bytes)
    missing: Pairs = set()
    violated: Pairs = set()
    for line in output.decode().splitlines():
        if found := _MISSING.fullmatch(line):
            missing.add((canonicalize_name(found[1]), canonicalize_name(found[3])))
        elif found := _VIOLATED.fullmatch(line):
            violated.add((canonicalize_name(found[1]), canonicalize_name(found[4])))
        else:
            assert line == "No broken requirements found.", line
    return missing, violated


def test_the_lists_are_of_the_size_that_the_issue_names(said: Said) -> None:
    assert len(said.listed) >= 60


def test_no_distribution_is_missed_and_no_version_differs(said: Said) -> None:
    assert packages(said.document, said.environment) == said.listed


def test_explain_finds_each_requirement_of_pip_check_and_invents_none(said: Said) -> None:
    missing, violated = _explained(said, by_extra=False)
    assert missing == said.missing
    assert violated == said.violated
    assert bool(missing or violated) == (said.name in {"tf29-protobuf", "many"})


def test_explain_marks_apart_what_only_an_extra_requires(said: Said) -> None:
    # pytest-cov requires coverage[toml], and pip check looks at no extra.
    expected = {("coverage", "tomli")} if said.name == "many" else set()
    assert _explained(said, by_extra=True) == (expected, set())


def test_diff_finds_each_requirement_of_pip_check_and_invents_none(
    said: Said, run_reprocheck: Run, tmp_path: Path
) -> None:
    healthy = tmp_path / "healthy.json"
    healthy.write_text(json.dumps(_mended(said)))
    ran = run_reprocheck("diff", f"snapshot:{healthy}", said.target, "--format", "json")
    missing: Pairs = set()
    violated: Pairs = set()
    extra: Pairs = set()
    for finding in ran.json["findings"]:
        for one in finding["requirements"]:
            pair = (one["by"], finding["subject"]["name"])
            if finding["rule"] == "RC202":
                (missing if one["extra"] is None else extra).add(pair)
            elif finding["rule"] == "RC201":
                (violated if one["extra"] is None else extra).add(pair)
    assert missing == said.missing
    assert violated == said.violated
    assert extra == ({("coverage", "tomli")} if said.name == "many" else set())
    assert ran.code == (1 if missing or violated else 0)
    # And nothing but what was mended differs.
    assert {one["subject"]["name"] for one in ran.json["findings"]} == {name for _, name in missing | violated}


def test_explain_of_the_command_line(said: Said, run_reprocheck: Run) -> None:
    for name in sorted({name for _, name in said.violated}):
        told = run_reprocheck("explain", said.target, name, "--format", "json").ended(0).json
        refusers = {one["by"] for one in told[0]["required_by"] if one["satisfied"] is False}
        assert refusers == {by for by, subject in said.violated if subject == name}
    for name in sorted({name for _, name in said.missing}):
        assert f"no Python package {name}" in run_reprocheck("explain", said.target, name).refused()


def _explained(said: Said, *, by_extra: bool) -> tuple[Pairs, Pairs]:
    snapshot = codec.decode_snapshot(json.dumps(said.document).encode(), said.name)
    missing: set[tuple[str, str]] = set()
    violated: set[tuple[str, str]] = set()
    refused: set[tuple[str, str]] = set()
    for name in said.listed:
        told = next(one for one in explain_package(snapshot, name) if one.environment == said.environment)
        assert told.version == said.listed[name]
        assert told.unjudged == ()
        for need in told.requires:
            if (need.extra is not None) == by_extra and need.satisfied is False:
                (missing if need.installed is None else violated).add((name, need.name))
        # The same seen from the other end.
        refused |= {
            (one.by, name) for one in told.required_by if one.satisfied is False and (one.extra is not None) == by_extra
        }
    assert refused == violated
    return missing, violated


MENDED = {"idna": "3.7", "tomli": "2.0.1", "click": "8.1.7", "docutils": "0.20.1", "protobuf": "3.19.6"}
"""Versions that content everybody who requires them in the images."""


def _mended(said: Said) -> Any:
    """The snapshot as it would be if nothing were wrong."""
    document = deepcopy(said.document)
    environment = next(one for one in document["environments"] if one["id"] == said.environment)
    present = {one["name"]: one for one in environment["packages"] if one["active"]}
    for name in {name for _, name in said.missing}:
        environment["packages"].append({**present["requests"], "name": name, "version": MENDED[name], "requires": []})
    for name in {name for _, name in said.violated}:
        present[name]["version"] = MENDED[name]
    environment["packages"].sort(key=lambda one: one["name"])
    return document
