"""Advisories from directories and archives."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reprocheck.advisories import folder
from reprocheck.advisories.folder import Advisories, read_advisories
from reprocheck.errors import DataError
from tests.advisories.serving import OSV

PACK: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.xz": lzma.compress,
    "tar.bz2": bz2.compress,
}
WANTED = frozenset({"urllib3", "pyyaml", "ansible"})


def archived(tmp_path: Path, kind: str) -> Path:
    """The advisories as one file."""
    path = tmp_path / f"all.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for one in OSV.iterdir():
                archive.write(one, one.name)
    else:
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            tar.add(OSV, "deep/er")
        path.write_bytes(PACK[kind](plain.getvalue()))
    return path


def ids(found: Advisories) -> dict[str, list[str]]:
    return {name: [one.id for one in advisories] for name, advisories in sorted(found.about.items())}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_an_archive_says_what_the_directory_says(tmp_path: Path, kind: str) -> None:
    directory = read_advisories(OSV, WANTED)
    assert ids(directory) == {
        "ansible": ["PYSEC-2020-221"],
        "pyyaml": ["GHSA-8q59-q68h-6hv4", "PYSEC-2020-96", "PYSEC-2021-142"],
        "urllib3": ["PYSEC-2021-108", "PYSEC-2023-192", "PYSEC-2023-212"],
    }
    assert (directory.count, directory.newest) == (17, "2024-01-01")
    assert directory.unreadable == ()
    assert read_advisories(archived(tmp_path, kind), WANTED) == directory


def test_a_directory_is_searched_through(tmp_path: Path) -> None:
    shutil.copytree(OSV, tmp_path / "a" / "b" / "c")
    assert ids(read_advisories(tmp_path, WANTED)) == ids(read_advisories(OSV, WANTED))


def test_nothing_there() -> None:
    with pytest.raises(DataError, match=r"nowhere: cannot be read \(No such file or directory\); name a directory"):
        read_advisories(Path("nowhere"), WANTED)


def test_a_directory_without_advisories(tmp_path: Path) -> None:
    (tmp_path / "vulns.yaml").write_text("id: X")
    found = read_advisories(tmp_path, WANTED)
    assert (found.about, found.count, found.unreadable) == ({}, 0, ())


def test_what_can_not_be_read_is_told_and_the_rest_is_kept(tmp_path: Path) -> None:
    shutil.copytree(OSV, tmp_path / "osv")
    bad = tmp_path / "osv" / "bad"
    bad.mkdir()
    (bad / "cut.json").write_bytes(b'{"id": "X')
    (bad / "deep.json").write_bytes(b"[" * 100_000)
    (bad / "twice.json").write_bytes(b'{"id": "X", "affected": [], "affected": null}')
    (bad / "huge.json").write_bytes(b'{"id": "' + b"x" * folder.MOST_BYTES + b'"}')
    (bad / "gone.json").symlink_to("nowhere.json")
    (bad / "loop").symlink_to("..")
    os.mkfifo(bad / "pipe.json")
    found = read_advisories(tmp_path, WANTED)
    assert ids(found) == ids(read_advisories(OSV, WANTED))
    reasons = {Path(where).name: reason for where, reason in found.unreadable}
    assert set(reasons) == {"cut.json", "deep.json", "twice.json", "huge.json", "gone.json", "loop", "pipe.json"}
    assert "ends in the middle" in reasons["cut.json"]
    assert "nested more than 100" in reasons["deep.json"]
    assert "stands twice" in reasons["twice.json"]
    assert "more than 8 MiB" in reasons["huge.json"]
    assert "not followed" in reasons["loop"]
    assert "pipe or device" in reasons["pipe.json"]


def test_a_directory_that_can_not_be_entered_is_told(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # deeper than a path can name
        os.mkdir("d" * 250, dir_fd=at)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    found = read_advisories(tmp_path, WANTED)
    assert [reason for _, reason in found.unreadable] == ["cannot be read (File name too long); check its permissions"]


def whole(found: Advisories) -> str:
    return "\n".join(f"{where}: {reason}" for where, reason in found.unreadable)


def test_a_bomb_in_a_zip_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"{number}.json", b" " * (folder.MOST_BYTES + 1))
    found = read_advisories(path, WANTED)
    assert found.count == 0
    assert whole(found).count("more than 8 MiB") == 5
    monkeypatch.setattr(folder, "MOST_BYTES_IN_ALL", 20 << 20)
    assert "no more was read: the limit is" in whole(read_advisories(path, WANTED))


def test_too_many_files_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(folder, "MOST_FILES", 3)
    for path in (OSV, archived(tmp_path, "zip"), archived(tmp_path, "tar.gz")):
        found = read_advisories(path, WANTED)
        assert found.count <= 3
        assert "no more was read: the limit is 3 files" in whole(found)


def test_a_central_directory_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = archived(tmp_path, "zip")
    raw = path.read_bytes()
    at = raw.rfind(b"PK\x05\x06")
    path.write_bytes(raw[: at + 12] + struct.pack("<L", 1 << 30) + raw[at + 16 :])
    with pytest.raises(DataError, match="the archive's directory has more than 64 MiB"):
        read_advisories(path, WANTED)
    end = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 9, 9, 1 << 40, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    path.write_bytes(raw[:at] + end + locator + raw[at:])
    with pytest.raises(DataError, match="the archive's directory has more than 64 MiB"):
        read_advisories(path, WANTED)


def test_an_archive_with_more_files_than_a_plain_zip_can_count_is_read(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(66_000):
            archive.writestr(f"{number}.txt", b"")
        archive.write(OSV / "PYSEC-2021-108.json", "PYSEC-2021-108.json")
    assert ids(read_advisories(path, WANTED)) == {"urllib3": ["PYSEC-2021-108"]}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_cut_archive_is_told(tmp_path: Path, kind: str) -> None:
    path = archived(tmp_path, kind)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    try:
        found = read_advisories(path, WANTED)
    except DataError as error:
        assert "is a damaged zip archive" in str(error)  # noqa: PT017 - one of two ways
    else:
        assert "can't be unpacked" in whole(found) or "is a damaged archive" in whole(found)


def test_an_encrypted_or_damaged_member_is_told(tmp_path: Path) -> None:
    path = archived(tmp_path, "zip")
    raw = bytearray(path.read_bytes())
    first = raw.find(b"PK\x01\x02")
    raw[first + 8] |= 1  # encrypted
    second = raw.find(b"PK\x01\x02", first + 4)
    raw[second + 16] ^= 0xFF  # checksum
    path.write_bytes(bytes(raw))
    found = read_advisories(path, WANTED)
    assert found.count == 15
    assert len(found.unreadable) == 2
    assert whole(found).count("can't be unpacked") == 2


def test_a_file_that_is_no_archive_is_told(tmp_path: Path) -> None:
    path = tmp_path / "PYSEC-2021-108.json"
    shutil.copy(OSV / path.name, path)
    found = read_advisories(path, WANTED)
    assert found.count == 0
    assert "is a damaged archive, or none" in whole(found)


def test_links_in_a_tar_are_told(tmp_path: Path) -> None:
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as tar:
        link = tarfile.TarInfo("x.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        raw = (OSV / "PYSEC-2021-108.json").read_bytes()
        plain = tarfile.TarInfo("y.json")
        plain.size = len(raw)
        tar.addfile(plain, io.BytesIO(raw))
    found = read_advisories(path, WANTED)
    assert ids(found) == {"urllib3": ["PYSEC-2021-108"]}
    assert whole(found).startswith(f"{path}: x.json: ")
    assert "is no plain file but a link" in whole(found)


def test_an_advisory_about_two_packages_counts_once_and_stands_under_both(tmp_path: Path) -> None:
    affected: list[dict[str, Any]] = [
        {"package": {"ecosystem": "PyPI", "name": name}, "versions": ["1"]} for name in ("PyYAML", "urllib3", "other")
    ]
    (tmp_path / "x.json").write_text(json.dumps({"id": "X-1", "affected": affected}))
    found = read_advisories(tmp_path, WANTED)
    assert found.count == 1
    assert ids(found) == {"pyyaml": ["X-1"], "urllib3": ["X-1"]}
