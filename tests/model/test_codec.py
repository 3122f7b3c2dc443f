from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import threading
import tracemalloc
import unicodedata
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprocheck.errors import DataError
from reprocheck.model import codec
from reprocheck.model.report import (
    Checked,
    Finding,
    FindingSubject,
    LevelReached,
    MadeBy,
    Report,
    RequirementCheck,
    Side,
    Summary,
)
from reprocheck.model.snapshot import (
    Coverage,
    Environment,
    Files,
    Gap,
    Header,
    Image,
    Layer,
    Package,
    Provenance,
    Snapshot,
    Subject,
    System,
)

if TYPE_CHECKING:
    from pathlib import Path

HEADER = Header(captured_at="2026-11-22T10:00:00Z", reprocheck="1", target="image:x", route="exec", executed=True)
PACKAGES = tuple(
    Package(name=f"package-{number}", version=f"{number}.0", location="{prefix}/lib/python3.9/site-packages")
    for number in range(9)
)
SNAPSHOT = Snapshot(
    header=HEADER,
    subject=Subject(kind="image", name="x"),
    coverage={"environments": Coverage(state="complete"), "system": Coverage(state="partial")},
    environments=(Environment(id="/usr", kind="system", on_path=True, packages=PACKAGES),),
    variables={"CUDA_VERSION": "11.2", "PATH": None},
)


def plain(snapshot: Snapshot = SNAPSHOT) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(codec.encode_json(snapshot))
    return document


def dumped(document: object) -> bytes:
    return json.dumps(document).encode()


def is_harmless_line(text: str) -> bool:
    """Not ``isprintable``: that refuses unassigned characters too, which do nothing to a terminal."""
    bidi = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    return not any(character in bidi or unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text)


def refusal(raw: bytes) -> str:
    with pytest.raises(DataError) as caught:
        codec.decode_snapshot(raw, "base.json")
    message = str(caught.value)
    assert message.startswith("base.json: ")
    assert is_harmless_line(message), "one line, nothing that drives a terminal"
    assert "; " in message or "?" in message, "says what to do"
    assert len(message) < 300
    return message.removeprefix("base.json: ")


# --- the identity -----------------------------------------------------------------------------------

# Every character that UTF-8 has, the awkward ones more often than chance would bring them.
TEXT = st.text(
    alphabet=st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from('\x00\x07\x1b\r\n\t\x7f\x85\x9b\u200b\u202e\u2028\ufeff\U000e0041\\"#[é漢😀'),
    ),
    max_size=12,
)
MAYBE = st.none() | TEXT
TEXTS = st.lists(TEXT, max_size=3).map(tuple)

