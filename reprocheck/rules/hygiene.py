"""RC9xx: the baseline and the policy themselves."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from reprocheck.model.report import Fix
from reprocheck.rules.base import Comparison, Rule, finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reprocheck.model.policy import Waiver
    from reprocheck.model.report import Finding

_TAG = re.compile(r"(?P<name>.+?)(?::(?P<tag>[^:/@]+))?")


def waiver_expired(comparison: Comparison) -> Iterator[Finding]:
    """A waiver of the policy has expired.

    ## What it checks
    The date `expires` of each waiver. It waives through that day, in UTC, and no longer. The severity is minor:
    what it had waived is a finding of its own again.

    ## Why it matters
    A waiver is a decision for some time. Somebody has to take it again, or to remove what was tolerated.

    ## Example
    `expires = 2026-11-30` on the first of December.

    ## What to do
    Write another date if the reason still holds; else mend what was waived, and remove the waiver.

    ## When it is noise
    When the waiver has nothing to waive any more: remove it.
    """
    yield from _about(comparison.gate.expired if comparison.gate else (), "minor", "expired on {expires}: {reason}")


def waiver_unused(comparison: Comparison) -> Iterator[Finding]:
    """A waiver of the policy waives nothing.

    ## What it checks
    In `verify`, each waiver that has not expired and whose rule counts at the level that was asked: whether it
    covered a finding.

    ## Why it matters
    What was tolerated is gone, or is another thing by now: another version is another decision. A waiver that stays
    would tolerate it silently when it comes back.

    ## Example
    A waiver of `protobuf` with `after = "4.21.1"`, and 4.21.2 is installed.

    ## What to do
    Remove the waiver, or mend its subject, `before` and `after`.

    ## When it is noise
    When one policy serves several baselines, and the waiver is for another one.
    """
    yield from _about(comparison.gate.unused if comparison.gate else (), "info", "waives nothing: {reason}")


def _about(waivers: Iterable[Waiver], severity: str, words: str) -> Iterator[Finding]:
    for waiver in waivers:
        name = waiver.title
        told = words.format(expires=waiver.expires.isoformat(), reason=waiver.reason)
        message = f"the waiver of {name} {told}"
        yield finding("waiver", name, severity, message, environment=waiver.environment)  # type: ignore[arg-type]


def baseline_tag_mutable(comparison: Comparison) -> Iterator[Finding]:
    """The baseline was locked from an image by the tag `latest`.

    ## What it checks
    In `verify`, whether the baseline's target is an image of a registry, named without a tag or by `latest`.

    ## Why it matters
    That tag moves with each release. Who pulls it later to look at what was locked gets another image.

    ## Example
    `image:python` where the baseline knows `python@sha256:…`.

    ## What to do
    Lock the image by the digest that the finding names.

    ## When it is noise
    When the baseline is meant to tell what moved.
    """
    subject, digests = comparison.before.subject, comparison.before.provenance.repo_digests
    if comparison.gate is None or subject.kind != "image" or "@" in subject.name or not digests:
        return
    found = _TAG.fullmatch(subject.name)
    if found is None or found["tag"] not in {None, "latest"}:
        return
    own = [digest for digest in digests if digest.partition("@")[0] == found["name"]]
    digest = (own or digests)[0]
    message = f"the baseline was locked from {subject.name}, a tag that moves"
    fix = Fix(summary=f"lock it by its digest: image:{digest}")
    yield finding("baseline", subject.name, "info", message, before=digest, fix=fix)


def baseline_too_old(comparison: Comparison) -> Iterator[Finding]:
    """The baseline is older than the policy allows.

    ## What it checks
    In `verify`, where the policy has `max_baseline_age_days`: the days since the baseline was captured, in UTC.

    ## Why it matters
    An old baseline keeps an environment from its corrections, those of security too.

    ## Example
    `max_baseline_age_days = 180`, and the baseline is 200 days old.

    ## What to do
    Bring the environment up to date, and lock it again.

    ## When it is noise
    When the environment is to stay as it is, as that of a paper: leave the key out.
    """
    most = comparison.gate.policy.max_baseline_age_days if comparison.gate else None
    if comparison.gate is None or most is None:
        return
    header = comparison.before.header
    try:
        age = (comparison.gate.today - datetime.date.fromisoformat(header.captured_at[:10])).days
    except ValueError:
        message = f"the age of the baseline can't be told: {header.captured_at} is no date; {most} days are allowed"
        yield finding("baseline", header.target, "major", message, before=header.captured_at)
        return
    if age > most:
        message = f"the baseline is {age} days old; the policy allows {most}"
        yield finding("baseline", header.target, "major", message, before=header.captured_at)


RULES = (
    Rule(code="RC901", name="waiver-expired", level="framework", check=waiver_expired),
    Rule(code="RC902", name="waiver-unused", level="framework", check=waiver_unused),
    Rule(code="RC911", name="baseline-tag-mutable", level="framework", check=baseline_tag_mutable),
    Rule(code="RC912", name="baseline-too-old", level="framework", check=baseline_too_old),
)
