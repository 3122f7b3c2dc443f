from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from reprocheck import by_hand
from reprocheck.errors import DataError, EngineError, TargetError, UsageError
from reprocheck.targets import address, local
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access, image_of, open_target, resolve
from tests import interpreters
from tests.archives.make import PACKED, tar


class NoEngine(Access):
    """Fails a test in which an engine is asked for."""

    def engine(self) -> object:  # type: ignore[override]
        raise AssertionError("an engine was asked for")


class DeadEngine(Access):
    """A machine without an engine."""

    def engine(self) -> object:  # type: ignore[override]
        raise EngineError("no engine answers")


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("container:x", Address("container", "x")),
        ("image:tf:2.9.0", Address("image", "tf:2.9.0")),
        ("host:", Address("host", "")),
        ("python:.", Address("python", ".")),
        ("snapshot:a:b", Address("snapshot", "a:b")),
        ("evidence:x", Address("evidence", "x")),
        ("archive:a.tar#one:2", Address("archive", "a.tar#one:2")),
        ("oci:.", Address("oci", ".")),
        ("rootfs:/", Address("rootfs", "/")),
    ],
)
def test_a_full_target_needs_no_engine(word: str, found: Address) -> None:
    assert resolve(word, NoEngine()) == found
    assert str(found) == word


@pytest.mark.parametrize("word", ["tf:2.9.0", "x", "", ":", "Image:x", "localhost:5000/x:1"])
def test_a_bare_word(word: str) -> None:
    assert address.parse(word) is None


@pytest.mark.parametrize(
    "word", ["image:", "container:", "archive:", "oci:", "rootfs:", "python:", "snapshot:", "evidence:", "host:x"]
)
def test_a_kind_without_its_value_or_with_one_too_many(word: str) -> None:
    with pytest.raises(UsageError, match=r"host:|names nothing"):
        address.parse(word)


def write(path: Path, content: bytes, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_paths_need_no_engine(tmp_path: Path) -> None:
    marker = b"reprocheck-evidence-" + b"0" * 64
    cases = {
        write(tmp_path / "s.json", b'{"schema": "reprocheck.snapshot/1"}'): "snapshot",
        write(tmp_path / "empty-object", b"  {}"): "snapshot",
        write(tmp_path / "e", b"noise\n" + marker + b" begin 4\nAAAA\n" + marker + b" end\n"): "evidence",
        write(tmp_path / "crlf", b"\r\n" + marker + b" begin 4\r\nAAAA\r\n" + marker + b" end\r\n"): "evidence",
        write(tmp_path / "e.json", b'{"schema": "reprocheck.evidence/1"}'): "evidence",
        write(tmp_path / "bin/python3.9", b"\x7fELF", 0o755): "python",
        write(tmp_path / "bin/pypy3", b"\x7fELF", 0o755): "python",
        write(tmp_path / "venv/pyvenv.cfg", b"").parent: "python",
        write(tmp_path / "conda/conda-meta/history", b"").parent.parent: "python",
        write(tmp_path / "prefix/bin/python", b"").parent.parent: "python",
        write(tmp_path / "root/etc/os-release", b"").parent.parent: "rootfs",
        write(tmp_path / "bare/usr/lib/x", b"").parent.parent.parent: "rootfs",
        write(tmp_path / "layout/oci-layout", b"{}").parent: "oci",
        write(tmp_path / "image.tar", tar({"x": b"1"})): "archive",
        write(tmp_path / "image", gzip.compress(tar({"x": b"1"}))): "archive",
        write(tmp_path / "image.tzst", PACKED["+zstd"](tar({"x": b"1"}))): "archive",
    }
    for path, kind in cases.items():
        assert resolve(str(path), NoEngine()) == Address(kind, str(path))  # type: ignore[arg-type]


def test_a_root_file_system_is_no_environment_although_it_has_a_python(tmp_path: Path) -> None:
    """Nor are its links followed, which lead elsewhere when seen from here."""
    (tmp_path / "bin").symlink_to("/usr/bin")
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/lib").symlink_to("/nowhere")
    assert resolve(str(tmp_path), NoEngine()) == Address("rootfs", str(tmp_path))


def test_a_layout_that_also_looks_like_something_else(tmp_path: Path) -> None:
    for name in ("oci-layout", "pyvenv.cfg", "etc/os-release", "bin/python"):
        write(tmp_path / name, b"{}")
    assert resolve(str(tmp_path), NoEngine()).kind == "oci"


def test_an_image_of_an_archive_or_layout(tmp_path: Path) -> None:
    archive = write(tmp_path / "image.tar", tar({"x": b"1"}))
    layout = write(tmp_path / "layout/oci-layout", b"{}").parent
    for path, kind in ((archive, "archive"), (layout, "oci")):
        assert resolve(f"{path}#made:one", NoEngine()) == Address(kind, f"{path}#made:one")  # type: ignore[arg-type]
    venv = write(tmp_path / "venv/pyvenv.cfg", b"").parent
    with pytest.raises(UsageError, match=r"#made:one chooses an image of an archive or layout, and .* is a python:"):
        resolve(f"{venv}#made:one", NoEngine())


@pytest.mark.parametrize(
    ("value", "path", "name"),
    [
        ("a.tar", "a.tar", None),
        ("a.tar#x/y:1", "a.tar", "x/y:1"),
        ("a.tar#", "a.tar", None),
        ("a#b.tar#x", "a#b.tar", "x"),
        ("there#x", "there#x", None),
    ],
)
def test_a_path_with_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, path: str, name: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "there#x", b"")
    assert address.chosen(value) == (path, name)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.sif", b"", r"read from inside; run these two, then use evidence:x\.evidence"),
        ("notes.txt", b"hello", r"neither an image archive, nor a snapshot, nor evidence.*rootfs:, python:"),
        ("empty", b"", r"neither an image archive, nor a snapshot, nor evidence.*rootfs:, python:"),
        ("python", b"not executable", r"neither an image archive, nor a snapshot, nor evidence.*rootfs:, python:"),
    ],
)
def test_a_file_that_is_no_target(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said) as error:
        resolve(str(write(tmp_path / name, content)), NoEngine())
    assert "\n" not in str(error.value)


