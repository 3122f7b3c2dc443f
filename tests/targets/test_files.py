"""A tree of layers, looked at by the probe's code, shows what a disk with the same files shows."""

from __future__ import annotations

import json
import os
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reprocheck.layers.directory import Directory
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import AnyWant, List, Read, Walk
from reprocheck.probe import collect
from reprocheck.targets.files import TreeFiles
from reprocheck.targets.mounts import Mounts
from tests.evidence import plant
from tests.layers.archives import directory, entry, file, link, plain

FIND = Walk(root="/", search="always", find={"x": "x.*"}, leaves=("leaf",), otherwise={})
FILES = {
    "/etc/a": "a\n\nbody\n",
    "/etc/long": "x" * 5000,
    "/etc/url": "https://me:secret@example.invalid/\n",
    "/x1/x2/leaf/x3": "not entered",
    "/usr/bin/x4": "\x00\x01",
}


def asked(files: Any, *wants: AnyWant) -> dict[str, Any]:
    """What the probe's code answers over a file system."""
    answer = collect.Answer({"found": {}, "interpreters": {}}, files)
    request = {"wants": json.loads(msgspec.json.encode(list(wants))), "marker": "", "seconds": 60}
    told: dict[str, Any] = json.loads(json.dumps(collect.answer(request, answer)))
    for listing in told["listings"].values():
        # The size of a directory is its file system's business.
        listing["entries"] = [[*one[:2], 0 if one[1] == "dir" else one[2], *one[3:]] for one in listing["entries"]]
    return {part: told[part] for part in ("found", "walk", "files", "listings")}


def moved(told: dict[str, Any], root: str) -> dict[str, Any]:
    """What was told of a disk, as if the root were at its root."""
    text: dict[str, Any] = json.loads(json.dumps(told).replace(f"{root}/", "/").replace(root, "/"))
    return text


def test_a_tree_and_a_disk_give_the_same_answers(tmp_path: Path) -> None:
    root = plant(tmp_path / "root", FILES)
    (root / "etc/link").symlink_to("a")
    (root / "etc/out").symlink_to("nowhere")
    (root / "etc/loop").symlink_to("loop")
    (root / "usr/lib").symlink_to("bin")
    os.mkfifo(root / "etc/pipe")
    wants: tuple[List | Read, ...] = (
        List(at="/etc"), List(at="/none"), List(at="/etc/a"), List(at="/*"), Read(at="/etc/*"),
        Read(at="/etc/long", limit=7),
        Read(at="/etc/a", part="header"), Read(at="/etc/a", part="digest"), Read(at="/usr/lib/x4"), Read(at="/none/*"),
        Read(at="/none"), Read(at="/etc/a/b"), Read(at="/et[c]/a"),
    )  # fmt: skip
    start = str(root)
    on_disk = [msgspec.structs.replace(want, at=start + want.at) for want in wants]
    with closing(Directory(root)) as layer:
        tree = asked(TreeFiles(Tree([layer])), FIND, *wants)
    disk = asked(collect.Disk(), msgspec.structs.replace(FIND, root=start), *on_disk)
    assert tree == moved(disk, start)
    assert tree["found"]["x"] == ["/usr/bin/x4", "/x1", "/x1/x2"]
    assert tree["files"]["/etc/pipe"]["problem"] == "not a regular file"
    assert "secret" not in json.dumps(tree)


def test_layers_and_a_disk_give_the_same_answers(tmp_path: Path) -> None:
    layers = [
        plain(
            *(file(path.lstrip("/").encode(), text.encode(), mode=0o644) for path, text in FILES.items()),
            file(b"etc/gone"),
        ),
        plain(file(b"etc/.wh.gone"), link(b"etc/link", b"a")),
    ]
    root = plant(tmp_path / "root", FILES)
    (root / "etc/link").symlink_to("a")
    wants: tuple[List | Read, ...] = (List(at="/etc"), Read(at="/etc/*"), Read(at="/*/*/x4"))
    tree = asked(TreeFiles(Tree(layers)), FIND, *wants)
    start = str(root)
    on_disk = [msgspec.structs.replace(want, at=start + want.at) for want in wants]
    assert tree == moved(asked(collect.Disk(), msgspec.structs.replace(FIND, root=start), *on_disk), start)


def test_mounts_are_named_and_not_looked_into() -> None:
    """What the layers have there is hidden by what is mounted, which is not known here."""
    tree = Tree([plain(file(b"data/x1", b"hidden"), file(b"x2"), link(b"way", b"data/x1"), directory(b"data/x3"))])
    told = asked(
        TreeFiles(tree, Mounts(tree, ["/data"])),
        FIND,
        Read(at="/data/x1"),
        Read(at="/way"),
        Read(at="/x2"),
        List(at="/data"),
    )
    assert told["walk"]["mounts"] == ["/data"]
    assert told["found"]["x"] == ["/x2"]
    assert told["files"]["/data/x1"]["problem"] == told["files"]["/way"]["problem"] == "EXDEV"
    assert told["files"]["/x2"]["problem"] is None
    assert told["listings"]["/data"]["problem"] == "EXDEV"


