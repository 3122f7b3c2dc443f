"""Reading stored images in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reprocheck.archives.archive import open_archive
from reprocheck.archives.image import Image, Layer
from reprocheck.archives.layout import open_layout
from reprocheck.layers.blob import Reader


def everything(reader: Reader) -> bytes:
    pieces = []
    while piece := reader.read(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def content(layer: Layer) -> bytes:
    """A layer's uncompressed bytes, in place where that is possible."""
    window = layer.window
    return window.read_at(0, window.size) if window is not None else everything(layer.open())


def opened(path: Path, **options: Any) -> Any:
    """An archive or a layout."""
    return open_layout(path, **options) if path.is_dir() else open_archive(path, **options)


def contents(path: Path, **options: Any) -> tuple[Image, list[bytes]]:
    """An image, and each layer's bytes."""
    with opened(path, **options) as image:
        return image, [content(layer) for layer in image.layers]
