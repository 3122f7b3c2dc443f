"""What the layer cache keeps holds no credential, and nothing that would change a fact."""

from __future__ import annotations

import pytest

from reprocheck.probe import collect
from reprocheck.targets.harmless import of_file

X = b"hunter2"
TOKEN = b"ghp_" + b"a1B2" * 9
INFO = b"usr/lib/python3/site-packages/x-1.0.dist-info/"

OVERWRITTEN = [
    (b"usr/local/bin/run", b"#!/bin/sh\nexport TOKEN=hunter2\n", b"#!/bin/sh\n********************\n"),
    (b"opt/venv/bin/activate", b"TOKEN=hunter2\n", b"*************\n"),
    (b"bin/x", b"hunter2", b"*******"),
    (b"bin/x", b"\0hunter2", b"********"),
    (INFO + b"METADATA", b"Name: \0\n\nhunter2", b"Name: \0\n\n*******"),
    (INFO + b"METADATA", b"Name: x\nVersion: 1\n\nUse hunter2.\n", b"Name: x\nVersion: 1\n\n************\n"),
    (b"x.egg-info/PKG-INFO", b"Name: x\r\n\r\nhunter2", b"Name: x\r\n\r\n*******"),
    (b"x-1.0.egg-info", b"Name: x\n\nhunter2", b"Name: x\n\n*******"),
    (b"etc/passwd", b"me:hunter2:0:0:hunter2,,:/home/me:/bin/sh\nyou:x:1:1::/:\n", None),
    (INFO + b"direct_url.json", b'{"url": "https://me:hunter2@h/x"}', b'{"url": "https://**********@h/x"}'),
    (b"var/lib/rpm/Packages", b"\0https://me:hunter2@h/x\0", b"\0https://**********@h/x\0"),
    (INFO + b"METADATA", b"Url: https://me:hunter2@h/x\n\nhunter2", b"Url: https://**********@h/x\n\n*******"),
    *(
        (INFO + b"direct_url.json", before + b"hunter2" + behind, None)
        for before, behind in (
            (b":\\/\\/me:", b"@h"),
            (b"\\u003a//me:", b"@h"),
            (b"\\U003A\\u002f/me:", b"@h"),
            (b"://h/t/", b"/x"),
            (b"/x?token=", b""),
            (b"/x&token=", b""),
            (b"/x;token=", b""),
            (b"/x\\u003ftoken=", b""),
            (b"/x\\u0026token\\u003d", b""),
        )
    ),
]


@pytest.mark.parametrize(("name", "content", "left"), OVERWRITTEN)
def test_credentials_are_overwritten(name: bytes, content: bytes, left: bytes | None) -> None:
    found = of_file([b"/" + name], content)
    assert found is not None
    assert X not in found
    assert len(found) == len(content)
    assert left is None or found == left
    assert of_file([b"/" + name], found) == found


def test_of_a_user_the_home_stays() -> None:
    users = b"me:hunter2:0:0:hunter2,,:/home/me:/bin/sh\nyou:x:1:1::/:\n\n+\n"
    assert of_file([b"etc/passwd"], users) == b"me:*******:0:0:*********:/home/me:/bin/sh\nyou:*:1:1::/:\n\n+\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (INFO + b"METADATA", b"Name: x\nSummary: " + TOKEN + b"\n\n"),
        (INFO + b"WHEEL", TOKEN),
        (INFO + b"METADATA", b"Name: x\nAuthor-email: password=hunter2\n\n"),
        (b"var/lib/dpkg/status", b"Package: x\nDescription: x\n token=hunter2\n .\n\n"),
        (b"var/lib/dpkg/status.d/x", b"Package: x\nDescription: PASSWORD = hunter2\n"),
        (b"lib/apk/db/installed", b"P:x\nT:api_key=hunter2\n"),
        (b"x.pth", b"import os; os.environ['HF_TOKEN'] = 'hunter2'\n"),
        (b"x.pth", b"/opt/" + TOKEN),
        (b"x.pth", b"/opt/a " * (1 << 16)),
        (b"opt/venv/pyvenv.cfg", b"home = /usr/bin\ncommand = python3 -m venv --token hunter2 x\n"),
        (b"etc/ld.so.conf.d/x.conf", b"# password: hunter2\n/opt/lib\n"),
        (b"usr/bin/run", b"#!/usr/bin/" + TOKEN + b"\n"),
        # What was read because somebody asked, and no rule names.
        (b"opt/src/.git/config", b"[http]\n\textraheader = AUTHORIZATION: basic hunter2\n"),
    ],
)
def test_what_would_be_a_credential_and_a_fact_is_not_kept(name: bytes, content: bytes) -> None:
    assert of_file([b"/" + name], content) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"x.pth", b"import os; var = 'A'; enabled = os.environ.get(var, 'local') == 'local'\n/opt/x\n"),
        (b"opt/venv/pyvenv.cfg", b"home = /usr/bin\nversion = 3.9.2\n"),
        (INFO + b"RECORD", b"x/token.py,sha256=abc,10\nx/password.py,,\n"),
        (b"usr/bin/python3.9", b"\x7fELF\0https://me:hunter2@h/x TOKEN=hunter2"),
        (b"opt/conda/bin/python3", b"#!/bin/sh\nexec /opt/lib/python3.9\n"),
        (b"var/lib/dpkg/status", b"Package: passwd\nDescription: a token: x\n"),
        (b"usr/lib/libc.so", b"/* GNU ld script"),
        (b"opt/src/.git/HEAD", b"ref: refs/heads/main\n"),
    ],
)
def test_all_else_is_kept_as_it_is(name: bytes, content: bytes) -> None:
    assert of_file([b"/" + name], content) == content


def test_a_file_of_several_names_is_kept_if_they_agree() -> None:
    content = b"#!/bin/sh\nhunter2\n"
    assert of_file([b"/bin/a", b"/usr/bin/b"], content) == b"#!/bin/sh\n*******\n"
    assert of_file([b"/bin/a", b"/opt/b.pth"], content) is None


def test_a_part_of_a_file_was_cleaned_when_it_was_taken() -> None:
    assert of_file([], b"\0libx.so") == b"\0libx.so"


@pytest.mark.parametrize("name", [b"/" + INFO + b"METADATA", b"/x-1.0.egg-info"])
@pytest.mark.parametrize("content", [b"Name: x\n\nbody\n", b"Name: x\r\n\r\nbody", b"Name: x", b"\n\nName: y", b""])
def test_the_header_ends_where_it_ended(name: bytes, content: bytes) -> None:
    found = of_file([name], content)
    assert found is not None
    end = collect.blank_line(content)
    assert collect.blank_line(found) == end
    assert found[:end] == content[:end]


def test_a_digest_that_looks_like_a_token_is_none() -> None:
    name = b"usr/lib/python3.9/site-packages/pytz-2026.6.dist-info/RECORD"
    record = b"pytz/zoneinfo/Asia/Bangkok,sha256=hf_5PVegQcFSS60CjS80C7h-TGOrfQ4ncm83N8VmZkk,185\n"
    assert of_file([name], record) == record
    assert of_file([name], record + b"x/hf_" + b"a1B2" * 9 + b",,\n") is None
