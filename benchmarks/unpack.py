"""A floor: decompression of every layer of an OCI layout, a mebibyte at a time, nothing looked at or kept.

Gzip by isal, zstd by zstandard, as reprocheck does it where it finds them.

``python -m benchmarks.unpack DIR`` prints how many bytes the layers have when they are unpacked.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import zstandard
from isal import igzip_lib

_CHUNK = 1 << 20


def main() -> None:
    """Unpack and count."""
    where = Path(sys.argv[1])
    (listed,) = json.loads((where / "index.json").read_bytes())["manifests"]
    manifest = json.loads(_blob(where, listed["digest"]).read_bytes())
    print(
        sum(
            _UNPACK[layer["mediaType"].rpartition("+")[2]](_blob(where, layer["digest"]))
            for layer in manifest["layers"]
        )
    )


def _gzip(path: Path) -> int:
    unpack = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    size = 0
    with path.open("rb", buffering=0) as stored:
        while not unpack.eof:
            size += len(unpack.decompress(stored.read(_CHUNK) if unpack.needs_input else b"", _CHUNK))
    return size


def _zstd(path: Path) -> int:
    size = 0
    with path.open("rb", buffering=0) as stored, zstandard.ZstdDecompressor().stream_reader(stored) as unpacked:
        while piece := unpacked.read(_CHUNK):
            size += len(piece)
    return size


_UNPACK = {"gzip": _gzip, "zstd": _zstd}


def _blob(where: Path, digest: str) -> Path:
    return where / "blobs" / digest.replace(":", "/")


if __name__ == "__main__":
    main()
