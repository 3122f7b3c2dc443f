"""The comparison of files with the records of dpkg and conda, on a disk, in a tree of layers, and in a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reprocheck.layers.directory import Directory
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import Record
from reprocheck.probe import collect, packaged
from reprocheck.targets.files import TreeFiles
from reprocheck.targets.static import StaticSession
from tests.evidence import plant
from tests.probe.test_record import packed
from tests.targets.test_static import DOCUMENT

INFO = "/var/lib/dpkg/info"
APT = "/usr/lib/python3/dist-packages/apt"
FILES: dict[str, bytes] = {
    "/bin/bash": b"\x7fELF bash\n",
    "/usr/sbin/tool": b"#!/bin/sh\n",
    "/usr/lib/x86_64-linux-gnu/libz.so.1.2.11": b"\x7fELF z\n",
    f"{APT}/__init__.py": b"import apt_pkg\n",
    f"{APT}/data.json": b"{}\n",
}
Compare = Callable[..., dict[str, Any]]
Changes = Mapping[str, str | bytes | None]
NO_CHANGES: Changes = {}


def md5sums(*names: str, files: Mapping[str, bytes] = FILES) -> str:
    return "".join(f"{hashlib.md5(files[name]).hexdigest()}  {name[1:]}\n" for name in names or files)


def lists(*names: str) -> str:
    return "".join(f"{name}\n" for name in ("/.", *names))


DPKG: dict[str, str | bytes] = {
    **FILES,
    f"{INFO}/mod:amd64.md5sums": md5sums(),
    f"{INFO}/mod:amd64.list": lists(*FILES),
}


@pytest.fixture(params=["disk", "tree", "stream"])
def compare(request: pytest.FixtureRequest, tmp_path: Path) -> Compare:
    """Plants files, takes some away, and gives what is told of the first record that a pattern matches."""

    def answered(files: Any, at: str, by: str, deep: bool) -> dict[str, Any]:
        want = {"want": "record", "at": at, "by": by, "deep": deep}
        state: dict[str, Any] = {"found": {}, "interpreters": {}}
        told = json.loads(json.dumps(collect.answer({"wants": [want]}, collect.Answer(state, files))))
        assert told["failed"] == []
        return told["records"]  # type: ignore[no-any-return]

    def first(files: Mapping[str, str | bytes | None], at: str, by: str, *, deep: bool = False) -> dict[str, Any]:
        plant(tmp_path, {path: raw for path, raw in files.items() if raw is not None})
        for path, raw in files.items():
            if raw is None:
                (tmp_path / path.lstrip("/")).unlink(missing_ok=True)
        if request.param == "disk":
            records = answered(collect.Disk(), f"{tmp_path}{at}", by, deep)
        elif request.param == "tree":
            with closing(Directory(tmp_path)) as layer:
                records = answered(TreeFiles(Tree([layer])), at, by, deep)
        else:
            with packed(tmp_path) as layer:
                answer = StaticSession(DOCUMENT, Tree([layer])).answer([Record(at=at, by=by, deep=deep)])  # type: ignore[arg-type] # one of three
                assert answer is not None
                assert answer.failed == ()
                assert layer.passes <= 1 + deep, "all that dpkg and conda know is kept as it comes by"
            records = {path: msgspec.structs.asdict(one) for path, one in answer.records.items()}
            records = json.loads(json.dumps(records))
        return records[min(records)]  # type: ignore[no-any-return]

    return first


def edits(told: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    assert (told["problem"], told["unreadable"], told["unnamed"]) == (None, 0, 0)
    return told["modified"], told["missing"]


# dpkg.


def of_dpkg(compare: Compare, changes: Changes = NO_CHANGES, *, deep: bool = True) -> dict[str, Any]:
    return compare({**DPKG, **changes}, f"{INFO}/*.md5sums", "dpkg", deep=deep)


@pytest.mark.parametrize("deep", [False, True])
def test_as_installed(compare: Compare, deep: bool) -> None:
    told = of_dpkg(compare, deep=deep)
    assert edits(told) == ([], [])
    assert (told["rows"], told["checked"], told["unverifiable"], told["deep"]) == (5, 5, 0, deep)


def test_an_edit_is_seen_with_hashes(compare: Compare) -> None:
    edit: Changes = {f"{APT}/__init__.py": b"import os\n"}
    assert edits(of_dpkg(compare, edit, deep=False)) == ([], []), "dpkg records no sizes"
    assert edits(of_dpkg(compare, edit)) == ([f"{APT}/__init__.py"], [])


@pytest.mark.parametrize("deep", [False, True])
def test_a_file_that_is_gone(compare: Compare, deep: bool) -> None:
    gone = "/usr/lib/x86_64-linux-gnu/libz.so.1.2.11"
    assert edits(of_dpkg(compare, {gone: None}, deep=deep)) == ([], [gone])


@pytest.mark.parametrize(
    "name",
    [
        "/usr/share/doc/mod/copyright",
        "/usr/share/locale/de/LC_MESSAGES/mod.mo",
        "/usr/share/man/man1/mod.1.gz",
        "/usr/lib/x86_64-linux-gnu/libz.a",
        "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache",
        "/usr/lib/python3/dist-packages/__pycache__/mod.cpython-39.pyc",
        "/usr/lib/python3.9/config-3.9-x86_64-linux-gnu/libpython3.9.a",
        "/etc/bash.bashrc",
    ],
)
def test_what_is_not_run_is_not_judged(compare: Compare, name: str) -> None:
    sums = md5sums() + md5sums(name, files={name: b"shipped\n"})
    changes: Changes = {f"{INFO}/mod:amd64.md5sums": sums, f"{INFO}/mod:amd64.list": lists(*FILES, name)}
    assert edits(of_dpkg(compare, changes)) == ([], [])
    assert edits(of_dpkg(compare, {**changes, name: b"another one\n"})) == ([], [])


def test_a_merged_usr(compare: Compare, tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    assert edits(of_dpkg(compare)) == ([], [])
    assert edits(of_dpkg(compare, {"/usr/bin/bash": b"mine\n", "/bin/bash": b"mine\n"})) == (["/bin/bash"], [])


def test_a_file_that_another_package_has_taken_over(compare: Compare) -> None:
    """dpkg takes it out of the first package's list, and leaves its sum."""
    kept = [name for name in FILES if name != "/bin/bash"]
    changes: Changes = {"/bin/bash": b"the other's\n", f"{INFO}/mod:amd64.list": lists(*kept)}
    told = of_dpkg(compare, changes)
    assert edits(told) == ([], [])
    assert told["unverifiable"] == 1
    assert edits(of_dpkg(compare, {**changes, "/bin/bash": None})) == ([], [])


