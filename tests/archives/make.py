"""Stored images for tests: layers, docker-save archives of both shapes, OCI layouts and archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'

Files = Mapping[str, bytes]


def sha(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def tar(files: Mapping[str, bytes | str], *, links: Mapping[str, str] | None = None) -> bytes:
    """A tar archive: contents by name, and symbolic links."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return raw.getvalue()


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


LOWER = tar({"etc/os-release": "ID=made\n", "opt/a": "a" * 5000})
UPPER = tar({"opt/b": "b" * 700})
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    "+gzip": lambda content: gzip.compress(content, mtime=0),
    "+zstd": lambda content: zstandard.ZstdCompressor().compress(content),
}


def config(
    layers: Iterable[bytes] = (LOWER, UPPER), *, architecture: str = "amd64", variant: str | None = None, **more: Any
) -> dict[str, Any]:
    """An image configuration; a setting between the layers made none."""
    diff_ids = [sha(layer) for layer in layers]
    history: list[dict[str, Any]] = [
        {"created_by": f"RUN /bin/sh -c make-layer {number} # buildkit"} for number in range(len(diff_ids))
    ]
    history.insert(1, {"created_by": "ENV TOKEN=hidden", "empty_layer": True})
    made = {
        "os": "linux",
        "architecture": architecture,
        "config": {
            "Env": ["PATH=/bin", "A=1"],
            "Entrypoint": ["python3"],
            "User": "me",
            "ExposedPorts": {"80/tcp": {}},
        },
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    }
    return {**made, **({"variant": variant} if variant else {}), **more}


@dataclass
class Layout:
    """An OCI layout in the making: files by name."""

    files: dict[str, bytes] = field(default_factory=lambda: {"oci-layout": LAYOUT})
    manifests: list[dict[str, Any]] = field(default_factory=list)

    def blob(self, content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        """Store a blob; its descriptor."""
        digest = sha(content)
        self.files[blob_path(digest)] = content
        return {"mediaType": media_type, "digest": digest, "size": len(content), **more}

    def manifest(
        self,
        layers: Iterable[bytes] = (LOWER, UPPER),
        *,
        packing: str = "+gzip",
        settings: dict[str, Any] | None = None,
        descriptors: list[dict[str, Any]] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Store an image; the descriptor of its manifest."""
        layers = list(layers)
        if descriptors is None:
            descriptors = [self.blob(PACKED[packing](layer), OCI_LAYER + packing) for layer in layers]
        made = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.blob(as_json(settings or config(layers)), OCI_CONFIG),
            "layers": descriptors,
        }
        return self.blob(as_json(made), OCI_MANIFEST, **more)

    def index(self, manifests: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Store an index; its descriptor."""
        made = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
        return self.blob(as_json(made), OCI_INDEX, **more)

    def add(self, *descriptors: dict[str, Any]) -> Layout:
        """Name images in index.json."""
        self.manifests += descriptors
        self.files["index.json"] = as_json({"schemaVersion": 2, "manifests": self.manifests})
        return self

    def directory(self, path: Path) -> Path:
        """Write it as a directory."""
        for name, content in self.files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return path

    def archive(self, path: Path) -> Path:
        """Write it as an OCI archive."""
        path.write_bytes(tar(self.files))
        return path


def named(name: str) -> dict[str, Any]:
    """Annotations that name an image."""
    return {"annotations": {"org.opencontainers.image.ref.name": name}}


def simple(packing: str = "+gzip") -> Layout:
    """A layout with one image of two layers."""
    layout = Layout()
    return layout.add(layout.manifest(packing=packing, **named("one")))


def saved(  # the shape of Docker before 25
    images: Mapping[str, Iterable[bytes]] | None = None, *, settings: dict[str, Any] | None = None
) -> dict[str, bytes]:
    """Members of a docker-save archive: layers of each image by its tag."""
    files: dict[str, bytes] = {}
    manifest = []
    for tag, its_layers in (images or {"made:one": (LOWER, UPPER)}).items():
        layers = list(its_layers)
        raw = as_json(settings or config(layers))
        name = f"{sha(raw).partition(':')[2]}.json"
        files[name] = raw
        paths = []
        for layer in layers:
            folder = hashlib.sha256(b"v1" + layer).hexdigest()
            files |= {f"{folder}/VERSION": b"1.0", f"{folder}/json": b"{}", f"{folder}/layer.tar": layer}
            paths.append(f"{folder}/layer.tar")
        manifest.append({"Config": name, "RepoTags": [tag], "Layers": paths})
    return {**files, "repositories": b"{}", "manifest.json": as_json(manifest)}


def saved_25(*, listed: bool = True) -> dict[str, bytes]:
    """Members of a docker-save archive as Docker writes it since version 25: a layout and a manifest.json."""
    layout = Layout()
    layers = [layout.blob(layer, OCI_LAYER) for layer in (LOWER, UPPER)]
    annotations = {"io.containerd.image.name": "docker.io/library/made:one", "org.opencontainers.image.ref.name": "one"}
    descriptor = layout.manifest(descriptors=layers, annotations=annotations)
    layout.add(*([descriptor] if listed else []))
    settings = blob_path(sha(as_json(config())))
    entry = {"Config": settings, "RepoTags": ["made:one"], "Layers": [blob_path(one["digest"]) for one in layers]}
    return {**layout.files, "manifest.json": as_json([entry])}
