"""Credentials in URLs: what is secret is taken out, in time and memory that follow the length of a text."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck import redact
from reprocheck.probe import urls

HANG = 600.0
"""Seconds, many times what is needed: who takes that long waits for ever."""
LONG = 1 << 19
"""Characters of a text that is to take memory or time."""

URLS = [
    ("https://g.c/user/repo.git", "https://g.c/user/repo.git"),
    ("https://user:pass@g.c/user/repo.git", "https://g.c/user/repo.git"),
    ("https://user:pa@ss@g.c/user/repo.git", "https://g.c/user/repo.git"),
    ("https://us@er:pa@s@s@g.c/user@x/repo.git", "https://g.c/user@x/repo.git"),
    ("ssh://git@g.c/user/repo.git", "ssh://git@g.c/user/repo.git"),
    ("ssh://git:pass@g.c/repo.git", "ssh://g.c/repo.git"),
    ("ssh://cvs@g.c/user/repo.git", "ssh://g.c/user/repo.git"),
    ("git+https://token@g.c/x@main#egg=x", "git+https://g.c/x@main#egg=x"),
    ("https://${USER}:${PASSWORD}@g.c/x", "https://g.c/x"),
    ("https://:pass@g.c:8080/x", "https://g.c:8080/x"),
    ("a https://u:p@g.c b http://u:q@h.c", "a https://g.c b http://h.c"),
    ("https://g.c/x?token=abc&y=1", "https://g.c/x?token=***&y=1"),
    ("https://g.c/x?y=1&X-Amz-Signature=abc#f", "https://g.c/x?y=1&X-Amz-Signature=***#f"),
    ("https://g.c/x?API_KEY=abc;PassWord=d", "https://g.c/x?API_KEY=***;PassWord=***"),
    ('{"url": "https:\\/\\/u:p@g.c\\/x"}', '{"url": "https:\\/\\/g.c\\/x"}'),
    ("Contact: me@example.org", "Contact: me@example.org"),
    ("https://g.c/@scope/package", "https://g.c/@scope/package"),
    ("https://g.c/x\nmail me@example.org", "https://g.c/x\nmail me@example.org"),
    ("file:///srv/x", "file:///srv/x"),
    # conda's tokens in the path of a channel.
    ("https://conda.anaconda.org/t/tk-1-2/main/linux-64", "https://conda.anaconda.org/t/***/main/linux-64"),
    ("https://u:p@h.org:8080/t/tk-1/main", "https://h.org:8080/t/***/main"),
    ("https://h.org/repo/x/t/tk-1/t/main", "https://h.org/repo/x/t/***/t/main"),
    ("https://h.org/t/tk-1", "https://h.org/t/***"),
    ("https://h.org/x/t/", "https://h.org/x/t/"),
    ('"https:\\/\\/h.org\\/t\\/tk-1\\/main"', '"https:\\/\\/h.org\\/t\\/***\\/main"'),
    (
        '"https:\\u002f\\u002Fh.org\\u002ft\\u002ftk-1\\u002fmain"',
        '"https:\\u002f\\u002Fh.org\\u002ft\\u002f***\\u002fmain"',
    ),
    ("https://h.org/at/tk-1 /t/tk-1 see https://h.org", "https://h.org/at/tk-1 /t/tk-1 see https://h.org"),
    ("/srv/t/x/y", "/srv/t/x/y"),
    # Names of a query in JSON's escapes, as programs write them that escape all but letters, or all.
    ('"https://h.org/x?a=1\\u0026token=abc\\u0026y=1"', '"https://h.org/x?a=1\\u0026token=***\\u0026y=1"'),
    ('"https://h.org/x?to\\u006Ben=abc"', '"https://h.org/x?to\\u006Ben=***"'),
    (
        '"https://h.org/x\\u003f\\u0074\\u006f\\u006b\\u0065\\u006e\\u003dab\\u0063\\u0023f"',
        '"https://h.org/x\\u003f\\u0074\\u006f\\u006b\\u0065\\u006e\\u003d***\\u0023f"',
    ),
    (
        '"https://h.org/x?API_\\u004bEY=a\\u003bPass\\u0057ord=d"',
        '"https://h.org/x?API_\\u004bEY=***\\u003bPass\\u0057ord=***"',
    ),
    ('"https://h.org/x?n\\u0061me=a\\u0026y=1"', '"https://h.org/x?n\\u0061me=a\\u0026y=1"'),
    ('"https://h.org/x?k\\u0065y=a\\\\b"', '"https://h.org/x?k\\u0065y=***"'),
    ("\0https://h.org/x?to\\u006ben=abc\\u0026d", "\0https://h.org/x?to\\u006ben=***\\u0026d"),
    # What holds a NUL byte is no text: its length stays, and a URL ends at a control character.
    ("\0https://u:pass@h.org/x\0", "\0https://******@h.org/x\0"),
    ("\0ssh://git@h.org/x", "\0ssh://git@h.org/x"),
    ("https://h.org/t/tk-1-2/main\0", "https://h.org/t/******/main\0"),
    ("https://h.org/x?token=abc&y=1\0", "https://h.org/x?token=***&y=1\0"),
    ("https://h.org\0user@x", "https://h.org\0user@x"),
    ("\0https://h.org\x1fuser@x", "\0https://h.org\x1fuser@x"),
    ("\0https://h.org/t/ab\x01cd/x", "\0https://h.org/t/**\x01cd/x"),
    ("\0https://h.org/x?a\x01token=abc\x02d", "\0https://h.org/x?a\x01token=abc\x02d"),
    ("\0https://h.org/x?token=abc\x02d", "\0https://h.org/x?token=***\x02d"),
]


@pytest.mark.parametrize(("given", "shown"), URLS)
def test_credentials_are_taken_out_of_urls(given: str, shown: str) -> None:
    assert redact.url(given) == shown
    assert urls.scrub(given.encode()) == shown.encode()


PIECES = st.sampled_from(
    [
        "https://",
        "ssh:\\/\\/",
        "u",
        ":",
        "p",
        "@",
        "git",
        "g.c",
        "/",
        "/t/",
        "\0",
        "\x01",
        "?",
        "token=",
        "sig=",
        "\\u0073ig\\u003d",
        "\\u0026",
        "\\",
        "v",
        "&",
        ";",
        "#",
        " ",
        "\n",
        "'",
        '"',
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_once_is_enough(text: str) -> None:
    once = redact.url(text)
    assert urls.scrub(text.encode()) == once.encode()
    assert redact.url(once) == once


@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_is_no_text_keeps_its_length(text: str) -> None:
    raw = b"\0" + text.encode()
    assert len(urls.scrub(raw)) == len(urls.cut_url(raw)) == len(raw)
    assert urls.cut_url(raw).decode() == redact.cut_url("\0" + text)


FIRST = ["http://x ", "\0http://x ", "http://", "http://h/x", "http://h/t/", "http://h/?key="]
RUNS = [
    "a", "?", "://", "token", ":/", "&key", "@", "://@", ";;", "?a=b", "/t", "/t/", "://a/t", "\\u003a//", "\\/t",
    "\\u0026", "\\u0026key", "?to\\u006b", "?key=\\", "\\u003ftoken", ";\\", "\\", "\\u0065", "key=\\",
]  # fmt: skip


MEASURED = """
import resource, sys
from reprocheck import redact
first, length = sys.argv[1].encode().decode("unicode_escape"), int(sys.argv[2])
redact.url(first + "u:p@h/t/x?key=y"), redact.cut_url(first)
texts = [first + piece * (length // len(piece)) for piece in sys.argv[3:]]
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 16 * length,) * 2)
for text in texts:
    redact.url(text)
    redact.cut_url(text)
"""


@pytest.mark.parametrize("first", FIRST)
def test_no_text_takes_long_or_much(first: str) -> None:
    """For each character a group that `re` repeats takes some 178 bytes; quadratic time would be hours."""
    given = [sys.executable, "-c", MEASURED, first.encode("unicode_escape").decode(), str(LONG), *RUNS]
    subprocess.run(given, check=True, timeout=HANG)
