"""The comparison of files with RECORD, on a disk and in a tree of layers: both say the same."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import posixpath
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reprocheck.archives.digest import DigestError
from reprocheck.capture import capture
from reprocheck.layers.blob import BlobError, OpenFile, Pieces, Window
from reprocheck.layers.directory import Directory
from reprocheck.layers.tar_layer import StreamedLayer
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import Record, RecordEvidence
from reprocheck.probe import collect, record
from reprocheck.targets import kept
from reprocheck.targets.address import Address
from reprocheck.targets.files import TreeFiles
from reprocheck.targets.mounts import Mounts
from reprocheck.targets.resolve import Access
from reprocheck.targets.static import StaticSession
from tests import interpreters
from tests.layers.archives import END, Drip, file, plain, streamed
from tests.targets.test_static import DOCUMENT

SITE = "/usr/local/lib/python3.9/site-packages"
SOURCE = b"answer = 42\n"

Compare = Callable[..., dict[str, Any]]


def digest(raw: bytes, name: str = "sha256", padding: str = "") -> str:
    return f"{name}={base64.urlsafe_b64encode(hashlib.new(name, raw).digest()).decode().rstrip('=')}{padding}"


def row(path: str, raw: bytes = SOURCE, **changes: str) -> str:
    fields = {"hash": digest(raw), "size": str(len(raw)), **changes}
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([path, fields["hash"], fields["size"]])
    return line.getvalue()


def plant(root: Path, path: str, raw: bytes = SOURCE) -> Path:
    where = root / path.lstrip("/")
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(raw)
    return where


def asked(files: Any, at: str, *, deep: bool) -> dict[str, Any]:
    state: dict[str, Any] = {"found": {}, "interpreters": {}}
    want = {"want": "record", "at": at, "deep": deep}
    told: dict[str, Any] = json.loads(json.dumps(collect.answer({"wants": [want]}, collect.Answer(state, files))))
    assert told["failed"] == []
    records: dict[str, Any] = told["records"]
    return records


@contextmanager
def packed(root: Path) -> Iterator[StreamedLayer]:
    """A directory as a layer that comes by as a stream, of which is kept what is kept of every layer."""
    with tempfile.TemporaryFile() as archived:
        with tarfile.open(fileobj=archived, mode="w") as archive:
            archive.add(root, "/")
        archived.flush()
        window = Window(OpenFile(archived.fileno()), 0, archived.tell())

        def opened() -> Pieces:
            reader = window.reader()
            return Pieces(lambda: reader.read(1 << 16))

        yield kept.as_it_comes_by(opened, kept.room())


@pytest.fixture(params=["disk", "tree", "stream"])
def compare(request: pytest.FixtureRequest, tmp_path: Path) -> Compare:
    """Compares one RECORD, `mod-1.0.dist-info/RECORD` of a site directory below `tmp_path`."""

    def on_disk(rows: str | bytes, *, deep: bool = False, site: str = SITE) -> dict[str, Any]:
        plant(tmp_path, f"{site}/mod-1.0.dist-info/RECORD", rows if isinstance(rows, bytes) else rows.encode())
        (told,) = asked(collect.Disk(), f"{tmp_path}{site}/mod-1.0.dist-info/RECORD", deep=deep).values()
        return told  # type: ignore[no-any-return]

    def in_tree(rows: str | bytes, *, deep: bool = False, site: str = SITE) -> dict[str, Any]:
        plant(tmp_path, f"{site}/mod-1.0.dist-info/RECORD", rows if isinstance(rows, bytes) else rows.encode())
        with closing(Directory(tmp_path)) as layer:
            (told,) = asked(TreeFiles(Tree([layer])), f"{site}/mod-1.0.dist-info/RECORD", deep=deep).values()
        return told  # type: ignore[no-any-return]

    def in_stream(rows: str | bytes, *, deep: bool = False, site: str = SITE) -> dict[str, Any]:
        plant(tmp_path, f"{site}/mod-1.0.dist-info/RECORD", rows if isinstance(rows, bytes) else rows.encode())
        with packed(tmp_path) as layer:
            session = StaticSession(DOCUMENT, Tree([layer]))
            answer = session.answer([Record(at=f"{site}/mod-1.0.dist-info/RECORD", deep=deep)])
            assert layer.passes <= 1 + deep
        assert answer is not None
        assert answer.failed == ()
        (told,) = answer.records.values()
        return json.loads(json.dumps(msgspec.structs.asdict(told)))  # type: ignore[no-any-return]

    return {"disk": on_disk, "tree": in_tree, "stream": in_stream}[request.param]


def edits(told: dict[str, Any]) -> tuple[list[str], list[str]]:
    return told["modified"], told["missing"]


# What agrees.


@pytest.mark.parametrize("deep", [False, True])
def test_files_as_they_were_installed(compare: Compare, tmp_path: Path, deep: bool) -> None:
    plant(tmp_path, f"{SITE}/mod.py")
    plant(tmp_path, f"{SITE}/pkg/sub/__init__.py", b"")
    plant(tmp_path, "/usr/local/bin/run", b"#!/usr/bin/python3\n")
    rows = row("mod.py") + row("pkg/sub/__init__.py", b"") + row("../../../bin/run", b"#!/usr/bin/python3\n")
    told = compare(rows + "mod-1.0.dist-info/RECORD,,\n", deep=deep)
    assert edits(told) == ([], [])
    assert told["problem"] is None
    assert (told["deep"], told["rows"], told["checked"], told["unverifiable"]) == (deep, 4, 3, 0)
    assert (told["bad"], told["outside"], told["unreadable"], told["unnamed"]) == (0, 0, 0, 0)


def test_the_digest_is_that_of_the_file(compare: Compare) -> None:
    rows = "a.py,,\r\nb.py,,"
    told = compare(rows)
    assert told["sha256"] == hashlib.sha256(rows.encode()).hexdigest()
    assert (told["size"], told["lines"], told["rows"]) == (len(rows), 2, 2)


@pytest.mark.parametrize(
    "name", ["a,b.py", 'quo"te.py', "two\nlines.py", "blank .py", "ünï.py", "mod.py", "'.py", "[x].py"]
)
def test_names_as_the_csv_module_writes_them(compare: Compare, tmp_path: Path, name: str) -> None:
    plant(tmp_path, f"{SITE}/pkg/{name}")
    plant(tmp_path, f"{SITE}/last.py", b"changed")
    told = compare(row(f"pkg/{name}") + row("last.py"), deep=True)
    assert edits(told) == (["last.py"], [])
    assert (told["rows"], told["bad"], told["checked"]) == (2, 0, 2)


def test_a_byte_order_mark_is_no_part_of_the_first_name(compare: Compare, tmp_path: Path) -> None:
    plant(tmp_path, f"{SITE}/mod.py")
    assert edits(compare(b"\xef\xbb\xbf" + row("mod.py").encode())) == ([], [])
    assert edits(compare(b"\xef\xbb\xbf" + row('x"mod.py').encode())) == ([], ['x"mod.py'])


# What does not.


def test_another_size_is_seen_by_sizes(compare: Compare, tmp_path: Path) -> None:
    plant(tmp_path, f"{SITE}/mod.py", SOURCE + b"# edited\n")
    for deep in (False, True):
        assert edits(compare(row("mod.py"), deep=deep)) == (["mod.py"], [])


def test_the_same_size_is_seen_by_hashes_alone(compare: Compare, tmp_path: Path) -> None:
    plant(tmp_path, f"{SITE}/pkg/mod.py", SOURCE.replace(b"42", b"43"))
    assert edits(compare(row("pkg/mod.py"))) == ([], [])
    assert edits(compare(row("./pkg/../pkg/mod.py"), deep=True)) == (["pkg/mod.py"], [])


def test_a_file_that_is_gone(compare: Compare, tmp_path: Path) -> None:
    plant(tmp_path, f"{SITE}/file", b"no directory")
    rows = row("mod.py") + row("pkg/mod.py") + row("file/mod.py") + row("x" * 300)
    for deep in (False, True):
        told = compare(rows, deep=deep)
        assert edits(told) == ([], ["file/mod.py", "mod.py", "pkg/mod.py", "x" * 300])
        assert told["checked"] == 4


def test_an_added_file_is_not_judged(compare: Compare, tmp_path: Path) -> None:
    plant(tmp_path, f"{SITE}/mod.py")
    plant(tmp_path, f"{SITE}/mine.py")
    assert edits(compare(row("mod.py"), deep=True)) == ([], [])


def test_what_is_no_file_any_more(compare: Compare, tmp_path: Path) -> None:
    (tmp_path / SITE[1:] / "mod.py").mkdir(parents=True)
    os.mkfifo(tmp_path / SITE[1:] / "pipe.py")
    rows = row("mod.py") + row("pipe.py", b"") + row("pipe.py", b"", size="")
    assert edits(compare(rows, deep=True)) == (["mod.py", "pipe.py"], [])


# What is not judged.


def test_rows_without_size_and_hash(compare: Compare) -> None:
    told = compare("mod.py,,\n__pycache__/mod.cpython-39.pyc,,\nmod-1.0.dist-info/RECORD.jws,,\n")
    assert edits(told) == ([], [])
    assert (told["rows"], told["checked"], told["unverifiable"]) == (3, 0, 0)


def test_bytecode(compare: Compare, tmp_path: Path) -> None:
    """Whoever runs next writes that in `__pycache__`; beside its source it may be all that there is."""
    plant(tmp_path, f"{SITE}/pkg/__pycache__/mod.cpython-39.pyc", b"other")
    plant(tmp_path, f"{SITE}/pkg/alone.pyc", b"other")
    rows = row("pkg/__pycache__/mod.cpython-39.pyc") + row("pkg/__pycache__/gone.cpython-39.pyc")
    told = compare(rows + row("__pycache__/mod.cpython-39.pyc") + row("pkg/alone.pyc") + row("pkg/gone.pyc"))
    assert edits(told) == (["pkg/alone.pyc"], [])


def test_what_the_installer_tells_of_itself(compare: Compare, tmp_path: Path) -> None:
    own = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD", "RECORD.jws", "RECORD.p7s")
    plant(tmp_path, f"{SITE}/mod-1.0.dist-info/INSTALLER", b"conda")
    plant(tmp_path, f"{SITE}/other/INSTALLER", b"changed")
    rows = "".join(row(f"mod-1.0.dist-info/{name}") for name in own)
    assert edits(compare(rows + row("other/INSTALLER") + row("mod-1.0.dist-info/METADATA"))) == (
        ["other/INSTALLER"],
        ["mod-1.0.dist-info/METADATA"],
    )


@pytest.mark.parametrize(
    "recorded",
    [
        digest(SOURCE, "md5"),
        digest(SOURCE, "sha1"),
        digest(SOURCE, "sha224"),
        digest(SOURCE, padding="="),
        digest(SOURCE)[:-4],
        digest(SOURCE)[:-1] + "_",
        digest(SOURCE).replace("sha256", "sha512"),
        digest(SOURCE).replace("sha256", "nonsense"),
        "nonsense",
        "sha256=",
        "sha256=$$$$",
        "sha256=" + hashlib.sha256(SOURCE).hexdigest(),
    ],
)
def test_45_a_hash_that_cant_be_trusted_is_neither_right_nor_wrong(
    compare: Compare, tmp_path: Path, recorded: str
) -> None:
    plant(tmp_path, f"{SITE}/mod.py")
    told = compare(row("mod.py", hash=recorded), deep=True)
    assert edits(told) == ([], [])
    assert (told["checked"], told["unverifiable"]) == (0, 1)
    told = compare(row("mod.py", hash=recorded))
    assert (told["checked"], told["unverifiable"]) == (1, 0)
    assert edits(compare(row("mod.py", hash=recorded, size="1"), deep=True)) == (["mod.py"], [])


@pytest.mark.parametrize("name", sorted(record.ALGORITHMS))
def test_every_hash_that_the_specification_allows(compare: Compare, tmp_path: Path, name: str) -> None:
    plant(tmp_path, f"{SITE}/mod.py")
    plant(tmp_path, f"{SITE}/edited.py", SOURCE[::-1])
    rows = row("mod.py", hash=digest(SOURCE, name)) + row("edited.py", hash=digest(SOURCE, name))
    told = compare(rows, deep=True)
    assert edits(told) == (["edited.py"], [])
    assert (told["checked"], told["unverifiable"]) == (2, 0)


def test_a_hash_without_a_size_and_a_size_without_a_hash(compare: Compare, tmp_path: Path) -> None:
    plant(tmp_path, f"{SITE}/mod.py", b"edited")
    rows = row("mod.py", size="")
    told = compare(rows)
    assert (edits(told), told["unverifiable"]) == (([], []), 1)
    assert edits(compare(rows, deep=True)) == (["mod.py"], [])
    assert edits(compare(row("mod.py", b"edited", hash=""), deep=True)) == ([], [])
    assert edits(compare(row("mod.py", hash=""), deep=True)) == (["mod.py"], [])


# Scripts.

BODY = b"# -*- coding: utf-8 -*-\nprint('run')\n"
WRITTEN = b"#!/usr/local/bin/python3.9\n" + BODY


@pytest.mark.parametrize("first", [b"#!python\n", b"#!pythonw\n", b"#!python3\n", b"#!python\r\n", b"#!pythonw\r\n"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_script_is_compared_without_its_first_line(
    compare: Compare, tmp_path: Path, first: bytes, deep: bool
) -> None:
    plant(tmp_path, "/usr/local/bin/run", WRITTEN)
    told = compare(row("../../../bin/run", first + BODY), deep=deep)
    assert edits(told) == ([], [])
    assert (told["checked"], told["unverifiable"]) == (1, 0)


def test_the_body_of_a_script_is_compared(compare: Compare, tmp_path: Path) -> None:
    plant(tmp_path, "/usr/local/bin/run", WRITTEN.replace(b"run", b"ran"))
    rows = row("../../../bin/run", b"#!python\n" + BODY)
    assert edits(compare(rows)) == ([], [])
    assert edits(compare(rows, deep=True)) == (["../../../bin/run"], [])
    plant(tmp_path, "/usr/local/bin/run", WRITTEN + b"x")
    told = compare(rows, deep=True)
    assert (edits(told), told["unverifiable"]) == (([], []), 1), "only the first line, or more? nobody can tell"


def test_a_script_without_a_first_line_of_its_own_is_a_file(compare: Compare, tmp_path: Path) -> None:
    plant(tmp_path, "/usr/local/bin/run", BODY)
    plant(tmp_path, "/usr/local/bin/empty", b"")
    plant(tmp_path, f"{SITE}/pkg/bin/run", WRITTEN)
    first = b"#!python\n" + BODY
    told = compare(row("../../../bin/run", first) + row("../../../bin/empty", first) + row("pkg/bin/run", first))
    assert edits(told) == (["../../../bin/empty", "../../../bin/run", "pkg/bin/run"], [])


# What a RECORD can't say.


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("<<<<<<< HEAD", "1 columns"),
        ("=======", "1 columns"),
        ("mod.py,sha256=abc", "2 columns"),
        ("mod.py,sha256=abc,1,", "4 columns"),
        ("mod.py,a,b,c,d", "5 columns"),
        ('"mod.py,sha256=abc,1', "a quote without its end"),
        ('"mod.py"x,sha256=abc,1', "a quote without its end"),
        ("m\0d.py,sha256=abc,1", "a NUL in the name"),
        ("pkg\\mod.py,sha256=abc,1", "a backslash in the name"),
        ("pkg/,sha256=abc,1", "no name of a file"),
        ("./,sha256=abc,1", "no name of a file"),
        ("pkg/..,,1", "no name of a file"),
        (",sha256=abc,1", "no name of a file"),
        ("x" * 4097 + ",sha256=abc,1", "a name of more than 4096 bytes"),
        ("mod.py,sha256=abc,large", "a size that is no number"),
        ("mod.py,sha256=abc,-1", "a size that is no number"),
        ("mod.py,sha256=abc,1" + "0" * 30, "a size that is no number"),
    ],
)
def test_43_bad_rows_are_counted_and_the_first_is_quoted(
    compare: Compare, tmp_path: Path, line: str, wrong: str
) -> None:
    plant(tmp_path, f"{SITE}/good.py")
    plant(tmp_path, f"{SITE}/edited.py", b"edited")
    told = compare(f"{row('good.py')}\n{line}\n{row('edited.py')}{line}\n")
    assert told["bad"] == 2
    assert told["first_bad"] == f"row 3, {wrong}: {line[:80]}"
    assert told["rows"] == 2
    assert edits(told) == (["edited.py"], [])


def test_43_a_field_of_megabytes_is_a_bad_row(compare: Compare, tmp_path: Path) -> None:
    plant(tmp_path, f"{SITE}/edited.py", b"edited")
    for long in ('"' + "x" * (2 << 20) + '",,1', '"' + "x\n" * 100_000):
        began = time.monotonic()
        told = compare(f"{long}\n{row('edited.py')}")
        assert time.monotonic() - began < 5
        assert told["first_bad"] == f"row 1, a quote without its end: {long.partition(chr(10))[0][:80]}"
        assert edits(told) == (["edited.py"], [])


def test_quotes_without_end_take_time_in_proportion(compare: Compare) -> None:
    began = time.monotonic()
    told = compare('"a\n' * 100_000)
    assert told["bad"] == 100_000
    assert time.monotonic() - began < 20


def test_43_a_record_that_is_too_large(compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record.Records, "limit", 30)
    told = compare("a" * 31)
    assert told["problem"] == "larger than the limit of 30 bytes, so not compared"
    assert (told["sha256"], told["lines"]) == (hashlib.sha256(b"a" * 31).hexdigest(), 1)
    assert told.get("rows") is None
    assert compare("a" * 30)["problem"] is None


def test_43_a_record_of_300_megabytes(compare: Compare, tmp_path: Path) -> None:
    compare("")
    with (tmp_path / SITE[1:] / "mod-1.0.dist-info/RECORD").open("wb") as file:
        file.truncate(300 << 20)
    (told,) = asked(collect.Disk(), f"{tmp_path}{SITE}/*.dist-info/RECORD", deep=False).values()
    assert told == {"problem": f"larger than the limit of {256 << 20} bytes", "size": 300 << 20}


def test_more_rows_than_the_limit(compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "ROW_LIMIT", 2)
    plant(tmp_path, f"{SITE}/b.py")
    told = compare(row("a.py") + row("b.py") + row("c.py"))
    assert told["problem"] == "more than 2 rows in all, so not compared to its end"
    assert edits(told) == ([], ["a.py"])
    assert compare(row("a.py") + row("b.py"))["problem"] is None


def test_more_bytes_than_are_hashed(compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "HASH_LIMIT", len(SOURCE))
    plant(tmp_path, f"{SITE}/a.py")
    plant(tmp_path, f"{SITE}/b.py", SOURCE[::-1])
    told = compare(row("a.py") + row("b.py"), deep=True)
    assert told["problem"] == f"more than {len(SOURCE)} bytes to hash, so not compared to its end"
    assert (edits(told), told["checked"], told["unverifiable"]) == (([], []), 1, 1)


def test_no_more_than_some_are_named(compare: Compare) -> None:
    told = compare("".join(row(f"m{number:03}.py") for number in range(record.NAMED + 7)))
    assert len(told["missing"]) == record.NAMED
    assert told["missing"][0] == "m000.py"
    assert (told["unnamed"], told["checked"]) == (7, record.NAMED + 7)


def test_a_file_is_hashed_once_however_many_rows_name_it(
    compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "HASH_LIMIT", 2 * len(SOURCE))
    plant(tmp_path, f"{SITE}/a.py")
    plant(tmp_path, f"{SITE}/b.py", SOURCE.upper())
    told = compare(row("a.py") * 1000 + row("b.py") * 1000, deep=True)
    assert (told["problem"], told["checked"], edits(told)) == (None, 2, (["b.py"], []))


def test_one_file_in_many_rows_is_one_file(compare: Compare, tmp_path: Path) -> None:
    plant(tmp_path, f"{SITE}/mod.py")
    told = compare(row("mod.py", b"older") + row("./mod.py") + row("gone.py") + row("x/../gone.py"))
    assert edits(told) == ([], ["gone.py"])


# Where it looks.


class Watching(collect.Disk):
    """A disk that takes down what is looked at."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def sizes(self, where: bytes, names: Sequence[bytes]) -> Any:
        self.seen |= {os.path.join(where, name).decode() for name in names}  # noqa: PTH118 - as the probe does it
        return super().sizes(where, names)

    def lstat(self, path: bytes) -> Any:
        self.seen.add(path.decode())
        return super().lstat(path)

    def open(self, path: bytes) -> Any:
        self.seen.add(path.decode())
        return super().open(path)


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("mod.py", f"{SITE}/mod.py"),
        ("./pkg/../mod.py", f"{SITE}/mod.py"),
        ("../other/mod.py", "/usr/local/lib/python3.9/other/mod.py"),
        ("../../../bin/x", "/usr/local/bin/x"),
        ("../../../mod.py", "/usr/local/mod.py"),
        ("../../../../mod.py", None),
        ("../../../../local/bin/x", "/usr/local/bin/x"),
        ("../../../../localx/bin/x", None),
        ("../../../../../etc/shadow", None),
        ("../../../../../../../../../../../../etc/shadow", None),
        ("/etc/shadow", None),
        ("//etc/shadow", None),
        (f"{SITE}/mod.py", None),
        ("pkg/../../../../../../etc/shadow", None),
        ("../../etc/../../../../etc/shadow", None),
    ],
)
def test_44_nothing_outside_of_the_environment_is_looked_at(tmp_path: Path, path: str, where: str | None) -> None:
    own = str(plant(tmp_path, f"{SITE}/mod-1.0.dist-info/RECORD", (row(path) + row("gone.py")).encode()))
    watching = Watching()
    (told,) = asked(watching, own, deep=True).values()
    looked = watching.seen - {own, f"{tmp_path}{SITE}/gone.py"}
    allowed = {f"{tmp_path}{where}"} if where else set()
    assert looked - {f"{tmp_path}{SITE}/bin/x"} <= allowed
    assert (where is not None) == bool(looked & allowed)
    assert told["outside"] == (where is None)
    assert told["first_outside"] == (path if where is None else None)


