from __future__ import annotations

from typing import Any

from reprocheck.model.snapshot import Cpu, Device, Driver, Machine, Snapshot
from tests.make import finding, findings, snapshot

A100 = Device(name="A100", compute_capability="8.0", memory_bytes=40)


def machine(**fields: Any) -> Snapshot:
    return snapshot(machine=Machine(**fields), states={"machine": "complete"})


def test_kernel_is_info_and_only_at_its_level() -> None:
    before, after = machine(kernel="5.10"), machine(kernel="6.1")
    found = finding(before, after, "RC601")
    assert (found.severity, found.before, found.after) == ("info", "5.10", "6.1")
    assert findings(before, after, level="stack") == ()
    assert len(findings(before, after, level="machine")) == 1


def test_cpu() -> None:
    before = machine(cpu=Cpu(model="A", features=("avx", "avx2", "sse")))
    after = machine(cpu=Cpu(model="B", features=("avx512f", "sse")))
    lost, model = findings(before, after, "RC601")
    assert (lost.severity, lost.message) == ("minor", "the processor lacks avx, avx2")
    assert (model.severity, model.before, model.after) == ("info", "A", "B")
    more = machine(cpu=Cpu(model="A", features=("avx", "avx2", "sse", "x")))
    assert findings(before, more, "RC601") == ()


def test_driver() -> None:
    before = machine(driver=Driver(version="525.60", source="libcuda"))
    after = machine(driver=Driver(version="none", source="not visible"))
    found = finding(before, after, "RC601")
    assert (found.severity, found.subject.kind, found.after) == ("major", "driver", "none")
    elsewhere = machine(driver=Driver(version="525.60", source="nvidia-smi"))
    assert findings(before, elsewhere, "RC601") == ()


def test_devices() -> None:
    before = machine(devices=(A100, A100))
    found = finding(before, machine(devices=(A100,)), "RC601")
    assert (found.severity, found.before, found.after) == ("major", "2", "1")
    assert finding(before, machine(), "RC601").after == "0"
    smaller = Device(name="A100", compute_capability="8.0", memory_bytes=20)
    assert "memory" in finding(before, machine(devices=(smaller, smaller)), "RC601").message
    assert findings(before, before, "RC601") == ()


def test_an_image_is_not_asked_for_a_machine() -> None:
    assert findings(machine(kernel="5.10", devices=(A100,)), snapshot()) == ()
    assert findings(machine(kernel="5.10"), machine(), "RC601") == ()
