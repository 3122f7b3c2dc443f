from __future__ import annotations

import pytest

from reprocheck.model.snapshot import Coverage
from reprocheck.rules import unjudged
from tests.make import comparison, environment, finding, findings, of, package, python, snapshot, tensorflow, without


def test_newly_violated() -> None:
    found = finding(tensorflow(), tensorflow("4.21.1"), "RC201")
    assert (found.severity, found.subject.name) == ("major", "protobuf")
    assert (found.before, found.after, found.suffers) == ("3.19.6", "4.21.1", ("tensorboard",))
    assert found.message == ("protobuf 4.21.1 does not meet what tensorboard 2.9.1 requires: protobuf<3.20,>=3.9.2")
    assert found.details == {"seen_by_pip_check": "true"}
    assert found.fix is not None
    assert found.fix.commands == ("pip install protobuf==3.19.6",)


def test_what_the_baseline_violates_already_is_not_new() -> None:
    assert findings(tensorflow("4.21.1"), tensorflow("4.21.1")) == ()
    assert findings(tensorflow("4.21.1"), tensorflow("4.22.0"), "RC201") == ()


def test_a_requirer_that_changed_is_the_one_to_restore() -> None:
    before = of(package("x==1"), package("user==1", "x"))
    after = of(package("x==1"), package("user==2", "x>=2"))
    found = finding(before, after, "RC201")
    assert found.subject.name == "x"
    assert found.fix is not None
    assert found.fix.commands == ("pip install user==1",)


def test_a_new_requirer_has_no_restore() -> None:
    found = finding(of(package("x==1")), of(package("x==1"), package("new==1", "x>=2")), "RC201")
    assert found.fix is None


def test_through_an_extra_it_is_told_apart() -> None:
    lib = package("lib==1", 'x<2; extra == "fast"')
    app = package("app==1", "lib[fast]")
    found = finding(of(lib, app, package("x==1")), of(lib, app, package("x==2")), "RC201")
    assert found.details == {"seen_by_pip_check": "false"}
    assert "lib 1 requires with its extra fast: x<2" in found.message
    assert findings(of(lib, package("x==1")), of(lib, package("x==2")), "RC201") == ()


def test_one_finding_for_each_subject() -> None:
    users = [package(f"user{n}==1", "x<2") for n in range(3)]
    found = finding(of(*users, package("x==1")), of(*users, package("x==2")), "RC201")
    assert found.suffers == ("user0", "user1", "user2")


def test_newly_missing() -> None:
    user = package("tensorflow==2.9.0", "libclang>=13")
    found = finding(of(user, package("libclang==14.0.1")), of(user), "RC202")
    assert (found.severity, found.subject.name) == ("major", "libclang")
    assert (found.before, found.after, found.suffers) == ("14.0.1", None, ("tensorflow",))
    assert found.fix is not None
    assert found.fix.commands == ("pip install libclang==14.0.1",)
    assert findings(of(user), of(user, package("other==1")), "RC202") == ()


def test_missing_for_a_new_requirer_invents_no_version() -> None:
    found = finding(of(), of(package("new==1", "x>=2")), "RC202")
    assert found.fix is not None
    assert (found.fix.summary, found.fix.commands) == ("install a version of x that satisfies x>=2", ())
    found = finding(of(), of(package("new==1", "absent")), "RC202")
    assert found.fix is not None
    assert (found.fix.summary, found.fix.commands) == ("install absent", ())


def test_a_requirement_says_whether_it_is_new_and_whether_there_is_anything_to_meet_it() -> None:
    before = of(package("x==1"), package("user==1", "x>=1"), package("old==1", "x>=2"), package("all==1"))
    after = of(package("x==1"), package("user==2", "x>=2"), package("old==1", "x>=2"), package("all==2", "gone[y,z]"))
    (check,) = finding(before, after, "RC201").requirements
    assert (check.by, check.allows_before, check.allows_after, check.new, check.missing) == (
        ("user", False, False, True, False)
    )
    (check,) = finding(before, after, "RC202").requirements
    assert (check.by, check.allows_before, check.allows_after, check.extras, check.missing) == (
        ("all", None, None, ("y", "z"), True)
    )
    changed = of(*(one for one in before.environments[0].packages if one.name != "x"), package("x==0.5"))
    checks = {check.by: check.new for check in finding(before, changed, "RC102").requirements}
    assert checks == {"old": False, "user": False}


@pytest.mark.parametrize("gap", ["environments[/usr].packages", "environments[/usr].search_path", "layers"])
def test_a_gap_in_the_listing_is_not_a_missing_package(gap: str) -> None:
    user = package("tensorflow==2.9.0", "libclang>=13")
    before = of(user, package("libclang==14.0.1"))
    after = of(user, package("zzz==1"), gaps=[gap])
    assert findings(before, after, "RC202") == ()


def test_changed_markers_alone_are_seen() -> None:
    user = package("a==1", 'old; python_version < "3.9"')
    after = snapshot(environment(user, python=python("3.8.1")))
    assert finding(of(user), after, "RC202").subject.name == "old"


def test_malformed_requirements_are_noted_and_never_findings() -> None:
    before = of(package("a==1"), package("b==1"))
    after = of(package("a==2", "?? nonsense", "b>=1"), package("b==odd~1"))
    assert findings(before, after, "RC201", "RC202") == ()
    gaps, notes = unjudged(comparison(before, after))
    said = [gap.reason for gap in gaps]
    assert len(said) == 2
    assert any("?? nonsense can't be judged" in reason for reason in said)
    assert any("the version of b, odd~1, is none (PEP 440)" in reason for reason in said)
    assert notes == ()
    gaps, notes = unjudged(comparison(after, after))
    assert gaps == ()
    assert [note.reason.removesuffix("; the same on both sides") for note in notes] == said


def test_a_package_that_an_older_extractor_did_not_see_is_not_missing() -> None:
    before, after = of(package("a==1"), package("b==1")), of(package("a==1", "b"))
    assert len(findings(before, after, "RC202")) == 1
    newer = without(before, coverage={**before.coverage, "environments": Coverage(state="complete", version=2)})
    assert findings(newer, after, "RC202") == ()
    assert len(findings(after, newer, "RC202")) == 0
