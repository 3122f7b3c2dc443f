from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.extractors import environments
from reprocheck.extractors.base import Facts
from reprocheck.extractors.conda import from_file_name, parse
from reprocheck.model import codec
from reprocheck.model.evidence import Evidence, Listing
from reprocheck.model.snapshot import CondaPackage, Environment, Files
from tests.evidence import Tree, interpreter, plant

PREFIX = "/opt/conda"
META = f"{PREFIX}/conda-meta"
SITE = f"{PREFIX}/lib/python3.9/site-packages"
INTERPRETERS = {f"{PREFIX}/bin/python3": interpreter(base=PREFIX)}


def record(name: str = "numpy", version: str = "1.23.5", build: str = "py39h3d75532_0", **fields: Any) -> str:
    """A record as conda writes it."""
    known = {
        "arch": None,
        "build": build,
        "build_number": 0,
        "channel": "https://conda.anaconda.org/conda-forge/linux-64",
        "depends": ["python >=3.9,<3.10.0a0"],
        "files": [f"lib/{number}.so" for number in range(100)],
        "name": name,
        "paths_data": {"paths": [{"_path": "share/0.txt", "sha256": "0" * 64}], "paths_version": 1},
        "subdir": "linux-64",
        "version": version,
    }
    return json.dumps({**known, **fields}, indent=2)


def facts(where: Path, files: dict[str, str | bytes], **options: Any) -> Facts:
    python: dict[str, str | bytes] = {f"{PREFIX}/bin/python3": "", f"{META}/history": ""}
    return environments.read(Tree(plant(where, {**python, **files}), interpreters=INTERPRETERS, **options).evidence())


def environment(found: Facts) -> Environment:
    (one,) = found.fields["environments"]
    assert isinstance(one, Environment)
    return one


def names(found: Facts) -> list[tuple[str, str]]:
    return [(one.name, one.version) for one in environment(found).conda or ()]


def test_normal(tmp_path: Path) -> None:
    found = facts(
        tmp_path,
        {
            f"{META}/numpy-1.23.5-py39h3d75532_0.json": record(),
            f"{META}/cudatoolkit-11.3.1-h9edb442_10.json": record("cudatoolkit", "11.3.1", "h9edb442_10"),
            f"{META}/notes.txt": "no record",
            f"{META}/x.json.c~": record("left over"),
            f"{PREFIX}/pkgs/old/conda-meta/old-1-0.json": record("old", "1", "0"),
        },
    )
    assert environment(found).kind == "conda"
    assert environment(found).conda == (
        CondaPackage(
            name="cudatoolkit",
            version="11.3.1",
            build="h9edb442_10",
            channel="https://conda.anaconda.org/conda-forge",
            subdir="linux-64",
        ),
        CondaPackage(
            name="numpy",
            version="1.23.5",
            build="py39h3d75532_0",
            channel="https://conda.anaconda.org/conda-forge",
            subdir="linux-64",
        ),
    )
    assert (found.coverage.state, found.gaps) == ("complete", ())


def test_empty(tmp_path: Path) -> None:
    found = facts(tmp_path, {})
    assert environment(found).conda == ()
    assert found.gaps == ()


def test_an_environment_without_conda_has_none(tmp_path: Path) -> None:
    tree = Tree(plant(tmp_path, {"/usr/local/bin/python3": ""}), interpreters={"/usr/local/bin/python3": interpreter()})
    assert environment(environments.read(tree.evidence())).conda == ()


