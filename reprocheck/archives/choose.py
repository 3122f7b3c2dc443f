"""From what an archive or layout holds to the one image that is meant.

Where an archive has both ``index.json`` (OCI) and ``manifest.json`` (docker-save), ``index.json`` is followed, since
there each step is checked by a digest; ``manifest.json`` where ``index.json`` lists no image, or none of the name
that was asked for. It is noted if the two disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from reprocheck.archives import digest as digests
from reprocheck.archives import manifest, platforms
from reprocheck.archives.manifest import Descriptor, Document, ImageConfig, SavedImage
from reprocheck.archives.platforms import Platform
from reprocheck.archives.store import Store, content, document
from reprocheck.errors import TargetError
from reprocheck.model.text import printable

INDEX, SAVED, LAYOUT = "index.json", "manifest.json", "oci-layout"
_NESTED = 4
"""Indexes in indexes that are followed; builders nest one in another."""
_DOCUMENTS = 1000
"""Manifests and indexes that are read to find the one."""
_LISTED = 20


class StoredLayer(Struct, frozen=True, kw_only=True):
    """A layer as a manifest names it."""

    name: str
    """Member or file."""
    digest: str | None
    """Of the bytes as they are stored; ``None`` where nothing says it."""
    media_type: str = ""
    size: int | None = None
    urls: tuple[str, ...] = ()


class Chosen(Struct, frozen=True, kw_only=True):
    """The one image that is meant."""

    config: ImageConfig
    config_digest: str
    manifest_digest: str | None
    layers: tuple[StoredLayer, ...]
    tags: tuple[str, ...]
    notes: tuple[str, ...] = ()


class _Candidate(Struct, frozen=True):
    descriptor: Descriptor
    names: tuple[str, ...]


def choose(store: Store, tag: str | None, platform: Platform | None) -> Chosen:
    """The image that a tag and a platform mean; without them, the one that there is.

    Raises:
        TargetError: there is none, or more than one, or it can't be read.
    """
    raw = content(store, SAVED)
    saved = _saved(store, raw) if raw is not None else ()
    candidates = _candidates(store)
    if saved and not (candidates and (tag is None or any(_named(tag, one) for one in _all(store, candidates)))):
        return _from_saved(store, saved, tag, platform, candidates)
    if not candidates:
        raise TargetError(f"{store.where}: not a docker-save or OCI archive: {_looked_for(store, raw)}")
    chosen = _from_index(store, candidates, tag, platform)
    if saved and chosen.config_digest not in {_digest_of(one.config) for one in saved}:
        note = f"{INDEX} and {SAVED} disagree: the image that {INDEX} names is read"
        return replace(chosen, notes=(*chosen.notes, note))
    return chosen


def _looked_for(store: Store, raw: bytes | None) -> str:
    if raw is not None:
        return f"{SAVED} lists no image; save the image again"
    if store.find(INDEX) is not None:
        return f"{INDEX} lists no image; save or copy the image again"
    old = " (written before Docker 1.10, or not by docker save)" if store.find("repositories") is not None else ""
    cut = f"; {store.problem}" if store.problem else ""
    return (
        f"neither {SAVED} nor {INDEX} is in it{old}{cut}; save the image again,"
        " or, if it holds a root file system, unpack it and name the directory as rootfs:DIR"
    )


# index.json


def _candidates(store: Store) -> tuple[_Candidate, ...]:
    raw = content(store, INDEX)
    if raw is None:
        return ()
    read = manifest.document(raw, f"{store.where}: {INDEX}")
    layout = content(store, LAYOUT)
    if layout is not None:
        where = f"{store.where}: {LAYOUT}"
        version = manifest.decode(layout, manifest.LayoutVersion, where).image_layout_version
        if not version.startswith("1."):
            raise TargetError(f"{where}: image layout version {printable(version[:80])}, and version 1 is read")
    return tuple(_Candidate(one, tuple(_names(one))) for one in _images(read.manifests or ()))


def _images(descriptors: Iterable[Descriptor]) -> Iterator[Descriptor]:
    """Each image once, attestations and the like left out."""
    seen = set()
    for one in descriptors:
        key = (one.digest, tuple(_names(one)))
        if not one.about_another and key not in seen:
            seen.add(key)
            yield one


def _names(descriptor: Descriptor) -> Iterator[str]:
    annotations = descriptor.annotations or {}
    for key in (manifest.IMAGE_NAME, manifest.REF_NAME):
        if annotations.get(key):
            yield annotations[key]


def _named(tag: str, candidate: _Candidate) -> bool:
    return tag == candidate.descriptor.digest or any(_same_name(tag, name) for name in candidate.names)


def _same_name(tag: str, name: str) -> bool:
    return tag == name or _familiar(tag) == _familiar(name)


def _familiar(name: str) -> str:
    """An image's name as docker shows it, tag written out."""
    name = name.removeprefix("docker.io/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def _all(store: Store, candidates: Sequence[_Candidate]) -> Iterator[_Candidate]:
    """Candidates, and what stands in those that are indexes."""
    for one in candidates:
        yield one
        yield from (_Candidate(leaf, one.names) for leaf in _leaves(store, one.descriptor))


def _from_index(store: Store, candidates: Sequence[_Candidate], tag: str | None, platform: Platform | None) -> Chosen:
    if tag is not None:
        named = [one for one in candidates if _named(tag, one)]
        # A digest may name one of several platforms.
        named = named or [one for one in _all(store, candidates) if tag == one.descriptor.digest]
        if not named:
            raise TargetError(f"{store.where}: holds no image {printable(tag)}; {_listed(candidates)}")
        candidates = named
    digest_list = {one.descriptor.digest for one in candidates}
    names = {one.names for one in candidates}
    # Some writers list the platforms of one image right in index.json.
    if len(digest_list) > 1 and (len(names) > 1 or any(one.descriptor.platform is None for one in candidates)):
        raise TargetError(f"{store.where}: holds {len(digest_list)} images; {_listed(candidates)}")
    leaves: dict[str, _Candidate] = {}
    for one in candidates:
        for leaf in _leaves(store, one.descriptor):
            leaves.setdefault(leaf.digest, _Candidate(leaf, one.names))
    chosen = _for_platform(store, list(leaves.values()), platform)
    tags = dict.fromkeys(name for one in candidates for name in one.names)
    return _of_manifest(store, chosen.descriptor, tuple(tags))


def _listed(candidates: Iterable[_Candidate]) -> str:
    return _choices((one.names, one.descriptor.digest) for one in candidates)


def _choices(images: Iterable[tuple[Sequence[str], str]]) -> str:
    """What tells images apart: a name that no other has, or the digest."""
    images = list(images)
    count = Counter(name for names, _ in images for name in set(names))
    choices = (next((name for name in names if count[name] == 1), digest) for names, digest in images)
    known = [printable(name[:200]) for name in dict.fromkeys(choices)]
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"add one of these: {', '.join(f'#{name}' for name in known[:_LISTED])}{more}"


def _leaves(store: Store, descriptor: Descriptor) -> list[Descriptor]:
    """The manifests that a descriptor leads to, through indexes in indexes; those that are not stored, too."""
    leaves = []
    level = [descriptor]
    count = 0
    for _ in range(_NESTED):
        below: list[Descriptor] = []
        for one in level:
            count += 1
            if count > _DOCUMENTS:
                raise TargetError(f"{store.where}: more than {_DOCUMENTS} manifests and indexes; is it an image's?")
            where = f"{store.where}: manifest"
            if store.find(digests.path(digests.check(one.digest, where))) is None:
                leaves.append(one)
                continue
            read = _document(store, one)
            if read.manifests is None:
                leaves.append(one)
            else:
                below += _images(read.manifests)
        if not below:
            return leaves
        level = below
    raise TargetError(f"{store.where}: indexes nested more than {_NESTED} deep; copy the image that you mean alone")


def _document(store: Store, descriptor: Descriptor) -> Document:
    where = f"{store.where}: manifest {descriptor.digest}"
    return manifest.document(document(store, descriptor, "manifest"), where)


def _for_platform(store: Store, leaves: list[_Candidate], asked: Platform | None) -> _Candidate:
    if not leaves:
        raise TargetError(f"{store.where}: holds no image, only what is said about images (attestations, signatures)")
    # An engine that holds one platform of an image saves the index of all.
    here = [one for one in leaves if store.find(digests.path(one.descriptor.digest)) is not None]
    if not here or (len(here) == 1 and asked is None):
        return (here or leaves)[0]
    known = [(one, _platform(store, one.descriptor)) for one in here]
    wanted = asked or platforms.here()
    exact = [one for one, platform in known if platform.normal() == wanted.normal()]
    near = [one for one, platform in known if (platform.os, platform.architecture) == (wanted.os, wanted.architecture)]
    fitting = exact if exact or wanted.variant else near
    present = ", ".join(f"{printable(str(platform))} (#{one.descriptor.digest})" for one, platform in known[:_LISTED])
    if not fitting:
        raise TargetError(f"{store.where}: has no image for {wanted}; it has {present}: choose with --platform")
    if len(fitting) > 1:
        raise TargetError(f"{store.where}: has several images for {wanted}: {present}; name one by its digest")
    return fitting[0]


def _platform(store: Store, descriptor: Descriptor) -> Platform:
    if descriptor.platform is not None:
        return descriptor.platform
    read = _document(store, descriptor)
    return _config(store, read)[0].platform if read.config is not None else Platform()


def _of_manifest(store: Store, descriptor: Descriptor, tags: tuple[str, ...]) -> Chosen:
    read = _document(store, descriptor)
    where = f"{store.where}: manifest {descriptor.digest}"
    if read.config is None:
        raise TargetError(f"{where}: names no configuration, so it is no image's; is it another kind of artifact?")
    config, digest = _config(store, read)
    layers = tuple(
        StoredLayer(
            name=digests.path(digests.check(one.digest, f"{where}: layer {number}")),
            digest=one.digest,
            media_type=one.media_type,
            size=one.size,
            urls=one.urls or (),
        )
        for number, one in enumerate(read.layers or (), start=1)
    )
    return Chosen(config=config, config_digest=digest, manifest_digest=descriptor.digest, layers=layers, tags=tags)


def _config(store: Store, read: Document) -> tuple[ImageConfig, str]:
    descriptor = read.config
    assert descriptor is not None  # noqa: S101 - the callers have looked
    raw = document(store, descriptor, "configuration")
    where = f"{store.where}: configuration {descriptor.digest}"
    if descriptor.media_type:
        where += f" ({printable(descriptor.media_type[:100])})"
    return manifest.decode(raw, ImageConfig, where), descriptor.digest


# manifest.json


def _saved(store: Store, raw: bytes) -> tuple[SavedImage, ...]:
    return manifest.decode(raw, tuple[SavedImage, ...] | None, f"{store.where}: {SAVED}") or ()  # type: ignore[arg-type]


def _digest_of(config: str) -> str:
    """The digest that the name of a configuration stands for: ``HEX.json``, ``sha256:HEX``, ``blobs/sha256/HEX``."""
    encoded = config.removesuffix(".json").rpartition("/")[2].removeprefix("sha256:")
    return f"sha256:{encoded}"


def _from_saved(
    store: Store,
    saved: tuple[SavedImage, ...],
    tag: str | None,
    platform: Platform | None,
    beside: Sequence[_Candidate],
) -> Chosen:
    """The image that ``manifest.json`` names; ``beside`` is what ``index.json`` has, for the list."""
    named: dict[tuple[str, tuple[str, ...] | None], list[str]] = {}
    for one in saved:
        named.setdefault((one.config, one.layers), []).extend(one.repo_tags or ())
    listed = _choices(
        [
            *((one.names, one.descriptor.digest) for one in beside),
            *((names, _digest_of(config)) for (config, _), names in named.items()),
        ]
    )
    distinct = {(one.config, one.layers): one for one in saved}
    if tag is not None:
        distinct = {
            key: one
            for key, one in distinct.items()
            if tag == _digest_of(one.config) or any(_same_name(tag, name) for name in named[key])
        }
    if not distinct:
        raise TargetError(f"{store.where}: holds no image {printable(tag or '')}; {listed}")
    if len(distinct) > 1:
        raise TargetError(f"{store.where}: holds {len(distinct)} images; {listed}")
    ((key, one),) = distinct.items()
    return _of_saved(store, one, tuple(dict.fromkeys(named[key])), platform)


def _of_saved(store: Store, one: SavedImage, tags: tuple[str, ...], platform: Platform | None) -> Chosen:
    where = f"{store.where}: configuration {printable(one.config[:200])}"
    raw = content(store, _plain(one.config))
    if raw is None:
        cut = f" ({store.problem})" if store.problem else ""
        raise TargetError(f"{where}: is not in it{cut}; save the image again")
    digest = digests.of(raw)
    notes = []
    named = digests.from_path(one.config)
    if store.verify and named is not None and digests.of(raw, named.partition(":")[0]) != named:
        raise digests.mismatch(f"{store.where}: digest mismatch configuration", named, digest)
    if named is None and digests.valid(_digest_of(one.config)) and _digest_of(one.config) != digest:
        # docker load takes it as it is: the name of the old shape is no promise.
        notes.append(f"the configuration {one.config} has the digest {digest}: it was edited")
    config = manifest.decode(raw, ImageConfig, where)
    if platform is not None and config.platform.normal() != platform.normal():
        raise TargetError(f"{store.where}: has no image for {platform}; it has {printable(str(config.platform))}")
    diff_ids = config.rootfs.diff_ids or ()
    sources = one.layer_sources or {}
    layers = []
    for number, name in enumerate(one.layers or ()):
        # A source is where the layer came from, and says nothing of what is stored here.
        source = sources.get(diff_ids[number]) if number < len(diff_ids) and store.find(_plain(name)) is None else None
        layers.append(
            StoredLayer(
                name=_plain(name),
                digest=digests.from_path(_plain(name)),
                media_type=source.media_type if source else "",
                urls=(source.urls or ()) if source else (),
            )
        )
    return Chosen(
        config=config,
        config_digest=digest,
        manifest_digest=None,
        layers=tuple(layers),
        tags=tags,
        notes=tuple(notes),
    )


def _plain(name: str) -> str:
    """A name without a leading ``./``, as members are kept."""
    return name.removeprefix("./")