def test_a_mount_point_is_there_for_who_lists_the_directory_around_it() -> None:
    tree = Tree([plain(file(b"site/pkg/a"), file(b"site/one"), link(b"site/way", b"pkg"))])
    listing = asked(TreeFiles(tree, Mounts(tree, ["/site/pkg"])), List(at="/site"))["listings"]["/site"]
    assert listing["problem"] is None
    assert [(name, kind, is_dir) for name, kind, _, is_dir, _ in listing["entries"]] == [
        ("one", "file", False),
        ("pkg", "dir", True),
        ("way", "link", True),
    ]


@pytest.mark.parametrize("mount", ["/lib/python3", "/usr/lib/python3", "/usr//lib/python3/"])
def test_a_mount_is_where_the_links_of_the_layers_lead(mount: str) -> None:
    """An engine follows them when it mounts."""
    tree = Tree([plain(file(b"usr/lib/python3/x1", b"hidden"), link(b"lib", b"usr/lib"))])
    told = asked(
        TreeFiles(tree, Mounts(tree, [mount])), FIND, Read(at="/usr/lib/python3/x1"), Read(at="/lib/python3/x1")
    )
    assert {file["problem"] for file in told["files"].values()} == {"EXDEV"}
    assert told["walk"]["mounts"] == ["/usr/lib/python3"]


def test_a_link_below_a_mount_leads_nowhere() -> None:
    """Nobody knows what is there, least of all that it is still this link."""
    tree = Tree([plain(file(b"x2"), link(b"data/way", b"/x2"), file(b"data/x1"))])
    files = TreeFiles(tree, Mounts(tree, ["/data"]))
    told = asked(files, Read(at="/data/way"), Read(at="/data/x1"))
    assert {file["problem"] for file in told["files"].values()} == {"EXDEV"}
    assert files.real(b"/data/way") == b"/data/way"
    assert files.is_mounted(b"/data/way")
    assert not files.is_mounted(b"/x2")


def test_a_mount_point_that_no_layer_has_is_not_known_either() -> None:
    """The engine makes it when the container starts for the first time."""
    tree = Tree([plain(file(b"x2"), link(b"way", b"data/deep"))])
    files = TreeFiles(tree, Mounts(tree, ["/data"]))
    told = asked(files, List(at="/data"), List(at="/data/deep"), List(at="/way"), List(at="/none"))
    problems = {path: listing["problem"] for path, listing in told["listings"].items()}
    assert problems == {"/data": "EXDEV", "/data/deep": "EXDEV", "/way": "EXDEV", "/none": "ENOENT"}
    assert files.sizes(b"/data", [b"x"]) == ["EXDEV"]


def test_directories_are_where_those_above_them_lead() -> None:
    """Asked for one after another, or at once: the same, links on the way or not."""
    layer = plain(
        file(b"a/b/c/x1", b"1"), link(b"way", b"a"), link(b"a/up", b".."), link(b"a/b/out", b"/a/none"), file(b"x")
    )
    paths = [
        b"/",
        b"/way",
        b"/way/b",
        b"/way/b/c",
        b"/way/up",
        b"/way/up/a",
        b"/a",
        b"/a/b",
        b"/a/b/out",
        b"/x",
        b"/x/y",
    ]
    paths += [b"/a/b/", b"/a/b/.", b"/a/b/..", b"/a/b/../b", b"/way" + b"/." * 2100, b"/a/none"]
    one = TreeFiles(Tree([layer]))
    for path in paths * 2:
        assert one.sizes(path, [b"x1", b"c", b"x"]) == TreeFiles(Tree([layer])).sizes(path, [b"x1", b"c", b"x"]), path
    assert one.sizes(b"/way/b/c", [b"x1", b"x2"]) == [1, "ENOENT"]
    assert one.sizes(b"/a/b", [b"c", b"out"]) == [None, "ENOENT"]


@pytest.mark.parametrize("kind", [b"3", b"4", b"6"])
def test_a_special_file_is_there_and_is_not_read(kind: bytes) -> None:
    files = TreeFiles(Tree([plain(entry(b"x", kind, device=(1, 3)))]))
    assert asked(files, Read(at="/x"))["files"]["/x"]["problem"] == "not a regular file"
    assert files.real(b"/x") is None
    assert files.is_dir(b"/x") is False
    assert files.names(b"/") == [b"x"]


def test_where_directories_are_is_remembered_by_bytes() -> None:
    """Directories in directories have long paths: ten names of a tar make as many of them as is remembered."""
    tree = Tree([plain(*(file(b"%d/" % number + b"d/" * 1900 + b"x") for number in range(10)))])
    files = TreeFiles(tree)
    tracemalloc.start()
    try:
        left = [b""]
        while left:
            where = left.pop()
            left += [where + b"/" + name for name, is_directory in files.scan(where) if is_directory]
        # A merged directory is known by its path, once: 10 * 1,900 of 1,900 bytes, and 20 MiB for all else.
        assert tracemalloc.get_traced_memory()[1] < (35 + 20) << 20
    finally:
        tracemalloc.stop()
