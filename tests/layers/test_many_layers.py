"""Stacks of thousands of layers: nothing is looked at once for each layer below, and the past is what it was."""

from __future__ import annotations

import errno
import random
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pytest

from reprocheck.layers import tree as tree_module
from reprocheck.layers.entry import Entry
from reprocheck.layers.tar_layer import PlainLayer
from reprocheck.layers.tree import Place, Tree, Untraceable
from tests.layers.archives import directory, file, link, plain
from tests.property.test_overlay import NAMES, layer_of

SITE = b"usr/lib/python3/site-packages"


class Counted:
    """A layer that counts how many entries it was asked for."""

    streamed = False

    def __init__(self, layer: PlainLayer) -> None:
        self.root = layer.root
        self.asked = 0
        self._layer = layer

    def directory(self, path: bytes) -> Mapping[bytes, Entry]:
        self.asked += 1
        return self._layer.directory(path)

    def read(self, path: bytes, entry: Entry, start: int, length: int) -> bytes:
        return self._layer.read(path, entry, start, length)

    def fetch(self, wanted: Iterable[tuple[bytes, Entry]], sampled: Iterable[tuple[bytes, Entry]] = ()) -> None:
        """Nothing."""

    def contents(self, wanted: Sequence[tuple[bytes, Entry]]) -> Iterator[tuple[int, bytes]]:
        return self._layer.contents(wanted)


STACKS: dict[str, Callable[[int], bytes]] = {
    "a package each": lambda number: file(SITE + b"/p%d/METADATA" % number),
    "one file again and again": lambda number: file(SITE + b"/p/METADATA", b"%d" % number),
    "a database, grown": lambda number: file(b"var/lib/dpkg/status", b"x" * number),
    "written and taken away": lambda number: file(SITE + (b"/.wh.p" if number % 2 else b"/p/METADATA")),
    "started afresh": lambda number: file(SITE + b"/.wh..wh..opq") + file(SITE + b"/%d" % number),
    "a link that is moved": lambda number: link(b"opt", b"usr/%d" % number) + file(b"usr/%d/METADATA" % number),
}


def everything(tree: Tree, path: bytes = b"") -> Iterator[Place]:
    for name, (entry, layer) in tree.directory(path).items():
        place = Place(path + b"/" + name if path else name, entry, layer)
        yield place
        if entry.type == "dir":
            yield from everything(tree, place.path)


@pytest.mark.parametrize("stack", STACKS)
def test_what_is_looked_at_grows_with_the_layers(stack: str) -> None:
    looked_at = []
    for number in (500, 5000):
        layers = [Counted(plain(STACKS[stack](one))) for one in range(number)]
        tree = Tree(layers)
        for place in everything(tree):
            if place.entry.type == "dir":
                tree.removed(place.path)
            since, layer = tree.since(place.path), place.layer
            while layer > since:
                layer = tree.find(place.path, follow=False, before=layer).layer
        looked_at.append(sum(one.asked for one in layers))
    assert looked_at[1] <= 10 * looked_at[0] + 100


def test_the_past_is_what_a_stack_of_the_lower_layers_shows() -> None:
    compared = 0
    for seed in range(300):
        chance = random.Random(seed)
        layers = [plain(*(step.packed() for step in layer_of(chance))) for _ in range(chance.randint(2, 6))]
        tree = Tree(layers)
        paths = [b"", *NAMES, *(a + b"/" + b for a in NAMES for b in NAMES)]
        paths += [one + b"/" + name for one in paths[5:] for name in NAMES]
        for before in range(1, len(layers) + 1):
            lower = Tree(layers[:before])
            for path in paths:
                for follow in (False, True):
                    there = outcome(lambda: lower.find(path, follow=follow))  # noqa: B023 - called at once
                    then = outcome(lambda: tree.find(path, follow=follow, before=before))  # noqa: B023
                    assert then == there, (seed, before, path, follow)
                    compared += isinstance(there, Place)
    assert compared > 10_000


