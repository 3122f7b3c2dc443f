"""Which layer brought each package of the operating system, and which removed it: databases in stacks of layers."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from hashlib import md5
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reprocheck.capture import ask
from reprocheck.extractors import conda, os_packages, system
from reprocheck.extractors.assemble import assemble
from reprocheck.extractors.base import Traces
from reprocheck.extractors.databases import history
from reprocheck.extractors.databases.history import Key, State
from reprocheck.layers.entry import Entry
from reprocheck.layers.tar_layer import PlainLayer
from reprocheck.layers.tree import Tree
from reprocheck.model import snapshot
from reprocheck.model.evidence import Document, EngineFacts, Evidence
from reprocheck.model.snapshot import Layer, Subject, TargetKind
from reprocheck.targets import traced
from reprocheck.targets.static import StaticSession
from reprocheck.targets.traced import Traced
from tests import rpm
from tests.evidence import ENGINE, HEADER, plant
from tests.evidence import Tree as Whole
from tests.layers.archives import header, padded, plain

Files = Mapping[str, str | bytes | None]
STATUS, PIECES = "/var/lib/dpkg/status", "/var/lib/dpkg/status.d"
APK, PACKAGES = "/lib/apk/db/installed", "/var/lib/rpm/Packages"


def layer(files: Files) -> PlainLayer:
    """A layer of these files; ``None``: it takes the file away."""
    pieces = []
    for path, content in files.items():
        above, _, name = path.lstrip("/").rpartition("/")
        raw = b"" if content is None else content.encode() if isinstance(content, str) else content
        stored = f"{above}/{'.wh.' if content is None else ''}{name}"
        pieces += [header(stored.encode(), size=len(raw)), padded(raw)]
    return plain(*pieces)


def evidence(
    *layers: Files | PlainLayer, kind: TargetKind = "image", engine: EngineFacts = ENGINE, deep: bool = False
) -> Evidence:
    """What the static route tells of an image."""
    tree = Tree([one if isinstance(one, PlainLayer) else layer(one) for one in layers])
    document = Document(header=HEADER, subject=Subject(kind=kind, name="test"), engine=engine, deep=deep)
    return ask(Traced(StaticSession(document, tree), tree))


def told(*layers: Files | PlainLayer) -> tuple[dict[str, int], dict[str, int]]:
    """Authors and removers of the OS packages."""
    traces = os_packages.read(evidence(*layers)).traces
    assert traces.rewritten == {}
    return traces.authors.get("os_packages", {}), traces.removed.get("os_packages", {})


def dpkg(*packages: str, purged: Sequence[str] = ()) -> str:
    """A status file of ``NAME=VERSION`` or ``NAME:ARCHITECTURE=VERSION``."""
    stanzas = []
    for one in (*packages, *purged):
        name, _, version = one.partition("=")
        name, _, architecture = name.partition(":")
        state = "deinstall ok config-files" if one in purged else "install ok installed"
        stanzas.append(
            f"Package: {name}\nStatus: {state}\nArchitecture: {architecture or 'amd64'}\nVersion: {version}\n"
        )
    return "\n".join(stanzas)


def apk(*packages: str) -> str:
    pairs = (one.split("=") for one in packages)
    return "".join(f"P:{name}\nV:{version}\nA:x86_64\n\n" for name, version in pairs)


def rpms(*packages: str) -> list[bytes]:
    pairs = (one.split("=") for one in packages)
    return [rpm.header(name, version) for name, version in pairs]


FOUR = (
    ("same=1", "up=1", "down=2", "back=1", "purged=1"),
    ("same=1", "up=1", "down=2", "back=2", "purged=1", "new=1"),
    ("same=1", "up=2", "down=2", "back=1", "new=1", "brief=1"),
    ("same=1", "up=2", "down=1", "back=1", "new=1", "last=1"),
)
AUTHORS = {"same": 0, "up": 2, "down": 3, "back": 2, "new": 1, "last": 3}
REMOVED = {"purged": 2, "brief": 3}


def test_dpkg_across_four_layers() -> None:
    authors, removed = told(*({STATUS: dpkg(*packages)} for packages in FOUR))
    assert (authors, removed) == (AUTHORS, REMOVED)


def test_pieces_of_dpkg_across_four_layers() -> None:
    layers: list[Files] = []
    for before, packages in zip(((), *FOUR), FOUR, strict=False):
        names = {one.partition("=")[0]: one for one in packages}
        gone = {one.partition("=")[0] for one in before} - names.keys()
        written = {name: dpkg(one) for name, one in names.items() if name == "same" or one not in before}
        layers.append({f"{PIECES}/{name}": written.get(name) for name in (*written, *gone)})
    assert told(*layers) == (AUTHORS, REMOVED)


def test_a_piece_of_another_name_than_its_package_and_sums_remove_nothing() -> None:
    first = {f"{PIECES}/odd": dpkg("a=1"), f"{PIECES}/a.md5sums": "", f"{PIECES}/gone": dpkg("gone=1")}
    last = {f"{PIECES}/a": dpkg("a=1"), f"{PIECES}/odd": None, f"{PIECES}/a.md5sums": None, f"{PIECES}/gone": None}
    assert told(first, last) == ({"a": 1}, {"gone": 1})


def test_a_piece_that_is_gone_is_of_the_package_that_it_told_last() -> None:
    layers: tuple[Files, ...] = (
        {f"{PIECES}/stays": dpkg("stays=1"), f"{PIECES}/x.1": dpkg("before=1"), f"{PIECES}/cut": dpkg("cut=1")},
        {f"{PIECES}/x.1": dpkg("last=1", "foreign:i386=2")},
        {f"{PIECES}/x.1": None, f"{PIECES}/cut": None},
        {"/x": ""},
    )
    assert told(*layers) == ({"stays": 0}, {"last": 2, "foreign:i386": 2, "cut": 2})
    again: Files = {f"{PIECES}/other": dpkg("last=1")}
    assert told(*layers, again) == ({"stays": 0, "last": 4}, {"foreign:i386": 2, "cut": 2})


def test_apk_across_four_layers() -> None:
    assert told(*({APK: apk(*packages)} for packages in FOUR)) == (AUTHORS, REMOVED)


@pytest.mark.parametrize("name", ["rpmdb.sqlite", "Packages.db", "Packages"])
def test_rpm_across_four_layers(name: str, tmp_path: Path) -> None:
    make = {"rpmdb.sqlite": lambda one: rpm.sqlite(tmp_path / "x", one), "Packages.db": rpm.ndb, "Packages": rpm.bdb}
    path = f"/usr/lib/sysimage/rpm/{name}"
    assert told(*({path: make[name](rpms(*packages))} for packages in FOUR)) == (AUTHORS, REMOVED)


def test_layers_that_leave_the_database_alone_count() -> None:
    other: Files = {"/etc/x": "x"}
    authors, removed = told(other, {STATUS: dpkg("a=1")}, other, {STATUS: dpkg("b=1")}, other)
    assert (authors, removed) == ({"b": 3}, {"a": 3})


def test_one_layer() -> None:
    assert told({STATUS: dpkg("a=1")}) == ({"a": 0}, {})


def test_removed_and_installed_again() -> None:
    assert told(*({STATUS: dpkg(*packages)} for packages in (["a=1"], [], ["a=1"]))) == ({"a": 2}, {})


def test_configuration_that_is_left_is_no_package() -> None:
    assert told({STATUS: dpkg("a=1", "b=1")}, {STATUS: dpkg("a=1", purged=["b=1"])}) == ({"a": 0}, {"b": 1})


def test_everything_removed() -> None:
    assert told({STATUS: dpkg("a=1")}, {STATUS: ""}) == ({}, {"a": 1})


def test_a_database_that_was_not_there_for_a_while() -> None:
    assert told({STATUS: dpkg("a=1")}, {STATUS: None}, {STATUS: dpkg("a=1")}) == ({"a": 2}, {})


def test_foreign_architectures_are_told_apart() -> None:
    authors, removed = told(
        {STATUS: dpkg("a=1", "b=1", "c:all=1", "d:i386=1")},
        {STATUS: dpkg("a=1", "a:i386=1", "b=1", "c=1")},
    )
    assert (authors, removed) == ({"a": 0, "a:i386": 1, "b": 0, "c": 1}, {"d:i386": 1})


def test_several_versions_at_once() -> None:
    """The kernels of rpm: another one beside it is a change."""
    old, both = {PACKAGES: rpm.bdb(rpms("kernel=1", "a=1"))}, {PACKAGES: rpm.bdb(rpms("kernel=1", "kernel=2", "a=1"))}
    assert told(old, both) == ({"kernel": 1, "a": 0}, {})


def test_a_link_to_the_directory_of_the_database() -> None:
    link = plain(header(b"var/lib/rpm", b"2", link=b"../../usr/lib/sysimage/rpm"))
    path = "/usr/lib/sysimage/rpm/Packages"
    layers = (link, {path: rpm.bdb(rpms("a=1"))}, {path: rpm.bdb(rpms("a=1", "b=1"))})
    assert told(*layers) == ({"a": 1, "b": 2}, {})


def test_pieces_of_distroless_images() -> None:
    pieces = "/var/lib/dpkg/status.d"
    traces = os_packages.read(
        evidence({f"{pieces}/a": dpkg("a=1"), f"{pieces}/b": dpkg("b=1")}, {f"{pieces}/c": dpkg("c=1")}, {"/x": ""})
    ).traces
    assert traces.authors == {"os_packages": {"a": 0, "b": 0, "c": 1}}


# What is not known is not put down to anybody.


def test_damage_below() -> None:
    """What a damaged database does not show may have been in it."""
    damaged = dpkg("same=1", "up=1") + "\nVersion: 1\n"
    authors, removed = told(
        {STATUS: dpkg("same=1", "up=1", "gone=1")}, {STATUS: damaged}, {STATUS: dpkg("same=1", "up=2", "new=1")}
    )
    assert (authors, removed) == ({"same": 0, "up": 2}, {})


def test_damage_on_top() -> None:
    top = dpkg("a=1", "b=1") + "\nVersion: 1\n"
    assert told({STATUS: dpkg("a=1", "gone=1")}, {STATUS: top}) == ({"a": 0, "b": 1}, {})


def test_a_version_that_can_not_be_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest ones come first."""
    layers = [{STATUS: dpkg("a=1")}, {STATUS: dpkg("a=1", "b=1")}, {STATUS: dpkg("a=1", "b=1", "c=1")}]
    monkeypatch.setattr(traced, "_VERSIONS_LIMIT", len(layers[1][STATUS]))
    file = evidence(*layers).files[STATUS]
    assert [(one.layer, one.content is None) for one in file.versions] == [(0, True), (1, False)]
    assert told(*layers) == ({"c": 2}, {})


