"""What a Python interpreter would say of itself, read from its files and not from it.

The version stands in the program or in its library as the text that ``sys.version`` begins with; prefixes are
found as CPython's ``getpath`` finds them (documentation of ``sys.base_prefix``), by the landmark ``os.py``;
ABI flags and platform stand in the name of ``_sysconfigdata_*.py``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from reprocheck.layers.tree import Place, Tree
from reprocheck.model.evidence import InterpreterFacts
from reprocheck.probe import collect

LIMIT = 64 << 20
"""Bytes of a program or library that are looked through."""
_NAME = re.compile(rb"(python|pypy)([23])(?:\.(\d+))?(t?)$")
_LIBRARY = re.compile(rb"libpython(3\.\d+)([a-z]*)\.so\.1\.0")
_STANDARD = re.compile(rb"python(3)\.(\d+)(t?)")
_DATA = re.compile(rb"_sysconfigdata_([a-z]*)_linux_?([^/]*)\.py$")
_GLIBC = re.compile(rb"GNU C Library [^\n\0]*?version (\d+\.\d+)")
_ORIGIN = re.compile(rb"\$(?:ORIGIN\b|\{ORIGIN\})")
_LIBC = (b"lib", b"lib64", b"usr/lib", b"usr/lib64")
_ELF = b"\x7fELF"
_MACHINES = {3: "i686", 21: "ppc64le", 22: "s390x", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
"""``e_machine`` (ELF specification) as ``uname -m`` names it."""


class _Found(Struct, frozen=True, kw_only=True):
    """Where the standard library is."""

    prefix: str
    platlibdir: str
    flags: str
    multiarch: str


class Unknown(Exception):  # noqa: N818 - a reason, never shown as an error
    """The files don't tell; the argument says why."""


def facts_of(tree: Tree, program: bytes) -> InterpreterFacts:
    """The facts of the interpreter at a path without links.

    Raises:
        Unknown: the files don't tell.
        OSError: they can't be read.
    """
    place = tree.find(program)
    content = _content(tree, place)
    if not content.startswith(_ELF):
        raise Unknown("not a program but a script")
    named = _NAME.search(posixpath.basename(program))
    if named and named[1] == b"pypy":
        raise Unknown("PyPy does not tell without being run")
    if named and named[2] == b"2":
        raise Unknown("Python 2 is not read without being run")
    home = _home(tree, program)
    linked: dict[str, Any] = collect.Elf(lambda length, at: content[at : at + length]).summary  # type: ignore[no-untyped-call]
    libraries = (_LIBRARY.fullmatch(name.encode("latin-1")) for name in linked.get("needed") or ())
    needed = next(filter(None, libraries), None)
    minor, library = _minor(content, named, needed)
    # What runs is the library; text of the program may be of another build's sources.
    told_by, version = place, None if needed else _version(content, minor)
    if version is None and library is not None:
        directories = [*_named_by(linked, program), *_usual(tree, home)]
        shared = next((there for one in directories if (there := _library(tree, one + b"/" + library[0]))), None)
        told_by, version = (shared[0], _version(shared[1], minor)) if shared else (place, None)
    if version is None:
        raise Unknown("neither the program nor its library tells the version")
    threads = bool(named and named[4]) or (library is not None and b"t" in library[2])
    found = _standard_library(tree, home, f"python3.{minor}{'t' if threads else ''}")
    if found is None:
        raise Unknown(f"the standard library of Python {version} is not there")
    facts = _facts(version, minor, found, _libc(tree), _machine(content))
    return msgspec.structs.replace(facts, version_file=f"/{told_by.path.decode('latin-1')}")


def _facts(version: str, minor: int, found: _Found, libc: str | None, machine: str) -> InterpreterFacts:
    prefix, directory = found.prefix, found.platlibdir
    library = f"{prefix}/{directory}/python3.{minor}{'t' if 't' in found.flags else ''}"
    tag = f"cpython-3{minor}"
    suffix = f".{tag}{found.flags}{'-' + found.multiarch if found.multiarch else ''}.so"
    return InterpreterFacts(
        version=version,
        implementation="cpython",
        cache_tag=tag,
        abiflags=found.flags,
        base_prefix=prefix,
        base_exec_prefix=prefix,
        platlibdir=directory,
        standard_path=(
            f"{prefix}/{directory}/python3{minor}{'t' if 't' in found.flags else ''}.zip",
            library,
            f"{library}/lib-dynload",
        ),
        # Free-threaded builds had no stable ABI before 3.15.
        suffixes=(suffix, ".so") if "t" in found.flags else (suffix, ".abi3.so", ".so"),
        libc=libc,
        markers={
            "implementation_name": "cpython",
            "implementation_version": version,
            "os_name": "posix",
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": version,
            "python_version": f"3.{minor}",
            "sys_platform": "linux",
        },
    )


def _content(tree: Tree, place: Place) -> bytes:
    if place.entry.type != "file":
        raise Unknown("not a program but a script")
    if place.entry.size > LIMIT:
        raise Unknown(f"larger than the limit of {LIMIT} bytes")
    tree.fetch([place])
    return tree.read(place, 0, LIMIT)


