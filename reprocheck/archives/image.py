"""A stored image: its configuration, and its layers in order, the lowest first, each to be opened and checked."""

from __future__ import annotations

import re
from contextlib import suppress

from msgspec import Struct

from reprocheck.archives import digest as digests
from reprocheck.archives import history
from reprocheck.archives.choose import Chosen, StoredLayer, choose
from reprocheck.archives.manifest import ContainerConfig, HistoryEntry
from reprocheck.archives.platforms import Platform
from reprocheck.archives.store import Blob, Store, Visited
from reprocheck.errors import TargetError
from reprocheck.layers.ahead import ahead
from reprocheck.layers.blob import CHUNK, BlobError, Pieces, Reader, Window, drain
from reprocheck.layers.compression import Compression, decompressed
from reprocheck.model.text import printable

_LAYER_TYPE = re.compile(
    r"application/vnd\.(?:"
    r"oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(?P<oci>gzip|zstd))?"
    r"|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:[.+](?P<docker>gzip|zstd))?)"
)
"""Media types of layers that are read (OCI "Media Types"; Docker image manifest version 2, schema 2)."""


class Layer:
    """One layer as it is stored."""

    def __init__(self, store: Store, number: int, stored: StoredLayer, diff_id: str, blob: Blob | None) -> None:
        self.number = number
        """Position, from 1 for the lowest, as messages count."""
        self.name = stored.name
        """Member or file."""
        self.digest = stored.digest
        """Of the bytes as they are stored; ``None`` where nothing says it."""
        self.diff_id = diff_id
        """Digest of the uncompressed bytes, as the configuration has it."""
        self.media_type = stored.media_type
        """As the manifest has it, which may be wrong; empty where it says none."""
        self.size = blob.size if blob is not None else stored.size
        """Bytes as they are stored; ``None`` where nothing says it."""
        self.compression: Compression = blob.compression if blob is not None else "none"
        """Told by the bytes, not by the media type."""
        self._store = store
        self._stored = stored
        self._blob = blob
        visited = blob.visited if blob is not None else None
        self._tolerated = dict.fromkeys(visited.tolerated if visited is not None else ())
        self.problem = self._problem()
        """Why it can't be read, with its digest and media type; ``None`` where it can."""

    def __str__(self) -> str:
        return f"layer {self.number} ({self.digest or self.diff_id})"

    @property
    def window(self) -> Window | None:
        """The layer in place, where it is not compressed, nor is what it stands in.

        Raises:
            DigestError: its size is not what the manifest says.
        """
        if self._blob is None or self.problem is not None or self.compression != "none":
            return None
        self._check_size(self._blob)
        return self._blob.window

    @property
    def visited(self) -> object:
        """What the visit gave back when the layer came by; ``None`` where none did.

        Raises:
            DigestError: what came by is not what the digest says.
        """
        visited = self._blob.visited if self._blob is not None else None
        if visited is None:
            return None
        if self._store.verify:
            self._check_passed(visited)
        return visited.result

    @property
    def hashed(self) -> str | None:
        """Digest of the uncompressed bytes, where they were hashed when the layer came by."""
        visited = self._blob.visited if self._blob is not None else None
        return visited.diff[0] if visited is not None and visited.diff else None

    @property
    def tolerated(self) -> tuple[str, ...]:
        """What its compressed bytes have that does no harm, as far as they were read."""
        return tuple(self._tolerated)

    def open(self) -> Pieces:
        """Its uncompressed bytes in order, read ahead in a thread, checked as they go by.

        The bytes of a compressed layer are checked against its digest; the uncompressed ones against the diff_id
        if that is asked for, or if the layer has no digest, and against what came by before. What is wrong is known
        when all of it is read, so a reader reads on (:func:`reprocheck.layers.blob.drain`) when the archive in it has
        ended.

        Raises:
            BlobError: it has a problem, or it is cut or corrupt (from ``read``).
            DigestError: it is not what its digest says (from ``read``).
        """
        if self._blob is None or self.problem is not None:
            raise BlobError(self.problem or f"{self}: can't be read")
        return ahead(self._checked(self._blob))

    def check(self) -> None:
        """Read it through, and compare it with its digests: for a layer that is otherwise read in place.

        Raises:
            DigestError: it is not what they say.
            OSError: it can't be read.
        """
        if self._blob is None or self.problem is not None:
            return
        if self.compression != "none":
            drain(self._checked(self._blob))
        else:
            for digest in dict.fromkeys(filter(None, (self.digest, self.diff_id))):
                drain(digests.checking(self._blob.open(), digest, self._mismatch))

    @property
    def _mismatch(self) -> str:
        return f"{self._store.where}: digest mismatch layer {self.number}"

    def _checked(self, blob: Blob) -> Reader:
        verify, packed = self._store.verify, self.compression != "none"
        self._check_size(blob)
        raw = blob.open()
        if verify and packed and self.digest is not None:
            # In a thread of its own: hashing would take up to a third of the time that gzip takes to be unpacked.
            raw = ahead(digests.checking(raw, self.digest, self._mismatch))
        try:
            plain = decompressed(raw, self.compression, self._tolerated.setdefault)
        except BlobError as error:
            raise BlobError(f"{self}: {error}") from error
        stated = self.diff_id if verify and (self._store.deep or (packed and self.digest is None)) else self.hashed
        if stated is not None:
            plain = digests.checking(plain, stated, self._mismatch)

        def following() -> bytes:
            try:
                return plain.read(CHUNK)
            except BlobError as error:
                # A stream that was changed says less of it than its digest does.
                if verify:
                    with suppress(BlobError):
                        drain(raw)
                raise BlobError(f"{self}: {error}") from error

        return Pieces(following)

    def _check_size(self, blob: Blob) -> None:
        want = self._stored.size
        if not self._store.verify or self.digest is None or want in {None, blob.size}:
            return
        drain(digests.checking(blob.open(), self.digest, self._mismatch))
        raise digests.mismatch(
            f"{self._store.where}: size mismatch layer {self.number} {self.digest}",
            f"{want} bytes",
            f"{blob.size}",
        )

    def _check_passed(self, visited: Visited) -> None:
        for want, taken in ((self.digest, visited.stored), (self.diff_id, visited.diff)):
            if want is not None and taken and want not in taken:
                algorithm = want.partition(":")[0]
                got = next((one for one in taken if one.startswith(f"{algorithm}:")), taken[0])
                raise digests.mismatch(self._mismatch, want, got)

    def _problem(self) -> str | None:
        kind = printable(self.media_type[:200]) or "no media type"
        which = f"layer {self.number} ({self.digest or self.diff_id}, {kind})"
        if self._blob is None:
            cut = f"; {self._store.problem}" if self._store.problem else ""
            urls = ", ".join(printable(url[:200]) for url in self._stored.urls[:3])
            source = f"; it can be had from {urls}, and nothing is fetched on its own" if urls else ""
            return f"{which}: is not stored here{source}{cut}"
        if self.media_type and not _LAYER_TYPE.fullmatch(self.media_type):
            encrypted = "is encrypted, and " if self.media_type.endswith("+encrypted") else ""
            return f"{which}: {encrypted}has media type {kind}, which cannot be read"
        visited = self._blob.visited
        return f"{which}: {visited.problem}" if visited is not None and visited.problem else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is wrong with its description and does no harm."""
        if self._blob is None:
            return ()
        label = _LAYER_TYPE.fullmatch(self.media_type)
        said = (label["oci"] or label["docker"] or "none") if label else self.compression
        wrong = f"{self}: its media type says {_worded(said)}, its bytes are {_worded(self.compression)}"
        return () if said == self.compression else (wrong,)


def _worded(compression: str) -> str:
    return "not compressed" if compression == "none" else compression


class Image(Struct, frozen=True, kw_only=True):
    """One stored image."""

    config_digest: str
    """Digest of the configuration: the image's id."""
    manifest_digest: str | None
    """``None`` where docker-save gives no manifest."""
    platform: Platform
    config: ContainerConfig
    """Defaults of a container, secrets and all."""
    history: tuple[HistoryEntry, ...]
    """As the configuration has it, secrets and all."""
    instructions: tuple[str | None, ...]
    """The instruction that made each layer, secrets masked; ``None`` where it can't be told."""
    tags: tuple[str, ...]
    """Names that the archive or layout gives it."""
    layers: tuple[Layer, ...]
    """The lowest first."""
    notes: tuple[str, ...]
    """What is wrong with it and does no harm."""


