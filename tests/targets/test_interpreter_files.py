"""What the files of an interpreter tell of it, against what it says of itself."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reprocheck.layers.directory import Directory
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import InterpreterFacts
from reprocheck.probe import itself
from reprocheck.targets.interpreter_files import Unknown, facts_of
from tests import interpreters
from tests.elf import shared_object
from tests.evidence import plant

OF_THE_MACHINE = ("platform_release", "platform_version")


@pytest.fixture
def machine() -> Iterator[Tree]:
    """This machine as a tree of files."""
    with closing(Directory(Path("/"))) as root:
        yield Tree([root])


def said(executable: Path) -> InterpreterFacts:
    ran = subprocess.run(
        [executable, "-I", "-S", "-B", "-c", itself.SELF + "\nprint(json.dumps(facts))"],
        capture_output=True,
        check=True,
    )
    facts: dict[str, Any] = json.loads(ran.stdout)
    for name in OF_THE_MACHINE:
        del facts["markers"][name]
    # Python 3.6 names its library twice; a search path has each entry once.
    facts["standard_path"] = list(dict.fromkeys(facts["standard_path"]))
    return msgspec.convert(facts, InterpreterFacts)


def told(tree: Tree, executable: Path) -> InterpreterFacts:
    return facts_of(tree, os.fsencode(executable.resolve()))


@pytest.mark.parametrize("minor", interpreters.MINORS)
def test_an_interpreter_built_from_source(machine: Tree, minor: int) -> None:
    executable = interpreters.python(minor)
    assert told(machine, executable) == said(executable)


def test_debians_own(machine: Tree) -> None:
    executable = interpreters.debian_python()
    assert told(machine, executable) == said(executable)


@pytest.mark.parametrize("minor", interpreters.MINORS)
def test_a_virtual_environment_made_of_copies(machine: Tree, minor: int, tmp_path: Path) -> None:
    executable = interpreters.virtual_environment(interpreters.python(minor), tmp_path / "venv", "--copies")
    assert not executable.is_symlink()
    assert told(machine, executable) == said(executable)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"/usr/bin/python3.9": "#!/bin/sh\nexec python3.8\n"}, "not a program but a script"),
        ({"/usr/bin/python3.9": b"\x7fELF no version"}, "neither the program nor its library tells the version"),
        ({"/usr/bin/python3.9": b"\x7fELF\x003.9.2\x00"}, "the standard library of Python 3.9.2 is not there"),
        ({"/usr/bin/python3.9": b"\x7fELF\x003.8.2\x00"}, "neither the program nor its library tells the version"),
        ({"/usr/bin/pypy3.9": b"\x7fELF\x003.9.2\x00"}, "PyPy does not tell without being run"),
        ({"/usr/bin/python2.7": b"\x7fELF\x002.7.18\x00"}, "Python 2 is not read without being run"),
        ({"/usr/bin/app": b"\x7fELF\x003.9.2\x00"}, "not an interpreter that its files tell of"),
    ],
)
def test_what_can_not_be_told(tmp_path: Path, files: dict[str, str | bytes], why: str) -> None:
    with closing(Directory(plant(tmp_path, files))) as root, pytest.raises(Unknown, match=why):
        facts_of(Tree([root]), next(iter(files)).encode())


def test_a_program_that_says_one_thing_and_a_library_beside_it(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "/opt/py/bin/python3.12": b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00 libpython3.12.so.1.0\x00",
        "/opt/py/lib/libpython3.12.so.1.0": b"\x7fELF\x00zlib 1.2.13\x003.11.9\x003.12.4\x00",
        "/opt/py/lib/python3.12/os.py": "",
        "/opt/py/lib/python3.12/_sysconfigdata__linux_x86_64-linux-gnu.py": "",
    }
    with closing(Directory(plant(tmp_path, files))) as root:
        facts = facts_of(Tree([root]), b"/opt/py/bin/python3.12")
    assert facts.version == "3.12.4"
    assert facts.base_prefix == "/opt/py"
    assert facts.markers["platform_machine"] == "x86_64"
    assert facts.suffixes[0] == ".cpython-312-x86_64-linux-gnu.so"
    assert facts.libc is None


def shared(tmp_path: Path, program: bytes, **files: bytes) -> InterpreterFacts:
    """A program that needs its library, with a standard library, and what else there is by directory."""
    planted: dict[str, str | bytes] = {
        "/opt/py/bin/python3.12": program,
        "/opt/py/lib/python3.12/os.py": "",
        **{f"/{where.replace('_', '/')}/{LIBRARY}": content for where, content in files.items()},
    }
    with closing(Directory(plant(tmp_path, planted))) as root:
        return facts_of(Tree([root]), b"/opt/py/bin/python3.12")


LIBRARY = "libpython3.12.so.1.0"
DEBUG_TEXT = b"\x003.12.1\x00"


def test_the_library_that_a_program_needs_tells_the_version(tmp_path: Path) -> None:
    """Whatever text stands in the program, as debug information of the sources that it was built from does."""
    program = shared_object(LIBRARY, "libc.so.6", interpreter="/lib/ld.so") + DEBUG_TEXT
    assert shared(tmp_path, program, opt_py_lib=b"\x7fELF\x003.12.4\x00").version == "3.12.4"


WHERE = "/nowhere:$ORIGIN/../own:${ORIGIN}/x"


@pytest.mark.parametrize("program", [shared_object(LIBRARY, rpath=WHERE), shared_object(LIBRARY, runpath=WHERE)])
def test_the_library_is_where_the_program_says(tmp_path: Path, program: bytes) -> None:
    libraries = {"opt_py_own": b"\x7fELF\x003.12.4\x00", "opt_py_lib": b"\x7fELF\x003.12.5\x00"}
    assert shared(tmp_path, program, **libraries).version == "3.12.4"


def test_without_the_library_that_it_needs_a_program_tells_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unknown, match="tells the version"):
        shared(tmp_path, shared_object(LIBRARY) + DEBUG_TEXT)


def test_the_library_tells_the_minor_version_as_well(tmp_path: Path) -> None:
    """The program has been renamed."""
    files: dict[str, str | bytes] = {
        "/opt/py/bin/python3.9": shared_object(LIBRARY),
        f"/opt/py/lib/{LIBRARY}": b"\x7fELF\x003.12.4\x00",
        "/opt/py/lib/python3.12/os.py": "",
    }
    with closing(Directory(plant(tmp_path, files))) as root:
        assert facts_of(Tree([root]), b"/opt/py/bin/python3.9").version == "3.12.4"
