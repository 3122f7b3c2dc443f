"""Advisories in the OSV format (OSV schema 1), and whether a version is affected.

Only affected packages of the ecosystem ``PyPI`` are looked at, and of these ranges of the type ``ECOSYSTEM`` and the
listed versions: those of the type ``GIT`` need the repository.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from packaging.utils import canonicalize_name
from packaging.version import Version

from reprocheck.errors import DataError
from reprocheck.model import codec
from reprocheck.model.text import printable
from reprocheck.versions import parse_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ADVICE = "get it anew from where it came from"
"""What to do about an advisory that can't be read."""
_MAJOR = "1"
_FIRST = Version("0.dev0")
"""No version of PEP 440 comes before it: what ``introduced: 0`` means."""
_FIXED, _INTRODUCED, _LAST_AFFECTED = range(3)
"""In the order in which events at one version count."""
_LONGEST_ID = 200
_MOST_ALIASES = 1000
_MOST_EVENTS = 1000
"""Each may be an end, and each end is looked for between all others; the most that one has in fact is some twenty."""
_LONGEST_TITLE = 1000


class Event(Struct, frozen=True, kw_only=True):
    """One point on the line of versions; exactly one field is set."""

    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class Range(Struct, frozen=True, kw_only=True):
    """``affected[].ranges[]``."""

    type: str
    events: tuple[Event, ...] | None = None


class PackageName(Struct, frozen=True, kw_only=True):
    """``affected[].package``."""

    ecosystem: str
    name: str


class Affected(Struct, frozen=True, kw_only=True):
    """``affected[]``."""

    package: PackageName | None = None
    ranges: tuple[Range, ...] | None = None
    versions: tuple[str, ...] | None = None


class Advisory(Struct, frozen=True, kw_only=True):
    """One advisory, as far as it is used here."""

    id: str
    schema_version: str | None = None
    aliases: tuple[str, ...] | None = None
    modified: str | None = None
    withdrawn: str | None = None
    summary: str | None = None
    details: str | None = None
    affected: tuple[Affected, ...] | None = None

    @property
    def title(self) -> str:
        """What it says, in one line: its summary, else its first paragraph; not much of it."""
        text = self.summary or (self.details or "").strip().partition("\n\n")[0]
        return " ".join(text[:_LONGEST_TITLE].split())


_Entry = tuple[Affected, frozenset["Version | None"]]
"""What is said of a package, and the versions that are listed, as versions."""


class UnclearError(Exception):
    """Whether a version is affected can't be told; the message says why not."""


def read_advisory(raw: bytes, where: str) -> Advisory:
    """Decode one advisory.

    Raises:
        DataError: it is none, or of a schema that is not known here.
    """
    advisory = codec.decode(raw, Advisory, where, advice=ADVICE)
    where = printable(where)
    if not 0 < len(advisory.id) <= _LONGEST_ID:
        raise DataError(f"{where}: its id has {len(advisory.id):,} characters; {ADVICE}")
    if len(advisory.aliases or ()) > _MOST_ALIASES:
        raise DataError(f"{where}: has more than {_MOST_ALIASES:,} aliases; {ADVICE}")
    if sum(len(one.events or ()) for affected in _python(advisory) for one in affected.ranges or ()) > _MOST_EVENTS:
        raise DataError(f"{where}: its ranges have more than {_MOST_EVENTS:,} events; {ADVICE}")
    version = advisory.schema_version or "1.0.0"
    if version.partition(".")[0] != _MAJOR:
        raise DataError(f"{where}: schema_version: {printable(version[:20])} is not read, {_MAJOR} is; {ADVICE}")
    return advisory


def names(advisory: Advisory) -> frozenset[str]:
    """The Python packages that an advisory is about, normalised."""
    return frozenset(canonicalize_name(affected.package.name) for affected in _python(advisory) if affected.package)