def _home(tree: Tree, program: bytes) -> bytes:
    """The directory from which ``getpath`` searches: the program's own, or ``home`` of its ``pyvenv.cfg``."""
    own = posixpath.dirname(program)
    for directory in (own, posixpath.dirname(own)):
        try:
            config = tree.find(directory + b"/pyvenv.cfg")
            tree.fetch([config])
            text = tree.read(config, 0, 1 << 16)
        except OSError:
            continue
        # A virtual environment made of copies: its program is the original's.
        for line in text.splitlines():
            key, equals, value = line.partition(b"=")
            if equals and key.strip().lower() == b"home":
                return value.strip()
    return own


def _minor(
    content: bytes, named: re.Match[bytes] | None, needed: re.Match[bytes] | None
) -> tuple[int, re.Match[bytes] | None]:
    if needed:
        return int(needed[1].split(b".")[1]), needed
    library = _LIBRARY.search(content)
    if named and named[3]:
        return int(named[3]), library
    if library:
        return int(library[1].split(b".")[1]), library
    # A program of no telling name with the library inside: the name of the standard library's directory.
    standard = _STANDARD.search(content)
    if standard is None:
        raise Unknown("not an interpreter that its files tell of")
    return int(standard[2]), None


def _version(content: bytes, minor: int) -> str | None:
    number = rb"(3\.%d\.\d{1,3}(?:(?:a|b|rc)\d{1,2})?)\+?\0" % minor
    # A linker may let the text be the end of a longer one, such as the prefix /opt/python/3.13.0.
    for before in (rb"\0", rb"[^\d.]"):
        found = set(re.findall(before + number, content))
        if len(found) == 1:
            return str(found.pop(), "ascii")
    return None


def _named_by(linked: Mapping[str, Any], program: bytes) -> Iterator[bytes]:
    """Where a program says that its libraries are (ld.so(8))."""
    path: str = linked.get("runpath") or linked.get("rpath") or ""
    for part in path.encode("latin-1").split(b":"):
        yield _ORIGIN.sub(lambda _: posixpath.dirname(program), part)


def _usual(tree: Tree, home: bytes) -> Iterator[bytes]:
    for prefix in dict.fromkeys((posixpath.dirname(home), b"/usr/local", b"/usr", b"")):
        yield from (prefix + b"/lib", prefix + b"/lib64")
        yield from _multiarch(tree, prefix + b"/lib")


def tells(tree: Tree, place: Place, version: str) -> bool:
    """Whether a program or library is of a version of CPython."""
    try:
        return _version(_content(tree, place), int(version.split(".")[1])) == version
    except (OSError, Unknown):
        return False


def _library(tree: Tree, path: bytes) -> tuple[Place, bytes] | None:
    try:
        place = tree.find(path)
        return place, _content(tree, place)
    except (OSError, Unknown):
        return None


def _multiarch(tree: Tree, directory: bytes) -> Iterator[bytes]:
    """Debian's directories of libraries, such as ``/usr/lib/x86_64-linux-gnu``."""
    try:
        place = tree.find(directory)
        names = sorted(tree.directory(place.path))
    except OSError:
        return
    for name in names:
        if name.endswith((b"-linux-gnu", b"-linux-gnueabihf", b"-linux-musl")):
            yield directory + b"/" + name


def _standard_library(tree: Tree, home: bytes, name: str) -> _Found | None:
    directory = home
    while directory not in {b"/", b""}:
        if found := _library_below(tree, directory, name):
            return found
        directory = posixpath.dirname(directory)
    # A program far from its library takes the prefix that it was built with, which is one of these as a rule.
    built = [found for prefix in (b"/usr", b"/usr/local") if (found := _library_below(tree, prefix, name))]
    return built[0] if len(built) == 1 else None


def _library_below(tree: Tree, prefix: bytes, name: str) -> _Found | None:
    for platlibdir in ("lib", "lib64"):
        library = prefix + f"/{platlibdir}/{name}".encode()
        if _is_file(tree, library + b"/os.py") or _is_file(tree, library + b"/os.pyc"):
            flags, multiarch = _build(tree, library)
            return _Found(prefix=prefix.decode("latin-1"), platlibdir=platlibdir, flags=flags, multiarch=multiarch)
    return None


def _build(tree: Tree, library: bytes) -> tuple[str, str]:
    """ABI flags and multiarch name, from the name of the module that holds the build's settings."""
    try:
        names = sorted(tree.directory(tree.find(library).path))
    except OSError:
        names = []
    builds = sorted(
        ((found[1], found[2]) for name in names if (found := _DATA.match(name)) and b"d" not in found[1]),
        key=lambda build: (len(build[0]), build),
    )
    flags, multiarch = builds[0] if builds else (b"t" if library.endswith(b"t") else b"", b"")
    return flags.decode("ascii"), multiarch.decode("ascii", "replace")


def _libc(tree: Tree) -> str | None:
    """As ``os.confstr`` tells it; ``None`` where there is no glibc."""
    for base in _LIBC:
        for directory in (b"/" + base, *_multiarch(tree, b"/" + base)):
            library = _library(tree, directory + b"/libc.so.6")
            found = _GLIBC.search(library[1]) if library else None
            if found:
                return f"glibc {found[1].decode('ascii')}"
    return None


def _machine(content: bytes) -> str:
    order = "big" if content[5:6] == b"\x02" else "little"
    return _MACHINES.get(int.from_bytes(content[18:20], order), "unknown")  # type: ignore[arg-type] # one of two words


def _is_file(tree: Tree, path: bytes) -> bool:
    try:
        return tree.find(path).entry.type == "file"
    except OSError:
        return False
