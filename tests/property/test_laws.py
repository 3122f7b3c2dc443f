from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reprocheck import diff
from reprocheck.graph import build
from reprocheck.model.snapshot import (
    CondaPackage,
    Environment,
    Image,
    Libc,
    OsPackage,
    OsRelease,
    Package,
    PathFile,
    Snapshot,
    System,
)
from reprocheck.versions import allows
from tests.make import comparison, environment, findings, package, python, snapshot

if TYPE_CHECKING:
    from reprocheck.model.change import Change

NAMES = ("a", "b", "c", "d", "numpy", "torch")
VERSIONS = ("0.1", "1.0", "1.0+cpu", "1.5rc1", "2.0", "2.0.1", "2022.1", "1!0.5", "weird~1", "")
FINAL = tuple(f"{major}.{minor}" for major in range(4) for minor in range(4))
SPECIFIERS = ("", ">=1.0", "<2.0", "==2.*", "!=1.0", "~=1.0", "===weird~1", "<2,>=0.5", ">1.0", "==2.0")
MARKERS = ("", ' ; python_version >= "3.9"', ' ; extra == "x"', ' ; extra == "x" or os_name == "nt"')
GAPS = (
    "environments",
    "environments[/usr].packages",
    "environments[/usr].packages[a]",
    "environments[/usr].conda",
    "environments[/v].conda[mkl]",
    "environments[/usr].packages[b].version",
    "environments[/v].python",
    "os_packages",
    "system.os",
)


@st.composite
def requirement(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 15)) == 0:
        return draw(st.sampled_from(("??", "", "a >", "a @ https://example.org/a.whl")))
    name, extra = draw(st.sampled_from((*NAMES, "absent"))), draw(st.sampled_from(("", "[x]")))
    return f"{name}{extra}{draw(st.sampled_from(SPECIFIERS))}{draw(st.sampled_from(MARKERS))}"


@st.composite
def packages(draw: st.DrawFn) -> tuple[Package, ...]:
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        copies = draw(st.lists(st.sampled_from(("{prefix}/s", "{base}/s")), min_size=1, unique=True))
        for index, location in enumerate(copies):
            found.append(
                package(
                    f"{name}=={draw(st.sampled_from(VERSIONS))}",
                    *draw(st.lists(requirement(), max_size=4, unique=True)),
                    location=location,
                    active=index == 0,
                    origin=draw(st.sampled_from(("index", "unrecorded", "https://example.org/x", "unreadable"))),
                    tags=draw(st.sampled_from(((), ("cp39-cp39-linux_x86_64",), ("py3-none-any",)))),
                    requested=draw(st.sampled_from((True, False, None))),
                )
            )
    return tuple(found)


conda_packages = st.lists(
    st.builds(
        CondaPackage,
        name=st.sampled_from(("mkl", "zlib", "a")),
        version=st.sampled_from(("1", "2", "x")),
        build=st.sampled_from(("", "cpu_0", "cuda_1")),
    ),
    max_size=3,
).map(tuple)


