"""Conda's own records of what it installed: ``conda-meta/*.json`` of a prefix (conda, "PrefixRecord")."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import msgspec

from reprocheck import redact
from reprocheck.extractors import integrity
from reprocheck.extractors.base import Traces, in_one_pass, in_words
from reprocheck.model.evidence import AnyWant, Evidence, List, Read, Record, shown
from reprocheck.model.snapshot import CondaPackage, Gap
from reprocheck.model.text import escape

_LIMIT = 1 << 20
"""A record lists the package's files; the largest have 1 MiB or more."""
_SUFFIX = ".json"
_TOKEN = re.compile(r"/t/[^/]+(?=/|$)")
"""A secret that conda accepts in the path of a channel (conda, "Channels", tokens)."""


class _Record(msgspec.Struct):
    """The fields that count; both names of the build are conda's own."""

    name: str
    version: str
    build: str | None = None
    build_string: str | None = None
    channel: str | None = None
    subdir: str | None = None


class _Files(msgspec.Struct):
    """The same record, for who installed what; hundreds of thousands of files are not decoded for anything else."""

    name: str
    version: str
    files: list[str] = []


def wants(evidence: Evidence) -> list[AnyWant]:
    """The records of each prefix: after the small files, as many megabytes of them may be there."""
    at = f"@conda/*{_SUFFIX}"
    records: list[AnyWant] = [Read(at=at, limit=_LIMIT), Record(at=at, by="conda", deep=evidence.document.deep)]
    return [List(at="@conda"), *(records if in_one_pass(evidence) or evidence.found.get("conda") else [])]


def prefixes(evidence: Evidence) -> Iterator[str]:
    """Prefixes that conda manages: the directory holds its history, or a record."""
    for directory in evidence.found.get("conda", ()):
        listing = evidence.listings.get(directory)
        names = [entry.name for entry in listing.entries] if listing else []
        if listing is None or listing.problem or any(name == "history" or name.endswith(_SUFFIX) for name in names):
            yield posixpath.dirname(directory)


def read(prefix: str, what: str, evidence: Evidence, traces: Traces) -> tuple[tuple[CondaPackage, ...], list[Gap]]:
    """The packages of a prefix, by name, and what could not be read of them; ``what``: the environment's path."""
    directory = f"{prefix}/conda-meta"
    listing = evidence.listings.get(directory)
    if listing is None or listing.problem not in {None, "ENOENT", "ENOTDIR"}:
        reason = f"can't be read ({in_words(listing.problem)})" if listing else "not collected"
        return (), [Gap(what=f"{what}.conda", where=shown(directory), reason=reason)]
    found: list[CondaPackage] = []
    gaps: list[Gap] = []
    for entry in listing.entries:
        if entry.is_dir or not entry.name.endswith(_SUFFIX):
            continue
        path = f"{directory}/{entry.name}"
        package, problem = _package(path, evidence)
        if package is not None:
            compared = integrity.packaged(path, evidence, "sizes")
            found.append(msgspec.structs.replace(package, files=compared.files))
            traces.of(f"{what}.conda", package.name, evidence.files.get(path))
            if compared.layer is not None:
                traces.edited.setdefault(f"{what}.conda", {})[package.name] = compared.layer
            if compared.reason is not None:
                gaps.append(Gap(what=f"{what}.conda[{package.name}].files", where=shown(path), reason=compared.reason))
        if problem is not None:
            item = f"{what}.conda[{package.name}]" if package else f"{what}.conda"
            gaps.append(Gap(what=item, where=shown(path), reason=problem))
    there = {package.name for package in found}
    for name, layer in listing.removed.items():
        gone = from_file_name(shown(name)) if name.endswith(_SUFFIX) else None
        if gone is not None and gone.name not in there:
            traces.gone(f"{what}.conda", gone.name, layer)
    return tuple(sorted(found, key=lambda one: (one.name, one.version, one.build))), gaps


def _package(path: str, evidence: Evidence) -> tuple[CondaPackage | None, str | None]:
    file, raw = evidence.files.get(path), evidence.content(path)
    if file is None or raw is None:
        return None, f"can't be read ({in_words(file.problem)})" if file and file.problem else "not collected"
    if file.cut:
        reason = f"longer than the limit: {len(raw):,} of its {file.size:,} bytes were read"
        return from_file_name(shown(posixpath.basename(path))), f"{reason}; name and version are from the file's name"
    try:
        return parse(raw), None
    except ValueError as error:
        return None, str(error)


def parse(raw: bytes) -> CondaPackage:
    """One record, the channel without credentials and without the platform at its end.

    Raises:
        ValueError: no record, or one without name or version.
    """
    try:
        record = msgspec.json.decode(raw, type=_Record)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError(f"no record of conda's ({str(error)[:80]})") from error
    for field in ("name", "version"):
        if not getattr(record, field).strip():
            raise ValueError(f"no record of conda's (its {field} is empty)")
    subdir = record.subdir or ""
    channel = _TOKEN.sub("", redact.scrubbed(record.channel or "")).rstrip("/")
    if subdir:
        channel = channel.removesuffix(f"/{subdir}")
    return CondaPackage(
        name=_text(record.name),
        version=_text(record.version),
        build=_text(record.build or record.build_string or ""),
        channel=_text(channel),
        subdir=_text(subdir),
    )


def files(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """The path of each file that is recorded, with name and version of its package."""
    for directory in evidence.found.get("conda", ()):
        prefix = posixpath.dirname(directory)
        for path in evidence.matching(directory, f"*{_SUFFIX}"):
            try:
                record = msgspec.json.decode(evidence.content(path) or b"", type=_Files)
            except (ValueError, RecursionError):  # which is a gap of the environment
                continue
            for file in record.files:
                name = file.encode("utf-8", "surrogateescape").decode("latin-1")
                yield posixpath.normpath(f"{prefix}/{name}"), _text(record.name), _text(record.version)


def from_file_name(name: str) -> CondaPackage | None:
    """What the name of a record says, ``NAME-VERSION-BUILD.json``; ``None`` where it is no such name."""
    parts = name.removesuffix(_SUFFIX).rsplit("-", 2)
    return CondaPackage(name=parts[0], version=parts[1], build=parts[2]) if len(parts) == 3 else None  # noqa: PLR2004 - name, version, build


def _text(value: str) -> str:
    return escape(value.encode())
