"""The commands about reprocheck itself: rules, rule, schema, demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reprocheck.cli.options import access_options, engine_option
from reprocheck.cli.say import color, width
from reprocheck.errors import UsageError

if TYPE_CHECKING:
    from reprocheck.model.report import Finding
    from reprocheck.model.snapshot import Snapshot
    from reprocheck.targets.resolve import Access


@click.command()
@click.argument("table", required=False)
def rules(table: str | None) -> None:
    """List the rules and the tables of what is known, or the rows of one TABLE."""
    from reprocheck.formats import manual
    from reprocheck.knowledge import TABLES, load
    from reprocheck.output import write_output
    from reprocheck.rules import RULES

    known = load()
    if table is not None and table not in TABLES:
        raise UsageError(f"{table}: no such table; reprocheck rules lists them")
    text = manual.table(RULES) + "\n" + manual.tables(known) if table is None else manual.rows(known.table(table))
    write_output("-", text.encode())


@click.command()
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


@click.command()
@click.argument("name", type=click.Choice(["snapshot", "report", "fits", "audit", "policy"]))
def schema(name: str) -> None:
    """Print the JSON Schema of a document."""
    from reprocheck.model import codec
    from reprocheck.output import write_output

    write_output("-", codec.encode_json(codec.json_schema(name)))


@click.command()
@click.argument("target", required=False)
@engine_option
def doctor(access: Access, target: str | None) -> None:
    """Tell by which routes targets can be read on this machine, and why not by others.

    With TARGET, a container or an image: tell what is not good practice in how it is run.
    """
    from reprocheck.formats import doctor as pages
    from reprocheck.output import write_output

    if target is None:
        from reprocheck.doctor import examine

        page = pages.render(examine(access), width=width(), color=color())
    else:
        page = pages.practice(*_examined(target, access), width=width(), color=color())
    write_output("-", page.encode())


def _examined(target: str, access: Access) -> tuple[Snapshot, tuple[Finding, ...]]:
    from reprocheck import rules
    from reprocheck.capture import capture
    from reprocheck.errors import TargetError
    from reprocheck.knowledge import load
    from reprocheck.targets.resolve import resolve

    snapshot = capture(resolve(target, access), access)
    if not snapshot.was_read("image"):
        raise TargetError(f"{target}: nobody says how it is run; name a container or an image")
    return snapshot, rules.examine(snapshot, load())


@click.command()
@access_options
def demo(access: Access) -> None:
    """Show the main job on recorded evidence of TensorFlow images, and on the engine if one answers."""
    from reprocheck.demo import run
    from reprocheck.output import write_output

    for text in run(access, width=width(), color=color()):
        write_output("-", text.encode())
