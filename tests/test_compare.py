"""What a whole comparison comes to: two snapshots in, a report out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from reprocheck.compare import Question, compare
from reprocheck.extractors.assemble import assemble
from reprocheck.graph import build
from reprocheck.lock import lock
from reprocheck.model.evidence import Answer, Document, EngineFacts, Evidence
from reprocheck.model.snapshot import CondaPackage, Files, Gap, Header, OsPackage, Subject
from tests.make import environment, of, package, snapshot

if TYPE_CHECKING:
    from reprocheck.model.report import Level
    from reprocheck.model.snapshot import Package, Snapshot, TargetKind

HEADER = Header(captured_at="2026-11-22T10:00:00Z", reprocheck="1", target="x:y", route="test", executed=False)


def silent(kind: TargetKind, state: str | None = None) -> Snapshot:
    """A target in which nothing answered."""
    engine = EngineFacts(image_id="sha256:0", platform="linux/amd64", state=state) if kind == "container" else None
    document = Document(header=HEADER, subject=Subject(kind=kind, name="y"), engine=engine, answers=(Answer(),))
    return assemble(Evidence(document))


# A side that can't be read.


@pytest.mark.parametrize("level", ["framework", "packages", "stack", "bits"])
@pytest.mark.parametrize("unread", [silent("evidence"), silent("container", "paused"), silent("container", "exited")])
def test_diff_does_not_verify_a_side_that_was_not_read(unread: Snapshot, level: Level) -> None:
    whole = of(package("numpy==1.23.5"))
    question = Question(level=level, gate=False)
    for report in (compare(whole, unread, question), compare(unread, whole, question)):
        assert report.verdict == "unverified"
        assert report.level.reached is None


def test_diff_does_not_verify_a_side_in_which_no_environment_was_found() -> None:
    bare = snapshot(gaps=["environments"], states={"environments": "partial"})
    assert compare(of(package("numpy==1.23.5")), bare, Question(gate=False)).verdict == "unverified"


def test_diff_tells_the_gaps_of_a_side_that_was_read_and_goes_on() -> None:
    whole = of(package("numpy==1.23.5"))
    gaps = ["environments[/usr].packages[numpy].requires", "os_packages", "system.libc"]
    partly = of(package("numpy==1.23.5"), gaps=gaps, states={"environments": "partial", "os_packages": "not-read"})
    report = compare(whole, partly, Question(gate=False))
    assert (report.verdict, report.summary.gaps) == ("verified", 3)
    assert compare(whole, partly, Question()).verdict == "unverified"


def test_gaps_of_the_baseline_say_so_and_name_it_once() -> None:
    side = of(package("numpy==1.23.5"))
    name = side.header.target
    gaps = tuple(Gap(what="system.libc", where=where, reason="unknown") for where in (name, "/etc/x"))
    side = msgspec.structs.replace(side, gaps=gaps)
    told = [gap.where for gap in compare(side, side, Question()).gaps]
    assert told == [name, "/etc/x", f"baseline {name}", f"{name}: /etc/x"]


@pytest.mark.parametrize("level", ["framework", "packages", "stack"])
@pytest.mark.parametrize(("one", "other"), [("image", "python"), ("host", "image"), ("image", "container")])
@pytest.mark.parametrize("gate", [True, False])
def test_environments_of_which_none_could_be_paired_are_not_verified(
    one: TargetKind, other: TargetKind, level: Level, gate: bool
) -> None:
    several = (environment(name="/a", kind="venv"), environment(name="/b", kind="venv"))
    lone = environment(name="/c", kind="conda", on_path=True)
    sides = {one: several, other: several} | {"python": (lone,), "host": (lone,), "container": (lone,)}
    before, after = (snapshot(*sides[kind], kind=kind) for kind in (one, other))
    report = compare(before, after, Question(level=level, gate=gate))
    assert (report.verdict, report.level.reached, report.pairs) == ("unverified", None, ())
    (gap,) = report.gaps
    assert (gap.what, gap.where) == ("environments", after.header.target)
    ids = [", ".join(item.id for item in side.environments) for side in (before, after)]
    assert gap.reason == (
        f"none could be paired, so none was compared; pair two by hand: --env A=B (A of {ids[0]}; B of {ids[1]})"
    )
    by_hand = Question(level=level, gate=gate, pairs={before.environments[0].id: after.environments[0].id})
    assert compare(before, after, by_hand).gaps == ()


def test_no_environment_in_either_side_is_something_to_verify() -> None:
    assert compare(snapshot(), snapshot(), Question(gate=False)).verdict == "verified"


def test_what_did_not_answer_is_not_called_a_container() -> None:
    (gap,) = [gap for gap in silent("evidence").gaps if gap.what == "environments"]
    assert gap.reason == "no process answered: reading an environment needs a running Python"


# Requirements that nobody can judge.

LEGACY = package("legacy==1", "foo @@ !!")
BAD = f"foo @@ !! can't be judged: {build(environment(LEGACY)).unjudged[0].reason}"


@pytest.mark.parametrize(
    ("one", "other", "what", "reason"),
    [
        ([package("a==1")], [package("a==1", "foo @@ !!")], "a", "foo @@ !! can't be judged: not a requirement"),
        (
            [package("x==1", "y>=2"), package("y==2")],
            [package("x==1", "y>=2"), package("y==banana")],
            "x",
            "y>=2 can't be judged: the version of y, banana, is none (PEP 440)",
        ),
        (
            [package("x==1", "y>=2"), package("y==apple")],
            [package("x==1", "y>=2"), package("y==banana")],
            "x",
            "y>=2 can't be judged: the version of y, banana",
        ),
        (
            [package("x==1", "y>=2"), package("y==2")],
            [package("x==1", "y>=2"), package("y==")],
            "x",
            "y>=2 can't be judged: the version of y is not known",
        ),
        ([], [LEGACY], "legacy", "foo @@ !! can't be judged"),
    ],
)
def test_a_requirement_that_became_unjudgeable_is_a_gap(
    one: list[Package], other: list[Package], what: str, reason: str
) -> None:
    report = compare(of(*one), of(*other), Question(fail_on="never"))
    (gap,) = report.gaps
    assert gap.what == f"environments[/usr].packages[{what}].requires"
    assert gap.reason.startswith(reason)
    assert (report.verdict, report.level.reached, report.summary.gaps) == ("unverified", "framework", 1)
    assert compare(of(*one), of(*other), Question(gate=False)).verdict != "unverified"
    assert compare(of(*one), of(*other), Question(level="framework")).verdict == "verified"


@pytest.mark.parametrize("more", [(), (package("z==1"),)], ids=["same", "with another difference"])
def test_a_requirement_that_never_could_be_judged_is_a_note(more: tuple[Package, ...]) -> None:
    odd = (package("x==1", "y>=2"), package("y==banana"))
    report = compare(of(LEGACY, *odd), of(LEGACY, *odd, *more), Question())
    assert (report.verdict, report.gaps) == ("verified", ())
    assert [(note.what, note.reason) for note in report.notes] == [
        ("environments[/usr].packages[legacy].requires", f"{BAD}; the same on both sides"),
        (
            "environments[/usr].packages[x].requires",
            "y>=2 can't be judged: the version of y, banana, is none (PEP 440); the same on both sides",
        ),
    ]


def test_a_requirement_that_was_unjudgeable_and_is_no_more_leaves_nothing_to_say() -> None:
    report = compare(of(LEGACY), of(package("legacy==1")), Question())
    assert (report.verdict, report.gaps, report.notes) == ("verified", (), ())


def test_an_interpreter_that_is_not_known_is_one_gap_not_one_for_each_requirement() -> None:
    marked = [package(f"a{number}==1", 'b; python_version >= "3"') for number in range(3)]
    unknown = snapshot(environment(*marked, python=None), gaps=["environments[/usr].python"])
    report = compare(of(*marked), unknown, Question())
    assert [gap.what for gap in report.gaps] == ["environments[/usr].python"]


def test_lock_warns_of_a_requirement_that_can_not_be_judged_and_verify_passes() -> None:
    environment_of = of(LEGACY, package("x==1", "y>=2"), package("y==banana"))
    locked, warnings = lock(environment_of, note=None, allowed_gaps=frozenset(), force=False)
    assert warnings[:2] == [
        f"/usr: legacy requires {BAD.replace(' can', ', which can')}",
        "/usr: x requires y>=2, which can't be judged: the version of y, banana, is none (PEP 440)",
    ]
    assert compare(locked, environment_of, Question()).verdict == "verified"


def test_what_a_level_leaves_out_is_named() -> None:
    report = compare(of(), of(), Question(level="packages"))
    assert report.checked.not_asked[0] == "OS packages, CUDA libraries, settings and variables (--level stack)"


# What was compared with its record, and is not any more.


AGREEING = Files(count=3, record_sha256="00", checked="sizes")
NOT_COMPARED = Files(count=3, record_sha256="01")


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ({"installer": None, "origin": "unrecorded", "files": NOT_COMPARED}, "INSTALLER names nobody"),
        ({"installer": "conda", "files": NOT_COMPARED}, "INSTALLER names conda"),
        ({"files": Files()}, "there is no RECORD"),
        (
            {"installer": None, "version": "1.1", "location": "/usr/lib/python3/dist-packages", "files": NOT_COMPARED},
            "",
        ),
    ],
)
def test_who_edits_a_package_hides_it_by_no_change_of_installer_or_record(after: dict[str, Any], why: str) -> None:
    before = of(package("foo==1", files=AGREEING))
    report = compare(before, of(package("foo==1", **after)), Question())
    (gap,) = report.gaps
    assert (report.verdict, gap.what) == ("unverified", "environments[/usr].packages[foo].files")
    assert why in gap.reason
    assert compare(before, of(package("foo==1", **after)), Question(level="framework")).verdict != "unverified"


def test_what_the_baseline_did_not_compare_either_is_no_gap() -> None:
    without = of(package("foo==1", installer=None, files=NOT_COMPARED))
    assert compare(without, without, Question()).gaps == ()
    assert compare(without, of(package("foo==1", files=AGREEING)), Question()).gaps == ()
    assert compare(of(package("foo==1", files=AGREEING)), of(), Question()).gaps == ()


def test_a_record_of_conda_or_dpkg_that_is_gone_is_a_gap() -> None:
    def having(files: Files, version: str = "1.0") -> Snapshot:
        conda = CondaPackage(name="numpy", version=version, build="0", files=files)
        libc = OsPackage(manager="dpkg", name="libc6", version=version, architecture="amd64", files=files)
        return snapshot(environment(conda=(conda,)), os_packages=(libc,))

    whole = having(Files(count=3, checked="hashes"))
    report = compare(whole, having(Files()), Question(level="stack"))
    assert report.verdict == "unverified"
    assert {gap.what for gap in report.gaps} == {"environments[/usr].conda[numpy].files", "os_packages[libc6].files"}
    assert compare(whole, having(Files(), "1.1"), Question(level="stack")).gaps == (), "another one has other files"
