"""Since when Python takes a copy of a package: others may have hidden it, until a layer removed them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
from packaging.utils import canonicalize_name

from reprocheck.extractors import distributions
from reprocheck.extractors.distributions import Distribution
from reprocheck.extractors.packages import sortable
from reprocheck.model.evidence import Evidence, FileEvidence


@dataclass(frozen=True, kw_only=True, slots=True)
class Searched:
    """The directories in which Python looks for packages, or did as long as they were there."""

    path: Sequence[str]
    """``sys.path``."""
    sites: Sequence[str]
    """The directories of ``site``, in its order; one that is gone is on no search path."""

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self.path, *self.sites)))

    def is_first(self, one: str, other: str) -> bool | None:
        """Whether a directory comes before another, in which a copy is; ``None``: that can't be told."""
        order = self.path if one in self.path else self.sites
        return order.index(one) < order.index(other) if other in order else None


def taken_since(
    file: FileEvidence, one: Distribution, directory: str, searched: Searched, evidence: Evidence
) -> FileEvidence | None:
    """The file that states the version of the copy that Python takes, there since the layer from which on it does.

    ``None``: it is not known whether what a later layer removed was taken instead.
    """
    since = file.since
    if since is None:
        return file
    for where in searched:
        for name, version, layer in distributions.removed(where, evidence):
            # What had the same version hid nothing that anybody would notice.
            if layer <= since or name != canonicalize_name(one.name) or version == one.version:
                continue
            hid = _hid(version, one.version) if where == directory else searched.is_first(where, directory)
            if hid is None or (hid and not version):
                return None
            if hid:
                # The copy itself was written by no means then.
                file = msgspec.structs.replace(file, since=layer, mtime=None)
                since = layer
    return file


def _hid(version: str, other: str) -> bool | None:
    """Whether of two copies in one directory the one with this version is taken."""
    return sortable(version) > sortable(other) if version else None
