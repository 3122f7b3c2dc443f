from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.extractors import os_packages
from reprocheck.extractors.databases import apk, dpkg
from reprocheck.model.evidence import Answer, Evidence, FileEvidence, Read
from tests import rpm
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
    return [(one.name, one.version, one.architecture) for one, _ in dpkg.parse(raw) if one is not None]


def troubles(raw: bytes | str) -> list[str]:
    raw = raw if isinstance(raw, bytes) else raw.encode()
    return [trouble for _, trouble in dpkg.parse(raw) if trouble is not None]


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


def test_damage_is_told_in_a_few_words(tmp_path: Path) -> None:
    facts = os_packages.read(Tree(plant(tmp_path, {"/var/lib/dpkg/status": "x\n\n" * 100 + NORMAL})).evidence())
    assert [one.name for one in facts.fields["os_packages"]] == ["adduser", "libc6"]
    assert len(facts.gaps) == 21
    assert facts.gaps[-1].reason == "and 80 more damaged entries"


def test_damage_without_end(tmp_path: Path) -> None:
    began = time.monotonic()
    facts = os_packages.read(Tree(plant(tmp_path, {"/var/lib/dpkg/status": "x\n\n" * 5_000_000})).evidence())
    assert time.monotonic() - began < 5
    assert facts.gaps[-1].reason == "1,000 entries were read, 1,000 of them damaged; the others were not"


def test_packages_without_end(tmp_path: Path) -> None:
    many = "".join(f"P:p{number}\nV:1\n\n" for number in range(100_001))
    facts = os_packages.read(Tree(plant(tmp_path, {"/lib/apk/db/installed": many})).evidence())
    assert len(facts.fields["os_packages"]) == 100_000
    assert [gap.reason for gap in facts.gaps] == ["100,000 entries were read, 0 of them damaged; the others were not"]


# apk.

APK = """C:Q1zwvKMnYs1b6ZdPTBJ0Z7D5P3jyA=
P:musl
V:1.2.4-r0
A:x86_64
o:musl
F:lib
R:P:file
Z:Q1YCAH7jdO2W816b85sUh9Z8av4Cc=

P:alpine-baselayout-data
V:3.4.3-r1
A:noarch
m:P:no field
"""


def test_apk(tmp_path: Path) -> None:
    facts = os_packages.read(Tree(plant(tmp_path, {"/lib/apk/db/installed": APK})).evidence())
    assert [(one.manager, one.name, one.version, one.architecture) for one in facts.fields["os_packages"]] == [
        ("apk", "alpine-baselayout-data", "3.4.3-r1", "noarch"),
        ("apk", "musl", "1.2.4-r0", "x86_64"),
    ]
    assert (facts.coverage.state, facts.gaps) == ("complete", ())


def test_apk_under_two_names_is_read_once(tmp_path: Path) -> None:
    plant(tmp_path, {"/usr/lib/apk/db/installed": APK + "\nP:broken\n"})
    (tmp_path / "lib").symlink_to("usr/lib")
    facts = os_packages.read(Tree(tmp_path).evidence())
    assert len(facts.fields["os_packages"]) == 2
    assert [(gap.where, gap.reason) for gap in facts.gaps] == [
        ("/lib/apk/db/installed", "line 15: broken has no version (V:)")
    ]


@pytest.mark.parametrize(
    ("raw", "names", "trouble"),
    [
        ("", [], None),
        ("\n\n", [], None),
        (APK[:-1], ["musl", "alpine-baselayout-data"], "line 13: the file ends in the middle of a line"),
        (APK + "\nP:x\nA:noarch\n", ["musl", "alpine-baselayout-data"], "line 15: x has no version (V:)"),
        ("V:1\n", [], "line 1: an entry without a name (P:)"),
        ("P:\nV:1\n", [], "line 1: an entry without a name (P:)"),
        ("P:x\nV:1\nV:2\n", ["x"], "line 1: x states its version twice"),
        ("asdf\n\nyolo\n", [], "line 1: an entry without a name (P:)"),
        (b"\xff\xfe\x00\n", [], "line 1: an entry without a name (P:)"),
        (b"P:caf\xe9\nV:1\n", ["caf\\xe9"], None),
    ],
)
def test_apk_malformed(raw: bytes | str, names: list[str], trouble: str | None) -> None:
    raw = raw if isinstance(raw, bytes) else raw.encode()
    found = list(apk.parse(raw))
    assert [one.name for one, _ in found if one is not None] == names
    assert [said for _, said in found if said is not None][:1] == ([trouble] if trouble else [])


