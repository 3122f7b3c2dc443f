"""How often each compressed layer is read, and for what more than once: ``python -m benchmarks.passes DIR``.

Prints a list with an object for each layer: ``passes``, none where the layer came from the cache, and ``again``,
the files that a further pass was made for, since they were not among those that are kept as they come by.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, ClassVar

from reprocheck.capture import capture
from reprocheck.layers.entry import Entry
from reprocheck.layers.tar_layer import StreamedLayer
from reprocheck.targets import kept
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access


class _Counted(StreamedLayer):
    """A layer that is found again when all is done."""

    all: ClassVar[list[_Counted]] = []

    def __init__(self, *arguments: Any, **limits: Any) -> None:
        super().__init__(*arguments, **limits)
        self.again: list[str] = []
        self.all.append(self)

    def fetch(self, wanted: Iterable[tuple[bytes, Entry]], sampled: Iterable[tuple[bytes, Entry]] = ()) -> None:
        """Take down what costs a pass."""
        asked, parts = list(wanted), list(sampled)
        before = self.passes
        missing = [
            path
            for path, entry in [*asked, *parts]
            if entry.type == "file" and entry.size and entry.offset not in self.kept
        ]
        super().fetch(asked, parts)
        if self.passes > before:
            self.again += (path.decode("utf-8", "backslashreplace") for path in missing)


def main() -> None:
    """Capture and count."""
    vars(kept)["StreamedLayer"] = _Counted  # the one place where layers are opened
    capture(Address("oci", sys.argv[1]), Access())
    print(json.dumps([{"passes": layer.passes, "again": layer.again} for layer in _Counted.all]))


if __name__ == "__main__":
    main()
