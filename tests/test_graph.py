from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from reprocheck.graph import MAX_PATHS, build
from tests.make import environment, package, python

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from reprocheck.graph import Edge
    from reprocheck.model.snapshot import Package


def pairs(edges: Iterable[Edge]) -> list[tuple[str, str]]:
    return [(edge.by, edge.to) for edge in edges]


def test_violated_and_missing() -> None:
    graph = build(
        environment(
            package("tensorflow==2.9.0", "protobuf>=3.9.2", "libclang>=13"),
            package("tensorboard==2.9.1", "protobuf<3.20,>=3.9.2"),
            package("protobuf==4.21.1"),
        )
    )
    (violated,) = graph.violated()
    assert (violated.by, violated.text, violated.installed) == (
        "tensorboard",
        "protobuf<3.20,>=3.9.2",
        "4.21.1",
    )
    (missing,) = graph.missing()
    assert (missing.by, missing.text, missing.installed) == ("tensorflow", "libclang>=13", None)


def test_prereleases_satisfy_as_in_pip_check() -> None:
    graph = build(environment(package("a==1", "b>=1.0"), package("b==2.0rc1")))
    assert graph.violated() == ()
    assert graph.edges[0].holds is True


def test_the_targets_markers_decide_not_this_interpreters() -> None:
    requires = (
        'old; python_version < "3.0"',
        'new; python_version >= "3.9"',
        'windows; sys_platform == "win32"',
    )
    graph = build(environment(package("a==1", *requires), python=python("2.7.18")))
    assert pairs(graph.missing()) == [("a", "old")]


def test_without_markers_nothing_is_taken_for_satisfied() -> None:
    one = package("a==1", 'b; python_version >= "3.9"', "c", 'd; extra == "x"')
    graph = build(environment(one, python=None))
    assert pairs(graph.missing()) == [("a", "c")]
    assert [item.requirement for item in graph.unjudged] == ['b; python_version >= "3.9"']


def test_a_marker_of_the_machine_is_not_judged() -> None:
    graph = build(environment(package("a==1", 'b; platform_release >= "5"')))
    assert graph.missing() == ()
    assert [item.by for item in graph.unjudged] == ["a"]


def test_extras_are_activated_along_the_graph_and_told_apart() -> None:
    graph = build(
        environment(
            package("app==1", "Foo[Bar_Baz]>=1"),
            package("foo==1", 'low<2; extra == "bar-baz"', 'never; extra == "other"', "plain"),
            package("low==3"),
        )
    )
    assert [(edge.by, edge.to, edge.extra) for edge in graph.violated()] == [("foo", "low", "bar-baz")]
    assert [(edge.to, edge.extra) for edge in graph.missing()] == [("plain", None)]
    assert graph.extras == {"foo": ("bar-baz",)}


def test_extras_that_ask_for_each_other_end() -> None:
    graph = build(
        environment(
            package("a==1", 'a[y]; extra == "x"', 'a[x]; extra == "y"', 'gone; extra == "y"'),
            package("b==1", "a[x]"),
        )
    )
    assert graph.extras == {"a": ("x", "y")}
    assert [(edge.to, edge.extra) for edge in graph.missing()] == [("gone", "y")]


def test_an_extra_that_is_not_provided_brings_nothing_in() -> None:
    """As installers have it, which warn and go on."""
    needs = ('gone; extra == "declared" or extra == "undeclared"', "low<2")
    for asked, missing in (("declared", [("foo", "gone")]), ("undeclared", [])):
        app, foo = package("app==1", f"foo[{asked}]"), package("foo==1", *needs, extras=("declared",))
        graph = build(environment(app, foo, package("low==1")))
        assert pairs(graph.missing()) == missing
        later = package("foo==2", *needs, extras=("declared",))
        assert pairs(graph.broken_by({"foo": later})[0]) == missing


def test_an_or_beside_an_extra_is_not_overlooked() -> None:
    graph = build(environment(package("a==1", 'b; extra == "x" or python_version >= "3.0"')))
    assert pairs(graph.missing()) == [("a", "b")]


def test_inactive_copies_do_not_count() -> None:
    hidden = [
        package("b==9", "nothing-has-this", location=location, active=False) for location in ("{base}/x", "{user}/x")
    ]
    graph = build(environment(package("a==1", "b<2"), package("b==1"), *hidden))
    assert graph.violated() == graph.missing() == ()