# rpm.

RPM = "/var/lib/rpm"


def test_rpm(tmp_path: Path) -> None:
    raw = rpm.sqlite(
        tmp_path / "x", [rpm.header("zlib", "1.2.11", "40.el9"), rpm.header("dbus", "1.12.20", "8", epoch=1)]
    )
    facts = os_packages.read(Tree(plant(tmp_path / "root", {f"{RPM}/rpmdb.sqlite": raw})).evidence())
    assert [(one.manager, one.name, one.version, one.architecture) for one in facts.fields["os_packages"]] == [
        ("rpm", "dbus", "1:1.12.20-8", "x86_64"),
        ("rpm", "zlib", "1.2.11-40.el9", "x86_64"),
    ]
    assert (facts.coverage.state, facts.gaps) == ("complete", ())


@pytest.mark.parametrize("path", [f"{RPM}/Packages.db", "/usr/lib/sysimage/rpm/Packages.db", "/usr/share/rpm/Packages"])
def test_rpm_wherever_it_stands_and_whatever_its_name(path: str, tmp_path: Path) -> None:
    facts = os_packages.read(Tree(plant(tmp_path, {path: rpm.ndb([rpm.header("a")])})).evidence())
    assert [one.name for one in facts.fields["os_packages"]] == ["a"]


def test_rpm_under_two_names_is_carried_once(tmp_path: Path) -> None:
    raw = rpm.ndb([rpm.header("a"), b"damaged!"])
    plant(tmp_path, {"/usr/lib/sysimage/rpm/Packages.db": raw})
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / RPM.lstrip("/")).symlink_to("../../usr/lib/sysimage/rpm")
    evidence = Tree(tmp_path).evidence()
    carried = [path for path, file in evidence.files.items() if file.content and path.endswith("Packages.db")]
    assert carried == ["/usr/lib/sysimage/rpm/Packages.db"]
    facts = os_packages.read(evidence)
    assert [one.name for one in facts.fields["os_packages"]] == ["a"]
    assert [gap.where for gap in facts.gaps] == ["/usr/lib/sysimage/rpm/Packages.db"]


def test_rpm_collected_by_hand_in_one_pass(tmp_path: Path) -> None:
    tree = Tree(plant(tmp_path, {f"{RPM}/Packages": rpm.bdb([rpm.header("a")])}), kind="evidence")
    evidence = Evidence(tree.document)
    evidence.add(tree.answer(os_packages.wants(evidence)))
    assert [one.name for one in os_packages.read(evidence).fields["os_packages"]] == ["a"]


def test_rpm_of_which_only_the_digest_is_known(tmp_path: Path) -> None:
    tree = Tree(plant(tmp_path, {f"{RPM}/Packages": rpm.bdb([rpm.header("a")])}))
    evidence = Evidence(tree.document)
    evidence.add(tree.answer(os_packages.wants(evidence)))
    facts = os_packages.read(evidence)
    assert facts.coverage.state == "partial"
    assert [(gap.where, gap.reason) for gap in facts.gaps] == [(f"{RPM}/Packages", "its contents were not collected")]


@pytest.mark.parametrize("name", ["rpmdb.sqlite", "Packages.db", "Packages"])
@pytest.mark.parametrize("raw", [b"", b"asdf\n", bytes(70_000)])
def test_rpm_that_is_not_understood_is_a_gap(name: str, raw: bytes, tmp_path: Path) -> None:
    facts = os_packages.read(Tree(plant(tmp_path, {f"{RPM}/{name}": raw})).evidence())
    assert facts.coverage.state == "partial"
    (gap,) = facts.gaps
    assert gap.where == f"{RPM}/{name}"
    assert gap.reason.startswith("rpmdb unreadable: ")


