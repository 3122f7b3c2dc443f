"""What the rules on edited files share, whoever installed the package."""

from __future__ import annotations

from typing import Any

from reprocheck.integrity import is_code, words
from reprocheck.model.report import Finding, SubjectKind
from reprocheck.model.snapshot import Files
from reprocheck.rules.base import finding


def edit(kind: SubjectKind, name: str, version: str, files: Files, **fields: Any) -> Finding:
    """Write a finding on the files of a package that were edited; those that are run or imported count for more."""
    code = any(map(is_code, (*files.modified, *files.missing)))
    said = words(files)
    return finding(
        kind,
        name,
        "major" if code or files.unnamed else "minor",
        f"{name} {version} was edited since it was installed: {said}",
        after=said,
        details={"version": version, "compared": files.checked},
        evidence=(
            *(f"modified: {one}" for one in files.modified),
            *(f"missing: {one}" for one in files.missing),
        ),
        **fields,
    )
