"""What a file is that is no image archive, and which target reads it."""

from __future__ import annotations

from reprocheck.layers.compression import Compression
from reprocheck.layers.tar import BLOCK

_USTAR = slice(257, 262)
_CHECKSUM = slice(148, 156)
_SIGNS = (
    (b"PK\x03\x04", "a zip file; a wheel is read where it is installed: python:ENVIRONMENT"),
    (b"\x7fELF", "a program; an Apptainer image is read with reprocheck probe"),
    (b"#!", "a script; an Apptainer image is read with reprocheck probe"),
    (b"{", "JSON; snapshot:PATH and evidence:PATH read reprocheck's own, oci:DIR the directory of an index.json"),
)


def looks_like_tar(head: bytes) -> bool:
    """Whether a first block is the header of a member, or the end mark of an empty archive."""
    if len(head) < BLOCK:
        return False
    block = head[:BLOCK]
    if block[_USTAR] == b"ustar" or not any(block):
        return True
    digits = block[_CHECKSUM].strip(b" \0")
    if not digits or not all(byte in b"01234567" for byte in digits):
        return False
    return int(digits, 8) == sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" ")


def no_tar(head: bytes, compression: Compression) -> str:
    """What a file is that begins so, with what to do, for a message."""
    what = next((what for sign, what in _SIGNS if head.lstrip().startswith(sign)), None)
    if not head:
        what = "empty; save the image again"
    elif what is None and b"\0" not in head:
        what = "text; name a file that docker save or an OCI tool wrote"
    elif what is None:
        what = "no tar archive; name a file that docker save or an OCI tool wrote"
    return what if compression == "none" else f"a {compression} file of what is {what}"
