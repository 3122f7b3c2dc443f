"""Services of advisories, as pip-audit has them: an OSV server, files in the OSV format, the package index.

pip-audit's own service for the package index is used as it is, with its answers looked at before. Its service for OSV
is not: it leaves out further pages of an answer, entries that it does not understand, and fixes of packages whose name
is not written in the normalised way, all without a word.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import requests
from msgspec import Raw, Struct, ValidationError
from packaging.utils import canonicalize_name
from packaging.version import Version
from pip_audit._service import (
    ConnectionError as UnreachableError,
)
from pip_audit._service import (
    Dependency,
    PyPIService,
    ResolvedDependency,
    ServiceError,
    SkippedDependency,
    VulnerabilityResult,
    VulnerabilityService,
)

from reprocheck.advisories.osv import Advisory, UnclearError, fixes, names, read_advisory
from reprocheck.advisories.web import session
from reprocheck.errors import DataError
from reprocheck.model import codec
from reprocheck.versions import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reprocheck.advisories.folder import Advisories

Answer = tuple[Dependency, list[VulnerabilityResult]]
"""As pip-audit has it; what could not be audited, or not in whole, is a :class:`SkippedDependency`."""
KNOWN = (
    ("pyyaml", "5.3", "CVE-2020-14343"),
    ("urllib3", "1.26.4", "CVE-2021-33503"),
    ("requests", "2.30.0", "CVE-2023-32681"),
)
"""Releases that any copy of the public database knows to be vulnerable, and by what."""
_PAGES = 100
_NOT_THERE = 404


class Service(Protocol):
    """What an audit asks of a service."""

    knows_releases: bool
    """Whether it says of a release that it does not know it."""

    def query(self, spec: Dependency) -> Answer:
        """Audit one package.

        Raises:
            ServiceError: it can't be asked, or answers nonsense.
        """
        ...

    def ignorance(self) -> str | None:
        """Why nothing that it has said means anything; asked where it has said nothing of any package."""
        ...


class Files(VulnerabilityService):
    """Advisories that were read from files."""

    knows_releases = False

    def __init__(self, advisories: Advisories) -> None:
        self._advisories = advisories

    def query(self, spec: Dependency) -> Answer:
        """Look at the advisories about one package."""
        asked = cast("ResolvedDependency", spec)
        return _judged(asked, self._advisories.about.get(asked.canonical_name, ()))

    def ignorance(self) -> str | None:
        """There is no advisory about any Python package."""
        if self._advisories.count:
            return None
        return "there is no advisory about any Python package in it (files *.json in the OSV format are read)"


class _Page(Struct, frozen=True, forbid_unknown_fields=True):
    """Answer to ``POST /v1/query`` of the OSV API; an object that says something else is none."""

    vulns: tuple[Raw, ...] | None = None
    next_page_token: str | None = None


class OsvServer(VulnerabilityService):
    """A server that answers as the OSV API does.

    It is asked for each package in the version that is there, and what it answers is evaluated here once more, as
    advisories from files are. An OSV server answers ``{}`` for what it has never heard of, as for what is clean.
    """

    knows_releases = False

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._session = session()
        self._knows_something = False

    def query(self, spec: Dependency) -> Answer:
        """Ask for one package."""
        asked = cast("ResolvedDependency", spec)
        advisories: list[Advisory] = []
        problems: list[str] = []
        for number, raw in enumerate(self._advisories(asked)):
            try:
                advisory = read_advisory(bytes(raw), f"advisory {number + 1} of the answer")
            except DataError as error:
                problems.append(str(error))
                continue
            if asked.canonical_name not in names(advisory):
                raise ServiceError(f"the answer is nonsense: {advisory.id[:40]} is about another package")
            advisories.append(advisory)
        self._knows_something = self._knows_something or bool(advisories)
        return _judged(asked, sorted(advisories, key=lambda one: one.id), problems)

    def ignorance(self) -> str | None:
        """It finds nothing in releases that are known to be vulnerable."""
        if self._knows_something:
            return None
        for name, version, identifier in KNOWN:
            spec = ResolvedDependency(name=name, version=Version(version))
            _, found = self.query(spec)
            if any(identifier in {one.id, *one.aliases} for one in found):
                return None
        releases = ", ".join(f"{name} {version} ({identifier})" for name, version, identifier in KNOWN)
        return f"the server finds nothing in any package, not even in {releases}: it knows nothing"

    def _advisories(self, asked: ResolvedDependency) -> Iterator[Raw]:
        question: dict[str, object] = {
            "package": {"name": asked.canonical_name, "ecosystem": "PyPI"},
            "version": str(asked.version),
        }
        # Whoever waits for the answer goes on when it is late; nobody reads the other pages then.
        end = time.monotonic() + self._seconds
        for _ in range(_PAGES):
            if time.monotonic() > end:
                raise requests.Timeout
            page = self._page(question)
            yield from page.vulns or ()
            if not page.next_page_token:
                return
            question["page_token"] = page.next_page_token
        raise ServiceError(f"the answer has more than {_PAGES} pages")

    def _page(self, question: dict[str, object]) -> _Page:
        response = self._session.post(
            self._url,
            data=json.dumps(question),
            headers={"Content-Type": "application/json"},
            timeout=self._seconds,
        )
        if not response.ok:
            raise ServiceError(f"the server answers {response.status_code} {response.reason}")
        try:
            return codec.decode(response.content, _Page, "the answer", advice="is it the address of an OSV API?")
        except DataError as error:
            raise ServiceError(str(error)) from error


class PackageIndex(PyPIService):
    """The JSON of the package index, by pip-audit's service; it knows which releases there are."""

    knows_releases = True

    def __init__(self, seconds: float) -> None:
        # The directory of a cache that is never used: the session with the cache is replaced.
        super().__init__(cache_dir=Path(os.devnull))
        self.session = session(_about_a_release)
        self.timeout = seconds  # type: ignore[assignment] # requests takes fractions

    def query(self, spec: Dependency) -> Answer:
        """Ask for one release; a release that the index does not know is skipped."""
        answer, found = super().query(spec)
        if isinstance(answer, SkippedDependency):
            reason = "the package index does not know this release"
            return SkippedDependency(name=spec.name, skip_reason=reason), found
        return answer, found

    def ignorance(self) -> str | None:
        """It says of each release whether it knows it."""
        return None


