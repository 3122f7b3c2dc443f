"""No alarm in what nobody has touched, whoever installed it; and every edit is found."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest

from reprocheck.capture import capture
from reprocheck.model.snapshot import Package, Snapshot
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access
from tests.integration.running import Bench, Ran, put
from tests.integration.tools import installed
from tests.integration.ways import Ways, every_way, snapshots, unlayered
from tests.interpreters import MINORS, debian_python, python

Run = Callable[..., Ran]
Image = Callable[[str], str]

SCRIPT = b"#!python\n# -*- coding: utf-8 -*-\nprint('data script')\n"
CLI = b"#!/bin/sh\nexec true\n"
FILES: dict[str, bytes] = {
    "made_up/__init__.py": b"def main():\n    return 0\n",
    "made_up/empty.py": b"",
    "made_up/a, b.txt": b"a name that RECORD has to quote\n",
    "made_up/\xfcnicode.txt": b"a name that is not ASCII\n",
    "tests/__init__.py": b"# shipped by mistake\n",
    "made_up-1.0.data/scripts/made-up-script": SCRIPT,
    "made_up-1.0.data/scripts/made-up-shell": CLI,
    "made_up-1.0.data/data/share/made_up/data.txt": b"data\n",
    "made_up-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n",
    "made_up-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "made_up-1.0.dist-info/entry_points.txt": b"[console_scripts]\nmade-up = made_up:main\n",
}
OTHER: dict[str, bytes] = {
    "other_one.py": b"",
    "tests/__init__.py": b"# shipped by mistake, once more\n",
    "other_one-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: other-one\nVersion: 1.0\n",
    "other_one-1.0.dist-info/WHEEL": FILES["made_up-1.0.dist-info/WHEEL"],
}
BACKEND = """
import os, zipfile

