"""A floor: the headers of every layer of an uncompressed docker-save archive, 512 bytes each, and nothing else.

``python -m benchmarks.headers FILE`` seeks from one to the next and prints how many there are. It trusts what it
reads; a header more (of a long name) is one like any other.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

_BLOCK = 512


def main() -> None:
    """Walk and count."""
    archive = os.open(sys.argv[1], os.O_RDONLY)
    members = {name: (offset, size) for name, offset, size in _walk(archive, 0, os.fstat(archive).st_size)}
    offset, size = members["manifest.json"]
    (image,) = json.loads(os.pread(archive, size, offset))
    print(sum(1 for layer in image["Layers"] for _ in _walk(archive, *members[layer])))


def _walk(file: int, at: int, size: int) -> Iterator[tuple[str, int, int]]:
    """Name, and offset and size of the contents."""
    end = at + size
    while at < end:
        block = os.pread(file, _BLOCK, at)
        if not block[0]:
            return
        length = int(block[124:135], 8)
        at += _BLOCK
        yield block[:100].rstrip(b"\x00").decode("latin-1"), at, length
        at += (length + _BLOCK - 1) // _BLOCK * _BLOCK


if __name__ == "__main__":
    main()
