"""Which route is taken, by what this machine lets a target be read by and what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reprocheck.errors import TargetError, UsageError
from reprocheck.layers.cache import LayerCache, directory
from reprocheck.model.evidence import EngineFacts, Read
from reprocheck.targets import archive_endpoint, exec, save, throw_away  # noqa: A004 - the module of a route
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access, open_target
from tests.evidence import plant
from tests.layers.archives import file, index
from tests.targets.test_storage import inspected

IMAGE, CONTAINER = Address("image", "x"), Address("container", "x")


@pytest.fixture
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine whose engine has one image and one container of it, of two layers."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("one", "two"):
        plant(tmp_path / name, {"/x": name})
    taken: list[str] = []

    def session(route: str) -> Any:
        @contextmanager
        def opening(document: Any, *_: Any, **__: Any) -> Iterator[Any]:
            taken.append(route)
            yield SimpleNamespace(document=document, answer=lambda _wants: None)

        return SimpleNamespace(open=opening)

    def single(document: Any, *_: Any) -> Any:
        taken.append("archive")
        return SimpleNamespace(document=document, answer=lambda _wants: None)

    monkeypatch.setattr(throw_away, "ThrowAwaySession", session("container"))
    monkeypatch.setattr(save, "open_saved", session("save").open)
    monkeypatch.setattr(exec, "ExecSession", session("exec"))
    monkeypatch.setattr(archive_endpoint, "ArchiveSession", single)

    def of(
        *, readable: bool = True, known: Sequence[str] = (), state: str = "running", **options: Any
    ) -> tuple[str, list[str]]:
        """The route that a target is read by, and what was said; ``known``: layers that stand in the cache."""
        for name in known:
            LayerCache(directory()).store(name, index(file(b"x", name.encode())), {512: name.encode()})
        taken.clear()
        said: list[str] = []
        told = {
            **inspected(tmp_path, "one", "two"), "Id": "sha256:0", "Name": "/x", "Size": 2_000_000_000, "Config": {},
            "State": {"Status": state},
        }  # fmt: skip
        facts = EngineFacts(image_id="sha256:0", platform="linux/amd64", state=state)
        engine = SimpleNamespace(
            image=lambda _: told, container=lambda _: told, image_facts=lambda _: facts,
            container_facts=lambda _: facts, local=readable,
        )  # fmt: skip
        target = options.pop("target")
        reached = Access(tell=said.append, **options)
        reached._engine = engine  # type: ignore[assignment] # noqa: SLF001 - as if it had been connected to
        with open_target(target, reached) as one:
            if not taken:
                answer = one.answer([Read(at="/x")])
                assert answer is not None
                assert answer.files["/x"].content == "two"
                assert one.document.header.executed is False
                taken.append({"engine storage": "storage", "layer cache": "cache"}[one.document.header.route])
        return taken[0], said

    return of


@pytest.mark.parametrize(
    ("readable", "options", "route"),
    [
        (True, {}, "storage"),
        (False, {}, "container"),
        (True, {"no_exec": True}, "storage"),
        (False, {"no_exec": True}, "save"),
        (True, {"route": "storage"}, "storage"),
        (True, {"route": "container"}, "container"),
        (True, {"route": "save"}, "save"),
        (False, {"route": "save"}, "save"),
        (True, {"known": ["one", "two"]}, "storage"),
        (False, {"known": ["one", "two"]}, "cache"),
        (False, {"known": ["two"]}, "container"),
        (False, {"known": ["one", "two"], "no_exec": True}, "cache"),
        (False, {"known": ["one"], "no_exec": True}, "save"),
        (True, {"known": ["one", "two"], "route": "cache"}, "cache"),
        (False, {"known": ["one", "two"], "route": "container"}, "container"),
        (False, {"known": ["one", "two"], "deep": True}, "container"),
    ],
)
def test_an_image(access: Any, readable: bool, options: dict[str, Any], route: str) -> None:
    taken, said = access(target=IMAGE, readable=readable, **options)
    assert taken == route
    # What takes half a minute says so before.
    assert said == (["image:x: the engine sends 2.0 GB, all of which is read"] if route == "save" else [])


@pytest.mark.parametrize(
    ("readable", "state", "options", "route"),
    [
        (True, "running", {}, "exec"),
        (False, "running", {}, "exec"),
        (True, "running", {"no_exec": True}, "storage"),
        (False, "running", {"no_exec": True}, "archive"),
        (True, "exited", {}, "storage"),
        (True, "paused", {}, "storage"),
        (False, "created", {}, "archive"),
        (True, "exited", {"route": "archive"}, "archive"),
        (True, "running", {"route": "storage"}, "storage"),
        (True, "running", {"route": "archive"}, "archive"),
    ],
)
def test_a_container(access: Any, readable: bool, state: str, options: dict[str, Any], route: str) -> None:
    assert access(target=CONTAINER, readable=readable, state=state, **options) == (route, [])


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        (
            IMAGE,
            {"readable": False, "route": "storage"},
            "image:x: its storage can't be read: the engine is not reached",
        ),
        (IMAGE, {"route": "cache"}, "image:x: can't be read from the layer cache: 2 of its 2 layers are not in it"),
        (CONTAINER, {"readable": False, "route": "storage"}, "container:x: its storage can't be read"),
        (CONTAINER, {"state": "exited", "route": "exec"}, "container:x: can't be read by exec: it is exited"),
        (CONTAINER, {"no_exec": True, "route": "exec"}, "container:x: can't be read by exec: nothing of it may be run"),
        (IMAGE, {"no_exec": True, "route": "container"}, "image:x: .*nothing of it may be run"),
    ],
)
def test_a_route_that_can_not_be_taken(access: Any, target: Address, options: dict[str, Any], said: str) -> None:
    """Another one is never taken in its place."""
    with pytest.raises((TargetError, UsageError), match=said):
        access(target=target, **options)


@pytest.mark.parametrize(
    ("target", "route"),
    [(IMAGE, "exec"), (IMAGE, "archive"), (CONTAINER, "container"), (CONTAINER, "save"), (CONTAINER, "cache")],
)
def test_a_route_of_another_kind(access: Any, target: Address, route: str) -> None:
    with pytest.raises(
        UsageError, match=f"can't be read by the route {route}; routes are image: storage, cache, container"
    ):
        access(target=target, route=route)


@pytest.mark.parametrize("kind", ["archive", "oci", "rootfs", "snapshot"])
def test_what_has_one_route(kind: Any) -> None:
    with (
        pytest.raises(UsageError, match="can't be read by the route"),
        open_target(Address(kind, "x"), Access(route="storage")),
    ):
        pass


def test_interpreters_are_read_by_running_them() -> None:
    with (
        pytest.raises(UsageError, match="read its files with rootfs:DIR"),
        open_target(Address("python", "/usr/bin/python3"), Access(no_exec=True)),
    ):
        pass
