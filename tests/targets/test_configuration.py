"""The settings of an image or container."""

from __future__ import annotations

from typing import Any

import pytest

from reprocheck.targets.configuration import settings, variable

NOTHING: dict[str, Any] = {
    "user": None, "entrypoint": (), "cmd": (), "env": None, "exposed_ports": None, "labels": None, "volumes": None,
    "workdir": None,
}  # fmt: skip


def test_what_is_not_set_is_empty() -> None:
    told = settings(**NOTHING)
    assert told["user"] == told["workdir"] == ""
    assert told["entrypoint"] == told["cmd"] == told["exposed_ports"] == told["volumes"] == ()
    assert told["labels"] == told["variables"] == {}


def test_sets_are_sorted() -> None:
    told = settings(**{**NOTHING, "exposed_ports": {"80/tcp": {}, "22/tcp": {}}, "volumes": ["/b", "/a"]})
    assert told["exposed_ports"] == ("22/tcp", "80/tcp")
    assert told["volumes"] == ("/a", "/b")


def test_secrets_are_withheld() -> None:
    told = settings(
        **{
            **NOTHING,
            "cmd": ["serve", "--password=hunter2"],
            "entrypoint": ["run", "--token", "hunter2"],
            "env": ["TOKEN=hunter2", "PYTHONPATH=/opt:https://me:hunter2@example.invalid"],
            "labels": {"deploy.token": "hunter2"},
        }
    )
    assert "hunter2" not in repr(told)
    assert told["variables"]["TOKEN"] is None
    assert told["variables"]["PYTHONPATH"].startswith("/opt")
    other = settings(**{**NOTHING, "cmd": ["serve", "--password=hunter3"], "entrypoint": ["run", "--token", "hunter2"]})
    assert told["command_sha256"] != other["command_sha256"]


@pytest.mark.parametrize(
    ("env", "value"),
    [(None, None), ([], None), (["HOME=/a"], "/a"), (["HOME=/a", "HOME=/b"], "/b"), (["HOME"], ""),
     (["XHOME=/a"], None), (["HOME=/a=b"], "/a=b")],
)  # fmt: skip
def test_a_variable_for_use_here(env: list[str] | None, value: str | None) -> None:
    """The last one counts, as where a container is started with it."""
    assert variable(env, "HOME") == value