def test_a_version_that_can_not_be_read() -> None:
    class Broken(PlainLayer):
        def read(self, path: bytes, entry: Entry, start: int, length: int) -> bytes:
            raise OSError(errno.EIO, "broken", (path, entry, start, length))

    broken = Broken.__new__(Broken)
    broken.__dict__.update(layer({STATUS: dpkg("a=1")}).__dict__)
    assert told({STATUS: dpkg("a=1")}, broken, {STATUS: dpkg("a=1", "b=1")}) == ({}, {})


def test_a_version_longer_than_is_read() -> None:
    """It is not read in part: what is beyond the limit would seem not to have been there."""
    long = dpkg("a=1") + "Description: x\n" + " x\n" * (6 << 20)
    assert told({STATUS: long}, {STATUS: dpkg("a=1")}) == ({}, {})


def test_a_version_that_is_no_file() -> None:
    assert told({f"{STATUS}/x": ""}, {STATUS: dpkg("a=1")}) == ({}, {})


def test_without_layers_nobody_is_named(tmp_path: Path) -> None:
    assert os_packages.read(Whole(plant(tmp_path, {STATUS: dpkg("a=1")})).evidence()).traces == Traces()


def test_credentials_stay_in_earlier_versions_too() -> None:
    secret = dpkg("a=1") + "Homepage: https://user:hunter2@example.org/\n"
    (version,) = evidence({STATUS: secret}, {STATUS: dpkg("a=1")}).files[STATUS].versions
    assert version.content is not None
    assert "hunter2" not in version.content