def test_49_one_package_with_two_sources(tmp_path: Path) -> None:
    """What conda and pip both tell of is one Python package; what pip added is no conda package."""
    found = facts(
        tmp_path,
        {
            f"{META}/numpy-1.23.5-py39h3d75532_0.json": record(),
            f"{SITE}/numpy-1.23.5.dist-info/METADATA": "Name: numpy\nVersion: 1.23.5\n",
            f"{SITE}/numpy-1.23.5.dist-info/INSTALLER": "conda",
            f"{SITE}/six-1.0.dist-info/METADATA": "Name: six\nVersion: 1.0\n",
        },
    )
    assert [(one.name, one.installer) for one in environment(found).packages] == [("numpy", "conda"), ("six", None)]
    assert names(found) == [("numpy", "1.23.5")]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "no record of conda's"),
        ("not\nvalid\njson\n", "no record of conda's"),
        ("{}", "no record of conda's"),
        ("[]", "no record of conda's"),
        ('{"version": "1"}', "name"),
        ('{"name": "x"}', "version"),
        ('{"name": "", "version": "1"}', "its name is empty"),
        ('{"name": "x", "version": " "}', "its version is empty"),
        ('{"name": 3, "version": "1"}', "no record of conda's"),
        ('{"name": "x", "version": "1", "channel": 3}', "no record of conda's"),
        ('{"name": "x", "version": "\\udc00"}', "no record of conda's"),
        (b'{"name": "\xff", "version": "1"}', "no record of conda's"),
        ("[" * 100_000, "no record of conda's"),
        ('{"x": ' * 100_000, "no record of conda's"),
        (record()[:-40], "no record of conda's"),
    ],
)
def test_49_records_that_are_none(raw: str | bytes, reason: str, tmp_path: Path) -> None:
    found = facts(tmp_path, {f"{META}/bad-1-0.json": raw, f"{META}/good-1-0.json": record("good", "1", "0")})
    assert names(found) == [("good", "1")]
    assert found.coverage.state == "partial"
    (gap,) = found.gaps
    assert (gap.what, gap.where) == (f"environments[{PREFIX}].conda", f"{META}/bad-1-0.json")
    assert reason in gap.reason


@pytest.mark.parametrize(
    ("channel", "kept"),
    [
        ("https://conda.anaconda.org/conda-forge/linux-64", "https://conda.anaconda.org/conda-forge"),
        ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/main"),
        ("conda-forge", "conda-forge"),
        ("https://user:hunter2@host/main/linux-64/", "https://host/main"),
        ("https://host/t/se-cr3t/main/linux-64", "https://host/main"),
        ("https://user\\u003ahunter2\\u0040host/t/se-cr3t", "https://host"),
        ("", ""),
    ],
)
def test_channels(channel: str, kept: str) -> None:
    raw = record(channel="CHANNEL").replace("CHANNEL", channel)
    assert parse(raw.encode()).channel == kept


def test_null_fields_and_the_other_name_of_the_build() -> None:
    raw = json.dumps({"name": "x", "version": "1", "build_string": "h1_0", "channel": None, "subdir": None})
    assert parse(raw.encode()) == CondaPackage(name="x", version="1", build="h1_0")


def test_text_is_escaped_as_all_text_of_a_target() -> None:
    assert parse(json.dumps({"name": "a\\b", "version": "1"}).encode()).name == "a\\\\b"


def test_a_record_longer_than_the_limit_is_taken_by_its_name(tmp_path: Path) -> None:
    long = record("r-base", "4.1-1", "h1_0", files=["x" * 100] * 20_000)
    found = facts(tmp_path, {f"{META}/r-base-4.1-h1_0.json": long, f"{META}/odd.json": long})
    assert names(found) == [("r-base", "4.1")]
    assert [(gap.what, gap.where) for gap in found.gaps] == [
        (f"environments[{PREFIX}].conda", f"{META}/odd.json"),
        (f"environments[{PREFIX}].conda[r-base]", f"{META}/r-base-4.1-h1_0.json"),
    ]
    assert all("1,048,576 of its" in gap.reason for gap in found.gaps)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("numpy-1.23.5-py39_0.json", ("numpy", "1.23.5", "py39_0")),
        ("r-base-4.1-h1_0.json", ("r-base", "4.1", "h1_0")),
        ("a-b.json", None),
    ],
)
def test_names_of_records(name: str, parts: tuple[str, str, str] | None) -> None:
    found = from_file_name(name)
    assert (found and (found.name, found.version, found.build)) == parts


def test_a_pipe_and_a_directory_in_place_of_a_record(tmp_path: Path) -> None:
    plant(tmp_path, {f"{META}/dir-1-0.json/x": "", f"{META}/history": ""})
    os.mkfifo(tmp_path / META.lstrip("/") / "pipe-1-0.json")
    found = facts(tmp_path, {f"{META}/good-1-0.json": record("good", "1", "0")})
    assert names(found) == [("good", "1")]
    assert [(gap.where, gap.reason) for gap in found.gaps] == [
        (f"{META}/pipe-1-0.json", "can't be read (not a regular file)")
    ]


def test_records_that_were_not_collected(tmp_path: Path) -> None:
    """Another route, or an older collection: the names are known, what they say is not."""
    tree = Tree(
        plant(tmp_path, {f"{META}/x-1-0.json": record("x", "1", "0"), f"{PREFIX}/bin/python3": ""}),
        interpreters=INTERPRETERS,
    )
    evidence = Evidence(tree.document)
    evidence.add(tree.answer(environments.wants(evidence)))
    found = environments.read(evidence)
    assert (f"{META}/x-1-0.json", "not collected") in [(gap.where, gap.reason) for gap in found.gaps]


