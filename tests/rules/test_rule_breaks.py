"""Known breaks: which rows hold, which change completed one, and how it is told."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import pytest

from reprocheck.knowledge import load
from reprocheck.knowledge.load import Knowledge
from reprocheck.knowledge.rows import KnownBreak, Seen
from reprocheck.model.report import Finding
from reprocheck.model.snapshot import Package, Snapshot
from reprocheck.rules import RULES, judge
from reprocheck.rules.breaks import known_break
from tests.make import comparison, environment, finding, findings, of, package, python, snapshot, tensorflow

DAY = datetime.date(2026, 11, 22)


def row(**fields: Any) -> KnownBreak:
    defaults: dict[str, Any] = {
        "name": "user-lib-2",
        "package": "user",
        "partner": "lib",
        "partner_specifier": ">=2",
        "effect": "import-fails",
        "symptom": "boom",
        "explanation": "It was built for lib 1. More of that.",
        "fix": "lib<2",
        "confidence": "high",
        "source": "a tracker",
    }
    return KnownBreak(**{**defaults, **fields})


@dataclass
class Known:
    before: Snapshot
    after: Snapshot

    def by(self, *rows: KnownBreak) -> tuple[Finding, ...]:
        known = Knowledge({})
        known.__dict__["known_breaks"] = rows
        rules = [rule for rule in RULES if rule.check is known_break]
        return judge(comparison(self.before, self.after, knowledge=known), "packages", rules)


USER, OLD, NEW = package("user==1", "lib>=1", requested=True), package("lib==1.4"), package("lib==2.0")
UPGRADE = Known(of(USER, OLD), of(USER, NEW))


def test_the_protobuf_story() -> None:
    found = finding(tensorflow(), tensorflow("4.21.1"), "RC203")
    assert (found.severity, found.subject.name, found.before, found.after) == (
        "breaking",
        "protobuf",
        "3.19.6",
        "4.21.1",
    )
    assert found.expect == "import tensorflow: TypeError: Descriptors cannot not be created directly."
    assert found.suffers == ("tensorflow",)
    assert "tensorflow 2.9.0 allows it on paper (protobuf>=3.9.2)" in found.evidence
    assert found.fix is not None
    assert found.fix.commands == ("pip install protobuf==3.19.6",)


def test_the_numpy_story() -> None:
    opencv = package("opencv-python==5.0.0.93", "numpy>=2", requested=True)
    found = finding(tensorflow(), tensorflow("3.19.6", opencv, numpy="2.0.2"), "RC203")
    assert (found.severity, found.subject.name) == ("breaking", "numpy")
    assert found.expect == "import tensorflow: TypeError: Unable to convert function return value to a Python type!"
    assert "tensorflow" in found.suffers
    assert found.fix is not None
    assert found.fix.commands == ()
    assert found.fix.avoid == "a later `pip install numpy==1.23.5`: opencv-python 5.0.0.93 requires numpy>=2"


def test_what_the_baseline_had_already_is_not_new() -> None:
    assert findings(tensorflow("4.21.1"), tensorflow("4.21.1"), "RC203") == ()
    assert findings(tensorflow("4.21.1"), tensorflow("4.22.0"), "RC203") == ()


def test_where_the_same_two_failed_before_another_row_is_nothing_new() -> None:
    rows = (row(), row(name="user-2", specifier=">=2"))
    assert Known(of(USER, NEW), of(package("user==2"), NEW)).by(*rows) == ()


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({}, "breaking"),
        ({"effect": "run-fails"}, "breaking"),
        ({"effect": "wrong-results"}, "breaking"),
        ({"effect": "no-gpu"}, "breaking"),
        ({"confidence": "medium"}, "major"),
        (
            {"confidence": "medium", "seen": Seen(date=DAY, python="3.9.2", versions={}, text="E")},
            "breaking",
        ),
        ({"effect": "conflict"}, "minor"),
        ({"effect": "install-fails"}, "minor"),
        ({"effect": "warning"}, "minor"),
        ({"effect": "api-removed", "package": "lib", "specifier": ">=2", "partner": None}, "minor"),
    ],
)
def test_severities(fields: dict[str, Any], severity: str) -> None:
    (found,) = UPGRADE.by(row(**fields))
    assert (found.severity, found.subject.name) == (severity, "lib")


def test_a_conflict_that_the_metadata_tell_is_major() -> None:
    user = package("user==1", "lib<2")
    (found,) = Known(of(user, OLD), of(user, NEW)).by(row(effect="conflict"))
    assert found.severity == "major"


@pytest.mark.parametrize(
    "fields",
    [
        {"specifier": ">=2"},
        {"partner_specifier": ">=3"},
        {"partner_specifier": ""},
        {"partner": "other"},
        {"python": ">=3.12"},
        {"partner_absent": True},
        {"system": True},
    ],
)
def test_a_row_that_does_not_hold_is_no_finding(fields: dict[str, Any]) -> None:
    assert UPGRADE.by(row(**fields)) == ()


@pytest.mark.parametrize(
    ("relation", "before", "after", "found"),
    [
        ("newer", "1.2", "1.3", 1),
        ("newer", "1.2", "1.2+cuda12", 0),
        ("newer", "1.2", "1.1", 0),
        ("older", "1.2", "1.1", 1),
        ("older", "1.2", "1.3", 0),
    ],
)
def test_the_partner_against_the_package_itself(relation: Any, before: str, after: str, found: int) -> None:
    known = Known(
        of(package("user==1.2"), package(f"lib=={before}")), of(package("user==1.2"), package(f"lib=={after}"))
    )
    assert len(known.by(row(partner_specifier="", partner_is=relation))) == found


@pytest.mark.parametrize(("vision", "found"), [("0.20.0", 1), ("0.21.0+cu124", 0), ("0.99", 0)])
def test_versions_that_belong_together(vision: str, found: int) -> None:
    before = of(package("torch==2.6.0"), package("torchvision==0.21.0"))
    after = of(package("torch==2.6.0"), package(f"torchvision=={vision}"))
    rows = [one for one in load().known_breaks if one.package == "torchvision" and one.partner == "torch"]
    assert len(Known(before, after).by(*rows)) == found


def test_what_was_seen_is_told_with_its_day_and_its_text() -> None:
    seen = Seen(date=DAY, python="3.9.2", versions={}, text="ImportError: boom")
    (found,) = UPGRADE.by(row(statement="import user", seen=seen, expect="something else"))
    assert found.expect == "import user: ImportError: boom"
    assert [(one.name, one.seen) for one in found.breaks] == [("user-lib-2", "2026-11-22")]
    assert found.message == ("lib 2.0: with it user 1 breaks: importing it fails (known break, seen 2026-11-22)")
    assert found.evidence[0] == "user 1 allows it on paper (lib>=1)"


def test_the_one_that_nobody_asked_for_is_the_subject() -> None:
    before = of(package("user==1", requested=True), package("lib==1", requested=True))
    for asked, subject in (((True, False), "lib"), ((False, True), "user")):
        user, lib = (package(text, requested=flag) for text, flag in zip(("user==2", "lib==2"), asked, strict=True))
        (found,) = Known(before, of(user, lib)).by(row(specifier=">=2"))
        assert found.subject.name == subject


def test_the_one_outside_of_its_bounds_is_the_subject() -> None:
    before = of(package("user==1"), package("lib==1"), package("third==1", "user<2"))
    after = of(package("user==2"), package("lib==2"), package("third==1", "user<2"))
    (found,) = Known(before, after).by(row(specifier=">=2"))
    assert found.subject.name == "user"


def test_a_change_that_did_not_complete_it_is_not_the_subject() -> None:
    before, after = of(package("user==1"), OLD), of(package("user==1.1", requested=False), NEW)
    (found,) = Known(before, after).by(row())
    assert found.subject.name == "lib"


def test_an_addition_that_cannot_work_here() -> None:
    (found,) = Known(of(NEW), of(USER, NEW)).by(row())
    assert (found.subject.name, found.severity, found.suffers, found.before) == ("user", "breaking", ("user",), None)
    assert found.message == "user 1: importing it fails beside lib 2.0 (known break, reported)"
    assert found.fix is not None
    assert found.fix.summary == "as reported, not tried here: lib<2"


def test_nothing_that_was_just_added_had_an_interface_removed() -> None:
    removed = row(effect="api-removed", package="lib", specifier=">=2", partner=None)
    assert Known(of(USER), of(USER, NEW)).by(removed) == ()


def test_a_partner_that_went() -> None:
    without = row(partner_specifier="", partner_absent=True)
    (found,) = Known(of(USER, OLD), of(USER)).by(without)
    assert (found.subject.name, found.before, found.after) == ("lib", "1.4", None)
    assert found.fix is not None
    assert found.fix.commands == ("pip install lib==1.4",)
    unlisted = snapshot(environment(USER), gaps=["environments[/usr].packages"])
    assert Known(of(USER, OLD), unlisted).by(without) == ()


def test_another_python_completes_it() -> None:
    old, new = (snapshot(environment(USER, NEW, python=python(version))) for version in ("3.11.4", "3.12.1"))
    (found,) = Known(old, new).by(row(python=">=3.12"))
    assert (found.subject.kind, found.subject.name, found.before, found.after) == (
        "python",
        "python",
        "3.11.4",
        "3.12.1",
    )


def test_breaks_of_one_package_are_one_finding_the_surest_first() -> None:
    rows = (
        row(name="b", package="other", confidence="medium", expect="later"),
        row(name="a", expect="first"),
    )
    other: Package = package("other==1")
    (found,) = Known(of(USER, other, OLD), of(USER, other, NEW)).by(*rows)
    assert (found.severity, found.expect, found.suffers) == ("breaking", "first", ("user", "other"))
    assert [one.name for one in found.breaks] == ["a", "b"]


def test_the_knowledge_has_a_version() -> None:
    assert load().version == load().version
    assert len(load().version) == 12


@pytest.mark.parametrize(
    ("before", "after", "subject", "suffers"),
    [
        ("torch==2.6.0 torchvision==0.21.0", "torch==2.6.0 torchvision==0.20.1", "torchvision", "torchvision"),
        ("torch==2.5.1 torchvision==0.20.1", "torch==2.6.0 torchvision==0.20.1", "torch", "torchvision"),
        ("torch==2.5.1+cu121 torchaudio==2.5.1", "torch==2.4.0+cu121 torchaudio==2.5.1", "torch", "torchaudio"),
        ("torch==1.13.1 torchaudio==0.13.1", "torch==1.13.1 torchaudio==0.12.1", "torchaudio", "torchaudio"),
        ("tensorflow==2.9.0", "tensorflow==2.9.0 tensorflow-text==2.10.0", "tensorflow-text", "tensorflow-text"),
        ("tensorflow==2.9.0", "tensorflow==2.9.0 tensorflow-io==0.27.0", "tensorflow-io", "tensorflow-io"),
        ("jax==0.4.20 jaxlib==0.4.20", "jax==0.4.20 jaxlib==0.4.25", "jaxlib", "jaxlib"),
    ],
)
def test_a_change_that_parts_what_belongs_together(before: str, after: str, subject: str, suffers: str) -> None:
    found = finding(of(*map(package, before.split())), of(*map(package, after.split())), "RC203")
    assert (found.subject.name, found.suffers) == (subject, (suffers,))
    assert found.severity in {"breaking", "major"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("torch==2.5.1 torchvision==0.20.1", "torch==2.6.0 torchvision==0.21.0"),
        ("torch==2.5.0 torchvision==0.20.0", "torch==2.5.1+cu124 torchvision==0.20.1+cu124"),
        ("torch==2.6.0 torchvision==0.20.1", "torch==2.6.1 torchvision==0.20.1"),
        ("tensorflow==2.9.0", "tensorflow==2.9.0 tensorflow-text==2.9.1"),
    ],
)
def test_what_belongs_together_or_was_apart_before_is_no_break(before: str, after: str) -> None:
    found = findings(of(*map(package, before.split())), of(*map(package, after.split())), "RC203")
    assert [one for one in found if one.severity in {"breaking", "major"}] == []


def test_a_partner_that_the_package_itself_does_not_require() -> None:
    def side(version: str, core: str, pin: str) -> Snapshot:
        return of(package(f"pydantic=={version}", f"pydantic-core=={pin}"), package(f"pydantic-core=={core}"))

    before = side("2.9.2", "2.23.4", "2.23.4")
    found = finding(before, side("2.9.2", "2.27.0", "2.23.4"), "RC203")
    assert (found.severity, found.subject.name, found.suffers) == ("breaking", "pydantic-core", ("pydantic",))
    found = finding(before, side("2.10.0", "2.23.4", "2.27.0"), "RC203")
    assert (found.severity, found.subject.name) == ("breaking", "pydantic")
    assert findings(before, side("2.10.0", "2.27.0", "2.27.0"), "RC203") == ()


@pytest.mark.parametrize("build", ["tensorflow-cpu", "tensorflow-gpu"])
def test_other_builds_of_tensorflow_break_alike(build: str) -> None:
    framework = package(f"{build}==2.9.0", "protobuf>=3.9.2")
    found = finding(of(framework, package("protobuf==3.19.6")), of(framework, package("protobuf==4.21.1")), "RC203")
    assert (found.severity, found.subject.name, found.suffers) == ("breaking", "protobuf", (build,))
    text = package("tensorflow-text==2.10.0")
    found = finding(of(framework, package("tensorflow-text==2.9.0")), of(framework, text), "RC203")
    assert (found.subject.name, found.suffers) == ("tensorflow-text", ("tensorflow-text",))


# The chain.


def test_the_chain_of_the_numpy_story() -> None:
    cv, born = package("cv==5", "numpy>=2", requested=True), package("born==1", "numpy>=1", requested=True)
    found = finding(tensorflow(), tensorflow("3.19.6", cv, born, numpy="2.0.2"), "RC203")
    assert found.pulled_by == ("cv",)
    assert found.chain[:3] == (
        "cv 5, asked for, requires numpy>=2 (born is content with 1.23.5)",
        "numpy 1.23.5 → 2.0.2, which nobody asked for",
        "tensorflow 2.9.0: it was built for NumPy 1; its metadata (numpy>=1.20) allow it, so that pip check is silent",
    )
    assert found.why[1:] == ("tensorflow suffers from it", "cv dragged it along")


def test_the_chain_begins_with_what_was_asked_for() -> None:
    before = of(USER, OLD)
    app = package("app==1", "mid", requested=True)
    mid, core = package("mid==1", "core", requested=False), package("core==3", "lib>=2", requested=False)
    (found,) = Known(before, of(USER, NEW, app, mid, core)).by(row())
    assert found.chain == (
        "app 1, asked for → mid → core 3, which requires lib>=2",
        "lib 1.4 → 2.0, which nobody asked for",
        "user 1: it was built for lib 1; its metadata (lib>=1) allow it, so that pip check is silent",
    )
    unasked = of(USER, NEW, package("core==3", "lib>=2", requested=False))
    (found,) = Known(before, unasked).by(row())
    assert found.chain[0] == "core 3 requires lib>=2"


def test_without_anybody_who_dragged_it_along_there_is_no_chain() -> None:
    (found,) = UPGRADE.by(row())
    assert (found.chain, found.pulled_by) == ((), ())


def test_a_violated_requirement_ends_a_chain() -> None:
    user = package("user==1", "lib<2", requested=True)
    app = package("app==1", "lib>=2", requested=True)
    found = finding(of(user, OLD), of(user, NEW, app), "RC201")
    assert found.chain == (
        "app 1, asked for, requires lib>=2",
        "lib 1.4 → 2.0, which nobody asked for",
        "user 1 requires: lib<2",
    )
