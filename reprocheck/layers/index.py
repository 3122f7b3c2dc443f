"""The entries of one layer, by directory: what its own directory would hold if it were unpacked into an empty one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Struct

from reprocheck.layers.entry import Entry
from reprocheck.layers.problem import Problem

_NOTHING: Mapping[bytes, Entry] = MappingProxyType({})


class LayerIndex(Struct, frozen=True, array_like=True):
    """Entries and problems of a layer; :class:`reprocheck.layers.builder.IndexBuilder` makes one of a tar."""

    root: Entry
    """The root directory itself."""
    directories: dict[bytes, dict[bytes, Entry]]
    """The entries of each directory that has any, by its path; the root is ``b""``."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with the layer, in its order."""

    def directory(self, path: bytes) -> Mapping[bytes, Entry]:
        """The entries of a directory, by name; empty where the layer has no such directory."""
        return self.directories.get(path, _NOTHING)

    @property
    def paths(self) -> int:
        """Bytes of the paths of its directories."""
        return sum(map(len, self.directories))

    def to_bytes(self) -> bytes:
        """The whole index as MessagePack."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, raw: bytes) -> LayerIndex:
        """What :meth:`to_bytes` gave.

        Raises:
            ValueError: the bytes are something else.
        """
        try:
            return _DECODER.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"not the index of a layer: {error}") from error


_DECODER = msgspec.msgpack.Decoder(LayerIndex)
