"""Who recorded a shared object: a distribution in its RECORD, conda in a record of its own, or dpkg in a list."""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Literal

from msgspec import Struct
from packaging.utils import canonicalize_name

from reprocheck.extractors import conda, metadata
from reprocheck.extractors.databases import dpkg
from reprocheck.model.evidence import Evidence, Read, shown

_DPKG_INFO = "/var/lib/dpkg/info"
_LIST_LIMIT = 1 << 20
_FIELD_LIMIT = 4096
_OBJECT = ".so"
"""What is in the name of every shared object; rows about other files are not looked at."""


class Owner(Struct, frozen=True, kw_only=True):
    """A package that recorded a file."""

    manager: Literal["python", "conda", "dpkg"]
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.manager}:{self.name} {self.version}".rstrip()


def lists(part: str) -> Read:
    """The lists of files of dpkg's packages that have this in their name; there are too many to read them all."""
    return Read(at=f"{_DPKG_INFO}/*{part}*.list", limit=_LIST_LIMIT)


class Owners:
    """The owners of shared objects by path, as far as the records were read."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def of(self, path: str) -> Owner | None:
        """Whose a file is, by the path it was found at or by the real one."""
        told = self._evidence.elf.get(path)
        real = told.real if told and told.real else path
        # Of a link that leads to another package's file, wheels record the link's target, packages each their own.
        for owners, places in ((self._python, (path, real)), (self._conda, (real, path)), (self._dpkg, (real, path))):
            for place in places:
                if place in owners:
                    return owners[place]
        return None

    @cached_property
    def _python(self) -> Mapping[str, Owner]:
        """By RECORD (PEP 376)."""
        owners: dict[str, Owner] = {}
        for path, record in sorted(self._evidence.records.items()):
            folder, _, _ = path.rpartition("/")
            if not folder.endswith(".dist-info") or record.content is None:
                continue
            site, _, stem = folder.removesuffix(".dist-info").rpartition("/")
            project, version = metadata.name_from_directory(shown(stem))
            owner = Owner(manager="python", name=canonicalize_name(project), version=version)
            for row in _rows(record.content):
                owners.setdefault(posixpath.normpath(posixpath.join(site, row)), owner)
        return owners

    @cached_property
    def _conda(self) -> Mapping[str, Owner]:
        return {
            path: Owner(manager="conda", name=name, version=version)
            for path, name, version in conda.files(self._evidence)
            if _OBJECT in path
        }

    @cached_property
    def _dpkg(self) -> Mapping[str, Owner]:
        evidence = self._evidence
        owners: dict[str, Owner] = {}
        versions: dict[str, str] = {}
        for path in evidence.matching(_DPKG_INFO, "*.list"):
            if not versions:
                raw = evidence.content("/var/lib/dpkg/status") or b""
                versions = {one.name: one.version for one, _ in dpkg.parse(raw) if one is not None}
            name = shown(posixpath.basename(path).removesuffix(".list"))
            owner = Owner(manager="dpkg", name=name, version=versions.get(name.partition(":")[0], ""))
            for line in (evidence.content(path) or b"").decode("latin-1").splitlines():
                # A package of before /lib became a link to /usr/lib says /lib.
                for file in (line, f"/usr{line}") if _OBJECT in line else ():
                    owners.setdefault(file, owner)
        return owners


def _rows(content: str) -> Iterator[str]:
    """First fields of RECORD's rows; a row that is no CSV is passed over."""
    for line in content.splitlines():
        if len(line) > _FIELD_LIMIT:
            continue
        try:
            row = next(csv.reader([line]), [])
        except csv.Error:
            continue
        if row:
            yield row[0]
