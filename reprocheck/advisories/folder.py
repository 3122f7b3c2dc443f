"""Advisories from a directory or an archive: JSON files in the OSV format, as the public exports hold them.

Nothing is unpacked to disk. A file that can't be read is counted, and told: it may be the one that matters.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from reprocheck.advisories.osv import ADVICE, Advisory, names, read_advisory
from reprocheck.errors import DataError
from reprocheck.layers.blob import BlobError
from reprocheck.layers.compression import MAGIC, decompressed, sniff
from reprocheck.layers.problem import Problem, shown
from reprocheck.layers.tar import walk_visiting
from reprocheck.model import codec
from reprocheck.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from reprocheck.layers.blob import Reader

MOST_FILES = 500_000
"""Files that are read; the public export for Python packages holds some ten thousand."""
MOST_BYTES = 8 << 20
"""Of one advisory. The longest list some hundred versions, in less than 1 MiB."""
MOST_BYTES_IN_ALL = 2 << 30
"""Of all advisories of an archive, unpacked."""
MOST_DIRECTORY = 64 << 20
"""Bytes of a zip archive's central directory, which has to be in memory; 500,000 files need about this."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_END, _END_SIZE, _LONGEST_COMMENT = b"PK\x05\x06", 22, 0xFFFF
_LOCATOR, _LOCATOR_SIZE, _END_64 = b"PK\x06\x07", 20, b"PK\x06\x06"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?=T)", re.ASCII)
_UNZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError)
"""What the standard library raises for archives that are cut, damaged, encrypted or of a method that it lacks."""


class Advisories(Struct, frozen=True, kw_only=True):
    """What was found for the packages that were asked for."""

    about: dict[str, tuple[Advisory, ...]]
    """By normalised name."""
    count: int
    """Advisories about Python packages, whichever."""
    newest: str | None
    """Day on which the last of these was changed, ISO 8601; ``None``: none says so."""
    unreadable: tuple[tuple[str, str], ...]
    """Where something could not be read, and why not."""


class _Budget:
    """What may still be read."""

    def __init__(self) -> None:
        self.files = MOST_FILES
        self.bytes = MOST_BYTES_IN_ALL

    def take(self, where: str, read: int) -> None:
        """Count a file that was read.

        Raises:
            _TooMuchError: it was one too many.
        """
        self.files -= 1
        self.bytes -= read
        if self.files < 0 or self.bytes < 0:
            raise _TooMuchError(
                f"{where}: no more was read: the limit is {MOST_FILES:,} files of {MOST_BYTES_IN_ALL >> 30} GiB in all"
            )


class _TooMuchError(DataError):
    """There is more than is read."""


_Found = tuple[str, "bytes | DataError"]
"""Where an advisory stands, and it, or why it can't be read."""


def read_advisories(path: Path, wanted: Collection[str]) -> Advisories:
    """Read all advisories of a directory or archive, and keep those about the packages that are wanted.

    Args:
        path: a directory, searched through, or a zip or tar archive, compressed or not; files ``*.json`` count.
        wanted: normalised names.

    Raises:
        DataError: it does not exist, or can't be opened.
    """
    about: dict[str, list[Advisory]] = {}
    unreadable: list[tuple[str, str]] = []
    count = 0
    newest = ""
    for where, found in _files(path):
        try:
            if isinstance(found, DataError):
                raise found
            advisory = read_advisory(found, where)
        except DataError as error:
            reason = str(error).removeprefix(f"{printable(where)}: ")
            unreadable.append((without_surrogates(printable(where)), without_surrogates(reason)))
            continue
        concerned = names(advisory)
        count += bool(concerned)
        if concerned and advisory.modified is not None and (day := _DAY.match(advisory.modified)):
            newest = max(newest, day[0])
        for name in concerned.intersection(wanted):
            about.setdefault(name, []).append(advisory)
    kept = {name: tuple(sorted(found, key=lambda one: one.id)) for name, found in about.items()}
    return Advisories(about=kept, count=count, newest=newest or None, unreadable=tuple(unreadable))


def without_surrogates(text: str) -> str:
    """Give a name that holds bytes which are no text as one that JSON can store."""
    return text.encode("utf-8", "backslashreplace").decode()


