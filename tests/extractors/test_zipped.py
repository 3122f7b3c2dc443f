from __future__ import annotations

import contextlib
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.extractors import environments
from reprocheck.extractors.base import Facts
from reprocheck.extractors.zipped import LIMIT, metadata_of
from tests.evidence import Tree, interpreter, plant

SITE = "/usr/local/lib/python3.9/site-packages"
INTERPRETERS = {"/usr/local/bin/python3": interpreter()}
INFO = "Metadata-Version: 1.1\nName: mono-tonic\nVersion: 1.6\n"


def archive(compression: int = zipfile.ZIP_DEFLATED, /, **members: str | bytes) -> bytes:
    """An archive; ``__`` in a name stands for a dot, ``_of_`` for a slash."""
    raw = BytesIO()
    with zipfile.ZipFile(raw, "w", compression) as made:
        made.writestr("code.py", "x = 1\n" * 1000)
        for name, content in members.items():
            made.writestr(name.replace("_of_", "/").replace("__", "."), content)
    return raw.getvalue()


EGG = {"EGG-INFO_of_PKG-INFO": INFO, "EGG-INFO_of_requires__txt": "six>=1\n[x]\nattrs\n"}


def facts(where: Path, name: str, raw: bytes) -> Facts:
    files: dict[str, str | bytes] = {
        "/usr/local/bin/python3": "",
        f"{SITE}/easy-install.pth": f"./{name}\n",
        f"{SITE}/{name}": raw,
        f"{SITE}/not-on-the-path-1.0-py3.9.egg": archive(**EGG),
    }
    return environments.read(Tree(plant(where, files), interpreters=INTERPRETERS).evidence())


def packages(found: Facts) -> list[tuple[str, str, str, tuple[str, ...] | None]]:
    (one,) = found.fields["environments"]
    return [(one.name, one.version, one.location, one.requires) for one in one.packages]


def test_46_a_zipped_egg(tmp_path: Path) -> None:
    found = facts(tmp_path, "mono_tonic-1.6-py3.9.egg", archive(**EGG))
    assert packages(found) == [
        (
            "mono-tonic",
            "1.6",
            "{prefix}/lib/python3.9/site-packages/mono_tonic-1.6-py3.9.egg",
            ('attrs; extra == "x"', "six>=1"),
        )
    ]
    assert found.gaps == ()


def test_46_a_wheel_on_the_path(tmp_path: Path) -> None:
    raw = archive(**{"mono_tonic-1__6__dist-info_of_METADATA": INFO + "Requires-Dist: six\n"})
    found = facts(tmp_path, "mono_tonic-1.6-py3-none-any.whl", raw)
    assert [(name, version, requires) for name, version, _, requires in packages(found)] == [
        ("mono-tonic", "1.6", ("six",))
    ]
    assert found.gaps == ()


def test_46_an_egg_without_metadata_is_no_package(tmp_path: Path) -> None:
    found = facts(tmp_path, "mono_tonic-1.6-py3.9.egg", archive(**{"EGG-INFO_of_zip-safe": ""}))
    assert (packages(found), found.gaps) == ([], ())


def test_46_metadata_that_states_nothing(tmp_path: Path) -> None:
    found = facts(tmp_path, "mono_tonic-1.6-py3.9.egg", archive(**{"EGG-INFO_of_PKG-INFO": ""}))
    assert [(name, version) for name, version, _, _ in packages(found)] == [("mono-tonic", "1.6")]
    assert [gap.what for gap in found.gaps] == ["environments[/usr/local].packages[mono-tonic].requires"]


def test_the_first_on_the_path_is_taken(tmp_path: Path) -> None:
    plant(tmp_path, {f"{SITE}/mono_tonic-1.7.dist-info/METADATA": INFO.replace("1.6", "1.7")})
    found = facts(tmp_path, "mono_tonic-1.6-py3.9.egg", archive(**EGG))
    (one,) = found.fields["environments"]
    assert [(one.version, one.active) for one in one.packages] == [("1.7", True), ("1.6", False)]


def broken() -> bytes:
    raw = bytearray(archive(zipfile.ZIP_STORED, **{"EGG-INFO_of_PKG-INFO": INFO}))
    raw[raw.index(b"Name: ")] ^= 1
    return bytes(raw)


def encrypted() -> bytes:
    raw = bytearray(archive(**{"EGG-INFO_of_PKG-INFO": INFO}))
    at = raw.rindex(b"PK\x01\x02")
    raw[at + 8] |= 1
    return bytes(raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "is an archive that can't be read"),
        (b"no archive", "is an archive that can't be read"),
        (archive(**EGG)[:-10], "is an archive that can't be read"),
        (broken(), "is an archive that can't be read"),
        (encrypted(), "is an archive that can't be read"),
        (archive(**{"EGG-INFO_of_PKG-INFO": INFO + "x" * (2 << 20)}), "more than 1 MiB"),
        (archive(**{f"p{number}-1__dist-info_of_METADATA": INFO for number in range(20)}), "more than 16"),
        (archive(zipfile.ZIP_STORED, x="x" * LIMIT), "is an archive, which is not searched"),
    ],
)
def test_archives_that_cannot_be_read(raw: bytes, reason: str, tmp_path: Path) -> None:
    found = facts(tmp_path, "x-1-py3.9.egg", raw)
    assert packages(found) == []
    (gap,) = found.gaps
    assert (gap.what, gap.where) == ("environments[/usr/local].search_path", f"{SITE}/x-1-py3.9.egg")
    assert reason in gap.reason


def test_members_of_other_places_are_none() -> None:
    names = {"vendor_of_x-1__dist-info_of_METADATA": INFO, "__of____of_x__dist-info": INFO}
    assert metadata_of(archive(**names)) == {}


@given(st.integers(0, 700), st.integers(0, 255))
def test_any_damage_is_read_or_an_error(at: int, value: int) -> None:
    raw = bytearray(archive(**EGG))
    raw[at % len(raw)] = value
    with contextlib.suppress(ValueError):
        assert set(metadata_of(bytes(raw))) <= {"EGG-INFO/PKG-INFO", "EGG-INFO/requires.txt"}


@pytest.mark.parametrize("name", ["x.zip", "x.pyz", "x.jar", "x"])
def test_archives_of_any_name(name: str, tmp_path: Path) -> None:
    """A program behind a first line for the shell, as the module zipapp makes it, is one too."""
    raw = b"#!/usr/bin/env python3\n" + archive(**{"own-1__dist-info_of_METADATA": INFO})
    found = facts(tmp_path, name, raw)
    assert found.gaps == ()
    assert len(packages(found)) == 1


def test_a_file_that_is_no_archive_is_passed_over(tmp_path: Path) -> None:
    found = facts(tmp_path, "module.py", b"import os\n")
    assert (packages(found), found.gaps) == ([], ())


def test_a_file_that_is_too_long_to_tell(tmp_path: Path) -> None:
    (gap,) = facts(tmp_path, "x.jar", b"x" * (LIMIT + 1)).gaps
    assert "may be an archive, which is not searched" in gap.reason
