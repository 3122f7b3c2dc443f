from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.extractors import os_packages
from reprocheck.extractors.os_packages import parse_status
from reprocheck.model.evidence import Answer, Evidence, FileEvidence, Read
from tests.evidence import Tree, plant

NORMAL = """Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: glibc
Version: 2.36-9+deb12u4
Description: GNU C Library
 Version: 9 is not a field but a continuation
Homepage: https://example.org

Package: adduser
Status: install ok installed
Architecture: all
Version: 3.134

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

"""

STATUS = "/var/lib/dpkg/status"


def listed(raw: bytes | str) -> list[tuple[str, str, str]]:
    raw = raw if isinstance(raw, bytes) else raw.encode()
    return [(one.name, one.version, one.architecture) for one, _ in parse_status(raw) if one is not None]


def troubles(raw: bytes | str) -> list[str]:
    raw = raw if isinstance(raw, bytes) else raw.encode()
    return [trouble for _, trouble in parse_status(raw) if trouble is not None]


def test_normal(tmp_path: Path) -> None:
    facts = os_packages.read(Tree(plant(tmp_path, {"/var/lib/dpkg/status": NORMAL})).evidence())
    assert [(one.manager, one.name, one.version, one.architecture) for one in facts.fields["os_packages"]] == [
        ("dpkg", "adduser", "3.134", "all"),
        ("dpkg", "libc6", "2.36-9+deb12u4", "amd64"),
    ]
    assert (facts.coverage.state, facts.gaps) == ("complete", ())


def test_empty(tmp_path: Path) -> None:
    """No database at all: a target without a package manager."""
    facts = os_packages.read(Tree(tmp_path).evidence())
    assert facts.fields["os_packages"] == ()
    assert (facts.coverage.state, facts.gaps) == ("complete", ())
    assert [note.reason for note in facts.notes] == ["no package database and no os-release: no distribution's system"]
    assert listed("") == []
    assert troubles("\n\n\n") == []


@pytest.mark.parametrize("path", ["/etc/os-release", "/usr/lib/os-release"])
def test_a_distribution_without_its_database_is_a_gap(path: str, tmp_path: Path) -> None:
    """Somebody removed it; what was installed is there all the same."""
    facts = os_packages.read(Tree(plant(tmp_path, {path: 'ID=x\nPRETTY_NAME="X 11"\n'})).evidence())
    assert facts.coverage.state == "partial"
    assert [(gap.what, gap.reason) for gap in facts.gaps] == [
        ("os_packages", "no package database was found, and this is X 11, which has one")
    ]
    facts = os_packages.read(Tree(plant(tmp_path, {"/var/lib/dpkg/status": ""})).evidence())
    assert (facts.coverage.state, facts.gaps, facts.notes) == ("complete", (), ())


def test_not_asked() -> None:
    facts = os_packages.read(Evidence(Tree(Path("/nonexistent")).document))
    assert facts.coverage.state == "not-read"
    assert [gap.what for gap in facts.gaps] == ["os_packages"]


def test_pieces_that_were_not_asked_are_not_taken_for_none(tmp_path: Path) -> None:
    # The engine's archive endpoint gives single files, and can't say which there are.
    evidence = Evidence(Tree(tmp_path).document)
    evidence.add(Answer(wants=(Read(at=STATUS, limit=1 << 24),), files={STATUS: FileEvidence(problem="ENOENT")}))
    facts = os_packages.read(evidence)
    assert facts.coverage.state == "partial"
    assert [(gap.what, gap.where, gap.reason) for gap in facts.gaps] == [
        ("os_packages", "/var/lib/dpkg/status.d", "not collected")
    ]


def test_distroless(tmp_path: Path) -> None:
    facts = os_packages.read(
        Tree(
            plant(
                tmp_path,
                {
                    "/var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 12\nArchitecture: amd64\n",
                    "/var/lib/dpkg/status.d/libc6": "Package: libc6\nVersion: 2.36\nArchitecture: amd64\n",
                    "/var/lib/dpkg/status.d/libc6.md5sums": "0123  usr/lib/libc.so\n",
                },
            )
        ).evidence()
    )
    assert [one.name for one in facts.fields["os_packages"]] == ["base-files", "libc6"]
    assert facts.gaps == ()


