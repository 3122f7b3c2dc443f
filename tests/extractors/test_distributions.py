from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from reprocheck.extractors import environments
from reprocheck.extractors.base import Facts
from reprocheck.model import codec
from reprocheck.model.snapshot import Environment, Package
from tests.evidence import ENGINE, Tree, interpreter, plant
from tests.extractors.test_metadata import corpus, expected

SITE = "/usr/local/lib/python3.9/site-packages"
OTHER = "/usr/local/lib/python3.9/dist"
PYTHON = {"/usr/local/bin/python3": interpreter()}


def facts(root: Path, files: dict[str, str | bytes] | None = None, **options: Any) -> Facts:
    (root / SITE.lstrip("/")).mkdir(parents=True, exist_ok=True)
    return environments.read(Tree(plant(root, files or {}), interpreters=PYTHON, **options).evidence())


def environment(found: Facts) -> Environment:
    (one,) = found.fields["environments"]
    assert isinstance(one, Environment)
    return one


def wheel(name: str, version: str, where: str = SITE, **files: str) -> dict[str, str | bytes]:
    info = f"{where}/{name}-{version}.dist-info"
    written: dict[str, str | bytes] = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n"
    }
    return written | {f"{info}/{file.replace('__', '.')}": content for file, content in files.items()}


def one_package(found: Facts) -> Package:
    (package,) = environment(found).packages
    return package


def test_normal_against_golden(tmp_path: Path) -> None:
    files = {
        **wheel(
            "Demo_Pkg",
            "1.0",
            INSTALLER="pip\n",
            REQUESTED="",
            RECORD="demo.py,,\nx,,\n",
            WHEEL="Wheel-Version: 1.0\nTag: py3-none-any\n",
        ),
        **wheel("dragged", "2.0", INSTALLER="pip"),
        **wheel("marked", "2.1", INSTALLER="uv", REQUESTED=""),
        **wheel(
            "local", "3", INSTALLER="pip", direct_url__json='{"url": "file:///src", "dir_info": {"editable": true}}'
        ),
        **wheel("conda_like", "4", INSTALLER="conda"),
        f"{SITE}/old.egg-info/PKG-INFO": "Name: old\nVersion: 0.1\n\n",
        f"{SITE}/old.egg-info/requires.txt": "six\n\n[x]\nattrs\n",
        f"{SITE}/flat-0.2-py3.9.egg-info": "Name: flat\nVersion: 0.2\nRequires-Dist: six\n",
        f"{SITE}/x.pth": "import sys\n",
    }
    golden = Path(__file__).parent.parent / "golden/extractors/distributions.json"
    assert codec.encode_json(environment(facts(tmp_path, files))) == golden.read_bytes()


def test_empty(tmp_path: Path) -> None:
    found = facts(tmp_path)
    assert environment(found).packages == ()
    assert (found.coverage.state, found.gaps) == ("complete", ())


# Metadata as it should not be, and is.


@pytest.mark.parametrize("name", ["INSTALLER", "REQUESTED"])
def test_metadata_is_missing(name: str, tmp_path: Path) -> None:
    found = facts(tmp_path, {f"{SITE}/foo-1.0.dist-info/{name}": "", **wheel("fine", "2")})
    fine, foo = environment(found).packages
    assert (foo.name, foo.version, foo.requires) == ("foo", "1.0", None)
    assert foo.problems == ("metadata unreadable (missing): name and version are from the directory's name",)
    assert (fine.version, fine.problems) == ("2", ())
    assert [(gap.what, gap.reason) for gap in found.gaps] == [
        ("environments[/usr/local].packages[foo].requires", "metadata: missing")
    ]


@pytest.mark.parametrize("raw", ["", "\n", "Summary: x\n", "\nName: foo\n"])
def test_metadata_states_nothing(raw: str, tmp_path: Path) -> None:
    """An empty file is not the statement that there are no requirements."""
    found = facts(tmp_path, {f"{SITE}/foo-1.0.dist-info/METADATA": raw})
    foo = one_package(found)
    assert (foo.name, foo.version, foo.requires) == ("foo", "1.0", None)
    assert [gap.what for gap in found.gaps] == ["environments[/usr/local].packages[foo].requires"]


def test_metadata_in_latin_1(tmp_path: Path) -> None:
    raw = b"Name: foo\nVersion: 1.0\nAuthor: caf\xe9\n\n"
    foo = one_package(facts(tmp_path, {f"{SITE}/foo-1.0.dist-info/METADATA": raw}))
    assert (foo.name, foo.version, foo.problems) == ("foo", "1.0", ("METADATA is not UTF-8",))


def test_a_header_that_is_folded_into_the_name(tmp_path: Path) -> None:
    foo = one_package(facts(tmp_path, {f"{SITE}/foo-1.0.dist-info/METADATA": "Name: foo\n Version: 9\n"}))
    assert foo.version == "1.0"
    assert any("the directory's name says foo" in problem for problem in foo.problems)


