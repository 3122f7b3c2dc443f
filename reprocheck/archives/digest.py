"""Digests (OCI image specification, "Descriptor": digests): checked before they name a file, and as bytes go by."""

from __future__ import annotations

import hashlib
import re

from reprocheck.errors import TargetError
from reprocheck.layers.blob import Pieces, Reader
from reprocheck.model.text import printable

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
ALGORITHMS = ("sha256", "sha512")
"""The registered ones, the usual one first."""
_QUOTED = 160


class DigestError(TargetError):
    """Bytes are not those that their digest names."""


def valid(digest: str) -> bool:
    """Whether it is a digest of a registered algorithm: only such a one ever becomes part of a path."""
    return _DIGEST.fullmatch(digest) is not None


def check(digest: str, where: str) -> str:
    """Give the digest back.

    Raises:
        TargetError: it is none.
    """
    if not valid(digest):
        raise TargetError(
            f"{where}: invalid digest {printable(digest[:_QUOTED])!r}; sha256: and 64 or sha512: and 128 digits of"
            " lower-case hexadecimal are read"
        )
    return digest


def path(digest: str) -> str:
    """Where an image layout has the blob of a valid digest."""
    algorithm, _, encoded = digest.partition(":")
    return f"blobs/{algorithm}/{encoded}"


def from_path(name: str) -> str | None:
    """The digest that a path in an image layout stands for; ``None`` for another path."""
    parts = name.split("/")
    digest = ":".join(parts[1:])
    return digest if parts[0] == "blobs" and valid(digest) else None


def of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of some bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()}"


def mismatch(what: str, want: str, got: str) -> DigestError:
    """The error for bytes that are not the wanted ones; ``what`` says where and which."""
    return DigestError(
        f"{what}: want {want} got {got}; it was cut or changed: copy or save the image again,"
        " or read it unchecked with --no-verify"
    )


class Hashing:
    """A reader that hashes what goes by, in as many ways as are named."""

    def __init__(self, source: Reader, *algorithms: str) -> None:
        self._source = source
        self._hashes = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms}

    def read(self, length: int, /) -> bytes:
        """The next bytes."""
        piece = self._source.read(length)
        for one in self._hashes.values():
            one.update(piece)
        return piece

    @property
    def digests(self) -> tuple[str, ...]:
        """The digests of what went by so far."""
        return tuple(f"{algorithm}:{one.hexdigest()}" for algorithm, one in self._hashes.items())


def checking(source: Reader, want: str, what: str) -> Reader:
    """A reader that compares the digest of what went by when the source ends.

    It raises :class:`DigestError`, which names ``what``, in place of the end.
    """
    hashing = Hashing(source, want.partition(":")[0])

    def following() -> bytes:
        piece = hashing.read(1 << 20)
        if not piece and hashing.digests != (want,):
            raise mismatch(what, want, *hashing.digests)
        return piece

    return Pieces(following)
