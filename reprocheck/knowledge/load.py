"""Knowledge out of TOML files: the ones that ship, then the user's own, in the same format.

A table is read when it is first asked for: who only compares packages does not pay for drivers and devices.
"""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import tomli
from msgspec.structs import replace

from reprocheck.errors import DataError
from reprocheck.knowledge.rows import (
    ArchitectureRange,
    CudaRelease,
    DefaultChange,
    DeterminismSetting,
    DriverBranch,
    FailureSignature,
    ForwardCompatibility,
    FrameworkBuild,
    Gpu,
    GpuArchitecture,
    KnownBreak,
    Row,
    VersionPair,
    WheelArchitectures,
)
from reprocheck.model.codec import read_file
from reprocheck.model.text import printable
from reprocheck.versions import is_countable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

R = TypeVar("R", bound=Row)

TABLES: Mapping[str, type[Row]] = {
    "framework_build": FrameworkBuild,
    "version_pair": VersionPair,
    "torch_wheel_arch": WheelArchitectures,
    "cuda_driver_min": CudaRelease,
    "cuda_driver_branch": DriverBranch,
    "cuda_arch_range": ArchitectureRange,
    "cuda_forward": ForwardCompatibility,
    "gpu_capability": Gpu,
    "gpu_architecture": GpuArchitecture,
    "known_break": KnownBreak,
    "failure_signature": FailureSignature,
    "determinism": DeterminismSetting,
    "default_change": DefaultChange,
}
"""Row type of each table; the tables that ship stand in one file each, named after them."""


class Knowledge:
    """What is known. The user's own rows stand behind the ones that ship."""

    def __init__(self, own: Mapping[str, Sequence[Any]], raw: Sequence[bytes] = ()) -> None:
        self._own = own
        self._raw = raw

    @cached_property
    def version(self) -> str:
        """The first digits of the SHA-256 of all its files: equal where the same is known."""
        shipped = (_shipped(table) for table in TABLES)
        digests = (hashlib.sha256(raw).digest() for raw in (*shipped, *self._raw))
        return hashlib.sha256(b"".join(digests)).hexdigest()[:12]

    @cached_property
    def framework_builds(self) -> tuple[FrameworkBuild, ...]:
        """What releases of frameworks were built with."""
        return self._rows("framework_build", FrameworkBuild)

    @cached_property
    def version_pairs(self) -> tuple[VersionPair, ...]:
        """Distributions whose versions belong together."""
        return self._rows("version_pair", VersionPair)

    @cached_property
    def wheel_architectures(self) -> tuple[WheelArchitectures, ...]:
        """Compute capabilities of PyTorch's wheels."""
        return self._rows("torch_wheel_arch", WheelArchitectures)

    @cached_property
    def cuda_releases(self) -> tuple[CudaRelease, ...]:
        """Drivers that CUDA releases need."""
        return self._rows("cuda_driver_min", CudaRelease)

    @cached_property
    def driver_branches(self) -> tuple[DriverBranch, ...]:
        """CUDA versions that driver branches report."""
        return self._rows("cuda_driver_branch", DriverBranch)

    @cached_property
    def architecture_ranges(self) -> tuple[ArchitectureRange, ...]:
        """Compute capabilities that CUDA releases compile for."""
        return self._rows("cuda_arch_range", ArchitectureRange)

    @cached_property
    def gpus(self) -> tuple[Gpu, ...]:
        """Compute capabilities of devices."""
        return self._rows("gpu_capability", Gpu)

    @cached_property
    def gpu_architectures(self) -> tuple[GpuArchitecture, ...]:
        """What serves the devices of each compute capability."""
        return self._rows("gpu_architecture", GpuArchitecture)

    @cached_property
    def forward_compatibility(self) -> tuple[ForwardCompatibility, ...]:
        """Driver branches that releases of ``cuda-compat`` serve."""
        return self._rows("cuda_forward", ForwardCompatibility)

    @cached_property
    def known_breaks(self) -> tuple[KnownBreak, ...]:
        """Combinations that are known not to work; one for each version of a package that has a pair."""
        rows = self._rows("known_break", KnownBreak)
        return tuple(one for row in rows for one in (self._paired(row) if row.paired else (row,)))

    def _paired(self, row: KnownBreak) -> Iterator[KnownBreak]:
        for pair in self.version_pairs:
            if (pair.partner, pair.package) == (row.package, row.partner) and pair.version.endswith(".*"):
                yield replace(
                    row,
                    name=f"{row.name}-{pair.version.removesuffix('.*')}",
                    specifier=f"=={pair.partner_version}",
                    partner_specifier=f"!={pair.version}",
                )

    @cached_property
    def breakable(self) -> frozenset[frozenset[str]]:
        """Pairs of packages of which some versions are known not to work together."""
        rows = (row for row in self.known_breaks if row.fails and row.partner is not None)
        return frozenset(frozenset({row.package, row.partner or ""}) for row in rows)

    @cached_property
    def failure_signatures(self) -> tuple[FailureSignature, ...]:
        """Texts of failing programs, and what they mean."""
        return self._rows("failure_signature", FailureSignature)

    @cached_property
    def determinism_settings(self) -> tuple[DeterminismSetting, ...]:
        """Settings that affect numbers."""
        return self._rows("determinism", DeterminismSetting)

    @cached_property
    def default_changes(self) -> tuple[DefaultChange, ...]:
        """Releases that changed a default which affects numbers."""
        return self._rows("default_change", DefaultChange)

    def table(self, name: str) -> tuple[Row, ...]:
        """All rows of a table, by its name in the files."""
        return self._rows(name, TABLES[name])

    def _rows(self, table: str, row: type[R]) -> tuple[R, ...]:
        shipped = _parse(_shipped(table), table, [table])
        return (*msgspec.convert(shipped[table], tuple[row, ...]), *self._own.get(table, ()))  # type: ignore[valid-type]