@pytest.mark.parametrize("version", ["2010i", "1.14.0-unknown", "9" * 10_000, "not a version"])
def test_versions_that_are_none(version: str, tmp_path: Path) -> None:
    raw = f"Name: foo\nVersion: {version}\n"
    found = facts(tmp_path, {f"{SITE}/foo.dist-info/METADATA": raw, **wheel("foo", "1.0")})
    assert {one.version for one in environment(found).packages} == {version, "1.0"}
    assert [one.version for one in environment(found).packages if one.active] == ["1.0"]


def test_a_version_that_nothing_states(tmp_path: Path) -> None:
    found = facts(tmp_path, {f"{SITE}/foo.dist-info/METADATA": "Name: foo\n"})
    assert one_package(found).version == ""
    assert [gap.what for gap in found.gaps] == ["environments[/usr/local].packages[foo].version"]


def test_two_copies_side_by_side(tmp_path: Path) -> None:
    found = facts(tmp_path, {**wheel("Foo", "2.1.1"), **wheel("foo", "2.2.1")})
    copies = environment(found).packages
    assert [(one.version, one.active) for one in copies] == [("2.2.1", True), ("2.1.1", False)]
    assert {one.problems for one in copies} == {("2 metadata directories side by side: 2.1.1, 2.2.1",)}


def test_a_copy_that_is_shadowed(tmp_path: Path) -> None:
    engine = ENGINE.__class__(image_id="x", platform="linux/amd64", variables={"PYTHONPATH": "/opt/lib"})
    found = facts(tmp_path, {**wheel("foo", "1.0", "/opt/lib"), **wheel("FOO", "2.0")}, engine=engine)
    copies = environment(found).packages
    assert [(one.version, one.location, one.active) for one in copies] == [
        ("1.0", "/opt/lib", True),
        ("2.0", "{prefix}/lib/python3.9/site-packages", False),
    ]
    assert [one.problems for one in copies] == [(), ()]


def test_leftovers_are_no_packages(tmp_path: Path) -> None:
    (tmp_path / SITE.lstrip("/")).mkdir(parents=True)
    (tmp_path / SITE.lstrip("/") / "link-1.0.dist-info").symlink_to("nowhere")
    found = facts(
        tmp_path,
        {
            **wheel("~umpy", "1.0"),
            f"{SITE}/six-1.16.0.dist-info copy/METADATA": "Name: six\nVersion: 1.16.0\n",
            f"{SITE}/.dist-info/METADATA": "",
            f"{SITE}/file-1.0.dist-info": "",
        },
    )
    assert environment(found).packages == ()
    assert sorted((note.where.removeprefix(SITE), note.reason) for note in found.notes) == [
        ("/.dist-info", "left behind by an interrupted uninstall"),
        ("/file-1.0.dist-info", "no directory, so no distribution"),
        ("/link-1.0.dist-info", "no directory, so no distribution"),
        ("/six-1.16.0.dist-info copy", "a copy under a name of its own, so no distribution"),
        ("/~umpy-1.0.dist-info", "left behind by an interrupted uninstall"),
    ]


def test_a_suffix_in_other_letters_is_the_same_suffix(tmp_path: Path) -> None:
    """For pip and importlib.metadata, on every file system; the names of the files inside are not."""
    found = facts(
        tmp_path,
        {
            f"{SITE}/a-1.0.DIST-INFO/METADATA": "Name: a\nVersion: 1.0\n",
            f"{SITE}/a-1.0.DIST-INFO/INSTALLER": "pip\n",
            f"{SITE}/b-1.0.Egg-Info/PKG-INFO": "Name: b\nVersion: 1.0\n",
            f"{SITE}/c-1.0.EGG-INFO": "Name: c\nVersion: 1.0\n",
            f"{SITE}/d-1.0.Dist-Info copy/METADATA": "Name: d\nVersion: 1.0\n",
        },
    )
    assert [(one.name, one.version, one.origin) for one in environment(found).packages] == [
        ("a", "1.0", "index"),
        ("b", "1.0", "unrecorded"),
        ("c", "1.0", "unrecorded"),
    ]
    assert [one.problems for one in environment(found).packages] == [(), (), ()]
    assert [note.where for note in found.notes] == [f"{SITE}/d-1.0.Dist-Info copy"]


def test_metadata_without_an_end(tmp_path: Path) -> None:
    raw = b"Name: foo\nVersion: 1.0\n" + b"Requires-Dist: x\n" * 1_000_000
    found = facts(tmp_path, {f"{SITE}/foo-1.0.dist-info/METADATA": raw})
    foo = one_package(found)
    assert (foo.name, foo.version, foo.requires) == ("foo", "1.0", None)
    assert [gap.reason for gap in found.gaps] == ["metadata: longer than the limit of 1048576 bytes"]


def test_the_directory_has_another_name(tmp_path: Path) -> None:
    foo = one_package(facts(tmp_path, {f"{SITE}/bar-1.0.dist-info/METADATA": "Name: foo\nVersion: 2.0\n"}))
    assert (foo.name, foo.version) == ("foo", "2.0")
    assert foo.problems == ("metadata says foo, the directory's name says bar",)