def test_what_a_container_installed_itself_has_a_time() -> None:
    engine = replace(ENGINE, layers=(Layer(index=0, diff_id="sha256:0"),))
    layers = ({STATUS: dpkg("a=1")}, {STATUS: dpkg("a=1", "b=1")})
    found = evidence(*layers, kind="container", engine=engine)
    assert os_packages.read(found).traces.written == {"os_packages": {"b": 1_700_000_000}}
    provenance = assemble(found).provenance
    assert provenance.authors["os_packages"] == {"a": 0, "b": 1}
    assert provenance.times["os_packages"] == {"b": "2023-11-14T22:13:20Z"}


# The release, and conda's packages.


def test_the_release() -> None:
    traces = system.read(evidence({"/usr/lib/os-release": "ID=a\n"}, {"/x": ""}, {"/etc/os-release": "ID=b\n"})).traces
    assert traces.authors == {"system": {"os": 2}}
    assert system.read(evidence({"/x": ""})).traces == Traces()


def test_a_release_that_was_replaced_in_place() -> None:
    etc, usr = "/etc/os-release", "/usr/lib/os-release"

    def brought(*layers: Files) -> tuple[int | None, int | None]:
        traces = system.read(evidence(*layers)).traces
        rewritten = traces.rewritten.get("system", {}).get("os")
        return traces.authors.get("system", {}).get("os"), rewritten

    one, two = "ID=a\nVERSION_ID=11\n", "ID=a\nVERSION_ID=12\n"
    assert brought({etc: one}, {"/x": ""}, {etc: two}) == (2, None)
    assert brought({etc: one}, {etc: two}, {etc: one}) == (2, None), "it is not since the first layer that it says so"
    assert brought({etc: one}, {etc: two}, {etc: two + "BUILD_ID=7\n"}) == (1, 2)
    assert brought({usr: one}, {"/x": ""}, {etc: one}) == (0, 2), "the same in another place"
    assert brought({usr: one}, {usr: two}, {etc: one}) == (2, None)
    assert brought({usr: one}, {etc: two}, {usr: two}) == (1, None)
    long = one + "#" * (1 << 16)
    assert brought({etc: one}, {etc: long}, {etc: one}) == (None, None), "what a longer one said was not read"


