from __future__ import annotations

import errno
import gzip
import os
import random
from collections.abc import Callable

import pytest

from reprocheck.layers.blob import BlobError, OpenFile, Window
from reprocheck.layers.entry import Layer
from reprocheck.layers.problem import Problem
from reprocheck.layers.tar_layer import PlainLayer, StreamedLayer
from reprocheck.layers.tree import Tree
from tests.layers.archives import (
    END,
    Drip,
    Limits,
    Memory,
    directory,
    entry,
    file,
    hard,
    header,
    limits,
    link,
    on_disk,
    pax,
    plain,
    streamed,
)

Maker = Callable[..., PlainLayer | StreamedLayer]


def contents(layer: Layer, name: bytes, start: int = 0, length: int = 1 << 20) -> bytes:
    above, _, base = name.rpartition(b"/")
    found = layer.directory(above)[base]
    layer.fetch([(name, found)])
    return layer.read(name, found, start, length)


def failure(layer: Layer, name: bytes, start: int = 0, length: int = 10) -> OSError:
    with pytest.raises(OSError, match=r"^\[Errno \d+\] ") as raised:
        contents(layer, name, start, length)
    return raised.value


@pytest.fixture(params=[plain, streamed])
def made(request: pytest.FixtureRequest) -> Maker:
    maker: Maker = request.param
    return maker


def test_both_kinds_have_the_shape_of_a_layer() -> None:
    layers: list[Layer] = [plain(), streamed()]
    assert [layer.root.type for layer in layers] == ["dir", "dir"]


def test_contents(made: Maker) -> None:
    layer = made(
        directory(b"d/"), file(b"d/a.kept", b"0123456789"), file(b"b", b"abc" * 1000), hard(b"c", b"b"), file(b"empty")
    )
    assert contents(layer, b"d/a.kept") == b"0123456789"
    assert contents(layer, b"d/a.kept", 2, 3) == b"234"
    assert contents(layer, b"d/a.kept", 8, 5) == b"89"
    assert contents(layer, b"d/a.kept", 10) == contents(layer, b"d/a.kept", 99) == contents(layer, b"empty") == b""
    assert contents(layer, b"b") == contents(layer, b"c") == b"abc" * 1000
    assert layer.index.problems == ()


def test_what_is_no_file_is_not_read(made: Maker) -> None:
    layer = made(directory(b"d/"), link(b"l", b"f"), entry(b"p", b"6"), entry(b"c", b"3"), file(b"f", b"x"))
    assert failure(layer, b"d").errno == errno.EISDIR
    for name in (b"l", b"p", b"c"):
        assert "not a regular file" in str(failure(layer, name))
    assert failure(layer, b"f", -1).errno == failure(layer, b"f", 0, -1).errno == errno.EINVAL


def test_sparse_files_are_not_read(made: Maker) -> None:
    records = {"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.realsize": b"5000"}
    layer = made(pax(records) + file(b"holes.kept", b"1" * 512), file(b"after", b"x"))
    assert failure(layer, b"holes.kept").errno == errno.ENODATA
    assert isinstance(layer, PlainLayer) or layer.passes == 1
    assert contents(layer, b"after") == b"x"
    assert [one.lost for one in layer.index.problems] == [True]


def test_plain_layers_read_what_is_asked_for_and_no_more() -> None:
    source = Memory(file(b"big", bytes(1 << 20)) + END)
    layer = PlainLayer.open(source)
    source.read = 0
    assert len(contents(layer, b"big", 5000, 100)) == 100
    assert source.read == 100


def test_a_plain_layer_that_was_cut_after_it_was_walked() -> None:
    with on_disk([file(b"x", b"1" * 1000) + END]) as handle:
        layer = PlainLayer.open(Window(OpenFile(handle), 0, 2560))
        os.ftruncate(handle, 900)
        assert contents(layer, b"x", 0, 100) == b"1" * 100
        with pytest.raises(BlobError, match="ends at byte 900"):
            contents(layer, b"x", 300, 100)
        os.close(handle)


