"""``image:`` by the stream that ``docker save`` makes: for whoever may neither read the storage nor run the image.

What comes by is hashed and kept: the next time, the image is read from the layer cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from reprocheck.archives.archive import open_stream
from reprocheck.layers.blob import Pieces, Reader
from reprocheck.layers.cache import of_user
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import Document
from reprocheck.targets import kept
from reprocheck.targets.engine import Engine
from reprocheck.targets.sdk import talking
from reprocheck.targets.session import Session, routed
from reprocheck.targets.stored import indexed, keep, layers_of
from reprocheck.targets.traced import traced


@contextmanager
def open_saved(document: Document, engine: Engine, *, home: str | None) -> Iterator[Session]:
    """Have the engine send the whole image once, and keep of it what is needed.

    Raises:
        TargetError: what it sends is no image.
        EngineError: the engine was lost on the way.
    """
    name = document.header.target
    image_id = document.engine.image_id if document.engine is not None else ""

    def opened() -> Reader:
        pieces = _sent(engine, image_id, name)
        return Pieces(lambda: next(pieces, b""))

    room = kept.room()
    image = open_stream(name, opened, indexed(room))
    layers, problems = layers_of(image, room)
    tree = Tree(layers)
    told = msgspec.structs.replace(routed(document, "save stream"), problems=tuple(problems))
    yield traced(told, tree, home=home)
    keep(image, layers, of_user())


def _sent(engine: Engine, image_id: str, name: str) -> Iterator[bytes]:
    with talking(name):
        yield from filter(None, engine.client.get_image(image_id))
