from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.probe import collect
from reprocheck.targets import probe
from tests import interpreters
from tests.elf import shared_object

LIBRARY = shared_object(
    "libc.so.6", "libm.so.6", soname="libx.so.1", runpath="$ORIGIN/../lib:/opt/lib", before_strings=100
)


def summary(raw: bytes, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "library"
    path.write_bytes(raw)
    told: dict[str, Any] = collect.Answer({}).linked(os.fsencode(path))
    return told


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_what_the_linker_is_told(bits: int, order: str, tmp_path: Path) -> None:
    raw = shared_object(
        "liba.so", "libb.so.2", soname="libx.so.1", rpath="/r", runpath="/u", bits=bits, order=order, machine=21
    )
    assert summary(raw, tmp_path) == {
        "problem": None,
        "bits": bits,
        "order": order,
        "machine": 21,
        "flags": 0,
        "nodeflib": False,
        "needed": ["liba.so", "libb.so.2"],
        "soname": "libx.so.1",
        "rpath": "/r",
        "runpath": "/u",
        "size": len(raw),
        "real": str(tmp_path / "library"),
    }


def test_a_program(tmp_path: Path) -> None:
    told = summary(shared_object("libc.so.6", interpreter="/lib64/ld-linux-x86-64.so.2", flags_1=0x800), tmp_path)
    assert (told["interpreter"], told["nodeflib"]) == ("/lib64/ld-linux-x86-64.so.2", True)


def test_links_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "libx.so.1.2").write_bytes(LIBRARY)
    (tmp_path / "libx.so.1").symlink_to("libx.so.1.2")
    told = collect.Answer({}).linked(os.fsencode(tmp_path / "libx.so.1"))
    assert told["real"] == str(tmp_path / "libx.so.1.2")


def test_a_large_library_is_read_in_pieces(tmp_path: Path) -> None:
    """Its strings far from its dynamic section, as in a library of a gigabyte; at most a mebibyte is read."""
    path = tmp_path / "large"
    raw = shared_object("libc.so.6", soname="liblarge.so", before_strings=1 << 20)
    path.write_bytes(raw)
    os.truncate(path, 1 << 40)  # sparse
    read = 0

    class Counting(collect.Disk):
        def open(self, where: bytes) -> Any:
            regular, size, part, close = super().open(where)

            def counting(length: int, offset: int) -> bytes:
                nonlocal read
                read += length
                piece: bytes = part(length, offset)
                return piece

            return regular, size, counting, close

    told = collect.Answer({}, Counting()).linked(os.fsencode(path))
    assert (told["problem"], told["needed"], told["soname"]) == (None, ["libc.so.6"], "liblarge.so")
    assert 0 < read <= 4 * 4096


def at(raw: bytes, offset: int, kind: str, *values: int) -> bytes:
    """The file with other numbers at an offset."""
    packed = struct.pack(kind, *values)
    return raw[:offset] + packed + raw[offset + len(packed) :]


