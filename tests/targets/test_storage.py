"""The engine's storage, as its driver describes it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from reprocheck.targets.storage import Unreadable, open_storage, refused
from tests.evidence import plant


def inspected(root: Path, *names: str, driver: str = "overlay2", **more: Any) -> dict[str, Any]:
    """What the engine says of an image whose layers are these directories, the lowest first."""
    *lower, upper = (str(root / name) for name in names)
    data: dict[str, Any] = {"UpperDir": upper}
    if lower:
        data["LowerDir"] = ":".join(reversed(lower))
    return {"GraphDriver": {"Name": driver, "Data": data}, "RootFS": {"Layers": list(names)}, **more}


def planted(tmp_path: Path) -> Path:
    for name in ("one", "two", "three"):
        plant(tmp_path / name, {"/x": name, f"/{name}": ""})
    return tmp_path


def test_layers_stand_in_the_order_of_the_image(tmp_path: Path) -> None:
    root = planted(tmp_path)
    with open_storage(inspected(root, "one", "two", "three"), local=True) as tree:
        place = tree.find(b"x")
        assert (place.layer, tree.read(place, 0, 99)) == (2, b"three")
        assert [tree.find(name).layer for name in (b"one", b"two", b"three")] == [0, 1, 2]
    with open_storage(inspected(root, "one"), local=True) as tree:
        assert sorted(tree.directory(b"")) == [b"one", b"x"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"GraphDriver": {"Name": "btrfs", "Data": {}}}, "the engine's storage driver is btrfs, not overlay2"),
        ({"GraphDriver": None}, "the engine's storage driver is not known, not overlay2"),
        ({"GraphDriver": {"Name": "overlay2", "Data": None}}, "the engine does not say where its layers are"),
        ({"GraphDriver": {"Name": "overlay2", "Data": {"UpperDir": ""}}}, "the engine does not say where"),
        ({"RootFS": {"Layers": ["one"]}}, "the engine's storage has 2 directories for 1 layers"),
        ({"RootFS": {"Layers": ["one", "two", "three"]}}, "the engine's storage has 2 directories for 3 layers"),
    ],
)  # fmt: skip
def test_storage_that_is_of_another_kind(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    told = {**inspected(planted(tmp_path), "one", "two"), **change}
    with pytest.raises(Unreadable, match=reason), open_storage(told, local=True):
        pass


def test_an_engine_elsewhere(tmp_path: Path) -> None:
    """Its paths are another machine's."""
    told = inspected(planted(tmp_path), "one")
    with pytest.raises(Unreadable, match="not reached by a socket of this machine"), open_storage(told, local=False):
        pass


@pytest.mark.parametrize("wrong", ["gone", "a file", "closed"])
def test_directories_that_can_not_be_read(tmp_path: Path, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = planted(tmp_path)
    (root / "a file").write_text("")
    if wrong == "closed":
        (root / "closed").mkdir()
        opened = os.open

        def closed(path: Any, *more: Any, **options: Any) -> int:
            # Root may enter what is closed to others.
            if Path(path) == root / "closed":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return opened(path, *more, **options)

        monkeypatch.setattr(os, "open", closed)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with (
        pytest.raises(Unreadable, match=f"{wrong} can't be read"),
        open_storage(inspected(root, "one", wrong, "two"), local=True),
    ):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "nothing stays open"


def test_a_route_that_was_asked_for_by_name() -> None:
    said = str(refused("image:x", "why"))
    assert said == "image:x: its storage can't be read: why; leave out --route, or run as root"
