from __future__ import annotations

import pytest

from reprocheck.versions import CALENDAR, FRAMEWORKS, allows, compare, cut, parse_version, requires_python_holds


@pytest.mark.parametrize(
    ("name", "before", "after", "direction", "size"),
    [
        ("protobuf", "3.19.6", "4.21.1", "up", "major"),
        ("numpy", "2.0.2", "1.23.5", "down", "major"),
        ("numpy", "1.23.5", "1.24.0", "up", "minor"),
        ("numpy", "1.23.5", "1.23.6", "up", "patch"),
        ("numpy", "1.23.5", "1.23.5.1", "up", "patch"),
        ("numpy", "1.23", "1.23.1", "up", "patch"),
        ("jax", "0.3.25", "0.4.1", "up", "major"),
        ("jax", "0.4.1", "0.4.2", "up", "patch"),
        ("jax", "0.9", "1.0", "up", "major"),
        ("thing", "2020.1", "1!1.0", "up", "epoch"),
        ("thing", "1!1.0", "2020.1", "down", "epoch"),
        ("torch", "2.0rc1", "2.0", "up", "pre-release"),
        ("torch", "2.0.dev1", "2.0.dev2", "up", "pre-release"),
        ("torch", "2.0", "2.0.post1", "up", "post-release"),
        ("torch", "1.13.1+cu117", "1.13.1+cpu", "sideways", "local"),
        ("torch", "1.13.1", "1.13.1+cpu", "sideways", "local"),
        ("torch", "1.13.1+cu117", "2.0.0+cpu", "up", "major"),
        ("thing", "1.0", "1.0.0", "sideways", "spelling"),
        ("thing", "1.0-alpha", "1.0a0", "sideways", "spelling"),
        ("thing", "1.0", "1.0-ubuntu3~x", "sideways", "incomparable"),
        ("thing", "", "1.0", "sideways", "incomparable"),
        ("certifi", "2022.6.15", "2023.1.1", "up", "minor"),
        ("certifi", "2022.6.15", "2022.12.7", "up", "patch"),
        ("tzdata", "2023.3", "2022.7", "down", "minor"),
        ("unheard-of", "2022.1", "2023.1", "up", "minor"),
        ("pip", "22.3", "23.1", "up", "minor"),
        ("setuptools", "65.5.0", "69.0.0", "up", "major"),
        ("argon2-cffi", "21.3.0", "23.1.0", "up", "minor"),
        ("structlog", "24.4.0", "25.1.0", "up", "minor"),
        ("pdfminer-six", "20221105", "20231228", "up", "minor"),
        ("thing", "20231228", "20221105", "down", "minor"),
        ("thing", "20221305", "20231228", "up", "major"),
        ("thing", "10000000", "20231228", "up", "major"),
        ("thing", "3.0", "2023.1", "up", "major"),
    ],
)
def test_compare(name: str, before: str, after: str, direction: str, size: str) -> None:
    change = compare(name, before, after)
    assert (change.direction, change.size) == (direction, size)


@pytest.mark.parametrize(
    ("specifier", "version", "answer"),
    [
        ("", "anything", True),
        ("<3.20,>=3.9.2", "4.21.1", False),
        (">=2.0", "2.1rc1", True),
        ("<2.0", "2.0rc1", False),
        ("===weird", "weird", True),
        ("===weird", "other", False),
        ("==1.0", "weird~1", False),
        ("!=1.0", "weird~1", True),
        (">=1.0", "weird~1", None),
        (">=1.0,===weird", "other~1", False),
        (">=1.0", "", None),
        ("==1.0", "1.0+cpu", True),
    ],
)
def test_allows(specifier: str, version: str, answer: bool | None) -> None:
    assert allows(specifier, version) is answer


LONG = "9" * 6000
"""More digits than Python turns into a number, without being told to."""


def test_numbers_that_nobody_counts_are_no_versions() -> None:
    assert parse_version(f"1.{LONG}") is None
    assert parse_version(f"1.0+{'a' * 6000}") is not None
    assert compare("thing", "1.0", LONG).size == "incomparable"
    assert allows("<2.0", LONG) is None
    assert allows(f"<{LONG}", "1.0") is None
    assert [str(stretch.specifier) for stretch, _ in cut([f">={LONG}", "<2"])] == ["<2", "==2", ">2"]
    assert not requires_python_holds(f">={LONG}", "3.9.2")


def test_unparseable_versions_are_none() -> None:
    assert parse_version("1.0") is not None
    assert parse_version("1.0~x") is None
    assert parse_version("") is None


@pytest.mark.parametrize("names", [CALENDAR, FRAMEWORKS])
def test_lists_are_sorted_and_normalised(names: tuple[str, ...]) -> None:
    assert list(names) == sorted(set(names))
    assert all(name == name.lower() and "_" not in name and "." not in name for name in names)


def test_requires_python() -> None:
    assert requires_python_holds(None, "3.9.2")
    assert requires_python_holds(">=3.7,<3.11", "3.9.2")
    assert not requires_python_holds(">=3.10", "3.9.2")
    assert not requires_python_holds("nonsense", "3.9.2")
    assert not requires_python_holds(">=3.10", "")
