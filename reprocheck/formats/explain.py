"""The explanation of one package as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.formats.layout import Page
from reprocheck.formats.words import brought_by
from reprocheck.integrity import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reprocheck.explain import PackageExplanation, Requirement, Requirer
    from reprocheck.model.snapshot import Files

_SATISFIED = {True: "satisfied", False: "violated", None: "can't be judged"}
_REQUESTED = {True: "asked for", False: "not asked for", None: "not recorded whether it was asked for"}


def render(explanations: Sequence[PackageExplanation], *, width: int = 100, color: bool = False) -> str:
    """Lay out what is known of a package, one block for each environment that has it."""
    page = Page(width=width, color=color)
    for explanation in explanations:
        _package(page, explanation)
    return page.render()


def _package(page: Page, package: PackageExplanation) -> None:
    version = package.version or "(version unknown)"
    page.line((f"{package.display_name} {version}", "strong"), f"  in {package.environment}")
    page.row("location", package.location + (", editable" if package.editable else ""))
    installer = f"installed by {package.installer}" if package.installer else "installer not recorded"
    page.row("origin", f"{package.origin}; {installer}; {_REQUESTED[package.requested]}")
    _rows(page, "also there", [f"{copy.version} in {copy.location}, not taken" for copy in package.copies])
    _rows(page, "problem", package.problems)
    if package.files.checked != "none":
        page.row("files", _files(package.files))
    if package.layer is not None or package.from_base is not None:
        page.row("brought by", brought_by(package.layer, package.from_base))
    _rows(page, "required by", [_requirer(package, requirer) for requirer in package.required_by] or ["nobody"])
    _rows(page, "path", [" → ".join(path) for path in package.paths if len(path) > 1])
    _rows(page, "requires", [_requirement(requirement) for requirement in package.requires] or ["nothing"])
    _rows(page, "unjudged", [f"{item.requirement}: {item.reason}" for item in package.unjudged])
    if package.required_by:
        shown = [interval.specifier or "any version" for interval in package.intervals]
        column = max((len(specifier) for specifier in shown), default=0) + 2
        _rows(
            page,
            "versions",
            [
                specifier.ljust(column)
                + (f"violates {', '.join(interval.violates)}" if interval.violates else "satisfies everyone")
                + (f"  ← {version}" if interval.holds_installed else "")
                for specifier, interval in zip(shown, package.intervals, strict=True)
            ],
        )


def _files(files: Files) -> str:
    said = words(files) or "as installed"
    unverifiable = f"; {files.unverifiable} of RECORD's rows can't be compared" if files.unverifiable else ""
    return f"{said}, by {files.checked}{unverifiable}"


def _requirer(package: PackageExplanation, requirer: Requirer) -> str:
    extra = f"[{requirer.extra}]" if requirer.extra else ""
    marker = f"; {requirer.marker}" if requirer.marker else ""
    wanted = f"{package.name}{requirer.specifier}{marker}" if requirer.specifier else f"any version{marker}"
    return f"{requirer.by}{extra} {requirer.by_version}  ({wanted}), {_SATISFIED[requirer.satisfied]}"


def _requirement(requirement: Requirement) -> str:
    extra = f", with the extra {requirement.extra}" if requirement.extra else ""
    marker = f"; {requirement.marker}" if requirement.marker else ""
    there = "missing" if requirement.installed is None else f"{requirement.installed} is there"
    state = "" if requirement.installed is None else f", {_SATISFIED[requirement.satisfied]}"
    return f"{requirement.name}{requirement.specifier}{marker}{extra}: {there}{state}"


def _rows(page: Page, label: str, rows: Sequence[str]) -> None:
    for row in rows:
        page.row(label, row)
        label = ""
