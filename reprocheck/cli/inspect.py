"""The commands that read one target: capture, probe, lock, explain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reprocheck.cli.options import access_options, base_option
from reprocheck.cli.say import color, say, width

if TYPE_CHECKING:
    from reprocheck.targets.resolve import Access

_CLASSES = ("system", "environments", "os_packages", "accelerator", "machine", "variables", "image", "smoke")
_FORMATS = ("text", "json")
"""Of what is no report."""


@click.command()
@click.argument("target")
@click.option("-o", "--output", metavar="FILE", help="Write the snapshot; - is standard output.")
@click.option("--evidence", metavar="FILE", help="Write the raw evidence, to be read elsewhere.")
@click.option("--format", "format_", type=click.Choice(_FORMATS), default="text", show_default=True)
@access_options
def capture(target: str, output: str | None, evidence: str | None, format_: str, access: Access) -> None:
    """Read the facts of TARGET; a summary, unless -o or --format json ask for the snapshot."""
    from reprocheck.capture import capture, collect
    from reprocheck.model import codec
    from reprocheck.output import write_output
    from reprocheck.targets.resolve import resolve

    address = resolve(target, access)
    if evidence is not None:
        document, snapshot = collect(address, access)
        write_output(evidence, codec.encode_json(document, indent=-1))
    else:
        snapshot = capture(address, access)
    if output is not None:
        write_output(output, codec.encode_json(snapshot))
    elif format_ == "json":
        write_output("-", codec.encode_json(snapshot))
    elif evidence != "-":
        from reprocheck.formats.capture import render

        write_output("-", render(snapshot, width=width(), color=color()).encode())


@click.command()
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


@click.command()
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
@click.option(
    "--force", is_flag=True, help="Lock although requirements are violated, or something is known not to work."
)
@access_options
def lock(target: str, output: str, note: str | None, allowed: tuple[str, ...], force: bool, access: Access) -> None:
    """Write the facts of TARGET as a baseline, to be kept in version control."""
    from reprocheck.capture import capture
    from reprocheck.lock import lock as locked
    from reprocheck.model import codec
    from reprocheck.output import write_output
    from reprocheck.targets.resolve import resolve

    captured = capture(resolve(target, access), access)
    snapshot, warnings = locked(captured, note=note, allowed_gaps=frozenset(allowed), force=force)
    for warning in warnings:
        say(f"warning: {warning}")
    write_output(output, codec.encode_json(snapshot))


@click.command()
@click.argument("target")
@click.argument("package")
@base_option
@click.option("--format", "format_", type=click.Choice(_FORMATS), default="text", show_default=True)
@access_options
def explain(target: str, package: str, base: str | None, format_: str, access: Access) -> None:
    """Explain why PACKAGE is in TARGET: who requires it, which versions they allow, which copy is taken."""
    from reprocheck.base import explained, remarks, unknown
    from reprocheck.capture import capture
    from reprocheck.explain import explain_package
    from reprocheck.formats.explain import render
    from reprocheck.model import codec
    from reprocheck.output import write_output
    from reprocheck.targets.resolve import resolve

    address = resolve(target, access)
    below = None if base is None else resolve(base, access)
    captured = capture(address, access)
    told = explain_package(captured, package)
    if below is not None:
        built_on = capture(below, access)
        told = explained(told, built_on, captured)
        told_of_all = all(one.from_base is not None for one in told)
        for remark in (*remarks(built_on, captured), *unknown(() if told_of_all else ("environments",))):
            say(f"{below}: {remark}")
    text = codec.encode_json(told) if format_ == "json" else render(told, width=width(), color=color()).encode()
    write_output("-", text)