def test_since_when_a_file_is_there() -> None:
    stack = [
        plain(file(b"d/kept"), file(b"d/hidden"), file(b"d/afresh"), file(b"d/linked"), link(b"now", b"d")),
        plain(file(b"d/kept"), file(b"d/.wh.hidden"), file(b"d/afresh"), directory(b"now"), file(b"now/kept")),
        plain(file(b"d/hidden"), file(b"d/.wh..wh..opq"), file(b"d/afresh"), file(b"now/kept")),
        plain(file(b"d/kept"), file(b"d/hidden"), file(b"d/afresh")),
    ]
    tree = Tree(stack)
    since = {place.path.decode(): (place.layer, tree.since(place.path)) for place in everything(tree)}
    assert since == {
        "d": (3, 0),
        "d/kept": (3, 3),
        "d/hidden": (3, 2),
        "d/afresh": (3, 0),
        "now": (2, 1),
        "now/kept": (2, 1),
    }


def outcome(look: Callable[[], Place]) -> Place | int | None:
    try:
        return look()
    except OSError as error:
        return error.errno


PAD = b"x/../" * 50
FILES, MOVES = 300, 100


def moved_link() -> Tree:
    """A link to a long chain of links, which each layer writes again, and now and then it leads elsewhere."""
    chain = [link(b"c%d" % number, PAD + (b"c%d" % (number + 1) if number < 30 else b"real")) for number in range(31)]
    files = [file(b"real/p%d/METADATA" % number) for number in range(FILES)]
    moves = [plain(link(b"link", b"other" if number % 50 == 20 else PAD + b"c0")) for number in range(MOVES)]
    return Tree([plain(directory(b"x"), *files, *chain), *moves])


def test_files_behind_a_link_that_is_moved_share_where_it_led(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "_PAST_MOST", 500_000)
    tree = moved_link()
    assert {tree.since(b"link/p%d/METADATA" % number) for number in range(FILES)} == {72}
    assert tree.since(b"real/p0/METADATA") == 0


def test_what_would_take_too_long_to_trace_is_not_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "_PAST_MOST", 5_000)
    looks: tuple[Callable[[Tree], object], ...] = (
        lambda tree: tree.since(b"link/p0/METADATA"),
        lambda tree: tree.removed(b"link"),
        lambda tree: [tree.find(b"link/p0/METADATA", before=layer) for layer in range(MOVES, 1, -1)],
    )
    for look in looks:
        tree = moved_link()
        with pytest.raises(Untraceable):
            look(tree)
        assert tree.find(b"link/p0/METADATA").path == b"real/p0/METADATA"


def test_files_in_a_directory_that_many_links_lead_to() -> None:
    """However many links lead into a chain of them, each is followed as far as the kernel would."""
    chain = [link(b"c%d" % number, b"c%d" % (number + 1)) for number in range(45)]
    into = [link(b"from%d" % number, b"c%d" % number) for number in range(45)]
    expected = {number: number >= 5 for number in range(45)}
    for order in (range(45), range(44, -1, -1), random.Random(1).sample(range(45), 45)):
        tree = Tree([plain(file(b"c45/f"), *chain, *into)])
        for number in order:
            there = outcome(lambda: tree.find(b"c%d/f" % number))  # noqa: B023 - called at once
            assert isinstance(there, Place) == expected[number], number
            there = outcome(lambda: tree.find(b"from%d/f" % number))  # noqa: B023
            assert isinstance(there, Place) == (number >= 6), number
            assert isinstance(there, Place) or there == errno.ELOOP


def test_ways_are_remembered_without_what_lies_on_them() -> None:
    """A path of two thousand names goes by as many directories, each with a path of its own."""
    deep = b"d/" * 1000
    tree = Tree([plain(file(deep + b"x"), *(link(b"l%d" % number, b"./" * number + deep) for number in range(30)))])
    tracemalloc.start()
    try:
        for number in range(30):
            assert tree.find(b"l%d/x" % number).path == deep + b"x"
            assert tree.find(b"l%d/../d" % number).path == deep[:-1]
        assert tracemalloc.get_traced_memory()[1] < 5 << 20, "a MiB for each was held"
    finally:
        tracemalloc.stop()
