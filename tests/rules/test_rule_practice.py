from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reprocheck import rules
from reprocheck.compare import Question, compare
from reprocheck.model.policy import Policy
from reprocheck.model.report import Finding
from reprocheck.model.snapshot import Accelerator, Container, Driver, Framework, Image, Machine, Mount, Snapshot
from reprocheck.policy import PolicyFile
from reprocheck.rules import practice
from tests.make import KNOWLEDGE, environment, finding, findings, package, snapshot

DATA = Mount(destination="/data", kind="bind", writable=True, lasting=True)
GOOD = Container(memory_bytes=1 << 30, mounts=(DATA,), services=())
GPU = Framework(name="tensorflow", version="2.9.0", environment="/usr", built_with={"cuda": "11.2"})


def container(
    settings: Image | None = None, *frameworks: Framework, driver: str | None = None, **fields: Any
) -> Snapshot:
    """A container in which nothing is to be remarked, but for what is said."""
    made = snapshot(
        environment(),
        kind="container",
        states={"accelerator": "complete"},
        image=settings or Image(user="1000"),
        accelerator=Accelerator(frameworks=frameworks),
        machine=Machine(driver=Driver(version=driver, source="x") if driver else None),
    )
    return replace(made, provenance=replace(made.provenance, container=replace(GOOD, **fields)))


def examined(target: Snapshot, code: str | None = None) -> list[Finding]:
    return [one for one in rules.examine(target, KNOWLEDGE) if code in {None, one.rule}]


def test_good_practice() -> None:
    assert examined(container()) == []
    assert examined(container(None, GPU, gpus=True)) == []


def test_an_image_is_judged_by_what_is_an_images() -> None:
    assert examined(snapshot(image=Image(user="1000"))) == []
    bare = snapshot(image=Image(notebook="open", exposed_ports=("22/tcp",)))
    assert [one.rule for one in examined(bare)] == ["RC953", "RC952", "RC951"]
    assert examined(snapshot(states={"image": "not-applicable"})) == []


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("", "runs as root: no user is configured"),
        ("root", "runs as root (user root)"),
        ("0:100", "runs as root (user 0:100)"),
        ("1000", None),
        ("app:0", None),
    ],
)
def test_root(user: str, message: str | None) -> None:
    found = examined(container(Image(user=user)), "RC951")
    assert [(one.severity, one.message) for one in found] == ([("minor", message)] if message else [])


@pytest.mark.parametrize(
    ("settings", "fields", "severity", "message"),
    [
        ({"exposed_ports": ("22/tcp",)}, {}, "minor", "SSH: port 22 is exposed"),
        ({"cmd": ("/usr/sbin/sshd", "-D")}, {}, "minor", "SSH: sshd is run"),
        ({}, {"services": ("sshd",)}, "minor", "SSH: sshd is run"),
        (
            {"exposed_ports": ("22/tcp",)},
            {"services": ("sshd",), "published": ("0.0.0.0:2222->22/tcp",)},
            "major",
            "SSH: sshd is run, port 22 is published (0.0.0.0:2222->22/tcp)",
        ),
        ({}, {"published": ("127.0.0.1:22->22/tcp",)}, "minor", "SSH: port 22 is published (127.0.0.1:22->22/tcp)"),
        ({}, {"published": (":::22->22/tcp",)}, "major", "SSH: port 22 is published (:::22->22/tcp)"),
        ({"exposed_ports": ("2222/tcp", "22/udp")}, {"published": ("0.0.0.0:22->80/tcp",)}, None, None),
    ],
)
def test_ssh(settings: Any, fields: Any, severity: str | None, message: str | None) -> None:
    found = examined(container(Image(user="1000", **settings), **fields), "RC952")
    assert [(one.severity, one.message) for one in found] == ([(severity, message)] if severity else [])


