"""``archive:`` and ``oci:``: images as files, read without an engine and without running a line of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from reprocheck.archives.archive import open_archive
from reprocheck.archives.image import Image
from reprocheck.archives.image import Layer as Stored
from reprocheck.archives.layout import open_layout
from reprocheck.archives.platforms import Platform, parse
from reprocheck.layers.blob import Held, Pieces, Window
from reprocheck.layers.builder import IndexBuilder
from reprocheck.layers.cache import LayerCache, of_user
from reprocheck.layers.entry import Layer as TreeLayer
from reprocheck.layers.index import LayerIndex
from reprocheck.layers.problem import Problem
from reprocheck.layers.room import Room
from reprocheck.layers.tar_layer import PlainLayer, StreamedLayer
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import Document, EngineFacts, LayerProblem
from reprocheck.model.snapshot import DigestsChecked, Layer, Subject
from reprocheck.targets import kept
from reprocheck.targets.address import Address, chosen
from reprocheck.targets.configuration import settings, variable
from reprocheck.targets.session import Session, header
from reprocheck.targets.traced import traced

_NOTHING = PlainLayer(Window(Held(b""), 0, 0), IndexBuilder().finish())
"""Stands for a layer that can't be read."""
_PATHS_MOST = 64 << 20
"""Bytes of the paths of all directories in the layers of one image."""
_TOO_MANY = msgspec.structs.replace(
    _NOTHING.index,
    problems=(
        Problem("", f"the paths of the image's directories have more than {_PATHS_MOST} bytes up to here", lost=True),
    ),
)
"""Stands for what is in a layer beyond that."""


@contextmanager
def open_stored(
    address: Address, *, platform: str | None = None, verify: bool = True, deep: bool = False
) -> Iterator[Session]:
    """Open the archive or layout, choose the image, and put its layers together.

    Raises:
        TargetError: it can't be read, holds no such image, or is not what its digests say.
    """
    path, tag = chosen(address.value)
    room = kept.room()
    with _opened(address, Path(path), tag, parse(platform) if platform else None, verify, deep, room) as image:
        cache = of_user() if verify else None
        layers, problems = layers_of(image, room, cache, deep=deep)
        config = image.config
        document = Document(
            header=msgspec.structs.replace(
                header(str(address), "archive" if address.kind == "archive" else "OCI layout", executed=False),
                checked=_checked(image, verify=verify, deep=deep),
            ),
            subject=Subject(kind=address.kind, name=address.value, platform=str(image.platform)),
            engine=EngineFacts(
                image_id=image.config_digest,
                image_name=image.tags[0] if image.tags else None,
                config_digest=image.config_digest,
                platform=str(image.platform),
                layers=tuple(
                    Layer(index=index, diff_id=layer.diff_id, instruction=instruction)
                    for index, (layer, instruction) in enumerate(zip(image.layers, image.instructions, strict=True))
                ),
                **settings(
                    user=config.user,
                    entrypoint=config.entrypoint or (),
                    cmd=config.cmd or (),
                    env=config.env,
                    exposed_ports=config.exposed_ports,
                    labels=config.labels,
                    volumes=config.volumes,
                    workdir=config.working_dir,
                ),
            ),
            problems=(*problems, *(LayerProblem(where=str(address), reason=note, lost=False) for note in image.notes)),
        )
        tree = Tree(layers)
        yield traced(document, tree, home=variable(config.env, "HOME"))
        if cache is not None:
            keep(image, layers, cache, deep=deep)


def _opened(
    address: Address,
    path: Path,
    tag: str | None,
    platform: Platform | None,
    verify: bool,
    deep: bool,
    room: Room,
) -> AbstractContextManager[Image]:
    if address.kind == "oci":
        return open_layout(path, tag=tag, platform=platform, verify=verify, deep=deep)
    return open_archive(path, tag=tag, platform=platform, verify=verify, deep=deep, visit=indexed(room))


def indexed(room: Room) -> Callable[[Pieces], StreamedLayer]:
    """What makes a layer of a compressed archive as it comes by, once."""
    return lambda pieces: kept.as_it_comes_by(lambda: pieces, room)


def layers_of(
    image: Image, room: Room, cache: LayerCache | None = None, *, deep: bool = False
) -> tuple[list[TreeLayer], list[LayerProblem]]:
    """Each layer as one of a tree; one that can't be read is an empty one and a problem.

    One that the image names several times is read once.
    """
    layers: list[TreeLayer] = []
    opened: dict[tuple[str, str], PlainLayer | StreamedLayer] = {}
    paths = 0
    problems = []
    for stored in image.layers:
        if stored.problem is not None:
            problems.append(LayerProblem(where=str(stored), reason=stored.problem, lost=True))
            layers.append(_NOTHING)
            continue
        # Those of one name have the same bytes, and those of one diff_id as well the same things to be checked.
        layer = opened.get((stored.name, stored.diff_id))
        if layer is None:
            layer = opened[stored.name, stored.diff_id] = _opened_layer(stored, room, cache, deep=deep)
            paths += layer.index.paths
            if paths > _PATHS_MOST:
                layer.index = _TOO_MANY
        problems += [
            LayerProblem(where=problem.within(str(stored)), reason=problem.reason, lost=problem.lost)
            for problem in layer.index.problems
        ]
        layers.append(layer)
    return layers, problems


def _opened_layer(stored: Stored, room: Room, cache: LayerCache | None, *, deep: bool) -> PlainLayer | StreamedLayer:
    window = stored.window
    if window is not None:
        if deep:
            stored.check()
        return PlainLayer.open(window)
    visited = stored.visited
    if isinstance(visited, StreamedLayer):
        visited.reopened_by(stored.open)
        visited.index = _noted(visited.index, stored)
        return visited
    known = cache.load(stored.digest) if cache is not None and stored.digest is not None and not deep else None
    if known is not None:
        return kept.known(known[0], known[1], stored.open, room, altered=True)
    layer = kept.as_it_comes_by(stored.open, room)
    layer.index = _noted(layer.index, stored)
    return layer


def _noted(index: LayerIndex, stored: Stored) -> LayerIndex:
    """The index with what was odd in the compressed bytes; it is kept with the index, so that it is told again."""
    notes = (Problem("", text, lost=False) for text in stored.tolerated)
    return msgspec.structs.replace(index, problems=(*index.problems, *notes))


def keep(image: Image, layers: Sequence[TreeLayer], cache: LayerCache, *, deep: bool = False) -> None:
    """Keep what was read of layers that came by, by the digest that was compared with their bytes or taken of them."""
    from reprocheck.targets import harmless

    done: set[str] = set()
    for stored, layer in zip(image.layers, layers, strict=True):
        digest = stored.hashed
        if digest is None and isinstance(layer, StreamedLayer) and layer.passes:
            digest = stored.digest
        if digest is None or digest in done or not isinstance(layer, StreamedLayer):
            continue
        done.add(digest)
        if not any(problem.lost for problem in layer.index.problems):
            contents = harmless.contents(layer.index, layer.kept)
            cache.store(digest, layer.index, contents, diff_id=stored.diff_id if deep else None)


def _checked(image: Image, *, verify: bool, deep: bool) -> DigestsChecked:
    if not verify:
        return "none"
    # A plain layer that is read in place is not read through, nor is one hashed that comes by: that would be half as
    # much again as unpacking it, where the processor has no instruction for it.
    plain = any(stored.compression == "none" and stored.problem is None for stored in image.layers)
    return "headers" if plain and not deep else "digests"