def test_conda() -> None:
    def record(name: str, version: str) -> str:
        return f'{{"name": "{name}", "version": "{version}", "build": "0"}}'

    meta = "/opt/conda/conda-meta"
    found = evidence(
        {f"{meta}/history": "", f"{meta}/a-1-0.json": record("a", "1"), f"{meta}/b-1-0.json": record("b", "1")},
        {f"{meta}/b-1-0.json": None, f"{meta}/b-2-0.json": record("b", "2"), f"{meta}/c-1-0.json": record("c", "1")},
        {f"{meta}/c-1-0.json": None, f"{meta}/history": "x"},
    )
    traces = Traces()
    packages, gaps = conda.read("/opt/conda", "environments[/opt/conda]", found, traces)
    assert ([(one.name, one.version) for one in packages], gaps) == ([("a", "1"), ("b", "2")], [])
    assert traces.authors == {"environments[/opt/conda].conda": {"a": 0, "b": 1}}
    assert traces.removed == {"environments[/opt/conda].conda": {"c": 2}}
    assert assemble(found).provenance.removed["environments[/opt/conda].conda"] == {"c": 2}


# Laws of the comparison.

VERSIONS = st.dictionaries(st.sampled_from([("a", ""), ("b", ""), ("c", "x")]), st.sampled_from("12").map(frozenset))
STACKS = st.lists(VERSIONS, min_size=1, max_size=6)


