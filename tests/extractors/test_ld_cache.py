from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.extractors.ld_cache import CacheEntry, parse
from tests.elf import cache

ENTRIES = (("libz.so.1", "/lib/libz.so.1"), ("liba.so", "/opt/a/liba.so", 1 << 62))
PARSED = [CacheEntry("libz.so.1", "/lib/libz.so.1", 0x303, 0), CacheEntry("liba.so", "/opt/a/liba.so", 0x303, 1 << 62)]


def test_normal() -> None:
    assert list(parse(cache(*ENTRIES))) == PARSED


def test_behind_the_old_form() -> None:
    assert list(parse(cache(*ENTRIES, old=True))) == PARSED


@pytest.mark.parametrize(
    "raw", [b"", b"glibc-ld.so.cache1.1", b"ld.so-1.7.0", b"ld.so-1.7.0\0\xff\xff\xff\xff", b"x" * 100]
)
def test_what_is_no_cache(raw: bytes) -> None:
    assert list(parse(raw)) == []


def test_cut() -> None:
    """What is left of the names is read; an entry whose name is gone is none."""
    raw = cache(*ENTRIES)
    assert list(parse(raw[:-1])) == PARSED[:1]
    for length in range(len(raw)):
        assert len(list(parse(raw[:length]))) <= len(PARSED)


def test_a_count_of_billions_ends() -> None:
    raw = bytearray(cache(*ENTRIES))
    raw[20:24] = b"\xff\xff\xff\xff"
    assert list(parse(bytes(raw)))[:2] == PARSED


@given(st.binary(max_size=200), st.integers(0, 150))
def test_any_bytes_are_survived(noise: bytes, at: int) -> None:
    raw = cache(*ENTRIES)
    for entry in parse(raw[:at] + noise):
        assert entry.name
        assert entry.path


def test_it_agrees_with_ldconfig() -> None:
    tool = shutil.which("ldconfig", path="/sbin:/usr/sbin")
    path = Path("/etc/ld.so.cache")
    if tool is None or not path.is_file():
        pytest.skip("no ld.so.cache on this machine")
    said = subprocess.run([tool, "-p"], capture_output=True, text=True, check=True).stdout
    rows = [line.strip().partition(" => ") for line in said.splitlines() if " => " in line]
    assert [(entry.name, entry.path) for entry in parse(path.read_bytes())] == [
        (name.partition(" ")[0], where) for name, _, where in rows
    ]
