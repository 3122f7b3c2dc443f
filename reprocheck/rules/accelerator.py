"""RC7xx: shared libraries: what is missing, the CUDA family, what the frameworks load of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reprocheck.model.snapshot import GPU_PLATFORMS
from reprocheck.rules.base import Comparison, EnvironmentPair, Rule, finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reprocheck.model.report import Finding, Severity
    from reprocheck.model.snapshot import Framework, MissingLibrary, Snapshot

_WHERE = {"image": "the image", "container": "the container", "rootfs": "the root file system"}
_NAMED = 4
"""Libraries that a message names; the others are counted, and all are evidence."""


def library_missing(comparison: Comparison) -> Iterator[Finding]:
    """An installed package needs a shared library that is not there.

    ## What it checks
    The libraries that the extension modules of each Python package are linked to (`DT_NEEDED`), and those
    that these need in turn. One that has no file, no link and no soname anywhere is missing. It is breaking
    where importing a module surely fails; major where no module is linked to what needs it, or where not all
    of the target could be searched. Libraries of the GPU driver are never missing: the container runtime
    brings them. What the baseline lacked already is no finding; where the baseline does not tell, only new and
    changed packages are looked at.

    ## Why it matters
    A wheel brings most of what it needs, not all. pip does not look, and `pip check` is content.

    ## Example
    `opencv-python` in an image without `libxcb.so.1`: `import cv2` fails with `ImportError: libxcb.so.1:
    cannot open shared object file: No such file or directory`.

    ## What to do
    Install the system package that has the library, or a build of the package that does without, such as
    `opencv-python-headless`.

    ## When it is noise
    For a plug-in that nobody loads; it is major then, not breaking.
    """
    for pair in comparison.pairs:
        known = _known(comparison.before, pair)
        groups: dict[str, list[MissingLibrary]] = {}
        for one in comparison.after.accelerator.missing:
            if one.environment == pair.after.id and known.is_new(one):
                groups.setdefault(one.owner, []).append(one)
        for owner, group in sorted(groups.items()):
            where = _WHERE.get(comparison.after.subject.kind, "the target")
            yield _missing(owner, group, where, added=_name(owner) in pair.added)


@dataclass(frozen=True, slots=True)
class _Known:
    """What one environment of the first side lacked; ``None``: it was not looked for."""

    libraries: frozenset[tuple[str, str]] | None
    packages: frozenset[str]
    """Packages that are new or have another version."""

    def is_new(self, one: MissingLibrary) -> bool:
        if self.libraries is None:
            return _name(one.owner) in self.packages
        return (_name(one.owner), one.library) not in self.libraries


def _known(before: Snapshot, pair: EnvironmentPair) -> _Known:
    if not before.was_read("accelerator"):
        return _Known(None, pair.news)
    missing = (one for one in before.accelerator.missing if one.environment == pair.before.id)
    return _Known(frozenset((_name(one.owner), one.library) for one in missing), frozenset())


def _missing(owner: str, group: Sequence[MissingLibrary], where: str, *, added: bool) -> Finding:
    modules = sorted({one.module for one in group if one.module}, key=lambda name: (name.count("."), name))
    blocking = [one for one in group if one.module] or group
    certain = all(one.certain for one in blocking)
    libraries = sorted({one.library for one in blocking})
    of_python = owner.startswith("python:")
    who = owner.removeprefix("python:") if of_python else group[0].needed_by
    message = (
        f"{who}{' (added)' if added else ''}: {f'import {modules[0]}' if modules else 'a file of it'}"
        f" needs {_listed(libraries)}, which {'is' if len(libraries) == 1 else 'are'}"
        f" {f'nowhere in {where}' if certain else 'not found'}"
    )
    breaking = bool(modules) and certain
    return finding(
        "python-package" if of_python else "file",
        _name(owner) if of_python else group[0].needed_by,
        "breaking" if breaking else "major",
        message,
        environment=group[0].environment,
        after=" ".join(libraries),
        evidence=tuple(f"{one.needed_by} needs {one.library}" for one in group),
        expect=_error(libraries[0]) if breaking and len(libraries) == 1 else None,
    )


def _error(library: str) -> str:
    return f"ImportError: {library}: cannot open shared object file: No such file or directory"


def _name(owner: str) -> str:
    """An owner without its manager and its version."""
    return owner.partition(":")[2].partition(" ")[0] or owner


def _listed(names: Sequence[str]) -> str:
    if len(names) > _NAMED:
        names = [*names[: _NAMED - 1], f"{len(names) - _NAMED + 1} more"]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def cuda_library_changed(comparison: Comparison) -> Iterator[Finding]:
    """A copy of a CUDA library was added or removed, or has another version.

    ## What it checks
    Every copy of the CUDA runtime, cuBLAS, cuDNN, cuFFT, cuRAND, cuSOLVER, cuSPARSE, CUPTI, NCCL, NVRTC,
    nvJitLink and TensorRT: from toolkits, wheels, conda, system packages, or bundled in another package.
    Another major version is major, and so is the loss of the last copy; all else is minor.

    ## Why it matters
    Frameworks are built for one major version of each, and results differ between versions of cuDNN.

    ## Example
    `cudnn 8.9.2 → 9.1.0`: a TensorFlow that was built with cuDNN 8 finds no GPU any more.

    ## What to do
    Pin the wheel or the base image that brings the library.

    ## When it is noise
    A copy more that nothing loads; `framework-library-changed` says what is loaded.
    """
    left = {one.component for one in comparison.after.accelerator.cuda}
    for change in comparison.at("accelerator", "cuda"):
        component, environment, path = change.path[2].split("\0")
        before, after = (
            value["version"] if isinstance(value, dict) else value for value in (change.before, change.after)
        )
        severity: Severity = "minor"
        if change.kind == "changed":
            severity = "major" if _major(before) != _major(after) else "minor"
            message = f"{component} {before} → {after} ({path})"
        else:
            message = f"{component} {before or after or 'of unknown version'} {change.kind} ({path})"
            if change.kind == "removed" and component not in left:
                severity = "major"
        yield finding(
            "cuda",
            f"{component} {path}",
            severity,
            message,
            environment=_environment(comparison, environment),
            before=before,
            after=after,
        )


def framework_library_changed(comparison: Comparison) -> Iterator[Finding]:
    """A framework would load another CUDA library, or none.

    ## What it checks
    The file that the dynamic linker takes for each library that TensorFlow, PyTorch or JAX asks for, worked
    out as ld.so(8) says: RPATH, `LD_LIBRARY_PATH`, RUNPATH, the cache, the default directories. None any more
    is major, as is one of another major version or of a version that is not known; all else is minor. What
    can't be told on one side is not compared.

    ## Why it matters
    An image can hold several copies; the one that wins decides whether the GPU is used, and its last digits. The
    finding says by what it wins; all copies are its evidence.

    ## Example
    `LD_LIBRARY_PATH=/usr/local/cuda/lib64` in front of the wheel's own copy: cuDNN 8.6 is loaded, not 8.9.

    ## What to do
    Remove the copy or the variable that gets in the way.

    ## When it is noise
    Where the copies are equal.
    """
    for change in comparison.at("accelerator", "frameworks"):
        match change.path[3:]:
            case ("loads", component):
                key, name = change.path[2].split("\0")
                environment = _environment(comparison, key)
                before = _loaded(comparison.before, change.before, key)
                after = _loaded(comparison.after, change.after, environment)
                by = _by(comparison.after, name, component, environment)
                same = (
                    change.before and change.after and before[1] is not None and _major(before[1]) == _major(after[1])
                )
                yield finding(
                    "cuda",
                    f"{component} of {name}",
                    "minor" if same or not change.before else "major",
                    f"{name} would load {component} from {after[0]}{by}, not from {before[0]}",
                    environment=environment,
                    before=before[0],
                    after=after[0],
                    evidence=tuple(
                        f"{one.component} {one.version or 'of unknown version'} {one.path}"
                        for one in comparison.after.accelerator.cuda
                        if one.component == component and one.environment in {None, environment}
                    ),
                )


def _by(side: Snapshot, name: str, component: str, environment: str | None) -> str:
    """By what the dynamic linker finds a library."""
    reasons = [
        loaded.reason
        for one in side.accelerator.frameworks
        if (one.name, one.environment) == (name, environment)
        for loaded in one.loads
        if loaded.component == component and loaded.status == "found"
    ]
    return f", found by {reasons[0]}" if reasons else ""


def framework_build_changed(comparison: Comparison) -> Iterator[Finding]:
    """A framework was built for other devices, or with another CUDA.

    ## What it checks
    What the files of TensorFlow and PyTorch say of their build, and the plug-ins of JAX. From GPU to CPU or
    back, and another major version of CUDA: major. Another cuDNN, minor version or compute capability: minor.

    ## Why it matters
    The same version of a framework comes in several builds. One for the CPU runs everywhere, and slowly.

    ## Example
    `torch 2.3.0+cu121` became `torch 2.3.0+cpu`: an index was left out of a `pip install` line.

    ## What to do
    Install the build of the baseline: its index, its extra, or its name (`tensorflow-cpu`).

    ## When it is noise
    Hardly ever.
    """
    before = {(one.environment, one.name): one for one in comparison.before.accelerator.frameworks}
    seen = set()
    for change in comparison.at("accelerator", "frameworks"):
        if len(change.path) <= 3 or change.path[3] == "loads" or change.path[2] in seen:  # noqa: PLR2004 - a whole one
            continue
        seen.add(change.path[2])
        key, name = change.path[2].split("\0")
        environment = _environment(comparison, key)
        old = before[key, name]
        new = next(
            one for one in comparison.after.accelerator.frameworks if (one.environment, one.name) == (environment, name)
        )
        yield finding(
            "python-package",
            name,
            _build_severity(old, new),
            f"{name} was built {_build(old)}, now {_build(new)}",
            environment=environment,
            before=_build(old),
            after=_build(new),
        )


def _build_severity(old: Framework, new: Framework) -> Severity:
    one, two = old.built_with or {}, new.built_with or {}
    if one.keys() & GPU_PLATFORMS != two.keys() & GPU_PLATFORMS or _major(one.get("cuda")) != _major(two.get("cuda")):
        return "major"
    return "minor"


def _build(framework: Framework) -> str:
    parts = [f"{name} {version}" for name, version in sorted((framework.built_with or {}).items())]
    words = f"with {', '.join(parts)}" if parts else "for the CPU"
    return f"{words} for {' '.join(framework.gpu_targets)}" if framework.gpu_targets else words


def _loaded(side: Snapshot, path: str, environment: str | None) -> tuple[str, str | None]:
    """What is loaded, in words, and its version."""
    if not path:
        return "nowhere", None
    copy = side.accelerator.copy_at(path, environment)
    version = copy.version if copy is not None else None
    return f"{path} ({version})" if version else path, version


def _environment(comparison: Comparison, before: str) -> str | None:
    """The id on the second side of an environment of the first."""
    return next((pair.after.id for pair in comparison.pairs if pair.before.id == before), None)


def _major(version: str | None) -> str | None:
    return version.partition(".")[0] if version else None


RULES = (
    Rule(code="RC701", name="library-missing", level="packages", check=library_missing),
    Rule(code="RC702", name="cuda-library-changed", level="stack", check=cuda_library_changed),
    Rule(code="RC703", name="framework-library-changed", level="stack", check=framework_library_changed),
    Rule(code="RC704", name="framework-build-changed", level="stack", check=framework_build_changed),
)