DYNAMIC = LIBRARY.index(struct.pack("<QQ", 1, 1))
HEADER_FAULTS = {
    "40 bytes": (LIBRARY[:40], "a header outside the file"),
    "nothing": (b"", "a header outside the file"),
    "bad magic": (b"\x7fELG" + LIBRARY[4:], "bad magic number"),
    "bad class": (LIBRARY[:4] + b"\3" + LIBRARY[5:], "bad class or byte order"),
    "bad byte order": (LIBRARY[:5] + b"\0" + LIBRARY[6:], "bad class or byte order"),
    "a linker script": (b"/* GNU ld script */\nINPUT ( /usr/lib/libcuda.so.1 )\n", "bad magic number"),
    "program headers outside": (at(LIBRARY, 32, "<Q", 1 << 40), "program headers outside the file"),
    "program headers at the end of numbers": (at(LIBRARY, 32, "<Q", (1 << 64) - 1), "program headers outside the file"),
    "program headers of no size": (at(LIBRARY, 54, "<HH", 0, 3), "program headers of 0 bytes"),
    "65535 program headers": (at(LIBRARY, 56, "<H", 65535), "65535 program headers"),
    "a dynamic section outside": (at(LIBRARY, 64 + 56 + 8, "<Q", 1 << 62), "the dynamic section outside the file"),
    "a dynamic section of 4 GB": (at(LIBRARY, 64 + 56 + 32, "<Q", 1 << 32), "a dynamic section of 4294967296 bytes"),
    "a name outside": (at(LIBRARY, DYNAMIC, "<QQ", 1, 1 << 40), "a string outside the string table"),
    "a string table outside": (at(LIBRARY, DYNAMIC + 4 * 16, "<QQ", 5, 1 << 50), "the string table is in no segment"),
    "no string table": (at(LIBRARY, DYNAMIC + 4 * 16, "<QQ", 7, 0), "the string table is in no segment"),
    "a name without end": (
        at(LIBRARY, DYNAMIC + 5 * 16, "<QQ", 10, 1).replace(struct.pack("<QQ", 1, 1), struct.pack("<QQ", 1, 0), 1),
        "a string outside the string table",
    ),
}


@pytest.mark.parametrize("fault", HEADER_FAULTS)
def test_a_fault_is_named(fault: str, tmp_path: Path) -> None:
    raw, reason = HEADER_FAULTS[fault]
    began = time.monotonic()
    told = summary(raw, tmp_path)
    assert told["problem"] == f"not a valid ELF file: {reason}"
    assert time.monotonic() - began < 1
    assert not {"needed", "soname", "runpath"} & told.keys()


def test_section_headers_are_nothing_to_it(tmp_path: Path) -> None:
    """``e_shentsize`` 0 and ``e_shnum`` of 2^32 by way of section 0 have brought other readers to a halt."""
    told = summary(at(LIBRARY, 58, "<HHH", 0, 0, 0), tmp_path)
    assert (told["problem"], told["soname"]) == (None, "libx.so.1")


def test_a_name_of_megabytes_has_an_end(tmp_path: Path) -> None:
    told = summary(shared_object("x" * 5000), tmp_path)
    assert told["problem"] == "not a valid ELF file: a string without an end"
    assert summary(shared_object("x" * 4000), tmp_path)["needed"] == ["x" * 4000]


def test_scattered_names_are_given_up(tmp_path: Path) -> None:
    names = [f"lib{number}.so" + "x" * 4000 for number in range(400)]
    told = summary(shared_object(*names), tmp_path)
    assert told["problem"] == "not a valid ELF file: too scattered: more than 1048576 bytes to read"


@pytest.mark.parametrize("kind", ["directory", "pipe", "nothing", "a dangling link"])
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "a dangling link":
        path.symlink_to("nowhere")
    problem = collect.Answer({}).linked(os.fsencode(path))["problem"]
    assert problem == ("not a regular file" if kind in {"directory", "pipe"} else "ENOENT")


@given(st.binary(max_size=300), st.integers(0, len(LIBRARY)))
def test_any_bytes_are_survived(noise: bytes, start: int) -> None:
    raw = LIBRARY[:start] + noise + LIBRARY[start + len(noise) :]
    read = collect.Elf(lambda length, offset: raw[offset : offset + length])
    assert read.summary["problem"] is None or isinstance(read.summary["problem"], str)
    json.dumps(read.summary)


@given(st.lists(st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20)), st.booleans())
def test_what_is_written_is_read(names: list[str], wide: bool) -> None:
    raw = shared_object(*names, bits=64 if wide else 32)
    read = collect.Elf(lambda length, offset: raw[offset : offset + length])
    assert read.summary["problem"] is None
    assert read.summary.get("needed", []) == names