def test_malformed_requirements_and_versions_are_listed_and_never_raise() -> None:
    graph = build(
        environment(
            package("a==1", "b>=1.0", "c ~~ nonsense", "", "d @ https://example.org/d.whl"),
            package("b==not~a~version"),
            package("d==1", "e===weird~1", "e>=1"),
            package("e==weird~1"),
            package("f==", requires=None),
        )
    )
    assert {item.requirement for item in graph.unjudged} == {"c ~~ nonsense", ""}
    assert {(edge.text, edge.holds) for edge in graph.edges} == {
        ("b>=1.0", None),
        ("d", True),
        ("e===weird~1", True),
        ("e>=1", None),
    }


@pytest.mark.parametrize(
    "requirement",
    ["b>={}", "b ~= {}.1", "b (=={}.*)", "b>=1; python_version>='{}'", "b @ https://example.org/{}"],
)
def test_a_number_that_nobody_counts_is_not_judged(requirement: str) -> None:
    graph = build(environment(package("a==1", requirement.format("9" * 6000), "c>1"), package("b==1")))
    assert [(item.by, item.reason) for item in graph.unjudged] == [("a", "holds a number of more than 1,000 digits")]
    assert pairs(graph.missing()) == [("a", "c")]
    assert graph.intervals("b") == build(environment(package("b==1"))).intervals("b")


def test_paths_shortest_first_through_each_requirer() -> None:
    graph = build(
        environment(
            package("tensorflow==2.9", "tensorboard", "protobuf", requested=True),
            package("tensorboard==2.9", "protobuf", requested=False),
            package("protobuf==3", requested=True),
        )
    )
    assert graph.roots == ("protobuf", "tensorflow")
    assert graph.paths_to("protobuf") == (
        ("tensorflow", "protobuf"),
        ("tensorflow", "tensorboard", "protobuf"),
    )
    assert graph.paths_to("tensorflow") == ()


def test_roots_are_what_nobody_requires_where_no_package_says() -> None:
    graph = build(environment(package("a==1", "b"), package("b==1", "c"), package("c==1")))
    assert graph.roots == ("a",)
    assert graph.paths_to("c") == (("a", "b", "c"),)


def test_paths_from_what_nobody_requested_are_not_lost() -> None:
    graph = build(
        environment(
            package("asked==1", requested=True), package("apt==1", "mid"), package("mid==1", "c"), package("c==1")
        )
    )
    assert graph.paths_to("c") == (("apt", "mid", "c"),)


def test_paths_on_cycles_end() -> None:
    graph = build(
        environment(package("a==1", "b"), package("b==1", "a", "c"), package("c==1", "a"), package("d==1", "d"))
    )
    assert graph.paths_to("a") == (("b", "a"), ("c", "a"))
    assert graph.roots == ("d",)
    assert graph.paths_to("d") == ()


def test_paths_through_a_cycle_do_not_come_back() -> None:
    graph = build(environment(package("r==1", "a"), package("a==1", "b"), package("b==1", "a")))
    assert graph.paths_to("a") == (("b", "a"), ("r", "a"))


def test_paths_go_round_the_package_where_there_is_a_way() -> None:
    graph = build(
        environment(
            package("r==1", "a", "m"),
            package("m==1", "n"),
            package("n==1", "b"),
            package("a==1", "b"),
            package("b==1", "a"),
        )
    )
    assert graph.paths_to("a") == (("r", "a"), ("r", "m", "n", "b", "a"))


def test_paths_are_few_and_the_same_in_any_order() -> None:
    packages = [package("x==1"), *(package(f"r{n}==1", "x") for n in range(MAX_PATHS + 4))]
    paths = build(environment(*packages)).paths_to("x")
    assert paths == tuple((f"r{n}", "x") for n in range(MAX_PATHS))
    random.Random(1).shuffle(packages)
    assert build(environment(*packages)).paths_to("x") == paths


def test_paths_to_a_missing_package() -> None:
    assert build(environment(package("a==1", "gone"))).paths_to("gone") == (("a", "gone"),)


def test_broken_by_leaves_out_what_did_not_hold_before() -> None:
    graph = build(
        environment(
            package("x==2"),
            package("app==1", "y[known]"),
            package("y==1", 'gone; extra == "known"', 'lost; python_version >= "3"', "absent"),
        )
    )
    assert len(graph.missing()) == 3
    assert graph.broken_by({"x": package("x==1", "y[known]")}) == ((), ())
    assert graph.broken_by({"x": package("x==1", "y[new]")}) == ((), ())


def test_intervals() -> None:
    graph = build(
        environment(
            package("tensorflow==2.9.0", "protobuf>=3.9.2"),
            package("tensorboard==2.9.1", "protobuf<3.20,>=3.9.2"),
            package("protobuf==4.21.1"),
        )
    )
    assert [(one.specifier, one.violates, one.holds_installed) for one in graph.intervals("protobuf")] == [
        ("<3.9.2", ("tensorboard", "tensorflow"), False),
        (">=3.9.2,<3.20", (), False),
        (">=3.20", ("tensorboard",), True),
    ]


