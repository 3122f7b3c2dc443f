"""RC203: combinations that are known not to work, whatever their metadata allow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from reprocheck.graph import build
from reprocheck.model.report import SEVERITIES, Break, Fix
from reprocheck.rules.base import Comparison, EnvironmentPair, Rule, finding
from reprocheck.rules.chains import chain, pulling
from reprocheck.rules.repair import restore
from reprocheck.rules.requirers import asked_for, checks, listed, requirers
from reprocheck.versions import BUILDS_OF_TENSORFLOW, FRAMEWORKS, allows, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reprocheck.graph import Graph
    from reprocheck.knowledge import Knowledge
    from reprocheck.knowledge.rows import Effect, KnownBreak
    from reprocheck.model.report import Finding, Severity
    from reprocheck.model.snapshot import Environment, Package

_WORDS: dict[Effect, str] = {
    "import-fails": "importing it fails",
    "run-fails": "it fails when it runs",
    "wrong-results": "its results are wrong",
    "no-gpu": "it does not use the GPU",
    "install-fails": "they can't be installed together",
    "conflict": "their requirements contradict each other",
    "warning": "it warns",
    "api-removed": "code that uses what was removed fails",
}
"""What happens, the worst first."""
_PYTHON = "python"
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_LITTLE = re.compile(r"(?:It|Its|An?|The|Old|This|That|Their|They)\b")
"""Words that begin a sentence with a capital and would have none inside it."""


def known_break(comparison: Comparison) -> Iterator[Finding]:
    """A change completed a combination that is known not to work.

    ## What it checks
    Every known break (`reprocheck/knowledge`, and the user's own files) against the versions of both sides: one that
    holds now and did not hold before. The subject is the package whose change completed it; where several changed,
    the one that nobody asked for. Breaking where what is installed fails to import, to run, to compute rightly or to
    find the GPU, and somebody saw that or it is surely reported; major where the report is less sure. Minor where
    it depends on what is asked of it: an interface that was removed, a warning, an installation that fails. What
    the baseline had already is not new.

    ## Why it matters
    Metadata are written before the versions that break them. Nothing else tells that an environment is broken whose
    requirements all hold.

    ## Example
    tensorflow 2.9.0 requires `protobuf>=3.9.2`, and does not work with `protobuf 4.21.1`:
    `import tensorflow` fails with `TypeError: Descriptors cannot not be created directly.`

    ## What to do
    Restore the version that stood before. Where another package does not allow that, the finding says which one has
    to change with it.

    ## When it is noise
    Where the broken package is installed and never used.
    """
    for pair in comparison.pairs:
        if not (pair.added or pair.removed or pair.changed or _python(pair, "before") != _python(pair, "after")):
            continue
        groups: dict[str, list[KnownBreak]] = {}
        for row in _completed(pair, comparison.knowledge.known_breaks):
            groups.setdefault(_culprit(pair, row), []).append(row)
        for name, rows in sorted(groups.items()):
            yield _finding(pair, name, sorted(rows, key=lambda row: _rank(pair, row)))


def standing(environment: Environment, knowledge: Knowledge) -> Iterator[str]:
    """Say which known breaks an environment surely has, one sentence each."""
    graph = build(environment)
    side = _Side(graph.packages, environment.python.version if environment.python else "", lambda _: graph)
    for row in knowledge.known_breaks:
        if row.fails and (row.seen is not None or row.confidence == "high") and side.meets(row):
            expect = f", as in {expected}" if (expected := _expect(row)) else ""
            yield f"{row.package} {side.packages[row.package].version}: {_beside(side.packages, row)}{expect}"


class _Side(NamedTuple):
    """What a known break is held against."""

    packages: Mapping[str, Package]
    python: str
    graph_of: Callable[[str], Graph]
    """Where the requirements of a package are told."""

    def meets(self, row: KnownBreak) -> bool:
        """Whether a known break surely holds."""
        package = self.packages.get(row.package)
        if row.system or package is None or allows(row.specifier, package.version) is not True:
            return False
        if row.python and allows(row.python, self.python) is not True:
            return False
        partner = self.packages.get(row.partner) if row.partner is not None else None
        if row.partner is None or row.partner_absent:
            return partner is None
        if partner is not None and row.partner_required:
            edges = self.graph_of(package.name).requirements_of(package.name)
            return any(edge.to == partner.name and allows(edge.specifier, partner.version) is False for edge in edges)
        return partner is not None and _is_wrong(partner, package, row)


def _is_wrong(partner: Package, package: Package, row: KnownBreak) -> bool:
    """Whether the partner's version is surely one that the row means; without a specifier versions don't tell."""
    if row.partner_is:
        return _is_newer(*((partner, package) if row.partner_is == "newer" else (package, partner)))
    return bool(row.partner_specifier) and allows(row.partner_specifier, partner.version) is True


def _is_newer(one: Package, other: Package) -> bool:
    """Whether a version is surely above another; a local label such as ``+cuda12`` does not count."""
    return compare(one.name, other.version, one.version).direction == "up"


def _python(pair: EnvironmentPair, side: str) -> str:
    python = pair.before.python if side == "before" else pair.after.python
    return python.version if python is not None else ""


def _completed(pair: EnvironmentPair, rows: Iterable[KnownBreak]) -> Iterator[KnownBreak]:
    """The known breaks that hold now; not where the same two packages failed before already."""
    before = _Side(pair.graph_before.packages, _python(pair, "before"), lambda _: pair.graph_before)
    after = _Side(pair.graph_after.packages, _python(pair, "after"), lambda _: pair.graph_after)
    there = [row for row in (_as_installed(row, after.packages) for row in rows) if row.package in after.packages]
    failed = {
        (row.package, row.partner)
        for row in there
        if row.package in before.packages and row.fails and before.meets(row)
    }
    for row in there:
        if row.partner_absent and pair.listing_gap:
            continue
        if row.effect == "api-removed" and row.package not in before.packages:
            continue  # no code can have used what was removed before it came
        if after.meets(row) and not before.meets(row) and (row.package, row.partner) not in failed:
            yield row


def _as_installed(row: KnownBreak, packages: Mapping[str, Package]) -> KnownBreak:
    """A row about TensorFlow holds for its other builds as well, which have names of their own."""
    if "tensorflow" not in {row.package, row.partner} or "tensorflow" in packages:
        return row
    build = next((name for name in BUILDS_OF_TENSORFLOW if name in packages), None)
    if build is None:
        return row
    if row.package == "tensorflow":
        return replace(row, package=build)
    return replace(row, partner=build)


def _culprit(pair: EnvironmentPair, row: KnownBreak) -> str:
    """The package whose change completed a break; Python itself where no package did."""
    names = [name for name in (row.partner, row.package) if name is not None and _changed(pair, name)]
    alone = [name for name in names if not _taken_back(pair, name).meets(row)]
    if not alone:
        return _PYTHON
    outside = {edge.to for name in alone for edge in pair.graph_after.requirers_of(name) if edge.holds is False}
    return min(alone, key=lambda name: (name not in outside, _asked(pair, name), names.index(name)))


def _changed(pair: EnvironmentPair, name: str) -> bool:
    return name in pair.added or name in pair.removed or "version" in pair.changed.get(name, ())


def _asked(pair: EnvironmentPair, name: str) -> bool:
    return name in pair.graph_after.packages and asked_for(pair, name) == "true"


def _taken_back(pair: EnvironmentPair, name: str) -> _Side:
    """The after side, if this one had not changed."""
    packages = {one: package for one, package in pair.graph_after.packages.items() if one != name}
    if name in pair.graph_before.packages:
        packages[name] = pair.graph_before.packages[name]
    one, other = pair.graph_before, pair.graph_after
    return _Side(packages, _python(pair, "after"), lambda asked: one if asked == name else other)


def _severity(pair: EnvironmentPair, row: KnownBreak) -> Severity:
    if row.fails:
        return "breaking" if row.seen is not None or row.confidence == "high" else "major"
    # What the metadata say for themselves is a finding already: this one says why.
    if row.effect == "conflict" and any(
        edge.to == row.partner and edge.holds is False for edge in pair.graph_after.requirements_of(row.package)
    ):
        return "major"
    return "minor"


def _rank(pair: EnvironmentPair, row: KnownBreak) -> tuple[object, ...]:
    return (
        SEVERITIES.index(_severity(pair, row)),
        row.seen is None,
        list(_WORDS).index(row.effect),
        row.confidence != "high",
        row.package not in FRAMEWORKS,
        row.package,
        row.name,
    )


def _finding(pair: EnvironmentPair, name: str, rows: Sequence[KnownBreak]) -> Finding:
    before, after = pair.graph_before.packages.get(name), pair.graph_after.packages.get(name)
    is_python = name == _PYTHON
    versions = (
        (_python(pair, "before"), _python(pair, "after"))
        if is_python
        else (before.version if before else None, after.version if after else None)
    )
    breaks = tuple(_break(pair, row) for row in rows)
    failing = tuple(_each(one.package for one in breaks if one.fails))
    edges = pair.graph_after.requirers_of(name)
    subject = f"{'Python' if is_python else name} {versions[1] or '(not installed)'}"
    return finding(
        "python" if is_python else "python-package",
        name,
        _severity(pair, rows[0]),
        f"{subject}: {listed([_says(pair, name, row) for row in rows])} ({_known(breaks[0])})",
        environment=pair.after.id,
        before=versions[0],
        after=versions[1],
        details={} if is_python or after is None else {"asked_for": asked_for(pair, name)},
        evidence=tuple(_each(line for one in zip(breaks, rows, strict=True) for line in _evidence(*one))),
        required_by=requirers(edges),
        suffers=failing,
        pulled_by=requirers(pulling(pair, name)),
        paths=pair.graph_after.paths_to(name),
        requirements=checks(pair, [edge for edge in edges if edge.by in failing], *versions),
        breaks=breaks,
        chain=chain(pair, name, [_end(one) for one in breaks if one.fails and one.package != name]),
        expect=next(filter(None, map(_expect, rows)), None),
        fix=(None if is_python else restore(pair, name)) or Fix(summary=f"as reported, not tried here: {rows[0].fix}"),
    )


def _break(pair: EnvironmentPair, row: KnownBreak) -> Break:
    edges = pair.graph_after.requirements_of(row.package)
    return Break(
        name=row.name,
        package=row.package,
        version=pair.graph_after.packages[row.package].version,
        effect=row.effect,
        fails=row.fails,
        because=_clause(_SENTENCE.split(row.explanation, maxsplit=1)[0].rstrip(".")),
        allowed=next((edge.text for edge in edges if edge.to == row.partner and edge.holds), None),
        seen=row.seen.date.isoformat() if row.seen is not None else None,
        source=row.source,
    )


def _says(pair: EnvironmentPair, name: str, row: KnownBreak) -> str:
    """``with it tensorflow 2.9.0 breaks: importing it fails``."""
    packages = pair.graph_after.packages
    if name != row.package:
        return f"with it {row.package} {packages[row.package].version} breaks: {_WORDS[row.effect]}"
    return _beside(packages, row)


def _beside(packages: Mapping[str, Package], row: KnownBreak) -> str:
    """``importing it fails beside numpy 2.0.2``."""
    if row.partner_absent:
        return f"{_WORDS[row.effect]} without {row.partner}"
    partner = packages.get(row.partner) if row.partner is not None else None
    return f"{_WORDS[row.effect]}{f' beside {partner.name} {partner.version}' if partner is not None else ''}"


def _known(one: Break) -> str:
    """How it is known: ``known break, seen 2026-11-22``."""
    return f"known break, {f'seen {one.seen}' if one.seen is not None else 'reported'}"


def _end(one: Break) -> str:
    allowed = f"; its metadata ({one.allowed}) allow it, so that pip check is silent" if one.allowed else ""
    return f"{one.package} {one.version}: {one.because}{allowed}"


def _clause(sentence: str) -> str:
    """A sentence as it stands behind a colon."""
    return sentence[:1].lower() + sentence[1:] if _LITTLE.match(sentence) else sentence


def _expect(row: KnownBreak) -> str | None:
    """The statement that fails and the line that it prints."""
    text = row.seen.text if row.seen is not None else row.expect
    if not text:
        return None
    return f"{row.statement}: {text}" if row.statement else text


def _evidence(one: Break, row: KnownBreak) -> Iterator[str]:
    if one.allowed is not None:
        yield f"{one.package} {one.version} allows it on paper ({one.allowed})"
    yield row.explanation
    if row.seen is not None:
        yield f"seen {one.seen} with Python {row.seen.python}; reported: {row.source}"
    else:
        yield f"reported: {row.source}"


def _each(lines: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(lines)


RULES = (
    Rule(
        code="RC203",
        name="known-break",
        level="packages",
        check=known_break,
        frameworks_count_earlier=True,
    ),
)
