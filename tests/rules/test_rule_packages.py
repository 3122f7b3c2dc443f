from __future__ import annotations

from typing import Any

import pytest

from reprocheck.model.snapshot import Files, System
from tests.make import comparison, environment, finding, findings, of, package, python, snapshot, tensorflow


@pytest.mark.parametrize(
    ("name", "before", "after", "code", "severity"),
    [
        ("numpy", "1.23.5", "2.0.2", "RC101", "minor"),
        ("numpy", "1.23.5", "1!1.0", "RC101", "minor"),
        ("torch", "1.13.1", "2.0.0", "RC101", "major"),
        ("torch", "2.0.1", "2.1.0", "RC101", "major"),
        ("torch", "2.1.0", "2.1.2", "RC101", "info"),
        ("torch", "2.1.0", "2.0.1", "RC102", "major"),
        ("numpy", "1.23.5", "1.24.0", "RC101", "minor"),
        ("numpy", "1.23.5", "1.23.6", "RC101", "info"),
        ("numpy", "2.0.2", "1.23.5", "RC102", "minor"),
        ("numpy", "1.24.0", "1.23.5", "RC102", "minor"),
        ("numpy", "1.23.6", "1.23.5", "RC102", "minor"),
        ("certifi", "2022.6.15", "2023.1.1", "RC101", "minor"),
        ("tzdata", "2023.3", "2023.4", "RC101", "info"),
        ("torch", "1.13+cu117", "1.13+cpu", "RC107", "major"),
        ("mylib", "1.13+b1", "1.13+b2", "RC107", "minor"),
        ("mylib", "1.0", "1.0.0", "RC107", "info"),
        ("mylib", "1.0", "weird~2", "RC107", "major"),
        ("mylib", "weird~1", "weird~2", "RC107", "major"),
    ],
)
def test_version_changes(name: str, before: str, after: str, code: str, severity: str) -> None:
    (found,) = findings(of(package(f"{name}=={before}")), of(package(f"{name}=={after}")))
    assert (found.rule, found.severity) == (code, severity)
    assert (found.subject.name, found.before, found.after) == (name, before, after)
    assert before in found.message
    assert after in found.message


@pytest.mark.parametrize(
    ("requires", "before", "after", "severity"),
    [
        (("protobuf>=3.9.2",), "3.19.6", "5.29.0", "major"),
        (("protobuf>=3.9.2",), "3.19.6", "3.20.3", "minor"),
        (("protobuf<6,>=3.20.3",), "4.25.0", "5.29.0", "minor"),
        (("protobuf<6",), "4.25.0", "3.20.3", "major"),
        (("protobuf>=3.20",), "4.25.0", "3.20.3", "minor"),
        ((), "3.19.6", "5.29.0", "minor"),
    ],
)
def test_a_large_change_that_a_framework_allows_and_nobody_tried(
    requires: tuple[str, ...], before: str, after: str, severity: str
) -> None:
    framework = package("tensorflow==2.19.0", *requires)
    code = "RC102" if before > after else "RC101"
    found = finding(of(framework, package(f"protobuf=={before}")), of(framework, package(f"protobuf=={after}")), code)
    assert found.severity == severity
    said = f"tensorflow 2.19.0 sets no bound to it ({''.join(requires)}), and versions of the two are known to break"
    assert any(line.startswith(said) for line in found.evidence) == (severity == "major")


def test_versions_of_what_no_framework_is_known_to_break_with_are_minor() -> None:
    framework = package("tensorflow==2.9.0", "termcolor>=1.1.0")
    found = finding(of(framework, package("termcolor==1.1.0")), of(framework, package("termcolor==2.0.0")), "RC101")
    assert found.severity == "minor"


