"""Services of advisories: an OSV server, files, the package index; and what goes wrong with them."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from packaging.version import Version
from pip_audit._service import OsvService, ResolvedDependency
from requests.adapters import HTTPAdapter

from reprocheck.advisories import services, web
from reprocheck.advisories.ask import Said, ask
from reprocheck.advisories.folder import read_advisories
from reprocheck.advisories.services import Files, OsvServer, PackageIndex
from tests.advisories.serving import OSV, Behaviour, all_advisories, osv, serving, slow, speaking

RELEASES = [
    (name, Version(version))
    for name, version in (
        ("ansible", "2.9.0"),
        ("gratient", "0.5"),
        ("numpy", "1.23.5"),
        ("numpy", "1.19.0"),
        ("pillow", "9.0.0"),
        ("py", "1.11.0"),
        ("py", "1.11.1"),
        ("pyyaml", "5.3"),
        ("pyyaml", "5.4b1"),
        ("pyyaml", "5.4"),
        ("requests", "2.30.0"),
        ("tensorflow", "2.7.0rc1"),
        ("tensorflow", "2.9.0"),
        ("urllib3", "1.26.4"),
        ("urllib3", "2.0.5"),
        ("urllib3", "2.6.3"),
    )
]
Answers = dict[tuple[str, Version], Said]


def told(said: Answers) -> dict[str, list[tuple[str, list[str]]]]:
    """By release: each vulnerability with its fixes."""
    return {
        f"{name} {version}": [(one.id, [str(fix) for fix in one.fix_versions]) for one in answer.found]
        for (name, version), answer in said.items()
        if answer.found
    }


def reasons(said: Answers) -> set[str | None]:
    return {answer.reason for answer in said.values()}


def from_server(behaviour: Behaviour, seconds: float = 5, **how: Any) -> Answers:
    with serving(behaviour, **how) as url:
        return ask(OsvServer(f"{url}/v1/query", seconds), RELEASES, seconds)


def test_the_server_and_the_directory_give_the_same_answers() -> None:
    directory = ask(Files(read_advisories(OSV, {name for name, _ in RELEASES})), RELEASES, 5)
    assert from_server(osv(*all_advisories())) == directory
    assert reasons(directory) == {None}
    assert told(directory) == {
        "gratient 0.5": [("PYSEC-2024-1", [])],
        "numpy 1.19.0": [("PYSEC-2021-856", ["1.19.1"])],
        "pillow 9.0.0": [("PYSEC-2023-175", ["10.0.1"])],
        "py 1.11.0": [("PYSEC-2022-42969", [])],
        "pyyaml 5.3": [("PYSEC-2020-96", ["5.3.1"]), ("PYSEC-2021-142", ["5.4"])],
        "pyyaml 5.4b1": [("PYSEC-2021-142", ["5.4"])],
        "requests 2.30.0": [("PYSEC-2023-74", ["2.31.0"])],
        "tensorflow 2.7.0rc1": [("PYSEC-2021-420", ["2.7.0"])],
        "urllib3 1.26.4": [
            ("PYSEC-2021-108", ["1.26.5"]),
            ("PYSEC-2023-192", ["1.26.17", "2.0.6"]),
            ("PYSEC-2023-212", ["1.26.18", "2.0.7"]),
        ],
        "urllib3 2.0.5": [("PYSEC-2023-192", ["2.0.6"]), ("PYSEC-2023-212", ["2.0.7"])],
    }


def test_pip_audits_own_service_finds_the_same(tmp_path: Path) -> None:
    with serving(osv(*all_advisories())) as url:
        theirs = OsvService(cache_dir=tmp_path, timeout=5, osv_url=f"{url}/v1/query")
        ours = ask(OsvServer(f"{url}/v1/query", 5), RELEASES, 5)
        for name, version in RELEASES:
            _, found = theirs.query(ResolvedDependency(name=name, version=version))
            assert set().union(*({one.id, *one.aliases} for one in found)) == set().union(
                *({one.id, *one.aliases} for one in ours[name, version].found)
            )


def test_one_vulnerability_in_two_databases_counts_once_with_all_its_names() -> None:
    (one,) = from_server(osv(*all_advisories()))["pyyaml", Version("5.4b1")].found
    assert one.id == "PYSEC-2021-142"
    assert one.aliases == {"CVE-2020-14343", "GHSA-8q59-q68h-6hv4"}
    assert one.description == "The full loader can be made to run code by a document that is not trusted"


def test_names_that_meet_in_two_steps_are_of_one_vulnerability() -> None:
    def about(identifier: str, *aliases: str) -> dict[str, Any]:
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}]
        affected = {"package": {"ecosystem": "PyPI", "name": "numpy"}, "ranges": ranges}
        return {"id": identifier, "aliases": list(aliases), "affected": [affected]}

    advisories = (about("GHSA-b", "CVE-1"), about("GHSA-a", "CVE-2"), about("PYSEC-1", "CVE-1", "CVE-2"), about("X-9"))
    for order in (advisories, advisories[::-1]):
        found = from_server(osv(*order))["numpy", Version("1.23.5")].found
        assert [(one.id, sorted(one.aliases)) for one in found] == [
            ("PYSEC-1", ["CVE-1", "CVE-2", "GHSA-a", "GHSA-b"]),
            ("X-9", []),
        ]


def test_all_pages_of_an_answer_are_read() -> None:
    assert from_server(osv(*all_advisories(), page=1)) == from_server(osv(*all_advisories()))


def test_pages_without_end_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_PAGES", 5)
    said = from_server(lambda _path, _body: (200, b'{"next_page_token": "again"}'))
    assert reasons(said) == {"the answer has more than 5 pages"}


def test_a_server_that_is_down_is_asked_no_further() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1/query"
    said = ask(OsvServer(url, 5), RELEASES, 5)
    assert [answer.reason for answer in said.values()] == [
        *["the service can't be reached"] * 8,
        *["not asked for any more: nothing had come for those before"] * (len(RELEASES) - 8),
    ]


def test_a_server_that_is_slow_is_left_alone() -> None:
    begin = time.monotonic()
    said = from_server(slow(10), seconds=0.3)
    assert {"no answer within 0.3 seconds"} < reasons(said)
    assert time.monotonic() - begin < 8
    assert None not in reasons(said)


def test_a_server_that_sends_a_byte_at_a_time_is_slow() -> None:
    said = from_server(osv(*all_advisories()), seconds=0.5, drip=0.1)
    assert None not in reasons({release: one for release, one in said.items() if release[0] in {"pyyaml", "urllib3"}})


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, b"<html>Welcome</html>", "the answer: is not JSON: it begins with '<html>Welcome</html>'"),
        (200, b"", "the answer: is empty"),
        (200, b"[]", "expected object, got array"),
        (200, b"null", "the answer: .*expected object, got null"),
        (200, b'{"code": 5, "message": "not found"}', "object contains unknown field code"),
        (200, b'{"vulns": {}}', "vulns: expected array or null, got object"),
        (200, b'{"vulns": [], "vulns": []}', "stands twice"),
        (200, b"[" * 100_000, "nested more than 100"),
        (200, b'{"vulns": ["X-1"]}', "advisory 1 of the answer: .*expected object, got str"),
        (200, b'{"vulns": [{"id": "X-1"}]}', "the answer is nonsense: X-1 is about another package"),
        (404, b"{}", "the server answers 404 Not Found"),
        (500, b"{}", "the server answers 500 Internal Server Error"),
        (302, b"/elsewhere", "the answer is nonsense .TooManyRedirects"),
    ],
)
def test_nonsense_is_no_answer(status: int, body: bytes, why: str) -> None:
    said = from_server(lambda _path, _body: (status, body))
    for reason in reasons(said):
        assert reason is not None
        assert re.search(why, reason), reason


def test_a_server_that_knows_nothing_has_audited_nothing() -> None:
    said = from_server(lambda _path, _body: (200, b"{}"))
    (reason,) = reasons(said)
    assert reason is not None
    assert reason.startswith("the server finds nothing in any package, not even in pyyaml 5.3 (CVE-2020-14343)")


def test_a_server_that_finds_nothing_and_knows_the_old_ones_is_believed() -> None:
    with serving(osv(*all_advisories())) as url:
        said = ask(OsvServer(f"{url}/v1/query", 5), [("numpy", Version("2.0"))], 5)
    assert said == {("numpy", Version("2.0")): Said()}


def test_a_server_that_fails_when_it_is_asked_what_it_knows_is_not_believed() -> None:
    def behaviour(_path: str, body: bytes) -> tuple[int, bytes]:
        return (200, b"{}") if b"numpy" in body else (500, b"")

    with serving(behaviour) as url:
        said = ask(OsvServer(f"{url}/v1/query", 5), [("numpy", Version("2.0"))], 5)
    (reason,) = reasons(said)
    assert reason == "whether it knows anything could not be told: the server answers 500 Internal Server Error"


def test_the_releases_that_are_known_to_be_vulnerable_are() -> None:
    files = Files(read_advisories(OSV, {name for name, _, _ in services.KNOWN}))
    said = ask(files, [(name, Version(version)) for name, version, _ in services.KNOWN], 5)
    for name, version, identifier in services.KNOWN:
        assert any(identifier in one.aliases for one in said[name, Version(version)].found)


def test_an_advisory_that_can_not_be_evaluated_leaves_its_package_open_and_what_was_found_stands() -> None:
    unclear = {
        "id": "X-1",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "pyyaml"}, "ranges": [{"type": "GIT", "events": []}]}],
    }
    later = {**unclear, "id": "X-2", "schema_version": "2.0"}

    def behaviour(_path: str, body: bytes) -> tuple[int, bytes]:
        status, answer = osv(*all_advisories())(_path, body)
        found = json.loads(answer).get("vulns", [])
        return status, json.dumps({"vulns": [*found, unclear, later] if b"pyyaml" in body else found}).encode()

    said = from_server(behaviour)
    assert said["pyyaml", Version("5.4")].reason is not None
    reason = said["pyyaml", Version("5.4b1")].reason
    assert reason is not None
    assert reason.endswith(", and 1 more")
    assert [one.id for one in said["pyyaml", Version("5.4b1")].found] == ["PYSEC-2021-142"]
    assert said["urllib3", Version("1.26.4")].reason is None


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MOST_BYTES", 1000)
    said = from_server(lambda _path, _body: (200, b'{"vulns": [' + b" " * 2000 + b"]}"))
    assert reasons(said) == {"the answer is nonsense (TooLongError: the answer has more than 0 MiB)"}


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Length: 100\r\n", b"{}"),
        (b"Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n"),
        (b"Content-Encoding: gzip\r\nContent-Length: 2\r\n", b"{}"),
        (b"Content-Encoding: gzip\r\nContent-Length: 22\r\n", gzip.compress(b"{}")[:18]),
    ],
)
def test_an_answer_that_is_cut_is_none_although_what_is_left_is_json(head: bytes, body: bytes) -> None:
    with speaking(b"HTTP/1.1 200 OK\r\n" + head + b"Connection: close\r\n\r\n" + body) as url:
        said = ask(OsvServer(f"{url}/v1/query", 2), RELEASES[:2], 2)
    for reason in reasons(said):
        assert reason is not None
        assert "the answer is cut" in reason or "is not JSON" in reason or "is empty" in reason


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MOST_BYTES", 1 << 20)
    body = gzip.compress(b" " * (200 << 20))
    head = f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with speaking(b"HTTP/1.1 200 OK\r\n" + head.encode() + body) as url:
        said = ask(OsvServer(f"{url}/v1/query", 5), RELEASES[:1], 5)
    assert reasons(said) == {"the answer is nonsense (TooLongError: the answer has more than 1 MiB)"}


def test_a_server_without_tls_is_told() -> None:
    with serving(osv()) as url:
        said = ask(OsvServer(f"{url.replace('http', 'https')}/v1/query", 5), RELEASES[:1], 5)
    (reason,) = reasons(said)
    assert reason is not None
    assert "it speaks no TLS" in reason


def test_many_are_asked_for_at_the_same_time() -> None:
    begin = time.monotonic()
    assert None not in reasons(from_server(slow(0.5)))
    assert time.monotonic() - begin < 8


# The package index, whose address pip-audit has fixed: its requests are sent to a server of ours.


class _Elsewhere(HTTPAdapter):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._bounded = web.session().get_adapter("http://")

    def send(self, request: requests.PreparedRequest, *args: Any, **words: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        request.url = f"{self._url}{parts.path}"
        return self._bounded.send(request, *args, **words)


def from_index(behaviour: Behaviour, releases: list[tuple[str, Version]]) -> Answers:
    index = PackageIndex(5)
    with serving(behaviour) as url:
        index.session.mount("https://", _Elsewhere(url))
        return ask(index, releases, 5)


def release(name: str, version: str, *vulnerabilities: dict[str, Any]) -> bytes:
    return json.dumps({"info": {"name": name, "version": version}, "vulnerabilities": vulnerabilities}).encode()


def test_the_package_index_is_asked_through_pip_audit() -> None:
    of_index = {
        "id": "PYSEC-2021-142",
        "aliases": ["GHSA-8q59-q68h-6hv4", "CVE-2020-14343"],
        "details": "Code is run.",
        "summary": None,
        "fixed_in": ["5.4", "5.2.9"],
        "withdrawn": None,
    }
    other = {**of_index, "id": "GHSA-8q59-q68h-6hv4", "aliases": ["CVE-2020-14343"]}
    withdrawn = {**of_index, "id": "PYSEC-1", "aliases": [], "withdrawn": "2023-05-30T03:49:00Z"}
    asked = []

    def behaviour(path: str, _body: bytes) -> tuple[int, bytes]:
        asked.append(path)
        return {
            "/pypi/pyyaml/5.3/json": (200, release("PyYAML", "5.3", of_index, other, withdrawn)),
            "/pypi/numpy/2.0/json": (200, release("numpy", "2.0.0")),
        }.get(path, (404, b"{}"))

    said = from_index(behaviour, [("pyyaml", Version("5.3")), ("numpy", Version("2.0")), ("mine", Version("1"))])
    assert sorted(asked) == ["/pypi/mine/1/json", "/pypi/numpy/2.0/json", "/pypi/pyyaml/5.3/json"]
    assert told(said) == {"pyyaml 5.3": [("PYSEC-2021-142", ["5.4"])]}
    assert [one.reason for one in said.values()] == [None, None, "the package index does not know this release"]


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, b"{}", "the answer: the document: object missing required field info"),
        (200, b'{"info": {"name": "numpy", "version": "2.0"}}', "object missing required field vulnerabilities"),
        (200, release("numpy", "1.0"), "the answer is nonsense: it is about another release"),
        (200, release("numpi", "2.0"), "the answer is nonsense: it is about another release"),
        (200, release("numpy", "2.0", {"id": "X"}), "the answer is nonsense (KeyError: 'fixed_in')"),
        (200, b"<html>", "the answer: is not JSON: it begins with '<html>'"),
        (503, b"", "the package index answers 503 Service Unavailable"),
    ],
)
def test_an_index_that_does_not_say_so_has_not_said_that_nothing_is_known(status: int, body: bytes, why: str) -> None:
    said = from_index(lambda _path, _body: (status, body), [("numpy", Version("2.0"))])
    (reason,) = reasons(said)
    assert reason is not None
    assert why in reason