@pytest.mark.parametrize(
    ("requires", "expected"),
    [
        (["x"], [("", ())]),
        (["x!=1.5"], [("<1.5", ()), ("==1.5", ("r0",)), (">1.5", ())]),
        (["x==1.5"], [("<1.5", ("r0",)), ("==1.5", ()), (">1.5", ("r0",))]),
        (["x~=1.4.2"], [("<1.4.2", ("r0",)), (">=1.4.2,<1.5", ()), (">=1.5", ("r0",))]),
        (["x==1.*"], [("<1", ("r0",)), (">=1,<2", ()), (">=2", ("r0",))]),
        (["x<2.0rc1", "x>=2.0"], [("<2.0rc1", ("r1",)), ("==2.0rc1", ("r0", "r1")), (">=2.0", ("r0",))]),
        (["x>1", "x<=3"], [("<=1", ("r0",)), (">1,<=3", ()), (">3", ("r1",))]),
        (["x===odd~1"], [("", ("r0",))]),
        (["x>=0"], [(">=0", ())]),
    ],
)
def test_intervals_of_each_operator(requires: list[str], expected: list[tuple[str, tuple[str, ...]]]) -> None:
    requirers = [package(f"r{n}==1", text) for n, text in enumerate(requires)]
    graph = build(environment(package("x==1.0"), *requirers))
    assert [(one.specifier, one.violates) for one in graph.intervals("x")] == expected


@pytest.mark.parametrize(
    ("installed", "requires", "expected"),
    [
        ("2.0+cu118", ["x>=2.0", "x==2.0+cu118"], ("==2.0+cu118", ())),
        ("2.0+cu118", ["x>=2.0", "x<3"], (">=2.0,<3", ())),
        ("2.0+cu118", ["x==2.0"], ("==2.0+cu118", ())),
        ("2.0", ["x==2.0+cu118"], ("==2.0", ("r0",))),
        ("2.0rc1", ["x<2.0"], ("==2.0rc1", ("r0",))),
        ("2.0rc1", ["x>=1"], (">=1", ())),
        ("2.0.post1", ["x>2.0"], ("==2.0.post1", ("r0",))),
        ("1.5", ["x"], ("", ())),
    ],
)
def test_the_installed_version_lies_in_one_interval(
    installed: str, requires: list[str], expected: tuple[str, tuple[str, ...]]
) -> None:
    """Which says what `pip check` says of it; one of its own where its neighbours are judged otherwise."""
    requirers = [package(f"r{n}==1", text) for n, text in enumerate(requires)]
    graph = build(environment(package(f"x=={installed}"), *requirers))
    told = graph.intervals("x")
    assert [(one.specifier, one.violates) for one in told if one.holds_installed] == [expected]
    assert expected[1] == tuple(edge.by for edge in graph.violated())
    without = [one.specifier for one in build(environment(*requirers)).intervals("x")]
    assert [one.specifier for one in told if one.specifier in without] == without


def test_an_interval_of_its_own_stands_in_its_place() -> None:
    def of(installed: str, *requires: str) -> list[str]:
        requirers = [package(f"r{n}==1", text) for n, text in enumerate(requires)]
        return [one.specifier for one in build(environment(package(f"x=={installed}"), *requirers)).intervals("x")]

    assert of("2.0rc1", "x<2.0") == ["<2.0", "==2.0rc1", ">=2.0"]
    assert of("2.0+cpu", "x==2.0") == ["<2.0", "==2.0", "==2.0+cpu", ">2.0"]
    assert of("2.0.post1", "x>2.0") == ["<=2.0", "==2.0.post1", ">2.0"]


def test_broken_by_looks_both_ways() -> None:
    graph = build(environment(package("a==2", "x>=2"), package("x==2"), package("y==1")))
    broken, unjudged = graph.broken_by({"x": package("x==1", "y>=5", "z")})
    assert {(edge.by, edge.to) for edge in broken} == {("a", "x"), ("x", "y"), ("x", "z")}
    assert unjudged == ()
    assert graph.broken_by({"x": package("x==3")}) == ((), ())
    assert graph.broken_by({"x": package("x==3", "?")})[1][0].by == "x"


def test_broken_by_follows_the_extras_of_a_replacement() -> None:
    graph = build(environment(package("x==2"), package("y==1", 'gone; extra == "more"')))
    broken, _ = graph.broken_by({"x": package("x==1", "y[more]")})
    assert [(edge.by, edge.to, edge.extra) for edge in broken] == [("y", "gone", "more")]


