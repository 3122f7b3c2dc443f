"""zstd frames a few blocks at a time (RFC 8878, section 3.1).

The package ``zstandard`` unpacks all that it is given, and four bytes can become 128 KiB; and it does not tell a
stream that was cut from one that ended. So the headers of frame and blocks are read here, and as many whole
blocks are handed on as become a chunk at most.
"""

from __future__ import annotations

from typing import Protocol

WINDOW = 1 << 27
"""Bytes that a stream may ask to look back: zstd(1)'s own limit."""
_BLOCKS = 8
_BLOCK_MAXIMUM = 128 << 10
"""Uncompressed bytes of a block (3.1.1.2.3)."""
_BLOCK_HEADER = 3
_CHECKSUM = 4
_SKIPPABLE_HEADER = 8
_SINGLE_SEGMENT, _HAS_CHECKSUM = 0x20, 0x04
_CONTENT_SIZE_BYTES = (0, 2, 4, 8)
_DICTIONARY_BYTES = (0, 1, 2, 4)
_RLE, _RESERVED = 1, 3


class _Unpacker(Protocol):
    def decompress(self, data: bytes | memoryview, /) -> bytes: ...


class BlockwiseDecoder:
    """Unpacks one frame, or passes over a skippable one; the shape of ``bz2.BZ2Decompressor``."""

    def __init__(self, unpacker: _Unpacker) -> None:
        self._unpacker = unpacker
        self._held = b""
        self._at = 0
        self._begun = False
        self._checksum = 0
        self._skip = 0
        self.eof = False
        self.needs_input = True

    @property
    def unused_data(self) -> bytes:
        """What was given and stands behind the end of the frame."""
        return self._held[self._at :] if self.eof else b""

    def decompress(self, data: bytes, _max_length: int, /) -> bytes:
        """Unpack at most eight blocks, a mebibyte.

        Raises:
            ValueError: a header is invalid; or what the package raises.
        """
        if data:
            self._held, self._at = self._held[self._at :] + data, 0
        if not self._begun:
            return self._begin()
        if self._skip:
            return self._pass_over()
        return self._unpack(self._at, self._whole_blocks())

    def _unpack(self, begin: int, end: int) -> bytes:
        self.needs_input = end == begin
        self._at = end
        return self._unpacker.decompress(memoryview(self._held)[begin:end]) if end > begin else b""

    def _begin(self) -> bytes:
        head = self._held
        if len(head) >= _SKIPPABLE_HEADER and head[0] >> 4 == 5:  # noqa: PLR2004 - 0x184D2A5? (3.1.2)
            self._begun = True
            self._at = _SKIPPABLE_HEADER
            self._skip = int.from_bytes(head[4:8], "little")
            return self._pass_over()
        if len(head) < _SKIPPABLE_HEADER:  # the shortest frame has nine bytes
            return b""
        descriptor = head[4]
        single = bool(descriptor & _SINGLE_SEGMENT)
        size = 5 + (not single) + _DICTIONARY_BYTES[descriptor & 3]
        size += _CONTENT_SIZE_BYTES[descriptor >> 6] or single
        if len(head) < size:
            return b""
        self._begun = True
        self._checksum = _CHECKSUM if descriptor & _HAS_CHECKSUM else 0
        return self._unpack(0, size)

    def _pass_over(self) -> bytes:
        step = min(self._skip, len(self._held) - self._at)
        self._skip -= step
        self._at += step
        self.eof = not self._skip
        return b""

    def _whole_blocks(self) -> int:
        """Where the last block ends that is here as a whole."""
        held, at = self._held, self._at
        for _ in range(_BLOCKS):
            if at + _BLOCK_HEADER > len(held):
                break
            header = int.from_bytes(held[at : at + _BLOCK_HEADER], "little")
            last, kind, size = header & 1, header >> 1 & 3, header >> 3
            if kind == _RESERVED or size > _BLOCK_MAXIMUM:
                raise ValueError(f"a block of type {kind} with {size} bytes")
            end = at + _BLOCK_HEADER + (1 if kind == _RLE else size) + (self._checksum if last else 0)
            if end > len(held):
                break
            at = end
            if last:
                self.eof = True
                break
        return at
