"""The program: its commands, and how it ends."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from reprocheck import __version__
from reprocheck.cli.audit import audit
from reprocheck.cli.compare import diff, verify
from reprocheck.cli.fits import fits
from reprocheck.cli.inspect import capture, explain, lock, probe
from reprocheck.cli.manual import demo, doctor, rule, rules, schema
from reprocheck.cli.say import say
from reprocheck.errors import ExitCode, ReprocheckError

COMMANDS = (capture, probe, lock, verify, diff, explain, fits, audit, rules, rule, schema, doctor, demo)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="reprocheck %(version)s")
def cli() -> None:
    """Lock an environment once; prove, explain and repair every later difference.

    A TARGET is container:NAME, image:REF, archive:PATH, oci:DIR, rootfs:DIR, python:PATH, host:, evidence:FILE,
    snapshot:FILE, or a bare word that can mean only one of them.

    Exit codes: 0 verified or done, 1 drift, 2 could not verify.
    """


for _command in COMMANDS:
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with one of the three codes."""
    # What is read lives to the end of the run; looking for garbage in it after every few objects is a tenth of the run.
    gc.set_threshold(100_000)
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
        code = _fail(f"{error.format_message()} (see: reprocheck {_named(words)}--help)")
    except ReprocheckError as error:
        code = _fail(str(error), commands=error.commands, debug=debug)
    except (_Interrupted, click.Abort):
        code = _fail("interrupted: nothing was verified")
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line, and exit code 2
        said = str(error).partition("\n")[0][:200]
        code = _fail(f"internal error, {type(error).__name__}: {said}; please report it, with --debug", debug=debug)
    gc.freeze()  # nor for the last time, when Python ends
    sys.exit(code if isinstance(code, int) else ExitCode.OK)


class _Interrupted(BaseException):
    """SIGINT or SIGTERM came. Not a KeyboardInterrupt: click prints an empty line for that."""


def _interrupted(_number: int, _frame: object) -> None:
    # Whatever was made on the way (a container, a temporary file) is removed; a second signal does not disturb that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise _Interrupted


def _named(words: Sequence[str]) -> str:
    return f"{words[0]} " if words and words[0] in cli.commands else ""


def _fail(message: str, *, commands: Sequence[str] = (), debug: bool = False) -> ExitCode:
    from reprocheck.model.text import printable

    if debug:
        import traceback

        # Text of the target can stand in an exception too.
        for line in traceback.format_exc().splitlines():
            click.echo(printable(line), err=True)
    say(message)
    for command in commands:
        click.echo(f"  {printable(command)}", err=True)
    return ExitCode.UNVERIFIED