@pytest.mark.parametrize(
    ("base", "prefix"),
    [
        ("/usr/lib/python3/dist-packages", "/usr"),
        ("/usr/local/lib/python3.9/dist-packages", "/usr/local"),
        ("/usr/lib64/python3.12/site-packages", "/usr"),
        ("/opt/conda/envs/a b/lib/python3.10/site-packages", "/opt/conda/envs/a b"),
        ("/lib/python3/dist-packages", "/"),
        ("/opt/pypy/lib/pypy3.9/site-packages", "/opt/pypy"),
        ("/opt/pypy/site-packages", "/opt/pypy"),
        ("/home/u/.local/lib/python3.13t/site-packages", "/home/u/.local"),
        ("/srv/lib/python", "/srv"),
        ("/app/deps", "/app/deps"),
        ("/app/lib/vendored", "/app/lib/vendored"),
    ],
)
def test_the_environment_of_a_directory(base: str, prefix: str) -> None:
    assert record.prefix_of(base.encode()).decode() == prefix


def test_a_plain_directory_is_its_own_environment(compare: Compare, tmp_path: Path) -> None:
    """`pip install --target` records `../../bin/x` and then moves it beside the packages."""
    plant(tmp_path, "/bin/x", b"another program")
    plant(tmp_path, "/app/deps/mod.py")
    told = compare(row("mod.py") + row("../../bin/x"), site="/app/deps")
    assert (edits(told), told["outside"]) == (([], []), 1)
    plant(tmp_path, "/app/deps/bin/x")
    assert edits(compare(row("mod.py") + row("../../bin/x"), site="/app/deps", deep=True)) == ([], [])
    plant(tmp_path, "/app/deps/bin/x", b"edited")
    told = compare(row("mod.py") + row("../../bin/x"), site="/app/deps")
    assert (edits(told), told["outside"]) == ((["../../bin/x"], []), 0)


