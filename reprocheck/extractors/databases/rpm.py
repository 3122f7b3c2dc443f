"""rpm's database, in any of the containers that rpm has kept it in.

``rpmdb.sqlite`` (rpm 4.16 and newer), ``Packages.db`` (ndb, SUSE), ``Packages`` (Berkeley DB, until 4.16).
Which one it is says the magic number, as names can mislead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reprocheck.extractors.databases import Found, rpm_bdb, rpm_ndb, rpm_sqlite
from reprocheck.extractors.databases.rpm_header import parse_header

_CONTAINERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Iterator[bytes | str]]], ...] = (
    (rpm_sqlite.matches, rpm_sqlite.headers),
    (rpm_ndb.matches, rpm_ndb.headers),
    (rpm_bdb.matches, rpm_bdb.headers),
)


def parse(raw: bytes) -> Iterator[Found]:
    """Each header, in the order of the file; imported keys are no packages."""
    for blob in _headers(raw):
        try:
            package = parse_header(blob) if isinstance(blob, bytes) else None
            problem = blob if isinstance(blob, str) else None
        except ValueError as error:
            package, problem = None, str(error)
        if package is not None or problem is not None:
            yield package, problem and f"rpmdb unreadable: {problem}"


def _headers(raw: bytes) -> Iterator[bytes | str]:
    for matches, headers in _CONTAINERS:
        if matches(raw):
            return headers(raw)
    return iter((f"a format that is not known (begins with {raw[:16].hex(' ')})" if raw else "0 bytes",))