def test_configuration_that_stands_where_programs_do(compare: Compare) -> None:
    changes: Changes = {"/usr/sbin/tool": b"edited as is meant\n", f"{INFO}/mod:amd64.conffiles": "/usr/sbin/tool\n"}
    assert edits(of_dpkg(compare, changes)) == ([], [])


@pytest.mark.parametrize("written", ["/bin/bash", "/usr/bin/bash"])
def test_a_diverted_file(compare: Compare, written: str) -> None:
    """Who has moved to /usr may have written its name either way."""
    diversions = f"{written}\n{written}.distrib\n:\n"
    changes: Changes = {"/bin/bash": b"a wrapper\n", "/var/lib/dpkg/diversions": diversions}
    assert edits(of_dpkg(compare, changes)) == ([], [])
    assert edits(of_dpkg(compare, {**changes, "/bin/bash": None})) == ([], [])


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ("path-exclude=/usr/lib/python3/*", []),
        ('  path-exclude  "/usr/lib/python3/*"  \n', []),
        ("path-exclude=/usr/lib/python3/*\npath-include=*/data.json\n", [f"{APT}/data.json"]),
        ("path-include=*/data.json\npath-exclude=/usr/lib/python3/*\n", []),
        ("# path-exclude=/usr/lib/python3/*\n", [f"{APT}/data.json"]),
        ("path-exclude=/usr/lib/python3/*.py\n", [f"{APT}/data.json"]),
    ],
)
@pytest.mark.parametrize("file", ["/etc/dpkg/dpkg.cfg", "/etc/dpkg/dpkg.cfg.d/docker"])
def test_what_dpkg_leaves_out(compare: Compare, options: str, missing: list[str], file: str) -> None:
    assert edits(of_dpkg(compare, {f"{APT}/data.json": None, file: options})) == ([], missing)


@pytest.mark.parametrize("pattern", ["[z-a]*", "[", "[!", "*" * 60 + "z", "*a*a*z", "\\"])
def test_odd_patterns_of_what_is_left_out(compare: Compare, pattern: str) -> None:
    changes = {f"{APT}/data.json": None, "/etc/dpkg/dpkg.cfg": f"path-exclude={pattern}\n"}
    assert edits(of_dpkg(compare, changes)) == ([], [f"{APT}/data.json"])


