from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import packaging
import pytest

from reprocheck.model.snapshot import Libc, System
from reprocheck.wheel_tags import Misfit, misfit, parsed
from tests import interpreters
from tests.make import markers, python

LIBRARY = Path(packaging.__file__).resolve().parent.parent
OLDEST = 10
"""Minor version of the oldest Python that today's packaging runs on."""
X86 = System(libc=Libc(name="glibc", version="2.31"), architecture="x86_64")
MUSL = System(libc=Libc(name="musl", version="1.2.3"), architecture="x86_64")


def of(*tags: str, system: System = X86, **fields: Any) -> Misfit | None:
    return misfit(tags, python("3.9.2", **fields), system)


@pytest.mark.parametrize(
    "tag",
    [
        "py3-none-any",
        "py2-none-any",
        "cp38-none-any",
        "cp39-cp39-manylinux_2_31_x86_64",
        "cp39-cp39-manylinux1_x86_64",
        "cp39-cp39-manylinux2010_x86_64",
        "cp39-cp39-manylinux2014_x86_64",
        "cp36-abi3-manylinux_2_5_x86_64.manylinux1_x86_64",
        "cp39.cp310-cp39.cp310-manylinux_2_17_x86_64",
        "py3-none-manylinux2014_x86_64",
        "py2.py3-none-manylinux_2_28_x86_64.linux_x86_64",
        # Compiled on the spot; conda's recipes leave this too.
        "cp39-cp39-linux_x86_64",
        # Nobody knows what these are.
        "cp39-cp39-plan9_x86_64",
        "cp39-cp39-manylinux_2_17",
        "cp39-cp39-manylinux_two_17_x86_64",
        "cp39-cp39-manylinux_2_9999999_x86_64",
    ],
)
def test_what_fits_or_can_not_be_told(tag: str) -> None:
    assert of(tag) is None


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("cp38-cp38-manylinux2014_x86_64", Misfit("interpreter", "cp38-cp38")),
        ("cp310-abi3-manylinux2014_x86_64", Misfit("interpreter", "cp310-abi3")),
        ("cp39-cp39d-linux_x86_64", Misfit("interpreter", "cp39-cp39d")),
        ("pp39-pypy39_pp73-manylinux2014_x86_64", Misfit("interpreter", "pp39-pypy39_pp73")),
        ("cp38-cp38-linux_x86_64", Misfit("interpreter", "cp38-cp38")),
        ("cp39-cp39-manylinux_2_32_x86_64", Misfit("older libc", "glibc 2.32", (2, 32))),
        ("py3-none-manylinux_2_34_x86_64", Misfit("older libc", "glibc 2.34", (2, 34))),
        ("cp39-cp39-manylinux_3_0_x86_64", Misfit("older libc", "glibc 3.0", (3, 0))),
        ("cp39-cp39-musllinux_1_1_x86_64", Misfit("other libc", "musl")),
        ("cp39-cp39-manylinux2014_aarch64", Misfit("machine", "aarch64")),
        ("cp39-cp39-musllinux_1_1_ppc64le", Misfit("machine", "ppc64le")),
        ("cp39-cp39-win_amd64", Misfit("machine", "Windows")),
        ("cp39-cp39-win32", Misfit("machine", "Windows")),
        ("cp39-abi3-macosx_11_0_arm64", Misfit("machine", "macOS")),
    ],
)
def test_what_does_not_fit(tag: str, expected: Misfit) -> None:
    assert of(tag) == expected


def test_of_several_tags_the_nearest_miss_is_told() -> None:
    tags = (
        "cp38-cp38-manylinux2014_x86_64",
        "cp39-cp39-manylinux_2_35_x86_64",
        "cp39-cp39-manylinux_2_34_x86_64",
        "cp39-cp39-win_amd64",
    )
    assert of(*tags) == Misfit("older libc", "glibc 2.34", (2, 34))
    assert of(*tags, "cp39-cp39-manylinux2014_x86_64") is None


def test_musl() -> None:
    assert of("cp39-cp39-musllinux_1_2_x86_64", system=MUSL) is None
    assert of("cp39-cp39-musllinux_1_3_x86_64", system=MUSL) == Misfit("older libc", "musl 1.3", (1, 3))
    assert of("cp39-cp39-manylinux2014_x86_64", system=MUSL) == Misfit("other libc", "glibc")
    silent = System(libc=Libc(name="musl", version=""), architecture="x86_64")
    assert of("cp39-cp39-musllinux_1_3_x86_64", system=silent) is None


