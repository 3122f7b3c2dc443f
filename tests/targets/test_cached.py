"""Images of an engine by the layer cache: what was read before, whole, or another route."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reprocheck.capture import collect
from reprocheck.errors import IncompleteError, TargetError
from reprocheck.layers.cache import LayerCache, directory
from reprocheck.model import codec
from reprocheck.model.evidence import EngineFacts
from reprocheck.model.snapshot import Layer
from reprocheck.targets.address import parse
from reprocheck.targets.resolve import Access
from tests.archives.make import sha
from tests.elf import shared_object
from tests.faults.made import APPS, BASE, archive, distribution, layer, layout
from tests.layers.archives import END, file
from tests.targets.test_stored import asks_for_more

UPPER = layer(file(b"opt/new", b"asked for later"), distribution("delta", "4.0"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Machine:
    """An engine that is not of this machine, with one image; nothing of it can be run."""

    def __init__(self, where: Path, *layers: bytes) -> None:
        self.layers = [sha(one) for one in layers]
        self.sent = 0
        """How often the engine has sent the image."""
        self.said: list[str] = []
        self.saved = Path(archive(where, *layers).removeprefix("archive:"))

    def told(self, **how: Any) -> dict[str, Any]:
        """The snapshot of the image."""
        image = {"Id": "sha256:0", "Size": 2e9, "Config": {}, "RootFS": {"Layers": self.layers}}
        facts = EngineFacts(
            image_id="sha256:0",
            platform="linux/amd64",
            layers=tuple(Layer(index=index, diff_id=one) for index, one in enumerate(self.layers)),
        )
        client = SimpleNamespace(get_image=self.send)
        access = Access(tell=self.said.append, **{"no_exec": True, **how})
        access._engine = SimpleNamespace(  # type: ignore[assignment] # noqa: SLF001 - as if it had been connected to
            image=lambda _: image, image_facts=lambda _: facts, local=False, client=client
        )
        address = parse("image:x")
        assert address is not None
        document: dict[str, Any] = json.loads(codec.encode_json(collect(address, access)[1]))
        return document

    def send(self, _: str) -> Iterator[bytes]:
        self.sent += 1
        yield self.saved.read_bytes()


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Machine]:
    return lambda *layers: Machine(tmp_path / f"saved-{len(layers)}.tar", *layers)


def facts(document: dict[str, Any]) -> dict[str, Any]:
    return {part: value for part, value in document.items() if part != "header"}


def test_what_the_engine_sent_is_not_sent_again(machine: Callable[..., Machine]) -> None:
    one = machine(BASE, APPS, UPPER, END)
    first, second = one.told(), one.told()
    assert one.sent == 1
    assert facts(first) == facts(second)
    assert [document["header"]["route"] for document in (first, second)] == ["save stream", "layer cache"]
    assert (second["header"]["executed"], second["header"]["checked"]) == (False, "digests")
    assert second["provenance"]["authors"]
    assert one.said == ["image:x: the engine sends 2.0 GB, all of which is read"]
    # A lower image has no layer that is not there.
    lower = machine(BASE, APPS)
    assert lower.told(no_exec=False)["header"]["route"] == "layer cache"
    assert lower.sent == 0


def test_one_layer_that_is_not_there_is_one_too_few(machine: Callable[..., Machine]) -> None:
    machine(BASE, APPS).told()
    derived = machine(BASE, APPS, UPPER)
    with pytest.raises(TargetError, match="from the layer cache: 1 of its 3 layers are not in it; leave out --route"):
        derived.told(route="cache")
    assert derived.told()["header"]["route"] == "save stream"
    assert derived.told(route="cache")["header"]["route"] == "layer cache"
    assert derived.told(route="save")["header"]["route"] == "save stream"


@pytest.mark.parametrize("how", [{"deep": True}, {"no_verify": True}])
def test_where_all_is_to_be_read_or_nothing_to_be_checked_it_is_not_taken(
    machine: Callable[..., Machine], how: dict[str, bool]
) -> None:
    one = machine(BASE, APPS)
    one.told()
    assert one.told(**how)["header"]["route"] == "save stream"
    with pytest.raises(TargetError, match="from the layer cache: it serves neither --deep nor --no-verify"):
        one.told(route="cache", **how)


@pytest.mark.parametrize("packing", ["+gzip", "+zstd"])
def test_compressed_layers_whose_contents_were_hashed(
    machine: Callable[..., Machine], tmp_path: Path, packing: str
) -> None:
    """By the digest of what is stored alone, nobody knows whether the engine's layer is the same."""
    stored = parse(layout(tmp_path / "i", BASE, APPS, packing=packing))
    assert stored is not None
    one = machine(BASE, APPS)
    collect(stored, Access())
    with pytest.raises(TargetError, match="2 of its 2 layers are not in it"):
        one.told(route="cache")
    collect(stored, Access(deep=True))
    assert facts(one.told(route="cache")) == facts(one.told(route="save"))


