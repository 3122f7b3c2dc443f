r"""Bytes from a target as text that survives every round trip, and text that is safe to print.

Text that is not UTF-8 is kept with ``\xNN`` escapes and ``\`` doubled, so that two different byte
strings never become the same text.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2})")
# C0 and C1 controls, DEL, and the bidirectional and invisible controls that can rewrite what a line
# seems to say (Unicode TR 36, "bidirectional text spoofing").
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)

_LAST_BYTE = 0xFF


def escape(raw: bytes) -> str:
    r"""Decode UTF-8; undecodable bytes become ``\xNN`` and every ``\`` is doubled."""
    return raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def unescape(text: str) -> bytes:
    """Give the bytes that :func:`escape` was given."""
    return _ESCAPE.sub(
        lambda m: b"\\" if m[1] == b"\\" else bytes([int(m[1][1:], 16)]),
        text.encode("utf-8"),
    )


def printable(text: str) -> str:
    r"""Replace control characters by visible escapes (``\x1b``, ``\u202e``): no target drives a terminal."""
    return _UNPRINTABLE.sub(_visible, text)


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= _LAST_BYTE else f"\\u{code:04x}"
