"""What ``doctor`` found, as text: of this machine, or of how a target is run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reprocheck.formats.layout import Page
from reprocheck.formats.words import counted
from reprocheck.model.report import Finding
from reprocheck.model.snapshot import Snapshot

_ACCELERATOR = "accelerator"


def render(rows: Iterable[tuple[str, tuple[str, ...]]], *, width: int, color: bool) -> str:
    """One labelled row a subject."""
    page = Page(width=width, color=color)
    for label, lines in rows:
        for number, line in enumerate(lines):
            page.row(label if number == 0 else "", line)
    return page.render()


def practice(snapshot: Snapshot, findings: Sequence[Finding], *, width: int, color: bool) -> str:
    """What is not good practice, the worst first, each with a repair; then what could not be judged."""
    page = Page(width=width, color=color)
    of_container = snapshot.provenance.container is not None
    what = "user, SSH, Jupyter" + (", memory, GPUs, data, privileges" if of_container else "")
    page.line((snapshot.header.target, "strong"), f"  {counted(len(findings), 'remark') if findings else 'no remarks'}")
    page.row("judged", what)
    if not of_container:
        page.row("not judged", "memory, GPUs, data, privileges: they are a container's, not an image's")
    for finding in findings:
        page.block(finding.severity, finding.severity, finding.message, right=finding.rule)
        if finding.fix is not None:
            page.row("repair", finding.fix.summary)
    for gap in snapshot.gaps:
        if of_container and gap.what.startswith(_ACCELERATOR):
            page.block("gap", "unverified", gap.what, f"  {gap.where}: {gap.reason}")
    return page.render()
