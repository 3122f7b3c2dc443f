"""Single files of a container that does not run: what the archive says, and what it can't."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import NotFound

from reprocheck.model.evidence import Document, FileEvidence, List, Read
from reprocheck.model.snapshot import Header, Subject
from reprocheck.targets.archive_endpoint import ArchiveSession

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reprocheck.model.evidence import Answer, AnyWant

HEADER = Header(captured_at="2026-11-22T10:00:00Z", reprocheck="1", target="container:c", route="test", executed=False)
DOCUMENT = Document(header=HEADER, subject=Subject(kind="container", name="c"))


def tar(content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """An archive of one member, as the engine sends it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("it")
        member.type, member.linkname, member.size = kind, link, len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def session(files: Mapping[str, bytes]) -> ArchiveSession:
    """A container with these archives, by path."""

    def get_archive(_container: str, path: str) -> tuple[Iterator[bytes], None]:
        if path not in files:
            raise NotFound("no such file")
        raw = files[path]
        return (raw[start : start + 1000] for start in range(0, len(raw), 1000)), None

    engine: Any = SimpleNamespace(client=SimpleNamespace(get_archive=get_archive))
    return ArchiveSession(DOCUMENT, engine, "c")


def answer(files: Mapping[str, bytes], *wants: AnyWant) -> Answer:
    told = session(files).answer(wants)
    assert told is not None
    return told


def read(archive: bytes, **want: Any) -> FileEvidence:
    return answer({"/it": archive}, Read(at="/it", **want)).files["/it"]


def test_a_file() -> None:
    assert read(tar(b"ID=debian\n\xff")) == FileEvidence(size=11, content="ID=debian\n\xff")


def test_an_empty_file_is_there() -> None:
    assert read(tar()) == FileEvidence(content="")
    assert read(tar(b"x"), limit=0) == FileEvidence(size=1, cut=True, content="")


def test_what_is_not_there() -> None:
    assert answer({}, Read(at="/it")).files == {"/it": FileEvidence(problem="ENOENT")}


def test_a_directory_is_no_file() -> None:
    assert read(tar(kind=tarfile.DIRTYPE)).problem == "not a regular file"


def test_links_are_followed_within_the_container_and_not_for_ever() -> None:
    files = {
        "/etc/os-release": tar(kind=tarfile.SYMTYPE, link="../usr/lib/os-release"),
        "/usr/lib/os-release": tar(b"ID=x"),
        "/loop": tar(kind=tarfile.SYMTYPE, link="loop"),
        "/broken": tar(kind=tarfile.SYMTYPE, link="/nowhere"),
    }
    told = answer(files, *(Read(at=path) for path in ("/etc/os-release", "/loop", "/broken"))).files
    assert told["/etc/os-release"].content == "ID=x"
    assert told["/loop"].problem == "ELOOP"
    names = {"/link": tar(kind=tarfile.SYMTYPE, link="データ"), "/データ": tar(b"there")}
    assert answer(names, Read(at="/link")).files["/link"].content == "there"
    assert told["/broken"].problem == "ENOENT"


@pytest.mark.parametrize("length", [0, 1, 100, 511, 512, 600, 1024, 2500])
def test_a_cut_archive_is_unreadable_and_not_a_file_that_is_missing(length: int) -> None:
    whole = tar(b"x" * 2000)
    assert read(whole[:length]) == FileEvidence(problem="the archive is cut or damaged")


@pytest.mark.parametrize("position", [0, 124, 148, 257])
def test_a_damaged_archive_is_unreadable_and_not_a_file_that_is_missing(position: int) -> None:
    broken = bytearray(tar(b"x" * 2000))
    broken[position] ^= 0xFF
    assert read(bytes(broken)) == FileEvidence(problem="the archive is cut or damaged")


def test_a_file_beyond_the_limit_is_cut_and_says_so() -> None:
    assert read(tar(b"x" * (3 << 20)), limit=10) == FileEvidence(size=3 << 20, cut=True, content="x" * 10)


@pytest.mark.parametrize("text", ["https://user:hunter2@host/x", "https:\\/\\/user:hunter2@host/x"])
def test_no_credential_is_left_wherever_it_is_cut(text: str) -> None:
    raw = f"index-url = {text}".encode()
    for limit in range(len(raw) + 1):
        content = read(tar(raw), limit=limit).content
        assert content is not None
        assert "hunt" not in content
        assert "user" not in content
    assert read(tar(raw)).content == "index-url = " + text.replace("user:hunter2@", "")


def test_a_credential_in_a_file_that_is_no_text_leaves_its_length() -> None:
    raw = b"\0\1https://user:hunter2@host/x\2\0"
    for limit in range(len(raw) + 1):
        content = read(tar(raw), limit=limit).content
        assert content is not None
        assert (len(content), "hunt" in content, "user" in content) == (limit, False, False)
    assert read(tar(raw)).content == "\0\1https://" + "*" * 12 + "@host/x\2\0"


def test_other_wants_stay_open() -> None:
    whole = Read(at="/a")
    wants: list[AnyWant] = [
        List(at="/etc"),
        Read(at="/var/lib/dpkg/status.d/*"),
        Read(at="@venv"),
        Read(at="/a/METADATA", part="header"),
        Read(at="/a/RECORD", part="digest"),
    ]
    assert session({}).answer(wants) is None
    assert answer({"/a": tar(b"x")}, *wants, whole).wants == (whole,)
