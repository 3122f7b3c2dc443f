"""Layers of real archives of peers: what they flatten to, entry by entry."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from reprocheck.layers.blob import OpenFile, Window
from reprocheck.layers.entry import Layer
from reprocheck.layers.tar_layer import PlainLayer, StreamedLayer
from reprocheck.layers.tree import Place, Tree
from tests.layers.archives import limits, tree, troubles

SUFFIX = ".EXPECTED_FLAT.json"
_TYPES = {"file": "file", "dir": "dir", "symlink": "link"}


def corpus() -> Path:
    root = os.environ.get("REPROCHECK_CORPUS")
    if not root:
        pytest.skip("REPROCHECK_CORPUS is not set")
    return Path(root)


def archives() -> list[str]:
    """Image archives that come with the file system they flatten to; one empty name where there is no corpus."""
    root = os.environ.get("REPROCHECK_CORPUS")
    found = sorted(str(path.relative_to(root)) for path in Path(root).rglob(f"*.tar{SUFFIX}")) if root else []
    return [name.removesuffix(SUFFIX) for name in found] or [""]


@contextmanager
def window(path: Path) -> Iterator[Window]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield Window(OpenFile(handle), 0, os.fstat(handle).st_size)
    finally:
        os.close(handle)


def images(source: Window) -> list[tuple[list[str], Tree]]:
    """Tags and tree of each image of a docker-save archive; links of the archive itself are followed inside it."""
    outer = Tree([PlainLayer.open(source)])

    def content(name: str) -> bytes:
        place = outer.find(name.encode())
        return outer.read(place, 0, place.entry.size)

    def layer(name: str) -> Layer:
        place = outer.find(name.encode())
        raw = content(name)
        if raw.startswith(b"\x1f\x8b"):
            return StreamedLayer.open(lambda: io.BytesIO(gzip.decompress(raw)), lambda *_: False, **limits())
        return PlainLayer.open(source.sub(place.entry.offset, place.entry.size))

    found = []
    for image in json.loads(content("manifest.json")):
        layers = [layer(name) for name in image["Layers"]]
        for one in layers:
            assert isinstance(one, PlainLayer | StreamedLayer)
            assert not [problem for problem in one.index.problems if problem.lost]
        found.append((image["RepoTags"] or [], Tree(layers)))
    return found


def flat(found: Tree) -> dict[str, dict[str, Any]]:
    """The file system as the corpus states it, but for what it adds to the permission bits."""
    shown: dict[str, dict[str, Any]] = {}
    left = [b""]
    while left:
        path = left.pop()
        for name, (entry, layer) in found.directory(path).items():
            whole = path + b"/" + name if path else name
            one: dict[str, Any] = {"type": entry.type, "layer": layer}
            if entry.type == "link":
                one["target"] = entry.link.decode()
            else:
                one["mode"] = entry.mode
            if entry.type == "dir":
                left.append(whole)
            if entry.type == "file":
                place = Place(whole, entry, layer)
                found.fetch([place])
                contents = found.read(place, 0, entry.size)
                one |= {"size": entry.size, "sha256": hashlib.sha256(contents).hexdigest()}
            shown[whole.decode()] = one
    return shown


def stated(entries: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    shown = {}
    for path, one in entries.items():
        entry = {**one, "type": _TYPES[one["type"]]}
        if "mode" in entry:
            entry["mode"] = int(entry["mode"], 8) & 0o7777
        shown[path] = entry
    return shown


@pytest.mark.parametrize("name", archives())
def test_image_archives_flatten_exactly(name: str) -> None:
    archive = corpus() / name
    expected = json.loads(Path(f"{archive}{SUFFIX}").read_text())
    assert expected
    with window(archive) as source:
        found = images(source)
        assert len(found) == len(expected)
        for (tags, tree_of_image), image in zip(found, expected, strict=True):
            assert image["ref"] is None or image["ref"] in [*tags, *(tag.partition(":")[0] for tag in tags)]
            assert len(tree_of_image.layers) == image["n_layers"]
            assert flat(tree_of_image) == stated(image["entries"])


def test_the_corpus_has_all_its_archives() -> None:
    corpus()
    assert len(archives()) == 25


def test_one_path_twice_in_one_tar() -> None:
    """Both orders of the same two entries: the last one counts, it is said, and the two don't agree."""
    folder = corpus() / "moby/daemon/builder/remotecontext/internal/tarsum/testdata/collision"
    with ExitStack() as stack:
        layers = [
            PlainLayer.open(stack.enter_context(window(folder / f"collision-{number}.tar"))) for number in range(4)
        ]
        for layer in layers[:2]:
            assert [lost for _, reason, lost in troubles(layer.index) if "duplicate entry" in reason] == [False]
            assert len(tree(layer.index)) == 1
        for layer in layers[2:]:
            assert layer.index.problems == ()
        contents = [
            {name: layer.read(name, one, 0, 100) for name, one in layer.directory(b"").items()} for layer in layers
        ]
    assert contents[0] != contents[1]
    # Each of the two ends as the archive that has its last entry alone.
    assert {str(contents[0]), str(contents[1])} == {str(contents[2]), str(contents[3])}


def test_nothing_escapes() -> None:
    with window(corpus() / "osv-scalibr/artifact/image/unpack/testdata/escape.tar") as source:
        layer = PlainLayer.open(source)
    listed = tree(layer.index)
    # The directory of the first entry is replaced by a link later, and what was in it goes with it.
    assert listed["escape"].startswith("link trampoline/")
    assert "escape/poc.txt" not in listed
    assert "tmp/poc.txt" not in listed
    assert not any(lost for _, _, lost in troubles(layer.index))
    stack = Tree([layer])
    with pytest.raises(OSError, match="No such file"):
        stack.find(b"usr/share/doc/c/copyright")
