"""The command that asks for known vulnerabilities: audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reprocheck.cli.options import access_options
from reprocheck.cli.say import color, width

if TYPE_CHECKING:
    from reprocheck.targets.resolve import Access


@click.command()
@click.argument("target")
@click.option(
    "--baseline",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Tell what is new since this was locked; only that fails.",
)
@click.option(
    "--service",
    metavar="URL",
    help="Ask this server, as in https://HOST, which answers as the OSV API does; default: the package index.",
)
@click.option(
    "--advisories",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Ask nobody: read advisories in the OSV format from this directory, or zip or tar archive.",
)
@click.option(
    "--service-timeout",
    type=click.FloatRange(min=0.1),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the service may take to answer for one package.",
)
@click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
@access_options
def audit(
    target: str,
    baseline: Path | None,
    service: str | None,
    advisories: Path | None,
    service_timeout: float,
    format_: str,
    access: Access,
) -> int:
    """Look for known vulnerabilities in the Python packages of TARGET.

    A package that could not be audited is a gap: exit code 2, whatever was found in others.
    """
    from reprocheck.advisories.library import load

    load()
    from reprocheck.audit import EXIT_CODES, names_of, open_service
    from reprocheck.audit import audit as audited
    from reprocheck.capture import capture
    from reprocheck.formats.audit import render
    from reprocheck.model import codec
    from reprocheck.output import write_output
    from reprocheck.sides import load_baseline
    from reprocheck.targets.resolve import resolve

    locked = None if baseline is None else load_baseline(baseline)
    snapshot = capture(resolve(target, access), access)
    wanted = names_of(snapshot, None if locked is None else locked[0])
    told = audited(snapshot, open_service(service, advisories, service_timeout, wanted), locked)
    text = codec.encode_json(told) if format_ == "json" else render(told, width=width(), color=color()).encode()
    write_output("-", text)
    return EXIT_CODES[told.verdict]
