"""Targets with shared objects, for the tests of the accelerator stack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reprocheck.extractors import accelerator
from reprocheck.extractors.base import Facts
from reprocheck.model.evidence import EngineFacts
from reprocheck.model.snapshot import Accelerator
from tests.elf import shared_object
from tests.evidence import Tree, interpreter, plant

SITE = "/usr/local/lib/python3.9/site-packages"
SHOWN = "{prefix}/lib/python3.9/site-packages"
LINKER = "/lib64/ld-linux-x86-64.so.2"
SUFFIXES = (".cpython-39-x86_64-linux-gnu.so", ".abi3.so", ".so")
PYTHON = shared_object("libc.so.6", interpreter=LINKER)
BASE: dict[str, str | bytes] = {
    "/usr/local/bin/python3": PYTHON,
    LINKER: shared_object(soname="ld-linux-x86-64.so.2"),
    "/usr/lib/x86_64-linux-gnu/libc.so.6": shared_object(soname="libc.so.6"),
}


def wheel(name: str, version: str, *files: str) -> dict[str, str | bytes]:
    """The metadata of a wheel that recorded these files."""
    stem = f"{name.replace('-', '_')}-{version}.dist-info"
    rows = "".join(f"{file},sha256=x,1\n" for file in files)
    return {
        f"{SITE}/{stem}/METADATA": f"Name: {name}\nVersion: {version}\n",
        f"{SITE}/{stem}/RECORD": f"{rows}{stem}/RECORD,,\n",
    }


def target(
    root: Path,
    *more: Mapping[str, str | bytes],
    links: Mapping[str, str] | None = None,
    pythons: Mapping[str, str] | None = None,
    **variables: str,
) -> Tree:
    """A target with a Python and the files given; ``links`` are relative, by path.

    ``pythons``: more of them, with their prefixes.
    """
    files = dict(BASE)
    for each in more:
        files.update(each)
    plant(root, files)
    for path, to in (links or {}).items():
        where = root / path.lstrip("/")
        where.parent.mkdir(parents=True, exist_ok=True)
        where.symlink_to(to)
    engine = EngineFacts(image_id="sha256:0", platform="linux/amd64", variables=dict(variables))
    there = {"/usr/local/bin/python3": "/usr/local", **(pythons or {})}
    told = {path: interpreter(base=prefix, suffixes=SUFFIXES) for path, prefix in there.items()}
    return Tree(root, interpreters=told, engine=engine)


def facts_of(tree: Tree) -> Facts:
    return accelerator.read(tree.evidence())


def read(tree: Tree) -> Accelerator:
    """The facts of a target that was read completely."""
    facts = facts_of(tree)
    assert facts.gaps == ()
    assert facts.coverage.state == "complete"
    found: Accelerator = facts.fields["accelerator"]
    return found