def test_collected_by_hand_in_one_pass(tmp_path: Path) -> None:
    tree = Tree(
        plant(tmp_path, {f"{META}/x-1-0.json": record("x", "1", "0"), f"{PREFIX}/bin/python3": ""}),
        interpreters=INTERPRETERS,
        kind="evidence",
    )
    evidence = Evidence(tree.document)
    evidence.add(tree.answer(environments.wants(evidence)))
    assert names(environments.read(evidence)) == [("x", "1")]


def test_a_directory_that_cannot_be_read(tmp_path: Path) -> None:
    tree = Tree(plant(tmp_path, {f"{META}/x": "", f"{PREFIX}/bin/python3": ""}), interpreters=INTERPRETERS)
    evidence = tree.evidence()
    evidence.listings[META] = Listing(problem="EACCES")
    found = environments.read(evidence)
    assert environment(found).kind == "conda"
    assert [(gap.what, gap.where, gap.reason) for gap in found.gaps] == [
        (f"environments[{PREFIX}].conda", META, "can't be read (permission denied)")
    ]


def test_a_prefix_without_python_is_an_environment(tmp_path: Path) -> None:
    found = facts(
        tmp_path,
        {
            f"{PREFIX}/envs/r/conda-meta/r-base-4.1-h1_0.json": record("r-base", "4.1", "h1_0"),
            "/srv/conda-meta/README": "no environment: neither a history nor a record",
        },
    )
    base, other = found.fields["environments"]
    assert (base.id, base.conda) == (PREFIX, ())
    assert (other.id, other.kind, other.python, other.packages) == (f"{PREFIX}/envs/r", "conda", None, ())
    assert [one.name for one in other.conda] == ["r-base"]
    assert found.gaps == ()


def test_no_python_anywhere_stays_a_gap(tmp_path: Path) -> None:
    files = {f"{META}/r-base-4.1-h1_0.json": record("r-base", "4.1", "h1_0")}
    found = environments.read(Tree(plant(tmp_path, files)).evidence())
    assert names(found) == [("r-base", "4.1")]
    assert [gap.reason for gap in found.gaps] == ["no Python environment was found"]


def test_a_python_of_conda_that_does_not_answer(tmp_path: Path) -> None:
    files = {f"{META}/x-1-0.json": record("x", "1", "0"), f"{PREFIX}/bin/python3": "#!/bin/sh"}
    told = {f"{PREFIX}/bin/python3": "does not start (exit code 1)"}
    found = environments.read(Tree(plant(tmp_path, files), interpreters=told).evidence())
    assert names(found) == [("x", "1")]
    assert (f"environments[{PREFIX}].python", "does not start (exit code 1)") in [
        (gap.what, gap.reason) for gap in found.gaps
    ]


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"{META}/{name}-1-0.json": record(name, "1", "0") for name in "cab"}
    one = facts(tmp_path / "one", files)
    other = facts(tmp_path / "other", dict(reversed(files.items())))
    assert codec.encode_json(environment(one)) == codec.encode_json(environment(other))


@given(st.one_of(st.binary(max_size=100), st.recursive(st.none() | st.text(max_size=3), st.lists).map(json.dumps)))
def test_any_bytes_are_a_record_or_an_error(raw: bytes | str) -> None:
    with contextlib.suppress(ValueError):
        assert parse(raw if isinstance(raw, bytes) else raw.encode()).name


def listing(*names: str, size: int = 3) -> dict[str, Any]:
    rows = [{"_path": name, "path_type": "hardlink", "size_in_bytes": size} for name in names]
    return {"paths_data": {"paths": rows}}


def test_files_that_do_not_agree_with_the_record(tmp_path: Path) -> None:
    found = facts(
        tmp_path,
        {
            f"{META}/one-1-0.json": record("one", "1", "0", **listing("bin/one", "lib/gone.so")),
            f"{META}/two-1-0.json": record("two", "1", "0", **listing("bin/two")),
            f"{PREFIX}/bin/one": "longer than was recorded",
            f"{PREFIX}/bin/two": "two",
        },
    )
    one, two = environment(found).conda or ()
    assert one.files == Files(count=2, checked="sizes", modified=("bin/one",), missing=("lib/gone.so",))
    assert two.files == Files(count=1, checked="sizes")
    assert (found.gaps, found.coverage.state) == ((), "complete")
