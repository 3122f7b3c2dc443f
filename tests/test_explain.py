from __future__ import annotations

import msgspec
import pytest

from reprocheck.errors import UsageError
from reprocheck.explain import explain_package
from tests.make import environment, of, package, snapshot, tensorflow


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


def test_a_name_may_be_written_as_it_is_printed() -> None:
    """Nobody can type what a name holds that is no text."""
    evil = of(package("evil\x1b[2j==1"), package("évil==1"))
    with pytest.raises(UsageError, match="did you mean"):
        explain_package(evil, "evil")
    (told,) = explain_package(evil, "evil\\x1b[2j")
    assert told.name == "evil\x1b[2j"
    assert explain_package(evil, "evil\x1b[2j") == (told,)
    assert explain_package(evil, "Évil")[0].name == "évil"
