"""A session that reads a tree and runs nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reprocheck.layers.entry import Layer
from reprocheck.layers.tar_layer import PlainLayer, StreamedLayer
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import Command, Document, EngineFacts, Interpreter, List, Process, Read, Walk
from reprocheck.model.snapshot import Subject
from reprocheck.targets.session import header
from reprocheck.targets.static import StaticSession, home_of
from tests.faults.made import BASE
from tests.layers.archives import END, Drip, Memory, file, limits, link, plain, streamed

DOCUMENT = Document(header=header("test:", "test", executed=False), subject=Subject(kind="image", name="test"))
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\nbare:x:7\nempty:x:8:8:::\n"


def session(*layers: Layer, user: str = "", home: str | None = None) -> StaticSession:
    engine = EngineFacts(image_id="sha256:0", platform="linux/amd64", user=user)
    return StaticSession(replace(DOCUMENT, engine=engine), Tree(layers), home=home)


def test_what_needs_a_process_is_not_answered() -> None:
    wants = (Process(variables=()), Command(argv=("nvidia-smi",)))
    assert session(plain(file(b"x"))).answer(wants) is None
    told = session(plain(file(b"x"))).answer([*wants, Read(at="/x")])
    assert told is not None
    assert told.process is None
    assert told.commands == {}
    assert list(told.files) == ["/x"]
    assert told.failed == ()


def test_there_is_no_interpreter_of_its_own() -> None:
    told = session(plain(file(b"x"))).answer([Interpreter(at="@self"), List(at="@prefix/lib")])
    assert told is not None
    assert told.interpreters == {}
    assert told.listings == {}


def test_an_interpreter_is_told_from_its_files() -> None:
    told = session(PlainLayer.open(Memory(BASE))).answer([Interpreter(at="/usr/local/bin/python3")])
    assert told is not None
    (one,) = told.interpreters.values()
    assert one.real == "/usr/local/bin/python3.9"
    assert one.facts is not None
    assert one.facts.version == "3.9.2"
    assert one.facts.base_prefix == "/usr/local"
    assert one.facts.libc == "glibc 2.31"


def test_a_trap_is_not_sprung_and_a_script_is_told() -> None:
    trap = file(b"usr/bin/python3", b"#!/bin/sh\ntouch /tmp/reprocheck-sprung\n", mode=0o755)
    told = session(plain(trap)).answer([Interpreter(at="/usr/bin/python3")])
    assert told is not None
    assert [one.problem for one in told.interpreters.values()] == ["not a program but a script"]


@pytest.mark.parametrize(
    ("user", "home"),
    [
        ("", "/root"), ("root", "/root"), ("0", "/root"), ("0:0", "/root"), ("me", "/home/me"), ("1000", "/home/me"),
        ("me:staff", "/home/me"), ("1000:0", "/home/me"), ("nobody", "/"), ("65532", "/"), ("bare", "/"),
        ("empty", "/"), ("/root", "/"),
    ],
)  # fmt: skip
def test_the_home_of_the_user(user: str, home: str) -> None:
    assert home_of(Tree([plain(file(b"etc/passwd", PASSWD))]), user) == home


def test_the_home_without_a_list_of_users() -> None:
    assert home_of(Tree([plain(file(b"x"))]), "") == "/root"
    assert home_of(Tree([plain(file(b"x"))]), "me") == "/"
    assert home_of(Tree([plain(link(b"etc/passwd", b"passwd"))]), "me") == "/"


def test_files_below_the_home() -> None:
    layer = plain(file(b"etc/passwd", PASSWD), file(b"home/me/.local/x", b"mine"), file(b"other/.local/x", b"other"))
    for user, home, path in (("me", None, "/home/me/.local/x"), ("me", "/other", "/other/.local/x")):
        told = session(layer, user=user, home=home).answer([Read(at="@home/.local/x")])
        assert told is not None
        assert list(told.files) == [path]
        assert told.home == (home or "/home/me")


def test_a_layer_that_comes_by_comes_by_once_for_all_that_a_round_reads() -> None:
    layer = streamed(*(file(b"d/%d" % number, b"x%d" % number) for number in range(50)), file(b"found/x", b"y"))
    one = session(layer)
    walk = Walk(root="/", search="always", find={"it": "found$"}, leaves=(), otherwise={})
    told = one.answer([walk, Read(at="/d/*"), Read(at="/d/7"), Read(at="@it/x"), Read(at="/none")])
    assert told is not None
    assert len([file for file in told.files.values() if file.content]) == 51
    assert layer.passes == 2
    assert one.answer([Read(at="/d/3")]) is not None
    assert layer.passes == 2, "what was fetched stays"


def test_a_stream_that_can_not_be_read_again_is_a_problem_of_the_files() -> None:
    data = file(b"a", b"1") + END

    class Once:
        left = 1

        def __call__(self) -> Drip:
            if not self.left:
                raise OSError(5, "gone")
            self.left -= 1
            return Drip(data)

    told = session(StreamedLayer.open(Once(), lambda *_: False, **limits())).answer([Read(at="/a")])
    assert told is not None
    assert told.files["/a"].problem is not None
    assert told.files["/a"].content is None
