"""RC4xx: the operating system."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reprocheck.integrity import newly_edited, words
from reprocheck.model.os_names import called, native
from reprocheck.rules.base import Comparison, Rule, finding
from reprocheck.rules.edits import edit
from reprocheck.versions import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprocheck.model.change import Change
    from reprocheck.model.report import Finding, Severity
    from reprocheck.model.snapshot import OsRelease

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def os_release_changed(comparison: Comparison) -> Iterator[Finding]:
    """The operating system's release changed.

    ## What it checks
    os-release: another distribution is major, another release of it is major, a point release minor, another
    name for the same release info. Ubuntu's `YY.MM` is a release as a whole; elsewhere the first component
    is.

    ## Why it matters
    System libraries that wheels link to change with the release.

    ## Example
    `debian 11 → debian 12`: `libssl1.1` is gone, libc is newer.

    ## What to do
    Build on the baseline's base image, pinned by digest.

    ## When it is noise
    Point releases, for a project that takes updates.
    """
    before, after = comparison.before.system.os, comparison.after.system.os
    if before is None or after is None or not comparison.at("system", "os"):
        return
    yield finding(
        "os",
        "os",
        _release_severity(before, after),
        f"operating system: {_release(before)} → {_release(after)}",
        before=_release(before),
        after=_release(after),
    )


def libc_changed(comparison: Comparison) -> Iterator[Finding]:
    """The C library changed.

    ## What it checks
    Its name and version. Another library and an older version are major, a newer version is minor.

    ## Why it matters
    Programs built against a newer libc don't start on an older one; glibc wheels don't load on musl.

    ## Example
    `glibc 2.31 → 2.28`: `version 'GLIBC_2.29' not found`.

    ## What to do
    Build on the baseline's base image.

    ## When it is noise
    A newer one, mostly: glibc keeps old symbols.
    """
    before, after = comparison.before.system.libc, comparison.after.system.libc
    if before is None or after is None or not comparison.at("system", "libc"):
        return
    old, new = parse_version(before.version), parse_version(after.version)
    newer = before.name == after.name and old is not None and new is not None and new > old
    yield finding(
        "os",
        "libc",
        "minor" if newer else "major",
        f"C library: {before.name} {before.version} → {after.name} {after.version}",
        before=f"{before.name} {before.version}",
        after=f"{after.name} {after.version}",
    )


def os_packages_changed(comparison: Comparison) -> Iterator[Finding]:
    """Packages of the operating system were added, changed or removed.

    ## What it checks
    Every dpkg, rpm or apk package with its version, by manager, name and architecture; all in one finding.
    The list is its evidence.

    ## Why it matters
    A library that changes underneath is seldom the cause of a difference, but it can be.

    ## Example
    `3 changed, 12 added`: an `apt-get upgrade` in the Dockerfile.

    ## What to do
    Pin the base image by digest, and install from a snapshot archive where it matters.

    ## When it is noise
    Mostly; so it is info.
    """
    changes = comparison.at("os_packages")
    if not changes:
        return
    counts = Counter(change.kind for change in changes)
    said = ", ".join(f"{counts[kind]} {kind}" for kind in ("changed", "added", "removed") if counts[kind])
    yield finding(
        "os-package",
        "os-packages",
        "info",
        f"OS packages: {said}",
        details={kind: str(counts[kind]) for kind in ("added", "changed", "removed")},
        evidence=tuple(line_of(change) for change in changes),
    )


def os_package_removed(comparison: Comparison) -> Iterator[Finding]:
    """A package of the operating system is gone.

    ## What it checks
    OS packages of the first side that the second lacks, one finding each. Not looked at where the
    distribution or the architecture is another one: there every package is.

    ## Why it matters
    A shared library that a wheel loads may have gone with it.

    ## Example
    `libgl1` removed: `import cv2` fails with `libGL.so.1: cannot open shared object file`.

    ## What to do
    Install it again in the Dockerfile.

    ## When it is noise
    Build tools that were removed to make the image smaller.
    """
    home = native(package.architecture for package in comparison.before.os_packages)
    system = comparison.at("system")
    if any(change.path in {("system", "os", "id"), ("system", "architecture")} for change in system):
        return
    for change in comparison.at("os_packages"):
        if change.kind == "removed":
            manager, name, architecture = change.path[1].split("/", 2)
            version = change.before["version"]
            yield finding(
                "os-package",
                called(name, architecture, home),
                "minor",
                f"{name} {version} ({manager}, {architecture}) was removed",
                before=version,
                details={"manager": manager, "architecture": architecture},
            )


def os_package_edited(comparison: Comparison) -> Iterator[Finding]:
    """Files of an OS package were edited by hand since it was installed.

    ## What it checks
    What is run, loaded or imported: programs, shared libraries, everything in a Python's own directories. Whether
    each such file that dpkg has a sum of is there; with `--deep`, whether it has that sum: dpkg records no sizes. Only
    what the baseline does not have edited already. Not judged: files that dpkg left out, diverted or gave to another
    package, configuration, links, bytecode; packages of rpm and apk.

    ## Why it matters
    The package's version is what it was, and the program is not: no list of packages shows it.

    ## Example
    `python3-apt 2.2.1`: `/usr/lib/python3/dist-packages/apt/cache.py` modified, after `RUN sed -i …`.

    ## What to do
    Install the package again: `apt-get install --reinstall NAME`.

    ## When it is noise
    When an image is made smaller on purpose: lock it as it is, and the same edits are no longer a finding.
    """
    before = {(one.manager, one.name, one.architecture): one.files for one in comparison.before.os_packages}
    home = native(package.architecture for package in comparison.after.os_packages)
    if not (comparison.before.was_read("os_packages") and comparison.after.was_read("os_packages")):
        return
    for one in comparison.after.os_packages:
        files = newly_edited(before.get((one.manager, one.name, one.architecture)), one.files)
        if words(files):
            yield edit("os-package", called(one.name, one.architecture, home), one.version, files)


def architecture_changed(comparison: Comparison) -> Iterator[Finding]:
    """The processor architecture is another one.

    ## What it checks
    The architecture that the files are built for, as `uname -m` names it.

    ## Why it matters
    Every compiled file is another one; floating point results differ in the last digits.

    ## Example
    `x86_64 → aarch64`, after a build on a laptop with another processor.

    ## What to do
    Build with `--platform` set to the baseline's.

    ## When it is noise
    When two architectures are compared on purpose.
    """
    for change in comparison.at("system", "architecture"):
        yield finding(
            "os",
            "architecture",
            "major",
            f"architecture: {change.before} → {change.after}",
            before=change.before,
            after=change.after,
        )


def locale_changed(comparison: Comparison) -> Iterator[Finding]:
    """The configured locale changed.

    ## What it checks
    `LC_ALL`, else `LC_CTYPE`, else `LANG` of the target's configuration.

    ## Why it matters
    It decides how Python decodes file names and, before 3.15, the contents of text files; and how text sorts.

    ## Example
    `C.UTF-8 → C`.

    ## What to do
    Set it in the Dockerfile, or pass `encoding=` wherever a file is opened.

    ## When it is noise
    Between two UTF-8 locales, mostly.
    """
    for change in comparison.at("system", "locale"):
        yield finding(
            "os",
            "locale",
            "minor",
            f"locale: {change.before} → {change.after}",
            before=change.before,
            after=change.after,
        )


def _release(release: OsRelease) -> str:
    return f"{release.id} {release.version_id}".strip()


def _release_severity(before: OsRelease, after: OsRelease) -> Severity:
    if before.id != after.id:
        return "major"
    if before.version_id == after.version_id:
        return "info"
    whole = before.id == "ubuntu"
    old, new = (text if whole else text.split(".")[0] for text in (before.version_id, after.version_id))
    return "minor" if old == new else "major"


def line_of(change: Change) -> str:
    """What happened to an OS package, in one line."""
    manager, name, architecture = change.path[1].split("/", 2)
    versions = [
        value["version"] if isinstance(value, dict) else value
        for value in (change.before, change.after)
        if value is not None
    ]
    return f"{_SIGNS[change.kind]} {manager} {name} {architecture} {' → '.join(versions)}"


RULES = (
    Rule(code="RC401", name="os-release-changed", level="stack", check=os_release_changed),
    Rule(code="RC402", name="libc-changed", level="stack", check=libc_changed),
    Rule(code="RC403", name="os-packages-changed", level="stack", check=os_packages_changed),
    Rule(code="RC404", name="os-package-removed", level="stack", check=os_package_removed),
    Rule(code="RC405", name="architecture-changed", level="stack", check=architecture_changed),
    Rule(code="RC406", name="locale-changed", level="stack", check=locale_changed),
    Rule(code="RC407", name="os-package-edited", level="stack", check=os_package_edited),
)
