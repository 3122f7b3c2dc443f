from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from reprocheck.extractors.metadata import (
    name_from_directory,
    parse_direct_url,
    parse_metadata,
    parse_requires_txt,
    parse_wheel,
)

NORMAL = b"""Metadata-Version: 2.1
Name: Demo.Package
Version: 1.2
Requires-Python: >=3.8
Requires-Dist: zebra >=1
Requires-Dist: attrs
Provides-Extra: Some_Extra
Provides-Extra: test
Description: first line
        Version: 9 on a folded line

Name: body
"""


def test_normal() -> None:
    known = parse_metadata(NORMAL)
    assert (known.name, known.version, known.requires_python) == ("Demo.Package", "1.2", ">=3.8")
    assert known.requires == ("attrs", "zebra >=1")
    assert known.extras == ("some-extra", "test")
    assert known.problems == ()


def test_empty() -> None:
    known = parse_metadata(b"")
    assert (known.name, known.version, known.requires, known.problems) == (None, None, (), ())


@pytest.mark.parametrize(
    ("raw", "name", "version", "problems"),
    [
        (NORMAL.replace(b"\n", b"\r\n"), "Demo.Package", "1.2", ()),
        (b"\xef\xbb\xbf" + NORMAL, "Demo.Package", "1.2", ()),
        (NORMAL.decode().encode("utf-16"), "Demo.Package", "1.2", ("METADATA is UTF-16, not UTF-8",)),
        (b"Name: a\nVersion: 1\nAuthor: caf\xe9\n", "a", "1", ("METADATA is not UTF-8",)),
        (b"Name: caf\xe9\nVersion: 1\n", "caf\\xe9", "1", ("METADATA is not UTF-8",)),
        (b"Name: a\x00b\nVersion: 1\n", "a\x00b", "1", ()),
        (b"name: a\nVERSION : 1 \t\n", "a", "1", ()),
        (b"Name: a\nVersion: 1\nVersion: 2\n", "a", "1", ("METADATA repeats Version; the first counts",)),
        (b"Name: a\nName: b\nVersion: 1\n", "a", "1", ("METADATA repeats Name; the first counts",)),
        (b"VERSION: 3\n", None, "3", ()),
        (b"Name:\nVersion:\n", None, None, ()),
        (b"Name: UNKNOWN\nVersion: 1\n", None, "1", ()),
        (b"Name: a\n Version: 9\n", "a Version: 9", None, ()),
        (b"\nName: a\n", None, None, ()),
        (b" Name: a\n", None, None, ()),
        (b"no colon here\nName: a\nVersion: 1\n", "a", "1", ()),
        (b"Name: a\nVersion: 1.14.0-unknown\n", "a", "1.14.0-unknown", ()),
    ],
)
def test_malformed(raw: bytes, name: str | None, version: str | None, problems: tuple[str, ...]) -> None:
    known = parse_metadata(raw)
    assert (known.name, known.version, known.problems) == (name, version, problems)


def test_a_million_requirements_and_a_long_line() -> None:
    raw = b"Name: a\nVersion: 1\n" + b"Requires-Dist: x\n" * 50_000 + b"X: " + b"y" * 1_000_000
    known = parse_metadata(raw)
    assert (known.name, known.version, len(known.requires)) == ("a", "1", 50_000)


@given(st.binary(max_size=200))
def test_any_bytes_are_read(raw: bytes) -> None:
    known = parse_metadata(raw)
    for text in (known.name, known.version, *known.requires, *known.extras):
        assert text is None or text.encode()
    parse_wheel(raw)
    parse_requires_txt(raw)


