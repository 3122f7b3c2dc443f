"""One image packed in several ways: what `docker save` wrote, as OCI layouts with compressed layers."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from isal.igzip import IGzipFile

_CHUNK = 1 << 20
_ARCHITECTURE = "application/vnd.oci.image"


class _Hashing:
    """A file to write to that knows the digest and the size of what went through."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        return self._sink.write(data)

    def flush(self) -> None:
        self._sink.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def _gzip(source: IO[bytes], sink: IO[bytes]) -> None:
    with IGzipFile(fileobj=sink, mode="wb", compresslevel=1, mtime=0) as packed:  # type: ignore[no-untyped-call]
        shutil.copyfileobj(source, packed, _CHUNK)


def _zstd(source: IO[bytes], sink: IO[bytes]) -> None:
    import zstandard

    zstandard.ZstdCompressor(level=1).copy_stream(source, sink)


_PACK: dict[str, Callable[[IO[bytes], IO[bytes]], None]] = {"gzip": _gzip, "zstd": _zstd}


def layout(saved: Path, where: Path, compression: str) -> Path:
    """An OCI image layout of the one image of a docker-save archive (OCI image layout specification)."""
    blobs = where / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(media_type: str, fill: Callable[[IO[bytes]], None]) -> dict[str, Any]:
        part = where / "part"
        with part.open("wb") as sink:
            hashing = _Hashing(sink)
            fill(hashing)  # type: ignore[arg-type] # it has all that is used of a file
        part.rename(blobs / hashing.digest.removeprefix("sha256:"))
        return {"mediaType": media_type, "digest": hashing.digest, "size": hashing.size}

    def document(media_type: str, content: bytes) -> dict[str, Any]:
        return blob(media_type, lambda sink: shutil.copyfileobj(io.BytesIO(content), sink))

    with tarfile.open(saved) as archive:

        def member(name: str) -> IO[bytes]:
            found = archive.extractfile(name)
            assert found is not None
            return found

        (image,) = json.load(member("manifest.json"))
        config = document(f"{_ARCHITECTURE}.config.v1+json", member(image["Config"]).read())
        pack = _PACK[compression]
        layers = [
            blob(
                f"{_ARCHITECTURE}.layer.v1.tar+{compression}",
                lambda sink, name=name: pack(member(name), sink),  # type: ignore[misc]
            )
            for name in image["Layers"]
        ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_ARCHITECTURE}.manifest.v1+json",
        "config": config,
        "layers": layers,
    }
    listed = document(manifest["mediaType"], json.dumps(manifest).encode())  # type: ignore[arg-type]
    (where / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [listed]}))
    (where / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return where
