from __future__ import annotations

from typing import Any

import msgspec
import pytest

from reprocheck.errors import UsageError
from reprocheck.explain import explain_package, introduced_by
from reprocheck.model.snapshot import Layer, Provenance
from tests.make import environment, of, package, snapshot, tensorflow


def test_one_new_layer_brought_it() -> None:
    brought = introduced_by(of(layers=["a", "b"]), of(layers=["a", "b", "c"]))
    assert brought is not None
    assert (brought.layer, brought.layers) == (3, 3)
    assert (brought.diff_id, brought.instruction) == ("sha256:c", "RUN c")


@pytest.mark.parametrize(
    ("below", "above"),
    [
        (["a"], ["a"]),
        (["a"], ["a", "b", "c"]),
        (["a", "b"], ["a", "x", "c"]),
        (["a", "b"], ["a"]),
        ([], ["a"]),
        (["a"], []),
    ],
)
def test_otherwise_nobody_is_named(below: list[str], above: list[str]) -> None:
    assert introduced_by(of(layers=below), of(layers=above)) is None


@pytest.mark.parametrize("kinds", [("container", "image"), ("image", "container")])
def test_what_a_container_changed_lies_above_every_layer(kinds: tuple[Any, Any]) -> None:
    assert introduced_by(of(layers=["a"], kind=kinds[0]), of(layers=["a", "b"], kind=kinds[1])) is None


def test_a_layer_without_an_instruction() -> None:
    plain = Provenance(layers=(Layer(index=0, diff_id="sha256:a"), Layer(index=1, diff_id="sha256:b")))
    after = msgspec.structs.replace(of(), provenance=plain)
    brought = introduced_by(of(layers=["a"]), after)
    assert brought is not None
    assert brought.instruction is None


def test_explain_the_protobuf_story() -> None:
    (told,) = explain_package(tensorflow("4.21.1"), "Protobuf")
    assert (told.environment, told.name, told.version, told.origin) == ("/usr", "protobuf", "4.21.1", "index")
    assert [(one.by, one.specifier, one.satisfied) for one in told.required_by] == [
        ("tensorboard", "<3.20,>=3.9.2", False),
        ("tensorflow", ">=3.9.2", True),
    ]
    assert told.paths == (("tensorflow", "protobuf"), ("tensorflow", "tensorboard", "protobuf"))
    assert [(one.specifier, one.violates) for one in told.intervals if one.holds_installed] == [
        (">=3.20", ("tensorboard",))
    ]
    assert told.layer is None


def test_explain_what_it_requires_itself() -> None:
    one = package("a==1", "b>=2", "gone", 'c; extra == "x"', "??", 'd; sys_platform == "linux"')
    other = package("z==1", "a[x]")
    (told,) = explain_package(of(one, other, package("b==1"), package("c==1"), package("d==1")), "a")
    assert [(need.name, need.extra, need.installed, need.satisfied) for need in told.requires] == [
        ("b", None, "1", False),
        ("c", "x", "1", True),
        ("d", None, "1", True),
        ("gone", None, None, False),
    ]
    assert told.requires[2].marker == 'sys_platform == "linux"'
    assert [item.requirement for item in told.unjudged] == ["??"]


def test_explain_each_environment_and_the_copies_not_taken() -> None:
    hidden = package("a==0.5", active=False, location="{base}/x")
    told = explain_package(
        snapshot(
            environment(package("a==1", display_name="A"), hidden),
            environment(package("a==2"), name="/opt"),
            environment(name="/empty"),
        ),
        "a",
    )
    assert [(one.environment, one.version, one.display_name) for one in told] == [
        ("/opt", "2", "a"),
        ("/usr", "1", "A"),
    ]
    assert [(copy.version, copy.location) for copy in told[1].copies] == [("0.5", "{base}/x")]


def test_names_are_normalised() -> None:
    assert explain_package(of(package("ruamel-yaml==1")), "Ruamel.YAML")[0].name == "ruamel-yaml"


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"has no Python package numpi; did you mean numpy\?"):
        explain_package(of(package("numpy==1")), "numpi")
    with pytest.raises(UsageError, match=r"has no Python package zzz$"):
        explain_package(of(package("numpy==1")), "zzz")


def test_the_only_layer_is_known() -> None:
    (told,) = explain_package(of(package("a==1"), layers=["base"]), "a")
    assert told.layer is not None
    assert told.layer.diff_id == "sha256:base"
    assert explain_package(of(package("a==1"), layers=["base", "top"]), "a")[0].layer is None


def test_an_explanation_is_json() -> None:
    told = explain_package(tensorflow(), "protobuf")
    assert msgspec.json.decode(msgspec.json.encode(told))[0]["name"] == "protobuf"
