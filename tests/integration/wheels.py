"""Wheels of no content, so that a real pip installs what a test needs without an index."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence


def wheel(name: str, version: str, requires: Sequence[str] = (), extras: Sequence[str] = ()) -> tuple[str, bytes]:
    """File name and contents of a wheel of one empty module."""
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    files = {
        f"{stem}_made_up.py": "",
        f"{info}/METADATA": "\n".join(
            [
                "Metadata-Version: 2.1",
                f"Name: {name}",
                f"Version: {version}",
                *(f"Provides-Extra: {one}" for one in extras),
                *(f"Requires-Dist: {one}" for one in requires),
            ]
        )
        + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return f"{stem}-{version}-py3-none-any.whl", raw.getvalue()