def test_a_path_that_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"without any of oci-layout, .*usr/lib.*name its kind: container:, image:, "):
        resolve(str(tmp_path), NoEngine())
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(UsageError, match="can't be read"):
        resolve(str(tmp_path / "dangling"), NoEngine())
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe"):
        resolve(str(tmp_path / "pipe"), NoEngine())


def test_a_python_that_is_not_there_without_an_engine() -> None:
    """The question "did you mean an image" must not turn into an error about engines."""
    word = "python:3.9-slim-of-nowhere"
    assert resolve(word, DeadEngine()) == Address("python", "3.9-slim-of-nowhere")
    with (
        pytest.raises(TargetError, match="no such file"),
        open_target(Address("python", "3.9-slim-of-nowhere"), NoEngine()),
    ):
        pass


def test_a_directory_without_an_interpreter(tmp_path: Path) -> None:
    with (
        pytest.raises(TargetError, match=r"no interpreter there"),
        open_target(Address("python", str(tmp_path)), NoEngine()),
    ):
        pass


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    path = write(tmp_path / "python3", b"text", 0o644)
    with pytest.raises(TargetError, match=r"can't be started"), open_target(Address("python", str(path)), NoEngine()):
        pass


def test_a_snapshot_is_no_target_to_open(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match="facts, not evidence"),
        open_target(Address("snapshot", str(tmp_path)), NoEngine()),
    ):
        pass


def test_only_a_container_has_an_image() -> None:
    with pytest.raises(UsageError, match="name a second target"):
        image_of(Address("image", "x"), NoEngine())


# host:


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    return monkeypatch


def test_the_active_environment(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[str] = []
    for name in ("venv", "conda", "path"):
        write(tmp_path / name / "bin/python", b"#!/bin/sh\n", 0o755)
        write(tmp_path / name / "bin/python3", b"#!/bin/sh\n", 0o755)
    bare.setenv("PATH", f"/nonexistent:{tmp_path}/path/bin")
    assert local.active_interpreter(told.append) == tmp_path / "path/bin/python3"
    bare.setenv("CONDA_PREFIX", str(tmp_path / "conda"))
    assert local.active_interpreter(told.append) == tmp_path / "conda/bin/python"
    bare.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    assert local.active_interpreter(told.append) == tmp_path / "venv/bin/python"
    assert told == []
    bare.setenv("VIRTUAL_ENV", str(tmp_path / "gone"))
    assert local.active_interpreter(told.append) == tmp_path / "conda/bin/python"
    assert told == [f"VIRTUAL_ENV={tmp_path}/gone holds no bin/python; reading {tmp_path}/conda/bin/python"]
    bare.setenv("CONDA_PREFIX", "/also/gone")
    assert local.active_interpreter(told.append) == tmp_path / "path/bin/python3"
    assert [line.partition("=")[0] for line in told[1:]] == ["VIRTUAL_ENV", "CONDA_PREFIX"]


def test_never_the_environment_of_reprocheck_itself(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path / "own/bin/python", b"", 0o755)
    write(tmp_path / "own/bin/python3", b"", 0o755)
    bare.setattr("sys.prefix", str(tmp_path / "own"))
    bare.setenv("VIRTUAL_ENV", str(tmp_path / "own"))
    bare.setenv("PATH", str(tmp_path / "own/bin"))
    with pytest.raises(UsageError, match="name one with --python"):
        local.active_interpreter(pytest.fail)


def test_the_host_as_it_is_captured(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    executable = interpreters.virtual_environment(interpreters.python(11), tmp_path / "venv")
    bare.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    from reprocheck.capture import capture

    found = capture(resolve("host:", NoEngine()), NoEngine())
    assert [(one.id, one.kind, one.on_path) for one in found.environments] == [(str(tmp_path / "venv"), "venv", True)]
    named = capture(Address("host", ""), NoEngine(python=interpreters.python(13)))
    assert named.environments[0].python is not None
    assert named.environments[0].python.version.startswith("3.13.")
    assert executable.exists()
    assert by_hand.program()