def describe(store: Store, tag: str | None, platform: Platform | None) -> Image:
    """The image of a store that a tag and a platform mean.

    Raises:
        TargetError: there is none, or more than one, or its documents can't be read or contradict each other.
        DigestError: a document is not what its digest says.
    """
    chosen = choose(store, tag, platform)
    layers = _layers(store, chosen)
    entries = chosen.config.history or ()
    instructions = history.from_config(entries, len(layers))
    notes = [*store.notes, *chosen.notes]
    if instructions is None:
        made = sum(not entry.empty_layer for entry in entries)
        notes.append(
            f"the history has {made} entries that made layers, and there are {len(layers)} layers:"
            " no layer's instruction is known"
            if entries
            else "the configuration has no history: no layer's instruction is known"
        )
    notes += [note for layer in layers for note in layer.notes]
    if store.problem is not None:
        notes.append(store.problem)
    return Image(
        config_digest=chosen.config_digest,
        manifest_digest=chosen.manifest_digest,
        platform=chosen.config.platform,
        config=chosen.config.config or ContainerConfig(),
        history=entries,
        instructions=instructions or (None,) * len(layers),
        tags=chosen.tags,
        layers=layers,
        notes=tuple(notes),
    )


def _layers(store: Store, chosen: Chosen) -> tuple[Layer, ...]:
    where = f"{store.where}: configuration {chosen.config_digest}"
    diff_ids = chosen.config.rootfs.diff_ids or ()
    if len(diff_ids) != len(chosen.layers):
        raise TargetError(
            f"{where}: has {len(diff_ids)} diff_ids, and the manifest has {len(chosen.layers)} layers;"
            " save or build the image again"
        )
    return tuple(
        Layer(
            store, number, stored, digests.check(diff_id, f"{where}: diff_ids[{number - 1}]"), store.find(stored.name)
        )
        for number, (stored, diff_id) in enumerate(zip(chosen.layers, diff_ids, strict=True), start=1)
    )
