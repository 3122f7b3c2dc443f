"""What a whole comparison comes to: two snapshots in, a report out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reprocheck.extractors.assemble import assemble
from reprocheck.model.evidence import Answer, Document, EngineFacts, Evidence
from reprocheck.model.snapshot import Header, Subject
from reprocheck.pipeline import Question, compare
from tests.make import of, package, snapshot

if TYPE_CHECKING:
    from reprocheck.model.report import Level
    from reprocheck.model.snapshot import Snapshot, TargetKind

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


def test_no_environment_in_either_side_is_something_to_verify() -> None:
    assert compare(snapshot(), snapshot(), Question(gate=False)).verdict == "verified"


def test_what_did_not_answer_is_not_called_a_container() -> None:
    (gap,) = [gap for gap in silent("evidence").gaps if gap.what == "environments"]
    assert gap.reason == "no process answered: reading an environment needs a running Python"
