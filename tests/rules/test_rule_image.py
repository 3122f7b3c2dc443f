from __future__ import annotations

from typing import Any

import pytest

from reprocheck.model.snapshot import Image, Snapshot
from tests.make import finding, findings, snapshot


def image(**fields: Any) -> Snapshot:
    return snapshot(image=Image(**fields))


def variables(**values: str | None) -> Snapshot:
    return snapshot(variables=values)


@pytest.mark.parametrize(
    ("before", "after", "severity", "message"),
    [
        ({"LD_PRELOAD": "a"}, {"LD_PRELOAD": "b"}, "major", "variable LD_PRELOAD: a → b"),
        ({}, {"PYTHONPATH": "/x"}, "major", "variable PYTHONPATH was added: /x"),
        ({}, {"PYTHONHOME": None}, "major", "variable PYTHONHOME was added"),
        ({"CUDA_VISIBLE_DEVICES": "1"}, {}, "minor", "variable CUDA_VISIBLE_DEVICES was removed: 1"),
        ({}, {"EMPTY": ""}, "minor", "variable EMPTY was added: "),
        ({}, {"TOKEN": None}, "info", "variable TOKEN was added"),
        ({"TOKEN": None}, {}, "info", "variable TOKEN was removed"),
    ],
)
def test_variables(before: Any, after: Any, severity: str, message: str) -> None:
    found = finding(variables(**before), variables(**after), "RC501")
    assert (found.severity, found.message) == (severity, message)
    assert (found.before, found.after) == (
        next(iter(before.values()), None),
        next(iter(after.values()), None),
    )


def test_variables_that_are_no_finding() -> None:
    assert findings(variables(A="1"), variables(A="1")) == ()
    assert findings(variables(LANG="C"), variables(LANG="C.UTF-8", LC_ALL="C"), "RC501") == ()
    assert findings(variables(), variables(OMP_NUM_THREADS="1"), "RC501") == ()
    assert findings(variables(A="1"), snapshot(states={"variables": "not-read"})) == ()


@pytest.mark.parametrize(
    ("before", "after", "fires"),
    [
        ("app", "root", True),
        ("app", "", True),
        ("1000:1000", "0:0", True),
        ("app", "0", True),
        ("", "root", False),
        ("root", "0", False),
        ("root", "app", False),
        ("app", "other", False),
        ("app:root", "app", False),
    ],
)
def test_became_root(before: str, after: str, fires: bool) -> None:
    found = findings(image(user=before), image(user=after), "RC502")
    assert [one.severity for one in found] == (["major"] if fires else [])


def test_ports() -> None:
    before, after = image(exposed_ports=("80/tcp",)), image(exposed_ports=("80/tcp", "8888/tcp"))
    found = finding(before, after, "RC503")
    assert (found.severity, found.subject.name, found.after) == ("minor", "port 8888/tcp", "8888/tcp")
    assert findings(after, before, "RC503") == ()
    assert finding(after, before, "RC505").message == "port 8888/tcp is exposed no more"


def test_entrypoint() -> None:
    found = finding(image(entrypoint=()), image(entrypoint=("tini", "--")), "RC504")
    assert (found.severity, found.before, found.after) == ("minor", "[]", '["tini", "--"]')
    assert findings(image(entrypoint=("a",)), image(entrypoint=("a",)), "RC504") == ()
    assert findings(image(cmd=("a",)), image(cmd=("b",)), "RC504") == ()


def test_a_withheld_argument_that_changed_is_seen_once() -> None:
    before = image(cmd=("run", "***"), command_sha256="00")
    after = image(cmd=("run", "***"), command_sha256="11")
    assert finding(before, after, "RC504").message.endswith("in an argument that is withheld")
    shown = image(cmd=("walk", "***"), command_sha256="11")
    assert [one.rule for one in findings(before, shown)] == ["RC505"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"cmd": ("a",)}, {"cmd": ("b",)}, 'command: ["a"] → ["b"]'),
        ({"workdir": ""}, {"workdir": "/workspace"}, 'working directory: "" → /workspace'),
        ({"volumes": ()}, {"volumes": ("/data",)}, 'volumes: [] → ["/data"]'),
        ({"user": "root"}, {"user": "app"}, "user: root → app"),
    ],
)
def test_settings(before: Any, after: Any, message: str) -> None:
    found = finding(image(**before), image(**after), "RC505")
    assert (found.severity, found.message) == ("info", message)
    assert findings(image(**before), image(**before)) == ()


def test_labels_and_a_user_that_became_root_are_no_settings() -> None:
    assert findings(image(labels={"a": "1"}), image(labels={"a": "2"})) == ()
    assert findings(image(user="app"), image(user="root"), "RC505") == ()
    assert findings(image(user="app"), snapshot(states={"image": "not-applicable"})) == ()