class _Info(Struct, frozen=True):
    name: str
    version: str


class _Release(Struct, frozen=True):
    """What has to be in the JSON of a release, for it to be one."""

    info: _Info
    vulnerabilities: tuple[Raw, ...]


def _about_a_release(response: requests.Response) -> None:
    """Refuse an answer that pip-audit would take for "no vulnerabilities" and that does not say so."""
    if response.is_redirect or response.status_code == _NOT_THERE:
        return
    if not response.ok:
        raise ServiceError(f"the package index answers {response.status_code} {response.reason}")
    *_, name, version, _ = (response.request.path_url or "").split("/")
    try:
        release = codec.decode(response.content, _Release, "the answer", advice="is something between it and here?")
    except (DataError, ValidationError) as error:
        raise ServiceError(str(error)) from error
    if canonicalize_name(release.info.name) != name or parse_version(release.info.version) != parse_version(version):
        raise ServiceError("the answer is nonsense: it is about another release")


def _judged(asked: ResolvedDependency, advisories: Iterable[Advisory], problems: Iterable[str] = ()) -> Answer:
    """Evaluate advisories; where one can't be, the package is audited in part, which counts as skipped."""
    found = []
    unclear = list(problems)
    for advisory in advisories:
        try:
            fixed = fixes(advisory, asked.canonical_name, asked.version)
        except UnclearError as error:
            unclear.append(f"{advisory.id[:80]} can't be evaluated: {error}")
            continue
        if fixed is not None:
            found.append(
                VulnerabilityResult.create(
                    ids=[advisory.id, *(alias for alias in advisory.aliases or () if alias != advisory.id)],  # type: ignore[list-item]
                    description=advisory.title,
                    fix_versions=list(fixed),
                    published=None,
                )
            )
    if unclear:
        more = f", and {len(unclear) - 1} more" if len(unclear) > 1 else ""
        return SkippedDependency(name=asked.name, skip_reason=f"{unclear[0]}{more}"), found
    return asked, found


__all__ = ["Files", "OsvServer", "PackageIndex", "Service", "ServiceError", "UnreachableError"]
