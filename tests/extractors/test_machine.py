from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reprocheck.extractors import machine
from reprocheck.extractors.base import Facts
from reprocheck.extractors.machine import parse_cpuinfo
from reprocheck.model.evidence import CommandEvidence, Evidence
from reprocheck.model.snapshot import Cpu, Device, Driver, Machine
from tests.evidence import Tree, plant

CPUINFO = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: sse avx fpu avx\n\nprocessor\t: 1\nmodel name\t: Other\n"
KERNEL_MODULE = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  525.60.13  Wed Nov 30 2022\nGCC version: 11\n"
CPU = Cpu(model="Some CPU", features=("avx", "fpu", "sse"))


def facts(root: Path, files: dict[str, str | bytes] | None = None, smi: CommandEvidence | None = None) -> Facts:
    commands = {"nvidia-smi": smi or CommandEvidence(problem="ENOENT")}
    plant(root, {"/proc/cpuinfo": CPUINFO, **(files or {})})
    return machine.read(Tree(root, kind="container", commands=commands).evidence())


def read(*arguments: Any) -> Machine:
    found = facts(*arguments).fields["machine"]
    assert isinstance(found, Machine)
    return found


def test_normal(tmp_path: Path) -> None:
    smi = CommandEvidence(
        exit=0, output="NVIDIA A100-SXM4-40GB, 8.0, 40960, 525.60.13\nTesla T4, 7.5, 15360, 525.60.13\n"
    )
    assert read(tmp_path, {"/proc/driver/nvidia/version": KERNEL_MODULE}, smi) == Machine(
        kernel="6.1.0-test",
        cpu=CPU,
        driver=Driver(version="525.60.13", source="/proc/driver/nvidia/version"),
        devices=(
            Device(name="NVIDIA A100-SXM4-40GB", compute_capability="8.0", memory_bytes=40960 << 20),
            Device(name="Tesla T4", compute_capability="7.5", memory_bytes=15360 << 20),
        ),
    )


def test_no_gpu(tmp_path: Path) -> None:
    found = facts(tmp_path)
    assert found.fields["machine"].driver == Driver(version="none", source="not visible")
    assert found.fields["machine"].devices == ()
    assert found.gaps == ()


def test_empty(tmp_path: Path) -> None:
    assert machine.read(Evidence(Tree(tmp_path, kind="host").document)).coverage.state == "not-read"


def test_an_image_has_no_machine(tmp_path: Path) -> None:
    tree = Tree(plant(tmp_path, {"/proc/cpuinfo": CPUINFO}), kind="image")
    found = machine.read(tree.evidence())
    assert (found.coverage.state, found.fields) == ("not-applicable", {})
    assert machine.wants(Evidence(tree.document)) == []


def test_the_open_kernel_module(tmp_path: Path) -> None:
    raw = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.104.05  Release Build\n"
    assert read(tmp_path, {"/proc/driver/nvidia/version": raw}).driver == Driver(
        version="535.104.05", source="/proc/driver/nvidia/version"
    )


def test_the_library_tells_where_nothing_else_does(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"/usr/lib64/libcuda.so.1": "", "/usr/lib64/libcuda.so.510.47.03": ""}
    assert read(tmp_path, files).driver == Driver(version="510.47.03", source="libcuda")


@pytest.mark.parametrize(
    ("smi", "said"),
    [
        (CommandEvidence(problem="no answer in 10 s"), "no answer in 10 s"),
        (CommandEvidence(exit=9, output="a\nNVIDIA-SMI has failed\n"), "exit code 9: NVIDIA-SMI has failed"),
        (CommandEvidence(exit=9), "exit code 9: it printed nothing"),
    ],
)
def test_a_tool_that_fails_is_a_gap(smi: CommandEvidence, said: str, tmp_path: Path) -> None:
    found = facts(tmp_path, {}, smi)
    assert [(gap.what, gap.reason) for gap in found.gaps] == [("machine.devices", said)]
    assert found.coverage.state == "partial"


@pytest.mark.parametrize(
    ("output", "devices"),
    [
        ("", []),
        ("No devices were found\n", []),
        ("a,b\n", []),
        ("GB10, 12.1, [N/A], 580.95.05\n", [("GB10", None)]),
        ("x, 8.0, \xb2, 1.0\n", [("x", None)]),
        ("x, 8.0, " + "9" * 5000 + ", 1.0\n", [("x", None)]),
        ('"' + "x" * 200_000 + ", 8.0, 1, 1.0\n", [('"' + "x" * 200_000, 1 << 20)]),
        ("a\x00b, 8.0, 1, 1.0\n", [("a\x00b", 1 << 20)]),
        ("caf\xe9, 8.0, 1, 1.0\n", [("caf\\xe9", 1 << 20)]),
    ],
)
def test_malformed(output: str, devices: list[tuple[str, int | None]], tmp_path: Path) -> None:
    """The program belongs to the target and may print anything."""
    found = read(tmp_path, {}, CommandEvidence(exit=0, output=output)).devices
    assert [(one.name, one.memory_bytes) for one in found] == devices


def test_cpuinfo() -> None:
    assert parse_cpuinfo(CPUINFO.encode()) == CPU
    assert parse_cpuinfo(b"CPU part\t: 0xd0c\nFeatures\t: fp asimd\n") == Cpu(model="0xd0c", features=("asimd", "fp"))
    assert parse_cpuinfo(b"") == Cpu(model="unknown")
    assert parse_cpuinfo(b"\xff\n:\n") == Cpu(model="unknown")
    assert parse_cpuinfo(None) is None


def test_an_unreadable_cpuinfo_is_a_gap(tmp_path: Path) -> None:
    tree = Tree(tmp_path, kind="container", commands={"nvidia-smi": CommandEvidence(problem="ENOENT")})
    assert [gap.what for gap in machine.read(tree.evidence()).gaps] == ["machine.cpu"]