def _files(path: Path) -> Iterator[_Found]:
    name = str(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            yield from _stopping(name, _in_directory(path))
            return
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{printable(name)}: is neither a directory nor an archive of advisories; name one")
        with path.open("rb") as file:
            head = file.read(MAGIC)
            file.seek(0)
            yield from _stopping(name, _in_zip(file, name) if head.startswith(_ZIP) else _in_tar(file, name, head))
    except OSError as error:
        why = error.strerror or str(error)
        raise DataError(
            f"{printable(name)}: cannot be read ({why}); name a directory or archive of advisories"
        ) from error


def _stopping(name: str, files: Iterator[_Found]) -> Iterator[_Found]:
    """What is read until the limits are reached, which is told as the last thing."""
    try:
        yield from files
    except _TooMuchError as error:
        yield name, error


def _in_directory(path: Path) -> Iterator[_Found]:
    budget = _Budget()
    failed: list[OSError] = []
    for place, directories, files in os.walk(path, onerror=failed.append):
        directories.sort()
        for name in directories:
            where = os.path.join(place, name)  # noqa: PTH118 - names need not be text
            if os.path.islink(where):  # noqa: PTH114
                yield where, DataError(f"{printable(where)}: is a link to a directory, which is not followed")
        for name in sorted(files):
            if name.endswith(".json"):
                where = os.path.join(place, name)  # noqa: PTH118
                found = _from_file(where)
                budget.take(printable(where), len(found) if isinstance(found, bytes) else 0)
                yield where, found
    for error in failed:
        where = str(error.filename)
        yield where, DataError(f"{printable(where)}: cannot be read ({error.strerror}); check its permissions")


def _from_file(where: str) -> bytes | DataError:
    try:
        return codec.read_file(Path(where), most=MOST_BYTES)
    except DataError as error:
        return error


def _checked(raw: bytes, where: str) -> bytes:
    if len(raw) > MOST_BYTES:
        raise DataError(f"{printable(where)}: has more than {MOST_BYTES >> 20} MiB, too many for an advisory; {ADVICE}")
    return raw


def _in_zip(file: BinaryIO, name: str) -> Iterator[_Found]:
    budget = _Budget()
    if _directory_size(file) > MOST_DIRECTORY:
        raise DataError(
            f"{printable(name)}: the archive's directory has more than {MOST_DIRECTORY >> 20} MiB; {ADVICE}"
        )
    try:
        archive = zipfile.ZipFile(file)
    except _UNZIP_ERRORS as error:
        raise DataError(f"{printable(name)}: is a damaged zip archive ({_said(error)}); {ADVICE}") from error
    with archive:
        for member in sorted(archive.infolist(), key=lambda one: one.filename):
            if not member.filename.endswith(".json"):
                continue
            where = f"{name}: {shown(member.filename.encode('utf-8', 'surrogateescape'))}"
            found: bytes | DataError
            try:
                with archive.open(member) as contents:
                    found = _checked(contents.read(MOST_BYTES + 1), where)
            except DataError as error:
                found = error
            except _UNZIP_ERRORS as error:
                found = DataError(f"{printable(where)}: can't be unpacked ({_said(error)}); {ADVICE}")
            budget.take(printable(where), len(found) if isinstance(found, bytes) else MOST_BYTES)
            yield where, found


def _directory_size(file: BinaryIO) -> int:
    """Bytes that a zip archive says its central directory has (APPNOTE 4.3.14, 4.3.16); 0 where it says nothing."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - _END_SIZE - _LONGEST_COMMENT - _LOCATOR_SIZE, 0))
    tail = file.read()
    at = tail.rfind(_END)
    size = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    locator = tail.rfind(_LOCATOR, max(at - _LOCATOR_SIZE, 0), max(at, 0))
    if locator >= 0:
        file.seek(int.from_bytes(tail[locator + 8 : locator + 16], "little"))
        record = file.read(56)
        size = int.from_bytes(record[40:48], "little") if record.startswith(_END_64) else MOST_DIRECTORY + 1
    file.seek(0)
    return size


def _in_tar(file: BinaryIO, name: str, head: bytes) -> Iterator[_Found]:
    budget = _Budget()
    found: list[_Found] = []
    problems: list[Problem] = []

    def visit(member: bytes, size: int, contents: Reader) -> None:
        if member.endswith(b".json"):
            where = f"{name}: {shown(member)}"
            pieces = []
            left = MOST_BYTES + 1
            while left and (piece := contents.read(left)):
                pieces.append(piece)
                left -= len(piece)
            try:
                found.append((where, _checked(b"".join(pieces), where)))
            except DataError as error:
                found.append((where, error))
            budget.take(printable(where), min(size, MOST_BYTES))

    try:
        for member in walk_visiting(decompressed(file, sniff(head)), problems.append, visit):
            yield from found
            found.clear()
            if member.name.endswith(b".json") and (member.kind in {b"1", b"2"} or member.sparse):
                where = f"{name}: {shown(member.name)}"
                yield (
                    where,
                    DataError(f"{printable(where)}: is no plain file but a link, or stored in pieces; {ADVICE}"),
                )
    except BlobError as error:
        yield name, DataError(f"{printable(name)}: can't be unpacked ({error}); {ADVICE}")
    yield from found
    for problem in problems:
        if problem.lost:
            reason = problem.reason.removeprefix("layer ")
            yield name, DataError(f"{printable(name)}: is a damaged archive, or none ({reason}); {ADVICE}")


def _said(error: Exception) -> str:
    return printable(str(error).partition("\n")[0][:100]) or type(error).__name__
