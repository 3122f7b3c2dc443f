"""Compressed streams: told by their first bytes, whatever a label says, and unpacked a chunk at a time.

Formats: gzip (RFC 1952), zstd (RFC 8878), bzip2, xz. A stream may be several members, one after the other, as
estargz and pigz write them. What follows the last member is ignored where the format's own tool ignores it.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Literal, Protocol

from reprocheck.layers.blob import CHUNK, BlobError, Pieces, Reader, drain
from reprocheck.layers.zstd import WINDOW, BlockwiseDecoder

Compression = Literal["none", "gzip", "zstd", "bzip2", "xz"]

MAGIC = 10
"""Bytes that :func:`sniff` looks at."""
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
_XZ = b"\xfd7zXZ\x00"
_BZIP2, _BZIP2_BLOCK, _BZIP2_END = b"BZh", b"1AY&SY", b"\x17rE8P\x90"
_XZ_MEMORY = 128 << 20
"""Bytes that an xz stream may ask for; ``xz -9`` asks for 65 MiB."""
_IGNORED_TAIL = frozenset({"gzip", "bzip2"})
"""gzip(1) and bzip2(1) warn of what follows the last member; zstd(1) and xz(1) refuse it."""
_PADDED = frozenset({"gzip", "xz"})
"""Zeros between and after members mean nothing: gzip(1), xz file format 2.2."""


class Decoder(Protocol):
    """Unpacks one member; the shape of ``bz2.BZ2Decompressor``."""

    @property
    def eof(self) -> bool:
        """The member has ended."""
        ...

    @property
    def needs_input(self) -> bool:
        """Nothing more comes without more input."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was given and stands behind the end of the member."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Unpack."""
        ...


class _Zlib:
    """The standard library's gzip, in the shape of the others."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        decoder = self._decoder
        unpacked = decoder.decompress(decoder.unconsumed_tail + data, max_length)
        # As much as may be given: there can be more in its window, without more input.
        self.needs_input = not decoder.unconsumed_tail and len(unpacked) < max_length
        return unpacked


def sniff(head: bytes) -> Compression:
    """How a stream that begins so is compressed."""
    if head.startswith(_GZIP):
        return "gzip"
    if head.startswith(_ZSTD) or (head[1:4] == _ZSTD_SKIPPABLE and head[0] >> 4 == 5):  # noqa: PLR2004 - 0x50 to 0x5F
        return "zstd"
    if head.startswith(_XZ):
        return "xz"
    if head.startswith(_BZIP2) and head[4:10] in {_BZIP2_BLOCK, _BZIP2_END}:
        return "bzip2"
    return "none"


def decompressed(source: Reader, compression: Compression, note: Callable[[str], None] = lambda _: None) -> Reader:
    """The uncompressed bytes of a stream; the source is read to its end.

    Args:
        source: the stream.
        compression: how it is compressed, as :func:`sniff` told it.
        note: is told what was tolerated.

    Raises:
        BlobError: no package here unpacks it. Later, from ``read``: the stream is cut or corrupt.
    """
    if compression == "none":
        return source
    return Pieces(_Stream(source, compression, note).following)


def _methods() -> dict[str, Callable[[], tuple[Callable[[], Decoder], tuple[type[Exception], ...]]]]:
    return {
        "gzip": _gzip,
        "zstd": _zstd,
        "bzip2": lambda: (bz2.BZ2Decompressor, (OSError, EOFError, ValueError)),
        "xz": lambda: (partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, memlimit=_XZ_MEMORY), (lzma.LZMAError, EOFError)),
    }


def _gzip() -> tuple[Callable[[], Decoder], tuple[type[Exception], ...]]:
    try:
        library = import_module("isal.igzip_lib")
    except ImportError:
        return _Zlib, (zlib.error,)
    return partial(library.IgzipDecompressor, flag=library.DECOMP_GZIP), (library.IsalError,)


def _zstd() -> tuple[Callable[[], Decoder], tuple[type[Exception], ...]]:
    try:
        standard = import_module("compression.zstd")  # Python 3.14
    except ImportError:
        pass
    else:
        options = {standard.DecompressionParameter.window_log_max: WINDOW.bit_length() - 1}
        return partial(standard.ZstdDecompressor, options=options), (standard.ZstdError,)
    try:
        library = import_module("zstandard")
    except ImportError:
        raise BlobError("is compressed with zstd, which nothing here unpacks; pip install 'reprocheck[fast]'") from None
    unpacker = library.ZstdDecompressor(max_window_size=WINDOW)
    return lambda: BlockwiseDecoder(unpacker.decompressobj()), (library.ZstdError, ValueError)


class _Stream:
    def __init__(self, source: Reader, compression: Compression, note: Callable[[str], None]) -> None:
        self._source = source
        self._compression = compression
        self._note = note
        self._new, self._errors = _methods()[compression]()
        self._decoder: Decoder | None = None
        self._input = b""
        self._taken = 0
        self._members = 0

    def following(self) -> bytes:
        """The next uncompressed bytes; none at the end."""
        while True:
            if self._decoder is None:
                if not self._another():
                    return b""
                self._decoder = self._new()
            unpacked = self._unpack(self._decoder)
            if self._decoder.eof:
                self._input, self._decoder = self._decoder.unused_data, None
                self._members += 1
            if unpacked:
                return unpacked

    def _unpack(self, decoder: Decoder) -> bytes:
        data = b""
        if decoder.needs_input:
            data, self._input = self._input or self._more(), b""
            if not data:
                raise BlobError(f"the {self._compression} stream is cut: it ends at byte {self._taken}")
        try:
            return decoder.decompress(data, CHUNK)
        except self._errors as error:
            raise BlobError(
                f"the {self._compression} stream is corrupt at or before byte {self._taken} ({error})"
            ) from error

    def _more(self) -> bytes:
        data = self._source.read(CHUNK)
        self._taken += len(data)
        return data

    def _another(self) -> bool:
        """Whether a member follows."""
        padded = self._members and self._compression in _PADDED
        head = self._input.lstrip(b"\0") if padded else self._input
        while len(head) < MAGIC and (more := self._more()):
            head += more
            head = head.lstrip(b"\0") if padded else head
        self._input = head
        if not self._members or sniff(head) == self._compression:
            return True
        if head:
            where = f"behind the end of the {self._compression} stream, at byte {self._taken - len(head)}"
            if self._compression not in _IGNORED_TAIL:
                raise BlobError(f"what stands {where}, is none")
            self._note(f"what stands {where}, is ignored")
            self._input = b""
            drain(self._source)
        return False