def test_links_are_followed_inside(compare: Compare, tmp_path: Path) -> None:
    plant(tmp_path, f"{SITE}/real/mod.py")
    site = tmp_path / SITE[1:]
    (site / "linked").symlink_to("real")
    (site / "mod.py").symlink_to("linked/mod.py")
    (site / "dangling.py").symlink_to("nothing")
    (site / "round.py").symlink_to("round.py")
    rows = row("linked/mod.py") + row("mod.py") + row("dangling.py")
    assert edits(compare(rows, deep=True)) == ([], ["dangling.py"])
    told = compare(rows + row("round.py") + row("mod.py", b"x"))
    assert (told["unreadable"], told["first_unreadable"]) == (1, "round.py")


def test_a_link_out_of_the_root_stays_in_the_root(tmp_path: Path) -> None:
    secret = plant(tmp_path, "/outside/secret", SOURCE)
    root = tmp_path / "root"
    plant(root, f"{SITE}/mod-1.0.dist-info/RECORD", (row("up.py") + row("absolute.py")).encode())
    (root / SITE[1:] / "up.py").symlink_to("../" * 40 + str(secret)[1:])
    (root / SITE[1:] / "absolute.py").symlink_to(secret)
    with closing(Directory(root)) as layer:
        (told,) = asked(TreeFiles(Tree([layer])), f"{SITE}/*.dist-info/RECORD", deep=True).values()
    assert edits(told) == ([], ["absolute.py", "up.py"])


