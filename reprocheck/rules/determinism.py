"""RC8xx: what decides whether the same program gives the same numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from reprocheck.model.report import Fix
from reprocheck.rules.base import Comparison, EnvironmentPair, Rule, finding
from reprocheck.versions import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reprocheck.knowledge import Knowledge
    from reprocheck.knowledge.rows import DefaultChange, DeterminismSetting
    from reprocheck.model.report import Finding, Severity
    from reprocheck.model.snapshot import Snapshot

_WITHHELD = "(withheld)"
_BOOLEANS = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}
_PLAIN = re.compile(r"[\w./:,+-]+")


def determinism_setting_changed(comparison: Comparison) -> Iterator[Finding]:
    """A variable that affects numbers was set, lost or changed.

    ## What it checks
    Variables of the target's configuration by which libraries choose precision, kernels, random streams and the
    order of sums: TF32, oneDNN, deterministic operations, the workspace of cuBLAS, numbers of threads, the seed of
    hashes and others (`reprocheck rules determinism` lists them). Major where other numbers come out, or where two
    runs of one program may differ that did not before; minor where last digits may differ; info where nothing is
    installed that reads it. No finding where the value says what holds without it as well.

    ## Why it matters
    No package changes, no error comes, and the results of a paper are not reached, or differ from run to run.

    ## Example
    `NVIDIA_TF32_OVERRIDE`: `0` → not set. On an A100, float32 products lose 13 of 23 bits of mantissa.

    ## What to do
    Set it in the Dockerfile as the baseline has it; the finding names the line.

    ## When it is noise
    Where the library that reads it is installed and not used.
    """
    rows = settings(comparison.knowledge) if comparison.at("variables") else {}
    for change in comparison.at("variables"):
        row = rows.get(change.path[1])
        if row is not None:
            before, after = _value(change.before), _value(change.after)
            old = _effective(comparison, comparison.before, row, before)
            new = _effective(comparison, comparison.after, row, after)
            if old is None or new is None or _word(old) != _word(new):
                read = _is_read(row, comparison.after)
                yield _setting(row, before, after, _severity(row, old, new) if read else "info", read=read)


def settings(knowledge: Knowledge) -> dict[str, DeterminismSetting]:
    """Give the variables that affect numbers, by name."""
    return {row.name: row for row in knowledge.determinism_settings if row.kind == "env" and row.changes != "nothing"}


def _is_read(row: DeterminismSetting, side: Snapshot) -> bool:
    """Whether something is installed that reads a setting; what is not known may be."""
    if not row.readers or not side.was_read("environments"):
        return True
    installed = (package.name for environment in side.environments for package in environment.packages)
    return any(name in row.readers for name in installed)


def _setting(
    row: DeterminismSetting, before: str | None, after: str | None, severity: Severity, *, read: bool
) -> Finding:
    shown = " → ".join("not set" if value is None else value or '""' for value in (before, after))
    fix = None
    if before is None:
        fix = Fix(summary=f"the baseline does not set {row.name}: remove it")
    elif before != _WITHHELD:
        quoted = before if _PLAIN.fullmatch(before) else f'"{before}"'
        fix = Fix(summary=f"as in the baseline: ENV {row.name}={quoted}")
    return finding(
        "variable",
        row.name,
        severity,
        f"{row.name}: {shown}. {row.effect if read else 'Nothing is installed that reads it.'}"
        f" Recommended: {row.recommended}",
        before=before,
        after=after,
        details={"changes": row.changes},
        evidence=(row.source,),
        fix=fix,
    )


def _severity(row: DeterminismSetting, before: str | None, after: str | None) -> Severity:
    lost = row.changes == "runs" and _repeats(row, before) and not _repeats(row, after)
    return "major" if lost or row.changes == "values" else "minor"


def _repeats(row: DeterminismSetting, value: str | None) -> bool:
    return value is not None and re.fullmatch(row.repeats, value, re.IGNORECASE | re.DOTALL) is not None


def _value(value: dict[str, str | None] | str | None) -> str | None:
    """The value on one side; ``None``: it is not set there."""
    if isinstance(value, dict):
        return _WITHHELD if value["value"] is None else value["value"]
    return value


def _effective(comparison: Comparison, side: Snapshot, row: DeterminismSetting, value: str | None) -> str | None:
    """What a setting comes to on one side; ``None``: it can't be told."""
    if value is None:
        value = row.unset if row.unset is not None else _default(comparison, side, row.name)
    return value


def _word(value: str) -> str:
    """A value, one word for all that libraries take for true or false."""
    return _BOOLEANS.get(value.lower(), value)


def _default(comparison: Comparison, side: Snapshot, variable: str) -> str | None:
    """The default of a variable in the software that is installed, where all copies of it agree."""
    rows = [row for row in comparison.knowledge.default_changes if row.setting == variable and _applies(row, side)]
    defaults = {
        _default_of([row for row in rows if package.name in row.packages], package.version)
        for environment in side.environments
        for package in environment.packages
        if package.active and any(package.name in row.packages for row in rows)
    }
    return defaults.pop() if len(defaults) == 1 else None


