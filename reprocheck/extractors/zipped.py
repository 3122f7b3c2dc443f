"""Metadata inside the archives that Python imports from: zipped eggs, and wheels that stand on the search path."""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from io import BytesIO

LIMIT = 4 << 20
"""Bytes of an archive that is still opened: its index alone could take a hundred times as much memory."""
SUFFIXES = (".egg", ".whl", ".zip", ".pyz")
"""Names of archives; whatever else is a file may be one all the same (``zipimport`` looks at the contents)."""
_WANTED = re.compile(r"EGG-INFO/(?:PKG-INFO|requires\.txt)|[^/]+\.dist-info/METADATA")
_MOST_MEMBERS = 16
_MEMBER_LIMIT = 1 << 20
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,  # a password; NotImplementedError for a method of compression
)


def is_archive(raw: bytes) -> bool:
    """Whether Python would import from this file."""
    return zipfile.is_zipfile(BytesIO(raw))


def metadata_of(raw: bytes) -> dict[str, bytes]:
    """Name and contents of each metadata file; none where the archive has none.

    Raises:
        ValueError: no archive, a damaged one, or one whose metadata is longer than it could need.
    """
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            members = [one for one in archive.infolist() if _WANTED.fullmatch(one.filename)]
            for member in members[:_MOST_MEMBERS]:
                with archive.open(member) as content:
                    found[member.filename] = content.read(_MEMBER_LIMIT + 1)
    except _DAMAGE as error:
        raise ValueError(f"an archive that can't be read ({str(error)[:80]})") from error
    if len(members) > _MOST_MEMBERS or any(len(content) > _MEMBER_LIMIT for content in found.values()):
        raise ValueError(f"an archive with more than {_MOST_MEMBERS} metadata files, or one of more than 1 MiB")
    return found