def test_a_deep_tree_needs_few_handles(compare: Compare, tmp_path: Path) -> None:
    deep = "/".join("d" for _ in range(400))
    plant(tmp_path, f"{SITE}/{deep}/mod.py")
    plant(tmp_path, f"{SITE}/{deep}/edited.py", b"edited")
    assert edits(compare(row(f"{deep}/mod.py") + row(f"{deep}/edited.py"), deep=True)) == ([f"{deep}/edited.py"], [])


def test_what_cant_be_looked_at_is_neither_missing_nor_modified(tmp_path: Path) -> None:
    class Closed(collect.Disk):
        def sizes(self, where: bytes, names: Sequence[bytes]) -> Any:
            return ["EACCES"] * len(names) if where.endswith(b"pkg") else super().sizes(where, names)

        def open(self, path: bytes) -> Any:
            if path.endswith(b"closed.py"):
                raise PermissionError(13, "no")
            return super().open(path)

    plant(tmp_path, f"{SITE}/closed.py")
    rows = row("pkg/a.py") + row("pkg/b.py") + row("closed.py")
    plant(tmp_path, f"{SITE}/mod-1.0.dist-info/RECORD", rows.encode())
    (told,) = asked(Closed(), f"{tmp_path}{SITE}/*.dist-info/RECORD", deep=True).values()
    assert edits(told) == ([], [])
    assert (told["checked"], told["unreadable"], told["first_unreadable"]) == (0, 3, "pkg/a.py")
    (told,) = asked(Closed(), f"{tmp_path}{SITE}/*.dist-info/RECORD", deep=False).values()
    assert (told["checked"], told["unreadable"]) == (1, 2)


