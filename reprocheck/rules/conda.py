"""RC11x: what conda installed and no Python metadata tells of."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from reprocheck.integrity import newly_edited, words
from reprocheck.rules.base import Comparison, EnvironmentPair, Rule, finding
from reprocheck.rules.edits import edit
from reprocheck.versions import Size, compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprocheck.model.change import Change
    from reprocheck.model.report import Finding, Severity

_COMPUTES = re.compile(
    r"(?:cuda|cudnn|libcu|libnv|nccl|tensorrt|rocm|hip|miopen)[\w-]*"
    r"|(?:lib)?(?:blas|cblas|lapack|openblas|magma)(?:-devel)?|mkl(?:-service)?|blis|nvidia-[\w-]+"
    r"|(?:py)?torch(?:vision|audio)?(?:-cuda|-mutex)?|libtorch|tensorflow(?:-base|-gpu)?|jaxlib|xgboost|libxgboost"
)
"""Names of packages that compute, or decide by what others compute: each gets a finding of its own."""
_VARIANT = re.compile(r"cuda\d*|cudnn\d*|rocm\d*|cpu|gpu|nomkl|mkl|openblas|blis")
_PYTHON_NAMES = {"pytorch": "torch"}
"""Where the Python distribution in a conda package has another name."""
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_SEVERITIES: dict[Size, Severity] = {"epoch": "major", "major": "major", "incomparable": "major", "minor": "minor"}
"""Of a version change; whatever is smaller is info."""


def conda_package_changed(comparison: Comparison) -> Iterator[Finding]:
    """A conda package that computes, or decides how others do, is another one.

    ## What it checks
    CUDA, cuDNN, NCCL, BLAS, LAPACK, MKL, OpenBLAS and the frameworks as conda names them. The first component
    of the version is major, the second minor, below it info. Another build of the same version is minor, and
    major where the build names another accelerator or library (`cuda112` and `cpu`). A version that stands in
    the metadata of a Python distribution of the same name is judged there, its build here.

    ## Why it matters
    These libraries are no Python distributions: `pip` does not list them, and no requirement holds them.

    ## Example
    `cudatoolkit 11.3.1 → 10.2.89`; `pytorch 1.12.1` from `py3.9_cuda11.3_cudnn8.3.2_0` to `py3.9_cpu_0`.

    ## What to do
    Install the baseline's version and build: `conda install NAME=VERSION=BUILD`.

    ## When it is noise
    When a build number alone went up.
    """
    for pair, name, facts in _changed(comparison):
        if not _COMPUTES.fullmatch(name):
            continue
        if "version" in facts:
            if is_distribution(pair, name):
                continue
            before, after = facts["version"].before, facts["version"].after
            severity = _SEVERITIES.get(compare(name, before, after).size, "info")
            message = f"{name} {before} → {after} (conda)"
        elif "build" in facts:
            before, after = facts["build"].before, facts["build"].after
            severity = "minor" if _variant(before) == _variant(after) else "major"
            message = f"{name} is another build (conda): {before} → {after}"
        else:
            continue
        yield finding("conda-package", name, severity, message, environment=pair.after.id, before=before, after=after)


def conda_package_removed(comparison: Comparison) -> Iterator[Finding]:
    """A package that conda had installed is gone.

    ## What it checks
    Conda packages of the first side that the second lacks, one finding each: major for those that compute, minor
    for others. What is a Python distribution by the same name is judged as such.

    ## Why it matters
    A library that extension modules load went with it.

    ## Example
    `cudnn 8.2.1` removed: TensorFlow finds the GPU and does not use it.

    ## What to do
    Install it again with conda.

    ## When it is noise
    Build tools; packages that conda has split or merged under other names.
    """
    for pair in comparison.pairs:
        for change in pair.changes:
            match change.path[2:], change.kind:
                case ("conda", name), "removed" if not is_distribution(pair, name):
                    version = change.before["version"]
                    yield finding(
                        "conda-package",
                        name,
                        "major" if _COMPUTES.fullmatch(name) else "minor",
                        f"{name} {version} (conda) was removed",
                        environment=pair.after.id,
                        before=version,
                    )


def conda_packages_changed(comparison: Comparison) -> Iterator[Finding]:
    """Packages that conda installed were added, changed or removed.

    ## What it checks
    Version, build and channel of every conda package, all in one finding for each environment. The list is its
    evidence.

    ## Why it matters
    A library that changes underneath is seldom the cause of a difference, but it can be.

    ## Example
    `3 changed, 12 added`: an environment that was solved anew.

    ## What to do
    Install from an explicit list (`conda list --explicit`) or a lock file.

    ## When it is noise
    Mostly; so it is info.
    """
    for pair in comparison.pairs:
        names = sorted({change.path[3] for change in pair.changes if change.path[2] == "conda"})
        if not names:
            continue
        lines = [_line(pair, name) for name in names]
        counts = Counter(kind for kind, _ in lines)
        said = ", ".join(f"{counts[kind]} {kind}" for kind in ("changed", "added", "removed") if counts[kind])
        yield finding(
            "conda-package",
            "conda-packages",
            "info",
            f"conda packages of {pair.after.id}: {said}",
            environment=pair.after.id,
            details={kind: str(counts[kind]) for kind in ("added", "changed", "removed")},
            evidence=tuple(line for _, line in lines),
        )


def conda_package_edited(comparison: Comparison) -> Iterator[Finding]:
    """Files of a conda package were edited by hand since it was installed.

    ## What it checks
    What is run, loaded or imported: programs, shared libraries, everything in a Python's own directories. Whether
    each such file of conda's record is there; its size, where no prefix was put into it; with `--deep` its hash.
    Only what the baseline does not have edited already. Not judged: links, bytecode, entry points, static libraries,
    what `conda init` rewrites, and packages that pip has since replaced by another version.

    ## Why it matters
    Version and build are what they were, and the program is not: no list of packages shows it.

    ## Example
    `libblas 3.9.0`: `lib/libblas.so.3` modified, after `RUN cp mine.so /opt/conda/lib/libblas.so.3`.

    ## What to do
    Install the package again: `conda install --force-reinstall NAME=VERSION=BUILD`.

    ## When it is noise
    When an image is made smaller on purpose (`strip`, tests deleted): lock it as it is, and the same edits are
    no longer a finding.
    """
    for pair in comparison.pairs:
        before = {package.name: package.files for package in pair.before.conda or ()}
        versions = {package.name: package.version for package in pair.after.packages if package.active}
        for package in pair.after.conda or ():
            files = newly_edited(before.get(package.name), package.files)
            # pip has taken over what it upgraded, and left conda's record behind.
            taken_over = versions.get(_as_distribution(package.name), package.version) != package.version
            if words(files) and not taken_over:
                yield edit("conda-package", package.name, package.version, files, environment=pair.after.id)


def _changed(comparison: Comparison) -> Iterator[tuple[EnvironmentPair, str, dict[str, Change]]]:
    """Each conda package that both sides have and that differs, with what differs."""
    for pair in comparison.pairs:
        packages: dict[str, dict[str, Change]] = {}
        for change in pair.changes:
            match change.path[2:]:
                case "conda", name, fact:
                    packages.setdefault(name, {})[fact] = change
        for name, facts in packages.items():
            yield pair, name, facts


def is_distribution(pair: EnvironmentPair, name: str) -> bool:
    """Whether Python's own metadata tells of a package of the first side: then it is judged by that."""
    return any(package.name == _as_distribution(name) for package in pair.before.packages)


def _as_distribution(name: str) -> str:
    return canonicalize_name(_PYTHON_NAMES.get(name, name))


def _variant(build: str) -> set[str]:
    return set(_VARIANT.findall(build))


def _line(pair: EnvironmentPair, name: str) -> tuple[str, str]:
    """How a package changed, and a line that says it."""
    sides = []
    for environment in (pair.before, pair.after):
        group = [package for package in environment.conda or () if package.name == name]
        sides.append(", ".join(sorted(f"{one.version} {one.build} {one.channel}".rstrip() for one in group)))
    kind = "changed" if all(sides) else "added" if sides[1] else "removed"
    return kind, f"{_SIGNS[kind]} {name} {' → '.join(side for side in sides if side)}"


RULES = (
    Rule(code="RC111", name="conda-package-changed", level="packages", check=conda_package_changed),
    Rule(code="RC112", name="conda-package-removed", level="packages", check=conda_package_removed),
    Rule(code="RC113", name="conda-packages-changed", level="packages", check=conda_packages_changed),
    Rule(code="RC114", name="conda-package-edited", level="packages", check=conda_package_edited),
)
