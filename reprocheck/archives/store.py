"""Where an image is stored: members or files by name, in an archive or a directory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from reprocheck.archives import digest as digests
from reprocheck.archives import manifest
from reprocheck.errors import TargetError
from reprocheck.layers.blob import Pieces, Reader, Window
from reprocheck.layers.compression import MAGIC, Compression, sniff

Visit = Callable[[Pieces], object]
"""Is given the uncompressed bytes of each layer that comes by, once; what it gives back is kept with the layer."""


class Visited(Struct, frozen=True):
    """What became of a layer that came by in a compressed archive."""

    result: object
    """What the visit gave back; ``None`` where the layer has a problem."""
    problem: str | None
    stored: tuple[str, ...]
    """Digests of the bytes as stored, where they were hashed."""
    diff: tuple[str, ...]
    """Digests of the uncompressed bytes, where they were hashed; that by sha256 first."""
    tolerated: tuple[str, ...]
    """What its compressed bytes have that does no harm."""


class Blob(Struct, frozen=True, kw_only=True):
    """A member or file, as it is stored."""

    size: int
    """Bytes."""
    head: bytes
    """Its first bytes: enough to tell what it is."""
    window: Window | None
    """Its bytes in place; ``None`` where they come by in a stream only."""
    open: Callable[[], Reader]
    """Read it from its beginning; in a compressed archive that is one more pass over what stands before it."""
    visited: Visited | None = None

    @property
    def compression(self) -> Compression:
        """How it is compressed, whatever its label says."""
        return sniff(self.head[:MAGIC])


def in_place(window: Window) -> Blob:
    """A blob that can be read anywhere.

    Raises:
        OSError: it can't be read.
    """
    return Blob(size=window.size, head=window.read_at(0, MAGIC), window=window, open=window.reader)


class Store(Protocol):
    """An archive or a layout. Names have slashes, none of them leading."""

    where: str
    """How messages name it."""
    verify: bool
    """Digests and sizes are checked."""
    deep: bool
    """Digests of uncompressed layers are checked."""
    problem: str | None
    """What is wrong with it as a whole: where it was cut, for one."""

    notes: tuple[str, ...]
    """What is odd about it and does no harm."""

    def find(self, name: str) -> Blob | None:
        """A member or file; ``None`` where there is none.

        Raises:
            TargetError: it is one that is not read: no regular file, a link in a circle, a link that leads outside.
        """
        ...


def content(store: Store, name: str) -> bytes | None:
    """The whole of a document; ``None`` where there is none.

    Raises:
        TargetError: it can't be read, or is too large for a document.
    """
    blob = store.find(name)
    if blob is None:
        return None
    where = f"{store.where}: {name}"
    manifest.check_size(blob.size, where)
    if blob.window is None:
        raise TargetError(f"{where}: is a layer, where a document is expected; save the image again")
    try:
        return blob.window.read_at(0, blob.size)
    except OSError as error:
        raise TargetError(f"{where}: can't be read ({error.strerror})") from error


def document(store: Store, descriptor: manifest.Descriptor, what: str) -> bytes:
    """The manifest, index or configuration that a descriptor names, checked against it.

    Raises:
        TargetError: it is not there, can't be read, or is not what the descriptor says.
    """
    where = f"{store.where}: {what}"
    digest = digests.check(descriptor.digest, where)
    manifest.check_size(descriptor.size, where)
    raw = content(store, digests.path(digest))
    if raw is None:
        cut = f" ({store.problem})" if store.problem else ""
        raise TargetError(f"{where} {digest}: is not in it{cut}; save or copy the image again, with all its parts")
    if store.verify:
        got = digests.of(raw, digest.partition(":")[0])
        if got != digest:
            raise digests.mismatch(f"{store.where}: digest mismatch {what}", digest, got)
        if len(raw) != descriptor.size:
            raise digests.mismatch(
                f"{store.where}: size mismatch {what} {digest}", f"{descriptor.size} bytes", f"{len(raw)}"
            )
    return raw
