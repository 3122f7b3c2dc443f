"""Images and hosts in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reprocheck.fits import described, fits
from reprocheck.knowledge import load
from reprocheck.model.snapshot import Accelerator, CudaLibrary, Framework, Loaded, Machine, Snapshot
from reprocheck.sides import side_of
from tests.make import environment, package, snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reprocheck.model.fits import Fits

KNOWN = load()
EVERYWHERE = ("sm_30", "compute_30")


def library(component: str, version: str | None, path: str, **fields: Any) -> CudaLibrary:
    defaults: dict[str, Any] = {"source": "package", "owner": "none"}
    return CudaLibrary(component=component, version=version, path=path, **{**defaults, **fields})


def cudart(
    version: str | None = "11.2.152", path: str = "/usr/local/cuda-11.2/lib64/libcudart.so.11.2.152"
) -> CudaLibrary:
    return library("cudart", version, path)


def compat(version: str = "460.32.03", cuda: str = "11.2") -> CudaLibrary:
    return library("cuda", version, f"/usr/local/cuda-{cuda}/compat/libcuda.so.{version}", source="file name")


def framework(name: str = "tensorflow", version: str = "2.9.0", cuda: str | None = "11.2", **fields: Any) -> Framework:
    path = fields.pop("path", cudart().path)
    status = fields.pop("status", "found")
    loaded = Loaded(
        component="cudart",
        name="libcudart.so.11.0",
        status=status,
        path=path if status == "found" else None,
        reason="why",
    )
    defaults: dict[str, Any] = {
        "environment": "/usr",
        "built_with": {} if cuda is None else {"cuda": cuda},
        "gpu_targets": ("sm_35", "sm_50", "sm_60", "sm_70", "sm_75", "compute_80"),
        "loads": () if cuda is None else (loaded,),
    }
    return Framework(name=name, version=version, **{**defaults, **fields})


def image(
    *frameworks: Framework,
    cuda: Sequence[CudaLibrary] = (),
    variables: Mapping[str, str | None] | None = None,
    read: str = "complete",
    **fields: Any,
) -> Snapshot:
    states: Any = {"accelerator": read}
    accelerator = Accelerator(cuda=tuple(cuda), frameworks=frameworks)
    own = environment(*(package(f"{one.name}=={one.version}") for one in frameworks))
    return snapshot(own, states=states, accelerator=accelerator, variables=dict(variables or {}), **fields)


def built_for(cuda: str, targets: Sequence[str] = EVERYWHERE) -> Snapshot:
    """An image with a framework that was built for a CUDA release and carries its runtime."""
    runtime = cudart(f"{cuda}.99", "/usr/local/cuda/lib64/libcudart.so")
    one = framework("torch", "9.9", cuda, path=runtime.path, gpu_targets=tuple(targets))
    return image(one, cuda=[runtime])


def host(driver: str = "none", *devices: Any, **fields: Any) -> Snapshot:
    from reprocheck.model.snapshot import Device, Driver

    found = tuple(Device(name=name, compute_capability=capability) for name, capability in devices)
    machine = Machine(kernel="6", driver=Driver(version=driver, source="libcuda"), devices=found)
    return snapshot(environment(), kind="host", states={"machine": "complete"}, machine=machine, **fields)


def judged(target: Snapshot, driver: str | None = None, gpu: str | None = None) -> Fits:
    return fits(target, side_of(target, None), described(driver, gpu, KNOWN), KNOWN, named=True)
