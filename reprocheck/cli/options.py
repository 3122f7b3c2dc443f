"""Options that several commands share, and what they make of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reprocheck.cli.outputs import FORMATS, outputs
from reprocheck.cli.say import say
from reprocheck.errors import UsageError

if TYPE_CHECKING:
    from reprocheck.compare import Question

Function = Callable[..., Any]

_LEVELS = ("framework", "packages", "stack", "machine", "bits")
_THRESHOLDS = ("breaking", "major", "minor", "info", "never")

_ROUTES = ("storage", "cache", "container", "save", "exec", "archive")

_ENGINE = click.option("--engine", metavar="ADDRESS", help="Container engine, as in unix:///run/docker.sock.")
_DEBUG = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")

_ACCESS = (
    _ENGINE,
    click.option(
        "--python", type=click.Path(path_type=Path), metavar="PATH", help="The interpreter that host: shall mean."
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0.1),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="How long the target's Python may take to answer.",
    ),
    click.option(
        "--route",
        type=click.Choice(_ROUTES),
        help="Read the target by this route alone; default: the first that this machine allows.",
    ),
    click.option("--platform", metavar="OS/ARCH", help="The platform of an archive or layout that holds several."),
    click.option(
        "--deep",
        is_flag=True,
        help="Compare the contents of files and of uncompressed layers with their digests too; --level bits does so.",
    ),
    click.option("--no-verify", is_flag=True, help="Compare nothing stored with its digests."),
    click.option("--no-exec", is_flag=True, help="Run nothing of the target, whatever it costs."),
    _DEBUG,
)

_REPORT = (
    click.option(
        "--level", type=click.Choice(_LEVELS), help="What has to agree; default: stack, packages for interpreters."
    ),
    click.option(
        "--policy",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="What is tolerated; default: reprocheck.toml or pyproject.toml, here or above in the repository.",
    ),
    click.option(
        "--fail-on",
        type=click.Choice(_THRESHOLDS),
        help="Findings of this severity and above fail; default: what the policy says, else major.",
    ),
    click.option(
        "--knowledge",
        metavar="FILE",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Knowledge of your own, beside the policy's and the one that ships; repeatable.",
    ),
    click.option(
        "--env",
        "pairs",
        multiple=True,
        metavar="A=B",
        help="Compare environment A of the first side with B of the second; repeatable.",
    ),
    click.option("--format", "format_", type=click.Choice(FORMATS), default="text", show_default=True),
    click.option("-o", "--output", metavar="FILE", default="-", help="The report; - is standard output."),
    click.option(
        "--write", multiple=True, metavar="FORMAT=FILE", help="Write the report in another format too; repeatable."
    ),
    click.option("--all", "all_", is_flag=True, help="List in text what is otherwise folded."),
)


def access_options(function: Function) -> Function:
    """How targets are reached; the command takes ``access``."""

    @functools.wraps(function)
    def command(*, engine: str | None, python: Path | None, timeout: float, **words: Any) -> Any:
        from reprocheck.targets.resolve import Access

        how = {name: words.pop(name) for name in ("route", "platform", "deep", "no_verify", "no_exec")}
        access = Access(engine_address=engine, python=python, seconds=timeout, tell=say, **how)
        return function(access=access, **words)

    return _with(_ACCESS, command)


def engine_option(function: Function) -> Function:
    """Which engine is looked at, and no more of how targets are read; the command takes ``access``."""

    @functools.wraps(function)
    def command(*, engine: str | None, **words: Any) -> Any:
        from reprocheck.targets.resolve import Access

        return function(access=Access(engine_address=engine, tell=say), **words)

    return _with((_ENGINE, _DEBUG), command)


def report_options(*, gate: bool) -> Callable[[Function], Function]:
    """What is asked of a comparison and where its report goes; the command takes ``question`` and ``outputs``."""

    def options(function: Function) -> Function:
        @functools.wraps(function)
        def command(
            *,
            level: str | None,
            fail_on: str | None,
            policy: Path | None,
            knowledge: tuple[Path, ...],
            pairs: tuple[str, ...],
            format_: str,
            output: str,
            write: tuple[str, ...],
            all_: bool,
            **words: Any,
        ) -> Any:
            return function(
                question=_question(level, fail_on, pairs, policy, knowledge, gate=gate),
                outputs=outputs(format_, output, write, all_=all_),
                **words,
            )

        return _with(_REPORT, command)

    return options


base_option = click.option(
    "--base",
    metavar="TARGET",
    help="The image that TARGET is built on, or a baseline of it: tell what comes from it, and what does not.",
)
"""What the target is built on; the command takes ``base``."""


def _with(options: tuple[Function, ...], command: Function) -> Function:
    for option in reversed(options):
        command = option(command)
    return command


def _question(
    level: str | None,
    fail_on: str | None,
    pairs: tuple[str, ...],
    policy: Path | None,
    knowledge: tuple[Path, ...],
    *,
    gate: bool,
) -> Question:
    from reprocheck.compare import Question
    from reprocheck.knowledge import load as load_knowledge
    from reprocheck.model.policy import Policy
    from reprocheck.policy import find_here, load
    from reprocheck.rules import RULES

    by_hand = {}
    for pair in pairs:
        one, equals, other = pair.partition("=")
        if not equals or not one or not other:
            raise UsageError(f"--env {pair}: write A=B, two ids of environments")
        by_hand[one] = other
    path = policy or find_here()
    file = load(path, {rule.code: rule.name for rule in RULES}) if path else None
    agreed = file.policy if file else Policy()
    return Question(
        level=level or agreed.level,  # type: ignore[arg-type] # click checked
        fail_on=fail_on or agreed.fail_on or "major",  # type: ignore[arg-type]
        pairs=by_hand,
        gate=gate,
        policy=file,
        knowledge=load_knowledge([*(file.knowledge if file else ()), *knowledge]),
    )