@given(st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True), st.from_regex(r"[0-9][0-9a-z.+!]{0,10}", fullmatch=True))
def test_what_is_written_is_read(name: str, version: str) -> None:
    known = parse_metadata(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nbody".encode())
    assert (known.name, known.version) == (None if name == "UNKNOWN" else name, version)


def test_wheel() -> None:
    raw = b"Wheel-Version: 1.0\nGenerator: x\nTag: py3-none-any\nTag: cp39-cp39-linux_x86_64\nBuild: 2\n"
    assert parse_wheel(raw) == (("cp39-cp39-linux_x86_64", "py3-none-any"), "2")
    assert parse_wheel(b"") == ((), None)
    assert parse_wheel(b"\xff\n:\n") == ((), None)


@pytest.mark.parametrize(
    ("data", "origin", "editable"),
    [
        ({"url": "file:///x", "dir_info": {"editable": True}}, "file:///x", True),
        ({"url": "file:///x", "dir_info": {}}, "file:///x", False),
        ({"url": "file:///x", "dir_info": {}, "subdirectory": "s"}, "file:///x#subdirectory=s", False),
        (
            {"url": "https://h/x.git", "vcs_info": {"vcs": "git", "commit_id": "abc", "requested_revision": "main"}},
            "git+https://h/x.git@abc",
            False,
        ),
        (
            {"url": "https://h/x.whl", "archive_info": {"hashes": {"sha256": "b", "md5": "a"}, "hash": "sha256=b"}},
            "https://h/x.whl#md5=a,sha256=b",
            False,
        ),
        ({"url": "https://h/x.whl", "archive_info": {"hash": "sha256=b"}}, "https://h/x.whl#sha256=b", False),
        ({"url": "https://h/x.whl", "archive_info": {}}, "https://h/x.whl", False),
    ],
)
def test_direct_url(data: object, origin: str, editable: bool) -> None:
    assert parse_direct_url(json.dumps(data).encode()) == (origin, editable)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"not json",
        b'{"dir_info": {}}',
        b'{"url": 1, "dir_info": {}}',
        b'{"url": "x"}',
        b'{"url": "x", "dir_info": {}, "vcs_info": {}}',
        b'{"url": "x", "dir_info": []}',
        b'{"url": "https://h/\\ud800", "dir_info": {}}',
        b'{"url": "x", "archive_info": {"hash": "\\udfff"}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_direct_url_malformed(raw: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        parse_direct_url(raw)


def test_requires_txt() -> None:
    raw = b"""
# comment
six>=1
[test]
pytest
[:python_version<"3.8"]
typing
[Socks_5:sys_platform == "win32"]
pysocks
[direct]
x @ https://h/x.zip
"""
    found, extras = parse_requires_txt(raw)
    assert extras == ("direct", "socks-5", "test")
    assert found == (
        'pysocks; (sys_platform == "win32") and extra == "Socks_5"',
        'pytest; extra == "test"',
        "six>=1",
        'typing; python_version<"3.8"',
        'x @ https://h/x.zip ; extra == "direct"',
    )
    assert {Requirement(one).name for one in found} == {"pysocks", "pytest", "six", "typing", "x"}
    assert parse_requires_txt(b"") == ((), ())


@pytest.mark.parametrize(
    ("stem", "parts"),
    [
        ("foo-1.0", ("foo", "1.0")),
        ("foo-1.0-py3.9", ("foo", "1.0")),
        ("foo-1.0-py3.10-linux-x86_64", ("foo", "1.0")),
        ("foo", ("foo", "")),
        ("foo_bar-1.0+local.1", ("foo_bar", "1.0+local.1")),
        ("foo-2010i", ("foo", "2010i")),
        ("", ("", "")),
    ],
)
def test_name_from_directory(stem: str, parts: tuple[str, str]) -> None:
    assert name_from_directory(stem) == parts


# Real files of peers' test suites.


def corpus(folder: str) -> Path:
    where = os.environ.get("REPROCHECK_CORPUS")
    if not where:
        pytest.skip("REPROCHECK_CORPUS is not set")
    return Path(where) / folder


def expected(folder: str) -> dict[str, dict[str, object]]:
    return json.loads((corpus(folder) / "EXPECTED.json").read_bytes())  # type: ignore[no-any-return]


def test_osv_scalibr() -> None:
    """The same name and version; of a repeated field the first counts; an empty file states nothing."""
    read = 0
    for path, want in expected("osv-scalibr")["python"].items():
        where = corpus("osv-scalibr") / path
        raw = where.read_bytes()
        if zipfile.is_zipfile(where):
            with zipfile.ZipFile(where) as archive:
                names = [name for name in archive.namelist() if name.endswith(("/METADATA", "/PKG-INFO"))]
                raw = archive.read(names[0]) if names else b""
        known = parse_metadata(raw)
        if isinstance(want, list):
            read += 1
            assert [known.name, known.version] == [want[0], want[1].partition(" ")[0]], path
            assert bool(known.problems) == ("first" in want[1]), path
        else:
            assert (known.name, known.version) == (None, None), path
    assert read == 11


def test_osv_scalibr_requirements() -> None:
    for path, want in expected("osv-scalibr")["python_requires_dist"].items():
        assert isinstance(want, list)
        assert want
        found = parse_metadata((corpus("osv-scalibr") / path).read_bytes()).requires
        assert sorted(map(str, map(Requirement, found))) == sorted(map(str, map(Requirement, want)))


def test_packaging_everything() -> None:
    """A file that uses each field there is."""
    known = parse_metadata((corpus("packaging") / "tests/metadata/everything.metadata").read_bytes())
    assert (known.name, known.version, known.requires_python) == ("BeagleVote", "1.0a2", ">=3")
    assert known.extras == ("pdf",)
    assert known.problems == ()
    assert len(known.requires) >= 3
    assert {Requirement(one).name for one in known.requires} >= {"pkginfo", "PasteDeploy", "zope.interface"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_requirements_have_no_credentials(encoding: str) -> None:
    """Of bytes in UTF-16 the probe can't rid the evidence, nor does it look for tokens in paths."""
    token = "ghp_" + "a1B2" * 9
    text = f"Name: x\nVersion: 1\nRequires-Dist: a @ https://me:hunter2@h/a\nRequires-Dist: b @ https://h/{token}/b\n"
    assert parse_metadata(text.encode(encoding)).requires == ("a @ https://h/a", "b @ https://h/***/b")
    listed = f"a @ https://me:hunter2@h/a\nb @ https://h/{token}/b\n"
    assert parse_requires_txt(listed.encode())[0] == ("a @ https://h/a", "b @ https://h/***/b")
