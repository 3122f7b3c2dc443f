"""Answers that name layers."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from reprocheck.capture import capture
from reprocheck.layers import tree as tree_module
from reprocheck.layers.entry import Entry, Layer
from reprocheck.layers.tar_layer import PlainLayer
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import Answer, AnyWant, Elf, FileVersion, List, Process, Read, Record
from reprocheck.targets.address import parse
from reprocheck.targets.mounts import Mounts
from reprocheck.targets.resolve import Access
from reprocheck.targets.static import StaticSession
from reprocheck.targets.traced import Traced
from tests.elf import shared_object
from tests.faults.made import APPS, BASE, archive
from tests.layers.archives import Memory, file, header, link, padded, pax, plain, streamed
from tests.targets.test_static import DOCUMENT


def traced(*layers: Layer, mounts: tuple[str, ...] = ()) -> Traced:
    tree = Tree(layers)
    seen = Mounts(tree, mounts)
    return Traced(StaticSession(DOCUMENT, tree, mounts=seen), tree, mounts=seen)


def answer(session: Traced, *wants: AnyWant) -> Answer:
    told = session.answer(wants)
    assert told is not None
    return told


LAYERS = (
    plain(file(b"d/a", b"1"), file(b"d/b", b"1"), file(b"d/c", b"1"), file(b"way/x", b"1")),
    plain(file(b"d/a", b"2"), file(b"d/.wh.b")),
    plain(file(b"d/b", b"3"), file(b"d/.wh.c"), link(b"l", b"d/a")),
    plain(file(b"d/a", b"4 https://me:secret@example.invalid")),
)


def test_who_wrote_a_file_and_since_when_it_is_there() -> None:
    told = answer(traced(*LAYERS), Read(at="/d/*"), Read(at="/l"), Read(at="/none"), Read(at="/way/x"))
    layers = {path: (one.layer, one.since) for path, one in told.files.items()}
    assert layers == {"/d/a": (3, 0), "/d/b": (2, 2), "/l": (3, 2), "/none": (None, None), "/way/x": (0, 0)}


def test_what_can_not_be_told_of_all_is_told_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which layer it was takes too long to find out: the files are what they are, and nobody is blamed."""
    wants = (Read(at="/d/*"), Read(at="/l", versions=True), List(at="/d"))
    whole = answer(traced(*LAYERS), *wants)
    monkeypatch.setattr(tree_module, "_PAST_MOST", 1)
    told = answer(traced(*LAYERS), *wants)
    assert {path: one.content for path, one in told.files.items()} == {
        path: one.content for path, one in whole.files.items()
    }
    assert all((one.layer, one.since, one.versions) == (None, None, ()) for one in told.files.values())
    assert told.listings["/d"].removed == {}