def test_the_paths_of_500_packages_come_to_an_end() -> None:
    """Walking every path would take longer than anybody waits; how long it takes is a matter of benchmarks."""
    generator = random.Random(5)
    names = [f"p{n}" for n in range(500)]
    packages = [package(f"{name}==1.0", *(f"{other}>=0.5" for other in generator.sample(names, 6))) for name in names]
    graph = build(environment(*packages))
    start = time.perf_counter()
    for name in names[:50]:
        assert graph.paths_to(name) or not graph.requirers_of(name)
    assert time.perf_counter() - start < 60


def _write(site: Path, packages: Iterable[Package]) -> None:
    for one in packages:
        folder = site / f"{one.name.replace('-', '_')}-{one.version}.dist-info"
        folder.mkdir()
        extras = sorted(set(re.findall(r"""extra == ['"]([^'"]+)""", " ".join(one.requires or ()))))
        lines = ["Metadata-Version: 2.1", f"Name: {one.name}", f"Version: {one.version}"]
        lines += [f"Provides-Extra: {extra}" for extra in extras]
        lines += [f"Requires-Dist: {text}" for text in one.requires or ()]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        (folder / "INSTALLER").write_text("pip\n")


def test_agrees_with_pip_check(tmp_path: Path) -> None:
    generator = random.Random(11)
    names = [f"pkg-{n}" for n in range(40)]
    versions = ["0.9", "1.0", "1.5rc1", "2.0", "2.0.post1", "3.1+local", "1!0.1", "2022.1"]
    specifiers = ["", ">=1.0", "<2.0", "~=1.0", "==2.*", "!=1.5", "<2,>=1", "===2.0", ">2", ">=1.5"]
    tails = [
        "",
        "",
        ' ; python_version >= "3.8"',
        ' ; python_version < "3"',
        ' ; extra == "x"',
        ' ; sys_platform == "win32"',
        ' ; extra == "x" or os_name == "posix"',
    ]
    packages = []
    for name in names:
        others = generator.sample([*names, "absent-1", "absent-2"], 6)
        requires = [
            f"{other}{generator.choice(['', '[x]'])}{generator.choice(specifiers)}{generator.choice(tails)}"
            for other in others
        ]
        packages.append(package(f"{name}=={generator.choice(versions)}", *requires))
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    _write(site, packages)
    command = [str(tmp_path / "venv" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "check"]
    output = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    violated = set(re.findall(r"^(\S+) \S+ has requirement ([a-z0-9-]+)", output, re.MULTILINE))
    missing = set(re.findall(r"^(\S+) \S+ requires ([a-z0-9-]+), which is not installed", output, re.MULTILINE))
    markers = {key: str(value) for key, value in default_environment().items()}
    graph = build(environment(*packages, python=python(markers=markers)))
    assert len(violated) > 20
    assert len(missing) > 3
    assert {(edge.by, edge.to) for edge in graph.violated() if edge.extra is None} == violated
    assert {(edge.by, edge.to) for edge in graph.missing() if edge.extra is None} == missing
    assert any(edge.extra is not None for edge in (*graph.violated(), *graph.missing()))


@pytest.mark.parametrize("marker", ["", "; python_version >= '3.8'"])
@pytest.mark.parametrize(
    "head",
    [
        "a",
        "a ",
        "A.b_C",
        "a>=1.0,<2",
        "a >= 1.0 , < 2.0",
        "a==1.0",
        "a!=1.0,!=1.1",
        "a>=1,>=1",
        "a>=1.0,>=1",
        "a===1.0",
        "a~=1.4.2",
        "a==1.*",
        "a<2rc1",
        "a (>=1.0)",
        "a[x,Y]>=1",
        "a>=1.0.",
        "a>=",
        "a-",
        "a\n>1",
        "a>=1\u0660",
        "a>=1,",
        "a @ https://example.org/a.whl?x;y",
        "",
    ],
)
def test_the_short_way_of_reading_a_requirement_is_packagings(head: str, marker: str) -> None:
    graph = build(environment(package("z==1", head + marker)))
    try:
        expected = Requirement(head + marker)
    except InvalidRequirement:
        assert (len(graph.unjudged), graph.edges) == (1, ())
        return
    (edge,) = graph.edges
    assert edge.to == canonicalize_name(expected.name)
    assert edge.specifier == str(expected.specifier)
    assert edge.extras == tuple(sorted(map(canonicalize_name, expected.extras)))
    assert edge.marker == (str(expected.marker) if expected.marker else None)