def test_a_layer_that_only_claims_its_name_is_not_taken(machine: Callable[..., Machine]) -> None:
    """Not even what an engine sends goes by a name that it was not hashed to."""
    liar = machine(BASE, UPPER)
    liar.layers[1] = sha(APPS)
    liar.told()
    assert not LayerCache(directory()).lacking([sha(UPPER)])
    with pytest.raises(TargetError, match="1 of its 2 layers are not in it"):
        machine(BASE, APPS).told(route="cache")


def test_what_the_cache_lacks_is_no_gap_but_another_route(
    machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine(BASE, UPPER)
    one.told()
    asks_for_more(monkeypatch)
    with pytest.raises(IncompleteError, match="image:x: the layer cache lacks the contents of some files"):
        one.told(route="cache")
    document = one.told()
    assert (document["header"]["route"], document["gaps"]) == ("save stream", [])
    assert one.said[1:] == [
        "image:x: the layer cache lacks the contents of some files; it is read by another route",
        "image:x: the engine sends 2.0 GB, all of which is read",
    ]
    # The second pass of the stream has added it.
    assert one.sent == 3
    assert one.told(route="cache")["gaps"] == []


def test_for_who_wrote_a_file_alone_the_image_is_not_sent_again(machine: Callable[..., Machine]) -> None:
    """Libraries are not kept as a whole, so that it is not known whether they are equal."""
    library = shared_object(soname="libcudnn.so.8", before_strings=1 << 20)
    one = machine(BASE, *(layer(file(b"usr/lib/libcudnn.so.8", library, mode=mode)) for mode in (0o644, 0o755)))
    first, sent = one.told(), one.sent
    second = one.told()
    assert (one.sent, second["header"]["route"]) == (sent, "layer cache")
    assert first["provenance"]["authors"]["accelerator"] == {"cudnn /usr/lib/libcudnn.so.8": 1}
    assert "accelerator" not in second["provenance"]["authors"]
    assert first["accelerator"] == second["accelerator"]


def test_a_stream_that_is_another_one_the_second_time(
    machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine(BASE, UPPER)
    asks_for_more(monkeypatch)
    first, sends = one.saved.read_bytes(), one.send

    def changing(name: str) -> Iterator[bytes]:
        for piece in sends(name):
            yield piece if one.sent == 1 else first.replace(b"asked for later", b"forged contents")

    monkeypatch.setattr(one, "send", changing)
    with pytest.raises(TargetError, match="digest mismatch layer 2"):
        one.told()
    assert LayerCache(directory()).lacking([sha(UPPER)])


def test_a_layer_with_losses_is_not_kept(machine: Callable[..., Machine]) -> None:
    one = machine(BASE, layer(file(b"../x"), distribution("delta", "4.0")))
    one.told()
    with pytest.raises(TargetError, match="1 of its 2 layers are not in it"):
        one.told(route="cache")


def test_notes_of_a_layer_are_told_again(machine: Callable[..., Machine]) -> None:
    one = machine(BASE, layer(file(b"x"), file(b"x"), distribution("delta", "4.0")))
    first, second = one.told(), one.told(route="cache")
    assert any("layer 2" in note["where"] for note in first["provenance"]["notes"])
    assert facts(second) == facts(first)


def test_a_layer_that_is_damaged_there(machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    one = machine(BASE, APPS)
    one.told()
    whole = LayerCache.load
    monkeypatch.setattr(LayerCache, "load", lambda self, digest: None if digest == sha(APPS) else whole(self, digest))
    with pytest.raises(TargetError, match="layer 2 of 2 is damaged there"):
        one.told(route="cache")
    assert one.told()["header"]["route"] == "save stream"
