from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reprocheck.model.snapshot import Coverage, Cpu, Device, Driver, Machine, Snapshot, Subject
from tests.fits.images import compat, cudart, framework, image
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


# What can't run there.

TF = image(framework(gpu_targets=("sm_75", "sm_80", "compute_80")), cuda=[cudart()])


def on(driver: str, gpu: str, capability: str, target: Snapshot = TF) -> Snapshot:
    """A container on a machine with a driver and a GPU."""
    made = Machine(
        driver=Driver(version=driver, source="libcuda"), devices=(Device(name=gpu, compute_capability=capability),)
    )
    coverage = {**target.coverage, "machine": Coverage(state="complete")}
    return replace(target, subject=Subject(kind="container", name="it"), machine=made, coverage=coverage)


GOOD = on("525.60.13", "NVIDIA A100-SXM4-40GB", "8.0")


def test_a_driver_that_is_too_old_for_what_is_installed() -> None:
    old = on("440.33.01", "NVIDIA GeForce RTX 2080 Ti", "7.5")
    found = finding(GOOD, old, "RC602")
    assert (found.severity, found.subject.kind, found.subject.name) == ("breaking", "driver", "driver for tensorflow")
    assert found.message == (
        "tensorflow 2.9.0 can't use the GPU with driver 440.33.01: 460.27.03 is CUDA 11.2's own;"
        " 450.80.02 is enough (minor-version compatibility); 440.33.01 is too old"
    )
    assert found.expect == "CUDA driver version is insufficient for CUDA runtime version"
    assert (found.after, found.suffers) == ("440.33.01", ("tensorflow",))
    assert findings(GOOD, old, "RC602", level="stack") == ()


def test_a_gpu_that_the_build_has_no_code_for() -> None:
    found = finding(GOOD, on("470.82.01", "Tesla K80", "3.7"), "RC602")
    assert (found.subject.kind, found.subject.name, found.after) == ("device", "GPU for tensorflow", "Tesla K80")
    assert found.message.startswith("tensorflow 2.9.0 can't use Tesla K80: 3.7 is not served")


@pytest.mark.parametrize(
    "after",
    [
        on("450.80.02", "Tesla T4", "7.5"),
        on("none", "Tesla T4", "7.5"),
        on("440.33.01", "Tesla T4", "7.5", image()),
        on("418.40.04", "Tesla T4", "7.5", image(framework(gpu_targets=("sm_75",)), cuda=[cudart(), compat()])),
        TF,
    ],
)
def test_what_runs_there_or_is_not_surely_known(after: Snapshot) -> None:
    assert findings(GOOD, after, "RC602") == ()


def test_what_did_not_fit_before_is_no_finding() -> None:
    old = on("440.33.01", "Tesla T4", "7.5")
    assert findings(old, old, "RC602") == ()
    assert finding(TF, old, "RC602").after == "440.33.01"
    assert finding(old, on("418.40.04", "Tesla T4", "7.5"), "RC602").after == "418.40.04"