class Opened:
    """A stream that can be opened again; says how often it was, and that nothing stays open."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.times = 0
        self.open = 0

    def __call__(self) -> Drip:
        self.times += 1
        self.open += 1
        outer = self

        class Counted(Drip):
            def close(self) -> None:
                outer.open -= 1
                super().close()

        return Counted(self.data)


def lay(opened: Opened, kept: Limits | None = None) -> StreamedLayer:
    return StreamedLayer.open(opened, lambda name, _: name.endswith(b".kept"), **(kept or limits()))


def test_one_more_pass_fetches_all_that_is_missing() -> None:
    opened = Opened(
        b"".join(file(b"f%d" % number, b"%d" % number * 500) for number in range(9)) + file(b"a.kept", b"a")
    )
    layer = lay(opened)
    entries = layer.directory(b"")
    assert (opened.times, layer.passes, len(layer.kept)) == (1, 1, 1)
    layer.fetch([(b"a.kept", entries[b"a.kept"])])
    assert opened.times == 1
    with pytest.raises(OSError, match="its contents were not kept"):
        layer.read(b"f3", entries[b"f3"], 0, 5)
    layer.fetch([(name, entries[name]) for name in (b"f7", b"f3", b"f5", b"a.kept")])
    assert [layer.read(name, entries[name], 0, 2) for name in (b"f3", b"f5", b"f7", b"a.kept")] == [
        b"33",
        b"55",
        b"77",
        b"a",
    ]
    assert (opened.times, layer.passes, opened.open) == (2, 2, 0)
    layer.fetch([(b"f7", entries[b"f7"])])
    assert opened.times == 2
    # What was kept can be handed on.
    again = StreamedLayer(layer.index, layer.kept, opened, **limits())
    assert contents(again, b"f5", 0, 1) == b"5"
    assert (opened.times, again.passes) == (2, 0)


def test_what_is_kept_has_limits() -> None:
    opened = Opened(
        file(b"a.kept", b"1" * 60) + file(b"b.kept", b"2" * 60) + file(b"c.kept", b"3" * 200) + file(b"d", b"4" * 30)
    )
    layer = lay(opened, limits(100))
    assert sorted(layer.kept.values()) == [b"1" * 60]
    error = failure(layer, b"c.kept")
    assert (error.errno, "200 bytes, more than the 100 that are kept" in str(error)) == (errno.EFBIG, True)
    assert opened.times == 1
    # What comes by first is kept; what is asked for takes its place.
    assert contents(layer, b"b.kept") == b"2" * 60
    assert sorted(layer.kept.values()) == [b"2" * 60]
    assert contents(layer, b"d") == b"4" * 30
    assert sum(map(len, layer.kept.values())) == 90
    layer.fetch([(name, layer.directory(b"")[name]) for name in (b"a.kept", b"b.kept")])
    with pytest.raises(OSError, match="more than the 100 bytes that an image's layers keep") as raised:
        layer.read(b"b.kept", layer.directory(b"")[b"b.kept"], 0, 10)
    assert raised.value.errno == errno.ENOBUFS


def test_layers_share_the_room_for_what_is_kept() -> None:
    shared = limits(100)
    room = shared["room"]
    streams = [Opened(file(b"a.kept", b"%d" % n * 40) + file(b"b", b"%d" % n * 40) + END) for n in range(4)]
    layers = [lay(opened, shared) for opened in streams]
    assert [len(layer.kept) for layer in layers] == [1, 1, 0, 0]
    for number in (3, 2, 1, 0, 3):
        for name in (b"a.kept", b"b"):
            assert contents(layers[number], name) == b"%d" % number * 40
            assert sum(len(piece) for layer in layers for piece in layer.kept.values()) + room.left == 100
            assert room.left >= 0
    # Two of them have room at a time: what had to make way cost one more pass each.
    assert [layer.passes for layer in layers] == [3, 3, 3, 5]


def test_a_stream_that_is_broken_in_its_second_pass() -> None:
    opened = Opened(file(b"a", b"1" * 600) + file(b"b", b"2" * 600) + END)
    layer = lay(opened)
    opened.data = opened.data[:1400]
    assert "layer can't be read again: it ends at byte 1400" in str(failure(layer, b"b"))
    assert contents(layer, b"a", 0, 3) == b"111"
    layer = StreamedLayer(layer.index, {}, broken, **limits())
    assert "layer can't be read again: gone" in str(failure(layer, b"a"))


def broken() -> Drip:
    raise OSError(errno.ENOENT, "gone")


def test_a_stream_that_can_not_be_opened() -> None:
    with pytest.raises(OSError, match="gone"):
        StreamedLayer.open(broken, lambda *_: True, **limits())


@pytest.mark.parametrize("bad", [b"", header(b"x", checksum=b"bad") + bytes(5000), END + b"junk" * 5000])
def test_a_stream_is_read_to_its_end(bad: bytes) -> None:
    """So that whoever hashes it knows the digest, even where the tar is damaged."""
    seen = []

    class Hashed(Drip):
        def read(self, size: int, /) -> bytes:
            piece = super().read(size)
            seen.append(len(piece))
            return piece

    data = file(b"x", b"1") + bad
    StreamedLayer.open(lambda: Hashed(data), lambda *_: True, **limits())
    assert sum(seen) == len(data)
    assert seen[-1] == 0


class Damaged(Drip):
    """What is there comes, then an error, once: asked again, a broken decompressor may do anything."""

    failed = 0

    def read(self, size: int, /) -> bytes:
        piece = super().read(size)
        if not piece:
            self.failed += 1
            assert self.failed == 1
            raise gzip.BadGzipFile("CRC check failed")
        return piece


def test_a_stream_that_is_damaged_behind_the_end_of_the_tar() -> None:
    layer = StreamedLayer.open(lambda: Damaged(file(b"x", b"1") + END), lambda *_: True, **limits())
    assert contents(layer, b"x") == b"1"
    assert layer.index.problems == (Problem("", "layer can't be read to its end: CRC check failed", lost=True),)


def test_a_stream_that_is_damaged_within_the_tar() -> None:
    layer = StreamedLayer.open(lambda: Damaged(file(b"x", b"1") + file(b"y", b"2")[:512]), lambda *_: True, **limits())
    assert contents(layer, b"x") == b"1"
    reason = "layer can't be read at byte 1024: CRC check failed"
    assert layer.index.problems == (Problem("byte 1024", reason, lost=True),)


def test_both_kinds_agree() -> None:
    chance = random.Random(5)
    for _ in range(50):
        pieces = [
            chance.choice((file, file, file, lambda name, _: directory(name), link))(
                b"/".join(chance.choice((b"a", b"b", b"c.kept", b".wh.a")) for _ in range(chance.randint(1, 3))),
                bytes([chance.randrange(65, 70)]) * chance.randint(1, 1500),
            )
            for _ in range(chance.randint(1, 10))
        ]
        one, other = plain(*pieces), streamed(*pieces)
        assert one.index == other.index
        for path in one.index.directories:
            for name, found in one.directory(path).items():
                if found.type == "file":
                    whole = path + b"/" + name if path else name
                    assert contents(one, whole) == contents(other, whole)


# Stacks: what the kernel shows of them stands in tests/property/test_overlay.py.


def shown(*layers: list[bytes]) -> dict[bytes, tuple[str, int]]:
    """Paths of a stack: what is there, and of which layer."""
    stack = Tree([plain(*pieces) for pieces in layers])
    found: dict[bytes, tuple[str, int]] = {}
    left = [b""]
    while left:
        path = left.pop()
        for name, (one, layer) in stack.directory(path).items():
            whole = path + b"/" + name if path else name
            found[whole] = (one.type, layer)
            if one.type == "dir":
                left.append(whole)
    return found


def test_a_file_that_goes_and_comes_again() -> None:
    assert shown([file(b"d/f")], [file(b"d/.wh.f")]) == {b"d": ("dir", 1)}
    assert shown([file(b"d/f")], [file(b"d/.wh.f")], [file(b"d/f")])[b"d/f"] == ("file", 2)
    uninstalled = (
        [file(b"s/six.py"), file(b"s/six-1.dist-info/METADATA")],
        [file(b"s/.wh.six.py"), file(b"s/.wh.six-1.dist-info")],
    )
    assert shown(*uninstalled) == {b"s": ("dir", 1)}


def test_types_that_change() -> None:
    assert shown([file(b"x/child")], [file(b"x")]) == {b"x": ("file", 1)}
    assert shown([file(b"x/child")], [file(b"x")], [directory(b"x")]) == {b"x": ("dir", 2)}
    assert shown([file(b"x")], [file(b"x/child")]) == {b"x": ("dir", 1), b"x/child": ("file", 1)}
    below = [directory(b"target"), file(b"target/kept"), link(b"x", b"target")]
    replaced = shown(below, [file(b"x/.wh..wh..opq"), file(b"x/new")])
    assert replaced[b"x"] == ("dir", 1)
    assert replaced[b"target/kept"] == ("file", 0)
    assert b"target/new" not in replaced


def test_an_opaque_marker_at_the_end_hides_only_what_is_below() -> None:
    layers = [file(b"d/old")], [file(b"d/new"), file(b"d/.wh..wh..opq")]
    assert shown(*layers) == {b"d": ("dir", 1), b"d/new": ("file", 1)}
    assert shown([file(b"old")], [file(b".wh..wh..opq")]) == {b"old": ("file", 0)}


def test_links_over_layers() -> None:
    stack = Tree(
        [
            plain(file(b"usr/lib/libc.so", b"c"), file(b"usr/bin/python3.9", b"p"), directory(b"etc/alternatives")),
            plain(
                link(b"lib64", b"/usr/lib"), link(b"bin", b"usr/bin"), link(b"etc/alternatives/py", b"/bin/python3.9")
            ),
            plain(link(b"usr/bin/python3", b"/etc/alternatives/py"), link(b"out", b"../../../../lib64/libc.so")),
        ]
    )
    assert stack.find(b"/bin/python3").path == b"usr/bin/python3.9"
    assert stack.find(b"lib64/libc.so").path == stack.find(b"out").path == b"usr/lib/libc.so"
    with pytest.raises(OSError, match="No such file"):
        stack.find(b"lib64/missing")


def test_deep_directories_and_many_layers() -> None:
    deep = b"d/" * 2000
    stack = Tree([plain(file(deep + b"x"))])
    # Asked for without its way there.
    assert list(stack.directory(deep[:-1])) == [b"x"]
    assert stack.find(deep + b"x").path == deep + b"x"
    many = Tree([plain(file(b"d/%d" % number), file(b"d/.wh.%d" % (number - 2))) for number in range(5000)])
    assert list(many.directory(b"d")) == [b"4999", b"4998"]
    assert many.find(b"d/4998").layer == 4998


def test_fetching_for_many_layers() -> None:
    layers = [streamed(file(b"%d" % number, b"x%d" % number)) for number in range(5)]
    stack = Tree(layers)
    places = [stack.find(b"%d" % number) for number in (3, 1)]
    stack.fetch(places)
    assert [stack.read(place, 0, 9) for place in places] == [b"x3", b"x1"]
    assert [layer.passes for layer in layers] == [1, 2, 1, 2, 1]


def test_a_damaged_layer_shows_what_comes_before_the_damage() -> None:
    data = file(b"a", b"1") + file(b"b", b"2") + header(b"c", checksum=b"bad") + file(b"d")
    layer = PlainLayer.open(Memory(data))
    assert sorted(layer.directory(b"")) == [b"a", b"b"]
    assert layer.index.problems == (Problem("byte 2048", "bad header checksum at byte 2048", lost=True),)
    assert contents(layer, b"b") == b"2"


class Checked:
    """A stream whose digest is found to be another one at its end, as often as told."""

    def __init__(self, data: bytes, *, wrong: bool) -> None:
        self._data = Drip(data)
        self._wrong = wrong

    def read(self, size: int, /) -> bytes:
        found = self._data.read(size)
        if not found and self._wrong:
            raise LookupError("digest mismatch")
        return found

    def close(self) -> None:
        self._data.close()


def test_nothing_is_taken_from_a_stream_that_is_another_one_by_now() -> None:
    data = file(b"first", b"1") + file(b"last", b"2") + END
    other = data.replace(b"1" + bytes(511), b"9" + bytes(511))
    streams = [Checked(data, wrong=False), Checked(other, wrong=True)]
    layer = StreamedLayer.open(lambda: streams.pop(0), lambda *_: False, **limits())
    with pytest.raises(LookupError):
        layer.fetch([(b"first", layer.directory(b"")[b"first"])])
    assert layer.kept == {}
    assert layer.passes == 2


def passed(layer: Layer, *names: bytes) -> list[bytes]:
    wanted = []
    for name in names:
        above, _, base = name.rpartition(b"/")
        wanted.append((name, layer.directory(above)[base]))
    found = [b""] * len(names)
    for number, piece in layer.contents(wanted):
        found[number] += piece
    return found


def test_contents_go_by_in_pieces(made: Maker) -> None:
    big = random.Random(1).randbytes(3 << 20)
    layer = made(
        file(b"d/a", b"1" * 600),
        file(b"big", big),
        file(b"kept.kept", b"k" * 10),
        hard(b"again", b"big"),
        file(b"empty"),
        link(b"l", b"big"),
        file(b"last", b"z"),
    )
    names = (b"last", b"again", b"kept.kept", b"empty", b"l", b"big", b"d", b"d/a")
    assert passed(layer, *names) == [b"z", big, b"k" * 10, b"", b"", big, b"", b"1" * 600]
    assert max(len(piece) for _, piece in layer.contents([(b"big", layer.directory(b"")[b"big"])])) <= 1 << 20
    assert passed(layer) == []


def test_a_sparse_file_has_no_contents_to_go_by(made: Maker) -> None:
    records = {"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.realsize": b"5000"}
    layer = made(pax(records) + file(b"holes", b"1" * 512), file(b"after", b"x"))
    assert passed(layer, b"holes", b"after") == [b"", b"x"]


def test_contents_of_a_stream_take_one_pass_and_are_not_held() -> None:
    opened = Opened(file(b"a.kept", b"a") + b"".join(file(b"f%d" % n, b"%d" % n * 700) for n in range(9)) + END)
    layer = lay(opened, limits(500))
    assert passed(layer, b"a.kept") == [b"a"]
    assert (opened.times, layer.passes) == (1, 1)
    assert passed(layer, b"f8", b"f1", b"a.kept") == [b"8" * 700, b"1" * 700, b"a"]
    assert (opened.times, layer.passes, opened.open) == (2, 2, 0)
    assert sum(map(len, layer.kept.values())) == 1


def test_a_part_that_was_kept_is_not_taken_for_the_whole() -> None:
    opened = Opened(file(b"lib.so", b"0123456789" * 100) + END)
    layer = StreamedLayer.open(
        opened,
        lambda *_: False,
        sampling=lambda: lambda _name, _size, contents: {0: contents.read(10)},
        sampled=lambda *_: True,
        **limits(),
    )
    assert list(layer.kept.values()) == [b"0123456789"]
    assert passed(layer, b"lib.so") == [b"0123456789" * 100]
    assert layer.passes == 2


def test_contents_of_a_stream_that_is_cut_or_gone() -> None:
    opened = Opened(file(b"a", b"1" * 600) + file(b"b", b"2" * 600) + END)
    layer = lay(opened)
    opened.data = opened.data[:1800]
    with pytest.raises(OSError, match="ends at byte 1800"):
        passed(layer, b"a", b"b")
    assert opened.open == 0
    with pytest.raises(OSError, match="gone"):
        passed(StreamedLayer(layer.index, {}, broken, **limits()), b"a")
