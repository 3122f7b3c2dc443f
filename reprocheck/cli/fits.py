"""The command that asks whether an image will run on a driver and a GPU: fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reprocheck.cli.options import access_options
from reprocheck.cli.say import color, width

if TYPE_CHECKING:
    from reprocheck.knowledge import Knowledge
    from reprocheck.model.fits import FitsHost
    from reprocheck.targets.resolve import Access


@click.command()
@click.argument("target")
@click.option("--host", metavar="FILE", help="The host: a snapshot or evidence of it; default: this host.")
@click.option("--driver", metavar="VERSION", help="The NVIDIA driver, as in 470.82.01.")
@click.option("--gpu", metavar="NAME", help="The GPU, by name or compute capability: A100, 8.6, sm_86.")
@click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
@access_options
def fits(target: str, host: str | None, driver: str | None, gpu: str | None, format_: str, access: Access) -> int:
    """Tell before it is started whether TARGET will run on a host's NVIDIA driver and GPU.

    Exit codes: 0 it fits, 1 it does not, 2 it can't be told.

    With --driver or --gpu alone, only that is asked. What is named stands in the place of what --host says.
    """
    from reprocheck.capture import capture
    from reprocheck.fits import EXIT_CODES
    from reprocheck.fits import fits as judged
    from reprocheck.formats.fits import render
    from reprocheck.knowledge import load
    from reprocheck.model import codec
    from reprocheck.output import write_output
    from reprocheck.sides import side_of
    from reprocheck.targets.resolve import resolve

    knowledge = load()
    address = resolve(target, access)
    on = _host(host, driver, gpu, access, knowledge)
    snapshot = capture(address, access)
    named = driver is not None or gpu is not None
    told = judged(snapshot, side_of(snapshot, None), on, knowledge, named=named)
    text = codec.encode_json(told) if format_ == "json" else render(told, width=width(), color=color()).encode()
    write_output("-", text)
    return EXIT_CODES[told.verdict]


def _host(file: str | None, driver: str | None, gpu: str | None, access: Access, knowledge: Knowledge) -> FitsHost:
    from reprocheck.capture import capture
    from reprocheck.errors import UsageError
    from reprocheck.fits import amended, captured, described
    from reprocheck.targets.address import Address
    from reprocheck.targets.resolve import resolve

    named = described(driver, gpu, knowledge)
    if file is None and (driver is not None or gpu is not None):
        return named
    address = Address("host", "") if file is None else resolve(file, access)
    if file is not None and address.kind not in {"snapshot", "evidence"}:
        raise UsageError(f"--host {file}: is a {address.kind}; name a snapshot or evidence of the host")
    name = "this host" if file is None else file
    return amended(captured(capture(address, access), name, knowledge), named)
