"""Which engine answers, by what it is asked, and what is said where none does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reprocheck.errors import EngineError, TargetError
from reprocheck.targets.engine import connect
from reprocheck.targets.engine_address import candidates
from tests.targets.answering import CLOSED, PING, http, serving, serving_tcp

ROOT = Path(__file__).resolve().parents[2]
VERSION = http(b'{"ApiVersion": "1.41"}')


def test_which_was_tried_and_why_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, why in (("none", "no such socket"), ("file", "nobody listens"), ("x" * 200, "AF_UNIX path too long")):
        with pytest.raises(EngineError) as caught:
            connect(f"unix://{tmp_path}/{name}")
        assert f"no container engine answers (--engine unix://{tmp_path}/{name}: {why})" in str(caught.value)


def test_what_an_engine_says_no_to_is_told_with_what_it_was_asked() -> None:
    with serving(PING, http(b'{"message": "no"}', status="500 Oh"), CLOSED) as (_, path):
        engine = connect(f"unix://{path}")
        with pytest.raises(EngineError, match=r"^image:x: the engine refused \(no\)$"):
            engine.image("x")
        with pytest.raises(EngineError, match=r"^container:x: the connection to the engine was lost \(Remote"):
            engine.container("x")


def test_an_engine_elsewhere_is_asked_by_the_sdk() -> None:
    answers = (
        http(b'{"Id": "x"}'), http(b'{"ID": "y"}'), http(b"[]"), http(b'{"message": "none"}', status="404 Not Found"),
        http(b'{"message": "none"}', status="404 Not Found"), http(b'{"message": "no"}', status="500 Oh"),
        http(b"{", length=40) + CLOSED,
    )  # fmt: skip
    with serving_tcp(VERSION, *answers) as (server, address):
        engine = connect(address)
        assert (engine.local, engine.address) == (False, address)
        assert engine.image("a/b") == {"Id": "x"}
        assert engine.info() == {"ID": "y"}
        assert engine.image_facts({"Id": "x", "RootFS": {"Layers": []}}).image_id == "x"
        assert engine.client.history("x") == []
        with pytest.raises(TargetError, match=r"^image:x: the engine has no such image; get it with: docker pull x$"):
            engine.image("x")
        with pytest.raises(TargetError, match=r"^container:x: the engine has no such container; docker ps -a lists"):
            engine.container("x")
        with pytest.raises(EngineError, match=r"^container:x: the engine refused \(no\)$"):
            engine.container("x")
        with pytest.raises(EngineError, match=r"^container:x: the connection to the engine was lost \("):
            engine.container("x")
        engine.client.close()
    assert server.asked[:2] == ["GET /version HTTP/1.1", "GET /v1.41/images/a/b/json HTTP/1.1"]


def test_what_streams_goes_by_the_sdk_to_the_same_engine() -> None:
    with serving(PING, CLOSED, http(b'{"message": "no"}', status="500 Oh")) as (server, path):
        engine = connect(f"unix://{path}")
        with pytest.raises(EngineError):
            engine.info()
        client = engine.client
        assert engine.client is client
        assert client.api_version == "1.41"
        with pytest.raises(Exception, match="no"):
            client.containers()
        client.close()
    assert server.asked[-1].startswith("GET /v1.41/containers/json")


def test_an_engine_that_the_sdk_does_not_take() -> None:
    ancient = http(b"OK", head="Api-Version: 1.5\r\n")
    with serving(ancient) as (_, path):
        engine = connect(f"unix://{path}")
        with pytest.raises(EngineError, match=rf"^the engine at unix://{path} can't be used \(API versions below"):
            engine.client  # noqa: B018


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (None, "default socket"),
        ({}, "default socket"),
        ({"currentContext": "default"}, "default socket"),
        ({"currentContext": ""}, "default socket"),
        ({"currentContext": 1}, "default socket"),
        ("no JSON", "default socket"),
        ({"currentContext": "other"}, "docker context"),
    ],
)
def test_the_context_of_the_docker_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: object, named: str
) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".docker"
    known = folder / "contexts" / "meta" / hashlib.sha256(b"other").hexdigest() / "meta.json"
    known.parent.mkdir(parents=True)
    known.write_text(json.dumps({"Name": "other", "Metadata": {}, "Endpoints": {"docker": {"Host": "tcp://o:1"}}}))
    if config is not None:
        (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    assert next(candidates(None))[0] == named


@pytest.mark.engine
def test_the_sdk_is_not_loaded_to_read_what_lies_here(image: Callable[[str], str], tmp_path: Path) -> None:
    """An image in the engine's storage, and what doctor says of the engine: plain questions alone."""
    if os.geteuid() != 0:
        pytest.skip("the engine's storage is open to root alone")
    for words in (("capture", f"image:{image('small')}", "-o", str(tmp_path / "x.json")), ("doctor",)):
        ran = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "reprocheck", *words],
            cwd=ROOT, capture_output=True, check=True, text=True,
        )  # fmt: skip
        loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines()}
        assert "reprocheck" in loaded
        assert not loaded & {"docker", "requests", "urllib3"}