a_package = st.builds(
    Package,
    name=TEXT,
    display_name=MAYBE,
    version=TEXT,
    location=TEXT,
    active=st.booleans(),
    requires=st.none() | TEXTS,
    extras=TEXTS,
    requested=st.sampled_from([True, False, None]),
    origin=TEXT,
    files=st.builds(
        Files, count=st.none() | st.integers(0), checked=st.sampled_from(["none", "sizes"]), modified=TEXTS
    ),
    problems=TEXTS,
)
a_gap = st.builds(Gap, what=TEXT, where=TEXT, reason=TEXT)
a_snapshot = st.builds(
    Snapshot,
    header=st.builds(
        Header,
        captured_at=TEXT,
        reprocheck=TEXT,
        target=TEXT,
        route=TEXT,
        executed=st.booleans(),
        note=MAYBE,
    ),
    subject=st.builds(Subject, kind=st.sampled_from(["image", "host"]), name=TEXT, platform=MAYBE),
    coverage=st.dictionaries(st.sampled_from(["system", "smoke"]), st.builds(Coverage, state=st.just("partial"))),
    environments=st.lists(
        st.builds(
            Environment,
            id=TEXT,
            kind=st.sampled_from(["venv", "conda"]),
            packages=st.lists(a_package, max_size=3).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    variables=st.dictionaries(TEXT, MAYBE, max_size=4),
    image=st.builds(Image, user=TEXT, labels=st.dictionaries(TEXT, MAYBE, max_size=3)),
    gaps=st.lists(a_gap, max_size=2).map(tuple),
    provenance=st.builds(
        Provenance,
        layers=st.lists(st.builds(Layer, index=st.integers(0, 99), diff_id=TEXT, instruction=MAYBE), max_size=2).map(
            tuple
        ),
    ),
)
a_report = st.builds(
    Report,
    made_by=st.builds(MadeBy, reprocheck=TEXT, date=TEXT),
    verdict=st.sampled_from(["verified", "drift", "unverified"]),
    threshold=st.sampled_from(["major", "never"]),
    level=st.builds(LevelReached, asked=st.just("stack"), reached=st.sampled_from([None, "packages"])),
    baseline=st.builds(Side, name=TEXT, target=TEXT, kind=TEXT, route=TEXT, executed=st.booleans()),
    target=st.builds(Side, name=TEXT, target=TEXT, kind=TEXT, route=TEXT, executed=st.booleans()),
    summary=st.builds(Summary, major=st.integers(0, 9)),
    checked=st.builds(Checked, python=TEXTS, python_packages=st.integers(0, 9)),
    findings=st.lists(
        st.builds(
            Finding,
            fingerprint=TEXT,
            rule=TEXT,
            name=TEXT,
            severity=st.sampled_from(["breaking", "info"]),
            subject=st.builds(FindingSubject, kind=st.just("python-package"), name=TEXT, environment=MAYBE),
            before=MAYBE,
            details=st.dictionaries(TEXT, TEXT, max_size=2),
            message=TEXT,
            paths=st.lists(TEXTS, max_size=2).map(tuple),
            requirements=st.lists(
                st.builds(
                    RequirementCheck,
                    by=TEXT,
                    by_version=TEXT,
                    specifier=TEXT,
                    allows_after=st.sampled_from([True, False, None]),
                ),
                max_size=2,
            ).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
)


@given(a_snapshot)
def test_a_snapshot_survives_the_round_trip_and_is_harmless_to_show(snapshot: Snapshot) -> None:
    raw = codec.encode_json(snapshot)
    assert codec.decode_snapshot(raw, "x") == snapshot
    shown = raw.decode()
    assert shown.endswith("}\n")
    assert all(character == "\n" or not re.match(r"[\x00-\x1f\x7f-\x9f]", character) for character in shown)
    assert not set(shown) & set("\u200b\u202e\u2028\ufeff\U000e0041")
    assert "##[" not in shown
    assert codec.encode_json(codec.decode_snapshot(raw, "x")) == raw


@given(a_report)
def test_a_report_survives_the_round_trip(report: Report) -> None:
    assert codec.decode_report(codec.encode_json(report), "x") == report


@given(
    st.binary(max_size=60)
    | st.text(alphabet='{}[]",:\\ue0n\ud800 ', max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
@settings(max_examples=300)
def test_whatever_stands_in_a_file_it_is_decoded_or_refused_in_one_line(raw: bytes) -> None:
    try:
        codec.decode_snapshot(raw, "x")
    except DataError as error:
        assert is_harmless_line(str(error))  # noqa: PT017 - the point is that no other exception comes


@given(a_snapshot, st.data())
def test_a_snapshot_with_one_byte_changed_is_decoded_or_refused(snapshot: Snapshot, data: st.DataObject) -> None:
    raw = bytearray(codec.encode_json(snapshot))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        codec.decode_snapshot(bytes(raw), "x")
    except DataError as error:
        assert is_harmless_line(str(error))  # noqa: PT017 - as above


# --- what is written ----------------------------------------------------------------------------------


def test_a_package_is_a_block_that_reads_well_in_a_pull_request() -> None:
    lines = codec.encode_json(SNAPSHOT).decode().splitlines()
    start = lines.index('          "name": "package-3",')
    first = start - lines[start::-1].index("        {")
    last = lines.index("        },", start)
    keys = [line.split('"')[1] for line in lines[first + 1 : last] if line.startswith('          "')]
    assert keys == sorted(Package.__struct_fields__)


def test_the_order_of_a_mapping_does_not_matter() -> None:
    turned = msgspec.structs.replace(SNAPSHOT, variables=dict(reversed(SNAPSHOT.variables.items())))
    assert codec.encode_json(turned) == codec.encode_json(SNAPSHOT)


def test_text_keeps_its_letters_and_loses_its_controls() -> None:
    note = "é 漢 😀 \x1b]52;c;\x07 \x9b2J \u202e \U000e0041 ##[error] ##vso[task] a##b"
    raw = codec.encode_json({"note": note}, indent=-1)
    assert raw.decode() == (
        '{"note":"é 漢 😀 \\u001b]52;c;\\u0007 \\u009b2J \\u202e \\udb40\\udc41 '
        '#\\u0023[error] #\\u0023vso[task] a##b"}\n'
    )
    assert json.loads(raw)["note"] == note


def test_a_file_name_that_is_no_text_is_refused_when_writing() -> None:
    name = os.fsdecode(b"/tmp/\xff")
    with pytest.raises(DataError, match="not text"):
        codec.encode_json({"target": name})


# --- what is refused ----------------------------------------------------------------------------------


def test_a_wrong_type_is_named_by_its_path() -> None:
    document = plain()
    document["environments"][0]["packages"][7]["version"] = 3
    assert refusal(dumped(document)).startswith("environments[0].packages[7].version: expected str, got int;")


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        (("header", "executed"), 1, "header.executed: expected bool, got int"),
        (("environments",), None, "environments: expected array, got null"),
        (("environments", 0), "x", "environments[0]: expected object, got str"),
        (("environments", 0, "packages", 2, "files", "count"), True, "[2].files.count: expected int or null"),
        (("coverage", "system", "version"), 1.5, "coverage.system.version: expected int, got float"),
        (("coverage", "system", "state"), "\x1b[2J" + "x" * 200, "system.state: invalid enum value '\\x1b["),
        (("coverage", "odd"), {"state": "partial"}, "a key of coverage: invalid enum value 'odd'"),
        (("variables", "NEW"), 3, "variables.NEW: expected str or null, got int"),
        (("variables", "a b"), 3, "variables[a b]: expected str or null, got int"),
        (("smoke",), [{"ok": "1"}, {"a": "b", "c": 4}], "smoke[1].c: expected str, got int"),
        (("provenance", "layers"), [{"index": 0}], "layers[0]: object missing required field diff_id"),
    ],
)  # fmt: skip
def test_wrong_values_are_named(where: tuple[str | int, ...], value: object, says: str) -> None:
    document = place = plain()
    for step in where[:-1]:
        place = place[step]  # type: ignore[index]
    place[where[-1]] = value  # type: ignore[index]
    assert says in refusal(dumped(document))


def test_the_right_key_is_named_although_something_else_is_wrong_further_down() -> None:
    document = plain()
    document["subject"]["name"] = 1
    first = {"variables": {"FINE": "1", "WRONG": 1, "TOO": "1"}}
    both = first | {key: document[key] for key in document if key != "variables"}
    assert refusal(dumped(both)).startswith("variables.WRONG: expected str or null, got int")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"schema": "a", "schema": "b"}', "schema: the key stands twice"),
        (b'{"a": {"x": [1, [{"k\\u0065y": 1, "key": 2}]]}}', "a.x[1][0].key: the key stands twice"),
        (b'{"a b": {"\\u001b": 1, "\\u001b": 2}}', "[a b][\\x1b]: the key stands twice"),
        (b'[[{"a": 1}], {"b": 1, "b": 1}]', "[1].b: the key stands twice"),
    ],
)
def test_keys_that_repeat_are_named(raw: bytes, says: str) -> None:
    assert refusal(raw).startswith(says)


def test_equal_keys_in_different_objects_are_fine() -> None:
    document = plain()
    document["new"] = [{"a": 1}, {"a": {"a": 1}}]
    assert codec.decode_snapshot(dumped(document), "x") == SNAPSHOT


@pytest.mark.parametrize("raw", [b"", b" \n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
def test_an_empty_file_is_called_empty(raw: bytes) -> None:
    assert refusal(raw).startswith("is empty;")


def test_a_byte_order_mark_is_tolerated() -> None:
    assert codec.decode_snapshot(b"\xef\xbb\xbf" + dumped(plain()), "x") == SNAPSHOT


def test_a_file_that_was_cut_anywhere_says_where_it_ends() -> None:
    raw = codec.encode_json(
        msgspec.structs.replace(SNAPSHOT, environments=(), variables={"\x1b": "\\é\u202e"}, system=System())
    ).rstrip()
    for keep in range(1, len(raw)):
        if raw[:keep].endswith("é".encode()[:1]):
            continue  # half a character is not UTF-8, and is called so
        message = refusal(raw[:keep])
        assert f"ends in the middle (line {raw[:keep].count(10) + 1}, column " in message, raw[:keep]


def test_merge_conflict_markers_are_recognised() -> None:
    lines = codec.encode_json(SNAPSHOT).decode().splitlines()
    lines[20:20] = ["<<<<<<< HEAD", lines[19], "=======", lines[19], ">>>>>>> branch"]
    assert refusal("\n".join(lines).encode()).startswith("has merge conflict markers at line 21;")
    assert "at line 21" in refusal("\r\n".join(lines).encode())


def test_the_markers_inside_a_string_are_text() -> None:
    document = plain()
    document["header"]["note"] = "\n<<<<<<< HEAD\n=======\n"
    assert codec.decode_snapshot(dumped(document), "x").header.note == "\n<<<<<<< HEAD\n=======\n"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"a: &a [x, x]\nb: &b [*a, *a]\n", "is not JSON: it begins with 'a: &a [x, x]'"),
        (b"!!python/object/apply:os.system ['touch /tmp/x']", "is not JSON: it begins with '!!python/object"),
        (pickle.dumps({"a": 1}), "is not UTF-8 text"),
        (b"\x1f\x8b\x08\x00", "is not UTF-8 text"),
        ('{"schema": 1}'.encode("utf-16"), "is UTF-16"),
        (b"\x1b[2Jhello\n", "is not JSON: it begins with '\\x1b[2Jhello'"),
        (b"\x1c", "is not JSON: it begins with '"),
        (b"\x85\n", "is not UTF-8 text"),
        ("\u2028{}".encode(), "is not JSON: it begins with '\\u2028{}'"),
        (b"<html>" + b"x" * 500, "is not JSON: it begins with '<html>xxx"),
        (b'{"a": "\xff"}', "is not UTF-8 text, so not JSON (at line 1)"),
        (b'{"a": 1,}', "is not JSON at line 1, column "),
        (b"{'a': 1}", "is not JSON at line 1, column 2"),
        (b'{"a": 1} x', "is not JSON at line 1, column 10 (extra data)"),
        (b'{"a": "\n"}', "is not JSON at line 1"),
        (b'{\n"a": NaN}', "is not JSON at line 2 (NaN"),
        (b'{"a": -Infinity}', "is not JSON at line 1 (NaN"),
        (b'{"a": "\\ud800"}', "has half of a surrogate pair at line 1 (\\ud800)"),
        (b'{"a":\n "\\ud83d\\ude00\\\\ud800\\udc00"}', "has half of a surrogate pair at line 2 (\\udc00)"),
        (b"[]", "the document: expected object, got array"),
        (b'{"name": "x"}', "has no field schema"),
        (b'{"schema": null}', "has no field schema"),
        (b'{"schema": "reprocheck.snapshot/2"}', "reprocheck.snapshot/2 was written by a newer reprocheck"),
        (b'{"schema": "reprocheck.snapshot/0"}', "reprocheck.snapshot/0 is not read any more"),
        (b'{"schema": "reprocheck.report/7"}', "is a report (reprocheck.report/7), not a snapshot"),
        (b'{"schema": "reprocheck.evidence/1"}', "is evidence (reprocheck.evidence/1), not a snapshot"),
        (b'{"schema": "http://cyclonedx.org/\\u001b"}', "schema: 'http://cyclonedx.org/\\x1b' is none of"),
        (b'{"schema": {"a": 1}}', "schema: '{"),
    ],
)  # fmt: skip
def test_other_files_are_refused_in_one_line(raw: bytes, says: str) -> None:
    assert refusal(raw).startswith(says)