@pytest.mark.parametrize(
    ("raw", "names", "trouble"),
    [
        (NORMAL.replace("\n", "\r\n"), ["libc6", "adduser"], None),
        (NORMAL[:-1] + "\nPackage: cut\nStatus: install ok installed\nVersion: 1", ["libc6", "adduser", "cut"], "ends"),
        (NORMAL + "Package: x\nStatus: install ok installed\n", ["libc6", "adduser"], "line 21: x has no Version"),
        ("Package: x\nVersion: 1\nVersion: 2\n", ["x"], "line 1: x states Version twice"),
        ("Package: x\nStatus: install reinstreq half-installed\nVersion: 1\n", [], "line 1: x is half-installed"),
        ("Version: 1\nStatus: install ok installed\n", [], "line 1: a stanza without Package"),
        ("asdf\n\nyolo\n", [], "line 1: a stanza without Package"),
        ("Description: only\n", [], "line 1: a stanza without Package"),
        (b"\xff\xfe\x00\n", [], "line 1: a stanza without Package"),
    ],
)
def test_malformed(raw: bytes | str, names: list[str], trouble: str | None) -> None:
    assert [name for name, _, _ in listed(raw)] == names
    assert bool(troubles(raw)) == (trouble is not None)
    assert trouble is None or trouble in troubles(raw)[0]


def test_damage_is_a_gap(tmp_path: Path) -> None:
    where = plant(tmp_path, {"/var/lib/dpkg/status": NORMAL + "garbage\n"})
    facts = os_packages.read(Tree(where).evidence())
    assert [one.name for one in facts.fields["os_packages"]] == ["adduser", "libc6"]
    assert facts.coverage.state == "partial"
    assert [(gap.where, gap.reason) for gap in facts.gaps] == [
        ("/var/lib/dpkg/status", "line 21: a stanza without Package")
    ]


def test_a_field_of_50_mb(tmp_path: Path) -> None:
    stanza = NORMAL.encode() + b"Package: big\nStatus: install ok installed\nDescription: "
    facts = os_packages.read(Tree(plant(tmp_path, {"/var/lib/dpkg/status": stanza + b"x" * (50 << 20)})).evidence())
    assert [one.name for one in facts.fields["os_packages"]] == ["adduser", "libc6"]
    assert any("longer than the limit" in gap.reason for gap in facts.gaps)


def test_a_pipe_in_its_place(tmp_path: Path) -> None:
    where = plant(tmp_path, {"/var/lib/dpkg/x": ""})
    os.mkfifo(where / "var/lib/dpkg/status")
    facts = os_packages.read(Tree(where).evidence())
    assert [gap.reason for gap in facts.gaps] == ["can't be read (not a regular file)"]


@pytest.mark.parametrize(("path", "kind"), [("/lib/apk/db/installed", "apk"), ("/var/lib/rpm/rpmdb.sqlite", "rpm")])
def test_another_package_manager_is_a_gap(path: str, kind: str, tmp_path: Path) -> None:
    facts = os_packages.read(Tree(plant(tmp_path, {path: "x"})).evidence())
    assert facts.coverage.state == "partial"
    assert [(gap.where, kind in gap.reason) for gap in facts.gaps] == [(path, True)]


@given(st.binary(max_size=200))
def test_any_bytes_are_read(raw: bytes) -> None:
    for package, trouble in parse_status(raw):
        assert package is not None or trouble


NAMES = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,8}", fullmatch=True)


@given(st.dictionaries(NAMES, st.from_regex(r"[0-9][0-9a-z.+~:-]{0,8}", fullmatch=True)))
def test_what_is_written_is_read(packages: dict[str, str]) -> None:
    raw = "\n".join(
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
        for name, version in packages.items()
    )
    assert listed(raw) == [(name, version, "amd64") for name, version in packages.items()]
    assert troubles(raw) == []


def test_osv_scalibr() -> None:
    """As its tests; a stanza without Status counts as installed, as in distroless images, and so does `unpacked`."""
    root = os.environ.get("REPROCHECK_CORPUS")
    if not root:
        pytest.skip("REPROCHECK_CORPUS is not set")
    folder = Path(root) / "osv-scalibr"
    expected = json.loads((folder / "EXPECTED.json").read_bytes())["dpkg"]
    damaged = {"noversion", "nopackage", "invalid", "statusfield"}
    checked = 0
    for path, want in expected.items():
        raw = (folder / path).read_bytes()
        name = path.rpartition("/")[2]
        if name.endswith(".md5sums"):
            continue
        checked += 1
        found = [[one, version] for one, version, _ in listed(raw)]
        if name == "statusfield":
            decided = [["wantinstall_unpacked", "1.0"], ["wantnostatus", "1.0"]]
            assert sorted(found) == sorted([*want["installed_only"], *decided])
        else:
            assert sorted(found) == sorted([] if want == "ERROR" else want), path
        assert bool(troubles(raw)) == (name in damaged), path
    assert checked >= 14
