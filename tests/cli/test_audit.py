"""``reprocheck audit`` as it is called: exit codes, the first line, one line of error."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reprocheck.model import codec
from reprocheck.model.snapshot import Package
from tests.advisories.serving import OSV, all_advisories, osv, serving, slow
from tests.make import of, package

ROOT = Path(__file__).resolve().parents[2]
LOCAL = package("mine==1.0", origin="file:///src/mine")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reprocheck", "audit", *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def saved(folder: Path, *packages: Package, name: str = "s.json") -> str:
    (folder / name).write_bytes(codec.encode_json(of(*packages)))
    return f"snapshot:{name}"


def test_exit_codes_and_first_lines(tmp_path: Path) -> None:
    files = ("--advisories", str(OSV))
    clean = run(tmp_path, saved(tmp_path, package("numpy==2.0")), *files)
    assert (clean.returncode, clean.stderr) == (0, "")
    assert clean.stdout.startswith("clean  it: no known vulnerability in 1 Python package\n")
    vulnerable = run(tmp_path, saved(tmp_path, package("urllib3==1.26.4")), *files)
    assert (vulnerable.returncode, vulnerable.stderr) == (1, "")
    assert vulnerable.stdout.startswith("vulnerable  it: 3 known vulnerabilities in 1 Python package\n")
    both = run(tmp_path, saved(tmp_path, package("urllib3==1.26.4"), LOCAL), *files)
    assert (both.returncode, both.stderr) == (2, "")
    first = "unaudited  it: 1 of 2 Python packages was not audited; 3 known vulnerabilities in 1 package\n"
    assert both.stdout.startswith(first)
    assert "mine 1.0" in both.stdout
    assert "PYSEC-2021-108" in both.stdout


def test_json_is_the_same_from_a_server_and_from_files(tmp_path: Path) -> None:
    target = saved(tmp_path, package("urllib3==1.26.4"), package("numpy==2.0"), package("py==1.11.0"))
    with serving(osv(*all_advisories())) as url:
        server = run(tmp_path, target, "--service", url, "--format", "json")
    files = run(tmp_path, target, "--advisories", str(OSV), "--format", "json")
    assert (server.returncode, files.returncode) == (1, 1)
    one, other = json.loads(server.stdout), json.loads(files.stdout)
    assert one.pop("service") == {"advisories": None, "newest": None, "kind": "OSV server", "place": url}
    place = {"kind": "OSV files", "place": str(OSV)}
    assert other.pop("service") == {"advisories": 17, "newest": "2024-01-01", **place}
    assert one == other
    assert codec.decode_audit(files.stdout.encode(), "it").verdict == "vulnerable"


def test_an_environment_of_this_machine(tmp_path: Path) -> None:
    ran = run(tmp_path, f"python:{sys.executable}", "--advisories", str(OSV), "--format", "json")
    assert (ran.returncode, ran.stderr) == (2, "")
    told = codec.decode_audit(ran.stdout.encode(), "it")
    assert told.summary.packages > 20
    # The project itself is installed from its checkout, which is no release.
    assert [gap.where.partition(" ")[0] for gap in told.gaps] == ["reprocheck"]


def test_a_baseline(tmp_path: Path) -> None:
    saved(tmp_path, package("urllib3==1.26.4"), name="b.json")
    target = saved(tmp_path, package("urllib3==1.26.4"))
    same = run(tmp_path, target, "--baseline", "b.json", "--advisories", str(OSV))
    assert same.returncode == 0
    assert same.stdout.startswith("clean  it: no new vulnerability in 1 Python package; 3 known before, 0 gone\n")
    grown = run(tmp_path, saved(tmp_path, package("pillow==9.0.0")), "--baseline", "b.json", "--advisories", str(OSV))
    assert grown.returncode == 1
    assert grown.stdout.startswith("vulnerable  it: 1 new vulnerability in 1 Python package; 0 known before, 3 gone\n")


def test_a_service_that_is_down_slow_or_knows_nothing(tmp_path: Path) -> None:
    target = saved(tmp_path, package("urllib3==1.26.4"), package("numpy==2.0"), package("six==1.16.0"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    down = run(tmp_path, target, "--service", url)
    assert (down.returncode, down.stderr) == (2, "")
    assert down.stdout.startswith("unaudited  it: none of 3 Python packages was audited\n")
    assert "the service can't be reached" in down.stdout
    begin = time.monotonic()
    with serving(slow(5)) as url:
        late = run(tmp_path, target, "--service", url, "--service-timeout", "0.3")
    assert time.monotonic() - begin < 15
    assert late.returncode == 2
    assert "no answer within 0.3 seconds" in late.stdout
    with serving(lambda _path, _body: (200, b"{}")) as url:
        empty = run(tmp_path, target, "--service", url)
    assert empty.returncode == 2
    assert "it knows nothing" in empty.stdout
    for one in (down, late, empty):
        assert "no known vulnerability" not in one.stdout


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["--advisories", "nowhere"],
            "nowhere: cannot be read (No such file or directory); name a directory or archive",
        ),
        (["--advisories", "x", "--service", "https://h"], "--service and --advisories: name one of them"),
        (["--service", "h"], "--service h: is no address; write https://HOST"),
        (["--baseline", "nowhere.json", "--advisories", str(OSV)], "nowhere.json: no such file; check the path"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, words: list[str], error: str) -> None:
    ran = run(tmp_path, saved(tmp_path, package("numpy==2.0")), *words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"reprocheck: {error}")
    assert ran.stderr.count("\n") == 1


def test_nothing_in_the_working_directory_is_run_and_nothing_is_left_there(tmp_path: Path) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('ran')")
    (tmp_path / "requests.py").write_text("raise SystemExit('ran')")
    target = saved(tmp_path, package("numpy==2.0"))
    before = sorted(tmp_path.rglob("*"))
    program = "import sys; sys.path.pop(0); from reprocheck.cli.main import main; main(sys.argv[1:])"
    ran = subprocess.run(
        [sys.executable, "-c", program, "audit", target, "--advisories", str(OSV)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert sorted(tmp_path.rglob("*")) == before
