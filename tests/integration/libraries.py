"""Shared libraries that a compiler makes, laid into containers as frameworks and CUDA toolkits lay theirs."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from docker.models.containers import Container

SITE = "/usr/local/lib/python3.9/dist-packages"

_OPENS = """
extern void *dlopen(const char *, int);
void *open_library(const char *name) {
    void *handle = dlopen(name, 2);
    __asm__ volatile("" ::: "memory"); /* a jump instead of a call would make the caller of this the one that opens */
    return handle;
}
"""


@dataclass(frozen=True, kw_only=True)
class Library:
    """One library."""

    soname: str
    needs: Sequence[str] = ()
    rpath: str | None = None
    """``DT_RPATH``."""
    runpath: str | None = None
    """``DT_RUNPATH``."""
    opens: bool = False
    """It has the function by which the framework opens what it needs."""


@dataclass
class Layout:
    """Files of a container: libraries, other files, and links, by path."""

    libraries: dict[str, Library] = field(default_factory=dict)
    files: dict[str, str | bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    ldconfig: bool = False
    afterwards: Sequence[str] = ()
    """Paths that are removed when all is done."""


def compiled(library: Library, work: Path) -> bytes:
    """The library, linked to stubs of what it needs."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler on this machine (gcc)")
    source = work / "source.c"
    source.write_text(_OPENS if library.opens else "int nothing;\n")
    shared: list[str | Path] = [compiler, "-shared", "-nostdlib", "-fPIC", "-O1"]
    stubs: list[str | Path] = []
    for number, name in enumerate(library.needs):
        stub = work / f"stub{number}.so"
        (work / "stub.c").write_text("int something;\n")
        subprocess.run([*shared, work / "stub.c", f"-Wl,-soname,{name}", "-o", stub], check=True)
        stubs.append(stub)
    paths = []
    if library.rpath is not None:
        paths = ["-Wl,--disable-new-dtags", f"-Wl,-rpath,{library.rpath}"]
    elif library.runpath is not None:
        paths = ["-Wl,--enable-new-dtags", f"-Wl,-rpath,{library.runpath}"]
    out = work / "library.so"
    linked = ["-Wl,--no-as-needed", *stubs, "-o", out]
    subprocess.run([*shared, source, f"-Wl,-soname,{library.soname}", *paths, *linked], check=True)
    return out.read_bytes()


def lay(layout: Layout, container: Container, work: Path) -> None:
    """Put a layout into a running container."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        contents: Mapping[str, str | bytes] = {
            **{path: compiled(library, work) for path, library in layout.libraries.items()},
            **layout.files,
        }
        for path, content in contents.items():
            raw = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(raw), 0o755
            tar.addfile(member, io.BytesIO(raw))
        for path, to in layout.links.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.type, member.linkname = tarfile.SYMTYPE, to
            tar.addfile(member)
    assert container.put_archive("/", archive.getvalue())
    for command in (["ldconfig"] if layout.ldconfig else None, ["rm", "-f", *layout.afterwards]):
        if command:
            code, said = container.exec_run(command)
            assert code == 0, said