def test_rpm_with_changes_that_are_not_merged(tmp_path: Path) -> None:
    raw = rpm.sqlite(tmp_path / "x", [rpm.header("a")])
    files = {f"{RPM}/rpmdb.sqlite": raw, f"{RPM}/rpmdb.sqlite-wal": b"x" * 32}
    facts = os_packages.read(Tree(plant(tmp_path / "root", files)).evidence())
    assert [one.name for one in facts.fields["os_packages"]] == ["a"]
    (gap,) = facts.gaps
    assert (gap.where, "32 bytes of changes" in gap.reason) == (f"{RPM}/rpmdb.sqlite-wal", True)
    (tmp_path / "root" / RPM.lstrip("/") / "rpmdb.sqlite-wal").write_bytes(b"")
    assert os_packages.read(Tree(tmp_path / "root").evidence()).gaps == ()


def test_rpm_where_no_digest_is_to_be_had(tmp_path: Path) -> None:
    """The engine's archive endpoint gives single files whole, and answers nothing else."""
    tree = Tree(plant(tmp_path, {f"{RPM}/Packages": rpm.bdb([rpm.header("a")])}), kind="container")
    evidence = Evidence(tree.document)
    for _ in range(2):
        whole = [one for one in os_packages.wants(evidence) if isinstance(one, Read) and one.part == "whole"]
        evidence.add(tree.answer([one for one in whole if "*" not in one.at]))
    assert [one.name for one in os_packages.read(evidence).fields["os_packages"]] == ["a"]


@pytest.mark.parametrize("name", ["rpmdb.sqlite", "Packages.db", "Packages"])
def test_rpm_with_a_credential_arrives_whole(name: str, tmp_path: Path) -> None:
    """Offsets in it stay right, where the secret is taken out."""
    secret = rpm.blob(
        [(1020, rpm.STRING, b"https://user:hunter2@example.org/x\0")]
        + [
            (tag, rpm.STRING, text + b"\0")
            for tag, text in ((1000, b"a"), (1001, b"1"), (1002, b"2"), (1022, b"noarch"))
        ]
    )
    headers = [rpm.header("b", padding=5000), secret, rpm.header("c", padding=9000)]
    make = {"rpmdb.sqlite": lambda: rpm.sqlite(tmp_path / "x", headers), "Packages.db": lambda: rpm.ndb(headers)}
    raw = make.get(name, lambda: rpm.bdb(headers))()
    evidence = Tree(plant(tmp_path / "root", {f"{RPM}/{name}": raw})).evidence()
    assert b"hunter2" not in (evidence.content(f"{RPM}/{name}") or b"hunter2")
    facts = os_packages.read(evidence)
    assert [one.name for one in facts.fields["os_packages"]] == ["a", "b", "c"]
    assert facts.gaps == ()


def test_rpm_longer_than_is_carried(tmp_path: Path) -> None:
    raw = rpm.ndb([rpm.header(f"p{number}", padding=1 << 20) for number in range(20)])
    facts = os_packages.read(Tree(plant(tmp_path, {f"{RPM}/Packages.db": raw})).evidence())
    assert 10 < len(facts.fields["os_packages"]) < 20
    assert facts.gaps[-1].reason == f"longer than the limit: 16,777,216 of its {len(raw):,} bytes were read"


def test_rpm_a_pipe_in_its_place(tmp_path: Path) -> None:
    where = plant(tmp_path, {f"{RPM}/x": ""})
    os.mkfifo(where / RPM.lstrip("/") / "Packages")
    facts = os_packages.read(Tree(where).evidence())
    assert [gap.reason for gap in facts.gaps] == ["can't be read (not a regular file)"]


def test_several_managers_at_once(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "/var/lib/dpkg/status": NORMAL,
        f"{RPM}/Packages": rpm.bdb([rpm.header("a")]),
        "/lib/apk/db/installed": APK,
    }
    facts = os_packages.read(Tree(plant(tmp_path, files)).evidence())
    assert [one.manager for one in facts.fields["os_packages"]] == ["apk", "apk", "dpkg", "dpkg", "rpm"]


# Laws.


@given(st.binary(max_size=200))
def test_any_bytes_are_read(raw: bytes) -> None:
    for package, trouble in (*dpkg.parse(raw), *apk.parse(raw)):
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
