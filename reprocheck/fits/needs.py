"""What an image needs of a driver and a GPU: the CUDA release, and what its code was built for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from packaging.version import InvalidVersion, Version

from reprocheck.fits.numbers import Numbers, parse, release

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reprocheck.knowledge import Knowledge
    from reprocheck.model.snapshot import CudaLibrary, Framework, Loaded, Snapshot

RUNTIME = "CUDA runtime"
Runtime = Literal["carried", "missing", "absent", "unknown"]
_EXACT = 3
"""Numbers of a version that tells its minor one: ``libcudart.so.11.0`` is in every CUDA 11."""
_FIRST_AMBIGUOUS = 11


class Need(NamedTuple):
    """What one program of the image needs."""

    name: str
    version: str
    environment: str | None
    cuda: Numbers | None
    """The CUDA release of the runtime; ``None``: not known."""
    built: Numbers | None
    """The CUDA release that its own code was compiled with."""
    cudnn: str | None
    runtime: Runtime
    """Whether the image has the CUDA libraries that it loads; ``absent``: ones without which it does not start."""
    missing: tuple[str, ...]
    """The ones that it lacks."""
    reason: str
    """Why it is not known."""
    targets: tuple[str, ...]
    """GPU targets; empty: not known."""
    targets_source: str
    """What tells them; empty: its own files."""


class Compat(NamedTuple):
    """A driver's library that ``cuda-compat`` brought."""

    path: str
    version: str
    """That of the driver that it is of."""
    numbers: Numbers


def programs(snapshot: Snapshot, knowledge: Knowledge) -> list[Need]:
    """The frameworks that were built for CUDA; without any framework, the CUDA runtimes that the image carries."""
    frameworks = snapshot.accelerator.frameworks
    if frameworks:
        return [_framework(one, snapshot, knowledge) for one in frameworks if "cuda" in (one.built_with or {})]
    return list(_runtimes(snapshot))


def others(snapshot: Snapshot) -> Iterator[tuple[Framework, str]]:
    """The frameworks that use no CUDA, and what they were built for instead."""
    for one in snapshot.accelerator.frameworks:
        if one.built_with is not None and "cuda" not in one.built_with:
            yield one, "ROCm" if "rocm" in one.built_with else "the processor alone"


def compat(snapshot: Snapshot) -> Iterator[Compat]:
    """The drivers' libraries that ``cuda-compat`` brought."""
    for one in snapshot.accelerator.cuda:
        numbers = parse(one.version or "") if one.component == "cuda" else None
        if numbers is not None and len(numbers) > 1:
            yield Compat(one.path, one.version or "", numbers)


def _framework(one: Framework, snapshot: Snapshot, knowledge: Knowledge) -> Need:
    told = one.built_with or {}
    built = release(told.get("cuda", ""))
    loaded = [load for load in one.loads if load.component == "cudart"]
    missing = tuple(load.name for load in one.loads if load.status == "missing")
    unknown = [load for load in loaded if load.status == "unknown"]
    runtime: Runtime = "carried"
    reason = ""
    absent = tuple(
        each.library
        for each in snapshot.accelerator.missing
        if each.certain and each.environment == one.environment and each.owner == f"python:{one.name} {one.version}"
    )
    if absent:
        runtime, missing = "absent", absent
    elif missing:
        runtime = "missing"
    elif unknown or not loaded:
        runtime = "unknown"
        reason = unknown[0].reason if unknown else "what it loads was not read"
    targets, source = one.gpu_targets, ""
    if not targets and one.name == "torch" and built is not None:
        targets, source = _of_wheels(one, built, snapshot, knowledge), "what is known of PyTorch's wheels"
    return Need(
        name=one.name,
        version=one.version,
        environment=one.environment,
        cuda=_release_of(loaded, snapshot.accelerator.cuda) or built,
        built=built,
        cudnn=told.get("cudnn") or None,
        runtime=runtime,
        missing=missing,
        reason=reason,
        targets=targets,
        targets_source=source,
    )


def _release_of(loaded: Sequence[Loaded], copies: Sequence[CudaLibrary]) -> Numbers | None:
    """The CUDA release of the runtime that is loaded, where its version is told exactly."""
    paths = {load.path for load in loaded if load.status == "found"}
    known = {_exact(copy) for copy in copies if copy.component == "cudart" and copy.path in paths}
    return known.pop() if len(known) == 1 else None


def _exact(copy: CudaLibrary) -> Numbers | None:
    if copy.version is None or (copy.source in {"file name", "soname"} and copy.version.count(".") < _EXACT - 1):
        return None
    return release(copy.version)


def _of_wheels(one: Framework, built: Numbers, snapshot: Snapshot, knowledge: Knowledge) -> tuple[str, ...]:
    """Targets of PyTorch's own wheels; of a build of somebody else they are not known."""
    environment = next((each for each in snapshot.environments if each.id == one.environment), None)
    if environment is None or any(each.name == "pytorch" for each in environment.conda or ()):
        return ()
    copies = [each for each in environment.packages if (each.name, each.version) == (one.name, one.version)]
    if not any(tag.endswith("x86_64") for copy in copies for tag in copy.tags):
        return ()
    try:
        version = Version(one.version)
    except InvalidVersion:
        return ()
    for row in knowledge.wheel_architectures:
        if parse(row.torch) == version.release[:2] and release(row.cuda) == built:
            return row.sm
    return ()


def _runtimes(snapshot: Snapshot) -> Iterator[Need]:
    seen = set()
    for copy in snapshot.accelerator.cuda:
        if copy.component != "cudart":
            continue
        cuda = _exact(copy)
        if cuda is None and copy.version is not None:
            told = release(copy.version)
            cuda = told[:1] if told and told[0] >= _FIRST_AMBIGUOUS else told
        if cuda in seen:
            continue
        seen.add(cuda)
        yield Need(
            name=RUNTIME,
            version=copy.version or "of unknown version",
            environment=copy.environment,
            cuda=cuda,
            built=None,
            cudnn=None,
            runtime="carried",
            missing=(),
            reason="",
            targets=(),
            targets_source="",
        )