FILES = {
    "__editable__.in_place.pth": os.getcwd() + "\\n",
    "in_place-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: in-place\\nVersion: 1.0\\n",
    "in_place-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}

def get_requires_for_build_editable(config_settings=None):
    return []

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "in_place-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as archive:
        for file, text in FILES.items():
            archive.writestr(file, text)
        listed = [*FILES, "in_place-1.0.dist-info/RECORD"]
        archive.writestr(listed[-1], "".join(file + ",,\\n" for file in listed))
    return name

build_wheel = build_editable
"""


def wheel(folder: Path, name: str, files: Mapping[str, bytes]) -> Path:
    """A wheel with a RECORD that states what is in it."""
    info = f"{name}-1.0.dist-info"
    rows = []
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, raw in files.items():
            told = zipfile.ZipInfo(file)
            told.external_attr = 0o100755 << 16
            archive.writestr(told, raw)
            value = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
            quoted = f'"{file}"' if "," in file else file
            rows.append(f"{quoted},sha256={value},{len(raw)}\n")
        archive.writestr(f"{info}/RECORD", "".join([*rows, f"{info}/RECORD,,\n"]))
    return path


def call(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "PYTHON"))}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env={**alone, **(env or {})}, cwd=cwd)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


def make_environment(minor: int, where: Path) -> Path:
    """A virtual environment with the pip that came with its Python; its interpreter."""
    call(python(minor), "-m", "venv", where)
    return where / "bin/python"


PIP = ("-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-deps")


def packages(executable: Path, *, deep: bool, **others: Any) -> dict[str, Any]:
    """The packages of an environment as files compared with RECORD; nothing could not be compared."""
    snapshot = capture(Address("python", str(executable)), Access(deep=deep, **others))
    assert snapshot.gaps == ()
    (one,) = snapshot.environments
    return {package.name: package for package in one.packages}


def untouched(executable: Path, *expected: str) -> None:
    """No alarm of any kind, of whatever is there."""
    for deep in (False, True):
        found = packages(executable, deep=deep)
        assert set(expected) <= found.keys()
        for name, package in found.items():
            files = package.files
            assert (name, files.modified, files.missing, files.unnamed) == (name, (), (), 0)
            assert [problem for problem in package.problems if "RECORD" in problem] == []
            if name in expected:
                assert (name, files.checked) == (name, "hashes" if deep else "sizes")
                assert (name, files.unverifiable) == (name, 0)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    return wheel(folder, "made_up", FILES), wheel(folder, "other_one", OTHER)


@pytest.mark.parametrize("minor", MINORS)
def test_pip_of_every_python(minor: int, wheels: tuple[Path, Path], tmp_path: Path) -> None:
    executable = make_environment(minor, tmp_path / "venv")
    call(executable, *PIP, *wheels)
    untouched(executable, "pip", "made-up", "other-one")


def test_a_pip_of_today(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    """That of the environment that the tests run in."""
    executable = make_environment(11, tmp_path / "venv")
    call(sys.executable, "-m", "pip", "--python", str(executable), *PIP[2:], *wheels)
    untouched(executable, "pip", "made-up", "other-one")


def test_pip_without_bytecode(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    executable = make_environment(11, tmp_path / "venv")
    call(executable, *PIP, "--no-compile", *wheels)
    untouched(executable, "made-up", "other-one")
    call(executable, "-O", "-c", "import made_up, other_one, tests")
    untouched(executable, "made-up", "other-one")
    for bytecode in (tmp_path / "venv").rglob("__pycache__"):
        shutil.rmtree(bytecode)
    untouched(executable, "pip", "made-up", "other-one")


@pytest.mark.parametrize("folder", ["deps", "layer/python/lib/python3.11/site-packages"])
@pytest.mark.parametrize("minor", [6, 9, 11])
def test_pip_into_a_directory(
    minor: int, folder: str, wheels: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable = make_environment(minor, tmp_path / "venv")
    call(executable, *PIP, "--target", tmp_path / folder, *wheels)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / folder))
    untouched(executable, "made-up", "other-one")
    (tmp_path / folder / "bin/made-up-shell").write_bytes(CLI.replace(b"true", b"fals"))
    assert packages(executable, deep=True)["made-up"].files.modified == ("../../bin/made-up-shell",)


def test_pip_for_a_user(wheels: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call(python(12), *PIP, "--user", *wheels, env={"HOME": str(tmp_path)})
    monkeypatch.setenv("HOME", str(tmp_path))
    found = packages(python(12), deep=True)
    assert found["made-up"].location.startswith("{home}/")
    for name in ("made-up", "other-one"):
        files = found[name].files
        assert (files.checked, files.modified, files.missing, files.unverifiable) == ("hashes", (), (), 0)


@pytest.mark.parametrize("minor", [9, 12])
def test_pip_in_place(minor: int, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "in_place.py").write_text("")
    (source / "backend.py").write_text(BACKEND)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    executable = make_environment(minor, tmp_path / "venv")
    call(executable, *PIP, "--no-build-isolation", "--editable", source)
    untouched(executable, "in-place")
    (source / "in_place.py").write_text("edited = True\n")
    untouched(executable, "in-place")


@pytest.fixture(scope="module")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """uv, from an index."""
    return installed("uv", tmp_path_factory.mktemp("uv")) / "bin/uv"


@pytest.mark.parametrize("mode", ["clone", "copy", "hardlink", "symlink"])
def test_uv(uv: Path, mode: str, wheels: tuple[Path, Path], tmp_path: Path) -> None:
    alone = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_NO_CONFIG": "1"}
    call(uv, "venv", "--python", python(12), tmp_path / "venv", env=alone)
    executable = tmp_path / "venv/bin/python"
    options = ("--offline", "--no-deps", "--link-mode", mode)
    call(uv, "pip", "install", "--python", executable, *options, *wheels, env=alone)
    untouched(executable, "made-up", "other-one")


def test_debian() -> None:
    """dpkg's own packages have no RECORD, or one that is older than the stripped libraries."""
    found = packages(debian_python(), deep=True)
    assert found
    for name, package in found.items():
        assert (name, package.files.modified, package.files.missing) == (name, (), ())


def test_conda_like(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    """conda packs what pip has installed, then rewrites INSTALLER and puts the prefix in: RECORD is of no use."""
    executable = make_environment(11, tmp_path / "env")
    (tmp_path / "env/conda-meta").mkdir()
    call(executable, *PIP, *wheels)
    site = tmp_path / "env/lib/python3.11/site-packages"
    (site / "made_up-1.0.dist-info/INSTALLER").write_text("conda")
    (site / "made_up/__init__.py").write_text("PREFIX = '/opt/conda/envs/some/where'\n")
    found = packages(executable, deep=True)
    assert found["made-up"].files.checked == "none"
    assert found["other-one"].files.checked == "hashes"


# Edits.


@pytest.fixture
def environment(wheels: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """An interpreter with the two wheels, and its site directory."""
    venv.create(tmp_path / "venv", with_pip=True)
    executable = tmp_path / "venv/bin/python"
    call(executable, *PIP, *wheels)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    return executable, site


def test_each_edit_by_the_commands(environment: tuple[Path, Path], tmp_path: Path, run_reprocheck: Run) -> None:
    executable, site = environment
    target, baseline = f"python:{executable}", tmp_path / "baseline.json"
    locked = run_reprocheck("lock", target, "-o", baseline).ended(0)
    assert "edited" not in locked.stderr
    verify = ("verify", target, "--baseline", baseline, "--format", "json")
    run_reprocheck(*verify).ended(0)
    run_reprocheck(*verify, "--deep").ended(0)

    module = site / "made_up/__init__.py"
    module.write_bytes(FILES["made_up/__init__.py"].replace(b"0", b"1"))
    (site / "made_up/added.py").write_text("")
    assert run_reprocheck(*verify).ended(0).json["findings"] == [], "the same size"
    for words in (("--deep",), ("--level", "bits")):
        (found,) = run_reprocheck(*verify, *words).ended(1).json["findings"]
        assert (found["name"], found["severity"], found["subject"]["name"]) == ("package-edited", "major", "made-up")
        assert found["evidence"] == ["modified: made_up/__init__.py"]

    module.write_bytes(b"# longer\n" + FILES["made_up/__init__.py"])
    (site / "made_up/empty.py").unlink()
    (found,) = run_reprocheck(*verify).ended(1).json["findings"]
    assert found["evidence"] == ["modified: made_up/__init__.py", "missing: made_up/empty.py"]
    text = _unwrapped(run_reprocheck(*verify[:-2]).ended(1).stdout)
    assert "1 major · 3 of 4 Python packages" in text
    assert "edited since it was installed: made_up/__init__.py modified; made_up/empty.py missing" in text

    said = run_reprocheck("explain", target, "made-up").ended(0).stdout
    assert "made_up/__init__.py modified; made_up/empty.py missing, by sizes" in _unwrapped(said)
    again = run_reprocheck("lock", target, "-o", tmp_path / "again.json").ended(0)
    assert "made-up 1.0 was edited since it was installed: made_up/__init__.py modified" in again.stderr
    run_reprocheck("verify", target, "--baseline", tmp_path / "again.json").ended(0)


def _unwrapped(text: str) -> str:
    return " ".join(text.split())


def test_a_baseline_that_was_made_before_is_a_note(
    environment: tuple[Path, Path], tmp_path: Path, run_reprocheck: Run
) -> None:
    executable, site = environment
    baseline = tmp_path / "baseline.json"
    run_reprocheck("lock", f"python:{executable}", "-o", baseline).ended(0)
    document = json.loads(baseline.read_text())
    for package in document["environments"][0]["packages"]:
        package["files"] |= {"checked": "none"}
        del package["files"]["unnamed"], package["files"]["unverifiable"]
    baseline.write_text(json.dumps(document))
    (site / "made_up/empty.py").unlink()
    report = run_reprocheck("verify", f"python:{executable}", "--baseline", baseline, "--format", "json").ended(0).json
    assert report["findings"] == []
    assert [note["what"] for note in report["notes"] if "RECORD" in note["reason"]] == ["environments"]


def test_evidence_replays_what_was_compared(
    environment: tuple[Path, Path], tmp_path: Path, run_reprocheck: Run
) -> None:
    executable, site = environment
    (site / "made_up/__init__.py").write_bytes(FILES["made_up/__init__.py"].replace(b"0", b"1"))
    evidence = tmp_path / "e.evidence"
    run_reprocheck("capture", f"python:{executable}", "--deep", "--evidence", evidence).ended(0)
    document = run_reprocheck("capture", f"evidence:{evidence}", "--format", "json").ended(0).json
    (one,) = document["environments"]
    files = next(package["files"] for package in one["packages"] if package["name"] == "made-up")
    assert (files["checked"], files["modified"]) == ("hashes", ["made_up/__init__.py"])


# Images.


@pytest.mark.engine
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "small",
        "many",
        pytest.param("tf29", marks=pytest.mark.tensorflow),
        pytest.param("tf29-team", marks=pytest.mark.tensorflow),
    ],
)
def test_an_image_that_nobody_touched(name: str, deep: bool, image: Image, run_reprocheck: Run) -> None:
    words = ("--deep",) if deep else ()
    document = run_reprocheck("capture", f"image:{image(name)}", "--format", "json", *words).ended(0).json
    found = [package for one in document["environments"] for package in one["packages"]]
    assert [package["name"] for package in found if package["files"]["modified"] or package["files"]["missing"]] == []
    assert [problem for package in found for problem in package["problems"] if "RECORD" in problem] == []
    assert document["gaps"] == []
    recorded = [package for package in found if package["files"]["record_sha256"]]
    assert recorded
    assert {package["files"]["checked"] for package in recorded} == {"hashes" if deep else "sizes"}
    assert {package["files"]["unverifiable"] for package in recorded} == {0}


EDITED = "/opt/venv/lib/python3.9/site-packages"


@pytest.fixture(scope="module")
def edited(image: Image, bench: Bench) -> str:
    """An image with a file edited in its size, one edited otherwise, one removed and one added, each by a layer."""
    return bench.build(
        f"FROM {image('small')}\n"
        f"RUN sed -i 's/a/b/' {EDITED}/idna/core.py && touch {EDITED}/attr/added.py\n"
        f"RUN echo '# more' >> {EDITED}/click/core.py\n"
        f"RUN rm {EDITED}/attr/_make.py\n"
        "RUN touch /opt/later\n"
    )


@pytest.fixture(scope="module")
def ways(edited: str, engine: docker.DockerClient, bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Ways:
    """Every way to read it: target and route."""
    return every_way(edited, engine, bench, tmp_path_factory.mktemp("edited"))


@pytest.mark.engine
@pytest.mark.parametrize("deep", [False, True])
def test_an_edit_in_a_layer_by_every_route(deep: bool, ways: Ways) -> None:
    def packages_of(taken: Snapshot) -> tuple[Package, ...]:
        return next(one.packages for one in taken.environments if one.id == "/opt/venv")

    taken = snapshots(ways, deep=deep)
    one = packages_of(taken["container"])
    files = {package.name: package.files for package in one}
    assert files["click"].modified == ("click/core.py",)
    assert files["idna"].modified == (("idna/core.py",) if deep else ())
    assert files["attrs"].missing == ("attr/_make.py",)
    assert sum(bool(found.modified or found.missing) for found in files.values()) == (3 if deep else 2)
    for way, other in taken.items():
        assert (way, packages_of(other), other.gaps) == (way, one, ())
        layers = other.provenance.layers
        told = {
            name: str(layers[index].instruction).partition(" ")[2].split()[0]
            for name, index in other.provenance.edited.get("/opt/venv", {}).items()
        }
        by = {"click": "echo", "attrs": "rm", **({"idna": "sed"} if deep else {})}
        assert (way, told) == (way, {} if unlayered(way) else by)


@pytest.mark.engine
def test_a_finding_names_the_layer_of_the_edit(ways: Ways, image: Image, tmp_path: Path, run_reprocheck: Run) -> None:
    baseline = tmp_path / "baseline.json"
    run_reprocheck("lock", f"image:{image('small')}", "-o", baseline).ended(0)
    target, _ = ways["gzip"]
    words = ("--baseline", baseline, "--format", "json", "--deep")
    found = run_reprocheck("verify", target, *words).ended(1).json["findings"]
    brought = {
        one["subject"]["name"]: one["introduced_by"]["instruction"] for one in found if one["name"] == "package-edited"
    }
    assert {name: instruction.split()[1] for name, instruction in brought.items()} == {
        "click": "echo", "attrs": "rm", "idna": "sed",
    }  # fmt: skip


@pytest.mark.engine
def test_an_edit_in_a_running_container(image: Image, own_bench: Bench, run_reprocheck: Run) -> None:
    container = own_bench.start(image("small"))
    path = "/opt/venv/lib/python3.9/site-packages/urllib3/util/retry.py"
    put(container, path, "raise SystemExit\n")
    report = run_reprocheck("diff", f"container:{container.name}", "--format", "json").ended(1).json
    (found,) = [one for one in report["findings"] if one["name"] == "package-edited"]
    assert found["subject"]["name"] == "urllib3"
    assert found["evidence"] == ["modified: urllib3/util/retry.py"]