@pytest.mark.parametrize(
    ("limit", "reasons"),
    [
        (None, []),
        (1, ["links were moved too often to tell which layer brought what: of some facts no layer is named"]),
    ],
)
def test_a_note_says_that_layers_are_not_named(
    limit: int | None, reasons: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = parse(archive(tmp_path / "i", BASE, APPS))
    assert target is not None
    if limit is not None:
        monkeypatch.setattr(tree_module, "_PAST_MOST", limit)
    snapshot = capture(target, Access())
    assert [one.reason for one in snapshot.provenance.notes if "layer" in one.reason] == reasons
    assert bool(snapshot.provenance.authors) == (not reasons)
    assert snapshot.gaps == ()


class Unreadable(PlainLayer):
    """A layer with a directory that can't be read."""

    def directory(self, path: bytes) -> Mapping[bytes, Entry]:
        if path == b"d":
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return super().directory(path)


def test_a_layer_that_can_not_be_read_and_is_hidden_hides_no_file() -> None:
    below = plain(file(b"d/a", b"1"))
    hidden = Unreadable(Memory(b""), below.index)
    above = plain(file(b"d/.wh..wh..opq"), file(b"d/a", b"2"))
    session = traced(hidden, above)
    told = answer(session, Read(at="/d/a"), List(at="/d"))
    assert (told.files["/d/a"].content, told.files["/d/a"].layer) == ("2", None)
    (note,) = session.document.problems
    assert note.reason.startswith("a layer can't be read (Input/output error) to tell which layer brought what")
    assert told.listings["/d"].removed == {}


def test_who_removed_what() -> None:
    told = answer(traced(*LAYERS[:3]), List(at="/d"), List(at="/none"))
    assert told.listings["/d"].removed == {"c": 2}
    assert told.listings["/none"].removed == {}
    assert answer(traced(*LAYERS[:2]), List(at="/d")).listings["/d"].removed == {"b": 1}


def test_an_opaque_directory_removes_all_that_was_there() -> None:
    told = answer(traced(LAYERS[0], plain(file(b"d/.wh..wh..opq"), file(b"d/a", b"2"))), List(at="/d"), Read(at="/d/a"))
    assert told.listings["/d"].removed == {"b": 1, "c": 1}
    # After no layer it was gone.
    assert (told.files["/d/a"].layer, told.files["/d/a"].since) == (1, 0)


def test_what_is_gone_with_a_directory_above_it() -> None:
    packages = plain(file(b"v/lib/site/a"), file(b"v/lib/site/b"))
    anew = plain(file(b"v/lib/site/b"))
    for taking in (file(b"v/.wh.lib"), file(b".wh.v"), file(b"v/.wh..wh..opq"), file(b"v/lib"), link(b"v/lib", b"x")):
        told = answer(traced(packages, plain(taking)), List(at="/v/lib/site"))
        assert told.listings["/v/lib/site"].removed == {"a": 1, "b": 1}
        told = answer(traced(packages, plain(taking), LAYERS[0], anew), List(at="/v/lib/site"))
        assert told.listings["/v/lib/site"].removed == {"a": 1}


def test_what_is_gone_was_last_taken_away_by_one_layer() -> None:
    packages, nothing = plain(file(b"d/a"), file(b"d/b")), plain(file(b"d/.wh.a"), file(b"d/.wh.b"))
    opaque = plain(file(b"d/.wh..wh..opq"))
    for later in (opaque, nothing):
        told = answer(traced(packages, nothing, later), List(at="/d"))
        assert told.listings["/d"].removed == {"a": 1, "b": 1}, "what was there no more, nobody takes away"
        told = answer(traced(packages, nothing, packages, later), List(at="/d"))
        assert told.listings["/d"].removed == {"a": 3, "b": 3}


def test_a_directory_behind_a_link_that_moved() -> None:
    packages = plain(file(b"one/a"), file(b"one/b"), file(b"two/b"), link(b"site", b"one"))
    told = answer(traced(packages, plain(link(b"site", b"two"))), List(at="/site"))
    assert told.listings["/site"].removed == {"a": 1}
    told = answer(traced(packages, plain(file(b"one/.wh.a")), plain(link(b"site", b"/two"))), List(at="/site"))
    assert told.listings["/site"].removed == {"a": 1}
    loop = plain(link(b"site", b"site"))
    told = answer(traced(packages, loop, LAYERS[0], packages, plain(file(b"one/.wh.b"))), List(at="/site"))
    assert told.listings["/site"].removed == {"b": 4}


def test_versions_only_where_they_are_asked_for() -> None:
    told = answer(traced(*LAYERS), Read(at="/d/a"))
    assert told.files["/d/a"].versions == ()
    versions = answer(traced(*LAYERS), Read(at="/d/a", versions=True)).files["/d/a"].versions
    assert versions == (FileVersion(layer=0, content="1"), FileVersion(layer=1, content="2"))


def test_versions_of_what_is_gone() -> None:
    layers = (*LAYERS, plain(file(b"d/.wh.a")), plain(file(b"x")))
    found = answer(traced(*layers), Read(at="/d/a", versions=True)).files["/d/a"]
    assert (found.problem, found.layer, [one.layer for one in found.versions]) == ("ENOENT", None, [0, 1, 3])
    assert answer(traced(*layers), Read(at="/none", versions=True)).files["/none"].versions == ()
    mounted = answer(traced(*layers, mounts=("/d",)), Read(at="/d/a", versions=True)).files["/d/a"]
    assert mounted.versions == ()


def test_versions_are_rid_of_secrets() -> None:
    session = traced(*LAYERS, plain(file(b"d/a", b"5")))
    versions = answer(session, Read(at="/d/a", versions=True)).files["/d/a"].versions
    assert versions[-1] == FileVersion(layer=3, content="4 https://example.invalid")


@pytest.mark.parametrize("path", ["/d", "/d/"])
def test_what_is_mounted_is_of_no_layer(path: str) -> None:
    told = answer(traced(*LAYERS, mounts=(path,)), Read(at="/d/a"), Read(at="/way/x"), List(at="/d"))
    assert told.files["/d/a"].layer is None
    assert told.files["/way/x"].layer == 0
    assert told.listings["/d"].removed == {}


def test_nothing_answered_is_nothing_traced() -> None:
    assert traced(*LAYERS).answer([Process(variables=())]) is None
    assert traced(*LAYERS).document is DOCUMENT


def test_versions_of_streams_are_fetched() -> None:
    layers = tuple(streamed(file(b"d/a", b"%d" % number)) for number in range(3))
    found = answer(traced(*layers), Read(at="/d/a", versions=True)).files["/d/a"]
    assert [one.content for one in found.versions] == ["0", "1"]
    assert found.layer == 2


def test_a_version_that_can_not_be_read_has_no_content() -> None:
    sparse = {
        "GNU.sparse.major": b"1",
        "GNU.sparse.minor": b"0",
        "GNU.sparse.name": b"d/a",
        "GNU.sparse.realsize": b"9",
    }
    bad = plain(pax(sparse) + header(b"d/s", size=512) + bytes(512))
    found = answer(traced(LAYERS[0], bad, LAYERS[1]), Read(at="/d/a", versions=True)).files["/d/a"]
    assert (found.content, found.layer) == ("2", 2)
    assert [(one.layer, one.content) for one in found.versions] == [(0, "1"), (1, None)]


def test_versions_have_a_limit_together_and_the_highest_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reprocheck.targets.traced._VERSIONS_LIMIT", 5)
    layers = tuple(plain(file(b"d/a", b"abc%d" % number)) for number in range(3))
    found = answer(traced(*layers), Read(at="/d/a", versions=True)).files["/d/a"]
    assert (found.content, found.layer) == ("abc2", 2)
    assert [one.content for one in found.versions] == [None, "abc1"]
    large = answer(traced(*layers), Read(at="/d/a", versions=True, limit=2)).files["/d/a"]
    assert [one.content for one in large.versions] == [None, None], "a part of a database is none"


def test_what_was_no_file_has_no_content() -> None:
    found = answer(traced(plain(file(b"d/a/x")), LAYERS[1]), Read(at="/d/a", versions=True)).files["/d/a"]
    assert (found.layer, [one.content for one in found.versions]) == (1, [None])


INFO = b"s/mod-1.dist-info/RECORD"


def edited(*layers: Layer, mounts: tuple[str, ...] = ()) -> int | None:
    rows = b"".join(b"%s,,1\n" % name for name in (b"pkg/a.py", b"pkg/b.py", b"pkg/deep/c.py"))
    files = (file(b"s/pkg/a.py", b"1"), file(b"s/pkg/b.py", b"1"), file(b"s/pkg/deep/c.py", b"1"))
    told = traced(plain(file(INFO, rows), *files), *layers, mounts=mounts).answer([Record(at="/s/*.dist-info/RECORD")])
    assert told is not None
    return told.records[f"/{INFO.decode()}"].layer


def test_contents_that_are_compared_come_by_once() -> None:
    """However many files of an answer: each stream is read once for its index, and once more for all of them."""

    def library(mark: bytes) -> bytes:
        return shared_object(soname="libcudnn.so.8") + mark

    rows = b"s/pkg/a.py,,9\ns/pkg/b.py,,9\n"
    names = (b"s/pkg/a.py", b"s/pkg/b.py")
    first = streamed(
        file(b"s-1.dist-info/RECORD", rows),
        *(file(name, b"1") for name in names),
        *(file(b"lib/lib%d.so" % number, library(b"1")) for number in range(3)),
    )
    second = streamed(
        *(file(name, b"2") for name in names),
        *(file(b"lib/lib%d.so" % number, library(b"1")) for number in range(2)),
        file(b"lib/lib2.so", library(b"2")),
    )
    session = traced(first, second)
    objects = [Elf(at=f"/lib/lib{number}.so") for number in range(3)]
    told = answer(session, Record(at="/*.dist-info/RECORD"), *objects)
    assert {one.changed for one in told.elf.values()} == {None}, "nobody asked"
    before = first.passes, second.passes
    told = answer(session, *(Elf(at=one.at, changed=True) for one in objects), Record(at="/*.dist-info/RECORD"))
    assert [told.elf[one.at].changed for one in objects] == [0, 0, 1]
    assert told.records["/s-1.dist-info/RECORD"].layer == 1
    assert (first.passes - before[0], second.passes - before[1]) == (1, 1)


def test_who_edited_a_package() -> None:
    other = plain(file(b"s/other.py", b"22"))
    assert edited(other) is None
    assert edited(other, plain(file(b"s/pkg/a.py", b"22")), other) == 2
    assert edited(plain(file(b"s/pkg/a.py", b"22")), plain(file(b"s/pkg/b.py", b"22"))) == 2
    assert edited(plain(file(b"s/pkg/a.py", b"22")), plain(file(b"s/pkg/b.py", b"2"))) == 1, "b is of its size"
    mode = plain(file(b"s/pkg/a.py", b"22", mode=0o700))
    assert edited(plain(file(b"s/pkg/a.py", b"22")), mode) == 1, "another mode is no edit"
    assert edited(plain(file(b"s/pkg/a.py", b"33")), mode) == 2, "other contents are, of whatever time"
    touched = plain(header(b"s/pkg/a.py", size=2, mtime=1_800_000_000) + padded(b"22"))
    assert edited(plain(file(b"s/pkg/a.py", b"22")), touched) == 1, "another time is none"
    assert edited(plain(file(b"s/pkg/.wh.b.py")), other) == 1
    assert edited(other, plain(file(b"s/pkg/.wh.deep")), other) == 2, "with the directory above it"
    anew = plain(file(b"s/pkg/a.py", b"1"), file(b"s/pkg/b.py", b"1"))
    assert edited(plain(file(b"s/.wh.pkg")), anew) == 1, "deep was not written again"
    assert edited(plain(file(b"s/pkg/a.py", b"22")), mounts=("/s/pkg",)) is None
