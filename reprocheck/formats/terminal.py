"""The report as text: the verdict first, one story for each cause, harmless things counted."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from reprocheck.formats.layout import Page
from reprocheck.formats.stories import folds, followers, stories
from reprocheck.formats.words import brought_by, counted, how_it_was_read, in_a_row, listed, side
from reprocheck.model.report import LEVELS, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reprocheck.formats.layout import Part
    from reprocheck.formats.stories import Story
    from reprocheck.model.report import Base, Fix, Report, RequirementCheck

WIDTH = 100
"""Columns where nobody says how many there are: in files, and in the logs of CI systems."""

_PIP_INSTALL = re.compile(
    r"""RUN\s+(?:python3?\s+-m\s+)?pip3?\s+install(?:\s+--?[A-Za-z-]+)*\s+["']?([A-Za-z0-9._-]+)[^\s"']*["']?\s*"""
)
"""An instruction that installs one package and does nothing else."""
_FEW = 3
_STEP = 2
"""Length of a path of one step."""
_SEVERAL = 8
_ALL = "(--all lists each)"
_TOLD_IN_FULL = ("breaking", "major")
"""Severities whose stories are told with all that is known, whether they fail or not."""
_CLASSES = {
    "system": "OS release and libc",
    "accelerator": "CUDA libraries and frameworks",
    "machine": "machine",
    "variables": "variables",
    "image": "image settings",
}
"""Fact classes that are no packages; those are counted."""


_OTHERS = (
    ("OS packages", ("os_packages",), ("os-package",)),
    ("settings", ("variables", "image"), ("variable", "image-config")),
)
"""What else can agree: its name, fact classes, and the kinds of subjects of which no finding tells."""


def render(report: Report, *, width: int = WIDTH, color: bool = False, all_: bool = False) -> str:
    """Lay a report out for a terminal.

    Args:
        report: what was found.
        width: columns.
        color: whether to style the text.
        all_: list what is otherwise folded (``--all``).
    """
    page = Page(width=width, color=color)
    told = stories(report)
    _verdict(page, report, told)
    most = sys.maxsize if all_ else _FEW
    followed = followers(told)
    folded = [other for others in followed.values() for other in others]
    several = sum(_matters(story, report) for story in told if story not in folded) > 1
    for number, story in enumerate(told):
        if _matters(story, report) and story not in folded:
            _story(page, report, story, most=most, first=several and number == 0)
            _repeat(page, "with it", [other.headline for other in followed.get(number, ())], most=most)
    _rest(page, report, [story for story in told if not _matters(story, report) and story not in folded], all_=all_)
    _waived(page, report, all_=all_)
    if report.verdict != "verified":
        _level(page, report)
    _gaps_and_notes(page, report)
    _how_it_was_read(page, report)
    return page.render()


def _verdict(page: Page, report: Report, told: Sequence[Story]) -> None:
    counts = [
        counted(number, severity, severity)
        for severity in SEVERITIES
        if (number := sum(story.severity == severity for story in told))
        # What is only info is told below, and counted where it fails or where there is nothing else to count.
        and (severity != "info" or report.verdict == "verified" or report.threshold == "info")
    ]
    if report.verdict == "verified":
        below = f" · below the threshold ({report.threshold}): {', '.join(counts)}" if counts else ""
        words = f"  {side(report.target)} agrees with {report.baseline.name}{below}"
        page.line(("verified", "verified"), words)
        page.row("checked", " · ".join([*_checked(report), f"level: {report.level.asked}"]))
        if report.checked.not_asked:
            page.row("not asked", ", ".join(report.checked.not_asked))
    else:
        gaps = [counted(report.summary.gaps, "gap")] if report.verdict == "unverified" else []
        drift: Part = ", and drift" if gaps and any(_fails(story, report) for story in told) else ""
        words = "  " + " · ".join([*gaps, *counts, *_added(told), *_agreeing(report)])
        page.line((report.verdict, report.verdict), drift, words)
        page.aside(f"{side(report.target)} against {report.baseline.name}")
    if report.policy is not None:
        ignored = f" · ignored: {', '.join(report.policy.ignored)}" if report.policy.ignored else ""
        extends = f" · extends {report.policy.extends.name}" if report.policy.extends else ""
        page.row("policy", f"{report.policy.name}{extends}{ignored}")
    if report.base is not None:
        _base(page, report.base)
    if len(report.pairs) > 1 or any(pair.before != pair.after for pair in report.pairs):
        for pair in report.pairs:
            same = pair.before == pair.after
            page.row("paired", pair.before if same else f"{pair.before} with {pair.after}", f" ({pair.rule})")


def _base(page: Page, base: Base) -> None:
    under = base.layers is not None and base.shared == base.layers
    what = f", the lowest {counted(base.layers or 0, 'layer')} of the target" if under else ""
    total = base.findings + base.others + base.untold
    told = f" · {base.findings or 'none'} of {counted(total, 'finding')} from it" if total else ""
    untold = f", {base.untold:,} can't be told" if base.untold else ""
    page.row("base", f"{side(base.side)}{what}{told}{untold}")
    for remark in base.remarks:
        page.row("", remark)


def _checked(report: Report) -> list[str]:
    checked = report.checked
    return [
        *(f"Python {version}" for version in checked.python),
        *([counted(checked.python_packages, "Python package")] if checked.python_packages else []),
        *([counted(checked.conda_packages, "conda package")] if checked.conda_packages else []),
        *([counted(checked.os_packages, "OS package")] if checked.os_packages else []),
        *(_CLASSES[name] for name in checked.classes if name in _CLASSES),
    ]


def _added(told: Sequence[Story]) -> list[str]:
    number = sum(story.change is not None and story.change.name == "package-added" for story in told)
    return [f"{counted(number, 'package')} added"] if number else []


def _agreeing(report: Report) -> list[str]:
    number, total = report.checked.python_packages_unchanged, report.checked.python_packages
    if not total:
        return []
    differing = {finding.subject.kind for finding in report.findings if finding.waived is None}
    compared = {*report.checked.classes}
    others = [
        words for words, classes, kinds in _OTHERS if compared.issuperset(classes) and differing.isdisjoint(kinds)
    ]
    packages = f"{'all' if number == total else f'{number:,} of'} {counted(total, 'Python package')}"
    return [f"{in_a_row([packages, *others])} agree"]


def _fails(story: Story, report: Report) -> bool:
    return any(finding.fingerprint in report.failing for finding in story.findings)


def _matters(story: Story, report: Report) -> bool:
    """Whether a story is told in full: it fails the gate, or would in most projects."""
    return story.severity in _TOLD_IN_FULL or _fails(story, report)


def _head(page: Page, report: Report, story: Story) -> None:
    environment = story.subject.environment
    where = f" in {environment}" if environment is not None and len(report.pairs) > 1 else ""
    own = min((finding.own_severity or finding.severity for finding in story.findings), key=SEVERITIES.index)
    if own != story.severity:
        where += f" (by the policy; else {own})"
    page.block(
        story.severity,
        story.severity,
        (story.headline, "strong"),
        where,
        right=f"{' '.join(story.rules)}{_known(story)}",
    )


def _story(page: Page, report: Report, story: Story, *, most: int, first: bool) -> None:
    _head(page, report, story)
    for expected in _each(finding.expect for finding in story.findings):
        page.row("expect", expected)
    for remark in story.remarks:
        page.row("also", remark)
    if story.chain:
        _chain(page, story)
    else:
        _requirements(page, story, most=most)
        _repeat(page, "path", [" → ".join(path) for path in _paths(story)], most=most)
        if story.pulled_by:
            page.row("pulled by", "; ".join(_who_pulls(story, name) for name in story.pulled_by))
        for label, finding in story.authors:
            page.row(label, brought_by(finding.introduced_by, finding.from_base))
    if first and story.why:
        page.row("why first", "; ".join(story.why))
    _repairs(page, story)


def _known(story: Story) -> str:
    if not story.breaks:
        return ""
    seen = story.breaks[0].seen
    return f"  known break, {f'seen {seen}' if seen else 'reported'}"


def _chain(page: Page, story: Story) -> None:
    """What was run, whom it brought, what that dragged along, and what fails: each below what it follows from."""
    (label, finding), *others = story.authors or (("brought by", None),)
    if finding is None:
        page.row("because", story.chain[0])
    else:
        page.row(label, brought_by(finding.introduced_by, finding.from_base))
    steps = story.chain[1:] if finding is None else story.chain
    for depth, step in enumerate(steps, start=1):
        # What the last of the ways leads to are several ends of one, side by side.
        page.step(min(depth, 3 if finding is not None else 2), step)
    for label, other in others:
        page.row(label, brought_by(other.introduced_by, other.from_base))


def _paths(story: Story) -> Iterable[tuple[str, ...]]:
    """The paths that say more than that somebody requires it who is told already."""
    told = {check.by for check in story.requirements} if story.suffers else set()
    return [path for path in story.paths if len(path) > _STEP or path[0] not in told]


def _requirements(page: Page, story: Story, *, most: int) -> None:
    known = {check.by for check in story.requirements}
    suffering = [check for check in story.requirements if check.by in story.suffers]
    content = [
        check for check in story.requirements if check.by not in story.suffers and check.by not in story.pulled_by
    ]
    rows = [f"{_who(check)}  {_suffers(story, check)}" for check in suffering]
    rows += [_breaking(story, name) for name in story.suffers if name not in known]
    _repeat(page, "suffers", rows, most=most)
    kept = [f"{_who(check)}  requires {_wanted(story, check)}, {_state(check)}" for check in content]
    if len(kept) > most:
        satisfied = all(check.allows_after for check in content[most:])
        kept[most:] = [f"and {len(kept) - most} more{', all satisfied' if satisfied else ''}"]
    _repeat(page, "required by", kept, most=len(kept))


def _who(check: RequirementCheck) -> str:
    extra = f"[{check.extra}]" if check.extra else ""
    return f"{check.by}{extra} {check.by_version}".rstrip()


def _wanted(story: Story, check: RequirementCheck) -> str:
    extras = f"[{','.join(check.extras)}]" if check.extras else ""
    wanted = f"{story.subject.name}{extras}{check.specifier}"
    return wanted if extras or check.specifier else f"any {wanted}"


def _suffers(story: Story, check: RequirementCheck) -> str:
    if check.allows_after:
        because = next((f"; {one.because}" for one in story.breaks if one.package == check.by), "")
        return f"allows it on paper ({_wanted(story, check)}){because}"
    return f"requires {_wanted(story, check)}, {_state(check)}"


def _breaking(story: Story, name: str) -> str:
    """Who suffers without requiring the subject; a known break says why."""
    known = next((one for one in story.breaks if one.package == name), None)
    return name if known is None else f"{name} {known.version}  {known.because}"


def _state(check: RequirementCheck) -> str:
    before, after = check.allows_before, check.allows_after
    if check.missing:
        return "which is not there" if before is None else "now without it"
    if after is None:
        return "can't be judged"
    if after:
        return "now satisfied" if before is False else "still satisfied" if before else "satisfied"
    if check.new:
        return "violated (new requirement)"
    return "violated before as well" if before is False else "now violated"


def _who_pulls(story: Story, name: str) -> str:
    check = next((check for check in story.requirements if check.by == name), None)
    return name if check is None else f"{_who(check)}, which requires {_wanted(story, check)}"


def _repairs(page: Page, story: Story) -> None:
    label = "repair"
    seen: list[Fix] = []
    for fix in (finding.fix for finding in story.findings if finding.fix is not None):
        if fix in seen:
            continue
        seen.append(fix)
        if [fix.summary] != list(fix.commands):
            page.row(label, _where(story, fix))
            label = ""
        for command in fix.commands:
            page.verbatim(label, command)
            label = ""
        if fix.avoid is not None:
            page.row("not", fix.avoid)


def _where(story: Story, fix: Fix) -> str:
    """The repair, in the right place: the line of the Dockerfile that brought the change, where one did."""
    layer = story.authors[0][1].introduced_by if story.authors else None
    instruction = (layer.instruction or "") if layer is not None else ""
    if not instruction.startswith("RUN "):
        return fix.summary
    alone = _PIP_INSTALL.fullmatch(instruction)
    dropped = alone is not None and canonicalize_name(alone[1]) == story.subject.name
    what = "drop that line" if dropped else f"in that RUN line: {fix.summary}"
    return f"{what}; in a running container:" if fix.commands else what


def _rest(page: Page, report: Report, rest: Sequence[Story], *, all_: bool) -> None:
    """Give what nobody has to act on: small changes in a line, harmless ones counted."""
    if all_:
        for story in rest:
            _head(page, report, story)
        return
    small = [story for story in rest if story.severity != "info"]
    for story in small[:_SEVERAL]:
        _head(page, report, story)
    if len(small) > _SEVERAL:
        page.block(small[0].severity, small[0].severity, f"and {len(small) - _SEVERAL} more {_ALL}")
    sentences = []
    folded = False
    for fold in folds(story for story in rest if story.severity == "info"):
        sentences.append(fold.sentence)
        folded |= len(fold.findings) > 1
    if sentences:
        page.block("info", "info", "; ".join(sentences), f"  {_ALL}" if folded else "")


def _waived(page: Page, report: Report, *, all_: bool) -> None:
    if not all_ and report.summary.waived:
        page.block("waived", "aside", counted(report.summary.waived, "finding"), f"  {_ALL}")
        return
    for finding in report.findings:
        if finding.waived is not None:
            why = f"  (until {finding.waived.expires}: {finding.waived.reason})"
            page.block("waived", "aside", finding.message, why, right=finding.rule)


def _level(page: Page, report: Report) -> None:
    level = report.level
    first = 0 if level.reached is None else LEVELS.index(level.reached) + 1
    missing = LEVELS[first : LEVELS.index(level.asked) + 1]
    words = f"{level.reached or 'none'} reached"
    if missing and level.blocked_by:
        names = {finding.fingerprint: finding.subject.name for finding in report.findings}
        blocking = list(_each(names.get(blocker, blocker) for blocker in level.blocked_by))
        one = len(blocking) == 1
        if {*report.failing} <= {*level.blocked_by}:
            words += f"; {in_a_row(listed(blocking, _SEVERAL))} {'is' if one else 'are'} all that stands"
            words += f" before {in_a_row(missing)}"
        else:
            words += f"; {in_a_row(listed(blocking, _SEVERAL))} {'stands' if one else 'stand'} before {missing[0]}"
    page.block("level", "label", words)


def _gaps_and_notes(page: Page, report: Report) -> None:
    for gap in report.gaps:
        page.block("gap", "unverified", gap.what, f"  {gap.where}: {gap.reason}")
    for note in report.notes:
        page.block("note", "aside", note.what, f"  {note.where}: {note.reason}")


def _how_it_was_read(page: Page, report: Report) -> None:
    sides = [report.baseline, report.target, *([report.base.side] if report.base else [])]
    if len({how_it_was_read(one) for one in sides}) == 1:
        page.aside(how_it_was_read(report.target))
    else:
        for one in sides:
            page.aside(f"{one.name}: {how_it_was_read(one)}")


def _repeat(page: Page, label: str, rows: Sequence[str], *, most: int) -> None:
    for row in rows[:most]:
        page.row(label, row)
        label = ""
    if len(rows) > most:
        page.row(label, f"and {len(rows) - most} more {_ALL}")


def _each(items: Iterable[str | None]) -> Iterable[str]:
    """Give each text once, in order."""
    return dict.fromkeys(item for item in items if item)
