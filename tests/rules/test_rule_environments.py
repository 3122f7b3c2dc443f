from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reprocheck.rules import level_of
from tests.make import environment, finding, findings, package, python, snapshot

if TYPE_CHECKING:
    from reprocheck.model.snapshot import Package, Snapshot


def at(version: str, *packages: Package, **fields: Any) -> Snapshot:
    return snapshot(environment(*packages, python=python(version, **fields)))


def test_minor() -> None:
    found = finding(at("3.9.2"), at("3.10.1"), "RC311")
    assert (found.severity, found.before, found.after) == ("major", "3.9.2", "3.10.1")
    assert findings(at("3.9.2"), at("3.10.1"), "RC312") == ()
    assert [one.rule for one in findings(at("3.9.2"), at("3.10.1"), level="framework")] == ["RC311"]


@pytest.mark.parametrize(
    ("tag", "severity"),
    [
        ("cp39-cp39-manylinux_2_17_x86_64", "breaking"),
        ("cp310-cp310-manylinux_2_17_x86_64", "major"),
        ("cp37-abi3-linux_x86_64", "major"),
        ("cp311-abi3-linux_x86_64", "breaking"),
        ("py3-none-any", "major"),
        ("py2.py3-none-any", "major"),
        ("py2-none-any", "breaking"),
        ("py39-none-any", "major"),
        ("cp39-none-any", "breaking"),
        ("pp39-pypy39_pp73-linux_x86_64", "breaking"),
    ],
)
def test_minor_is_breaking_where_a_wheel_does_not_fit(tag: str, severity: str) -> None:
    found = finding(at("3.9.2"), at("3.10.1", package("lib==1", tags=(tag,))), "RC311")
    assert found.severity == severity
    assert found.suffers == (("lib",) if severity == "breaking" else ())


def test_one_fitting_tag_is_enough_and_no_tag_says_nothing() -> None:
    both = package("lib==1", tags=("cp310-cp310-linux_x86_64", "cp39-cp39-linux_x86_64"))
    assert finding(at("3.9.2"), at("3.10.1", both, package("egg==1")), "RC311").severity == "major"


@pytest.mark.parametrize("tags", [("nonsense",), ("a-b",), ("a-b-c-d",)])
def test_malformed_tags_do_not_crash(tags: tuple[str, ...]) -> None:
    found = finding(at("3.9.2"), at("3.10.1", package("lib==1", tags=tags)), "RC311")
    assert found.severity in {"major", "breaking"}


def test_without_a_known_abi_nothing_is_called_unfit() -> None:
    after = at("3.10.1", package("lib==1", tags=("cp39-cp39-linux_x86_64",)), abi=None)
    assert finding(at("3.9.2"), after, "RC311").severity == "major"
    odd = at("3.x", package("lib==1", tags=("cp39-cp39-linux_x86_64",)), abi="?")
    assert finding(at("3.9.2"), odd, "RC311").severity == "major"


def test_patch() -> None:
    found = finding(at("3.9.2"), at("3.9.18"), "RC312")
    assert found.severity == "minor"
    assert findings(at("3.9.2"), at("3.9.18"), "RC311") == ()
    assert findings(at("3.9.2"), at("3.9.2"), "RC312") == ()
    assert findings(at("3.9.2"), at("3.9.18"), level="packages") == ()


def test_implementation() -> None:
    found = finding(at("3.9.2"), at("3.9.2", implementation="pypy", abi="pypy39"), "RC313")
    assert (found.severity, found.before, found.after) == ("major", "cpython", "pypy")
    found = finding(at("3.13.0"), at("3.13.0", abi="cpython-313t"), "RC313")
    assert (found.before, found.after) == ("cpython-313", "cpython-313t")
    assert findings(at("3.9.2"), at("3.10.1"), "RC313") == ()


def test_an_unknown_python_is_no_change() -> None:
    unknown = snapshot(environment(python=None))
    assert findings(at("3.9.2"), unknown) == findings(unknown, at("3.9.2")) == ()


def test_added_and_removed() -> None:
    one = snapshot(environment())
    two = snapshot(environment(), environment(package("a==1"), name="/opt/v", kind="venv"))
    found = finding(one, two, "RC314")
    assert (found.severity, found.subject.name, found.after) == ("info", "/opt/v", "/opt/v")
    assert found.message == "environment /opt/v was added (Python 3.9.2, 1 packages)"
    gone = finding(two, one, "RC315")
    assert (gone.severity, gone.subject.environment, gone.before) == ("major", "/opt/v", "/opt/v")
    assert [item.rule for item in findings(two, one)] == ["RC315"]
    assert findings(two, two) == ()


def test_an_environment_that_took_a_framework_along_counts_at_the_lowest_level() -> None:
    lost = environment(package("torch==2.0"), package("numpy==1"), package("jax==1"), name="/opt/v", kind="venv")
    gone = finding(snapshot(environment(), lost), snapshot(environment()), "RC315", level="framework")
    assert gone.message == "environment /opt/v was removed (Python 3.9.2, 3 packages, among them jax, torch)"
    assert gone.details == {"frameworks": "jax, torch"}
    assert level_of(gone) == "framework"
    other = environment(package("numpy==1"), name="/opt/v", kind="venv")
    assert findings(snapshot(environment(), other), snapshot(environment()), "RC315", level="framework") == ()
    assert level_of(finding(snapshot(environment(), other), snapshot(environment()), "RC315")) == "packages"


def test_an_environment_behind_a_gap_is_not_removed() -> None:
    two = snapshot(environment(), environment(name="/opt/v", kind="venv", python=None))
    assert findings(two, snapshot(environment(), gaps=["environments[/opt/v]"]), "RC315") == ()
    assert finding(two, snapshot(environment()), "RC315").message.endswith("removed (0 packages)")