def test_a_rule_of_more_stars_than_are_followed(compare: Compare) -> None:
    changes = {f"{APT}/data.json": None, "/etc/dpkg/dpkg.cfg": f"path-exclude={'*a' * 40}z\n"}
    assert edits(of_dpkg(compare, changes)) == ([], [])


def test_what_is_left_out_and_there_is_judged(compare: Compare) -> None:
    changes: Changes = {f"{APT}/data.json": b"[]\n", "/etc/dpkg/dpkg.cfg": "path-exclude=/usr/lib/*\n"}
    assert edits(of_dpkg(compare, changes)) == ([f"{APT}/data.json"], [])


def test_more_rules_than_are_looked_at(compare: Compare) -> None:
    rules = "path-exclude=/nowhere/*\n" * (packaged.RULE_LIMIT + 1)
    assert edits(of_dpkg(compare, {f"{APT}/data.json": None, "/etc/dpkg/dpkg.cfg": rules})) == ([], [])


def test_a_package_without_a_list_of_its_files(compare: Compare) -> None:
    told = of_dpkg(compare, {f"{INFO}/mod:amd64.list": None, "/bin/bash": b"mine\n"})
    assert edits(told) == ([], [])
    assert told["unverifiable"] == 1


@pytest.mark.parametrize(
    "sums", ["", "\n\n", "no sums at all\n", "\0" * 100, f"{'g' * 32}  bin/bash\n", "\xff" * 9, f"{'0' * 32}  bin/\0\n"]
)
def test_sums_that_are_none(compare: Compare, sums: str) -> None:
    told = of_dpkg(compare, {f"{INFO}/mod:amd64.md5sums": sums})
    assert (edits(told), told["rows"]) == (([], []), 0)


def test_a_name_that_leads_out_of_the_root(compare: Compare) -> None:
    sums = f"{hashlib.md5(b'no').hexdigest()}  ../../../../../../../../bin/bash\n"
    told = of_dpkg(compare, {f"{INFO}/mod:amd64.md5sums": sums})
    assert edits(told) == (["/bin/bash"], [])