def test_jupyter() -> None:
    (found,) = examined(container(Image(user="1000", notebook="open")))
    assert (found.rule, found.severity) == ("RC953", "major")
    assert found.message == "Jupyter is started without a token and a password"
    (found,) = examined(container(Image(user="1000", notebook="open"), published=("0.0.0.0:8888->8888/tcp",)))
    assert found.message.endswith("; published: 0.0.0.0:8888->8888/tcp")
    assert examined(container(Image(user="1000", notebook="closed"))) == []


def test_memory() -> None:
    (found,) = examined(container(memory_bytes=None))
    assert (found.rule, found.severity, found.subject.kind) == ("RC954", "minor", "container")


@pytest.mark.parametrize(
    ("frameworks", "fields", "driver", "fires"),
    [
        ((GPU,), {}, None, True),
        ((GPU,), {}, "none", True),
        ((GPU,), {"gpus": True}, None, False),
        ((GPU,), {}, "525.60.13", False),
        ((replace(GPU, built_with={}),), {}, None, False),
        ((replace(GPU, built_with=None),), {}, None, False),
        ((), {}, None, False),
    ],
)
def test_gpus(frameworks: Any, fields: Any, driver: str | None, fires: bool) -> None:
    found = examined(container(None, *frameworks, driver=driver, **fields), "RC955")
    said = "no GPU was passed in, and tensorflow 2.9.0 is built for GPUs"
    assert [(one.severity, one.message) for one in found] == ([("major", said)] if fires else [])


@pytest.mark.parametrize(
    ("mounts", "fires"),
    [
        ((), True),
        ((replace(DATA, writable=False),), True),
        ((replace(DATA, kind="tmpfs", lasting=False),), True),
        ((replace(DATA, kind="volume", lasting=False),), True),
        ((replace(DATA, writable=False), replace(DATA, kind="volume")), False),
    ],
)
def test_data(mounts: Any, fires: bool) -> None:
    found = examined(container(mounts=mounts), "RC956")
    assert [one.severity for one in found] == (["minor"] if fires else [])
    assert all(("without a name: /data" in one.message) == any(m.kind == "volume" for m in mounts) for one in found)


def test_privileges() -> None:
    (found,) = examined(container(privileged=True, engine_socket=True))
    assert (found.rule, found.severity) == ("RC957", "major")
    assert found.message == "can do on the host what root can: it is privileged and the engine's socket is mounted"
    assert [one.rule for one in examined(container(engine_socket=True))] == ["RC957"]


def test_each_tells_a_repair() -> None:
    worst = container(
        Image(notebook="open", exposed_ports=("22/tcp",)), GPU, memory_bytes=None, mounts=(), privileged=True
    )
    found = examined(worst)
    assert sorted(one.rule for one in found) == [rule.code for rule in practice.RULES]
    assert all(one.fix is not None for one in found)
    assert [one.severity for one in found] == ["major"] * 3 + ["minor"] * 4


def test_states_are_no_drift_unless_the_policy_asks() -> None:
    before, after = container(), container(Image(user="1000"), memory_bytes=None)
    assert findings(before, after) == ()
    assert compare(before, after, Question(level="stack")).findings == ()
    policy = PolicyFile(path=Path("p.toml"), digest="", policy=Policy(practice=True))
    asked = Question(level="stack", fail_on="minor", policy=policy)
    report = compare(before, after, asked)
    assert ([one.rule for one in report.findings], report.verdict) == (["RC954"], "drift")
    assert compare(after, after, asked).verdict == "drift"
    assert compare(after, before, asked).verdict == "verified"


def test_how_a_container_is_started_is_no_difference() -> None:
    before = container()
    after = container(privileged=True, published=("0.0.0.0:1->1/tcp",), network="host")
    assert findings(before, after) == ()


def test_a_package_changes_beside_a_state() -> None:
    before = replace(container(), environments=(environment(package("a==1.0")),))
    after = replace(container(memory_bytes=None), environments=(environment(package("a==2.0")),))
    assert finding(before, after, "RC101").subject.name == "a"