@pytest.mark.parametrize(
    ("fields", "requires", "severity"),
    [
        ({"requested": False}, "lib", "minor"),
        ({}, "lib", "minor"),
        ({"requested": True}, "lib", "major"),
        ({"requested": False}, "other", "major"),
    ],
)
def test_what_came_with_another_and_went_with_it(fields: dict[str, Any], requires: str, severity: str) -> None:
    before, after = package("app==1", requires), package("app==2")
    found = finding(of(before, package("lib==1", **fields)), of(after), "RC104")
    assert found.severity == severity


def test_same_packages_no_findings() -> None:
    one = of(package("numpy==1.23.5"), package("weird==~"))
    assert findings(one, one) == ()


def test_an_unknown_version_is_no_change() -> None:
    unknown = of(package("numpy=="), gaps=["environments[/usr].packages[numpy].version"])
    assert findings(of(package("numpy==1")), unknown) == ()


def test_the_protobuf_story() -> None:
    found = finding(tensorflow(), tensorflow("4.21.1"), "RC101")
    assert found.message == ("protobuf 3.19.6 → 4.21.1 (major); violates tensorboard 2.9.1 (protobuf<3.20,>=3.9.2)")
    assert found.required_by == ("tensorboard", "tensorflow")
    assert found.suffers == ("tensorboard",)
    assert found.pulled_by == ()
    assert [(one.by, one.specifier, one.allows_before, one.allows_after) for one in found.requirements] == [
        ("tensorboard", "<3.20,>=3.9.2", True, False),
        ("tensorflow", ">=3.9.2", True, True),
    ]
    assert found.paths == (("tensorflow", "protobuf"), ("tensorflow", "tensorboard", "protobuf"))
    assert found.fix is not None
    assert found.fix.commands == ("pip install protobuf==3.19.6",)


def test_the_team_story() -> None:
    cv = package("opencv-python==5.0.0.93", "numpy>=2", requested=True)
    seaborn = package("seaborn==0.13.2", "numpy>=1.20", requested=True)
    found = finding(tensorflow(), tensorflow("3.19.6", cv, seaborn, numpy="2.0.2"), "RC101")
    assert found.subject.name == "numpy"
    assert found.pulled_by == ("opencv-python",)
    assert found.details["asked_for"] == "false"
    assert found.fix is not None
    assert found.fix.commands == ()
    assert found.fix.summary == ("find an opencv-python that allows numpy 1.23.5, with numpy==1.23.5 beside it")
    assert found.fix.avoid == "a later `pip install numpy==1.23.5`: opencv-python 5.0.0.93 requires numpy>=2"


def test_a_long_list_of_sufferers_is_counted() -> None:
    users = [package(f"user{n}==1", "x<2") for n in range(9)]
    found = finding(of(*users, package("x==1")), of(*users, package("x==2")), "RC101")
    assert "and 6 more" in found.message
    assert len(found.suffers) == 9


def test_added_packages_say_who_wanted_them() -> None:
    asked = package("transformers==4", "regex", 'hidden; extra == "x"', requested=True)
    dragged = package("regex==2022.1", requested=False)
    unknown = package("loner==1")
    found = {
        one.subject.name: one
        for one in findings(of(), of(asked, dragged, unknown, package("thing==", requested=True)), "RC103")
    }
    assert {name: one.details["asked_for"] for name, one in found.items()} == {
        "transformers": "true",
        "regex": "false",
        "loner": "unknown",
        "thing": "true",
    }
    assert found["regex"].pulled_by == found["regex"].required_by == ("transformers",)
    assert found["regex"].paths == (("transformers", "regex"),)
    assert found["regex"].before is None
    assert found["thing"].after is None
    assert {one.severity for one in found.values()} == {"info"}
    assert findings(of(asked), of(asked), "RC103") == ()


def test_removed_packages_say_who_still_requires_them() -> None:
    user = package("tensorflow==2.9.0", "typing-extensions>=3")
    found = finding(of(user, package("typing-extensions==4.4.0")), of(user), "RC104")
    assert (found.severity, found.before, found.after) == ("major", "4.4.0", None)
    assert found.required_by == ("tensorflow",)
    assert found.requirements[0].allows_before is True
    assert found.requirements[0].allows_after is None
    assert found.fix is not None
    assert found.fix.commands == ("pip install typing-extensions==4.4.0",)


