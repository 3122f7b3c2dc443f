"""The JSON documents of a stored image, decoded strictly.

OCI image specification: "Descriptor", "Image Index", "Image Manifest", "Image Configuration", "Image Layout"; and
``manifest.json`` of docker-save (Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format").
Writers in Go leave ``null`` where a list or mapping is empty.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct

from reprocheck.archives.platforms import Platform
from reprocheck.errors import DataError, TargetError
from reprocheck.model import codec

T = TypeVar("T")

MAX_BYTES = 4 << 20
"""Size of a document that is still read: as much as registries take of a manifest."""

Size = Annotated[int, Meta(ge=0)]

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
_REFERENCE_TYPE = "vnd.docker.reference.type"


class Descriptor(Struct, frozen=True, kw_only=True, rename="camel"):
    """A reference to a blob."""

    digest: str
    """Not yet checked."""
    size: Size
    """Bytes."""
    media_type: str = ""
    platform: Platform | None = None
    annotations: dict[str, str] | None = None
    urls: tuple[str, ...] | None = None
    artifact_type: str | None = None

    @property
    def about_another(self) -> bool:
        """It is no image but says something of one: an attestation, a signature, a list of contents."""
        unknown = self.platform is not None and (self.platform.os, self.platform.architecture) == ("unknown", "unknown")
        return unknown or bool(self.artifact_type) or _REFERENCE_TYPE in (self.annotations or {})


class Document(Struct, frozen=True, kw_only=True, rename="camel"):
    """An index or a manifest: which of them, its fields say."""

    schema_version: int = 2
    media_type: str = ""
    manifests: tuple[Descriptor, ...] | None = None
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] | None = None
    fs_layers: Any = None
    """Of the first version of Docker's manifests."""


class LayoutVersion(Struct, frozen=True, kw_only=True, rename="camel"):
    """The file ``oci-layout``."""

    image_layout_version: str


class SavedImage(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One image of docker-save's ``manifest.json``; paths are names of members."""

    config: str
    layers: tuple[str, ...] | None = None
    repo_tags: tuple[str, ...] | None = None
    layer_sources: dict[str, Descriptor] | None = None
    """By diff_id: where layers came from that may not be distributed."""


class ContainerConfig(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Defaults of a container (OCI image configuration, ``config``), secrets and all."""

    user: str | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | str | None = None
    cmd: tuple[str, ...] | str | None = None
    exposed_ports: dict[str, Any] | None = None
    labels: dict[str, str] | None = None
    volumes: dict[str, Any] | None = None
    working_dir: str | None = None


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One instruction (OCI image configuration, ``history``)."""

    created: str | None = None
    created_by: str | None = None
    empty_layer: bool | None = None
    """It made no layer."""


class RootFs(Struct, frozen=True, kw_only=True):
    """The layers (OCI image configuration, ``rootfs``)."""

    diff_ids: tuple[str, ...] | None = None
    type: str = "layers"


class ImageConfig(Struct, frozen=True, kw_only=True, rename={"os_version": "os.version"}):
    """An image configuration."""

    rootfs: RootFs
    os: str = ""
    architecture: str = ""
    variant: str | None = None
    os_version: str | None = None
    created: str | None = None
    config: ContainerConfig | None = None
    history: tuple[HistoryEntry, ...] | None = None

    @property
    def platform(self) -> Platform:
        """What the image runs on."""
        return Platform(
            os=self.os, architecture=self.architecture, variant=self.variant or None, os_version=self.os_version or None
        )


def decode(raw: bytes, type_: type[T], where: str) -> T:
    """Decode one of the documents; ``where`` names it.

    Raises:
        TargetError: it is too large, or not what it should be.
    """
    check_size(len(raw), where)
    try:
        return codec.decode(raw, type_, where, advice="save or copy the image again")
    except DataError as error:
        raise TargetError(str(error)) from error


def check_size(size: int, where: str) -> None:
    """Refuse a document before it is read.

    Raises:
        TargetError: it is too large.
    """
    if size > MAX_BYTES:
        raise TargetError(f"{where}: has {size:,} bytes, and no more than 4 MiB are read; is it an image's?")


def document(raw: bytes, where: str) -> Document:
    """Decode an index or a manifest that must be only one of both (OCI image specification 1.0.2, CVE-2021-41190).

    Raises:
        TargetError: it is neither, or could be read as either.
    """
    read = decode(raw, Document, where)
    if read.manifests is not None and (read.layers is not None or read.config is not None):
        raise TargetError(f"{where}: is ambiguous, with manifests as an index has and layers or config as a manifest")
    if read.fs_layers is not None:
        raise TargetError(f"{where}: is a manifest of Docker's first version, which is not read; pull the image again")
    return read
