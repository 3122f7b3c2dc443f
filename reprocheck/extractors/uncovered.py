"""Since when Python takes a copy of a package.

Others may have hidden it until a layer removed them, and its directory be on the search path only since a ``.pth`` file
says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec
from packaging.utils import canonicalize_name

from reprocheck import pythonpath
from reprocheck.extractors import distributions
from reprocheck.extractors.base import stated_since
from reprocheck.extractors.distributions import Distribution
from reprocheck.extractors.packages import sortable
from reprocheck.model.evidence import Evidence, FileEvidence
from reprocheck.pythonpath import Layout


class Searched:
    """The directories in which one Python looks for packages, or did as long as they were there."""

    def __init__(self, path: Sequence[str], layout: Layout, evidence: Evidence) -> None:
        self._path = path
        """``sys.path``."""
        self._sites = pythonpath.site_directories(layout)
        """The directories of ``site``, in its order; one that is gone is on no search path."""
        self._layout = layout
        self._evidence = evidence
        self._named: dict[str, int | None] = dict.fromkeys((*pythonpath.before_site(layout), *self._sites), 0)
        """The layer from which on a ``.pth`` file names a directory; 0 where it needs none."""

    @cached_property
    def removed(self) -> Mapping[str, Sequence[tuple[str, str, int]]]:
        """Directory, version and layer of each copy that a layer removed, by normalised name."""
        found: dict[str, list[tuple[str, str, int]]] = {}
        for directory in dict.fromkeys((*self._path, *self._sites)):
            for name, version, layer in distributions.removed(directory, self._evidence):
                found.setdefault(name, []).append((directory, version, layer))
        return found

    def taken_since(self, file: FileEvidence, one: Distribution, directory: str) -> FileEvidence | None:
        """The file that states the version of a copy that Python takes, there since the layer from which on it does.

        ``None``: it is not known whether what a later layer removed was taken instead, or since when it is on the path.
        """
        if file.since is None:
            return file
        on_path = self._on_path_since(directory)
        if on_path is None:
            return None
        since = max(file.since, on_path)
        for where, version, layer in self.removed.get(canonicalize_name(one.name), ()):
            # What had the same version hid nothing that anybody would notice.
            if layer <= since or version == one.version:
                continue
            first = self._is_first(where, directory)
            if where == directory and version:
                first = sortable(version) > sortable(one.version)
            if first is None or (first and not version):
                return None
            if first:
                since = layer
        # The copy itself was written before.
        return file if since == file.since else msgspec.structs.replace(file, since=since, mtime=None)

    def _is_first(self, one: str, other: str) -> bool | None:
        """Whether a directory comes before another, in which a copy is; ``None``: that can't be told."""
        order = self._path if one in self._path else self._sites
        return order.index(one) < order.index(other) if other in order and one != other else None

    def _on_path_since(self, directory: str) -> int | None:
        if directory not in self._named:
            self._named[directory] = self._named_since(directory)
        return self._named[directory]

    def _named_since(self, directory: str) -> int | None:
        layers = []
        for site in self._sites:
            for path in self._evidence.matching(site, "*.pth"):

                def names(content: bytes, path: str = path) -> bool:
                    return directory in pythonpath.named_by(path, content, self._layout)

                if names(self._evidence.content(path) or b""):
                    told = stated_since(self._evidence.files[path], names)
                    if told is None or told.since is None:
                        return None
                    layers.append(told.since)
        return min(layers, default=0)
