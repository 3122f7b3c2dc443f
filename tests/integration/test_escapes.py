"""Text of a target can't write to the terminal: no output holds a control character but the ends of its lines."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests.integration.running import Bench, Ran

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]

CLEAR, CLIPBOARD, TITLE, C1, OVERRIDE = (
    "\x1b[2J\x1b[H",
    "\x1b]52;c;cm0gLXJmIH4=\x07",
    "\x1b]0;owned\x07",
    "\x9b31m",
    "\u202e",
)
ENVIRONMENT = f"/opt/{CLEAR}{TITLE}{OVERRIDE}{C1}"
NAMES = [
    f"clear{CLEAR}",
    "clipboard",
    "title",
    "bell",
    "return",
    f"control{C1}",
    f"override{OVERRIDE}txt.exe",
    "asking",
]


def _harmful(text: str) -> set[str]:
    """Control characters, those that turn or hide text, and ends of lines that are none."""
    return {one for one in text if unicodedata.category(one) in {"Cc", "Cf", "Zl", "Zp"} and one != "\n"}


def _harmless(ran: Ran) -> Ran:
    assert _harmful(ran.stdout) == set(), ran.words
    assert _harmful(ran.stderr) == set(), ran.words
    return ran


@pytest.fixture(scope="module")
def target(image: Image, bench: Bench) -> Container:
    """A running container of the image, with names of its own."""
    return bench.start(
        image("escapes"),
        environment={f"OWN{CLEAR}": "x", "CUDA_HOME": f"/cuda{TITLE}", f"CUDA_{OVERRIDE}": C1},
        labels={f"own{CLIPBOARD}": "x", "org.opencontainers.image.version": f"1{OVERRIDE}"},
        working_dir=f"/{CLEAR}",
    )


@pytest.fixture(params=["image", "container"])
def word(request: pytest.FixtureRequest, image: Image, target: Container) -> str:
    """The target on the command line."""
    return f"image:{image('escapes')}" if request.param == "image" else f"container:{target.name}"


def test_each_route_gives_the_same_text(run_reprocheck: Run, image: Image) -> None:
    """So that what the default route shows below holds for all."""
    if os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")
    told = []
    for route in ("storage", "container", "save"):
        words = ("capture", f"image:{image('escapes')}", "--route", route)
        text = _harmless(run_reprocheck(*words)).ended(0).stdout
        told.append(text.splitlines()[:-1])
    assert told[0] == told[1] == told[2]


def test_the_escapes_are_there(image: Image, target: Container, engine: docker.DockerClient) -> None:
    # Else no test below could fail.
    config = engine.images.get(image("escapes")).attrs["Config"]
    assert f"NA{CLEAR[:4]}ME=x" in config["Env"]
    assert config["Cmd"][0] == f"/bin/{CLEAR[:4]}"
    assert any("\x1b[2Jcleared\x07" in entry["CreatedBy"] for entry in engine.images.get(image("escapes")).history())
    told = json.dumps(target.attrs["Config"])
    assert all(json.dumps(one)[1:-1] in told for one in (CLEAR, CLIPBOARD, TITLE, OVERRIDE, C1))
    code, listing = target.exec_run(["sh", "-c", "ls -N /opt /usr/local/lib/python3.*/*-packages; cat /etc/os-release"])
    assert code == 0
    assert isinstance(listing, bytes)
    assert {CLEAR.encode(), CLIPBOARD.encode(), OVERRIDE.encode(), C1.encode(), b"\r", b"\x9b31m", b"caf\xe9"} == {
        one
        for one in (CLEAR.encode(), CLIPBOARD.encode(), OVERRIDE.encode(), C1.encode(), b"\r", b"\x9b31m", b"caf\xe9")
        if one in listing
    }


def test_capture(run_reprocheck: Run, word: str, tmp_path: Path) -> None:
    text = _harmless(run_reprocheck("capture", word)).ended(0).stdout
    assert r"Debian\x1b[2J\x1b[H GNU/Linux 11" in text
    assert r"/opt/\x1b[2J\x1b[H\x1b]0;owned\x07\u202e\x9b31m (venv)" in text
    ran = run_reprocheck("capture", word, "--format", "json", "--evidence", tmp_path / "e", "--debug")
    _harmless(ran).ended(0)
    assert _harmful((tmp_path / "e").read_text()) == set()
    replayed = _harmless(run_reprocheck("capture", f"evidence:{tmp_path / 'e'}", "--format", "json")).ended(0)
    assert replayed.stdout == ran.stdout
    _harmless(run_reprocheck("capture", f"evidence:{tmp_path / 'e'}")).ended(0)


def test_what_json_shows_as_an_escape_is_the_value_itself(run_reprocheck: Run, word: str) -> None:
    document = run_reprocheck("capture", word, "--format", "json").ended(0).json
    environments = {one["id"]: one for one in document["environments"]}
    assert set(environments) == {"/usr", ENVIRONMENT}
    packages = {one["name"]: one for one in environments["/usr"]["packages"]}
    shown = {one["display_name"] or one["name"] for one in packages.values()}
    assert set(NAMES) <= shown
    assert packages["clipboard"]["version"] == f"1.0{CLIPBOARD}"
    assert packages["bell"]["version"] == "1.0\x07"
    # What is no UTF-8 is an escape in the value as well.
    assert r"caf\xe9" in packages
    assert packages["asking"]["origin"] == f"https://example.invalid/{CLEAR[:4]}{OVERRIDE}.whl"
    assert packages["asking"]["installer"] == f"pip{TITLE}{OVERRIDE}"
    files = {one["path"].rpartition("/")[2] for one in environments["/usr"]["pth"]}
    assert {f"{CLEAR}.pth", f"{CLIPBOARD}.pth", "\rx.pth", r"\x9b31m.pth", f"{C1}.pth", f"{OVERRIDE}.pth"} <= files
    assert document["system"]["os"]["pretty_name"] == f"Debian{CLEAR} GNU/Linux 11"
    assert document["image"]["labels"]["org.opencontainers.image.title"] == CLIPBOARD
    assert document["image"]["labels"]["lab\x1b[2Jel"] is None
    assert document["image"]["volumes"] == ["/opt/\x1b[2J\rwrong"]
    assert document["variables"]["PYTHONPATH"] == f"/opt/{TITLE}{OVERRIDE}"
    assert document["variables"]["NA\x1b[2JME"] is None
    instructions = [one["instruction"] for one in document["provenance"]["layers"]]
    assert "RUN echo '\x1b[2Jcleared\x07' > /opt/cleared" in instructions


def test_lock_verify_and_diff(run_reprocheck: Run, word: str, image: Image, tmp_path: Path) -> None:
    baseline, base = tmp_path / "b", f"image:{image('base')}"
    refused = _harmless(run_reprocheck("lock", word, "-o", baseline)).ended(2)
    assert "asking" in refused.stderr
    _harmless(run_reprocheck("lock", word, "-o", baseline, "--force", "--allow-gaps", "environments")).ended(0)
    assert _harmful(baseline.read_text()) == set()
    altered = tmp_path / "altered"
    altered.write_text(json.dumps(_altered(json.loads(baseline.read_bytes()))))
    for words, code, findings in (
        (("verify", word, "--baseline", baseline), 0, False),
        (("verify", word, "--baseline", altered), 1, True),
        (("diff", base, word), 1, True),
        (("diff", word, base), 1, True),
        (("diff", f"snapshot:{altered}", word), 1, True),
        (("diff", word, f"snapshot:{altered}"), 1, True),
    ):
        ran = _harmless(run_reprocheck(*words, "--format", "json"))
        assert bool(ran.json["findings"]) == findings
        # A requirement that is none can't be judged: where that is a gap, `verify` can't be content.
        expected = 2 if words[0] == "verify" and ran.json["gaps"] else code
        ran.ended(expected)
        for options in ((), ("--all",), ("--fail-on", "info", "--debug")):
            assert _harmless(run_reprocheck(*words, *options)).ended(expected).stdout
    shown = run_reprocheck("diff", base, word, "--all").stdout
    for one in (
        r"clear\x1b[2j\x1b[h",
        r"1.0\x1b]52;c;cm0gLXJmIH4=\x07",
        r"\u202e",
        r"\x9b31m",
        r"NA\x1b[2JME",
        r"\x0d",
    ):
        assert one in shown, one
    subjects = {
        one["subject"]["name"] for one in run_reprocheck("diff", base, word, "--format", "json").json["findings"]
    }
    assert {f"clear{CLEAR}".lower(), f"control{C1}", ENVIRONMENT, f"NA{CLEAR[:4]}ME"} <= subjects


def _altered(document: Any) -> Any:
    """The same snapshot with other versions and values, as hostile as the real ones."""
    for environment in document["environments"]:
        for package in environment["packages"]:
            package["version"] += f"{TITLE}{OVERRIDE}"
            package["origin"] = f"https://example.invalid/{CLIPBOARD}"
    for package in document["os_packages"]:
        package["version"] += C1
    document["image"] |= {"user": CLEAR, "entrypoint": [TITLE], "workdir": OVERRIDE, "exposed_ports": [CLIPBOARD]}
    document["variables"] |= {"PYTHONPATH": C1, f"GONE{CLEAR}": CLEAR}
    document["system"]["os"] |= {"id": CLEAR, "version_id": TITLE, "pretty_name": OVERRIDE}
    document["system"]["libc"]["version"] = CLIPBOARD
    document["header"]["note"] = CLEAR
    return document


def test_explain(run_reprocheck: Run, word: str) -> None:
    for name in (*NAMES, r"caf\xe9", "inner"):
        assert _harmless(run_reprocheck("explain", word, name)).ended(0).stdout
        assert _harmless(run_reprocheck("explain", word, name, "--format", "json")).ended(0).json
    assert r"\x1b[2J" in _harmless(run_reprocheck("explain", word, f"none{CLEAR}")).refused()


def test_what_a_program_says_that_is_no_python(run_reprocheck: Run, image: Image, own_bench: Bench) -> None:
    said = f"{CLEAR}{CLIPBOARD}{C1}{OVERRIDE}\x0b"
    program = f"#!/bin/sh\nprintf '%s' '{said}'\nprintf '%s\\n' '{said}' >&2\nexit 3\n"
    built = own_bench.build(f"FROM {image('base')}\nCOPY python3 /usr/local/bin/python3\n", {"python3": program})
    for words in ((f"image:{built}", "--route", "container"), (f"container:{own_bench.start(built).name}",)):
        assert r"\x1b[2J" in _harmless(run_reprocheck("capture", *words)).refused()
        _harmless(run_reprocheck("capture", *words, "--debug")).ended(2)


def test_what_the_caller_says(run_reprocheck: Run, image: Image, tmp_path: Path) -> None:
    """Words of the command line come from scripts, which may have them from anywhere."""
    hostile = f"x{CLEAR}{CLIPBOARD}{OVERRIDE}\rwrong"
    snapshot = tmp_path / f"{hostile}.json"
    run_reprocheck("capture", f"image:{image('small')}", "-o", snapshot).ended(0)
    assert _harmless(run_reprocheck("verify", snapshot, "--baseline", snapshot)).ended(0).stdout
    assert _harmless(run_reprocheck("verify", snapshot, "--baseline", snapshot, "--format", "json")).ended(0).stdout
    for words in (
        ("capture", f"image:{hostile}"),
        ("capture", f"container:{hostile}"),
        ("capture", f"python:{tmp_path / hostile}"),
        ("capture", hostile),
        ("capture", f"snapshot:{tmp_path / hostile}"),
        ("capture", f"image:{image('small')}", "--engine", hostile),
        ("capture", f"image:{image('small')}", "-o", f"{tmp_path / hostile}/x"),
        ("verify", snapshot, "--baseline", tmp_path / hostile),
        ("verify", snapshot, "--baseline", snapshot, "--write", hostile),
        ("verify", snapshot, "--baseline", snapshot, "--env", hostile),
        ("verify", snapshot, "--baseline", snapshot, "--env", f"{hostile}={hostile}"),
        ("verify", snapshot, "--baseline", snapshot, "--level", hostile),
        ("rule", hostile),
        (hostile,),
        ("capture", "x", f"--{hostile}"),
    ):
        assert _harmless(run_reprocheck(*words)).refused()