def test_where_md5_is_forbidden(compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    new = hashlib.new

    def refusing(name: str, *given: Any, **named: Any) -> Any:
        if name == "md5":
            raise ValueError("[digital envelope routines] unsupported")
        return new(name, *given, **named)

    monkeypatch.setattr(hashlib, "new", refusing)
    told = of_dpkg(compare, {"/bin/bash": b"mine\n"})
    assert edits(told) == ([], [])
    assert told["unverifiable"] == 5


# conda.

PREFIX = "/opt/conda"
META = f"{PREFIX}/conda-meta/mod-1.0-0.json"
SITE = "lib/python3.9/site-packages"


def path_row(name: str, raw: bytes, **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(raw).hexdigest()
    row = {
        "_path": name, "path_type": "hardlink", "sha256": digest, "sha256_in_prefix": digest,
        "size_in_bytes": len(raw),
    }  # fmt: skip
    return {name: value for name, value in {**row, **changes}.items() if value is not None}


MODULE, LIBRARY = b"answer = 42\n", b"\x7fELF mod\n"
PACKED, INSTALLED = b"#!/placeholder/bin/python\n", b"#!/opt/conda/bin/python\n"
PUT_IN = {
    "sha256_in_prefix": hashlib.sha256(INSTALLED).hexdigest(),
    "prefix_placeholder": "/placeholder",
    "file_mode": "text",
}
ROWS = [
    path_row(f"{SITE}/mod.py", MODULE),
    path_row("lib/libmod.so.1", LIBRARY),
    path_row("bin/mod", PACKED, **PUT_IN),
]
THERE: dict[str, bytes | None] = {
    f"{PREFIX}/{SITE}/mod.py": MODULE,
    f"{PREFIX}/lib/libmod.so.1": LIBRARY,
    f"{PREFIX}/bin/mod": INSTALLED,
}


def of_conda(
    compare: Compare, rows: Any, changes: Changes = NO_CHANGES, *, deep: bool = True
) -> dict[str, Any]:  # fmt: skip
    record = {"name": "mod", "version": "1.0", "build": "0", "paths_data": {"paths_version": 1, "paths": rows}}
    planted = {**THERE, META: json.dumps(record), **changes}
    return compare(planted, f"{PREFIX}/conda-meta/*.json", "conda", deep=deep)


@pytest.mark.parametrize("deep", [False, True])
def test_a_conda_package_as_installed(compare: Compare, deep: bool) -> None:
    told = of_conda(compare, ROWS, deep=deep)
    assert edits(told) == ([], [])
    assert (told["rows"], told["checked"], told["unverifiable"]) == (3, 3, 0)


def test_another_size(compare: Compare) -> None:
    changes: Changes = {f"{PREFIX}/{SITE}/mod.py": MODULE * 2, f"{PREFIX}/bin/mod": INSTALLED * 2}
    assert edits(of_conda(compare, ROWS, changes, deep=False)) == ([f"{SITE}/mod.py"], [])
    assert edits(of_conda(compare, ROWS, changes)) == (["bin/mod", f"{SITE}/mod.py"], [])


def test_another_hash_and_the_same_size(compare: Compare) -> None:
    changes: Changes = {f"{PREFIX}/lib/libmod.so.1": LIBRARY[::-1]}
    assert edits(of_conda(compare, ROWS, changes, deep=False)) == ([], [])
    assert edits(of_conda(compare, ROWS, changes)) == (["lib/libmod.so.1"], [])


@pytest.mark.parametrize("deep", [False, True])
def test_a_conda_file_that_is_gone(compare: Compare, deep: bool) -> None:
    assert edits(of_conda(compare, ROWS, {f"{PREFIX}/bin/mod": None}, deep=deep)) == ([], ["bin/mod"])


@pytest.mark.parametrize(
    "row",
    [
        path_row("lib/libmod.so", b"as linked", path_type="softlink"),
        path_row(f"{SITE}/__pycache__/mod.cpython-39.pyc", b"", path_type="pyc_file"),
        path_row("bin/mod-cli", b"", path_type="unix_python_entry_point"),
        path_row("bin/of-its-own", b"x", no_link=True),
        path_row("bin/activate", b"x"),
        path_row("lib/libmod.a", b"x"),
        path_row(f"{SITE}/notebook/static/main.js.map", b"x"),
        path_row("share/doc/mod.txt", b"x"),
        path_row("ssl/cacert.pem", b"x"),
        path_row("../outside/bin/x", b"x"),
        path_row("/usr/bin/x", b"x"),
        path_row("bin/nul\0", b"x"),
        path_row("bin/half-a-pair-\ud800", b"x"),
        path_row("bin/nothing", b"x", sha256=None, sha256_in_prefix=None, size_in_bytes=None),
        path_row("bin/odd", b"x", sha256="00", sha256_in_prefix=None, size_in_bytes="1"),
        {"_path": 7},
        {},
        "no row",
    ],
)
def test_rows_that_are_not_judged(compare: Compare, row: Any) -> None:
    told = of_conda(compare, [*ROWS, row])
    assert edits(told) == ([], [])
    assert told["rows"] == 3


def test_a_placeholder_without_the_hash_in_the_prefix(compare: Compare) -> None:
    row = path_row("bin/mod", PACKED, prefix_placeholder="/placeholder", sha256_in_prefix=None)
    told = of_conda(compare, [row])
    assert (edits(told), told["rows"]) == (([], []), 0)


def test_a_file_of_two_packages(compare: Compare) -> None:
    """The later one has overwritten it."""
    other = {"paths_data": {"paths": [path_row(f"{SITE}/mod.py", b"the other's\n")]}}
    changes: Changes = {
        f"{PREFIX}/{SITE}/mod.py": b"the other's\n",
        f"{PREFIX}/conda-meta/other-1.0-0.json": json.dumps(other),
    }
    assert edits(of_conda(compare, ROWS, changes)) == ([], [])


@pytest.mark.parametrize("raw", ["", "{", "[]", '{"paths_data": []}', '{"paths_data": {"paths": 1}}', "[" * 100_000])
def test_records_that_are_none(compare: Compare, raw: str) -> None:
    told = of_conda(compare, [], {META: raw})
    assert (edits(told), told["rows"]) == (([], []), 0)


def test_a_number_of_many_digits_takes_no_time(compare: Compare) -> None:
    row = f'{{"_path": "bin/mod", "path_type": "hardlink", "size_in_bytes": {"9" * 4_000_000}}}'
    told = of_conda(compare, [], {META: f'{{"paths_data": {{"paths": [{row}]}}}}'})
    assert (edits(told), told["rows"]) == (([], []), 0)


def test_a_record_that_is_too_large(compare: Compare) -> None:
    told = of_conda(compare, [], {META: " " * (packaged.PREFIX_RECORD_LIMIT + 1)})
    assert told.get("rows") is None
    assert told["problem"].startswith("larger than the limit of")
