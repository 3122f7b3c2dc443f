"""Whether a target keeps what the baseline has that the policy extends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprocheck.compare import Question, compare
from reprocheck.formats.terminal import render
from reprocheck.model.policy import Policy, Waiver
from reprocheck.model.snapshot import CondaPackage, OsPackage
from reprocheck.policy import PolicyFile
from reprocheck.sides import BaselineFile
from tests.make import environment, of, package, snapshot
from tests.test_tolerance import TODAY

if TYPE_CHECKING:
    from reprocheck.model.report import Report
    from reprocheck.model.snapshot import Snapshot

BASE = BaselineFile(name="base.json", digest="sha256:0")
OWN = BaselineFile(name="own.json", digest="sha256:1")


def judged(base: Snapshot, target: Snapshot, file: BaselineFile = OWN, **question: Any) -> Report:
    """The target agrees with its own baseline: all that is told is of the base."""
    policy = Policy(extends="base.json", **question.pop("policy", {}))
    asked = Question(policy=PolicyFile(path=Path("p.toml"), digest="", policy=policy), today=TODAY, **question)
    return compare(target, target, asked, file, extends=(base, BASE))


def told(report: Report) -> list[tuple[str, str, str]]:
    return [(one.rule, one.severity, one.message) for one in report.findings]


def os_package(name: str, version: str) -> OsPackage:
    return OsPackage(manager="dpkg", name=name, version=version, architecture="amd64")


def test_what_is_kept_and_what_is_added_is_no_finding() -> None:
    report = judged(of(package("a==1")), of(package("a==1"), package("b==2")))
    assert (report.verdict, report.findings, report.gaps) == ("verified", (), ())
    assert report.policy is not None
    assert report.policy.extends is not None
    assert report.policy.extends.name == "base.json"
    assert "policy      p.toml · extends base.json" in render(report)


def test_another_version_and_a_package_that_is_gone() -> None:
    report = judged(of(package("a==1"), package("b==1")), of(package("a==2")))
    assert told(report) == [
        ("RC921", "major", "a 2 is installed; base.json has 1"),
        ("RC921", "major", "b is not installed; base.json has 1"),
    ]
    assert report.verdict == "drift"
    fix = report.findings[0].fix
    assert fix is not None
    assert fix.commands == ("pip install a==1",)


def test_another_file_or_origin_at_the_same_version_is_kept() -> None:
    assert judged(of(package("a==1")), of(package("a==1", origin="https://example.org/a.whl"))).findings == ()


def test_a_framework_counts_from_its_level_on() -> None:
    base, target = of(package("torch==1"), package("a==1")), of(package("torch==2"), package("a==2"))
    names = [one.subject.name for one in judged(base, target, level="framework").findings]
    assert names == ["torch"]


def test_conda_packages_are_kept_too() -> None:
    def having(*records: CondaPackage) -> Snapshot:
        return snapshot(environment(package("numpy==1"), kind="conda", conda=records))

    numpy = CondaPackage(name="numpy", version="1")
    base = having(numpy, CondaPackage(name="mkl", version="1"), CondaPackage(name="zlib", version="1"))
    found = told(judged(base, having(CondaPackage(name="numpy", version="2"), CondaPackage(name="mkl", version="2"))))
    assert found == [
        ("RC921", "major", "mkl (conda) 2 is installed; base.json has 1"),
        ("RC921", "major", "zlib (conda) is not installed; base.json has 1"),
    ]


def test_os_packages_are_one_finding_from_stack_on() -> None:
    base = of(os_packages=(os_package("libc6", "1"), os_package("zlib", "1")))
    target = of(os_packages=(os_package("libc6", "2"), os_package("curl", "1")))
    (finding,) = judged(base, target).findings
    assert (finding.rule, finding.severity) == ("RC922", "major")
    assert finding.message == "OS packages of base.json: 1 changed, 1 removed"
    assert finding.evidence == ("~ dpkg libc6 amd64 1 → 2", "- dpkg zlib amd64 1")
    assert judged(base, target, level="packages").findings == ()
    assert judged(base, target, policy={"ignore": ("os_packages",)}).findings == ()


def test_an_environment_that_is_gone() -> None:
    base = snapshot(environment(), environment(name="/opt/venv", kind="venv"))
    assert told(judged(base, of())) == [("RC921", "major", "environment /opt/venv is not there; base.json has it")]


def test_environments_that_nobody_can_pair_are_a_gap() -> None:
    base = snapshot(environment(package("a==1"), name="/opt/a", kind="venv"))
    several = [environment(package("a==1"), name=name, kind="venv") for name in ("/opt/b", "/opt/c")]
    target = snapshot(*several)
    (gap,) = judged(base, target).gaps
    assert gap.what == "environments"
    assert judged(base, target, pairs={"/opt/b": "/opt/b"}).gaps == (gap,), "a pair that the base knows nothing of"


def test_what_the_base_does_not_know_is_a_gap() -> None:
    unknown = "environments[/usr].packages[a].version"
    base = of(package("a=="), gaps=[unknown, "system.libc"])
    report = judged(base, of(package("a==1")))
    assert (report.verdict, [gap.what for gap in report.gaps]) == ("unverified", [unknown])
    assert report.gaps[0].where == "image:it: /somewhere"


def test_the_layer_that_changed_it_is_named() -> None:
    base = of(package("a==1"), layers=("x",))
    target = of(package("a==2"), layers=("x", "y"))
    (finding,) = judged(base, target).findings
    assert finding.introduced_by is not None
    assert finding.introduced_by.instruction == "RUN y"


def test_a_package_of_the_base_can_be_waived() -> None:
    waiver = Waiver(rule="base-package-changed", subject="a", after="2", reason="tested", expires=TODAY)
    base = of(package("a==1"))
    assert judged(base, of(package("a==2")), policy={"waiver": (waiver,)}).verdict == "verified"
    assert judged(base, of(package("a==3")), policy={"waiver": (waiver,)}).verdict == "drift"


def test_the_base_itself_is_judged_once() -> None:
    base, target = of(package("a==1")), of(package("a==2"))
    policy = PolicyFile(path=Path("p.toml"), digest="", policy=Policy(extends="base.json"))
    report = compare(base, target, Question(policy=policy), BASE, extends=(base, BASE))
    assert {one.rule for one in report.findings} == {"RC101"}


def test_one_story_of_a_package_tells_both() -> None:
    base, target = of(package("a==1.0")), of(package("a==2.0"))
    policy = PolicyFile(path=Path("p.toml"), digest="", policy=Policy(extends="base.json"))
    text = render(compare(base, target, Question(policy=policy), OWN, extends=(base, BASE)))
    assert text.count("a 1.0 → 2.0") == 1
    assert "a 2.0 is installed; base.json has 1.0" in text
