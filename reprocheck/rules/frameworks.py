"""RC7xx: frameworks and what they were built for: libraries that do not fit, builds without a GPU."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from reprocheck.model.snapshot import GPU_PLATFORMS
from reprocheck.rules.base import Comparison, EnvironmentPair, Rule, finding
from reprocheck.versions import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reprocheck.knowledge import Knowledge
    from reprocheck.model.report import Finding
    from reprocheck.model.snapshot import CudaLibrary, Framework, Loaded, Snapshot

_FAMILIES = {
    **dict.fromkeys(("tensorflow", "tensorflow-gpu", "tensorflow-cpu", "tensorflow-cpu-aws"), "tensorflow"),
    "tensorflow-rocm": "tensorflow",
    "tf-nightly": "tensorflow",
    "torch": "torch",
    "jaxlib": "jax",
}
"""Distributions of one framework; under the name of its family it stands in the knowledge."""
_WORDS = {"cudnn": "cuDNN", "cudart": "CUDA"}
_BUILDS = re.compile(r"\bcu(\d+)\b")
_NUMBER = re.compile(r"\d+(?:\.\d+)*")

Numbers = tuple[int, ...]


def framework_library_unfit(comparison: Comparison) -> Iterator[Finding]:
    """A framework would load a cuDNN or a CUDA runtime that it was not built for.

    ## What it checks
    The versions with which TensorFlow and PyTorch were built, by their own files and by what is known of the
    release (`reprocheck rules framework_build`), against the copies that the dynamic linker would take. cuDNN of
    another major version, or of an older minor one, is breaking: the framework compares them itself when it first
    uses the GPU, and refuses. A CUDA runtime that is older than the one of the build is major, as is a library of
    which only another major version is there. What was so in the baseline is no finding.

    ## Why it matters
    Everything can be imported, and the first convolution on a GPU fails. No requirement is violated where the
    library is the system's, or where `LD_LIBRARY_PATH` puts another copy in front.

    ## Example
    tensorflow 2.18.0 was built with cuDNN 9.3 and loads 9.1.0, which another framework's requirement has pinned:
    `Loaded runtime CuDNN library: 9.1.0 but source was compiled with: 9.3.0`.

    ## What to do
    Bring the library of the baseline back, or the framework that was built with the one that is there.

    ## When it is noise
    Where no GPU is ever used.
    """
    for pair in comparison.pairs:
        after = list(_misfits(comparison.after, pair.after.id, comparison.knowledge))
        if after:
            before = {one.key for one in _misfits(comparison.before, pair.before.id, comparison.knowledge)}
            for misfit in after:
                if misfit.key not in before and _is_new(misfit, comparison, pair):
                    yield _finding(misfit, pair, _loaded(comparison.before, pair.before.id, misfit))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Misfit:
    """A library that a framework was not built for."""

    framework: Framework
    component: str
    needed: str
    """What it was built with, as far as it is known."""
    copy: CudaLibrary
    reason: str
    """By what the dynamic linker finds it; empty: it is all that is there, and not asked for."""

    @property
    def key(self) -> tuple[str, ...]:
        """What has to be the same for it to be the same again."""
        return self.framework.name, self.component, self.needed, self.copy.version or ""


def _misfits(side: Snapshot, environment: str, knowledge: Knowledge) -> Iterator[_Misfit]:
    for framework in side.accelerator.frameworks:
        if framework.environment != environment or "cuda" not in (framework.built_with or {}):
            continue
        for loaded in framework.loads:
            needed = _needed(framework, loaded.component, knowledge) if loaded.component in _WORDS else ()
            if needed:
                copy = _unfit(side, loaded, environment, needed)
                if copy is not None:
                    yield _Misfit(
                        framework=framework,
                        component=loaded.component,
                        needed=".".join(map(str, needed)),
                        copy=copy,
                        reason=loaded.reason if loaded.status == "found" else "",
                    )


def _unfit(side: Snapshot, loaded: Loaded, environment: str, needed: Numbers) -> CudaLibrary | None:
    """The copy that is loaded and does not fit; or, where none is found, one of another major version."""
    if loaded.status == "missing":
        copies = (one for one in side.accelerator.cuda if one.component == loaded.component and _numbers(one))
        own = [one for one in copies if one.environment in {None, environment}]
        return own[0] if own and all(_numbers(one)[0] != needed[0] for one in own) else None
    copy = side.accelerator.copy_at(loaded.path, environment) if loaded.status == "found" else None
    numbers = _numbers(copy) if copy is not None else ()
    if not numbers or (numbers[0] == needed[0] and not (numbers[1:2] and numbers[1:2] < needed[1:2])):
        return None
    return copy


def _numbers(copy: CudaLibrary) -> Numbers:
    """Major and minor version, as far as they are known: ``libcudart.so.11.0`` is the name in every CUDA 11."""
    version = copy.version or ""
    by_name = copy.component == "cudart" and copy.source in {"soname", "file name"} and version.count(".") == 1
    return _version(version)[: 1 if by_name else 2]


def _version(text: str) -> Numbers:
    found = _NUMBER.search(text)
    return tuple(int(number) for number in found[0].split(".")[:2]) if found else ()


def _needed(framework: Framework, component: str, knowledge: Knowledge) -> Numbers:
    """The version with which a framework was built: as its files say, more closely as is known of the release."""
    built = framework.built_with or {}
    if component == "cudart":
        return _version(built["cuda"])
    own = _version(built.get("cudnn", ""))
    known = _known_cudnn(framework, built["cuda"], knowledge) if len(own) < 2 else ()  # noqa: PLR2004 - major, minor
    return known if known and own in {(), known[:1]} else own


def _known_cudnn(framework: Framework, cuda: str, knowledge: Knowledge) -> Numbers:
    """The cuDNN of a release for one version of CUDA: of ``8.7.0.84 (cu118) / 8.9.2.26 (cu121)`` one part."""
    version = parse_version(framework.version)
    family = _FAMILIES.get(framework.name)
    for row in knowledge.framework_builds:
        if version is None or row.framework != family or not row.cudnn:
            continue
        if _version(row.version) != version.release[:2]:
            continue
        for part in row.cudnn.split(" / "):
            builds = _BUILDS.findall(part)
            if not builds or cuda.replace(".", "") in builds:
                return _version(part)
    return ()


def _is_new(misfit: _Misfit, comparison: Comparison, pair: EnvironmentPair) -> bool:
    """Whether a change made it so, where the first side does not tell which libraries it has."""
    if comparison.before.was_read("accelerator"):
        return True
    manager, _, name = misfit.copy.owner.partition(":")
    owner = canonicalize_name(name.partition(" ")[0]) if manager == "python" else ""
    return misfit.framework.name in pair.news or owner in pair.news


def _loaded(side: Snapshot, environment: str, misfit: _Misfit) -> str | None:
    """The version that the framework loads on another side."""
    for framework in side.accelerator.frameworks:
        if (framework.environment, framework.name) == (environment, misfit.framework.name):
            for loaded in framework.loads:
                if loaded.component == misfit.component and loaded.status == "found":
                    copy = side.accelerator.copy_at(loaded.path, environment)
                    return copy.version if copy else None
    return None


def _finding(misfit: _Misfit, pair: EnvironmentPair, before: str | None) -> Finding:
    framework, word = misfit.framework, _WORDS[misfit.component]
    built = f"{framework.name} {framework.version} was built with {word} {misfit.needed}"
    there = f"{misfit.copy.version} ({misfit.copy.path})"
    message = f"{built} and finds none: there is only {there}"
    if misfit.reason:
        message = f"{built} and would load {there}, found by {misfit.reason}"
    refuses = bool(misfit.reason) and misfit.component == "cudnn"
    return finding(
        "cuda",
        f"{misfit.component} of {framework.name}",
        "breaking" if refuses else "major",
        message,
        environment=pair.after.id,
        before=before,
        after=misfit.copy.version,
        details={"built_with": misfit.needed, "owner": misfit.copy.owner},
        suffers=(framework.name,),
        expect=_refusal(misfit) if refuses else None,
    )


def _refusal(misfit: _Misfit) -> str:
    """How the text begins with which a framework refuses a cuDNN."""
    if misfit.framework.name == "torch":
        needed = misfit.needed.replace(".", ", ")
        return f"RuntimeError: cuDNN version incompatibility: PyTorch was compiled  against ({needed}, "
    loaded = ".".join((misfit.copy.version or "").split(".")[:3])
    return f"Loaded runtime CuDNN library: {loaded} but source was compiled with: {misfit.needed}."


def gpu_build_replaced(comparison: Comparison) -> Iterator[Finding]:
    """Where a framework with GPU support was, there is one that was built for the processor alone.

    ## What it checks
    Distributions of one framework (`tensorflow`, `tensorflow-gpu`, `tensorflow-cpu` …): one that was built for GPUs
    is gone, another one is there, and no copy that remains was built for GPUs. Where the distribution kept its name,
    see `framework-build-changed`.

    ## Why it matters
    `import tensorflow` works as before, and so does the program; it computes on the processor, ten or a hundred
    times as long, and rounds otherwise.

    ## Example
    `tensorflow 2.9.0` was removed and `tensorflow-cpu 2.9.0` installed, to make an image smaller.

    ## What to do
    Install the distribution of the baseline.

    ## When it is noise
    Where nothing is computed on a GPU.
    """
    for pair in comparison.pairs:
        for name in pair.removed:
            family = _FAMILIES.get(name)
            before = [one for one in _of(comparison.before, pair.before.id, family) if one.name == name]
            after = _of(comparison.after, pair.after.id, family)
            if family and _for_gpus(before, surely=True) and after and not _for_gpus(after, surely=False):
                now = next((one for one in after if one.name in pair.added), after[0])
                message = f"{name} {before[0].version}, built for GPUs, was replaced by {now.name} {now.version}"
                yield finding(
                    "python-package",
                    name,
                    "major",
                    f"{message}, built for the processor alone",
                    environment=pair.after.id,
                    before=before[0].version,
                    after=f"{now.name} {now.version}",
                )


def _of(side: Snapshot, environment: str, family: str | None) -> list[Framework]:
    """Copies of a framework in an environment."""
    return [
        one
        for one in side.accelerator.frameworks
        if one.environment == environment and _FAMILIES.get(one.name) == family
    ]


def _for_gpus(copies: Sequence[Framework], *, surely: bool) -> bool:
    """Whether one of them was, or may have been, built for GPUs."""
    return any(
        (one.built_with or {}).keys() & GPU_PLATFORMS or (one.built_with is None and not surely) for one in copies
    )


RULES = (
    Rule(code="RC705", name="framework-library-unfit", level="stack", check=framework_library_unfit),
    Rule(code="RC706", name="gpu-build-replaced", level="packages", check=gpu_build_replaced),
)
