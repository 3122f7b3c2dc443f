from __future__ import annotations

from pathlib import Path

import pytest

from reprocheck.extractors import system
from reprocheck.extractors.system import parse_os_release
from reprocheck.model.evidence import EngineFacts, Evidence
from reprocheck.model.snapshot import Libc, OsRelease, System
from tests.evidence import ENGINE, Tree, interpreter, plant, process

RELEASE = 'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nID=debian\nVERSION_ID="11"\n'
PYTHON = {"/usr/local/bin/python3": interpreter()}


def read(root: Path, files: dict[str, str | bytes], engine: EngineFacts | None = ENGINE, **options: object) -> System:
    tree = Tree(plant(root, files), interpreters=PYTHON, engine=engine, **options)  # type: ignore[arg-type]
    found = system.read(tree.evidence()).fields["system"]
    assert isinstance(found, System)
    return found


def test_normal(tmp_path: Path) -> None:
    assert read(tmp_path, {"/etc/os-release": RELEASE}) == System(
        os=OsRelease(id="debian", version_id="11", pretty_name="Debian GNU/Linux 11 (bullseye)"),
        libc=Libc(name="glibc", version="2.31"),
        architecture="x86_64",
        locale="C",
    )


def test_empty(tmp_path: Path) -> None:
    facts = system.read(Evidence(Tree(tmp_path, engine=None).document))
    assert facts.fields["system"] == System(locale="C")
    assert facts.coverage.state == "partial"
    assert [gap.what for gap in facts.gaps] == ["system.os", "system.libc", "system.architecture"]


def test_the_second_place_and_the_first_one_before_it(tmp_path: Path) -> None:
    found = read(tmp_path, {"/usr/lib/os-release": "ID=alpine\n"})
    assert found.os == OsRelease(id="alpine", version_id="", pretty_name="Linux")
    found = read(tmp_path, {"/etc/os-release": RELEASE})
    assert found.os is not None
    assert found.os.id == "debian"


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"", {}),
        (b"# ID=x\n\nnothing\n", {}),
        (b"ID='a b'\n", {"ID": "a b"}),
        (b'ID="a \\"b\\" \\\\"\n', {"ID": 'a "b" \\'}),
        (b'ID="open\nNAME=x\n', {"NAME": "x"}),
        (b"ID=\xff\n", {"ID": "\ufffd"}),
        (b"ID=a\r\n", {"ID": "a"}),
        (b"ID=a\nID=b\n", {"ID": "b"}),
        (b"A=b=c\n", {"A": "b=c"}),
    ],
)
def test_malformed(raw: bytes, values: dict[str, str]) -> None:
    assert parse_os_release(raw) == values


def test_musl(tmp_path: Path) -> None:
    loader = b"\x7fELF" + b"x" * 100 + b"\x001.2.4\x00musl libc"
    tree = Tree(
        plant(tmp_path, {"/lib/ld-musl-x86_64.so.1": loader, "/etc/os-release": RELEASE}),
        interpreters={"/usr/bin/python3": interpreter(libc=None)},
    )
    assert system.read(tree.evidence()).fields["system"].libc == Libc(name="musl", version="1.2.4")


@pytest.mark.parametrize(
    ("platform", "name"),
    [("linux/amd64", "x86_64"), ("linux/arm64/v8", "aarch64"), ("linux/riscv64", "riscv64"), ("", "x86_64")],
)
def test_architecture(platform: str, name: str, tmp_path: Path) -> None:
    assert read(tmp_path, {}, EngineFacts(image_id="x", platform=platform)).architecture == name


@pytest.mark.parametrize(
    ("variables", "locale"),
    [
        ({}, "C"),
        ({"LANG": "C.UTF-8"}, "C.UTF-8"),
        ({"LANG": "C.UTF-8", "LC_CTYPE": "de_DE"}, "de_DE"),
        ({"LANG": "a", "LC_CTYPE": "b", "LC_ALL": "c"}, "c"),
        ({"LANG": "a", "LC_ALL": ""}, "a"),
    ],
)
def test_locale(variables: dict[str, str | None], locale: str, tmp_path: Path) -> None:
    configured = EngineFacts(image_id="x", platform="linux/amd64", variables=variables)
    assert read(tmp_path, {}, configured).locale == locale
    assert read(tmp_path, {}, None, running=process(**variables), kind="python").locale == locale
