"""RC1xx: Python packages, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.integrity import new_edits, words
from reprocheck.model.report import Finding
from reprocheck.model.snapshot import Files
from reprocheck.rules.base import Comparison, EnvironmentPair, Rule, finding
from reprocheck.rules.chains import pulling
from reprocheck.rules.edits import edit
from reprocheck.rules.grading import severity, untested
from reprocheck.rules.repair import reinstall, restore
from reprocheck.rules.requirers import asked_for, brackets, checks, listed, requirers, sentences
from reprocheck.versions import Direction, Size, VersionChange, compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprocheck.knowledge import Knowledge
    from reprocheck.model.snapshot import Package


def package_upgraded(comparison: Comparison) -> Iterator[Finding]:
    """A package's version went up.

    ## What it checks
    The version of each distribution that Python takes, compared after PEP 440. A framework's first or second
    component is major. Any other package's is minor, below that it is info; below 1.0 the second component counts
    as the first, and calendar versions (certifi, pytz, pip …) are read one step lower. A change of the first
    component is major where a framework requires the package without a bound in that direction, and versions of
    the two are known to break each other: the metadata allow it, and nobody tried.

    ## Why it matters
    What is known to break, and a requirement that is violated, are findings of their own. A version alone, however
    large its number, mostly does no harm; a list of fifty of them hides the one that does.

    ## Example
    `protobuf 3.19.6 → 4.21.1`: tensorboard 2.9.1 requires `protobuf<3.20,>=3.9.2`.

    ## What to do
    Read who requires it and who pulled it in. The repair restores the baseline's version, with what has to go
    back with it; where an installed package does not allow that, or more than thirty would have to go back, the
    finding says so.

    ## When it is noise
    When the upgrade is wanted: lock a new baseline.
    """
    return _version_changes(comparison, "up")


def package_downgraded(comparison: Comparison) -> Iterator[Finding]:
    """A package's version went down.

    ## What it checks
    As `package-upgraded`, in the other direction. A lower patch release is minor: somebody lost a correction.

    ## Why it matters
    Code written for the newer version meets an interface that lacks what it uses, and known faults come back.

    ## Example
    `numpy 1.26.4 → 1.23.5`, forced by a package that was installed later.

    ## What to do
    Read who pulled it down; restore the baseline's version where the requirements allow it.

    ## When it is noise
    When an upgrade was taken back on purpose and the baseline is the one that is out of date.
    """
    return _version_changes(comparison, "down")


def package_version_changed(comparison: Comparison) -> Iterator[Finding]:
    """A package's version changed, neither up nor down.

    ## What it checks
    Versions of which one is no PEP 440 version (compared as text, major), versions that differ in their local
    label alone (`+cpu`, `+cu118`: minor, major for a framework), and two spellings of one version (info).

    ## Why it matters
    A local label often names the accelerator that a framework was built for; a version that doesn't parse
    can't be ordered, so nobody can say that the change is harmless.

    ## Example
    `torch 1.13.1+cu117 → 1.13.1+cpu`: the same code, without GPU support.

    ## What to do
    Install the baseline's build from the index that it came from.

    ## When it is noise
    When packages are built in house and their local label is a build number.
    """
    return _version_changes(comparison, "sideways")


def package_added(comparison: Comparison) -> Iterator[Finding]:
    """A package is installed that the baseline does not have.

    ## What it checks
    Distributions that are on the second side alone, and whether they were asked for (the installer's
    REQUESTED mark) or came with another.

    ## Why it matters
    A new package may bring other versions of what was there; that is reported for those packages. By itself
    it is info.

    ## Example
    `opencv-python 5.0.0.93` added, asked for; `regex` added with it, required by transformers.

    ## What to do
    Nothing, or lock a new baseline that has it.

    ## When it is noise
    In environments that people extend on purpose.
    """
    for pair in comparison.pairs:
        for name in pair.added:
            package = pair.graph_after.packages[name]
            asked = asked_for(pair, name)
            edges = pair.graph_after.requirers_of(name)
            message = f"{name} {package.version or '(version unknown)'} was added"
            if asked == "true":
                message += ", asked for"
            elif edges:
                message += f", required by {listed(requirers(edges))}"
            yield finding(
                "python-package",
                name,
                "info",
                message,
                environment=pair.after.id,
                after=package.version or None,
                details={"asked_for": asked},
                required_by=requirers(edges),
                suffers=requirers(edge for edge in edges if edge.holds is False),
                pulled_by=requirers(edge for edge in edges if edge.by in pair.news),
                paths=pair.graph_after.paths_to(name),
                requirements=checks(pair, edges, None, package.version),
            )


def package_removed(comparison: Comparison) -> Iterator[Finding]:
    """A package of the baseline is not installed.

    ## What it checks
    Distributions that are on the first side alone, and who still requires them. One that came with another and
    that nobody requires any more is minor.

    ## Why it matters
    Whatever imports it fails, also where no metadata says that it is needed.

    ## Example
    `typing-extensions 4.4.0` removed; tensorflow still requires it.

    ## What to do
    Install the baseline's version again; or lock a new baseline without it.

    ## When it is noise
    When a dependency was dropped by the package that needed it. A package that could not be read is a
    gap, never a removal.
    """
    for pair in comparison.pairs:
        for name in pair.removed:
            package = pair.graph_before.packages[name]
            edges = pair.graph_after.requirers_of(name)
            still = requirers(edges)
            dropped = not still and package.requested is not True and bool(pair.graph_before.requirers_of(name))
            message = f"{name} {package.version or '(version unknown)'} was removed"
            if still:
                message += f"; still required by {listed(still)}"
            yield finding(
                "python-package",
                name,
                "minor" if dropped else "major",
                message,
                environment=pair.after.id,
                before=package.version or None,
                evidence=sentences(pair, edges),
                required_by=still,
                suffers=still,
                paths=pair.graph_after.paths_to(name),
                requirements=checks(pair, edges, package.version, None),
                fix=restore(pair, name),
            )


def package_origin_changed(comparison: Comparison) -> Iterator[Finding]:
    """A package was installed from somewhere else.

    ## What it checks
    Where each distribution was installed from (PEP 610): an index, a URL, a checkout, an editable directory.
    Where one side has no record of it, the change is minor. A URL that changed together with the version is
    no finding of its own.

    ## Why it matters
    The same version number from another place need not be the same code.

    ## Example
    `mylib 1.2.0` from the index → from `git+https://example.org/mylib@3f2c1a0`.

    ## What to do
    Install the baseline's copy again.

    ## When it is noise
    When a mirror or a wheel house serves the same files under another URL.
    """
    for pair, name, before, after in _both(comparison):
        facts = pair.changed[name]
        if "origin" not in facts and "editable" not in facts:
            continue
        plain = {"index", "unrecorded"}
        if "version" in facts and "editable" not in facts and not plain & {before.origin, after.origin}:
            continue
        origins = (_origin(before), _origin(after))
        unrecorded = "unrecorded" in {before.origin, after.origin} and "editable" not in facts
        yield finding(
            "python-package",
            name,
            "minor" if unrecorded else "major",
            f"{name} {after.version} comes from elsewhere: {origins[0]} → {origins[1]}",
            environment=pair.after.id,
            before=origins[0],
            after=origins[1],
            details={"version": after.version},
            fix=None if "version" in facts else reinstall(pair, name),
        )


def package_build_changed(comparison: Comparison) -> Iterator[Finding]:
    """Another build of the same version is installed.

    ## What it checks
    The tags and the build number that the WHEEL file states, where the version is the same. Not looked at
    where Python's minor version, the implementation or the architecture changed: there another build has to
    be.

    ## Why it matters
    Wheels of one version can be compiled against other libraries; a copy built on the spot has no tags at
    all.

    ## Example
    `grpcio 1.47.0`: `cp39-cp39-manylinux_2_17_x86_64` → `cp39-cp39-linux_x86_64`, compiled on the spot.

    ## What to do
    Install the baseline's copy again, with `--only-binary` where a wheel was used.

    ## When it is noise
    When a wheel only gained a further platform tag.
    """
    for pair, name, before, after in _both(comparison):
        facts = pair.changed[name]
        if "version" in facts or not facts.keys() & {"tags", "build"} or _other_interpreter(comparison, pair):
            continue
        builds = (_build(before), _build(after))
        yield finding(
            "python-package",
            name,
            "minor",
            f"{name} {after.version} is another build: {builds[0]} → {builds[1]}",
            environment=pair.after.id,
            before=builds[0],
            after=builds[1],
            details={"version": after.version},
            fix=reinstall(pair, name),
        )


def package_files_changed(comparison: Comparison) -> Iterator[Finding]:
    """The files that a package recorded are other ones.

    ## What it checks
    The SHA-256 of RECORD, the list of a distribution's files with their hashes, where version, origin and
    build are the same. Counts at the level `bits` alone.

    ## Why it matters
    Same name, same version, other contents: a file was replaced, or the wheel was published twice.

    ## Example
    `mylib 1.2.0`: RECORD `9c1185a5…` → `3a7bd3e2…`.

    ## What to do
    Install the baseline's copy again and compare the files.

    ## When it is noise
    Often: RECORD also lists what the installer wrote, such as scripts with the path of the interpreter.
    """
    for pair, name, before, after in _both(comparison):
        facts = pair.changed[name]
        if "record_sha256" not in facts or facts.keys() & {"version", "origin", "editable", "tags", "build"}:
            continue
        yield finding(
            "python-package",
            name,
            "minor",
            f"{name} {after.version}: the recorded files differ at the same version",
            environment=pair.after.id,
            before=before.files.record_sha256,
            after=after.files.record_sha256,
            details={"version": after.version},
            fix=reinstall(pair, name),
        )


def package_edited(comparison: Comparison) -> Iterator[Finding]:
    """A package's files were edited by hand since it was installed.

    ## What it checks
    The size of each installed file against the one that RECORD states, with `--deep` its hash too, and whether
    it is there at all. Only what the baseline does not have edited already. Code (`.py`, `.so`, `.pth`) is major,
    other files are minor. Not judged: bytecode, rows without size and hash, what the installer writes beside
    RECORD; scripts are compared without their first line.

    ## Why it matters
    Version, origin and requirements are what they were, and the code is not: no list of packages shows it.
    Whoever installs the same versions does not get the same program.

    ## Example
    `numpy 1.23.5`: `numpy/core/numeric.py` modified, after `RUN sed -i … numeric.py`.

    ## What to do
    Install the package again; or publish the edited copy as a version of its own, and install that.

    ## When it is noise
    When an image is made smaller on purpose (`strip`, tests deleted): lock it as it is, and the same edits are
    no longer a finding.
    """
    for pair in comparison.pairs:
        before = {package.name: package for package in pair.before.packages if package.active}
        for package in pair.after.packages:
            base = before.get(package.name)
            files = new_edits(base.files if base else Files(), package.files)
            if not package.active or not words(files):
                continue
            yield edit(
                "python-package",
                package.name,
                package.version,
                files,
                environment=pair.after.id,
                fix=reinstall(pair, package.name) if base and base.version == package.version else None,
            )


def _version_changes(comparison: Comparison, direction: Direction) -> Iterator[Finding]:
    for pair, name, before, after in _both(comparison):
        if "version" not in pair.changed[name]:
            continue
        change = compare(name, before.version, after.version)
        if change.direction != direction:
            continue
        yield _version_change(pair, before, after, change, comparison.knowledge)


def _version_change(
    pair: EnvironmentPair, before: Package, after: Package, change: VersionChange, knowledge: Knowledge
) -> Finding:
    name, size = after.name, change.size
    untried = untested(pair, name, change, knowledge)
    edges = pair.graph_after.requirers_of(name)
    dragging = pulling(pair, name)
    violated = [edge for edge in edges if edge.holds is False]
    message = f"{name} {before.version} → {after.version} ({_SIZES[size]})"
    if violated:
        message += f"; violates {listed(brackets(pair, violated))}"
    if dragging:
        message += f"; pulled in by {listed(brackets(pair, dragging))}"
    return finding(
        "python-package",
        name,
        severity(name, change, untested=bool(untried)),
        message,
        environment=pair.after.id,
        before=before.version,
        after=after.version,
        details={"change": size, "asked_for": asked_for(pair, name)},
        evidence=(*sentences(pair, dict.fromkeys((*violated, *dragging))), *untried),
        required_by=requirers(edges),
        suffers=requirers(edge for edge in edges if edge.holds is False),
        pulled_by=requirers(dragging),
        paths=pair.graph_after.paths_to(name),
        requirements=checks(pair, edges, before.version, after.version),
        fix=restore(pair, name),
    )


_SIZES: dict[Size, str] = {
    "epoch": "another epoch",
    "major": "major",
    "minor": "minor",
    "patch": "patch",
    "pre-release": "pre-release",
    "post-release": "post-release",
    "local": "another local build",
    "spelling": "the same version, spelled otherwise",
    "incomparable": "not comparable",
}


def _both(comparison: Comparison) -> Iterator[tuple[EnvironmentPair, str, Package, Package]]:
    """Each package that is on both sides and differs in some fact."""
    for pair in comparison.pairs:
        for name in pair.changed:
            yield pair, name, pair.graph_before.packages[name], pair.graph_after.packages[name]


def _origin(package: Package) -> str:
    return f"{package.origin} (editable)" if package.editable else package.origin


def _build(package: Package) -> str:
    tags = " ".join(package.tags) or "no wheel tags"
    return f"{tags} build {package.build}" if package.build else tags


def _other_interpreter(comparison: Comparison, pair: EnvironmentPair) -> bool:
    before, after = pair.before.python, pair.after.python
    if comparison.at("system", "architecture"):
        return True
    if before is None or after is None:
        return False
    minors = {tuple(python.version.split(".")[:2]) for python in (before, after)}
    return len(minors) > 1 or before.implementation != after.implementation


RULES = (
    Rule(
        code="RC101",
        name="package-upgraded",
        level="packages",
        check=package_upgraded,
        frameworks_count_earlier=True,
    ),
    Rule(
        code="RC102",
        name="package-downgraded",
        level="packages",
        check=package_downgraded,
        frameworks_count_earlier=True,
    ),
    Rule(
        code="RC103",
        name="package-added",
        level="packages",
        check=package_added,
        frameworks_count_earlier=True,
    ),
    Rule(
        code="RC104",
        name="package-removed",
        level="packages",
        check=package_removed,
        frameworks_count_earlier=True,
    ),
    Rule(code="RC105", name="package-origin-changed", level="packages", check=package_origin_changed),
    Rule(code="RC106", name="package-build-changed", level="packages", check=package_build_changed),
    Rule(
        code="RC107",
        name="package-version-changed",
        level="packages",
        check=package_version_changed,
        frameworks_count_earlier=True,
    ),
    Rule(code="RC108", name="package-files-changed", level="bits", check=package_files_changed),
    Rule(code="RC109", name="package-edited", level="packages", check=package_edited),
)