def test_the_interpreter_is_no_package(tmp_path: Path) -> None:
    info = "/usr/local/lib/python3.9/lib-dynload/Python-3.9.2.egg-info"
    found = facts(tmp_path, {info: "Name: Python\nVersion: 3.9.2\n"})
    assert environment(found).packages == ()


def test_an_egg_info_without_contents(tmp_path: Path) -> None:
    found = facts(tmp_path, {f"{SITE}/foo-1.0-py3.9.egg-info": ""})
    foo = one_package(found)
    assert (foo.name, foo.version, foo.requires) == ("foo", "1.0", None)


@pytest.mark.parametrize(
    ("raw", "origin", "problem"),
    [
        (
            '{"url": "https://user:hunter2@h/x.git", "vcs_info": {"vcs": "git", "commit_id": "a"}}',
            "git+https://h/x.git@a",
            None,
        ),
        ('{"url": "https:\\/\\/user:hunter2@h\\/x", "dir_info": {}}', "https://h/x", None),
        ('{"url": "https://${TOKEN}@h/x", "archive_info": {}}', "https://h/x", None),
        ('{"url": "https://user\\u003ahunter2\\u0040h/x", "archive_info": {}}', "https://h/x", None),
        ('{"url": "https://h/x", "dir_info": {}, "vcs_info": {}}', "unreadable", "not exactly one"),
        ("[]", "unreadable", "no url"),
        ("{", "unreadable", "malformed"),
        ('{"url": "https://h/\\ud800", "dir_info": {}}', "unreadable", "malformed"),
    ],
)
def test_direct_url(raw: str, origin: str, problem: str | None, tmp_path: Path) -> None:
    found = facts(tmp_path, wheel("foo", "1.0", INSTALLER="pip", direct_url__json=raw))
    foo = one_package(found)
    assert foo.origin == origin
    assert [(problem or "none expected") in one for one in foo.problems] == ([True] if problem else [])
    assert b"hunter2" not in codec.encode_json(found.fields)


def test_path_files(tmp_path: Path) -> None:
    found = facts(
        tmp_path,
        {
            f"{SITE}/a.pth": "import os; os.system('x')\n",
            f"{SITE}/.hidden.pth": "import os\n",
            f"{SITE}/b.pth": b"caf\xe9\n",
            f"{SITE}/c.pth": "import x;" + "y" * 34_000,
            f"{SITE}/d.pth": "../../../../../../etc\n",
        },
    )
    one = environment(found)
    assert [(file.path.rpartition("/")[2], file.executable) for file in one.pth] == [
        (".hidden.pth", True),
        ("a.pth", True),
        ("b.pth", False),
        ("c.pth", True),
        ("d.pth", False),
    ]
    assert len({file.sha256 for file in one.pth}) == 5
    assert "/etc" not in one.search_path  # there is none in this tree


def test_names_that_are_not_text(tmp_path: Path) -> None:
    where = os.fsencode(tmp_path) + os.fsencode(SITE) + b"/caf\xe9-1.0.dist-info"
    Path(os.fsdecode(where)).mkdir(parents=True)
    Path(os.fsdecode(where + b"/METADATA")).write_bytes(b"Name: caf\xe9\nVersion: 1.0\n")
    found = facts(tmp_path)
    assert one_package(found).name == "caf\\xe9"
    assert codec.encode_json(found.fields)


def test_container_diff() -> None:
    """Directories without METADATA: listed all the same, by the directory's name, and said so."""
    checked = 0
    for folder, want in expected("container-diff")["python_dirs"].items():
        if not isinstance(want, dict) or "env" in want:
            continue
        for site, packages in want.items():
            version = site.split("/")[-2].removeprefix("python")
            shown = {"/usr/local/bin/python": interpreter(f"{version}.0")}
            found = environments.read(Tree(corpus("container-diff") / folder, interpreters=shown).evidence())
            listed = environment(found).packages
            assert [[one.name, one.version] for one in listed] == packages
            assert {one.requires for one in listed} == {None}
            assert {gap.reason for gap in found.gaps} == {"metadata: missing"}
            checked += 1
    assert checked == 3


def test_container_diff_with_pythonpath() -> None:
    root = corpus("container-diff") / "differs/testDirs/pipTests/pythonPathTests"
    want: Any = expected("container-diff")["python_dirs"]["differs/testDirs/pipTests/pythonPathTests"]
    shown = {"/usr/local/bin/python": interpreter("3.6.0")}
    cases: tuple[tuple[dict[str, str | None], Any], ...] = (
        ({}, want["without"]),
        ({"PYTHONPATH": "/pythonPath1:/pythonPath2/subdir"}, want["with_pythonpath"]),
    )
    for variables, packages in cases:
        engine = ENGINE.__class__(image_id="x", platform="linux/amd64", variables=variables)
        listed = environment(environments.read(Tree(root, interpreters=shown, engine=engine).evidence())).packages
        assert sorted([one.name, one.version] for one in listed) == sorted(packages)