def load(own: Sequence[Path] = ()) -> Knowledge:
    """Load the knowledge that ships, and the user's own files.

    Raises:
        DataError: one of the user's files can't be read, or a row of it is not as its type says.
    """
    rows: dict[str, list[Any]] = {}
    raw = [read_file(path) for path in own]
    for path, text in zip(own, raw, strict=True):
        for table, some in _parse(text, str(path), TABLES).items():
            rows.setdefault(table, []).extend(_converted(table, some, str(path)))
    return Knowledge(rows, raw)


def _shipped(table: str) -> bytes:
    return (files(__package__) / "data" / f"{table}.toml").read_bytes()


def _converted(table: str, rows: Any, name: str) -> tuple[Row, ...]:
    try:
        converted: tuple[Row, ...] = msgspec.convert(rows, tuple[TABLES[table], ...])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$")
        raise DataError(f"{name}: {table}{printable(where.rstrip('`'))}: {printable(said)}") from None
    for number, row in enumerate(converted):
        if problem := wrong(row):
            raise DataError(f"{name}: {table}[{number}].{printable(problem)}")
    return converted


def wrong(row: Row) -> str | None:
    """Say what the type of a row does not: a specifier, a pattern or a version that does not parse, no source."""
    from packaging.version import InvalidVersion, Version

    if not row.source.strip():
        return "source: a row says where it is from"
    if isinstance(row, KnownBreak) and (problem := _wrong_break(row)):
        return problem
    for field in ("symptom", "pattern", "repeats"):
        try:
            re.compile(getattr(row, field, ""))
        except re.error as error:  # noqa: PERF203 - there are three
            return f"{field}: no regular expression: {error}"
    if isinstance(row, DefaultChange):
        try:
            Version(row.version)
        except InvalidVersion:
            return f"version: {row.version!r} is no version (PEP 440)"
    return None


def _wrong_break(row: KnownBreak) -> str | None:
    """Say why a break would never be found."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.utils import canonicalize_name

    for field in ("package", "partner"):
        name = getattr(row, field)
        if name is not None and name != canonicalize_name(name):
            return f"{field}: {name!r} is not normalised (PEP 503); write {canonicalize_name(name)}"
    for field in ("specifier", "partner_specifier", "python"):
        specifier = getattr(row, field)
        try:
            SpecifierSet(specifier)
        except InvalidSpecifier:
            return f"{field}: {specifier!r} is no version specifier (PEP 440)"
        if not is_countable(specifier):
            return f"{field}: a number has more than 1,000 digits"
    return None


def _parse(raw: bytes, name: str, tables: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = tomli.loads(raw.removeprefix(b"\xef\xbb\xbf").decode())
    except (ValueError, RecursionError) as error:  # no UTF-8, a syntax error, or a number that is too long
        raise DataError(f"{name}: not TOML: {printable(str(error)) or 'nested too deeply'}") from None
    for table in parsed:
        if table not in tables:
            raise DataError(f"{name}: {printable(table)}: no such table; there are {', '.join(tables)}")
    return parsed
