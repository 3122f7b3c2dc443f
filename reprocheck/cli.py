"""The command line: parse, call, write, exit. No judging, no counting.

Only click is imported here: what a command needs is imported when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from reprocheck import __version__
from reprocheck.errors import ExitCode, ReprocheckError, UsageError

if TYPE_CHECKING:
    from reprocheck.model.report import Report
    from reprocheck.model.snapshot import Snapshot
    from reprocheck.targets.resolve import Access

Command = TypeVar("Command", bound=Callable[..., Any])

_LEVELS = ("framework", "packages", "stack", "machine", "bits")
_THRESHOLDS = ("breaking", "major", "minor", "info", "never")
_FORMATS = ("text", "json")
_CLASSES = ("system", "environments", "os_packages", "accelerator", "machine", "variables", "image", "smoke")
_NARROWEST = 60


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with one of the three codes."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    try:
        code = cli.main(args=words, prog_name="reprocheck", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = ExitCode.UNVERIFIED
    except click.ClickException as error:
        code = _fail(f"{error.format_message()} (see: reprocheck {_command(words)}--help)")
    except ReprocheckError as error:
        code = _fail(str(error), commands=error.commands, debug=debug)
    except (_Interrupted, click.Abort):
        code = _fail("interrupted: nothing was verified")
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line, and exit code 2
        said = str(error).partition("\n")[0][:200]
        code = _fail(f"internal error, {type(error).__name__}: {said}; please report it, with --debug", debug=debug)
    sys.exit(code if isinstance(code, int) else ExitCode.OK)


class _Interrupted(BaseException):
    """SIGINT or SIGTERM came. Not a KeyboardInterrupt: click prints an empty line for that."""


def _interrupted(_number: int, _frame: object) -> None:
    # Whatever was made on the way (a container, a temporary file) is removed; a second signal does not disturb that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise _Interrupted


def _command(words: Sequence[str]) -> str:
    return f"{words[0]} " if words and words[0] in cli.commands else ""


def _fail(message: str, *, commands: Sequence[str] = (), debug: bool = False) -> ExitCode:
    from reprocheck.model.text import printable

    if debug:
        import traceback

        # Text of the target can stand in an exception too.
        for line in traceback.format_exc().splitlines():
            click.echo(printable(line), err=True)
    _say(message)
    for command in commands:
        click.echo(f"  {printable(command)}", err=True)
    return ExitCode.UNVERIFIED


def _say(message: str) -> None:
    from reprocheck.model.text import printable

    click.echo(f"reprocheck: {printable(message)}", err=True)


# Options that several commands share.


def _access_options(command: Command) -> Command:
    for option in (
        click.option("--debug", is_flag=True, help="Show the traceback of an error."),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0.1),
            default=60.0,
            show_default=True,
            metavar="SECONDS",
            help="How long the target's Python may take to answer.",
        ),
        click.option(
            "--python",
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="The interpreter that host: shall mean.",
        ),
        click.option("--engine", metavar="ADDRESS", help="Container engine, as in unix:///run/docker.sock."),
    ):
        command = option(command)
    return command


def _report_options(command: Command) -> Command:
    for option in (
        click.option("--all", "all_", is_flag=True, help="List in text what is otherwise folded."),
        click.option(
            "--write",
            multiple=True,
            metavar="FORMAT=FILE",
            help="Write the report in another format too; repeatable.",
        ),
        click.option("-o", "--output", metavar="FILE", default="-", help="The report; - is standard output."),
        click.option("--format", "format_", type=click.Choice(_FORMATS), default="text", show_default=True),
        click.option(
            "--env",
            "pairs",
            multiple=True,
            metavar="A=B",
            help="Compare environment A of the first side with B of the second; repeatable.",
        ),
        click.option(
            "--fail-on",
            type=click.Choice(_THRESHOLDS),
            default="major",
            show_default=True,
            help="Findings of this severity and above fail.",
        ),
        click.option(
            "--level", type=click.Choice(_LEVELS), help="What has to agree; default: stack, packages for interpreters."
        ),
    ):
        command = option(command)
    return command


def _access(engine: str | None, python: Path | None, timeout: float) -> Access:
    from reprocheck.targets.resolve import Access

    return Access(engine_address=engine, python=python, seconds=timeout, tell=_say)


def _captured(word: str, access: Access) -> Snapshot:
    from reprocheck.pipeline import capture
    from reprocheck.targets.resolve import resolve

    return capture(resolve(word, access), access)


def _width() -> int:
    return max(_NARROWEST, shutil.get_terminal_size((100, 24)).columns)


def _color(output: str) -> bool:
    return output == "-" and sys.stdout.isatty() and "NO_COLOR" not in os.environ


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="reprocheck %(version)s")
def cli() -> None:
    """Lock an environment once; prove, explain and repair every later difference.

    A TARGET is container:NAME, image:REF, python:PATH, host:, evidence:FILE, snapshot:FILE, or a bare word that can
    mean only one of them.

    Exit codes: 0 verified or done, 1 drift, 2 could not verify.
    """


@cli.command()
@click.argument("target")
@click.option("-o", "--output", metavar="FILE", help="Write the snapshot; - is standard output.")
@click.option("--evidence", metavar="FILE", help="Write the raw evidence, to be read elsewhere.")
@click.option("--format", "format_", type=click.Choice(_FORMATS), default="text", show_default=True)
@_access_options
def capture(
    target: str,
    output: str | None,
    evidence: str | None,
    format_: str,
    engine: str | None,
    python: Path | None,
    timeout: float,
    debug: bool,  # noqa: ARG001 - read by main
) -> None:
    """Read the facts of TARGET; a summary, unless -o or --format json ask for the snapshot."""
    from reprocheck.extractors.assemble import assemble
    from reprocheck.formats.capture import render
    from reprocheck.model import codec
    from reprocheck.output import write_output
    from reprocheck.pipeline import gather
    from reprocheck.targets.resolve import resolve

    access = _access(engine, python, timeout)
    address = resolve(target, access)
    if evidence is not None:
        collected = gather(address, access)
        snapshot = assemble(collected)
        write_output(evidence, codec.encode_json(collected.document, indent=-1))
    else:
        snapshot = _captured(str(address), access)
    if output is not None:
        write_output(output, codec.encode_snapshot(snapshot))
    elif format_ == "json":
        write_output("-", codec.encode_snapshot(snapshot))
    elif evidence != "-":
        write_output("-", render(snapshot, width=_width(), color=_color("-")).encode())


@cli.command()
@click.option("-o", "--output", metavar="FILE", default="-", help="Where the program goes; - is standard output.")
def probe(output: str) -> None:
    """Print one Python file that makes evidence where reprocheck can't be installed.

    \b
    python3 -I -S -B FILE > e.evidence
    docker exec -i CONTAINER python3 -I -S -B - < FILE > e.evidence
    apptainer exec --nv X.sif python3 -I -S -B - < FILE > e.evidence
    """  # noqa: D301 - \b is click's mark for a block that is not to be wrapped
    from reprocheck.by_hand import program
    from reprocheck.output import write_output

    write_output(output, program())


@cli.command()
@click.argument("target")
@click.option("-o", "--output", metavar="FILE", required=True, help="The baseline; - is standard output.")
@click.option("--note", metavar="TEXT", help="Your words, kept in the baseline's header.")
@click.option(
    "--allow-gaps",
    "allowed",
    multiple=True,
    type=click.Choice(_CLASSES),
    metavar="CLASS",
    help="Lock although something of this fact class could not be read; repeatable.",
)
@click.option("--force", is_flag=True, help="Lock although requirements are violated.")
@_access_options
def lock(
    target: str,
    output: str,
    note: str | None,
    allowed: tuple[str, ...],
    force: bool,
    engine: str | None,
    python: Path | None,
    timeout: float,
    debug: bool,  # noqa: ARG001 - read by main
) -> None:
    """Write the facts of TARGET as a baseline, to be kept in version control."""
    from reprocheck.lock import lock as locked
    from reprocheck.model import codec
    from reprocheck.output import write_output

    snapshot, warnings = locked(
        _captured(target, _access(engine, python, timeout)), note=note, allowed_gaps=frozenset(allowed), force=force
    )
    for warning in warnings:
        _say(f"warning: {warning}")
    write_output(output, codec.encode_snapshot(snapshot))


@cli.command()
@click.argument("target")
@click.option("--baseline", metavar="FILE", required=True, type=click.Path(path_type=Path), help="What was locked.")
@_report_options
@_access_options
def verify(
    target: str,
    baseline: Path,
    level: str | None,
    fail_on: str,
    pairs: tuple[str, ...],
    format_: str,
    output: str,
    write: tuple[str, ...],
    all_: bool,
    engine: str | None,
    python: Path | None,
    timeout: float,
    debug: bool,  # noqa: ARG001 - read by main
) -> int:
    """Verify that TARGET still is what the baseline says."""
    from reprocheck.pipeline import compare, load_baseline

    outputs = _outputs(format_, output, write)
    question = _question(level, fail_on, pairs, gate=True)
    locked, file = load_baseline(baseline)
    after = _captured(target, _access(engine, python, timeout))
    return _deliver(compare(locked, after, question, file), outputs, all_=all_)


@cli.command()
@click.argument("before")
@click.argument("after", required=False)
@_report_options
@_access_options
def diff(
    before: str,
    after: str | None,
    level: str | None,
    fail_on: str,
    pairs: tuple[str, ...],
    format_: str,
    output: str,
    write: tuple[str, ...],
    all_: bool,
    engine: str | None,
    python: Path | None,
    timeout: float,
    debug: bool,  # noqa: ARG001 - read by main
) -> int:
    """Tell what differs between two targets, or between a container and the image that it was started from."""
    from reprocheck.pipeline import capture as read
    from reprocheck.pipeline import compare
    from reprocheck.targets.resolve import image_of, resolve

    outputs = _outputs(format_, output, write)
    question = _question(level, fail_on, pairs, gate=False)
    access = _access(engine, python, timeout)
    one = resolve(before, access)
    first, second = (image_of(one, access), one) if after is None else (one, resolve(after, access))
    return _deliver(compare(read(first, access), read(second, access), question), outputs, all_=all_)


@cli.command()
@click.argument("target")
@click.argument("package")
@click.option("--format", "format_", type=click.Choice(_FORMATS), default="text", show_default=True)
@_access_options
def explain(
    target: str,
    package: str,
    format_: str,
    engine: str | None,
    python: Path | None,
    timeout: float,
    debug: bool,  # noqa: ARG001 - read by main
) -> None:
    """Explain why PACKAGE is in TARGET: who requires it, which versions they allow, which copy is taken."""
    from reprocheck.explain import explain_package
    from reprocheck.formats.explain import render
    from reprocheck.model import codec
    from reprocheck.output import write_output

    told = explain_package(_captured(target, _access(engine, python, timeout)), package)
    text = codec.encode_json(told) if format_ == "json" else render(told, width=_width(), color=_color("-")).encode()
    write_output("-", text)


@cli.command()
def rules() -> None:
    """List the rules."""
    from reprocheck.formats.manual import table
    from reprocheck.output import write_output
    from reprocheck.rules import RULES

    write_output("-", table(RULES).encode())


@cli.command()
@click.argument("code")
def rule(code: str) -> None:
    """Show the manual page of a rule."""
    from reprocheck.formats.manual import page
    from reprocheck.output import write_output
    from reprocheck.rules import RULES

    found = next((one for one in RULES if code.upper() == one.code or code == one.name), None)
    if found is None:
        raise UsageError(f"{code}: no such rule; reprocheck rules lists them")
    write_output("-", page(found).encode())


@cli.command()
@click.argument("name", type=click.Choice(["snapshot", "report"]))
def schema(name: str) -> None:
    """Print the JSON Schema of a document."""
    from reprocheck.model import codec
    from reprocheck.output import write_output

    write_output("-", codec.encode_json(codec.json_schema(name)))


@cli.command()
@_access_options
def demo(
    engine: str | None,
    python: Path | None,
    timeout: float,
    debug: bool,  # noqa: ARG001 - read by main
) -> None:
    """Show the main job on recorded evidence of TensorFlow images, and on the engine if one answers."""
    from reprocheck.demo import run
    from reprocheck.output import write_output

    for text in run(_access(engine, python, timeout), width=_width(), color=_color("-")):
        write_output("-", text.encode())


# How questions are read and reports delivered.


def _question(level: str | None, fail_on: str, pairs: tuple[str, ...], *, gate: bool) -> Any:
    from reprocheck.pipeline import Question

    by_hand = {}
    for pair in pairs:
        one, equals, other = pair.partition("=")
        if not equals or not one or not other:
            raise UsageError(f"--env {pair}: write A=B, two ids of environments")
        by_hand[one] = other
    return Question(level=level, fail_on=fail_on, pairs=by_hand, gate=gate)  # type: ignore[arg-type]


def _outputs(format_: str, output: str, write: tuple[str, ...]) -> list[tuple[str, str]]:
    """Format and place of each output; refused before anything is read."""
    outputs = [(format_, output)]
    for one in write:
        name, equals, file = one.partition("=")
        if not equals or not file or name not in _FORMATS:
            raise UsageError(f"--write {one}: write FORMAT=FILE; formats are {', '.join(_FORMATS)}")
        outputs.append((name, file))
    return outputs


def _deliver(report: Report, outputs: Sequence[tuple[str, str]], *, all_: bool) -> int:
    from reprocheck.formats import json, terminal
    from reprocheck.output import write_output
    from reprocheck.verdict import exit_code

    for name, place in outputs:
        if name == "json":
            text = json.render(report)
        else:
            width = _width() if place == "-" else terminal.WIDTH
            text = terminal.render(report, width=width, color=_color(place), all_=all_)
        write_output(place, text.encode())
    return exit_code(report.verdict, report.threshold)
