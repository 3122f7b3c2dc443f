from __future__ import annotations

import base64
import json
import re
import subprocess
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck import by_hand
from reprocheck.capture import capture, gather
from reprocheck.errors import DataError
from reprocheck.extractors.assemble import assemble
from reprocheck.model import codec
from reprocheck.model.evidence import Answer, Document, Evidence, Read, unanswered
from reprocheck.model.snapshot import Snapshot, Subject
from reprocheck.model.text import escape, printable, unescape
from reprocheck.targets import probe
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access
from reprocheck.targets.saved import is_evidence, load_evidence
from tests import interpreters
from tests.evidence import HEADER, Tree, interpreter, plant

MARKER = "reprocheck-evidence-" + "0123456789abcdef" * 4


def framed(out: Any, marker: str = MARKER, level: int = 9) -> bytes:
    raw = out if isinstance(out, bytes) else json.dumps(out).encode()
    packed = base64.b64encode(zlib.compress(raw, level)).decode()
    return f"\n{marker} begin {len(packed)}\n{packed}\n{marker} end\n".encode()


def load(path: Path, raw: bytes) -> Document:
    path.write_bytes(raw)
    return load_evidence(path)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """What the bare probe prints for a small virtual environment, and its prefix."""
    where = tmp_path_factory.mktemp("saved") / "venv"
    executable = interpreters.virtual_environment(interpreters.python(11), where)
    plant(interpreters.site_packages(executable), {"six-1.0.dist-info/METADATA": "Name: six\nVersion: 1.0\n"})
    ran = subprocess.run(
        [executable, "-ISB", "-"], input=by_hand.program(), capture_output=True, check=True, cwd="/", timeout=120
    )
    return ran.stdout, str(where)


def facts(path: Path, raw: bytes, prefix: str) -> list[tuple[str, str]]:
    path.write_bytes(raw)
    snapshot = capture(Address("evidence", str(path)), Access())
    (one,) = (found for found in snapshot.environments if found.id == prefix)
    assert one.on_path
    return [(package.name, package.version) for package in one.packages]


def test_by_hand(printed: tuple[bytes, str], tmp_path: Path) -> None:
    raw, prefix = printed
    assert facts(tmp_path / "e", raw, prefix) == [("six", "1.0")]
    assert is_evidence(raw)
    document = load(tmp_path / "e", raw)
    assert (document.subject.kind, document.header.route, document.header.executed) == ("evidence", "probe", True)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", document.header.captured_at)


def test_noise_around_it(printed: tuple[bytes, str], tmp_path: Path) -> None:
    raw, prefix = printed
    noise = b"\x1b[2Jwelcome\nreprocheck-evidence-0 begin 3\n" + b"\xff" * 100_000
    assert facts(tmp_path / "e", noise + raw + noise, prefix) == [("six", "1.0")]


def test_a_terminal_between(printed: tuple[bytes, str], tmp_path: Path) -> None:
    """`docker exec -t` turns every newline into two characters."""
    raw, prefix = printed
    assert facts(tmp_path / "e", raw.replace(b"\n", b"\r\n"), prefix) == [("six", "1.0")]


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_cut(kept: float, printed: tuple[bytes, str], tmp_path: Path) -> None:
    raw, _ = printed
    with pytest.raises(DataError, match="cut or damaged; run the probe again"):
        load(tmp_path / "e", raw[: int(len(raw) * kept)])


def test_cut_at_its_very_end(printed: tuple[bytes, str], tmp_path: Path) -> None:
    raw, _ = printed
    end = raw.rindex(b" end\n")
    assert load(tmp_path / "e", raw[: end + 4]).answers
    with pytest.raises(DataError, match="cut or damaged"):
        load(tmp_path / "e", raw[:end])


def test_twice(printed: tuple[bytes, str], tmp_path: Path) -> None:
    raw, _ = printed
    with pytest.raises(DataError, match="output of 2 probe runs; keep one"):
        load(tmp_path / "e", raw + raw)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is empty"),
        (b"no evidence at all", "is not JSON"),
        (framed({}).replace(b"begin ", b"begin 1"), "cut or damaged"),
        (re.sub(rb"(begin \d+\n)....", rb"\1!!!!", framed({"x": 1})), "can't be read"),
        (f"\n{MARKER} begin 4\nAAAA\n{MARKER} end\n".encode(), "can't be read"),
        (framed(b"{"), "can't be read"),
        (framed(b"[" * 1_000_000), "can't be read"),
        (framed({"files": 1}), "can't be read"),
        (framed({"found": {"x": [1]}}), "can't be read"),
        (framed({"files": {"/x": {"content": "\ud800"}}}), "can't be read"),
    ],
)
def test_damaged(raw: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said) as error:
        load(tmp_path / "e", raw)
    assert "\n" not in str(error.value)
    assert str(tmp_path / "e") in str(error.value)


