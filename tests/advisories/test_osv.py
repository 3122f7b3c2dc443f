"""Advisories in the OSV format: what is read, and which versions are affected."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from packaging.version import Version

from reprocheck.advisories.osv import Advisory, UnclearError, fixes, names, read_advisory
from reprocheck.errors import DataError
from tests.advisories.serving import OSV


def advisory(*events: str, versions: tuple[str, ...] = (), kind: str = "ECOSYSTEM", **fields: Any) -> Advisory:
    """One about ``thing``, with events as in ``introduced 1.0``."""
    affected: dict[str, Any] = {"package": {"ecosystem": "PyPI", "name": "thing"}, "versions": list(versions)}
    if events:
        affected["ranges"] = [{"type": kind, "events": [dict([one.split(" ")]) for one in events]}]
    return read_advisory(json.dumps({"id": "X-1", "affected": [affected], **fields}).encode(), "x.json")


def is_affected(one: Advisory, version: str) -> bool:
    return fixes(one, "thing", Version(version)) is not None


@pytest.mark.parametrize(
    ("events", "inside", "outside"),
    [
        (["introduced 0"], ["0.dev0", "0", "99"], []),
        (["introduced 0", "fixed 1.2"], ["0.1", "1.2rc1", "1.2.dev3", "1.1.post9"], ["1.2", "1.2.0", "1.2.post1", "2"]),
        (["introduced 1.0", "last_affected 1.2"], ["1.0", "1.2", "1.2.0"], ["0.9", "1.0rc1", "1.2.post1", "1.2.1"]),
        (["introduced 2.0", "fixed 2.3", "introduced 0", "fixed 1.9"], ["1.8", "2.0", "2.2"], ["1.9", "2.0a1", "2.3"]),
        # Ranges that touch leave no hole.
        (["introduced 0", "fixed 2.0", "introduced 2.0", "fixed 3.0"], ["1.0", "2.0", "2.5"], ["3.0"]),
        (["introduced 1.5", "last_affected 1.5"], ["1.5"], ["1.4", "1.5.1"]),
        (["introduced 2", "fixed 1!0.5"], ["2", "2024.1", "1!0.4"], ["1", "1!0.5", "1!3"]),
        (["introduced 1!0", "fixed 1!2"], ["1!1"], ["7", "2024.1", "1!2"]),
        (["introduced 0", "limit 1.0", "limit 2.0"], ["0.5", "1.5"], ["2.0", "3"]),
        (["introduced 1", "limit *"], ["1", "9"], ["0.9"]),
    ],
)
def test_the_evaluation_is_the_schemas(events: list[str], inside: list[str], outside: list[str]) -> None:
    for order in (events, events[::-1]):
        assert [version for version in inside if not is_affected(advisory(*order), version)] == []
        assert [version for version in outside if is_affected(advisory(*order), version)] == []


def test_listed_versions_count_however_they_are_written() -> None:
    one = advisory(versions=("1.0", "2.0RC1", "2004b", "0.1dev-r1716"))
    assert is_affected(one, "1.0.0")
    assert is_affected(one, "2.0rc1")
    assert not is_affected(one, "1.1")


def test_a_version_is_affected_by_its_list_or_by_a_range() -> None:
    one = advisory("introduced 2", "fixed 3", versions=("1.0",))
    assert [version for version in ("1.0", "1.5", "2.5", "3") if is_affected(one, version)] == ["1.0", "2.5"]


def test_fixes_are_later_versions_that_are_not_affected_themselves() -> None:
    events = ("introduced 0", "fixed 1.26.17", "introduced 2.0.0", "fixed 2.0.6")
    assert [str(one) for one in fixes(advisory(*events), "thing", Version("1.25")) or ()] == ["1.26.17", "2.0.6"]
    assert [str(one) for one in fixes(advisory(*events), "thing", Version("2.0.1")) or ()] == ["2.0.6"]
    again = ("introduced 0", "fixed 1.5", "introduced 1.5", "fixed 1.8")
    assert [str(one) for one in fixes(advisory(*again), "thing", Version("1.0")) or ()] == ["1.8"]
    assert fixes(advisory("introduced 0", "last_affected 1.5"), "thing", Version("1.0")) == ()


def test_what_was_withdrawn_concerns_nobody() -> None:
    assert not is_affected(advisory("introduced 0", withdrawn="2023-05-30T03:49:00Z"), "1.0")


def test_other_packages_and_ecosystems_are_not_looked_at() -> None:
    npm = {
        "package": {"ecosystem": "npm", "name": "thing"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
    }
    one = read_advisory(json.dumps({"id": "X-1", "affected": [npm]}).encode(), "x.json")
    assert names(one) == frozenset()
    assert not is_affected(one, "1.0")
    assert fixes(advisory("introduced 0"), "another", Version("1")) is None


def test_names_are_normalised() -> None:
    one = advisory("introduced 0")
    odd = read_advisory(
        json.dumps(
            {
                "id": "X-1",
                "affected": [
                    {
                        "package": {"ecosystem": "PyPI", "name": "Zope.Interface"},
                        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "5"}]}],
                    }
                ],
            }
        ).encode(),
        "x.json",
    )
    assert names(one) == {"thing"}
    assert names(odd) == {"zope-interface"}
    assert fixes(odd, "zope-interface", Version("4")) == (Version("5"),)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (advisory("introduced 0", "fixed abc", kind="GIT"), "it has only ranges of the type GIT"),
        (advisory("introduced 0", "fixed 1.0", kind="SEMVER"), "it has only ranges of the type SEMVER"),
        (advisory(), "it names no versions"),
        (advisory("introduced 0", "fixed not-a-version"), "not-a-version in it is no version"),
        (advisory("fixed 1.0"), "a range of it begins nowhere"),
        (advisory(f"introduced {'9' * 5000}"), "is no version"),
    ],
)
def test_what_can_not_be_evaluated_is_no_answer(one: Advisory, why: str) -> None:
    with pytest.raises(UnclearError, match=why):
        fixes(one, "thing", Version("0.5"))


def test_an_event_of_two_versions_is_no_answer() -> None:
    affected = {
        "package": {"ecosystem": "PyPI", "name": "thing"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0", "fixed": "1.0"}]}],
    }
    one = read_advisory(json.dumps({"id": "X-1", "affected": [affected]}).encode(), "x.json")
    with pytest.raises(UnclearError, match="does not state one version"):
        fixes(one, "thing", Version("0.5"))


def test_a_clear_yes_counts_beside_what_is_unclear() -> None:
    ranges = [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "what"}]},
        {"type": "ECOSYSTEM", "events": [{"introduced": "1"}, {"fixed": "2"}]},
    ]
    affected = {"package": {"ecosystem": "PyPI", "name": "thing"}, "ranges": ranges}
    one = read_advisory(json.dumps({"id": "X-1", "affected": [affected]}).encode(), "x.json")
    assert is_affected(one, "1.5")
    with pytest.raises(UnclearError):
        is_affected(one, "2.5")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "is empty"),
        (b"<html>", "is not JSON: it begins with '<html>'"),
        (b"[]", "expected object, got array"),
        (b"{}", "missing required field id"),
        (b'{"id": ""}', "its id has 0 characters"),
        (b'{"id": "%s"}' % (b"x" * 201), "its id has 201 characters"),
        (b'{"id": "X", "id": "Y"}', "id: the key stands twice"),
        (b'{"id": "X", "affected": [], "affected": []}', "the key stands twice"),
        (b'{"id": "X", "schema_version": "2.0.0"}', "schema_version: 2.0.0 is not read"),
        (b'{"id": "X", "affected": [{"package": {"ecosystem": "PyPI"}}]}', r"affected\[0\].package: .*name"),
        (b'{"id": "X", "affected": [{"versions": [1]}]}', r"affected\[0\].versions\[0\]: expected str, got int"),
        (b'{"id": "X", "details": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested more than 100 levels"),
        (b'{"id": "X", "aliases": [' + b",".join([b'"a"'] * 1001) + b"]}", "more than 1,000 aliases"),
        (
            b'{"id": "X", "affected": [{"package": {"ecosystem": "PyPI", "name": "x"}, "ranges": '
            b'[{"type": "GIT", "events": [' + b",".join([b'{"fixed": "1"}'] * 1001) + b"]}]}]}",
            "its ranges have more than 1,000 events",
        ),
        (b'{"id": "X"', "ends in the middle"),
        (b'{"id": "\\ud800"}', "half of a surrogate pair"),
    ],
)
def test_what_is_no_advisory_is_refused_in_one_line(raw: bytes, why: str) -> None:
    with pytest.raises(DataError, match=why) as caught:
        read_advisory(raw, "dir/\x1b[2Jx.json")
    assert str(caught.value).startswith("dir/\\x1b[2Jx.json: ")
    assert "\n" not in str(caught.value)


def test_the_longest_that_is_read_is_evaluated_in_time() -> None:
    events = [
        f"{kind} {2 * number + later}" for number in range(500) for later, kind in enumerate(("introduced", "fixed"))
    ]
    one = advisory(*events, versions=tuple(f"1.0.{number}" for number in range(100_000)))
    begin = time.monotonic()
    found = fixes(one, "thing", Version("1.0.7"))
    assert found is not None
    assert len(found) > 400
    assert time.monotonic() - begin < 20


def test_null_lists_are_empty_ones() -> None:
    one = read_advisory(b'{"id": "X", "aliases": null, "affected": null, "summary": null}', "x.json")
    assert names(one) == frozenset()
    assert one.title == ""


def test_the_title_is_the_summary_or_the_first_paragraph() -> None:
    told = read_advisory((OSV / "PYSEC-2023-212.json").read_bytes(), "x.json")
    assert told.title == "The body of a request stays when a redirect turns it into a GET."
    assert len(advisory(details="x " * 100_000).title) <= 1000
    assert advisory(summary="a\nb", details="c").title == "a b"