def fixes(advisory: Advisory, name: str, version: Version) -> tuple[Version, ...] | None:
    """Whether a version is affected: the later versions that fix it; ``None`` where it is not affected.

    The evaluation is the OSV schema's own. Where two events stand at one version, an end comes before a beginning,
    and a beginning before the last affected version: so ranges that touch leave no hole.

    Args:
        advisory: what is asked.
        name: the package, normalised.
        version: without a local label.

    Raises:
        UnclearError: it does not say in versions of Python which are affected.
    """
    if advisory.withdrawn is not None:
        return None
    entries = [
        (one, frozenset(map(parse_version, one.versions or ())))
        for one in _python(advisory)
        if one.package and canonicalize_name(one.package.name) == name
    ]
    if not _any(partial(_is_affected, entry, version) for entry in entries):
        return None
    ends = {end for entry, _ in entries for end in _ends(entry) if end > version}
    return tuple(sorted(end for end in ends if not _may_be_affected(entries, end)))


def _python(advisory: Advisory) -> Iterator[Affected]:
    for affected in advisory.affected or ():
        if affected.package is not None and affected.package.ecosystem.partition(":")[0].lower() == "pypi":
            yield affected


def _any(questions: Iterable[Callable[[], bool]]) -> bool:
    """Whether one answer is yes, whatever is unclear in others; what is unclear is no "no"."""
    unclear: UnclearError | None = None
    for question in questions:
        try:
            if question():
                return True
        except UnclearError as error:  # noqa: PERF203 - a question that is unclear leaves the others
            unclear = error
    if unclear is not None:
        raise unclear
    return False


def _is_affected(entry_and_listed: _Entry, version: Version) -> bool:
    entry, listed = entry_and_listed
    if version in listed:
        return True
    ranges = [one for one in entry.ranges or () if one.type == "ECOSYSTEM"]
    if _any(partial(_lies_in, one, version) for one in ranges):
        return True
    if not ranges and not listed:
        kinds = sorted({printable(one.type[:20]) for one in entry.ranges or ()})
        raise UnclearError(f"it has only ranges of the type {' and '.join(kinds)}" if kinds else "it names no versions")
    return False


def _lies_in(range_: Range, version: Version) -> bool:
    events = range_.events or ()
    points = sorted(_point(event) for event in events if event.limit is None)
    if not any(kind == _INTRODUCED for _, kind in points):
        raise UnclearError("a range of it begins nowhere")
    limits = [event.limit for event in events if event.limit is not None]
    if limits and not any(limit == "*" or version < _version(limit) for limit in limits):
        return False
    affected = False
    for at, kind in points:
        if kind == _INTRODUCED and version >= at:
            affected = True
        elif (kind == _FIXED and version >= at) or (kind == _LAST_AFFECTED and version > at):
            affected = False
    return affected


def _point(event: Event) -> tuple[Version, int]:
    stated = [
        (text, kind)
        for text, kind in (
            (event.fixed, _FIXED),
            (event.introduced, _INTRODUCED),
            (event.last_affected, _LAST_AFFECTED),
        )
        if text is not None
    ]
    if len(stated) != 1:
        raise UnclearError("an event of it does not state one version")
    text, kind = stated[0]
    return (_FIRST if kind == _INTRODUCED and text == "0" else _version(text)), kind


def _version(text: str) -> Version:
    version = parse_version(text)
    if version is None:
        raise UnclearError(f"{printable(text[:40])} in it is no version (PEP 440)")
    return version


def _ends(entry: Affected) -> Iterator[Version]:
    for range_ in entry.ranges or ():
        if range_.type == "ECOSYSTEM":
            for event in range_.events or ():
                fixed = parse_version(event.fixed) if event.fixed is not None else None
                if fixed is not None:
                    yield fixed


def _may_be_affected(entries: list[_Entry], version: Version) -> bool:
    try:
        return any(_is_affected(entry, version) for entry in entries)
    except UnclearError:
        return True