# Layers that come by as a stream.

LONG = SOURCE * 10_000


def stream_of(*files: tuple[str, bytes]) -> bytes:
    return b"".join(file(path.lstrip("/").encode(), raw) for path, raw in files) + END


def told_of(layer: StreamedLayer, *, deep: bool, tree: Tree | None = None) -> RecordEvidence:
    answer = StaticSession(DOCUMENT, tree or Tree([layer])).answer([Record(at=f"{SITE}/*.dist-info/RECORD", deep=deep)])
    assert answer is not None
    assert answer.failed == ()
    (told,) = answer.records.values()
    return told


def test_many_files_of_several_streams_take_one_pass_each() -> None:
    names = [f"{number}.py" for number in range(50)]
    rows = "".join(row(f"pkg/{name}", LONG) for name in names)
    below = streamed(*(file(f"{SITE}/pkg/{name}".encode(), LONG) for name in names))
    above = streamed(
        file(f"{SITE}/mod-1.0.dist-info/RECORD".encode(), rows.encode()),
        file(f"{SITE}/pkg/7.py".encode(), LONG[::-1]),
        file(f"{SITE}/pkg/8.py".encode(), LONG),
    )
    told = told_of(above, deep=False, tree=Tree([below, above]))
    assert (told.modified, told.checked, below.passes, above.passes) == ((), 50, 1, 2), "RECORD was not kept"
    told = told_of(above, deep=True, tree=Tree([below, above]))
    assert (told.modified, told.checked, told.unreadable) == (("pkg/7.py",), 50, 0)
    assert (below.passes, above.passes) == (2, 3)
    assert sum(map(len, below.kept.values())) == 0, "nothing of them is held"


