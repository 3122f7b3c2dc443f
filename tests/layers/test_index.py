"""What a layer's members come to, by the OCI image specification ("Image Layer Filesystem Changeset")."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import encode

from reprocheck.layers import builder
from reprocheck.layers.builder import LISTED, IndexBuilder
from reprocheck.layers.entry import SPARSE, Entry
from reprocheck.layers.index import LayerIndex
from reprocheck.layers.problem import Problem
from reprocheck.layers.tar import Member
from tests.layers.archives import directory, entry, file, hard, header, index, link, pax, tree, troubles

ROOT = Path(__file__).resolve().parents[2]


def only(found: LayerIndex) -> tuple[str, str, bool]:
    """The one problem of a layer."""
    assert len(found.problems) == 1, found.problems
    return troubles(found)[0]


def test_normal() -> None:
    found = index(directory(b"usr/", mode=0o750), file(b"usr/a", b"hello"), link(b"l", b"usr/a"), entry(b"p", b"6"))
    assert found.directory(b"") == {
        b"usr": Entry("dir", 0o750, 0, 1_700_000_000),
        b"l": Entry("link", 0o777, 0, 1_700_000_000, b"usr/a"),
        b"p": Entry("other", 0o644, 0, 1_700_000_000),
    }
    assert found.directory(b"usr") == {b"a": Entry("file", 0o644, 5, 1_700_000_000, b"", 1024)}
    assert found.directory(b"usr/a") == found.directory(b"nowhere") == {}
    assert found.root == Entry("dir", 0o755)
    assert found.problems == ()


def test_empty() -> None:
    assert index() == LayerIndex(Entry("dir", 0o755), {b"": {}})


@pytest.mark.parametrize("name", [b"./a/b", b"/a/b", b"a//b", b"a/./b", b"//a/b", b"a/b/", b"a/b//", b".//./a/b/."])
def test_names_mean_the_same_in_every_spelling(name: bytes) -> None:
    assert tree(index(file(name))) == {"a": "dir", "a/b": "file"}
    assert tree(index(file(b"a/b"), file(name))) == {"a": "dir", "a/b": "file"}
    assert tree(index(file(name), directory(name))) == {"a": "dir", "a/b": "dir"}


def test_names_need_not_be_text() -> None:
    assert list(index(file(b"\xff\n\x01")).directory(b"")) == [b"\xff\n\x01"]


@pytest.mark.parametrize("name", [b"../../x", b"a/../x", b"..", b"/..", b"a/..", b"../etc/ld.so.preload", b".wh.x/.."])
@pytest.mark.parametrize("kind", [b"0", b"1", b"2", b"5"])
def test_names_that_go_up_are_refused(name: bytes, kind: bytes) -> None:
    found = index(file(b"before"), entry(name, kind, link=b"before"), file(b"after"))
    assert tree(found) == {"after": "file", "before": "file"}
    assert only(found) == (name.decode(), "'..' in its name", True)


def test_absolute_names_are_put_below_the_root() -> None:
    found = index(file(b"/tmp/subdir/a.txt"))
    assert tree(found) == {"tmp": "dir", "tmp/subdir": "dir", "tmp/subdir/a.txt": "file"}
    assert found.problems == ()


@pytest.mark.parametrize("name", [b"/", b".", b"./", b"/.", b"//./"])
def test_the_root_is_a_directory_for_ever(name: bytes) -> None:
    found = index(file(b"etc/passwd"), directory(name, mode=0o700))
    assert (found.root.type, found.root.mode, tree(found)) == ("dir", 0o700, {"etc": "dir", "etc/passwd": "file"})
    assert found.problems == ()
    for kind, said in ((b"2", "symbolic link"), (b"0", "file"), (b"1", "hard link"), (b"6", "special file")):
        found = index(file(b"etc/passwd"), entry(name, kind, link=b"/etc"))
        assert (found.root.type, tree(found)) == ("dir", {"etc": "dir", "etc/passwd": "file"})
        assert only(found) == (name.decode(), f"the root can't be replaced by a {said}", True)


def test_names_that_no_file_system_has_are_refused() -> None:
    found = index(
        file(b"n" * 255),
        file(b"n" * 256),
        file(b"a/" + b"n" * 256 + b"/b"),
        file(b"d/" * 2047 + b"x"),
        file(b"d/" * 2047 + b"xx"),
        file(b"e/" * 2048 + b"x"),
        pax({"path": b"a\x00b"}) + header(b"x"),
        pax({"path": b"known/a\x00b"}) + header(b"x"),
        file(b""),
        link(b"empty", b""),
        pax({"linkpath": b"a\x00b"}) + header(b"l", b"2"),
    )
    assert [(reason, lost) for _, reason, lost in troubles(found)] == [
        ("a part of its name is longer than 255 bytes", True),
        ("a part of its name is longer than 255 bytes", True),
        ("a name of 4096 bytes, more than 4095", True),
        ("a name of 4097 bytes, more than 4095", True),
        ("a NUL in its name", True),
        ("a NUL in its name", True),
        ("the root can't be replaced by a file", True),
        ("a symbolic link with a target that none can have", True),
        ("a symbolic link with a target that none can have", True),
    ]
    assert len(tree(found)) == 2049
    assert max(len(one.where) for one in found.problems) < 300


def test_unknown_types_are_named() -> None:
    found = index(entry(b"x", b"Z", contents=b"z"), file(b"after"))
    assert (tree(found), only(found)) == ({"after": "file"}, ("x", "an entry of unknown type Z", True))


@pytest.mark.parametrize("kind", [b"3", b"4", b"6"])
def test_devices_and_pipes_are_nothing_to_read(kind: bytes) -> None:
    found = index(entry(b"METADATA", kind, device=(1, 3)))
    assert (tree(found), found.problems) == ({"METADATA": "other"}, ())


def test_permission_bits_alone_are_kept() -> None:
    assert index(file(b"x", mode=0o104755)).directory(b"")[b"x"].mode == 0o4755


def test_sparse_files_are_named() -> None:
    records = {"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.realsize": b"1099511627776"}
    found = index(pax(records) + file(b"holes", b"1" * 512))
    assert found.directory(b"")[b"holes"] == Entry("file", 0o644, 1 << 40, 1_700_000_000, b"", SPARSE)
    assert only(found) == ("holes", "a sparse file of 1099511627776 bytes: its contents are not read", True)


# Whiteouts.


def test_whiteouts_hide_wherever_they_stand() -> None:
    assert tree(index(file(b".wh.a"), file(b"d/.wh.b"))) == {"a": "whiteout", "d": "dir", "d/b": "whiteout"}
    for kind in (b"0", b"1", b"2", b"3", b"6", b"Z"):
        found = index(entry(b"d/.wh.b", kind, link=b"nowhere"))
        assert (tree(found), found.problems) == ({"d": "dir", "d/b": "whiteout"}, ())


def test_a_device_0_0_is_a_whiteout_and_an_entry() -> None:
    """So the engine unpacks it, and so the kernel takes it, though it is none by the specification."""
    note = "a character device 0/0: a whiteout in the storage of engines, if not by the specification"
    found = index(entry(b"d/x", b"3"))
    assert (tree(found), only(found)) == ({"d": "dir", "d/x": "whiteout"}, ("d/x", note, False))
    # It makes way for what comes later, and that hides nothing then.
    assert tree(index(entry(b"x", b"3"), directory(b"x"))) == {"x": "dir"}
    assert tree(index(directory(b"x"), file(b"x/y"), entry(b"x", b"3"))) == {"x": "whiteout"}
    assert tree(index(file(b".wh.x"), entry(b"x", b"3"), directory(b"x"))) == {"x": "dir opaque"}
    assert tree(index(entry(b"x", b"3"), hard(b"y", b"x"))) == {"x": "whiteout", "y": "whiteout"}
    below = index(entry(b"x", b"3"), file(b"x/y"))
    assert tree(below) == {"x": "whiteout"}
    assert troubles(below)[1] == ("x/y", "x is no directory", True)


def test_marks_of_the_overlay_file_system_are_a_loss() -> None:
    found = index(pax({"SCHILY.xattr.trusted.overlay.opaque": b"y"}) + directory(b"d"))
    reason = "has trusted.overlay.opaque, marks of the overlay file system: what is seen there depends on the engine"
    assert (tree(found), only(found)) == ({"d": "dir"}, ("d", reason, True))


def test_an_entry_stands_against_a_whiteout_of_its_layer() -> None:
    pieces: tuple[bytes, ...]
    for pieces in ((file(b"a"), file(b".wh.a")), (file(b".wh.a"), file(b"a"))):
        assert (tree(index(*pieces)), index(*pieces).problems) == ({"a": "file"}, ())
    for pieces in (
        (directory(b"a/"), file(b".wh.a")),
        (file(b".wh.a"), directory(b"a/")),
        (file(b".wh.a"), directory(b"a/"), file(b".wh.a")),
    ):
        assert (tree(index(*pieces)), index(*pieces).problems) == ({"a": "dir opaque"}, ())
    for pieces in ((file(b"a/b"), file(b".wh.a")), (file(b".wh.a"), file(b"a/b"))):
        assert tree(index(*pieces)) == {"a": "dir opaque", "a/b": "file"}
    # Whatever else had the name meanwhile.
    assert tree(index(file(b".wh.a"), file(b"a"), directory(b"a"))) == {"a": "dir opaque"}


def test_opaque_markers_count_wherever_they_stand() -> None:
    parts = [directory(b"d/"), file(b"d/x"), file(b"d/.wh..wh..opq")]
    for pieces in (parts, parts[::-1], [parts[1], parts[2], parts[0]], [parts[2], parts[1]], [parts[1], parts[2]]):
        assert tree(index(*pieces)) == {"d": "dir opaque", "d/x": "file"}
        assert index(*pieces).problems == ()
    # An entry of a directory after it is metadata: the mark stays.
    assert index(parts[2], directory(b"d/", mode=0o700)).directory(b"")[b"d"].mode == 0o700


@pytest.mark.parametrize("name", [b".wh..wh..opq", b"./.wh..wh..opq", b"/.wh..wh..opq"])
def test_an_opaque_root_is_marked_and_noted(name: bytes) -> None:
    found = index(file(name), file(name), directory(b"./", mode=0o700))
    assert (found.root.opaque, found.root.mode) == (True, 0o700)
    reason = "an opaque marker in the root: storage by overlay takes no notice of it, other storage does"
    assert only(found) == (".wh..wh..opq", reason, False)


@pytest.mark.parametrize("name", [b".wh..wh.plnk", b".wh..wh.aufs", b"d/.wh..wh.orph", b".wh..wh.plnk/12.34"])
@pytest.mark.parametrize("kind", [b"0", b"5"])
def test_what_aufs_kept_for_itself_is_skipped(name: bytes, kind: bytes) -> None:
    found = index(entry(name, kind))
    assert tree(found) in ({}, {"d": "dir"})
    assert found.problems == ()


@pytest.mark.parametrize("name", [b".wh.", b"etc/.wh..", b".wh..."])
def test_whiteouts_of_no_name_are_refused(name: bytes) -> None:
    found = index(file(b"etc/passwd"), file(name), file(b"after"))
    assert tree(found) == {"after": "file", "etc": "dir", "etc/passwd": "file"}
    assert only(found) == (name.decode(), "a whiteout of no name", True)


def test_a_directory_is_no_whiteout() -> None:
    found = index(directory(b".wh.etc/"), file(b".wh.etc/x"), file(b"etc/passwd"))
    assert tree(found) == {".wh.etc": "dir", ".wh.etc/x": "file", "etc": "dir", "etc/passwd": "file"}
    assert tree(index(file(b".wh.etc/x"))) == {".wh.etc": "dir", ".wh.etc/x": "file"}
    assert tree(index(directory(b"d/.wh..wh..opq/"))) == {}


# One name twice.


def test_of_entries_of_one_name_the_last_one_counts() -> None:
    found = index(file(b"a", b"first"), file(b"a", b"2"), file(b"./a", b"third!"))
    assert found.directory(b"")[b"a"].size == 6
    assert only(found) == ("a", "duplicate entry: a file, then a file; the last one counts", False)


def test_a_directory_twice_is_one_directory() -> None:
    found = index(directory(b"d/"), file(b"d/x"), directory(b"d/", mode=0o700))
    assert (tree(found), found.directory(b"")[b"d"].mode) == ({"d": "dir", "d/x": "file"}, 0o700)
    assert only(found) == ("d", "duplicate entry: a directory, then a directory; the last one counts", False)
    # One that was only implied is not there twice.
    assert index(file(b"d/x"), directory(b"d/")).problems == ()
    found = index(directory(b"./"), directory(b"/"))
    assert only(found) == ("", "duplicate entry: a directory, then a directory; the last one counts", False)


@pytest.mark.parametrize(
    ("last", "word", "said"),
    [
        (file(b"d"), "file", "file"),
        (link(b"d", b"e"), "link e", "symbolic link"),
        (hard(b"d", b"e"), "file", "file"),
        (entry(b"d", b"6"), "other", "special file"),
    ],
)
def test_what_replaces_a_directory_drops_what_is_in_it(last: bytes, word: str, said: str) -> None:
    before = (file(b"e"), directory(b"d/"), file(b"d/x/y"), file(b"d/.wh.z"), file(b"d/x/.wh..wh..opq"))
    found = index(*before, last)
    assert tree(found) == {"d": word, "e": "file"}
    assert only(found) == ("d", f"duplicate entry: a directory, then a {said}; the last one counts", False)
    # And nothing of it comes back.
    found = index(*before, last, directory(b"d/"), directory(b"d/x"), file(b"d/z/new"))
    assert tree(found) == {"d": "dir", "d/x": "dir", "d/z": "dir", "d/z/new": "file", "e": "file"}
    assert only(found) == ("d", f"duplicate entry: a directory, then a {said}; the last one counts", False)


@pytest.mark.parametrize(("first", "said"), [(file(b"d"), "file"), (link(b"d", b"/etc"), "symbolic link")])
def test_a_directory_replaces_what_is_none(first: bytes, said: str) -> None:
    found = index(first, directory(b"d/"), file(b"d/x"))
    assert tree(found) == {"d": "dir", "d/x": "file"}
    assert only(found) == ("d", f"duplicate entry: a {said}, then a directory; the last one counts", False)


def test_nothing_stands_below_a_file() -> None:
    found = index(file(b"a"), file(b"a/b"), file(b"a/.wh.c"), file(b"a/b/c"))
    assert tree(found) == {"a": "file"}
    assert troubles(found) == [(name, "a is no directory", True) for name in ("a/b", "a/.wh.c", "a/b/c")]


# Links.


@pytest.mark.parametrize(
    ("target", "place"),
    [
        (b"usr/lib", "usr/lib/x"),
        (b"/usr/lib", "usr/lib/x"),
        (b"./usr/../usr/lib/", "usr/lib/x"),
        (b"../../usr/lib", "usr/lib/x"),
        (b"/../../usr/lib", "usr/lib/x"),
        (b"/", "x"),
        (b"..", "x"),
        (b"missing/../usr/lib", "usr/lib/x"),
        (b"new/place", "new/place/x"),
    ],
)
def test_entries_below_a_link_go_where_it_leads_in_the_layer(target: bytes, place: str) -> None:
    found = index(directory(b"usr/lib/"), link(b"lib", target), file(b"lib/x"), file(b"lib/y"), file(b"lib/.wh.z"))
    listed = tree(found)
    assert (listed["lib"], listed[place], listed[place[:-1] + "y"]) == (f"link {target.decode()}", "file", "file")
    assert listed[place[:-1] + "z"] == "whiteout"
    assert found.problems == ()


def test_links_of_links() -> None:
    found = index(link(b"a", b"b"), link(b"b", b"/c/d"), link(b"c/d", b"../e"), file(b"a/x/y"))
    assert tree(found) == {"a": "link b", "b": "link /c/d", "c": "dir", "c/d": "link ../e"} | {
        "e": "dir",
        "e/x": "dir",
        "e/x/y": "file",
    }


def test_a_link_that_is_replaced_leads_elsewhere() -> None:
    found = index(link(b"l", b"a"), file(b"l/1"), link(b"l", b"b"), file(b"l/2"), directory(b"l/"), file(b"l/3"))
    assert {"a/1", "b/2", "l/3"} == {path for path, word in tree(found).items() if word == "file"}


def test_a_link_to_the_root_and_beyond() -> None:
    found = index(link(b"linktoroot", b"/"), file(b"linktoroot/root/.bashrc"))
    assert tree(found) == {"linktoroot": "link /", "root": "dir", "root/.bashrc": "file"}
    climb = b"t/" * 40 + b"../" * 60 + b"tmp"
    found = index(link(b"t", b"."), link(b"escape", climb), file(b"escape/poc.txt"))
    assert only(found) == ("escape/poc.txt", "too many links: more than 40 on its way", True)
    climb = b"t/" * 12 + b"../" * 60 + b"tmp"
    found = index(link(b"t", b"."), link(b"escape", climb), file(b"escape/poc.txt"))
    assert tree(found)["tmp/poc.txt"] == "file"


@pytest.mark.parametrize("pieces", [(link(b"a", b"a"),), (link(b"a", b"b"), link(b"b", b"a"))])
def test_loops_of_links_are_refused(pieces: tuple[bytes, ...]) -> None:
    found = index(*pieces, file(b"a/x"), file(b"after"))
    assert "after" in tree(found)
    assert only(found) == ("a/x", "too many links: more than 40 on its way", True)


@pytest.mark.parametrize(("length", "fits"), [(7, True), (40, True), (41, False)])
def test_chains_of_links_have_the_kernels_limit(length: int, fits: bool) -> None:
    chain = [link(b"l%d" % number, b"l%d" % after) for number, after in pairwise(range(length + 1))]
    found = index(*chain, file(b"l0/x"))
    assert (f"l{length}/x" in tree(found)) == fits
    assert bool(found.problems) != fits


def test_the_limit_counts_all_links_of_a_name() -> None:
    """Whatever was looked up before it."""
    chain = [link(b"l%d" % number, b"l%d" % after) for number, after in pairwise(range(31))]
    inner = [link(b"l30/m%d" % number, b"m%d" % after) for number, after in pairwise(range(31))]
    for before in ((), (file(b"l0/first"),), (file(b"l30/m0/first"),)):
        found = index(*chain, *inner, *before, file(b"l0/m0/x"))
        assert only(found) == ("l0/m0/x", "too many links: more than 40 on its way", True)


def test_links_do_not_make_paths_that_are_too_long() -> None:
    found = index(link(b"one", b"d/" * 1500), link(b"two", b"one/" + b"e/" * 1500), file(b"one/x"), file(b"two/x"))
    assert len(tree(found)) == 1503
    assert only(found) == ("two/x", "links lead to a path that is too long", True)


def test_directories_behind_links_do_not_get_too_deep() -> None:
    name = b"e" * 200
    steps = [directory(b"one" + (b"/" + name) * number) for number in range(1, 7)]
    found = index(link(b"one", b"d/" * 1500), *steps, file(b"one" + (b"/" + name) * 6 + b"/x"))
    assert max(map(len, found.directories)) < 4096
    (problem,) = found.problems
    assert problem.reason == "links lead to a path that is too long"


def test_hard_links_share_what_they_link_to() -> None:
    found = index(file(b"d/a", b"hello"), hard(b"b", b"d/a"), hard(b"c", b"./b"), link(b"s", b"/etc"), hard(b"t", b"s"))
    entries = found.directory(b"")
    assert entries[b"b"] is entries[b"c"] is found.directory(b"d")[b"a"]
    assert tree(found)["t"] == "link /etc"
    assert found.problems == ()


def test_targets_of_hard_links_are_looked_up_inside() -> None:
    found = index(
        link(b"way", b"/real"),
        file(b"real/f", b"x"),
        hard(b"a", b"way/f"),
        hard(b"b", b"/way/f"),
        hard(b"c", b"../real/f"),
    )
    assert found.problems == ()
    assert {found.directory(b"")[name].size for name in (b"a", b"b", b"c")} == {1}


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (b"missing", "dangling hard link: missing is not in this layer"),
        (b"../../etc/shadow", "dangling hard link: ../../etc/shadow is not in this layer"),
        (b"out/etc/shadow", "dangling hard link: out/etc/shadow is not in this layer"),
        (b"gone", "dangling hard link: gone is not in this layer"),
        (b"", "dangling hard link:  is not in this layer"),
        (b"..", "dangling hard link: .. is not in this layer"),
        (b"d/..", "dangling hard link: d/.. is not in this layer"),
        (b"d", "hard link to a directory: d"),
        (b"f/x", "f is no directory"),
        (b"loop/x", "too many links: more than 40 on its way"),
        (b"x" * 5000, f"dangling hard link: {'x' * 200}… is not in this layer"),
    ],
)
def test_hard_links_to_nothing_are_refused(target: bytes, reason: str) -> None:
    start = (file(b"f"), directory(b"d/"), link(b"out", b"/.."), link(b"loop", b"loop"), file(b".wh.gone"))
    found = index(*start, hard(b"h", target), file(b"after"))
    assert "h" not in tree(found)
    assert "after" in tree(found)
    assert only(found) == ("h", reason, True)


@pytest.mark.parametrize("name", [b"a", b"a/b", b"./a/b"])
def test_a_hard_link_does_not_replace_what_it_links_to(name: bytes) -> None:
    found = index(file(b"a/b", b"x"), hard(name, b"a/b"))
    assert tree(found) == {"a": "dir", "a/b": "file"}
    assert only(found) == (
        name.decode(),
        "dangling hard link: a/b is what the link would replace",
        True,
    )


def test_a_target_that_is_replaced_later_stays_what_it_was() -> None:
    found = index(file(b"a", b"old"), hard(b"b", b"a"), file(b"a", b"newer"))
    assert {name: one.size for name, one in found.directory(b"").items()} == {b"a": 5, b"b": 3}


# Bounds.


def test_problems_are_counted_when_they_are_many() -> None:
    pieces = [file(b"../%d" % number) for number in range(LISTED + 5)]
    pieces += [file(b"%d" % number) for number in range(LISTED + 7)] * 2
    found = index(*pieces)
    assert len(found.problems) == 2 * LISTED + 2
    assert found.problems[-2:] == (
        Problem("", "5 more problems that lose something", lost=True),
        Problem("", "7 more notes", lost=False),
    )


def test_names_in_problems_are_printable() -> None:
    assert only(index(file(b"../\x1b[2J\xff\xe2\x80\xae")))[0] == "../\\x1b[2J\\xff\\u202e"


def test_implied_directories_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_PATHS_MOST", 100_000)
    found = index(*(file(b"%d/" % number + b"d/" * 100 + b"x") for number in range(20)))
    assert sum(map(len, found.directories)) <= 100_000
    assert {one.reason for one in found.problems} == {
        "the paths of the layer's directories have more than 100000 bytes"
    }
    monkeypatch.setattr(builder, "MEMBERS", 150)
    found = index(file(b"d/" * 100 + b"x"), file(b"e/" * 100 + b"x"), file(b"d/" * 100 + b"y"))
    assert only(found)[1] == "more than 150 directories that only names imply"
    assert tree(found)["d/" * 100 + "y"] == "file"


def test_what_is_dropped_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_PATHS_MOST", 1000)
    pieces = [part for _ in range(50) for part in (file(b"d/" * 20 + b"x"), file(b"d"), directory(b"d"))]
    assert [one.lost for one in index(*pieces).problems] == [False]


def test_links_to_links_have_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_LOOKED_UP_MOST", 320_000)
    pieces = [link(b"far", b"d/" * 100), *(file(b"far/%d/x" % number) for number in range(20))]
    found = index(*pieces)
    assert {one.reason for one in found.problems} == {
        "too much to look up: names and links of the layer make more than 320000 bytes"
    }
    assert len(found.problems) == 10
    # What was looked up once is known.
    assert index(pieces[0], *(file(b"far/x%d" % number) for number in range(2000))).problems == ()


def test_deep_names_have_a_budget_where_they_are_looked_up_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a link is replaced, names lead elsewhere."""
    monkeypatch.setattr(builder, "_LOOKED_UP_MOST", 1 << 20)
    looked_up = []

    def join(path: bytes, name: bytes) -> bytes:
        looked_up.append(len(path))
        return path + b"/" + name if path else name

    monkeypatch.setattr(builder, "joined", join)
    deep = b"a/" * 500
    index(*(piece for n in range(50) for piece in (link(b"z", b"%d" % n), file(deep + b"%d" % n))))
    assert sum(looked_up) < 3 << 20, "12 MiB"
    looked_up.clear()
    assert len(index(*(file(deep + b"%d" % n) for n in range(50))).problems) == 0
    index(file(deep + b"x"), *(hard(b"h%d" % n, deep + b"x") for n in range(50)))
    assert sum(looked_up) < 3 << 20, "12 MiB"