def test_a_gap_is_never_a_removed_package() -> None:
    assert findings(of(package("a==1")), of(gaps=["environments[/usr].packages"])) == ()


@pytest.mark.parametrize(
    ("before", "after", "severity"),
    [
        ({"origin": "index"}, {"origin": "git+https://example.org/a@1"}, "major"),
        ({"origin": "https://example.org/a"}, {"origin": "https://example.org/b"}, "major"),
        ({"origin": "index"}, {"origin": "unrecorded"}, "minor"),
        ({"editable": False}, {"editable": True}, "major"),
    ],
)
def test_origin(before: dict[str, Any], after: dict[str, Any], severity: str) -> None:
    found = finding(of(package("a==1", **before)), of(package("a==1", **after)), "RC105")
    assert found.severity == severity
    assert found.before != found.after
    assert findings(of(package("a==1", **before)), of(package("a==1", **before)), "RC105") == ()


def test_an_unreadable_origin_is_no_change() -> None:
    assert findings(of(package("a==1")), of(package("a==1", origin="unreadable")), "RC105") == ()


def test_a_url_that_changed_with_the_version_is_no_finding_of_its_own() -> None:
    before = package("a==1", origin="https://example.org/a-1.whl")
    after = package("a==2", origin="https://example.org/a-2.whl")
    assert findings(of(before), of(after), "RC105") == ()
    assert finding(of(package("a==1")), of(after), "RC105").fix is None


def test_build() -> None:
    before = package("a==1", tags=("cp39-cp39-linux_x86_64",))
    after = package("a==1", tags=("cp39-cp39-linux_x86_64",), build="2")
    found = finding(of(before), of(after), "RC106")
    assert found.severity == "minor"
    assert found.after == "cp39-cp39-linux_x86_64 build 2"
    assert findings(of(before), of(package("a==2", tags=("py3-none-any",))), "RC106") == ()
    assert finding(of(before), of(package("a==1")), "RC106").after == "no wheel tags"


def test_another_interpreter_or_architecture_explains_another_build() -> None:
    before = package("a==1", tags=("cp39-cp39-linux_x86_64",))
    after = package("a==1", tags=("cp310-cp310-linux_x86_64",))
    newer = environment(after, python=python("3.10.1"))
    assert findings(of(before), snapshot(newer), "RC106") == ()
    arm = System(architecture="aarch64")
    assert findings(of(before, system=System(architecture="x86_64")), of(after, system=arm), "RC106") == ()


def test_files_count_at_the_level_bits_alone() -> None:
    before = of(package("a==1", files=Files(record_sha256="00")))
    after = of(package("a==1", files=Files(record_sha256="11")))
    assert finding(before, after, "RC108").severity == "minor"
    assert findings(before, after, level="machine") == ()
    other = of(package("a==2", files=Files(record_sha256="11")))
    assert findings(before, other, "RC108") == ()
    assert findings(before, of(package("a==1", files=Files())), "RC108") == ()


def test_framework_packages_count_at_the_level_framework() -> None:
    before = of(package("tensorflow==2.9.0"), package("numpy==1.0"))
    after = of(package("tensorflow==2.10.0"), package("numpy==2.0"))
    assert [one.subject.name for one in findings(before, after, level="framework")] == ["tensorflow"]
    assert {one.subject.name for one in findings(before, after, level="packages")} == {"tensorflow", "numpy"}
    assert [one.rule for one in findings(before, of(), level="framework")] == ["RC104"]


def test_pairs_are_judged_each_on_its_own() -> None:
    before = snapshot(environment(package("a==1")), environment(package("a==1"), name="/v"))
    after = snapshot(environment(package("a==1")), environment(package("a==2"), name="/v"))
    assert finding(before, after, "RC101").subject.environment == "/v"
    assert len(comparison(before, after).pairs) == 2
