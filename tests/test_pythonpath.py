from __future__ import annotations

import os
import shutil
import subprocess
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reprocheck import pythonpath
from reprocheck.capture import capture
from reprocheck.model.text import unescape
from reprocheck.pythonpath import Layout, search_path
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access
from tests import interpreters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reprocheck.model.snapshot import Environment, Snapshot

# What a capture computes, against what real interpreters say.


def captured(executable: Path) -> Snapshot:
    return capture(Address("python", os.fspath(executable)), Access(seconds=30))


def environment(snapshot: Snapshot) -> Environment:
    assert len(snapshot.environments) == 1
    assert [gap for gap in snapshot.gaps if gap.what.startswith("environments")] == []
    return snapshot.environments[0]


def computed(executable: Path) -> list[str]:
    """The search path as captured, its named roots put back."""
    one = environment(captured(executable))
    assert one.python is not None
    roots = {"{prefix}": one.id, "{base}": one.python.prefix, "{home}": str(Path("~").expanduser())}

    def whole(entry: str) -> str:
        name, brace, rest = entry.partition("}")
        text = roots[name + brace] + rest if brace and entry.startswith("{") else entry
        return os.fsdecode(unescape(text))

    return [whole(entry) for entry in one.search_path]


def agree(executable: Path) -> list[str]:
    said = interpreters.real_path(executable)
    assert computed(executable) == said
    return said


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home of its own and no settings of the caller's."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("PYTHONPATH", "PYTHONUSERBASE", "PYTHONNOUSERSITE", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    return interpreters.virtual_environment(interpreters.python(11), tmp_path / "venv")


def user_site(minor: int) -> Path:
    where = Path("~").expanduser() / f".local/lib/python3.{minor}/site-packages"
    where.mkdir(parents=True)
    return where


@pytest.mark.parametrize("minor", interpreters.MINORS)
def test_an_interpreter_built_from_source(minor: int) -> None:
    said = agree(interpreters.python(minor))
    assert any(entry.endswith("site-packages") for entry in said)


@pytest.mark.parametrize("minor", interpreters.MINORS)
def test_a_virtual_environment(minor: int, tmp_path: Path) -> None:
    site = user_site(minor)
    said = agree(interpreters.virtual_environment(interpreters.python(minor), tmp_path / "venv"))
    assert said[-1] == str(tmp_path / f"venv/lib/python3.{minor}/site-packages")
    assert str(site) not in said


@pytest.mark.parametrize("minor", interpreters.MINORS)
def test_a_virtual_environment_with_system_site(minor: int, tmp_path: Path) -> None:
    site = user_site(minor)
    base = interpreters.python(minor)
    said = agree(interpreters.virtual_environment(base, tmp_path / "venv", "--system-site-packages"))
    own = str(tmp_path / f"venv/lib/python3.{minor}/site-packages")
    assert said.index(own) < said.index(str(site)) < said.index(str(interpreters.site_packages(base)))


@pytest.mark.parametrize("minor", interpreters.MINORS)
def test_the_user_site(minor: int) -> None:
    site = user_site(minor)
    assert str(site) in agree(interpreters.python(minor))


def test_the_user_site_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    site = user_site(11)
    monkeypatch.setenv("PYTHONNOUSERSITE", "1")
    assert str(site) not in agree(interpreters.python(11))


def test_the_user_site_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = tmp_path / "base/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "base"))
    assert str(site) in agree(interpreters.python(11))


def test_the_user_site_that_is_not_there() -> None:
    assert not any("/.local/" in entry for entry in agree(interpreters.python(11)))


def test_debian() -> None:
    said = agree(interpreters.debian_python())
    assert "/usr/lib/python3/dist-packages" in said


@pytest.mark.parametrize("options", [(), ("--system-site-packages",)])
def test_a_virtual_environment_of_debian(options: tuple[str, ...], tmp_path: Path) -> None:
    executable = interpreters.virtual_environment(interpreters.debian_python(), tmp_path / "venv", *options)
    said = agree(executable)
    assert ("/usr/lib/python3/dist-packages" in said) == bool(options)


