"""The rules of ld.so(8) one by one; what a real linker does is in ``tests/integration/test_loader.py``."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reprocheck.extractors.ld_cache import CacheEntry
from reprocheck.extractors.loader import Process, Settings
from reprocheck.model.evidence import ElfEvidence

NAME = "libx.so.1"


def elf(path: str, *needed: str, **fields: object) -> ElfEvidence:
    facts = {"bits": 64, "order": "<", "machine": 62, "real": path, "needed": needed, **fields}
    return ElfEvidence(**facts)  # type: ignore[arg-type]


class Files:
    def __init__(self, *there: ElfEvidence, varied: str = "") -> None:
        self.there = {one.real: one for one in there}
        self.varied = varied

    def look(self, path: str) -> ElfEvidence | None:
        return self.there.get(path)

    def varieties(self, name: str) -> bool:
        return name == self.varied


def process(
    files: Files,
    *,
    library_path: str = "",
    cache: Mapping[str, tuple[CacheEntry, ...]] | None = None,
    program: ElfEvidence | None = None,
) -> Process:
    settings = Settings(
        library_path=library_path,
        cache=cache or {},
        default=("/lib", "/usr/lib"),
        given=lambda name: name == "libcuda.so.1",
    )
    return Process(files, settings, program or elf("/usr/bin/python3"))


def taken(made: Process, name: str = NAME, caller: str | None = None) -> tuple[str | None, str]:
    """Path and reason; ``caller`` is loaded before, by its path."""
    asking = made.load(caller).loaded if caller else None
    outcome = made.load(name, asking)
    assert outcome.certain
    return (outcome.loaded.path if outcome.loaded else None), outcome.reason


X_LIB = elf(f"/lib/{NAME}")
X_A, X_B, X_C = (elf(f"/{letter}/{NAME}") for letter in "abc")


def test_default_directories() -> None:
    assert taken(process(Files(X_LIB, elf(f"/usr/lib/{NAME}")))) == (f"/lib/{NAME}", "default directory")
    assert taken(process(Files())) == (None, "nowhere that the dynamic linker looks")


def test_the_order() -> None:
    entry = CacheEntry(NAME, f"/c/{NAME}", 0x303, 0)
    caller = elf("/m/m.so", runpath="/b")
    there = [X_LIB, X_A, X_B, X_C, caller]
    for expected in (f"/a/{NAME}", f"/b/{NAME}", f"/c/{NAME}", f"/lib/{NAME}"):
        made = process(Files(*there), library_path="/a", cache={NAME: (entry,)})
        assert taken(made, caller="/m/m.so")[0] == expected
        there = [one for one in there if one.real != expected]


def test_rpath_comes_before_library_path_and_is_inherited() -> None:
    files = Files(elf("/m/m.so", "libn.so", rpath="$ORIGIN:/a"), elf("/m/libn.so"), X_A, X_B)
    made = process(files, library_path="/b")
    made.load("/m/m.so")
    inner = next(one for one in made.objects if one.path == "/m/libn.so")
    outcome = made.load(NAME, inner)
    assert outcome.loaded is not None
    assert (outcome.loaded.path, outcome.reason) == (f"/a/{NAME}", "RPATH of m.so")


def test_an_rpath_of_the_program_serves_all_but_those_with_a_runpath() -> None:
    program = elf("/opt/bin/python3", rpath="$ORIGIN/../lib")
    there = elf(f"/opt/bin/../lib/{NAME}")
    assert taken(process(Files(there, elf("/m.so")), program=program), caller="/m.so")[0] == there.real
    assert taken(process(Files(there, elf("/m.so", runpath="/a")), program=program), caller="/m.so")[0] is None


def test_an_object_with_both_has_no_rpath() -> None:
    files = Files(elf("/m.so", rpath="/a", runpath="/b"), X_A, X_B)
    assert taken(process(files), caller="/m.so") == (f"/b/{NAME}", "RUNPATH of m.so")


def test_a_runpath_is_not_inherited() -> None:
    files = Files(elf("/m.so", "libn.so", runpath="/a"), elf("/a/libn.so"), X_A)
    made = process(files)
    made.load("/m.so")
    inner = next(one for one in made.objects if one.path == "/a/libn.so")
    assert made.load(NAME, inner).loaded is None


@pytest.mark.parametrize("name", [NAME, "libsame.so"])
def test_what_is_loaded_answers(name: str) -> None:
    """By the name that it was asked for by, and by its soname."""
    files = Files(elf(f"/a/{NAME}", soname="libsame.so"), X_LIB, elf("/lib/libsame.so"))
    made = process(files)
    assert made.load(f"/a/{NAME}").loaded is not None
    if name == NAME:  # a path is not a name
        assert taken(made, name)[0] == f"/lib/{NAME}"
    else:
        assert taken(made, name) == (f"/a/{NAME}", "loaded already: by its path")


def test_one_file_is_loaded_once() -> None:
    link = elf("/b/other.so", real=f"/a/{NAME}")
    files = Files(X_A)
    files.there["/b/other.so"] = link
    made = process(files, library_path="/a")
    assert taken(made)[0] == f"/a/{NAME}"
    assert taken(made, "/b/other.so")[0] == f"/a/{NAME}"


@pytest.mark.parametrize("path", ["/a", "/none:/a", "/none;/a", "/a/", ":/a", "/a:", "/a//"])
def test_library_path(path: str) -> None:
    assert taken(process(Files(X_A), library_path=path)) == (f"/a/{NAME}", "LD_LIBRARY_PATH")


@pytest.mark.parametrize("token", ["$ORIGIN", "${ORIGIN}"])
def test_origin(token: str) -> None:
    files = Files(elf("/m/m.so", runpath=f"{token}/sub"), elf(f"/m/sub/{NAME}"))
    assert taken(process(files), caller="/m/m.so")[0] == f"/m/sub/{NAME}"


def untold(made: Process, name: str = NAME, caller: str | None = None) -> str:
    outcome = made.load(name, made.load(caller).loaded if caller else None)
    assert outcome.loaded is None
    assert not outcome.certain
    return outcome.reason


@pytest.mark.parametrize("token", ["$LIB", "${PLATFORM}"])
def test_tokens_of_the_machine_can_not_be_told(token: str) -> None:
    assert token.strip("${}") in untold(process(Files(elf("/m.so", runpath=f"/{token}"))), caller="/m.so")


def test_a_token_of_no_meaning_is_text() -> None:
    files = Files(elf("/m.so", runpath="/$ORIGINAL"), elf(f"/$ORIGINAL/{NAME}"))
    assert taken(process(files), caller="/m.so")[0] == f"/$ORIGINAL/{NAME}"


def test_builds_for_some_processors_can_not_be_told() -> None:
    assert "some processors" in untold(process(Files(X_LIB, varied=NAME)))
    entry = CacheEntry(NAME, f"/lib/{NAME}", 0x303, 1 << 62)
    assert "some processors" in untold(process(Files(X_LIB), cache={NAME: (entry,)}))


def test_a_file_that_is_no_library_can_not_be_told() -> None:
    broken = ElfEvidence(problem="not a valid ELF file: bad magic number", real=f"/a/{NAME}")
    assert "bad magic number" in untold(process(Files(broken, X_LIB), library_path="/a"))


@pytest.mark.parametrize(
    "other",
    [
        elf(f"/a/{NAME}", bits=32, machine=3),
        elf(f"/a/{NAME}", machine=183),
        ElfEvidence(problem="EACCES", real=f"/a/{NAME}"),
    ],
)
def test_what_does_not_fit_is_passed_over(other: ElfEvidence) -> None:
    assert taken(process(Files(other, X_LIB), library_path="/a"))[0] == f"/lib/{NAME}"


def test_the_cache_is_of_one_machine() -> None:
    other = CacheEntry(NAME, f"/a/{NAME}", 0x0003, 0)
    assert taken(process(Files(X_A, X_LIB), cache={NAME: (other,)}))[0] == f"/lib/{NAME}"
    strange = elf("/usr/bin/python3", machine=999)
    assert "kind of machine" in untold(process(Files(X_A), cache={NAME: (other,)}, program=strange))


def test_no_default_library() -> None:
    entry = CacheEntry(NAME, f"/lib/{NAME}", 0x303, 0)
    files = Files(elf("/m.so", nodeflib=True), X_LIB, X_C)
    assert taken(process(files), caller="/m.so")[0] is None
    assert taken(process(files, cache={NAME: (entry,)}), caller="/m.so")[0] is None
    elsewhere = CacheEntry(NAME, f"/c/{NAME}", 0x303, 0)
    assert taken(process(files, cache={NAME: (elsewhere,)}), caller="/m.so")[0] == f"/c/{NAME}"


def test_what_lacks_a_library_is_not_loaded_nor_is_what_came_with_it() -> None:
    files = Files(elf(f"/lib/{NAME}", "libhelp.so", "libnone.so"), elf("/lib/libhelp.so"))
    made = process(files)
    assert taken(made) == (None, f"/lib/{NAME} needs libnone.so, which is nowhere that the dynamic linker looks")
    assert [one.path for one in made.objects] == ["/usr/bin/python3"]


def test_what_the_driver_brings_is_not_lacking() -> None:
    assert taken(process(Files(elf(f"/lib/{NAME}", "libcuda.so.1"))))[0] == f"/lib/{NAME}"


def test_cycles_end() -> None:
    files = Files(elf("/lib/a.so", "b.so"), elf("/lib/b.so", "a.so"))
    made = process(files)
    assert taken(made, "a.so")[0] == "/lib/a.so"
    assert len(made.objects) == 3


def test_there_is_an_end_to_how_much_is_loaded() -> None:
    files = Files(*(elf(f"/lib/{number}.so", f"{number + 1}.so") for number in range(5000)))
    assert len(process(files, program=elf("/p", "0.so")).objects) <= 2001