def test_5000_deep_directories() -> None:
    start = process_time()
    made = IndexBuilder()
    for depth in range(1, 5001):
        made.add(Member(b"d/" * depth, b"5", 0o755, 0, 0, b"", 512, False))
    found = made.finish()
    assert process_time() - start < 2
    assert len(tree(found)) == 2048
    assert {one.reason.partition(" bytes, ")[2] for one in found.problems if one.where} == {"more than 4095"}
    assert found.problems[-1].reason.endswith("more problems that lose something")


def build(count: int, name: str = "usr/lib/python3/dist-packages/package{0}/file{1}") -> LayerIndex:
    made = IndexBuilder()
    for number in range(count):
        made.add(Member(name.format(number // 100, number).encode(), b"0", 0o644, 0, 1_700_000_000, b"", number, False))
    return made.finish()


def test_200_000_whiteouts_in_one_directory() -> None:
    start = process_time()
    found = build(200_000, "d/.wh.{1}")
    assert len(found.directory(b"d")) == 200_000
    assert process_time() - start < 4


def test_time_is_linear() -> None:
    def seconds(count: int) -> float:
        best = float("inf")
        for _ in range(3):
            start = process_time()
            build(count)
            best = min(best, process_time() - start)
        return best

    assert seconds(200_000) < 20 * 1.6 * seconds(10_000)


def test_memory_an_entry() -> None:
    tracemalloc.start()
    try:
        found = build(50_000)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.directories) > 500
    assert most / 50_000 < 400


MILLION = r"""
import re
from pathlib import Path
from reprocheck.layers.tar_layer import PlainLayer
from tests.layers.archives import END, header

class Generated:
    # A million headers, made when they are asked for.
    count = 1_000_000
    size = count * 512 + 1024

    def read_at(self, offset, length):
        first, last = offset // 512, min((offset + length) // 512, self.count + 2)
        return b"".join(one(number) for number in range(first, last))

BLOCK = header(b"usr/share/%06d/%07d" % (0, 0))
SUM = sum(BLOCK) - sum(BLOCK[148:156]) - sum(BLOCK[10:24])

def one(number):
    if number >= Generated.count:
        return bytes(512)
    name = b"%06d/%07d" % (number // 1000, number)
    return BLOCK[:10] + name + BLOCK[24:148] + b"%06o\0 " % (SUM + sum(name) + 256) + BLOCK[156:]

def kilobytes(what):
    # Not getrusage: its peak is inherited from the parent.
    return int(re.search(what + r":\s+(\d+)", Path("/proc/self/status").read_text())[1])

one(0)
before = kilobytes("VmRSS")
layer = PlainLayer.open(Generated())
after = kilobytes("VmHWM")
assert layer.index.problems == (), layer.index.problems
assert sum(map(len, layer.index.directories.values())) > 1_000_000
print((after - before) * 1024 / Generated.count)
"""


def test_a_million_entries_take_400_bytes_each() -> None:
    ran = subprocess.run([sys.executable, "-c", MILLION], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert 100 < float(ran.stdout) < 400


# The saved form.


def test_an_index_is_saved_whole() -> None:
    found = index(
        directory(b"./", mode=0o700),
        file(b"d/\xff", b"x"),
        link(b"l", b"\xfe"),
        file(b".wh.gone"),
        file(b"d/.wh..wh..opq"),
        file(b"../x"),
    )
    again = LayerIndex.from_bytes(found.to_bytes())
    assert again == found
    assert again.problems
    assert found.to_bytes() == again.to_bytes()


def test_a_saved_index_is_quick_to_read() -> None:
    raw = build(44_000).to_bytes()
    best = float("inf")
    for _ in range(5):
        start = process_time()
        LayerIndex.from_bytes(raw)
        best = min(best, process_time() - start)
    assert best < 0.06


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\xc1", b"[]", encode({}), encode([1, 2]), encode([["dir"], {"a": 1}])])
def test_what_is_no_index_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not the index of a layer"):
        LayerIndex.from_bytes(raw)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_damaged_index_is_refused_or_an_index(junk: bytes, place: int) -> None:
    raw = index(file(b"d/x", b"x"), link(b"l", b"t"), file(b"../x")).to_bytes()
    try:
        found = LayerIndex.from_bytes(raw[:place] + junk + raw[place + len(junk) :])
    except ValueError:
        return
    assert isinstance(found, LayerIndex)


names = st.lists(st.sampled_from([b"a", b"b", b"..", b".", b"", b".wh.a", b".wh..wh..opq", b".wh.", b"c"]), max_size=4)


@given(st.lists(st.tuples(names, st.sampled_from([b"0", b"1", b"2", b"5", b"6"]), names), max_size=12))
def test_any_members_make_a_tree(steps: list[tuple[list[bytes], bytes, list[bytes]]]) -> None:
    """No member leads out, to an exception, or to a directory that nothing leads to."""
    found = index(*(entry(b"/".join(name), kind, link=b"/".join(to)) for name, kind, to in steps))
    for path in tree(found):
        parts = path.split("/")
        assert ".." not in parts
        assert "." not in parts
        assert "" not in parts