@st.composite
def environments(draw: st.DrawFn) -> tuple[Environment, ...]:
    names = draw(st.lists(st.sampled_from(("/usr", "/v", "/c", "/d")), unique=True, max_size=3))
    on_path = draw(st.sampled_from((*names, None)))
    paths = ("{prefix}/lib/python3.9/site-packages/a.pth", "{prefix}/a.pth", "{prefix}/python*/a.pth")
    return tuple(
        environment(
            *draw(packages()),
            name=name,
            kind=draw(st.sampled_from(("system", "venv"))),
            on_path=name == on_path,
            python=draw(st.sampled_from((None, python("3.9.2"), python("3.9.18"), python("3.10.1")))),
            pth=tuple(
                PathFile(path=path, executable=draw(st.booleans()), sha256=draw(st.sampled_from("01")))
                for path in draw(st.lists(st.sampled_from(paths), unique=True))
            ),
            conda=draw(st.none() | conda_packages),
        )
        for name in names
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    keys = st.tuples(st.sampled_from(("zlib", "libc6")), st.sampled_from(("1", "2")))
    texts = st.sampled_from(("", "x", "y"))
    states: Any = {name: draw(st.sampled_from(("complete", "partial", "not-read"))) for name in ("image", "system")}
    return snapshot(
        *draw(environments()),
        kind=draw(st.sampled_from(("image", "container", "python"))),
        states=states,
        gaps=draw(st.lists(st.sampled_from(GAPS), unique=True, max_size=2)),
        os_packages=tuple(
            OsPackage(manager="dpkg", name=name, version=version, architecture="amd64")
            for name, version in draw(st.lists(keys, unique=True))
        ),
        variables=draw(st.dictionaries(st.sampled_from(("A", "LD_PRELOAD", "__B")), st.one_of(st.none(), texts))),
        system=System(
            os=draw(st.sampled_from((None, OsRelease(id="debian", version_id="11", pretty_name="d")))),
            libc=draw(st.sampled_from((None, Libc(name="glibc", version="2.31")))),
            locale=draw(st.one_of(st.none(), texts)),
        ),
        image=Image(
            user=draw(texts),
            cmd=tuple(draw(st.lists(texts))),
            exposed_ports=tuple(sorted(draw(st.sets(st.sampled_from(("80/tcp", "81/tcp")))))),
        ),
    )


def changes(before: Snapshot, after: Snapshot) -> tuple[Change, ...]:
    return diff.changes(before, after, diff.pair_environments(before, after, {}))


def mirrored(before: Snapshot, after: Snapshot) -> set[tuple[Any, ...]]:
    """The changes from ``after`` to ``before``, turned round again."""
    other = {pair.before: pair.after for pair in diff.pair_environments(after, before, {}).pairs}
    kinds = {"added": "removed", "removed": "added", "changed": "changed"}
    found = set()
    for change in changes(after, before):
        path = change.path
        if path[0] == "environments" and len(path) > 2:
            path = (path[0], other[path[1]], *path[2:])
        found.add((path, kinds[change.kind], repr(change.after), repr(change.before)))
    return found


def shuffled(snap: Snapshot, seed: int) -> Snapshot:
    generator = random.Random(seed)

    def mix(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(generator.sample(items, len(items)))

    return replace(
        snap,
        environments=mix(
            tuple(
                replace(one, packages=mix(one.packages), pth=mix(one.pth), conda=one.conda and mix(one.conda))
                for one in snap.environments
            )
        ),
        os_packages=mix(snap.os_packages),
        variables=dict(mix(tuple(snap.variables.items()))),
        gaps=mix(snap.gaps),
    )


@given(snapshots())
def test_nothing_differs_from_itself(snap: Snapshot) -> None:
    assert changes(snap, snap) == ()
    assert findings(snap, snap) == ()


@given(snapshots(), snapshots())
def test_differences_mirror(before: Snapshot, after: Snapshot) -> None:
    forth = {(change.path, change.kind, repr(change.before), repr(change.after)) for change in changes(before, after)}
    assert forth == mirrored(before, after)


@given(snapshots(), snapshots(), st.integers(0, 99))
@settings(deadline=None)
def test_order_never_matters(before: Snapshot, after: Snapshot, seed: int) -> None:
    assert changes(shuffled(before, seed), shuffled(after, seed + 1)) == changes(before, after)
    assert findings(shuffled(before, seed), shuffled(after, seed + 1)) == findings(before, after)


@given(snapshots(), snapshots())
@settings(deadline=None)
def test_judging_never_fails_and_fingerprints_are_unique(before: Snapshot, after: Snapshot) -> None:
    found = findings(before, after)
    assert len({one.fingerprint for one in found}) == len(found)
    assert all(one.rule and one.name and "\n" not in one.message for one in found)


@given(snapshots(), snapshots())
@settings(deadline=None)
def test_a_repair_breaks_nothing(before: Snapshot, after: Snapshot) -> None:
    for pair in comparison(before, after).pairs:
        for name, old in pair.graph_before.packages.items():
            broken, unjudged = pair.graph_after.broken_by({name: old})
            stands = {**pair.graph_after.packages, name: old}
            whole = build(replace(pair.after, packages=tuple(stands.values())))
            new = set(whole.violated()) | set(whole.missing())
            old_ones = set(pair.graph_after.violated()) | set(pair.graph_after.missing())
            if not broken and not unjudged:
                assert {(edge.by, edge.to) for edge in new} <= {(edge.by, edge.to) for edge in old_ones}


@given(packages(), st.sampled_from(NAMES), st.sampled_from(FINAL))
@settings(deadline=None)
def test_intervals_say_what_each_version_violates(some: tuple[Package, ...], name: str, version: str) -> None:
    graph = build(environment(*some))
    refused = {edge.by for edge in graph.requirers_of(name) if allows(edge.specifier, version) is False}
    holding = [interval for interval in graph.intervals(name) if allows(interval.specifier, version)]
    assert [set(interval.violates) for interval in holding] == [refused]