def test_a_script_that_was_not_kept_is_fetched_and_no_alarm() -> None:
    body = b"x = 1\n" * 5000
    data = stream_of(
        ("/usr/local/bin/run", b"#!/usr/local/bin/python3.9\n" + body),
        (f"{SITE}/mod-1.0.dist-info/RECORD", row("../../../bin/run", b"#!python\n" + body).encode()),
    )
    layer = kept.as_it_comes_by(lambda: Drip(data), kept.room())
    told = told_of(layer, deep=False)
    assert (told.modified, told.checked, told.unreadable, layer.passes) == ((), 1, 0, 2)


@pytest.mark.parametrize("deep", [False, True])
def test_a_stream_that_is_gone_makes_no_edits(deep: bool) -> None:
    body = b"x = 1\n" * 5000
    data = stream_of(
        ("/usr/local/bin/run", b"#!/usr/local/bin/python3.9\n" + body),
        (f"{SITE}/mod.py", SOURCE[::-1]),
        (f"{SITE}/mod-1.0.dist-info/RECORD", (row("../../../bin/run", b"#!python\n" + body) + row("mod.py")).encode()),
    )
    times = iter([data])
    layer = kept.as_it_comes_by(lambda: Drip(next(times, b"")), kept.room())
    told = told_of(layer, deep=deep)
    assert (told.modified, told.missing, told.unreadable) == ((), (), 1 + deep)
    assert told.checked == 1 - deep


def test_a_stream_that_breaks_late_makes_no_edits() -> None:
    data = stream_of(
        (f"{SITE}/a.py", SOURCE[::-1]),
        (f"{SITE}/b.py", SOURCE),
        (f"{SITE}/mod-1.0.dist-info/RECORD", (row("a.py") + row("b.py")).encode()),
    )

    class Late(Drip):
        def read(self, size: int, /) -> bytes:
            found = super().read(size)
            if not found:
                raise BlobError("corrupt")
            return found

    opened = iter([Drip(data), Late(data)])
    told = told_of(kept.as_it_comes_by(lambda: next(opened), kept.room()), deep=True)
    assert (told.modified, told.checked, told.unreadable) == ((), 0, 2)


def test_a_layer_that_is_another_one_by_now_ends_the_reading() -> None:
    data = stream_of((f"{SITE}/a.py", SOURCE), (f"{SITE}/mod-1.0.dist-info/RECORD", row("a.py").encode()))

    class Other(Drip):
        def read(self, size: int, /) -> bytes:
            found = super().read(size)
            if not found:
                raise DigestError("digest mismatch layer 1")
            return found

    opened = iter([Drip(data), Other(data)])
    with pytest.raises(DigestError, match="layer 1"):
        told_of(kept.as_it_comes_by(lambda: next(opened), kept.room()), deep=True)


def test_below_a_mount_nothing_is_missing() -> None:
    """A volume over the packages of a container that does not run: what it holds is not in the layers."""
    rows = row("pkg/a.py") + row("pkg/sub/b.py") + row("mod.py") + row("gone.py")
    layers = plain(
        file(f"{SITE}/mod-1.0.dist-info/RECORD".encode(), rows.encode()), file(f"{SITE}/mod.py".encode(), b"below")
    )
    for mounts, seen in (((f"{SITE}/pkg", f"{SITE}/mod.py"), ((), ("gone.py",), 3)), ((), (("mod.py",), 3, 0))):
        tree = Tree([layers])
        session = StaticSession(DOCUMENT, tree, mounts=Mounts(tree, mounts))
        answer = session.answer([Record(at=f"{SITE}/*.dist-info/RECORD")])
        assert answer is not None
        (told,) = answer.records.values()
        missing = told.missing if mounts else len(told.missing)
        assert (told.modified, missing, told.unreadable) == seen


def test_no_secret_of_a_row_is_told(compare: Compare) -> None:
    told = compare(
        "https://me:secret@example.invalid/x.py,sha256=x,1\nhttps://me:secret@example.invalid/bad\n"
        "/https://me:secret@example.invalid/outside,,\n"
    )
    assert "example.invalid" in json.dumps(told)
    assert "secret" not in json.dumps(told)


def test_a_record_that_is_missing_or_no_file(tmp_path: Path) -> None:
    site = tmp_path / SITE[1:]
    (site / "a-1.dist-info").mkdir(parents=True)
    (site / "b-1.dist-info/RECORD").mkdir(parents=True)
    (site / "c-1.dist-info").mkdir()
    os.mkfifo(site / "c-1.dist-info/RECORD")
    told = asked(collect.Disk(), f"{tmp_path}{SITE}/*.dist-info/RECORD", deep=True)
    assert [one["problem"] for one in told.values()] == ["ENOENT", "not a regular file", "not a regular file"]


