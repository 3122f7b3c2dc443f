"""Real databases, records and archives of peers' test suites, each with the right answer.

Where peers disagree: a dpkg stanza without Status counts as installed, as in distroless images, and so does
``unpacked``; of a repeated field the first counts.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from reprocheck.extractors import environments, os_packages
from reprocheck.extractors.conda import parse as parse_conda
from reprocheck.extractors.databases import Found, apk, dpkg, rpm
from reprocheck.extractors.metadata import parse_metadata
from reprocheck.model.snapshot import Environment
from reprocheck.probe import collect
from tests.evidence import Tree, interpreter, plant

SITE = "/usr/local/lib/python3.9/site-packages"
DAMAGED_DPKG = {"noversion", "nopackage", "invalid", "statusfield"}


def corpus(folder: str) -> Path:
    where = os.environ.get("REPROCHECK_CORPUS")
    if not where:
        pytest.skip("REPROCHECK_CORPUS is not set")
    return Path(where) / folder


def expected(folder: str) -> dict[str, dict[str, Any]]:
    return json.loads((corpus(folder) / "EXPECTED.json").read_bytes())  # type: ignore[no-any-return]


def told(parse: Callable[[bytes], Iterator[Found]], path: Path) -> tuple[list[list[str]], list[str]]:
    """Name, version and architecture of each package, sorted, and what is odd."""
    entries = list(parse(path.read_bytes()))
    packages = sorted([one.name, one.version, one.architecture] for one, _ in entries if one is not None)
    return packages, [trouble for _, trouble in entries if trouble is not None]


def test_dpkg() -> None:
    checked = 0
    for path, want in expected("osv-scalibr")["dpkg"].items():
        name = path.rpartition("/")[2]
        if name.endswith(".md5sums"):
            continue
        found, troubles = told(dpkg.parse, corpus("osv-scalibr") / path)
        if name == "statusfield":
            right = [*want["installed_only"], ["wantinstall_unpacked", "1.0"], ["wantnostatus", "1.0"]]
        else:
            right = [] if want == "ERROR" else want
        assert [one[:2] for one in found] == sorted(right), path
        assert bool(troubles) == (name in DAMAGED_DPKG), path
        checked += 1
    assert checked == 14


def test_dpkg_pieces(tmp_path: Path) -> None:
    """A file of checksums beside a piece is none."""
    pieces = corpus("osv-scalibr") / "extractor/filesystem/os/dpkg/testdata/dpkg/status.d"
    shutil.copytree(pieces, tmp_path / "var/lib/dpkg/status.d")
    facts = os_packages.read(Tree(tmp_path).evidence())
    assert [(one.name, one.version) for one in facts.fields["os_packages"]] == [("foo", "1.2.3")]
    assert facts.gaps == ()


def test_apk() -> None:
    checked = 0
    for path, want in expected("osv-scalibr")["apk"].items():
        found, troubles = told(apk.parse, corpus("osv-scalibr") / path)
        right = [] if want == "ERROR" else want
        assert [one[: len(right[0])] for one in found] == sorted(right) if right else found == [], path
        assert bool(troubles) == (want == "ERROR"), path
        checked += 1
    assert checked == 6


def test_conda() -> None:
    checked = 0
    for path, want in expected("osv-scalibr")["conda"].items():
        raw = (corpus("osv-scalibr") / path).read_bytes()
        if want == "ERROR":
            with pytest.raises(ValueError, match="no record of conda's"):
                parse_conda(raw)
        else:
            found = parse_conda(raw)
            assert [found.name, found.version] == want
            assert (found.build, found.subdir) == ("py39hf3db000", "linux-64")
            assert found.channel == "https://repo.anaconda.com/pkgs/main"
        checked += 1
    assert checked == 5


def test_rpm() -> None:
    """Complete lists match exactly; of the others every package that upstream names is there."""
    checked = 0
    for path, want in expected("go-rpmdb")["rpmdb"].items():
        file = corpus("go-rpmdb") / path
        if not file.exists():
            continue  # named by upstream, too large for the corpus
        found, troubles = told(rpm.parse, file)
        assert troubles == [], path
        listed = want["packages"] if want["complete"] else want["must_contain"]
        right = [[one["name"], version(one), one["arch"]] for one in listed]
        if want["complete"]:
            assert found == sorted(right), path
            assert len(found) == want["n"]
        else:
            assert all(one in found for one in right), path
        checked += 1
    assert checked == 2


def test_rpm_as_the_probe_sends_it() -> None:
    """Between its URLs and marks of all kinds lie control characters: nothing in it is taken for a secret."""
    path = corpus("go-rpmdb") / "pkg/testdata/sle15-bci/Packages.db"
    answer = collect.Answer({"found": {}, "interpreters": {}})  # type: ignore[no-untyped-call]
    file = answer.file(os.fsencode(path), {"limit": 64 << 20})  # type: ignore[no-untyped-call]
    assert (file["cut"], file["content"].encode("latin-1")) == (False, path.read_bytes())


def version(one: dict[str, Any]) -> str:
    epoch = "" if one["epoch"] is None else f"{one['epoch']}:"
    return f"{epoch}{one['version']}-{one['release']}"


@pytest.mark.parametrize("path", ["sle15-bci/Packages.db", "libuuid/Packages"])
def test_rpm_cut_anywhere(path: str) -> None:
    raw = (corpus("go-rpmdb") / "pkg/testdata" / path).read_bytes()
    whole = {one.name for one, _ in rpm.parse(raw) if one is not None}
    for end in range(0, len(raw), len(raw) // 97):
        entries = list(rpm.parse(raw[:end]))
        assert {one.name for one, _ in entries if one is not None} <= whole
        assert any(trouble for _, trouble in entries), end


def installed(where: Path, files: dict[str, str | bytes]) -> Environment:
    plant(where, {"/usr/local/bin/python3": "", **files})
    facts = environments.read(Tree(where, interpreters={"/usr/local/bin/python3": interpreter()}).evidence())
    assert facts.gaps == ()
    (one,) = facts.fields["environments"]
    assert isinstance(one, Environment)
    return one


def test_python_archives_on_the_path(tmp_path: Path) -> None:
    checked = 0
    for path, want in expected("osv-scalibr")["python"].items():
        name = path.rpartition("/")[2]
        if not name.endswith((".egg", ".whl")):
            continue
        raw = (corpus("osv-scalibr") / path).read_bytes()
        found = installed(tmp_path / name, {f"{SITE}/x.pth": name, f"{SITE}/{name}": raw})
        right = [tuple(want)] if isinstance(want, list) else []
        assert [(one.name, one.version) for one in found.packages] == right, path
        checked += 1
    assert checked == 3


def test_python_metadata_where_it_stands(tmp_path: Path) -> None:
    """The same files as a whole environment reads them: as dist-info, as an egg-info directory, as a file."""
    places = (
        "{stem}.dist-info/METADATA",
        "{stem}.egg-info/PKG-INFO",
        "{stem}-py3.9.egg-info",
    )
    checked = 0
    for path, want in expected("osv-scalibr")["python"].items():
        raw = (corpus("osv-scalibr") / path).read_bytes()
        if not isinstance(want, list) or path.endswith((".egg", ".whl")):
            continue
        name, stated = want[0], want[1].partition(" ")[0]
        for number, place in enumerate(places):
            stem = f"{name.replace('-', '_')}-{stated}"
            where = tmp_path / f"{path.rpartition('/')[2]}-{number}"
            (one,) = installed(where, {f"{SITE}/{place.format(stem=stem)}": raw}).packages
            assert (one.name, one.version) == (canonicalize_name(name), stated), path
            assert bool(one.problems) == ("first" in want[1]), path
            assert one.requires == parse_metadata(raw).requires
            checked += 1
    assert checked == 27
