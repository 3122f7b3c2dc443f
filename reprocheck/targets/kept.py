"""Which files of a compressed layer are kept as they come by: all that extractors are known to ask for.

Others cost one more pass over the layer, so this is a matter of speed and not of facts.
"""

from __future__ import annotations

import re

FILE_LIMIT = 32 << 20
"""Bytes of one file that are kept: an interpreter's library with its symbols has about as many."""
ALL_LIMIT = 160 << 20
"""Bytes of one layer that are kept."""
SCRIPT_LIMIT = 16 << 10
"""Bytes of a script that is kept; it is needed where its size is not the recorded one."""

_IN_FOLDERS = re.compile(
    rb"(?:^|/)(?:[^/]*[.-](?:dist-info|egg-info)|EGG-INFO|conda-meta|dpkg/status\.d|ld\.so\.conf\.d)/[^/]+$",
    re.IGNORECASE,
)
_BY_NAME = re.compile(
    rb"(?:^|/)(?:"
    rb"pyvenv\.cfg|os-release|passwd|ld\.so\.(?:conf|cache)"
    rb"|[^/]*\.(?:pth|egg-link|egg-info)"
    rb"|(?:python|pypy)[23]?(?:\.\d+)?t?|libpython3[^/]*\.so[^/]*|libc[.-][^/]*so[^/]*|ld-musl-[^/]*"
    rb"|dpkg/status|apk/db/installed|rpm/(?:Packages(?:\.db)?|rpmdb\.sqlite(?:-wal)?)"
    rb")$"
)
_SCRIPT = re.compile(rb"(?:^|/)bin/[^/]+$")


def wanted(name: bytes, size: int) -> bool:
    """Whether to keep a file, by its name in the layer."""
    if size <= SCRIPT_LIMIT and _SCRIPT.search(name):
        return True
    return size <= FILE_LIMIT and (_IN_FOLDERS.search(name) or _BY_NAME.search(name)) is not None
