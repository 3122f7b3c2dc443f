from __future__ import annotations

import pytest

from reprocheck.model.factpath import keys, listings


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("", ()),
        ("machine", ("machine",)),
        ("machine.driver", ("machine", "driver")),
        ("what is this", ("what is this",)),
        ("environments", ("environments",)),
        ("environments[/usr]", ("environments", "/usr")),
        ("environments[/usr].packages", ("environments", "/usr", "packages")),
        ("environments[/usr].python.version", ("environments", "/usr", "python", "version")),
        (
            "environments[/usr].packages[zope.event].files.count",
            ("environments", "/usr", "packages", "zope.event", "files", "count"),
        ),
        ("environments[/a[b].c]", ("environments", "/a[b].c")),
        ("environments[/a[b].c].packages[numpy]", ("environments", "/a[b].c", "packages", "numpy")),
        ("environments[/a\nb (pypy 3.9)].pth", ("environments", "/a\nb (pypy 3.9)", "pth")),
        ("environments[/usr].unheard.of", ("environments", "/usr", "unheard", "of")),
    ],
)
def test_keys(what: str, expected: tuple[str, ...]) -> None:
    assert keys(what) == expected


def test_an_id_that_looks_like_a_path_of_facts_is_known_where_the_ids_are() -> None:
    there = ["/a", "/a].packages[x", "/b"]
    assert keys("environments[/a].packages[x].packages[y]", there) == (
        "environments",
        "/a].packages[x",
        "packages",
        "y",
    )
    assert keys("environments[/a].packages[z]", there) == ("environments", "/a", "packages", "z")
    assert keys("environments[/new].pth", there) == ("environments", "/new", "pth")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("environments", "/usr", "packages"), [("environments", "/usr", "packages")]),
        (
            ("environments", "/usr", "search_path"),
            [("environments", "/usr", name) for name in ("packages", "pth", "duplicates")],
        ),
        (("layers",), [("system",), ("environments",), ("os_packages",), ("accelerator",)]),
    ],
)
def test_what_a_gap_leaves_incomplete(path: tuple[str, ...], expected: list[tuple[str, ...]]) -> None:
    assert list(listings(path)) == expected
