"""Asking a service about many packages: each within a time limit, and whatever goes wrong is an answer."""

from __future__ import annotations

import queue
import threading
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import requests
from msgspec import Struct
from packaging.version import Version
from pip_audit._service import ResolvedDependency, SkippedDependency, VulnerabilityResult

from reprocheck.advisories.services import ServiceError, UnreachableError
from reprocheck.model.text import printable
from reprocheck.redact import url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reprocheck.advisories.services import Service

T = TypeVar("T")

GIVE_UP = 2
"""So many packages in a row for which nothing came, and the others are not asked for any more."""
_SAID = 200
_QUESTIONS = 3
"""About as many a service asks itself to tell whether it knows anything."""


class Said(Struct, frozen=True, kw_only=True):
    """What a service says of one package."""

    found: tuple[VulnerabilityResult, ...] = ()
    """Each vulnerability once, whatever names it has, by its id; fixes are later than what was asked for."""
    reason: str | None = None
    """Why it was not audited, or not in whole; ``None``: it was."""


class _SilentError(Exception):
    """Nothing came."""


def ask(service: Service, releases: Iterable[tuple[str, Version]], seconds: float) -> dict[tuple[str, Version], Said]:
    """Ask for each release; where a service proves to know nothing, no answer counts.

    Args:
        service: what is asked.
        releases: normalised names, and versions without local labels.
        seconds: how long one answer may take.
    """
    said: dict[tuple[str, Version], Said] = {}
    silent = 0
    for name, version in releases:
        if silent >= GIVE_UP:
            said[name, version] = Said(reason=f"not asked for any more: {GIVE_UP} times in a row nothing had come")
            continue
        spec = ResolvedDependency(name=name, version=version)
        try:
            answer, found = _within(seconds, lambda spec=spec: service.query(spec))  # type: ignore[misc]
        except _SilentError as error:
            silent += 1
            said[name, version] = Said(reason=str(error))
        except ServiceError as error:
            silent = 0
            said[name, version] = Said(reason=str(error))
        else:
            silent = 0
            reason = answer.skip_reason if isinstance(answer, SkippedDependency) else None
            said[name, version] = Said(found=_distinct(found, version), reason=reason)
    if any(one.reason is None for one in said.values()) and not any(one.found for one in said.values()):
        try:
            reason = _within(seconds * _QUESTIONS, service.ignorance)
        except (_SilentError, ServiceError) as error:
            reason = f"whether it knows anything could not be told: {error}"
        if reason is not None:
            return {release: Said(reason=one.reason or reason) for release, one in said.items()}
    return said


def _within(seconds: float, call: Callable[[], T]) -> T:
    """Give what a call gives, or what went wrong, in so many seconds; a call that takes longer is left alone.

    A time limit of the library's is one for each piece of the answer: whoever sends a byte a second goes on for ever.
    """
    outcome: queue.SimpleQueue[T | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        got = outcome.get(timeout=seconds)
    except queue.Empty:
        raise _SilentError(f"no answer within {seconds:g} seconds") from None
    match got:
        case requests.Timeout():
            raise _SilentError(f"no answer within {seconds:g} seconds") from got
        case requests.ConnectionError() | UnreachableError():
            raise _SilentError("the service can't be reached") from got
        case ServiceError():
            raise ServiceError(_words(got)) from got
        case Exception():
            raise ServiceError(f"the answer is nonsense ({type(got).__name__}: {_words(got)})") from got
        case BaseException():
            raise got
    return got


def _words(error: BaseException) -> str:
    return printable(url(str(error)).partition("\n")[0][:_SAID]) or type(error.__cause__ or error).__name__


def _distinct(found: Iterable[VulnerabilityResult], version: Version) -> tuple[VulnerabilityResult, ...]:
    """Each vulnerability once: names that meet, in however many steps, are of one (OSV schema, ``aliases``)."""
    groups: dict[str, list[VulnerabilityResult]] = {}
    for one in found:
        met = [groups[name] for name in (one.id, *one.aliases) if name in groups]
        largest = max(met, key=len, default=[])
        others = {id(group): group for group in met if group is not largest}
        joined = [one, *chain.from_iterable(others.values())]
        largest += joined
        groups |= dict.fromkeys((name for member in joined for name in (member.id, *member.aliases)), largest)
    merged = []
    for group in {id(group): group for group in groups.values()}.values():
        whole = VulnerabilityResult.create(
            ids=sorted({name for one in group for name in (one.id, *one.aliases)}),
            description="",
            fix_versions=sorted({fix for one in group for fix in one.fix_versions if fix > version}),
            published=None,
        )
        titles = sorted((one.id != whole.id, one.id, one.description) for one in group if one.description.strip())
        merged.append(
            VulnerabilityResult(
                id=whole.id,
                description=titles[0][2] if titles else "",
                fix_versions=whole.fix_versions,
                aliases=whole.aliases,
            )
        )
    return tuple(sorted(merged, key=lambda one: one.id))
