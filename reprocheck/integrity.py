"""What was edited in a package since it was installed, in words."""

from __future__ import annotations

import re

from reprocheck.model.snapshot import Files

_NAMED = 3
_CODE = re.compile(r"\.(?:py|pyc|pyx|so|pyd|dylib|pth)$|\.so\.[\d.]+$|(?:^|/)(?:s?bin|libexec)/[^/]+$")


def new_edits(before: Files, after: Files) -> Files:
    """What the second side has edited, and the first has not.

    A side that had a RECORD and did not look, of an older version for instance, says nothing of edits.
    """
    if before.checked == "none" and before.record_sha256 is not None:
        return Files()
    return Files(
        checked=after.checked,
        modified=tuple(name for name in after.modified if name not in before.modified),
        missing=tuple(name for name in after.missing if name not in before.missing),
        # Those that are not named may be the same ones.
        unnamed=0 if before.unnamed else after.unnamed,
    )


def newly_edited(before: Files | None, after: Files) -> Files:
    """As :func:`new_edits`, of what dpkg or conda installed; ``None``: the first side has no such package."""
    if before is not None and before.checked == "none":
        return Files()
    return new_edits(before or Files(), after)


def edited(before: Files, after: Files) -> bool:
    """Whether the second side has edits that the first has not."""
    return bool(words(new_edits(before, after)))


def is_code(name: str) -> bool:
    """Whether a file is run or imported, by its name."""
    return _CODE.search(name) is not None


def words(files: Files) -> str:
    """The edits in one phrase, code first; empty where there are none."""
    phrases = []
    for kind, names in (("modified", files.modified), ("missing", files.missing)):
        first = sorted(names, key=lambda name: (not is_code(name), name))[:_NAMED]
        more = f" and {len(names) - len(first)} more" if len(names) > len(first) else ""
        if names:
            phrases.append(f"{', '.join(first)}{more} {kind}")
    if files.unnamed:
        phrases.append(f"{files.unnamed} more")
    return "; ".join(phrases)
