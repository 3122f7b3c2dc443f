"""Asking a service about many packages: each within a time limit, and whatever goes wrong is an answer."""

from __future__ import annotations

import queue
import threading
import time
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias, TypeVar

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
AT_ONCE = 8
"""Packages that are asked for at the same time; each of some hundred answers takes its way there and back."""
_SAID = 200
_QUESTIONS = 3
"""About as many a service asks itself to tell whether it knows anything."""


class Said(Struct, frozen=True, kw_only=True):
    """What a service says of one package."""

    found: tuple[VulnerabilityResult, ...] = ()
    """Each vulnerability once, whatever names it has, by its id; fixes are later than what was asked for."""
    reason: str | None = None
    """Why it was not audited, or not in whole; ``None``: it was."""


class SilentError(Exception):
    """Nothing came."""


_Outcome: TypeAlias = "queue.SimpleQueue[T | BaseException]"


def ask(service: Service, releases: Iterable[tuple[str, Version]], seconds: float) -> dict[tuple[str, Version], Said]:
    """Ask for each release; where a service proves to know nothing, no answer counts.

    Args:
        service: what is asked.
        releases: normalised names, and versions without local labels.
        seconds: how long one answer may take.
    """
    said: dict[tuple[str, Version], Said] = {}
    waiting = list(releases)
    silent = 0
    while waiting and silent < GIVE_UP:
        now, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        end = time.monotonic() + seconds
        started = [_started(partial(service.query, ResolvedDependency(name=name, version=it))) for name, it in now]
        for (name, version), outcome in zip(now, started, strict=True):
            try:
                answer, found = _outcome(outcome, end - time.monotonic())
            except SilentError as error:
                silent += 1
                said[name, version] = Said(reason=str(error) or f"no answer within {seconds:g} seconds")
                continue
            except ServiceError as error:
                said[name, version] = Said(reason=str(error))
            else:
                reason = answer.skip_reason if isinstance(answer, SkippedDependency) else None
                said[name, version] = Said(found=_distinct(found, version), reason=reason)
            silent = 0
    for release in waiting:
        said[release] = Said(reason="not asked for any more: nothing had come for those before")
    if any(one.reason is None for one in said.values()) and not any(one.found for one in said.values()):
        try:
            reason = _outcome(_started(service.ignorance), seconds * _QUESTIONS)
        except (SilentError, ServiceError) as error:
            reason = f"whether it knows anything could not be told: {str(error) or 'no answer in time'}"
        if reason is not None:
            return {release: Said(reason=one.reason or reason) for release, one in said.items()}
    return said


def _started(call: Callable[[], T]) -> _Outcome[T]:
    """Start a call beside this one; whoever waits for its outcome need not wait for its end.

    A time limit of the library's is one for each piece of the answer: whoever sends a byte a second goes on for ever.
    """
    outcome: _Outcome[T] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome


def _outcome(outcome: _Outcome[T], seconds: float) -> T:
    """Give what a call gives within so many seconds.

    Raises:
        SilentError: nothing came; without words, in time.
        ServiceError: what came is no answer.
    """
    try:
        got = outcome.get(timeout=max(seconds, 0))
    except queue.Empty:
        raise SilentError from None
    match got:
        case requests.Timeout():
            raise SilentError from got
        case requests.exceptions.SSLError():
            raise SilentError(
                "the service can't be reached: its certificate is not trusted, or it speaks no TLS"
            ) from got
        case requests.exceptions.ProxyError():
            raise SilentError("the service can't be reached: the proxy does not let it through") from got
        case requests.ConnectionError() | UnreachableError():
            raise SilentError("the service can't be reached") from got
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