def moved_library(executable: Path, where: Path, minor: int) -> Path:
    """A prefix with the standard library of an interpreter and a site directory of its own."""
    library: str = interpreters.run(executable, "import json, os; print(json.dumps(os.path.dirname(os.__file__)))")
    own = where / f"lib/python3.{minor}"
    shutil.copytree(library, own, ignore=shutil.ignore_patterns("__pycache__", "test", "site-packages", "config-*"))
    (own / "site-packages/six-1.0.dist-info").mkdir(parents=True)
    (own / "site-packages/six-1.0.dist-info/METADATA").write_text("Name: six\nVersion: 1.0\n\n")
    return where


@pytest.mark.parametrize("minor", interpreters.MINORS[:-1])
def test_pythonhome(minor: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    executable = interpreters.python(minor)
    venv = interpreters.virtual_environment(executable, tmp_path / "venv", "--system-site-packages")
    home = moved_library(executable, tmp_path / "home of it", minor)
    for value in (str(home), f"{home}/", f"{home}:{tmp_path}/x"):
        monkeypatch.setenv("PYTHONHOME", value)
        (one,) = captured(executable).environments
        assert one.id == str(home)
        assert [(six.name, six.location) for six in one.packages] == [
            ("six", f"{{prefix}}/lib/python3.{minor}/site-packages")
        ]
        agree(executable)
        agree(venv)


def test_pythonhome_of_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONHOME", "")
    agree(interpreters.python(11))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    with pytest.raises(subprocess.CalledProcessError):
        interpreters.real_path(interpreters.python(11))
    snapshot = captured(interpreters.python(11))
    (note,) = [note for note in snapshot.provenance.notes if "PYTHONHOME" in note.reason]
    assert "does not start" in note.reason
    assert snapshot.gaps == ()


@pytest.mark.parametrize("value", ["relative", "/somewhere"])
def test_pythonhome_of_which_nothing_is_known(value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is relative to wherever the interpreter is started; or an archive may stand for the library."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/python311.zip").touch()
    monkeypatch.setenv("PYTHONHOME", value.replace("/somewhere", str(tmp_path)))
    snapshot = captured(interpreters.python(11))
    (gap,) = snapshot.gaps
    assert gap.what == f"environments[{snapshot.environments[0].id}].search_path"
    assert "PYTHONHOME" in gap.reason


@pytest.mark.parametrize("minor", [6, 11, 13])
def test_pythonpath(minor: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("work/relative", "one", "two"):
        (tmp_path / name).mkdir(parents=True)
    one, two, missing = (str(tmp_path / name) for name in ("one", "two", "missing"))
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PYTHONPATH", f"{one}::relative:{missing}:{one}/:{two}/../two:{two}:")
    said = agree(interpreters.python(minor))
    expected = [one, str(tmp_path / "work"), str(tmp_path / "work/relative"), missing, two]
    assert said[: len(expected)] == expected


def test_pythonpath_in_a_virtual_environment(venv: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert agree(venv)[0] == str(tmp_path)


def test_pythonpath_that_names_a_site_directory(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = interpreters.site_packages(venv)
    (site / "inner").mkdir()
    (site / "x.pth").write_text("inner\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    said = agree(venv)
    assert said[0] == str(site)
    assert str(site / "inner") in said


def test_pythonpath_whose_directory_has_path_files(venv: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only site directories have their .pth files read."""
    (tmp_path / "library/inner").mkdir(parents=True)
    (tmp_path / "library/x.pth").write_text("inner\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "library"))
    assert str(tmp_path / "library/inner") not in agree(venv)


@pytest.mark.parametrize("name", ["jörg", "back\\slash", "star*[x]?", "a b"])
def test_pythonpath_of_any_characters(name: str, venv: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    where = tmp_path / name
    (where / "six-1.0.dist-info").mkdir(parents=True)
    (where / "six-1.0.dist-info/METADATA").write_text("Name: six\nVersion: 1.0\n\n")
    monkeypatch.setenv("PYTHONPATH", str(where))
    assert agree(venv)[0] == str(where)
    assert [one.name for one in environment(captured(venv)).packages] == ["six"]


@pytest.mark.parametrize("minor", interpreters.MINORS)
def test_path_files(minor: int, tmp_path: Path) -> None:
    executable = interpreters.virtual_environment(interpreters.python(minor), tmp_path / "venv")
    site = interpreters.site_packages(executable)
    for name in ("plain", "crlf", "bom", "bom2", "last", "hidden", "nested", "nested/inner", "tail", "über"):
        (site / name).mkdir()
    (tmp_path / "outside").mkdir()
    (site / "afile").write_text("")
    (site / "b-comments.pth").write_text(
        f"# plain\n\n   \nplain\nplain\n./plain\n{site}/plain/\nmissing\nafile\n{tmp_path}/outside\ntail  \t\n"
        "dangling\nlinked\nlinked-file\n"
    )
    (site / "a-crlf.pth").write_bytes(b"crlf\r\n\r\n")
    (site / "dangling").symlink_to("nothing")
    (site / "linked").symlink_to("nested")
    (site / "linked-file").symlink_to("afile")
    (site / "c-bom-comment.pth").write_bytes(b"\xef\xbb\xbf# comment\nafter-comment\n")
    (site / "after-comment").mkdir()
    (site / "c-bom.pth").write_bytes(b"\xef\xbb\xbfbom\nbom2\n")
    (site / "d-last.pth").write_bytes(b"last")
    (site / "d-umlaut.pth").write_bytes("über\n".encode())
    (site / "e-empty.pth").write_bytes(b"")
    (site / ".hidden.pth").write_text("hidden\n")
    (site / "nested.pth").write_text("nested\n")
    (site / "nested/inner.pth").write_text("inner\n")
    (site / "z.pth").mkdir()
    said = agree(executable)
    after = [Path(entry).name for entry in said[said.index(str(site)) + 1 :]]
    assert "inner" not in after
    assert [name for name in after if name in {"crlf", "plain", "outside", "last", "nested"}] == [
        "crlf",
        "plain",
        "outside",
        "last",
        "nested",
    ]


def test_a_path_file_with_code_is_not_run(venv: Path, tmp_path: Path) -> None:
    site = interpreters.site_packages(venv)
    mark = tmp_path / "mark"
    (site / "plain").mkdir()
    (site / "a.pth").write_text(f"import os; open({str(mark)!r}, 'w').close()\nimport\tsys\nplain\nimportant\n")
    (site / "important").mkdir()
    path = computed(venv)
    assert not mark.exists()
    assert path[-2:] == [str(site / "plain"), str(site / "important")]
    assert interpreters.real_path(venv) == path
    assert mark.exists()
    assert [(one.path, one.executable) for one in environment(captured(venv)).pth] == [
        ("{prefix}/lib/python3.11/site-packages/a.pth", True)
    ]


def test_a_hidden_path_file_is_a_fact(venv: Path) -> None:
    """Python read such files for thirty years, and malware knows it."""
    site = interpreters.site_packages(venv)
    (site / ".x.pth").write_text("import sys\n")
    found = environment(captured(venv)).pth
    assert [(one.path.rpartition("/")[2], one.executable) for one in found] == [(".x.pth", True)]


def test_a_path_file_that_is_not_utf8(tmp_path: Path) -> None:
    """Python itself doesn't start with such a file in a UTF-8 locale; the capture goes on."""
    executable = interpreters.virtual_environment(interpreters.python(11), tmp_path / "venv")
    site = interpreters.site_packages(executable)
    where = os.fsencode(site) + b"/caf\xe9"
    Path(os.fsdecode(where)).mkdir()
    (site / "x.pth").write_bytes(b"caf\xe9\n")
    assert computed(executable)[-1] == os.fsdecode(where)


@pytest.mark.parametrize("minor", [6, 11, 13])
def test_a_conda_like_prefix(minor: int, tmp_path: Path) -> None:
    executable = copy_of(interpreters.python(minor), tmp_path / "conda")
    (tmp_path / "conda/conda-meta").mkdir()
    (tmp_path / "conda/conda-meta/history").write_text("")
    said = agree(executable)
    assert said[-1] == str(tmp_path / f"conda/lib/python3.{minor}/site-packages")
    assert environment(captured(executable)).kind == "conda"


@pytest.mark.parametrize("name", ["größe", "caf\udce9", "a b"])
def test_a_prefix_of_any_characters(name: str, tmp_path: Path) -> None:
    executable = copy_of(interpreters.python(11), tmp_path / name)
    site = interpreters.site_packages(interpreters.python(11)).relative_to(interpreters.python(11).parent.parent)
    (tmp_path / name / site / "six-1.0.dist-info").mkdir()
    (tmp_path / name / site / "six-1.0.dist-info/METADATA").write_text("Name: six\nVersion: 1.0\n\n")
    one = environment(captured(executable))
    assert [(package.name, package.location) for package in one.packages] == [("six", f"{{prefix}}/{site}")]
    assert unescape(one.id) == os.fsencode(tmp_path / name)


def copy_of(executable: Path, prefix: Path) -> Path:
    """An installation like the one of ``executable``, at another place, without its packages."""
    base = executable.parent.parent
    library = next(path for path in (base / "lib").glob("python3.*") if (path / "os.py").exists())
    (prefix / "bin").mkdir(parents=True)
    shutil.copy2(executable.resolve(), prefix / "bin" / library.name)
    (prefix / "bin/python3").symlink_to(library.name)
    (prefix / "bin/python").symlink_to(library.name)
    (prefix / "lib" / library.name / "site-packages").mkdir(parents=True)
    for entry in library.iterdir():
        if entry.name != "site-packages":
            (prefix / "lib" / library.name / entry.name).symlink_to(entry)
    return prefix / "bin/python"


# Editable installs, three kinds.


def project(where: Path) -> Path:
    (where / "src/demo").mkdir(parents=True)
    (where / "src/demo/__init__.py").write_text("")
    return where


def test_an_editable_install_by_egg_link(venv: Path, tmp_path: Path) -> None:
    site = interpreters.site_packages(venv)
    source = project(tmp_path / "project") / "src"
    (source / "Demo.egg-info").mkdir()
    (source / "Demo.egg-info/PKG-INFO").write_text("Name: Demo\nVersion: 3.1\n\n")
    (source / "Demo.egg-info/requires.txt").write_text("six>=1\n\n[extra]\nattrs\n")
    (site / "Demo.egg-link").write_text(f"{source}\n../")
    (site / "easy-install.pth").write_text(f"{source}\n")
    assert str(source) in agree(venv)
    (one,) = environment(captured(venv)).packages
    assert (one.name, one.version, one.editable, one.origin) == ("demo", "3.1", True, f"file://{source}")
    assert one.requires == ('attrs; extra == "extra"', "six>=1")
    assert one.location == str(source)


def test_an_egg_link_written_on_windows_or_with_a_trailing_slash(venv: Path, tmp_path: Path) -> None:
    site = interpreters.site_packages(venv)
    source = project(tmp_path / "project") / "src"
    (source / "Demo.egg-info").mkdir()
    (source / "Demo.egg-info/PKG-INFO").write_text("Name: Demo\nVersion: 3.1\n\n")
    (site / "Demo.egg-link").write_text(f"{source}/ \r\n../")
    (site / "easy-install.pth").write_text(f"{source}\n")
    (one,) = environment(captured(venv)).packages
    assert one.editable


def test_an_egg_link_to_nowhere_is_a_gap(venv: Path, tmp_path: Path) -> None:
    site = interpreters.site_packages(venv)
    (site / "Demo.egg-link").write_text(f"{tmp_path}/gone\n.")
    (gap,) = captured(venv).gaps
    assert gap.what.endswith(".packages")
    assert gap.where == str(site / "Demo.egg-link")
    assert f"{tmp_path}/gone" in gap.reason


def test_an_editable_install_by_path(venv: Path, tmp_path: Path) -> None:
    site = interpreters.site_packages(venv)
    source = project(tmp_path / "project") / "src"
    modern(site, tmp_path / "project")
    (site / "__editable__.demo-3.1.pth").write_text(f"{source}\n")
    assert str(source) in agree(venv)
    (one,) = environment(captured(venv)).packages
    assert (one.editable, one.origin) == (True, f"file://{tmp_path}/project")
    assert [file.executable for file in environment(captured(venv)).pth] == [False]


def test_an_editable_install_by_finder(venv: Path, tmp_path: Path) -> None:
    site = interpreters.site_packages(venv)
    project(tmp_path / "project")
    modern(site, tmp_path / "project")
    mark = tmp_path / "mark"
    (site / "__editable___demo_3_1_finder.py").write_text(
        f"import sys\ndef install():\n    open({str(mark)!r}, 'w').close()\n    sys.path.append('hook')\n"
    )
    (site / "__editable__.demo-3.1.pth").write_text(
        "import __editable___demo_3_1_finder; __editable___demo_3_1_finder.install()\n"
    )
    one = environment(captured(venv))
    assert not mark.exists()
    assert [file.executable for file in one.pth] == [True]
    assert [(package.name, package.version, package.editable) for package in one.packages] == [("demo", "3.1", True)]
    # The hook's own entries are all that differs: what code does, no model can know.
    said = interpreters.real_path(venv)
    assert "hook" in said
    assert [entry for entry in said if entry != "hook"] == computed(venv)


def modern(site: Path, source: Path) -> None:
    info = site / "demo-3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo\nVersion: 3.1\n\n")
    (info / "INSTALLER").write_text("pip\n")
    (info / "REQUESTED").write_text("")
    (info / "direct_url.json").write_text(f'{{"dir_info": {{"editable": true}}, "url": "file://{source}"}}')


def test_setup_py_develop_of_a_real_setuptools(tmp_path: Path) -> None:
    """The oldest interpreter still brings a setuptools that makes egg-links."""
    base = interpreters.python(6)
    executable = tmp_path / "venv/bin/python"
    subprocess.run([base, "-m", "venv", tmp_path / "venv"], check=True, capture_output=True, timeout=120)
    source = project(tmp_path / "project")
    (source / "setup.py").write_text(
        "from setuptools import setup\nsetup(name='Demo', version='3.1', package_dir={'': 'src'}, packages=['demo'])\n"
    )
    subprocess.run(
        [executable, "setup.py", "-q", "develop", "--no-deps"],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert str(source / "src") in agree(executable)
    found = {one.name: one for one in environment(captured(executable)).packages}
    assert (found["demo"].version, found["demo"].editable) == ("3.1", True)
    assert {"pip", "setuptools", "demo"} <= set(found)


def test_an_egg_directory_and_a_zipped_egg(venv: Path) -> None:
    site = interpreters.site_packages(venv)
    (site / "one-1.0-py3.11.egg/EGG-INFO").mkdir(parents=True)
    (site / "one-1.0-py3.11.egg/EGG-INFO/PKG-INFO").write_text("Name: one\nVersion: 1.0\n\n")
    shutil.make_archive(str(site / "two"), "zip", site / "one-1.0-py3.11.egg")
    (site / "two.zip").rename(site / "two-2.0-py3.11.egg")
    (site / "easy-install.pth").write_text("./one-1.0-py3.11.egg\n./two-2.0-py3.11.egg\n")
    said = interpreters.real_path(venv)
    assert said[-2:] == [str(site / "one-1.0-py3.11.egg"), str(site / "two-2.0-py3.11.egg")]
    snapshot = captured(venv)
    (one,) = snapshot.environments
    assert [entry.rpartition("/")[2] for entry in one.search_path[-2:]] == [
        "one-1.0-py3.11.egg",
        "two-2.0-py3.11.egg",
    ]
    # The zip holds the same once more, behind the directory.
    assert [(package.name, package.location.rpartition("/")[2], package.active) for package in one.packages] == [
        ("one", "one-1.0-py3.11.egg", True),
        ("one", "two-2.0-py3.11.egg", False),
    ]
    assert snapshot.gaps == ()


# The model alone.


class Memory:
    """A file system of paths."""

    def __init__(self, *directories: str, files: dict[str, bytes] | None = None) -> None:
        self.directories = set(directories)
        self.files = files or {}

    def is_dir(self, path: str) -> bool:
        return path in self.directories

    def exists(self, path: str) -> bool:
        return path in self.directories or path in self.files

    def path_files(self, directory: str) -> Sequence[tuple[str, bytes]]:
        return [
            (path.rpartition("/")[2], content)
            for path, content in self.files.items()
            if path.rpartition("/")[0] == directory and path.endswith(".pth")
        ]


LOCAL = Layout(
    version=(3, 9, 2),
    prefix="/usr/local",
    base_prefix="/usr/local",
    base_exec_prefix="/usr/local",
    standard_path=("/usr/local/lib/python39.zip", "/usr/local/lib/python3.9"),
)
LOCAL_SITE = "/usr/local/lib/python3.9/site-packages"
FEDORA = Layout(
    version=(3, 12, 3),
    prefix="/usr",
    base_prefix="/usr",
    base_exec_prefix="/usr",
    platlibdir="lib64",
    standard_path=("/usr/lib64/python312.zip", "/usr/lib64/python3.12", "/usr/lib64/python3.12/lib-dynload"),
    user_base="/root/.local",
)
FEDORA_SITES = (
    "/usr/local/lib64/python3.12/site-packages",
    "/usr/local/lib/python3.12/site-packages",
    "/usr/lib64/python3.12/site-packages",
    "/usr/lib/python3.12/site-packages",
)


def test_fedora() -> None:
    assert search_path(FEDORA, Memory(*FEDORA_SITES)) == (*FEDORA.standard_path, *FEDORA_SITES)


def test_a_virtual_environment_of_fedora() -> None:
    sites = ("/venv/lib64/python3.12/site-packages", "/venv/lib/python3.12/site-packages")
    layout = replace(FEDORA, prefix="/venv", system_site=False)
    assert search_path(layout, Memory(*FEDORA_SITES, *sites)) == (*FEDORA.standard_path, *sites)


def test_rhel_8_whose_python_does_not_know_platlibdir() -> None:
    layout = replace(
        FEDORA,
        version=(3, 6, 8),
        platlibdir="lib",
        standard_path=("/usr/lib64/python36.zip", "/usr/lib64/python3.6", "/usr/lib64/python3.6/lib-dynload"),
    )
    sites = ("/usr/local/lib/python3.6/site-packages", "/usr/lib64/python3.6/site-packages")
    assert search_path(layout, Memory(*sites)) == (*layout.standard_path, *sites)


def test_a_directory_called_lib64_makes_no_fedora() -> None:
    """The library's name decides, not where the prefix happens to lie."""
    base = "/opt/lib64/python"
    layout = replace(
        LOCAL, prefix=base, base_prefix=base, base_exec_prefix=base, standard_path=(f"{base}/lib/python3.9",)
    )
    assert pythonpath.site_directories(layout) == (f"{base}/lib/python3.9/site-packages",)


def test_alpine() -> None:
    site = "/usr/lib/python3.12/site-packages"
    layout = replace(FEDORA, platlibdir="lib", standard_path=("/usr/lib/python312.zip", "/usr/lib/python3.12"))
    assert search_path(layout, Memory(site)) == (*layout.standard_path, site)


def test_pypy() -> None:
    layout = replace(
        LOCAL,
        version=(3, 10, 14),
        implementation="pypy",
        prefix="/opt/pypy",
        base_prefix="/opt/pypy",
        base_exec_prefix="/opt/pypy",
        standard_path=("/opt/pypy/lib/pypy3.10",),
        user_base="/root/.local",
    )
    sites = ("/root/.local/lib/pypy3.10/site-packages", "/opt/pypy/lib/pypy3.10/site-packages")
    assert search_path(layout, Memory(*sites)) == (*layout.standard_path, *sites)


def test_a_free_threaded_build() -> None:
    layout = replace(LOCAL, version=(3, 13, 0), free_threaded=True, user_base="/root/.local")
    sites = ("/root/.local/lib/python3.13t/site-packages", "/usr/local/lib/python3.13t/site-packages")
    others = ("/root/.local/lib/python3.13/site-packages", "/usr/local/lib/python3.13/site-packages")
    assert search_path(layout, Memory(*sites, *others)) == (*layout.standard_path, *sites)


def test_a_virtual_environment_of_debian_with_system_site_as_a_model() -> None:
    layout = Layout(
        version=(3, 9, 2),
        prefix="/venv",
        base_prefix="/usr",
        base_exec_prefix="/usr",
        standard_path=("/usr/lib/python3.9",),
        debian=True,
        user_base="/root/.local",
    )
    sites = (
        "/venv/lib/python3.9/site-packages",
        "/root/.local/lib/python3.9/site-packages",
        "/usr/lib/python3.9/site-packages",
        "/usr/local/lib/python3.9/dist-packages",
        "/usr/lib/python3/dist-packages",
        "/usr/lib/python3.9/dist-packages",
    )
    assert search_path(layout, Memory(*sites)) == ("/usr/lib/python3.9", *sites)
    alone = replace(layout, system_site=False)
    assert search_path(alone, Memory(*sites)) == ("/usr/lib/python3.9", sites[0])


def test_a_virtual_environment_of_debian_is_not_the_system() -> None:
    layout = replace(LOCAL, prefix="/usr", base_prefix="/usr", base_exec_prefix="/usr", debian=True)
    site = "/usr/lib/python3.9/site-packages"
    assert site not in search_path(layout, Memory(site, "/usr/lib/python3/dist-packages"))


def test_a_different_exec_prefix() -> None:
    layout = replace(LOCAL, base_exec_prefix="/usr/local/exec")
    assert pythonpath.site_directories(layout) == (
        LOCAL_SITE,
        "/usr/local/exec/lib/python3.9/site-packages",
    )


@pytest.mark.parametrize(
    ("version", "read"),
    [
        ((3, 6, 15), True),
        ((3, 8, 18), True),
        ((3, 8, 19), False),
        ((3, 11, 7), True),
        ((3, 11, 8), False),
        ((3, 12, 1), True),
        ((3, 12, 2), False),
        ((3, 13, 0), False),
        ((3, 14, 0), False),
    ],
)
def test_hidden_path_files_were_read_up_to_a_patch_release(version: tuple[int, int, int], read: bool) -> None:
    assert pythonpath.is_read(".x.pth", version) is read
    assert pythonpath.is_read("x.pth", version)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"import os", True),
        (b"\nimport\tos", True),
        (b"# x\r\nimport os\r\n", True),
        (b"\xef\xbb\xbfimport os", True),
        (b"importlib", False),
        (b" import os", False),
        (b"#import os", False),
        (b"from os import path", False),
        (b"", False),
        (b"\xff\xfe\x00", False),
    ],
)
def test_what_is_code(content: bytes, code: bool) -> None:
    assert pythonpath.is_executable(content) is code


NAMES = st.sampled_from(["a", "b", "c", "./a", "b/", "c/../a", "/", "", ".", "#a", "import a", "/x/a"])
TREE = Memory(
    LOCAL_SITE,
    "/",
    "/x/a",
    *(f"{LOCAL_SITE}/{name}" for name in "abc"),
)


@given(
    files=st.dictionaries(
        st.from_regex(r"[a-c]\.pth", fullmatch=True),
        st.lists(NAMES).map(lambda lines: "\n".join(lines).encode()),
        max_size=3,
    ),
    variable=st.lists(NAMES, max_size=4).map(":".join),
)
def test_an_entry_stands_once_whatever_the_order_of_the_directory(files: dict[str, bytes], variable: str) -> None:
    layout = replace(LOCAL, python_path=variable, working_directory="/x")
    placed = {f"{LOCAL_SITE}/{name}": content for name, content in files.items()}
    paths = {
        search_path(layout, Memory(*TREE.directories, files=dict(order))) for order in permutations(placed.items())
    }
    assert len(paths) == 1
    (path,) = paths
    assert len(set(path)) == len(path)
    assert set(layout.standard_path) | {LOCAL_SITE} <= set(path)
