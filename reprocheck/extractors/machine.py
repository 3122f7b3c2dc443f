"""What the machine says: kernel, CPU, the NVIDIA driver as far as it can be seen, GPUs. Live routes only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reprocheck.extractors.base import Facts
from reprocheck.model.evidence import AnyWant, Command, Evidence, List, Read, shown
from reprocheck.model.snapshot import IMAGES, Coverage, Cpu, Device, Driver, FactClass, Gap, Machine

CLASS: FactClass = "machine"
VERSION = 1

_CPU = "/proc/cpuinfo"
_DRIVER = "/proc/driver/nvidia/version"
_SMI = "nvidia-smi"
_SMI_FIELDS = "name,compute_cap,memory.total,driver_version"
_LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/local/nvidia/lib64",
    "/.singularity.d/libs",
)
"""Where engines and distributions put the driver's libraries."""


def wants(evidence: Evidence) -> Sequence[AnyWant]:
    """Nothing of an image: its machine is whichever runs it."""
    if evidence.document.subject.kind in IMAGES:
        return []
    return [
        Read(at=_CPU, limit=1 << 18),
        Read(at=_DRIVER, limit=1 << 14),
        *(List(at=path) for path in _LIBRARIES),
        Command(argv=(_SMI, f"--query-gpu={_SMI_FIELDS}", "--format=csv,noheader,nounits")),
    ]


def read(evidence: Evidence) -> Facts:
    """Kernel, CPU, driver, devices."""
    if evidence.document.subject.kind in IMAGES:
        return Facts(coverage=Coverage(state="not-applicable"))
    if evidence.process is None:
        return Facts(coverage=Coverage(state="not-read"))
    gaps = []
    cpu = parse_cpuinfo(evidence.content(_CPU))
    if cpu is None:
        gaps.append(Gap(what=f"{CLASS}.cpu", where=_CPU, reason="can't be read"))
    devices, smi_version, problem = _devices(evidence)
    if problem:
        gaps.append(Gap(what=f"{CLASS}.devices", where=_SMI, reason=problem))
    machine = Machine(kernel=evidence.process.kernel, cpu=cpu, driver=_driver(evidence, smi_version), devices=devices)
    return Facts(
        coverage=Coverage(state="partial" if gaps else "complete"), fields={"machine": machine}, gaps=tuple(gaps)
    )


def parse_cpuinfo(raw: bytes | None) -> Cpu | None:
    """Model and features of the first processor (x86: ``model name``, ``flags``; ARM: ``CPU part``, ``Features``)."""
    if raw is None:
        return None
    fields: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    features = fields.get("flags", fields.get("Features", "")).split()
    model = fields.get("model name") or fields.get("CPU part") or "unknown"
    return Cpu(model=model, features=tuple(sorted(set(features))))


def _driver(evidence: Evidence, smi_version: str | None) -> Driver:
    loaded = evidence.content(_DRIVER)
    found = re.search(rb"Kernel Module\s+(?:for \S+\s+)?(\d+(?:\.\d+)+)", loaded) if loaded else None
    if found:
        return Driver(version=found[1].decode("ascii"), source=_DRIVER)
    if smi_version:
        return Driver(version=smi_version, source=_SMI)
    for version in sorted(_library_versions(evidence)):
        return Driver(version=version, source="libcuda")
    return Driver(version="none", source="not visible")


def _library_versions(evidence: Evidence) -> Iterator[str]:
    for directory in _LIBRARIES:
        listing = evidence.listings.get(directory)
        for entry in listing.entries if listing else ():
            # The driver's own file bears its version; libcuda.so.1 is a link to it.
            found = re.fullmatch(r"libcuda\.so\.(\d{3,}(?:\.\d+)+)", entry.name)
            if found:
                yield found[1]


def _devices(evidence: Evidence) -> tuple[tuple[Device, ...], str | None, str | None]:
    """Devices, driver version, problem."""
    told = evidence.commands.get(_SMI)
    if told is None or told.problem == "ENOENT":
        return (), None, None
    if told.problem or told.exit != 0:
        said = shown(told.output).strip().splitlines()[-1:] or ["it printed nothing"]
        return (), None, told.problem or f"exit code {told.exit}: {said[0][:200]}"
    devices, version = [], None
    for line in shown(told.output).splitlines():
        row = line.split(",")
        if len(row) == len(_SMI_FIELDS.split(",")):
            name, capability, memory, version = (cell.strip() for cell in row)
            # "[N/A]" where the card shares the machine's memory.
            size = int(memory) << 20 if re.fullmatch("[0-9]{1,9}", memory) else None
            devices.append(Device(name=name, compute_capability=capability, memory_bytes=size))
    return tuple(devices), version, None