def test_bytes_that_are_none_of_the_targets(tmp_path: Path) -> None:
    """Contents travel as Latin-1 text; a character beyond it was written by nobody's probe."""
    with pytest.raises(DataError, match="can't be read"):
        load(tmp_path / "e", framed({"files": {"/var/lib/dpkg/status": {"content": "\u20ac"}}}))
    answer = Answer(found={"x": ("\u20ac",)})
    document = Document(header=HEADER, subject=Subject(kind="python", name="€"), answers=(answer,))
    with pytest.raises(DataError, match="text where bytes belong"):
        load(tmp_path / "e", codec.encode_json(document))
    fine = msgspec.structs.replace(document, answers=())
    assert load(tmp_path / "e", codec.encode_json(fine)) == fine


def test_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ANSWER_LIMIT", 1 << 20)
    with pytest.raises(DataError, match="over the limit"):
        load(tmp_path / "e", framed(b" " * (2 << 20)))


def test_an_empty_answer_is_a_target_of_which_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(framed({}))
    snapshot = capture(Address("evidence", str(tmp_path / "e")), Access())
    assert snapshot.coverage["environments"].state == "not-read"
    assert {gap.what for gap in snapshot.gaps} >= {"environments", "os_packages", "variables"}


# Documents.


def without_header(snapshot: Snapshot) -> bytes:
    return codec.encode_json(msgspec.structs.replace(snapshot, header=HEADER, subject=Subject(kind="python", name="")))


def test_a_replay_gives_the_same_snapshot(tmp_path: Path) -> None:
    """Every round is in the document, so a .pth that leads elsewhere leads there again."""
    executable = interpreters.virtual_environment(interpreters.python(11), tmp_path / "venv")
    (tmp_path / "far/six-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "far/six-1.0.dist-info/METADATA").write_text("Name: six\nVersion: 1.0\n")
    (interpreters.site_packages(executable) / "x.pth").write_text(f"{tmp_path}/far\n")
    evidence = gather(Address("python", str(executable)), Access())
    assert len(evidence.document.answers) > 1
    path = tmp_path / "e.json"
    path.write_bytes(codec.encode_json(evidence.document, indent=-1))
    (tmp_path / "venv").rename(tmp_path / "moved")
    replayed = capture(Address("evidence", str(path)), Access())
    assert replayed == assemble(evidence)
    assert [one.name for one in replayed.environments[0].packages] == ["six"]
    assert replayed.subject.kind == "python"


def test_a_document_of_a_newer_schema(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="newer reprocheck"):
        load(tmp_path / "e", b'{"schema": "reprocheck.evidence/2"}')


def test_a_snapshot_is_no_evidence(tmp_path: Path) -> None:
    assert not is_evidence(b'{"schema": "reprocheck.snapshot/1"}')
    with pytest.raises(DataError, match="is a snapshot"):
        load(tmp_path / "e", b'{"schema": "reprocheck.snapshot/1"}')


TEXT = st.text(st.characters(max_codepoint=255), max_size=20)
ANSWERS = st.builds(
    Answer,
    found=st.dictionaries(TEXT, st.lists(TEXT, max_size=3).map(tuple), max_size=3),
    time=st.integers(min_value=0, max_value=1 << 33),
    wants=st.lists(st.builds(Read, at=TEXT, limit=st.integers(min_value=0, max_value=1 << 30)), max_size=3).map(tuple),
)


@given(st.lists(ANSWERS, max_size=3).map(tuple))
def test_what_is_saved_is_loaded(answers: tuple[Answer, ...]) -> None:
    document = Document(header=HEADER, subject=Subject(kind="python", name="x"), answers=answers)
    assert codec.decode(codec.encode_json(document), Document, "x") == document
    evidence = Evidence(document)
    assert unanswered(evidence, [want for answer in answers for want in answer.wants]) == []


@given(ANSWERS)
def test_what_is_packed_is_unpacked(answer: Answer) -> None:
    packed = base64.b64encode(zlib.compress(msgspec.json.encode(answer)))
    assert probe.unpack(packed, "x") == answer


@given(st.binary(max_size=60))
def test_escape_loses_nothing(raw: bytes) -> None:
    assert unescape(escape(raw)) == raw


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_different_bytes_are_different_text(one: bytes, other: bytes) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@given(st.text(max_size=60))
def test_printable_text_drives_no_terminal(text: str) -> None:
    shown = printable(text)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert printable(shown) == shown


def test_a_tree_that_is_saved_and_replayed(tmp_path: Path) -> None:
    plant(tmp_path / "root", {"/usr/local/lib/python3.9/site-packages/six-1.0.dist-info/METADATA": "Name: six\n"})
    evidence = Tree(tmp_path / "root", interpreters={"/usr/local/bin/python3": interpreter()}).evidence()
    path = tmp_path / "e.json"
    path.write_bytes(codec.encode_json(evidence.document))
    assert without_header(assemble(Evidence(load_evidence(path)))) == without_header(assemble(evidence))
