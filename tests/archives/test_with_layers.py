"""From a stored image to the files in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reprocheck.archives.digest import DigestError
from reprocheck.archives.image import Image
from reprocheck.archives.image import Layer as Stored
from reprocheck.layers.blob import Pieces
from reprocheck.layers.entry import Layer
from reprocheck.layers.tar_layer import PlainLayer, StreamedLayer
from reprocheck.layers.tree import Tree
from tests.archives.make import saved, simple
from tests.archives.reading import opened
from tests.archives.test_archive import PACK, SHAPES, write
from tests.layers.archives import limits


def everything_small(_name: bytes, size: int) -> bool:
    return size < 1000


def visit(reader: Pieces) -> StreamedLayer:
    return StreamedLayer.open(lambda: reader, everything_small, **limits())


def layer(stored: Stored) -> Layer:
    if stored.window is not None:
        return PlainLayer.open(stored.window)
    visited = stored.visited
    if isinstance(visited, StreamedLayer):
        return StreamedLayer(visited.index, visited.kept, stored.open, **limits())
    return StreamedLayer.open(stored.open, everything_small, **limits())


def read(image: Image) -> dict[bytes, bytes]:
    tree = Tree([layer(stored) for stored in image.layers])
    places = [tree.find(path) for path in (b"etc/os-release", b"opt/a", b"opt/b")]
    tree.fetch(places)
    return {place.path: tree.read(place, 0, place.entry.size) for place in places}


FILES = {b"etc/os-release": b"ID=made\n", b"opt/a": b"a" * 5000, b"opt/b": b"b" * 700}


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("visiting", [None, visit])
def test_the_files_of_every_shape(
    tmp_path: Path, shape: str, packing: str, visiting: Callable[[Pieces], object] | None
) -> None:
    with opened(write(tmp_path / "i", SHAPES[shape](), packing), visit=visiting) as image:
        assert read(image) == FILES


@pytest.mark.parametrize("packing", ["", "+gzip", "+zstd"])
def test_the_files_of_a_layout(tmp_path: Path, packing: str) -> None:
    with opened(simple(packing).directory(tmp_path)) as image:
        assert read(image) == FILES


def test_a_layer_that_was_changed_ends_the_reading(tmp_path: Path) -> None:
    path = simple("+gzip").directory(tmp_path)
    with opened(path) as image:
        digest = image.layers[1].digest
    blob = path / "blobs" / digest.replace(":", "/")
    blob.write_bytes(blob.read_bytes() + b"x")
    with opened(path, verify=True) as image, pytest.raises(DigestError, match="digest mismatch layer 2"):
        read(image)


def test_a_layer_that_is_cut_gives_the_others(tmp_path: Path) -> None:
    files = saved()
    name = [name for name in files if name.endswith("layer.tar")][1]
    files[name] = files[name][:700]
    with opened(write(tmp_path / "i", files)) as image:
        lower, upper = (layer(stored) for stored in image.layers)
        assert lower.directory(b"opt").keys() == {b"a"}
        assert isinstance(upper, PlainLayer)
        assert [problem.lost for problem in upper.index.problems] == [True]
