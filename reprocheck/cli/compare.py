"""The commands that compare: verify, diff."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reprocheck.cli.options import access_options, base_option, report_options

if TYPE_CHECKING:
    from reprocheck.cli.outputs import Outputs
    from reprocheck.compare import Question
    from reprocheck.targets.address import Address
    from reprocheck.targets.resolve import Access


@click.command()
@click.argument("target")
@click.option("--baseline", metavar="FILE", required=True, type=click.Path(path_type=Path), help="What was locked.")
@base_option
@report_options(gate=True)
@access_options
def verify(target: str, baseline: Path, base: str | None, question: Question, outputs: Outputs, access: Access) -> int:
    """Verify that TARGET still is what the baseline says."""
    from reprocheck.capture import capture
    from reprocheck.compare import compare
    from reprocheck.sides import load_baseline
    from reprocheck.targets.resolve import resolve

    _heed(question, access)
    locked, file = load_baseline(baseline)
    lower = question.policy.extends if question.policy else None
    extends = load_baseline(lower) if lower else None
    address = resolve(target, access)
    below = None if base is None else resolve(base, access)
    outputs.spare([str(baseline), *([str(lower)] if lower else []), *_policy(question), *_files(address, below)])
    captured = capture(address, access)
    built_on = capture(below, access) if below else None
    return outputs.deliver(compare(locked, captured, question, file, base=built_on, extends=extends))


@click.command()
@click.argument("before")
@click.argument("after", required=False)
@base_option
@report_options(gate=False)
@access_options
def diff(before: str, after: str | None, base: str | None, question: Question, outputs: Outputs, access: Access) -> int:
    """Tell what differs between two targets, or between a container and the image that it was started from."""
    from reprocheck.capture import capture
    from reprocheck.compare import compare
    from reprocheck.targets.resolve import image_of, resolve

    _heed(question, access)
    one = resolve(before, access)
    first, second = (image_of(one, access), one) if after is None else (one, resolve(after, access))
    below = None if base is None else resolve(base, access)
    outputs.spare([*_policy(question), *_files(first, second, below)])
    sides = capture(first, access), capture(second, access)
    return outputs.deliver(compare(*sides, question, base=capture(below, access) if below else None))


def _heed(question: Question, access: Access) -> None:
    """Read targets as what is asked of them needs, and as the policy allows."""
    access.deep = access.deep or question.level == "bits"
    access.no_exec = access.no_exec or (question.policy is not None and question.policy.policy.no_exec)


def _policy(question: Question) -> list[str]:
    return [str(question.policy.path)] if question.policy else []


def _files(*addresses: Address | None) -> list[str]:
    """The files that are compared, which no report may replace."""
    from reprocheck.targets.address import chosen

    return [
        chosen(address.value)[0]
        for address in addresses
        if address and address.kind in {"snapshot", "evidence", "archive"}
    ]