def test_a_file_of_several_distributions_agrees_with_one_of_them(tmp_path: Path) -> None:
    """The last that was installed has overwritten it; nobody has edited it."""
    plant(tmp_path, f"{SITE}/tests/__init__.py", b"second")
    for name, raw in (("a", b"first one"), ("b", b"second"), ("c", b"3")):
        rows = row("tests/__init__.py", raw) + row("tests/gone.py")
        plant(tmp_path, f"{SITE}/{name}-1.dist-info/RECORD", rows.encode())
    for deep in (False, True):
        told = asked(collect.Disk(), f"{tmp_path}{SITE}/*.dist-info/RECORD", deep=deep)
        assert [edits(one) for one in told.values()] == [([], ["tests/gone.py"])] * 3
    plant(tmp_path, f"{SITE}/tests/__init__.py", b"secont")
    told = asked(collect.Disk(), f"{tmp_path}{SITE}/*.dist-info/RECORD", deep=True)
    assert [one["modified"] for one in told.values()] == [["tests/__init__.py"]] * 3


# In parallel.


def test_hashing_goes_on_where_no_thread_can_be_started(
    compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoThread:
        def __init__(self, target: Callable[[], None]) -> None:
            pass

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(threading, "Thread", NoThread)
    for number in range(9):
        plant(tmp_path, f"{SITE}/m{number}.py", SOURCE if number else SOURCE[::-1])
    told = compare("".join(row(f"m{number}.py") for number in range(9)), deep=True)
    assert (edits(told), told["checked"]) == ((["m0.py"], []), 9)


def test_many_files_in_many_threads(compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for number in range(300):
        plant(tmp_path, f"{SITE}/p{number % 17}/m{number}.py", SOURCE if number % 100 else SOURCE[::-1])
    told = compare("".join(row(f"p{number % 17}/m{number}.py") for number in range(300)), deep=True)
    assert edits(told) == (["p0/m0.py", "p13/m200.py", "p15/m100.py"], [])
    assert told["checked"] == 300


# Everywhere.


@pytest.mark.parametrize("minor", interpreters.MINORS)
def test_every_interpreter_compares_alike(minor: int, tmp_path: Path) -> None:
    executable = interpreters.virtual_environment(interpreters.python(minor), tmp_path / "venv")
    site = interpreters.site_packages(executable)
    files: dict[str, tuple[bytes, bytes]] = {
        "same.py": (SOURCE, SOURCE),
        "ünï, code.py": (SOURCE, SOURCE[::-1]),
        "pkg/larger.py": (SOURCE, SOURCE + SOURCE),
        "../../../bin/run": (b"#!python\n" + BODY, WRITTEN),
    }
    for name, (_, now) in files.items():
        plant(site, name, now)
    (tmp_path / "venv/bin/run").resolve(strict=True)
    rows = "".join(row(name, then) for name, (then, _) in files.items()) + row("gone.py") + '"open\nm\0d.py,,\n'
    plant(site, "mod-1.0.dist-info/RECORD", rows.encode())
    plant(site, "mod-1.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: mod\nVersion: 1.0\n\n")
    for deep in (False, True):
        (one,) = capture(Address("python", str(executable)), Access(deep=deep)).environments
        mod = next(package for package in one.packages if package.name == "mod")
        assert mod.files.checked == ("hashes" if deep else "sizes")
        assert mod.files.modified == (("pkg/larger.py", "ünï, code.py") if deep else ("pkg/larger.py",))
        assert mod.files.missing == ("gone.py",)
        assert mod.files.count == 7
        assert mod.problems == ('RECORD: 2 malformed rows, the first: row 6, a quote without its end: "open',)


# Laws.


@given(st.lists(st.tuples(*[st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"))] * 3), min_size=1))
def test_rows_are_read_as_the_csv_module_reads_them(lines: list[tuple[str, ...]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    raw = text.getvalue().encode("latin-1")
    wanted = [line for line in csv.reader(io.StringIO(text.getvalue(), newline="")) if line]
    if not raw.startswith(b"\xef\xbb\xbf"):
        assert [[cell.decode("latin-1") for cell in found] for _, found, _ in record.rows(raw)] == wanted


@given(st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b"/", b"..", b"\0", b"\\", b"sha256=", b"1"])))
def test_any_bytes_are_some_rows(pieces: Iterable[bytes]) -> None:
    raw = b"".join(pieces)
    numbers = [number for number, _, _ in record.rows(raw)]
    assert numbers == sorted(set(numbers))
    assert all(1 <= number <= raw.count(b"\n") + 1 for number in numbers)
    for _, found, _ in record.rows(raw):
        assert record.fault(found) or found is not None


@given(
    st.lists(
        st.sampled_from(
            [b",", b",,", b"\n", b",,\n", b"\r\n", b"\r", b"a", b"/", b".", b"..", b"\0", b"\\", b'"', b"1"]
        ),
        max_size=12,
    )
)
@example([b"a", b"/", b"a", b",", b"sha256=", b",", b"1", b"\r\n", b"a", b",,"])
@example([b"x" * 4096, b",,\n"])
@example([b"\xef\xbb\xbf", b"a", b",,\n"])
def test_plain_rows_are_rows_that_nothing_is_wrong_with(pieces: Iterable[bytes]) -> None:
    raw = b"".join(pieces)
    plain = record.plain_rows(raw)
    if plain is not None:
        count, columns = plain
        read = [(found, record.fault(found)) for _, found, _ in record.rows(raw)]
        assert [fault for _, fault in read] == [None] * count
        of_plain = [
            [b"/".join(filter(None, (head, name))), digest, size]
            for head, column in columns.items()
            for name, digest, size in zip(*column, strict=True)
        ]
        assert sorted(of_plain) == sorted(found for found, _ in read if found[1] or found[2])
        heads = [found[0].rpartition(b"/")[0] for found, _ in read]
        assert list(columns) == list(dict.fromkeys(heads)), "each directory, in order, to tell what is outside"


@given(st.lists(st.sampled_from([b"/", b".", b"..", b"a", b"__pycache__", b".libs", b"a.b"]), max_size=8))
def test_a_directory_is_where_its_shortest_path_leads(pieces: Iterable[bytes]) -> None:
    head = b"".join(pieces)
    where, shown, judged = record.Records(collect.Disk(), False).where(
        head, b"/env/lib/python3.9/site-packages", b"/env"
    )
    shortest = posixpath.normpath(b"/env/lib/python3.9/site-packages/" + head)
    inside = not head.startswith(b"/") and (shortest + b"/").startswith(b"/env/")
    assert where == (shortest if inside else None)
    assert shown == (b"" if posixpath.normpath(head or b".") == b"." else posixpath.normpath(head))
    assert judged == (posixpath.basename(posixpath.normpath(head or b".")) != b"__pycache__")


def test_the_rows_of_installers_are_plain() -> None:
    lines = b"a.py,sha256=x-_,12\na/b.py,,\n../../../bin/a,sha256=x,1\r\na/__pycache__/b.cpython-39.pyc,,\n"
    assert record.plain_rows(lines) == (
        4,
        {
            b"": ([b"a.py"], [b"sha256=x-_"], [b"12"]),
            b"a": ([], [], []),
            b"../../../bin": ([b"a"], [b"sha256=x"], [b"1"]),
            b"a/__pycache__": ([], [], []),
        },
    )


# Rows that are looked at together are judged as if each were looked at alone.


class Singly(record.Records):
    """Takes each row by itself, and every file as if something were wrong with it."""

    def take_plain(self, *_: Any) -> bool:
        return False

    def wanted(self, sizes: Sequence[bytes], _: Any) -> Any:
        return [-1] * len(sizes)


ROW = st.tuples(
    st.sampled_from(
        [
            "a.py",
            "pkg/a.py",
            "./pkg/a.py",
            "pkg/../a.py",
            "pkg/b.py",
            "pkg/link.py",
            "pkg/dangling.py",
            "pkg/sub",
            "linked/a.py",
            "pkg/gone.py",
            "pkg/gone.pyc",
            "gone/a.py",
            "pkg/__pycache__/a.pyc",
            "../../../bin/run",
            "m-0.dist-info/INSTALLER",
            "m-1.dist-info/INSTALLER",
            "m-0.dist-info/METADATA",
        ]
    ),
    st.sampled_from(["", "sha256=x"]),
    st.sampled_from(["", "0", "5", "05", "7"]),
)
ODD = st.sampled_from(
    [
        *("/outside,,5", "../../../../../outside,,", "../../bin/run,,5", "../../bin/gone,,5", "pkg//b.py,,0"),
        *("pkg/.,,5", "a.py,,+5", "a.py,,1_0", "a.py,,0000000000000000005", '"pkg/a.py",,5', "a.py,5", ",,", "\r", ""),
    ]
)


def environment(root: Path) -> None:
    for path in ("a.py", "pkg/a.py", "pkg/b.py", "pkg/__pycache__/a.pyc", "bin/run", "pkg/sub/c.py"):
        plant(root, f"{SITE}/{path}", b"" if path.endswith("b.py") else b"12345")
    for number in range(3):
        plant(root, f"{SITE}/m-{number}.dist-info/INSTALLER", b"pip\n1")
        plant(root, f"{SITE}/m-{number}.dist-info/METADATA", b"1234567")
    plant(root, "/usr/local/bin/run", b"#!/usr/bin/python3\n12345")
    site = root / SITE[1:]
    (site / "pkg/link.py").symlink_to("../a.py")
    (site / "pkg/dangling.py").symlink_to("nothing")
    (site / "linked").symlink_to("pkg")


@given(
    st.lists(st.tuples(st.lists(ROW, max_size=8), st.lists(ODD, max_size=2)), min_size=1, max_size=3),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([3, record.ROW_LIMIT]),
    st.sampled_from([(), (f"{SITE}/pkg",), (f"{SITE}/pkg/b.py",)]),
)
def test_rows_are_judged_together_as_they_are_singly(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[list[tuple[str, str, str]], list[str]]],
    end: str,
    limit: int,
    mounts: tuple[str, ...],
) -> None:
    root = tmp_path_factory.getbasetemp() / "judged"
    if not root.exists():
        environment(root)

    def told(kind: type[record.Records], files: Any, below: str) -> list[dict[str, Any]]:
        compared, all_told = kind(files, False), []
        compared.rows = limit
        for number, (rows, odd) in enumerate(records):
            raw = "".join(f"{line}{end}" for line in [*map(",".join, rows), *odd]).encode()
            all_told.append({"problem": None})
            compared.take(f"{below}{SITE}/m-{number}.dist-info/RECORD".encode(), raw, all_told[-1])
        compared.compare()
        return all_told

    assert told(record.Records, collect.Disk(), str(root)) == told(Singly, collect.Disk(), str(root))
    with closing(Directory(root)) as layer:
        tree = Tree([layer])
        files = TreeFiles(tree, Mounts(tree, mounts))
        assert told(record.Records, files, "") == told(Singly, files, "")