def test_what_is_not_known_is_no_misfit() -> None:
    assert of("cp39-cp39-manylinux_2_39_x86_64", system=System()) is None
    no_markers = python("3.9.2", markers={})
    assert misfit(("cp39-cp39-win_amd64",), no_markers, System()) is None
    assert misfit(("cp39-cp39-manylinux2014_aarch64",), no_markers, System()) is None
    assert of("cp38-cp38-manylinux2014_x86_64", abi=None) is None
    assert of("cp38-cp38-manylinux2014_x86_64", implementation="pypy", abi="pypy39") is None


@pytest.mark.parametrize(("machine", "tag"), [("x86_64", "i686"), ("aarch64", "armv7l"), ("armv8l", "armv7l")])
def test_a_processor_that_runs_both_says_nothing(machine: str, tag: str) -> None:
    """A 32-bit image on a 64-bit machine has the machine's name in its markers."""
    own = python("3.9.2", markers=markers("3.9.2", platform_machine=machine))
    assert misfit((f"cp39-cp39-manylinux2014_{tag}",), own, X86) is None


@pytest.mark.parametrize(
    "tags",
    [
        ("",),
        ("nonsense",),
        ("a-b",),
        ("a-b-c-d",),
        ("--",),
        ("cp39-cp39-",),
        ("\x1b[2J-none-\x07",),
        ("cp38-cp38-manylinux_2_17_x86_64", "?"),
        (".".join(["cp38"] * 500) + "-" + ".".join(["cp38"] * 500) + "-" + ".".join(["manylinux1_x86_64"] * 500),),
        ("cp38-" * 100_000,),
    ],
)
def test_hostile_tags_say_nothing(tags: tuple[str, ...]) -> None:
    assert parsed(tags) is None
    assert of(*tags) is None


def test_free_threading_and_debug() -> None:
    threads = python("3.13.0", abi="cpython-313t")
    assert misfit(("cp313-cp313t-manylinux2014_x86_64",), threads, X86) is None
    assert misfit(("cp313-cp313-manylinux2014_x86_64",), threads, X86) == Misfit("interpreter", "cp313-cp313")
    assert misfit(("cp37-abi3-manylinux2014_x86_64",), threads, X86) == Misfit("interpreter", "cp37-abi3")
    debug = python("3.9.2", abi="cpython-39d")
    assert misfit(("cp39-cp39-manylinux2014_x86_64",), debug, X86) is None
    assert misfit(("cp36-cp36m-manylinux1_x86_64",), python("3.6.15", abi="cpython-36m"), X86) is None


def test_the_answers_are_those_of_the_interpreters_themselves() -> None:
    """What packaging says of the machine that it runs on, run by each interpreter, as pip asks it."""
    for path in interpreters.those_from(OLDEST):
        said = interpreters.run(path, f"import sys; sys.path.insert(0, {str(LIBRARY)!r})\n{ASK}")
        own = python(said["version"], abi=said["abi"], markers=said["markers"])
        name, version = said["libc"]
        system = System(libc=Libc(name=name, version=version), architecture=said["markers"]["platform_machine"])
        supported = set(said["tags"])
        assert len(supported) > len(PLATFORMS)
        answers = {tag: misfit((tag,), own, system) is None for tag in CANDIDATES}
        assert answers == {tag: tag in supported for tag in CANDIDATES}, path
        assert 0 < sum(answers.values()) < len(answers)


LIBRARIES = (
    *(f"manylinux_2_{minor}" for minor in (17, 24, 28, 31, 34, 36, 37, 39, 43)),
    *("manylinux2014", "musllinux_1_1", "musllinux_1_2"),
)
PLATFORMS = (
    *(f"{library}_{machine}" for library in LIBRARIES for machine in ("x86_64", "aarch64", "ppc64le")),
    *(f"{library}_x86_64" for library in ("manylinux_2_5", "manylinux_2_12", "manylinux1", "manylinux2010")),
    *("win_amd64", "macosx_11_0_arm64"),
)
BUILDS = (
    *(f"cp3{minor}-cp3{minor}" for minor in (8, 9, 10, 11, 12, 13, 14)),
    *("cp313-cp313t", "cp37-cp37m", "cp27-cp27mu", "pp310-pypy310_pp73"),
    *(f"cp3{minor}-abi3" for minor in (6, 9, 12, 14)),
    *("py3-none", "py310-none", "cp39-none"),
)
CANDIDATES = tuple("-".join(parts) for parts in itertools.product(BUILDS, PLATFORMS))
ASK = """
import json, platform
from packaging.markers import default_environment
from packaging.tags import sys_tags
name, _, version = __import__("os").confstr("CS_GNU_LIBC_VERSION").partition(" ")
abi = sys.implementation.cache_tag + getattr(sys, "abiflags", "")
print(json.dumps({"version": platform.python_version(), "abi": abi, "markers": default_environment(),
                  "libc": [name, version], "tags": sorted({str(tag) for tag in sys_tags()})}))
"""
