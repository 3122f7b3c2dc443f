"""Who wrote and removed what, in random stacks of layers, against a tree of each height of the stack."""

from __future__ import annotations

import random
from collections.abc import Sequence

from reprocheck.layers.entry import Layer
from reprocheck.layers.tree import Tree
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


def test_who_removed_what() -> None:
    found = 0
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
            found += len(gone)
    assert found > 2_000
