"""Who wrote and removed what, in random stacks of layers, against a tree of each height of the stack."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from reprocheck.layers.entry import Layer
from reprocheck.layers.tree import Place, Tree
from tests.layers.archives import plain
from tests.property.test_overlay import NAMES, layer_of

STACKS = 600
TWO = [a + b"/" + b for a in NAMES for b in NAMES]
PATHS = [b"", *NAMES, *TWO, *(one + b"/" + name for one in TWO for name in NAMES[:2])]


def names(tree: Tree, path: bytes) -> set[bytes]:
    """What is seen in a directory; nothing where there is none."""
    try:
        place = tree.find(path)
    except OSError:
        return set()
    return set(tree.directory(place.path)) if place.entry.type == "dir" else set()


def removed(heights: Sequence[Tree], path: bytes) -> dict[bytes, int]:
    """The layer after which each name was last gone."""
    gone: dict[bytes, int] = {}
    had: set[bytes] = set()
    for layer, tree in enumerate(heights):
        there = names(tree, path)
        gone.update(dict.fromkeys(had - there, layer))
        had = there
    return {name: layer for name, layer in gone.items() if name not in had}


def run(heights: Sequence[Tree], shows: Callable[[Tree], object]) -> int:
    """The layer from which on all trees show what the last one does."""
    last = shows(heights[-1])
    different = (layer for layer, tree in enumerate(heights) if shows(tree) != last)
    return max(different, default=-1) + 1


def place_and_type(tree: Tree, path: bytes, *, follow: bool = True) -> object:
    place = found(tree, path, follow=follow)
    return place and (place.path, place.entry.type)


def contents(tree: Tree, path: bytes) -> object:
    place = found(tree, path, follow=False)
    if place is None:
        return None
    read = tree.read(place, 0, place.entry.size) if place.entry.type == "file" else b""
    return place.path, place.entry.type, place.entry.link, read


def found(tree: Tree, path: bytes, *, follow: bool) -> Place | None:
    try:
        return tree.find(path, follow=follow)
    except OSError:
        return None


def test_who_wrote_and_removed_what() -> None:
    compared: Counter[str] = Counter()
    for seed in range(STACKS):
        chance = random.Random(seed)
        layers: list[Layer] = [
            plain(*(step.packed() for step in layer_of(chance))) for _ in range(chance.randint(2, 7))
        ]
        tree = Tree(layers)
        heights = [Tree(layers[: height + 1]) for height in range(len(layers))]
        for path in PATHS:
            gone = removed(heights, path)
            assert tree.removed(path) == gone, (seed, path)
            place = found(tree, path, follow=True)
            compared["removed"] += len(gone)
            if place is None:
                continue
            since = run(heights, partial(place_and_type, path=path))
            assert tree.since(path) == since, (seed, path)
            changed = run(heights, partial(contents, path=place.path))
            assert tree.changed([place]) == [changed], (seed, path)
            compared["moved"] += since > place.layer
            compared["rewritten"] += since < place.layer
            compared["touched"] += changed < place.layer
    assert min(compared.values()) > 50, compared
    assert compared["removed"] > 2_000
