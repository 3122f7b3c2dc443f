"""A layer on disk keeps directories open on the way: fewer calls, and still never a link that the kernel follows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from reprocheck.layers.directory import Directory
from reprocheck.layers.tree import Tree
from reprocheck.probe import collect
from reprocheck.targets.files import TreeFiles


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_deep_directories_are_read_with_few_handles(tmp_path: Path) -> None:
    deep = "/".join(f"d{number}" for number in range(200))
    (tmp_path / deep).mkdir(parents=True)
    (tmp_path / deep / "file").write_bytes(b"content")
    before = open_files()
    with closing(Directory(tmp_path)) as layer:
        tree = Tree([layer])
        place = tree.find(f"/{deep}/file".encode())
        assert tree.read(place, 0, 100) == b"content"
        assert open_files() - before < 50
        # And from another place right after.
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "file").write_bytes(b"2")
        assert layer.read(b"other/file", place.entry, 0, 10) == b"2"
        assert layer.read(f"{deep}/file".encode(), place.entry, 0, 10) == b"content"
    assert open_files() == before


def test_a_link_that_is_put_in_the_way_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "b").mkdir(parents=True)
    (outside / "b" / "secret").write_bytes(b"secret")
    (tmp_path / "root" / "a" / "b").mkdir(parents=True)
    (tmp_path / "root" / "a" / "b" / "file").write_bytes(b"mine")
    with closing(Directory(tmp_path / "root")) as layer:
        place = Tree([layer]).find(b"/a/b/file")
        (tmp_path / "root" / "a").rename(tmp_path / "root" / "gone")
        (tmp_path / "root" / "a").symlink_to(outside)
        # The directory that was open is still the one that was looked at.
        with pytest.raises(FileNotFoundError):
            layer.read(b"a/b/secret", place.entry, 0, 10)
        (tmp_path / "root" / "c").mkdir()
        assert layer.directory(b"c") == {}
        with pytest.raises(OSError, match="Not a directory"):
            layer.read(b"a/b/secret", place.entry, 0, 10)


def test_a_directory_below_a_known_one_is_found_as_from_the_root(tmp_path: Path) -> None:
    (tmp_path / "usr" / "lib" / "deep").mkdir(parents=True)
    (tmp_path / "usr" / "lib" / "deep" / "x.so").touch()
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "usr" / "lib" / "up").symlink_to("../..")
    (tmp_path / "usr" / "lib" / "file").touch()
    with closing(Directory(tmp_path)) as layer:
        files = TreeFiles(Tree([layer]))
        assert sorted(files.names(b"/lib")) == [b"deep", b"file", b"up"]
        assert files.names(b"/lib/deep") == [b"x.so"]
        assert sorted(files.names(b"/lib/up")) == [b"lib", b"usr"]
        assert files.names(b"/lib/up/usr/lib/deep") == [b"x.so"]
        with pytest.raises(NotADirectoryError):
            files.names(b"/lib/file")
        with pytest.raises(FileNotFoundError):
            files.names(b"/lib/none")


def test_find_over_a_tree_is_find_over_a_disk(tmp_path: Path) -> None:
    for path in ("site-packages/a/b/x.so", "site-packages/y.so.1", "site-packages/__pycache__/z.so"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "site-packages" / "round").symlink_to("..")
    want = {"group": "module", "name": r"[^/]+\.so(?:\.\d[\w.]*)?$", "leaves": ["__pycache__"]}
    on_disk = collect.Answer({"found": {}, "interpreters": {}})
    on_disk.find({**want, "at": f"{tmp_path}/site-packages"})
    with closing(Directory(tmp_path)) as layer:
        in_tree = collect.Answer({"found": {}, "interpreters": {}}, TreeFiles(Tree([layer])))
        in_tree.find({**want, "at": "/site-packages"})
    found = in_tree.state["found"]["module"]
    assert found == ["/site-packages/a/b/x.so", "/site-packages/y.so.1"]
    assert [f"{tmp_path}{path}" for path in found] == on_disk.state["found"]["module"]