def test_a_newer_schema_is_told_before_its_fields_are_looked_at() -> None:
    document = plain() | {"schema": "reprocheck.snapshot/2", "environments": {"/usr": 1}}
    assert "upgrade reprocheck" in refusal(dumped(document))


def test_unknown_fields_are_ignored() -> None:
    document = plain() | {"since_1_5": [1, {"x": None}]}
    document["environments"][0]["packages"][0]["since_1_5"] = 1e308
    assert codec.decode_snapshot(dumped(document), "x") == SNAPSHOT


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("closed", [True, False])
def test_deep_nesting_is_refused_whatever_stack_there_is(opening: bytes, *, closed: bool) -> None:
    closing = (b"]" if opening == b"[" else b"}") if closed else b""
    raw = b'{"schema": "reprocheck.snapshot/1", "x": ' + opening * 100_000 + b"1" + closing * 100_000 + b"}"
    messages: list[str] = []
    size = threading.stack_size(128 << 10)
    try:
        thread = threading.Thread(target=lambda: messages.append(refusal(raw)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
    assert messages == ["is nested more than 100 levels deep; is it the right file?"]


def test_depth_is_counted_outside_strings_only() -> None:
    document = plain()
    odd = ["[" * 200, '\\"' + "{" * 200, '"', "\\", '\\\\"[', "", "]" * 200]
    document["new"] = odd
    document["header"]["note"] = "".join(odd)
    assert codec.decode_snapshot(dumped(document), "x").header.note == "".join(odd)
    document["new"] = json.loads("[" * 98 + "]" * 98)
    assert codec.decode_snapshot(dumped(document), "x").subject == SNAPSHOT.subject
    document["new"] = json.loads("[" * 101 + "]" * 101)
    assert "levels deep" in refusal(dumped(document))


@pytest.mark.parametrize("before", ["\\", "\\\\", '"', '\\"', '"\\', ""])
def test_a_string_ends_where_it_ends(before: str) -> None:
    fine = plain() | {"new": [before, "[" * 200]}
    assert codec.decode_snapshot(dumped(fine), "x") == SNAPSHOT
    deep = dumped(plain() | {"new": [before, 0]}).replace(b", 0]", b", " + b"[" * 200 + b"]" * 201)
    assert "levels deep" in refusal(deep)


def test_very_many_values_are_refused_before_they_take_memory() -> None:
    raw = b'{"x": [' + b"[]," * 5_000_000 + b"[]]}"
    tracemalloc.start()
    try:
        assert refusal(raw).startswith("holds more than 4,000,000 values")
        assert tracemalloc.get_traced_memory()[1] < 3 * len(raw)
    finally:
        tracemalloc.stop()


def test_a_number_of_a_million_digits_is_refused_quickly() -> None:
    document = dumped(plain()).replace(b'"count": null', b'"count": ' + b"9" * 1_000_000, 1)
    assert "expected" in refusal(document) or "out of range" in refusal(document)


# --- files ----------------------------------------------------------------------------------------------


def load_refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        codec.load_snapshot(path)
    assert is_harmless_line(str(caught.value))
    return str(caught.value).removeprefix(f"{path}: ")


def test_a_snapshot_is_loaded_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    path.write_bytes(codec.encode_json(SNAPSHOT))
    assert codec.load_snapshot(path) == SNAPSHOT


def test_a_file_of_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    try:
        assert load_refusal(path).startswith("has 1024 MiB, and no more than 64 MiB are read")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_the_limit_holds_for_bytes_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_BYTES", 1 << 20)
    assert refusal(b" " * ((1 << 20) + 1)).startswith("has 1 MiB")
    assert refusal(b" " * (1 << 20)).startswith("is empty")


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert load_refusal(pipe).startswith("is no regular file")
    assert load_refusal(type(tmp_path)("/dev/zero")).startswith("is no regular file")
    assert load_refusal(tmp_path).startswith("is a directory")
    assert load_refusal(tmp_path / "absent").startswith("no such file")
    (tmp_path / "loop").symlink_to("loop")
    assert load_refusal(tmp_path / "loop").startswith("cannot be read (Too many levels of symbolic links)")
    assert load_refusal(tmp_path / "absent" / "x").startswith("no such file")


def test_a_file_that_grows_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "base.json"
    path.write_bytes(b"{}")
    measure = os.fstat

    def measure_then_grow(descriptor: int) -> os.stat_result:
        status = measure(descriptor)
        path.write_bytes(b"{} {}")
        return status

    monkeypatch.setattr("reprocheck.model.codec.os.fstat", measure_then_grow)
    assert load_refusal(path).startswith("grew while it was read")


def test_a_file_name_that_drives_terminals_is_shown_escaped(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        codec.load_snapshot(tmp_path / "\x1b[2J\r\u202e")
    assert "\\x1b[2J\\x0d\\u202e: no such file" in str(caught.value)


def test_files_are_read_in_the_plainest_locale(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    path.write_bytes(codec.encode_json(msgspec.structs.replace(SNAPSHOT, variables={"A": "é"})))
    program = (
        "import sys; from pathlib import Path; from reprocheck.model import codec; "
        "raw = codec.encode_json(codec.load_snapshot(Path(sys.argv[1]))); "
        "assert raw == Path(sys.argv[1]).read_bytes()"
    )
    plainest = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    subprocess.run([sys.executable, "-c", program, path], check=True, env=plainest)


@pytest.mark.parametrize("raw", [b"", b"[1", b"[x]", b'["a"]', b"[1e999]"])
def test_the_advice_is_the_callers(raw: bytes) -> None:
    with pytest.raises(DataError, match=r"; do this instead$"):
        codec.decode(raw, list[int], "here", advice="do this instead")