def test_it_agrees_with_readelf() -> None:
    """On the machine's own libraries."""
    tool = shutil.which("readelf")
    if tool is None:
        pytest.skip("no readelf on this machine")
    compared = 0
    for path in sorted(Path("/usr/lib").glob("*-linux-gnu*/*.so*"))[:200]:
        told = collect.Answer({}).linked(os.fsencode(path))
        if told["problem"] is not None:
            continue
        said = subprocess.run([tool, "-dW", path], capture_output=True, text=True, check=True).stdout
        rows = [line.split("[", 1) for line in said.splitlines() if "[" in line]
        names = {
            kind: [value.rstrip("]") for head, value in rows if f"({kind})" in head]
            for kind in ("NEEDED", "SONAME", "RPATH", "RUNPATH")
        }
        assert told.get("needed", []) == names["NEEDED"], path
        assert list(filter(None, [told.get("soname")])) == names["SONAME"], path
        assert list(filter(None, [told.get("rpath")])) == names["RPATH"], path
        assert list(filter(None, [told.get("runpath")])) == names["RUNPATH"], path
        compared += 1
    assert compared > 20


@pytest.mark.parametrize("minor", interpreters.MINORS)
def test_every_interpreter_reads_the_same(minor: int, tmp_path: Path) -> None:
    (tmp_path / "library").write_bytes(LIBRARY)
    source = tmp_path / "probe.py"
    source.write_bytes(probe.program())
    program = (
        "import json, os, runpy, sys;"
        f"probe = runpy.run_path({str(source)!r});"
        "print(json.dumps(probe['Answer']({}).linked(os.fsencode(sys.argv[1])), sort_keys=True))"
    )
    ran = subprocess.run(
        [interpreters.python(minor), "-I", "-S", "-B", "-c", program, tmp_path / "library"],
        capture_output=True,
        check=True,
    )
    assert json.loads(ran.stdout) == summary(LIBRARY, tmp_path)


# The searches beside it.


def answer(*wants: dict[str, Any]) -> dict[str, Any]:
    collected = collect.Answer({"found": {}, "interpreters": {}})
    out: dict[str, Any] = collect.answer({"wants": list(wants)}, collected)
    return out


def test_find_goes_into_leaves_and_not_through_links(tmp_path: Path) -> None:
    for path in ("a/b/libx.so.1", "a/y.so", "a/__pycache__/z.so", "a/libx.soap", "a/ld.so.conf"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "a" / "round").symlink_to(".")
    (tmp_path / "a" / "link.so").symlink_to("y.so")
    out = answer(
        {
            "want": "find",
            "at": f"{tmp_path}/a",
            "group": "module",
            "name": r"[^/]+\.so(?:\.\d[\w.]*)?$",
            "leaves": ["__pycache__"],
        },
        {"want": "elf", "at": "@module"},
    )
    names = [f"{tmp_path}/a/{name}" for name in ("b/libx.so.1", "link.so", "y.so")]
    assert out["found"]["module"] == names
    assert sorted(out["elf"]) == names
    assert out["failed"] == []


def test_find_says_where_it_could_not_go(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()

    class Shut(collect.Disk):
        def scan(self, where: bytes) -> Any:
            if where == os.fsencode(closed):
                raise PermissionError(13, "closed")
            return super().scan(where)

    collected = collect.Answer({"found": {}, "interpreters": {}}, Shut())
    collected.find({"at": str(tmp_path), "group": "module", "name": "x", "leaves": []})
    out: dict[str, Any] = collected.out
    assert out["searches"]["module"]["denied"] == [str(closed)]


def test_a_record_keeps_the_lines_that_are_asked_for(tmp_path: Path) -> None:
    lines = [f"pkg/module{number}.{'so' if number % 1000 == 0 else 'py'},sha256=x,1" for number in range(60_000)]
    path = tmp_path / "RECORD"
    path.write_text("\n".join(lines))
    want = {"want": "record", "at": str(path)}
    kept = answer({**want, "keep": ".so"})["records"][str(path)]
    assert path.stat().st_size > 1 << 20, "it takes several pieces"
    assert kept["content"].splitlines() == [line for line in lines if ".so" in line]
    plain = answer(want)["records"][str(path)]
    assert "content" not in plain
    assert {**kept, "content": None} == {**plain, "content": None}