def number_default_changed(comparison: Comparison) -> Iterator[Finding]:
    """A release with another default that affects numbers was crossed.

    ## What it checks
    Versions of frameworks on both sides against what is known of defaults (`reprocheck rules default_change`):
    oneDNN in TensorFlow 2.9, TF32 in TensorFlow 2.4 and PyTorch 1.7 and 1.12, the random streams of JAX 0.5. No
    finding where a variable overrules the default, nor for a build or a processor that it does not concern.

    ## Why it matters
    The program is the same, its dependencies are satisfied, and other numbers come out.

    ## Example
    `tensorflow 2.8.4 → 2.9.0`: on x86, oneDNN kernels compute now.

    ## What to do
    Keep the version of the baseline, or bring the old default back as the finding says.

    ## When it is noise
    Where the numbers are not compared with those of the baseline.
    """
    for pair in comparison.pairs:
        for name in sorted(name for name, facts in pair.changed.items() if "version" in facts):
            versions = pair.graph_before.packages[name].version, pair.graph_after.packages[name].version
            rows = [
                row
                for row in comparison.knowledge.default_changes
                if name in row.packages and _concerns(row, comparison, pair)
            ]
            crossed = [one for one in (_crossed(group, *versions) for group in _by_setting(rows)) if one is not None]
            if crossed:
                yield _crossing(crossed, name, versions, pair)


@dataclass(frozen=True, slots=True)
class _Crossed:
    """A default that differs between two versions, and the last release on the way that changed it."""

    row: DefaultChange
    before: str
    after: str
    back: bool
    """The older version is the later one."""


def _by_setting(rows: Iterable[DefaultChange]) -> Iterable[list[DefaultChange]]:
    groups: dict[str, list[DefaultChange]] = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(row)
    return groups.values()


def _crossed(rows: Sequence[DefaultChange], before: str, after: str) -> _Crossed | None:
    old, new = _default_of(rows, before), _default_of(rows, after)
    if old is None or new is None or old == new:
        return None
    between = [row for row in rows if _has(row, before) is not _has(row, after)]
    back = _has(between[0], before)
    last = min(between, key=_first) if back else max(between, key=_first)
    return _Crossed(last, old, new, back)


def _crossing(crossed: Sequence[_Crossed], name: str, versions: tuple[str, str], pair: EnvironmentPair) -> Finding:
    told = "; ".join(
        f"{one.row.setting} {one.before} → {one.after}"
        f" ({f'no more, as before {one.row.version}: ' if one.back else ''}{one.row.effect})"
        for one in crossed
    )
    keep = ", ".join(one.row.keep for one in crossed if not one.back)
    return finding(
        "python-package",
        name,
        "major",
        f"{name} {versions[0]} → {versions[1]} computes other numbers by default: {told}",
        environment=pair.after.id,
        before=versions[0],
        after=versions[1],
        evidence=tuple(one.row.source for one in crossed),
        fix=Fix(summary=f"the old default: {keep}") if keep else None,
    )


def _concerns(row: DefaultChange, comparison: Comparison, pair: EnvironmentPair) -> bool:
    sides = comparison.before, comparison.after
    ids = pair.before.id, pair.after.id
    overruled = any(variable in side.variables for side in sides for variable in row.overruled_by)
    return not overruled and all(_applies(row, side, name) for side, name in zip(sides, ids, strict=True))


def _applies(row: DefaultChange, side: Snapshot, environment: str | None = None) -> bool:
    """Whether a default concerns a side, as far as it is known; ``None``: any environment of it."""
    if row.architecture and side.system.architecture not in {None, row.architecture}:
        return False
    builds = [
        one.built_with
        for one in side.accelerator.frameworks
        if one.name in row.packages and environment in {None, one.environment}
    ]
    return not (row.gpu and builds and all(build == {} for build in builds))


def _default_of(rows: Sequence[DefaultChange], version: str) -> str | None:
    """The default of a setting in a version; ``rows`` are all about it."""
    if parse_version(version) is None:
        return None
    passed = [row for row in rows if _has(row, version)]
    return max(passed, key=_first).after if passed else min(rows, key=_first).before


def _has(row: DefaultChange, version: str) -> bool:
    """Whether a version has the new default; pre-releases of the first one with it have."""
    parsed = parse_version(version)
    return parsed is not None and parsed.release >= _first(row).release


def _first(row: DefaultChange) -> Version:
    return Version(row.version)


RULES = (
    Rule(code="RC801", name="determinism-setting-changed", level="stack", check=determinism_setting_changed),
    Rule(code="RC802", name="number-default-changed", level="packages", check=number_default_changed),
)
