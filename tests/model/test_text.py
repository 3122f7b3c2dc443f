from __future__ import annotations

import pytest

from reprocheck.model.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é漢😀", "plain é漢😀"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\xadb", "a\\xadb"),  # a soft hyphen hides: "nu\xadmpy" looks like numpy
        ("a\u202eb", "a\\u202eb"),
        ("a\u200bb", "a\\u200bb"),
    ],
)
def test_what_drives_a_terminal_or_hides_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown
