from __future__ import annotations

import ast
import base64
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reprocheck import by_hand, redact
from reprocheck.capture import capture
from reprocheck.errors import TargetError
from reprocheck.probe import collect
from reprocheck.targets import probe
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access
from tests import interpreters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprocheck.model.snapshot import Snapshot

SOURCE = probe.program().decode("utf-8")
TREE = ast.parse(SOURCE)
ALLOWED = set(
    "base64 errno fnmatch functools gc hashlib json os re "  # noqa: SIM905
    "select signal stat struct subprocess sys threading time zlib".split()
)
LIMIT = 32 << 10
"""Half of what a pipe holds: a request comes with it."""
HANG = 60.0
"""Seconds, many times what is needed: who takes that long waits for ever. How long things take, benchmarks tell."""


# Its floor.


def test_its_parts_stand_in_it() -> None:
    assert "reprocheck.probe" not in SOURCE
    for part in Path(collect.__file__).parent.glob("*.py"):
        # What a part imports of another one stands before it.
        text = re.sub(r"^from reprocheck.*\n", "", part.read_text(), flags=re.MULTILINE)
        assert part.name in {"__init__.py", "collect.py"} or SOURCE.count(text) == 1


def test_it_is_small() -> None:
    assert len(probe.sent()) < LIMIT


def test_only_sys_is_imported_before_the_gate() -> None:
    before = []
    for node in TREE.body:
        if isinstance(node, ast.If):
            assert "sys.version_info" in ast.unparse(node.test)
            break
        before.append(node)
    imported = [alias.name for node in before if isinstance(node, ast.Import) for alias in node.names]
    assert imported == ["sys"]
    assert not any(isinstance(node, (ast.ImportFrom, ast.FunctionDef, ast.ClassDef)) for node in before)


def test_it_imports_nothing_but_some_of_the_standard_library() -> None:
    imported = {alias.name for node in ast.walk(TREE) if isinstance(node, ast.Import) for alias in node.names}
    assert [node for node in ast.walk(TREE) if isinstance(node, ast.ImportFrom)] == []
    assert imported == ALLOWED
    assert imported <= set(sys.stdlib_module_names)
    assert "__import__" not in SOURCE


def test_it_has_no_syntax_that_old_pythons_refuse() -> None:
    newer = (ast.JoinedStr, ast.AnnAssign, ast.AsyncFunctionDef, ast.Await, ast.NamedExpr, ast.Nonlocal, ast.YieldFrom)
    assert [node for node in ast.walk(TREE) if isinstance(node, newer)] == []
    functions = [node for node in ast.walk(TREE) if isinstance(node, ast.FunctionDef)]
    assert functions
    for node in functions:
        assert node.returns is None
        assert node.args.kwonlyargs == []
        assert all(argument.annotation is None for argument in node.args.args)


def test_vermin_agrees_on_the_floor(tmp_path: Path) -> None:
    """The part up to the gate must parse on 2.7; what is behind it may ask for 3.6."""
    path = tmp_path / "collect.py"
    path.write_text(SOURCE)
    tool: list[str | Path] = [Path(sys.executable).with_name("vermin"), "--no-tips", "--violations"]
    ran = subprocess.run([*tool, "-t=3.6-", path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    said = subprocess.run([*tool, "-t=3.0-", path], capture_output=True, text=True, check=False)
    assert said.returncode == 1, "vermin must be able to object"


def test_it_compiles_on_python_2() -> None:
    ran = subprocess.run(
        [interpreters.python2(), "-c", "import sys; compile(sys.stdin.read(), 'collect.py', 'exec')"],
        input=SOURCE.encode(),
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize("by", ["file", "standard input"])
def test_python_2_is_told_that_it_is_too_old(by: str, tmp_path: Path) -> None:
    path = tmp_path / "collect.py"
    path.write_text(SOURCE)
    ran = subprocess.run(
        [interpreters.python2(), *([path] if by == "file" else ["-"])],
        input=SOURCE.encode(),
        capture_output=True,
        check=False,
    )
    assert ran.returncode == probe.TOO_OLD_EXIT == collect.TOO_OLD_EXIT
    assert ran.stderr.startswith(probe.TOO_OLD_MARK)
    assert probe.TOO_OLD_MARK.decode() == collect.TOO_OLD_MARK
    assert (probe.too_old(ran.returncode, ran.stderr) or "").startswith("2.7.")
    assert ran.stdout == b""


def test_python_2_through_the_bootstrap_of_the_conversation() -> None:
    _, _, _, *boot = probe.arguments()
    ran = subprocess.run(
        [interpreters.python2(), *boot], input=probe.sent() + b"{}\n", capture_output=True, check=False
    )
    assert ran.returncode == probe.TOO_OLD_EXIT
    assert ran.stderr.startswith(probe.TOO_OLD_MARK)


def test_a_target_of_python_2_gets_one_line() -> None:
    with pytest.raises(TargetError, match=r"^python:\S+: its Python 2\S* is too old to be read; .* 3\.6 and newer$"):
        captured(interpreters.python2())


def test_a_marker_without_the_exit_code_is_not_believed() -> None:
    assert probe.too_old(1, probe.TOO_OLD_MARK + b": 2.7.18\n") is None
    assert probe.too_old(probe.TOO_OLD_EXIT, b"something else") is None


# It runs everywhere, and both ways agree.


def captured(executable: Path, seconds: float = 30) -> Snapshot:
    return capture(Address("python", os.fspath(executable)), Access(seconds=seconds))


def by_hand_evidence(executable: Path, where: Path, **environment: str) -> Path:
    ran = subprocess.run(
        [executable, "-"],
        input=by_hand.program(),
        capture_output=True,
        check=True,
        env={**os.environ, **environment},
        timeout=120,
    )
    where.write_bytes(ran.stdout)
    return where


@pytest.mark.parametrize("minor", interpreters.MINORS)
def test_every_interpreter_is_read(minor: int, tmp_path: Path) -> None:
    executable = interpreters.python(minor)
    snapshot = captured(executable)
    assert snapshot.gaps == ()
    (one,) = snapshot.environments
    assert one.on_path
    assert one.python is not None
    assert one.python.version.startswith(f"3.{minor}.")
    assert one.python.implementation == "cpython"
    assert one.python.abi == f"cpython-3{minor}"
    assert one.python.markers["python_version"] == f"3.{minor}"
    assert any(suffix.endswith(".so") for suffix in one.python.extension_suffixes)
    pip = next(package for package in one.packages if package.name == "pip")
    assert re.fullmatch(r"\d+(\.\d+)+", pip.version)
    assert pip.location == f"{{prefix}}/lib/python3.{minor}/site-packages"
    assert snapshot.system.architecture == os.uname().machine
    assert snapshot.machine.kernel == os.uname().release
    assert snapshot.machine.cpu is not None

    mine = capture(Address("evidence", str(by_hand_evidence(executable, tmp_path / "e"))), Access())
    # In a container the bare probe finds every other interpreter as well.
    (other,) = (found for found in mine.environments if found.on_path)
    assert other.python is not None
    # The search meets several names of one interpreter and takes the shortest.
    renamed = replace(other.python, executable=one.python.executable)
    assert replace(other, python=renamed) == one
    assert (mine.subject.kind, mine.header.route, mine.header.executed) == ("evidence", "probe", True)
    assert mine.machine == snapshot.machine
    assert mine.system == snapshot.system


# It writes nothing and starts nothing.


def files_below(root: Path) -> dict[str, tuple[int, int, int]]:
    """Everything below a directory, with mode, size and time of change."""
    found = {}
    for where, directories, files in os.walk(root):
        for name in (".", *directories, *files):
            status = (Path(where) / name).lstat()
            found[str(Path(where) / name)] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


@pytest.fixture
def laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An environment in which everything that could run at a start leaves a mark; gives the interpreter."""
    executable = interpreters.virtual_environment(interpreters.python(11), tmp_path / "venv")
    site = interpreters.site_packages(executable)
    (tmp_path / "marks").mkdir()
    home = tmp_path / "home"
    (home / ".local/lib/python3.11/site-packages").mkdir(parents=True)
    (tmp_path / "library").mkdir()
    (tmp_path / "work").mkdir()

    def marking(name: str) -> str:
        return f"import os; open(os.path.join({str(tmp_path / 'marks')!r}, {name!r}), 'w').close(); print('noise')\n"

    (site / "sitecustomize.py").write_text(marking("sitecustomize"))
    (site / "usercustomize.py").write_text(marking("usercustomize"))
    (site / "a.pth").write_text(marking("pth"))
    (tmp_path / "library/sitecustomize.py").write_text(marking("library"))
    for module in ("json", "base64", "subprocess", "re"):
        # A module of the target's own in front of the standard library's.
        (tmp_path / f"library/{module}.py").write_text(marking(module))
        (tmp_path / f"work/{module}.py").write_text(marking(f"work-{module}"))
    (tmp_path / "startup.py").write_text(marking("startup"))
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "startup.py"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "library"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    readonly = [home, tmp_path / "work"]
    for where in readonly:
        where.chmod(0o555)
    yield executable
    for where in readonly:
        where.chmod(0o755)


def test_a_capture_writes_nothing_and_runs_no_start_up_file(laid_out: Path, tmp_path: Path) -> None:
    before = files_below(tmp_path)
    snapshot = captured(laid_out)
    assert files_below(tmp_path) == before
    assert list((tmp_path / "marks").iterdir()) == []
    assert [file.executable for file in snapshot.environments[0].pth] == [True]


def test_the_marks_would_be_made_by_an_ordinary_start(laid_out: Path, tmp_path: Path) -> None:
    subprocess.run([laid_out, "-c", "pass"], check=False, capture_output=True)
    assert {path.name for path in (tmp_path / "marks").iterdir()} >= {"pth", "library"}


def test_by_hand_writes_nothing(laid_out: Path, tmp_path: Path) -> None:
    """Isolated, as the documentation has it run; the caller's own command line is the caller's."""
    before = files_below(tmp_path)
    ran = subprocess.run([laid_out, "-ISB", "-"], input=by_hand.program(), capture_output=True, check=True)
    assert b" end\n" in ran.stdout
    assert files_below(tmp_path) == before


def test_by_hand_amid_noise(laid_out: Path, tmp_path: Path) -> None:
    """Without options, the target's start-up prints what it likes around the evidence."""
    for module in ("json", "base64", "subprocess", "re"):
        (tmp_path / f"library/{module}.py").unlink()
        (tmp_path / f"work/{module}.py").unlink()
    evidence = by_hand_evidence(laid_out, tmp_path / "e")
    assert evidence.read_bytes().startswith(b"noise\n")
    snapshot = capture(Address("evidence", str(evidence)), Access())
    assert [one.id for one in snapshot.environments if one.on_path] == [str(tmp_path / "venv")]


# What it reads, want by want.


def ask(*wants: dict[str, Any], found: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """The answer of the code in this process, after JSON."""
    state: dict[str, Any] = {"found": found or {}, "interpreters": {}}
    request = {"wants": list(wants), "marker": "", "seconds": 60}
    told: dict[str, Any] = json.loads(json.dumps(collect.answer(request, collect.Answer(state))))
    return told


def read(at: str, **options: Any) -> dict[str, Any]:
    return ask({"want": "read", "at": at, **options})["files"]  # type: ignore[no-any-return]


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    info = tmp_path / "x-1.0.dist-info"
    info.mkdir()
    os.mkfifo(info / "METADATA")
    assert read(f"{tmp_path}/*.dist-info/METADATA") == {f"{info}/METADATA": {"problem": "not a regular file"}}


def test_a_directory_or_device_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (str(tmp_path), f"{tmp_path}/link"):
        assert read(path) == {path: {"problem": "not a regular file"}}


def test_a_file_of_the_kernel_that_claims_to_be_empty() -> None:
    (file,) = read("/proc/self/status").values()
    assert file["size"] == 0
    assert "Name:" in file["content"]


def test_what_is_missing_has_a_name() -> None:
    assert read("/nonexistent/x") == {"/nonexistent/x": {"problem": "ENOENT"}}
    assert read("/etc/passwd/x") == {"/etc/passwd/x": {"problem": "ENOTDIR"}}
    assert ask({"want": "list", "at": "/nonexistent"})["listings"] == {
        "/nonexistent": {"problem": "ENOENT", "entries": []}
    }


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").symlink_to("nothing")
    assert read(f"{tmp_path}/a") == {f"{tmp_path}/a": {"problem": "ELOOP"}}
    listing = ask({"want": "list", "at": str(tmp_path)})["listings"][str(tmp_path)]
    assert [[name, kind, is_dir, link] for name, kind, _, is_dir, link in listing["entries"]] == [
        ["a", "link", False, "b"],
        ["b", "link", False, "a"],
        ["c", "link", False, "nothing"],
    ]


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 5 << 20])
def test_a_long_file_is_cut_and_says_so(size: int, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * size)
    (file,) = read(str(path), limit=10).values()
    assert (len(file["content"]), file["size"], file["cut"]) == (min(size, 10), size, size > 10)


def test_the_limit_that_no_want_names(tmp_path: Path) -> None:
    """The default of a want is not sent; the probe must have the same."""
    path = tmp_path / "f"
    path.write_bytes(b"x" * ((4 << 20) + 1))
    (file,) = read(str(path)).values()
    assert (len(file["content"]), file["cut"]) == (4 << 20, True)


def test_no_limit_is_beyond_the_probes_own(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with path.open("wb") as file:
        file.truncate(collect.FILE_LIMIT + 1)
    (told,) = read(str(path), limit=1 << 40).values()
    assert (len(told["content"]), told["cut"]) == (collect.FILE_LIMIT, True)


def test_all_files_of_an_answer_have_a_limit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect.Answer, "total_limit", 25)
    for name in "abcd":
        (tmp_path / name).write_bytes(b"x" * 10)
    told = read(f"{tmp_path}/*")
    assert [(len(file["content"]), file["cut"]) for file in told.values()] == [
        (10, False),
        (10, False),
        (5, True),
        (0, True),
    ]


def test_a_file_cut_within_a_url_keeps_no_half_of_its_secret(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("see https://user:hunter2@host/x")
    (file,) = read(str(path), limit=24).values()
    assert file["cut"]
    assert "hun" not in file["content"]


@pytest.mark.parametrize(
    ("raw", "header"),
    [
        (b"Name: x\n\nbody", b"Name: x\n"),
        (b"Name: x\r\n\r\nbody", b"Name: x\r\n"),
        (b"Name: x\n", b"Name: x\n"),
        (b"a" * 70_000 + b"\n\nbody", b"a" * 70_000 + b"\n"),
        (b"a" * 65_535 + b"\n\nbody", b"a" * 65_535 + b"\n"),
        (b"", b""),
    ],
)
def test_a_header_ends_at_the_first_blank_line(raw: bytes, header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "METADATA"
    path.write_bytes(raw)
    (file,) = read(str(path), part="header", limit=1 << 20).values()
    assert (file["content"].encode("latin-1"), file["cut"]) == (header, False)


def test_a_digest(tmp_path: Path) -> None:
    path = tmp_path / "RECORD"
    for raw, lines in ((b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2)):
        path.write_bytes(raw)
        (file,) = read(str(path), part="digest").values()
        assert (file["lines"], file["size"]) == (lines, len(raw))
        assert len(file["sha256"]) == 64


def test_a_huge_file_is_not_digested(tmp_path: Path) -> None:
    """A sparse RECORD of a terabyte would hold up the whole capture."""
    path = tmp_path / "RECORD"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    (told,) = read(str(path), part="digest").values()
    assert told["problem"].startswith("larger than")
    assert "sha256" not in told


def test_names_that_are_not_text(tmp_path: Path) -> None:
    name = b"caf\xe9-1.0.dist-info"
    where = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(where)).mkdir()
    Path(os.fsdecode(where + b"/METADATA")).write_bytes(b"Name: caf\xe9\n\n")
    told = read(f"{tmp_path}/*.dist-info/METADATA", part="header")
    ((path, file),) = told.items()
    assert path.encode("latin-1") == where + b"/METADATA"
    assert file["content"].encode("latin-1") == b"Name: caf\xe9\n"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ["a", "ab", "b[x]"]),
        ("a*", ["a", "ab"]),
        ("?", ["a"]),
        ("[ab]", ["a"]),
        ("b[[]x]", ["b[x]"]),
        (".*", [".hidden"]),
        ("A", []),
    ],
)
def test_patterns(pattern: str, names: list[str], tmp_path: Path) -> None:
    for name in ("a", "ab", "b[x]", ".hidden"):
        (tmp_path / name).write_text("")
    told = read(f"{tmp_path}/{pattern}")
    assert sorted(Path(path).name for path, file in told.items() if file["problem"] is None) == sorted(names)


def test_a_pattern_stays_in_its_component(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_text("")
    assert read(f"{tmp_path}/*/c") == {f"{tmp_path}/a/c": {"problem": "ENOENT"}}
    assert [file["problem"] for file in read(f"{tmp_path}/*/*/c").values()] == [None]


def test_a_want_that_raises_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    told = ask(
        {"want": "read"},
        {"want": "no such want"},
        {"want": "walk", "root": "/"},
        {"want": "process", "variables": ["("]},
        {"want": "read", "at": "/caf\ud800"},
        {"want": "read", "at": f"{tmp_path}/f"},
    )
    assert [error.partition(":")[0] for _, error in told["failed"]] == [
        "KeyError",
        "AttributeError",
        "KeyError",
        "error" if sys.version_info < (3, 13) else "PatternError",
        "UnicodeEncodeError",
    ]
    assert told["files"][f"{tmp_path}/f"]["content"] == "x"
    assert [error.isascii() for _, error in told["failed"]] == [True] * 5


def importable(folder: Path) -> str:
    """A directory from which the probe can be imported as it is sent."""
    (folder / "collect.py").write_text(SOURCE)
    return str(folder)


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); import sys; sys.path.insert(0, sys.argv[1])\n"
    code += "import collect, json; want = {'want': 'process', 'variables': []}\n"
    code += "state = {'found': {}, 'interpreters': {}}\n"
    code += "print(json.dumps(collect.answer({'wants': [want]}, collect.Answer(state))))"
    ran = subprocess.run([sys.executable, "-ISB", "-c", code, importable(tmp_path)], capture_output=True, check=True)
    told = json.loads(ran.stdout)
    assert told["failed"] == []
    assert told["process"]["kernel"] == os.uname().release


def test_variables_are_withheld_unless_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The process's environment as it was handed over, so another process it is.
    code = "import sys, json; sys.path.insert(0, sys.argv[1]); import collect\n"
    code += "want = {'want': 'process', 'variables': json.loads(sys.argv[2])}\n"
    code += "state = {'found': {}, 'interpreters': {}}\n"
    code += "print(json.dumps(collect.answer({'wants': [want]}, collect.Answer(state))))"
    monkeypatch.setenv("MY_SECRET", "hunter2")
    monkeypatch.setenv("NVIDIA_API_KEY", "hunter2")
    monkeypatch.setenv("CUDA_CACHE_PATH", "https://user:hunter2@host/x")
    rules = json.dumps(list(redact.ALLOWED_VARIABLES))
    ran = subprocess.run(
        [sys.executable, "-ISB", "-c", code, importable(tmp_path), rules], capture_output=True, check=True
    )
    variables = json.loads(ran.stdout)["process"]["variables"]
    assert b"hunter2" not in ran.stdout
    assert (variables["MY_SECRET"], variables["NVIDIA_API_KEY"]) == (None, None)
    assert variables["CUDA_CACHE_PATH"] == "https://host/x"


def test_a_command_that_is_missing_fails_or_prints(tmp_path: Path) -> None:
    loud = tmp_path / "loud"
    loud.write_text("#!/bin/sh\necho https://user:hunter2@host/x\nexit 3\n")
    loud.chmod(0o755)
    told = ask({"want": "command", "argv": ["/nonexistent"]}, {"want": "command", "argv": [str(loud)]})["commands"]
    assert told == {
        "/nonexistent": {"problem": "ENOENT"},
        str(loud): {"exit": 3, "output": "https://host/x\n"},
    }


def test_a_command_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "COMMAND_SECONDS", 0.3)
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nsleep 600\n")
    slow.chmod(0o755)
    began = time.monotonic()
    told = ask({"want": "command", "argv": [str(slow)]})["commands"][str(slow)]
    assert time.monotonic() - began < HANG
    assert told["problem"].startswith("no answer in")
    assert gone(tmp_path)


def test_a_command_that_prints_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is bounded, and so is what is held."""
    monkeypatch.setattr(collect, "COMMAND_SECONDS", 2 * HANG)
    monkeypatch.setattr(collect, "COMMAND_LIMIT", 1000)
    loud = tmp_path / "loud"
    loud.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec yes\n")
    loud.chmod(0o755)
    began = time.monotonic()
    told = ask({"want": "command", "argv": [str(loud)]})["commands"][str(loud)]
    assert time.monotonic() - began < HANG
    assert "more than 1000 bytes" in told["problem"]
    assert gone(tmp_path)


def test_an_interpreter_that_is_a_script_is_not_run(tmp_path: Path) -> None:
    script = tmp_path / "python3"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/mark\n")
    script.chmod(0o755)
    told = ask({"want": "interpreter", "at": str(script)})["interpreters"]
    assert told == {str(script): {"problem": "not a program but a script", "real": str(script)}}
    assert not (tmp_path / "mark").exists()


def test_an_interpreter_that_is_another_program(tmp_path: Path) -> None:
    program = tmp_path / "python3"
    shutil.copy(shutil.which("true") or "/bin/true", program)
    told = ask({"want": "interpreter", "at": str(program)})["interpreters"]
    assert told[str(program)]["problem"].startswith("does not start")


def test_an_interpreter_of_python_2_describes_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From any working directory, of which it imports nothing."""
    executable = interpreters.python2()
    (tmp_path / "json.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    (told,) = ask({"want": "interpreter", "at": str(executable)})["interpreters"].values()
    assert told["problem"] is None
    assert told["facts"]["version"].startswith("2.7.")
    assert told["facts"]["base_prefix"] == str(executable.parent.parent)
    assert all(entry.startswith(str(executable.parent.parent)) for entry in told["facts"]["standard_path"])


def walk(root: Path, **options: Any) -> dict[str, Any]:
    want = {
        "want": "walk",
        "root": str(root),
        "search": "always",
        "find": {"python": "python3$", "site": "site-packages$"},
        "leaves": ["site-packages", ".git"],
        "otherwise": {},
        **options,
    }
    return ask(want)


def plant(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("")


def test_a_walk_enters_no_leaves_and_no_links(tmp_path: Path) -> None:
    plant(tmp_path, "a/python3", "lib/site-packages/x/python3", ".git/python3", "b/python3.9", "b/xpython3")
    (tmp_path / "again").symlink_to("a")
    (tmp_path / "round").symlink_to(".")
    told = walk(tmp_path)
    assert told["found"] == {"python": [f"{tmp_path}/a/python3"], "site": [f"{tmp_path}/lib/site-packages"]}
    assert told["walk"]["searched"]
    assert told["walk"]["mounts"] == []


def test_a_walk_enters_no_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "a/python3", "mnt/python3", "mnt/deeper/python3")
    monkeypatch.setattr(collect, "mount_points", lambda: {os.fsencode(tmp_path / "mnt")})
    told = walk(tmp_path)
    assert told["found"]["python"] == [f"{tmp_path}/a/python3"]
    assert told["walk"]["mounts"] == [f"{tmp_path}/mnt"]


def test_the_mounts_of_this_machine() -> None:
    points = collect.mount_points()
    assert b"/proc" in points
    assert b"/" not in points


def test_a_walk_that_is_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "WALK_LIMIT", 3)
    plant(tmp_path, *(f"{name}/{name}" for name in "abcdef"))
    assert walk(tmp_path)["walk"]["reason"] == "stopped after 3 entries"


def test_nothing_is_searched_where_that_is_not_wanted(tmp_path: Path) -> None:
    plant(tmp_path, "a/python3")
    told = walk(tmp_path, search="never", otherwise={"python": [f"{tmp_path}/a/py*", "/nonexistent"]})
    assert told["found"] == {"python": [f"{tmp_path}/a/python3"], "site": []}
    assert not told["walk"]["searched"]


def test_a_directory_without_permission(tmp_path: Path) -> None:
    """As an ordinary user: counted by a walk, a named problem for a list, a read and a half-open directory."""
    plant(tmp_path, "closed/python3", "open/python3", "half/METADATA")
    (tmp_path / "closed").chmod(0)
    (tmp_path / "half").chmod(0o744)
    tmp_path.chmod(0o755)
    for above in tmp_path.parents[:2]:
        above.chmod(above.stat().st_mode | 0o755)
    wants = [
        {
            "want": "walk",
            "root": str(tmp_path),
            "search": "always",
            "find": {"python": "python3$"},
            "leaves": [],
            "otherwise": {},
        },
        {"want": "list", "at": f"{tmp_path}/closed"},
        {"want": "list", "at": f"{tmp_path}/half"},
        {"want": "read", "at": f"{tmp_path}/closed/python3"},
    ]
    request = json.dumps({"wants": wants}).encode()
    code = SOURCE.partition("\nREQUEST = None\n")[0]
    code += "\nprint(json.dumps(answer(json.loads(sys.argv[1]), Answer({'found': {}, 'interpreters': {}}))))\n"
    ordinary: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
    base = interpreters.debian_python() if os.getuid() == 0 else Path(sys.executable)
    try:
        ran = subprocess.run(
            [base, "-ISB", "-", request], input=code.encode(), capture_output=True, check=True, cwd="/", **ordinary
        )
    finally:
        (tmp_path / "closed").chmod(0o755)
        (tmp_path / "half").chmod(0o755)
    told = json.loads(ran.stdout)
    assert told["failed"] == []
    assert told["found"]["python"] == [f"{tmp_path}/open/python3"]
    assert f"{tmp_path}/closed" in told["walk"]["denied"]
    assert told["listings"][f"{tmp_path}/closed"] == {"problem": "EACCES", "entries": []}
    # Its names can be seen, nothing behind them: not the same as an empty directory.
    assert told["listings"][f"{tmp_path}/half"]["problem"] == "EACCES"
    assert told["files"][f"{tmp_path}/closed/python3"] == {"problem": "EACCES"}


@given(st.lists(st.sampled_from([b".so", b".s", b"o", b"\n", b"\r", b"a"]), max_size=12).map(b"".join))
def test_lines_with_a_text_are_those_that_hold_it(raw: bytes) -> None:
    assert list(collect.lines_with(b".so", raw)) == [line for line in raw.split(b"\n") if b".so" in line]


# Credentials.


def test_a_file_that_is_no_text_is_cut_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"\0\1see https://user:hunter2@host/x")
    (file,) = read(str(path), limit=26).values()
    assert (file["content"], file["cut"]) == ("\0\1see https://" + "*" * 12, True)


def test_credentials_do_not_leave_in_any_file(tmp_path: Path) -> None:
    (tmp_path / "direct_url.json").write_text('{"url": "https://user:hunter2@host/x.git"}')
    (tmp_path / "x.pth").write_text("import os; os.environ['X'] = 'https://user:hunter2@host'\n")
    assert "hunter2" not in json.dumps(read(f"{tmp_path}/*"))


# Programs that only bear the name of Python.


def stand_in(where: Path, body: str) -> Path:
    path = where / "python3"
    path.write_text(f"#!/bin/sh\necho $$ > {where}/pid\n{body}\n")
    path.chmod(0o755)
    return path


def group_alive(group: int) -> bool:
    """Whether a process of the group still lives; one that died and was not collected yet does not count."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                return True
    return False


def gone(where: Path) -> bool:
    """Whether the stand-in and all that it started have ended; a killed process needs a moment."""
    group = int((where / "pid").read_text())
    deadline = time.monotonic() + 5
    while group_alive(group):
        if time.monotonic() > deadline:
            os.killpg(group, signal.SIGKILL)
            return False
        time.sleep(0.01)
    return True


FORGER = f"""
import base64, json, re, sys, zlib
sys.stdin.buffer.read({len(probe.sent())})
request = sys.stdin.buffer.readline()
marker = json.loads(request)["marker"]
"""
"""The beginning of a program that reads the request as the probe would."""

HOSTILE = [
    ("hangs", "sleep 600", r"did not answer within 1 s"),
    ("hangs-in-a-child", "sleep 600 &\nwait", r"did not answer within 1 s"),
    ("ignores-the-end-and-signals", "trap '' TERM INT HUP PIPE\nexec 0<&-\nwhile :; do sleep 1; done", None),
    ("exits-at-once", "exit 0", r"does not run as Python \(it printed nothing\)"),
    ("fails", "echo 'no such module' >&2; exit 3", r"does not run as Python \(no such module\)"),
    ("ignores-its-input", "exec 0<&-\nsleep 600", None),
    ("prints-200-mb", "head -c 200000000 /dev/zero", r"printed more than 4 MiB that is no answer"),
    ("prints-to-stderr-for-ever", "yes >&2", r"did not answer within 1 s"),
    ("drips", "while :; do printf x; sleep 0.05; done", r"did not answer within 1 s"),
    ("closes-its-output-and-lives-on", "exec >&-\nsleep 600", r"does not run as Python"),
    ("closes-both-and-lives-on", "exec >&- 2>&-\nsleep 600", r"does not run as Python"),
    ("leaves-a-child-with-the-pipes", "exec 3<&0\nsleep 600 <&3 &\nexit 0", r"did not answer within 1 s"),
    (
        "prints-what-looks-like-an-answer",
        "printf '\\n0123456789abcdef0123456789abcdef begin 4\\ne30=\\n0123456789abcdef0123456789abcdef end\\n'",
        r"does not run as Python",
    ),
    ("echoes-its-input", "exec cat", r"did not answer within 1 s"),
]


@pytest.mark.parametrize(("body", "message"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_program_that_is_no_python(body: str, message: str | None, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(TargetError) as error:
        captured(stand_in(tmp_path, body), seconds=1)
    assert time.monotonic() - began < HANG
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(f"python:{tmp_path}/python3: ")
    assert message is None or re.search(message, line), line
    assert gone(tmp_path)


FRAMES = [
    (
        "cut-and-ended",
        "sys.stdout.write('\\n%s begin 1000\\nAAAA' % marker[::-1])",
        r"ended in the middle of an answer",
    ),
    (
        "cut-and-waiting",
        "sys.stdout.write('\\n%s begin 1000\\nAAAA' % marker[::-1]); sys.stdout.flush(); import time; time.sleep(600)",
        r"did not answer within 2 s",
    ),
    ("too-long", "print('\\n%s begin 9999999999' % marker[::-1])", r"over the limit"),
    ("wrong-tail", "print('\\n%s begin 4\\nAAAA' % marker[::-1] + 'x' * 99)", r"damaged"),
    ("no-base64", "print('\\n%s begin 4\\n!!!!\\n%s end' % (marker[::-1], marker[::-1]))", r"can't be read"),
    ("no-zlib", "print('\\n%s begin 4\\nAAAA\\n%s end' % (marker[::-1], marker[::-1]))", r"can't be read"),
    ("not-reversed", "print('\\n%s begin 4\\nAAAA\\n%s end' % (marker, marker))", r"does not run as Python"),
    ("bomb", "send(zlib.compress(b'[' * (4 << 20)))", r"over the limit"),
    ("deep", "send(zlib.compress(b'[' * 1000000))", r"can't be read"),
    ("no-json", "send(zlib.compress(b'{'))", r"can't be read"),
    ("wrong-type", "send(zlib.compress(b'{\"files\": []}'))", r"can't be read"),
]


@pytest.mark.parametrize(("code", "message"), [row[1:] for row in FRAMES], ids=[row[0] for row in FRAMES])
def test_a_forged_frame(code: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that knows the marker can lie, but not wedge or crash the host."""
    monkeypatch.setattr(probe, "ANSWER_LIMIT", 2 << 20)
    forger = FORGER + (
        "def send(packed):\n"
        "    text = base64.b64encode(packed).decode()\n"
        "    print('\\n%s begin %d\\n%s\\n%s end' % (marker[::-1], len(text), text, marker[::-1]))\n" + code + "\n"
    )
    (tmp_path / "forger.py").write_text(forger)
    with pytest.raises(TargetError, match=message) as error:
        captured(stand_in(tmp_path, f"exec {sys.executable} -ISB {tmp_path}/forger.py"), seconds=2)
    assert "\n" not in str(error.value)
    assert gone(tmp_path)


def test_a_wrapper_with_noise_before_and_after(tmp_path: Path) -> None:
    """As pyenv's shims are, or a launcher that greets on both streams."""
    base = interpreters.python(11)
    greeting = "i=0; while [ $i -lt 3000 ]; do echo 'a greeting of some length, on both streams'; i=$((i+1)); done"
    wrapper = stand_in(
        tmp_path, f'({greeting})\n({greeting}) >&2\n{base} "$@"\ncode=$?\n({greeting})\n({greeting}) >&2\nexit $code'
    )
    through, direct = captured(wrapper), captured(base)
    assert through.environments == direct.environments
    assert through.environments[0].on_path
    assert through.gaps == ()
    assert gone(tmp_path)


def test_an_answer_in_many_pieces_is_put_together() -> None:
    """Whatever the cuts and the noise, the answer is the same."""
    out = {"time": 7, "found": {"x": ["/a"]}}
    packed = base64.b64encode(zlib.compress(json.dumps(out).encode()))

    class Slow:
        sent = b""

        def send(self, data: bytes) -> None:
            self.sent += data
            marker = json.loads(data.removeprefix(probe.sent()))["marker"][::-1].encode()
            frame = b"\n%s begin %d\n%s\n%s end\n" % (marker, len(packed), packed, marker)
            noise = b"noise\n%s begin\n" % marker
            whole = noise + frame
            self.pieces = [whole[i : i + 1] for i in range(len(whole))]

        def receive(self, timeout: float) -> bytes:
            assert timeout > 0
            return self.pieces.pop(0)

    channel = Slow()
    talk = probe.Conversation(channel, "x")
    for _ in range(2):
        answer = talk.ask(())
        assert (answer.time, answer.found) == (7, {"x": ("/a",)})
    assert channel.sent.count(probe.sent()) == 1, "the program is sent once"


def test_the_probe_is_run_isolated() -> None:
    assert probe.arguments()[:4] == ["-I", "-S", "-B", "-c"]


def test_the_mode_of_the_file_does_not_matter() -> None:
    """It is sent as text; nothing relies on it being a program."""
    assert not Path(collect.__file__).stat().st_mode & stat.S_IXUSR