def states(stack: Sequence[Mapping[Key, frozenset[str]]], damaged: int | None = None) -> list[State]:
    return [State(number, packages, whole=number != damaged) for number, packages in enumerate(stack)]


@given(STACKS)
def test_each_package_has_an_author_and_each_lost_one_a_remover(stack: list[dict[Key, frozenset[str]]]) -> None:
    brought, dropped = history.brought(states(stack)), history.dropped(states(stack))
    assert brought.keys() == stack[-1].keys()
    for key, number in brought.items():
        assert all(state.get(key) == stack[-1][key] for state in stack[number:])
        assert number == 0 or stack[number - 1].get(key) != stack[-1][key]
    assert dropped.keys() == {key for state in stack for key in state} - stack[-1].keys()
    for key, number in dropped.items():
        assert key in stack[number - 1]
        assert all(key not in state for state in stack[number:])


@given(STACKS, st.data())
def test_damage_never_names_somebody_else(stack: list[dict[Key, frozenset[str]]], data: st.DataObject) -> None:
    """Where a state shows less than there was, what is still told is what was told."""
    number = data.draw(st.integers(0, len(stack) - 1))
    shown = {key: versions for key, versions in stack[number].items() if data.draw(st.booleans())}
    seen = states([*stack[:number], shown, *stack[number + 1 :]], damaged=number)
    whole = states(stack)
    assert history.brought(seen).items() <= history.brought(whole).items()
    assert history.dropped(seen).items() <= history.dropped(whole).items()


INFO = "/var/lib/dpkg/info"
TOOL, OTHER = b"\x7fELF tool\n", b"\x7fELF other\n"
SUMMED: dict[str, str | bytes] = {
    STATUS: "".join(
        f"Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n"
        for name in ("tool", "other")
    ),
    f"{INFO}/tool.md5sums": f"{md5(TOOL).hexdigest()}  usr/bin/tool\n",
    f"{INFO}/tool.list": "/.\n/usr/bin/tool\n",
    f"{INFO}/other:amd64.md5sums": f"{md5(OTHER).hexdigest()}  usr/bin/other\n",
    f"{INFO}/other:amd64.list": "/.\n/usr/bin/other\n",
    f"{INFO}/removed.md5sums": f"{md5(OTHER).hexdigest()}  usr/bin/removed\n",
    "/usr/bin/tool": TOOL,
    "/usr/bin/other": OTHER,
}


@pytest.mark.parametrize("deep", [False, True])
def test_a_package_that_was_edited_and_who_did_it(deep: bool) -> None:
    edits: list[Files] = [{"/usr/bin/tool": b"#!/bin/sh\n"}, {"/usr/bin/other": None}, {"/etc/x": ""}]
    found = os_packages.read(evidence(SUMMED, *edits, deep=deep))
    files = {one.name: one.files for one in found.fields["os_packages"]}
    how: Literal["hashes", "presence"] = "hashes" if deep else "presence"
    modified = ("/usr/bin/tool",) if deep else ()
    assert files == {
        "tool": snapshot.Files(count=1, checked=how, modified=modified),
        "other": snapshot.Files(count=1, checked=how, missing=("/usr/bin/other",)),
    }
    assert found.traces.edited == {"os_packages": {"other": 2, **({"tool": 1} if deep else {})}}
    assert found.gaps == ()


@pytest.mark.parametrize("kind", ["python", "host"])
def test_files_of_a_machine_are_not_compared(kind: TargetKind) -> None:
    found = os_packages.read(evidence(SUMMED, {"/usr/bin/other": None}, kind=kind))
    assert [one.files for one in found.fields["os_packages"]] == [snapshot.Files()] * 2
