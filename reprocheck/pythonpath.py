"""The model of ``sys.path``: what Python would compute at its start, worked out without letting it.

A capture must not execute a target's ``.pth`` files or ``sitecustomize``, so the interpreter is asked with
``-I -S`` and the rest is done here, as the modules ``getpath`` and ``site`` do it (CPython documentation,
"The initialization of the sys.path module search path" and "site"), with Debian's and Fedora's changes.

Paths are the text that the evidence uses; nothing is read here, :class:`Tree` answers.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct


class Layout(Struct, frozen=True, kw_only=True):
    """What decides about the search path of one environment."""

    version: tuple[int, int, int]
    implementation: str = "cpython"
    prefix: str
    """``sys.prefix``: of the virtual environment, where it is one."""
    base_prefix: str
    base_exec_prefix: str
    standard_path: tuple[str, ...]
    """The standard library's part, as the interpreter says with ``-I -S``."""
    platlibdir: str = "lib"
    free_threaded: bool = False
    system_site: bool = True
    """``include-system-site-packages`` of pyvenv.cfg; true where there is no such file."""
    python_path: str = ""
    """``PYTHONPATH`` as configured."""
    working_directory: str = "/"
    """Relative entries of ``PYTHONPATH`` are taken from here."""
    debian: bool = False
    """Whether the interpreter is Debian's own, whose ``site`` knows ``dist-packages``."""
    virtual_env: bool = False
    """Whether Debian's ``site`` takes this for a virtual environment because ``VIRTUAL_ENV`` is set."""
    user_base: str | None = None
    """``PYTHONUSERBASE``, else ``~/.local`` of the target's user; ``None`` where the user site is off."""

    @property
    def is_venv(self) -> bool:
        """Whether this is a virtual environment (PEP 405)."""
        return self.prefix != self.base_prefix


class Tree(Protocol):
    """The target's files, as far as the model asks."""

    def is_dir(self, path: str) -> bool:
        """Whether the path is a directory, links followed."""
        ...

    def exists(self, path: str) -> bool:
        """Whether the path exists, links followed."""
        ...

    def path_files(self, directory: str) -> Sequence[tuple[str, bytes]]:
        """Name and contents of each ``.pth`` file, in any order."""
        ...


def search_path(layout: Layout, tree: Tree) -> tuple[str, ...]:
    """``sys.path`` without the entry for the script or the working directory."""
    path = list(before_site(layout))
    for directory in site_directories(layout):
        if tree.is_dir(directory):
            path.append(directory)
            for name, content in sorted(tree.path_files(directory)):
                path += filter(tree.exists, named_by(f"{directory}/{name}", content, layout))
    return tuple(dict.fromkeys(path))


def before_site(layout: Layout) -> tuple[str, ...]:
    """What ``sys.path`` has before ``site`` adds to it: ``PYTHONPATH`` and the standard library."""
    entries = layout.python_path.split(":") if layout.python_path else ()
    named = (_absolute(layout.working_directory, entry) for entry in entries)
    return tuple(dict.fromkeys((*named, *layout.standard_path)))


def named_by(path: str, content: bytes, layout: Layout) -> list[str]:
    """What a ``.pth`` file of a site directory adds, if it exists; those of the added directories are not read."""
    directory, name = posixpath.split(path)
    if not is_read(name, layout.version):
        return []
    return [_absolute(directory, entry) for entry in path_lines(content, layout.version)]


def site_directories(layout: Layout) -> tuple[str, ...]:
    """The directories that ``site`` would add if they exist, in its order; their ``.pth`` files are read."""
    directories: list[str] = []
    if layout.is_venv:
        directories += _system_packages(layout, layout.prefix)
    if layout.user_base is not None and layout.system_site:
        directories.append(_library(layout, layout.user_base, "lib", "site-packages"))
    if layout.system_site:
        for prefix in dict.fromkeys((layout.base_prefix, layout.base_exec_prefix)):
            directories += _system_packages(layout, prefix)
    return tuple(dict.fromkeys(directories))


def _site_packages(layout: Layout, prefix: str) -> list[str]:
    """Upstream's ``site.getsitepackages`` for one prefix."""
    libraries = ["lib64", "lib"] if _has_lib64(layout) else ["lib"]
    return [_library(layout, prefix, library, "site-packages") for library in libraries]


def _system_packages(layout: Layout, prefix: str) -> list[str]:
    major, minor, _ = layout.version
    if layout.debian:
        # Debian's site.py: what pip installs goes below local/, site-packages is seen from environments only.
        shared = [
            f"{prefix}/local/lib/python{major}.{minor}/dist-packages",
            f"{prefix}/lib/python{major}/dist-packages",
            f"{prefix}/lib/python{major}.{minor}/dist-packages",
        ]
        seen = layout.is_venv or layout.virtual_env
        return [*_site_packages(layout, prefix), *shared] if seen else shared
    directories = _site_packages(layout, prefix)
    if prefix == "/usr" and _has_lib64(layout):
        # Fedora and its kin put what pip installs below /usr/local (Fedora change "Making sudo pip safe").
        directories = _site_packages(layout, "/usr/local") + directories
    return directories


def _has_lib64(layout: Layout) -> bool:
    # Fedora's Python had its libraries there before there was a ``sys.platlibdir``.
    start = f"{layout.base_exec_prefix}/lib64/"
    return layout.platlibdir == "lib64" or any(entry.startswith(start) for entry in layout.standard_path)


def _library(layout: Layout, prefix: str, library: str, name: str) -> str:
    major, minor, _ = layout.version
    word = "pypy" if layout.implementation == "pypy" else "python"
    return f"{prefix}/{library}/{word}{major}.{minor}{'t' if layout.free_threaded else ''}/{name}"


_HIDDEN_SKIPPED_SINCE = {8: 19, 9: 19, 10: 14, 11: 8, 12: 2}
"""Patch release of each 3.x from which ``site`` passes over ``.pth`` files whose name begins with a dot
(python/cpython#113659)."""


def is_read(name: str, version: tuple[int, int, int]) -> bool:
    """Whether ``site`` reads a ``.pth`` file of this name."""
    _, minor, patch = version
    hidden_read = minor < 8 or patch < _HIDDEN_SKIPPED_SINCE.get(minor, 0)  # noqa: PLR2004 - 3.8 was the oldest mended
    return name.endswith(".pth") and (hidden_read or not name.startswith("."))


def path_lines(content: bytes, version: tuple[int, int, int]) -> Iterator[str]:
    """The lines of a ``.pth`` file that name a directory."""
    # Before 3.13 a byte order mark is part of the first line: no directory has such a name.
    if version < (3, 13, 0) and content.startswith(_BOM):
        content = b"".join(content.splitlines(keepends=True)[1:])
    for line in _lines(content):
        if not is_code(line):
            yield line.rstrip()


def is_executable(content: bytes) -> bool:
    """Whether Python would execute a line of this ``.pth`` file at every start."""
    return any(is_code(line) for line in _lines(content))


def is_code(line: str) -> bool:
    """Whether ``site`` executes this line: it begins with ``import`` and a blank or tab."""
    return line.startswith(("import ", "import\t"))


_BOM = b"\xef\xbb\xbf"


def _lines(content: bytes) -> Iterator[str]:
    # Lines of bytes: as text, a byte such as 0x85 inside a UTF-8 name would end a line.
    for line in content.removeprefix(_BOM).splitlines():
        if line.strip() and not line.startswith(b"#"):
            yield line.decode("latin-1")


def _absolute(directory: str, entry: str) -> str:
    return posixpath.normpath(posixpath.join(directory, entry))
