from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from reprocheck.errors import OutputError
from reprocheck.output import atomic_write, write_output

OLD = b"old contents\n"
NEW = b"new contents\n"
SELF = Path(__file__).parent.parent


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "base.json"
    path.write_bytes(OLD)
    return path


def refusal(path: Path, data: bytes = NEW) -> str:
    with pytest.raises(OutputError) as caught:
        atomic_write(path, data)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def run(
    program: str,
    *arguments: str | Path,
    stdout: int | None = subprocess.PIPE,
    limit: int | None = None,
) -> subprocess.CompletedProcess[bytes]:
    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=SELF,
        preexec_fn=limited,
        timeout=60,
    )


WRITE = """
import os, sys
from pathlib import Path
from reprocheck.errors import OutputError
from reprocheck.output import atomic_write, write_output
try:
    {call}
except OutputError as error:
    sys.exit(f"error: {{error}}")
"""


# --- files ------------------------------------------------------------------------------------------------


def test_a_new_file_gets_the_mode_that_every_new_file_gets(tmp_path: Path) -> None:
    path = tmp_path / "new.json"
    mask = os.umask(0o027)
    try:
        atomic_write(path, NEW)
    finally:
        os.umask(mask)
    assert path.read_bytes() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o755])
def test_an_old_file_keeps_its_mode(old: Path, mode: int) -> None:
    old.chmod(mode)
    atomic_write(old, NEW)
    assert old.read_bytes() == NEW
    assert stat.S_IMODE(old.stat().st_mode) == mode
    assert [*old.parent.iterdir()] == [old]


def test_a_file_is_replaced_and_not_written_over(old: Path) -> None:
    with old.open("rb") as reader:
        atomic_write(old, NEW)
        assert reader.read() == OLD


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_keeps_its_owner(old: Path) -> None:
    os.chown(old, 1234, 4321)
    atomic_write(old, NEW)
    assert (old.stat().st_uid, old.stat().st_gid) == (1234, 4321)


def test_a_link_stays_and_its_target_is_replaced(old: Path) -> None:
    (old.parent / "sub").mkdir()
    link = old.parent / "sub" / "link"
    link.symlink_to("../base.json")
    atomic_write(link, NEW)
    assert link.is_symlink()
    assert old.read_bytes() == NEW
    assert [*link.parent.iterdir()] == [link]


def test_a_dangling_link_is_filled(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("later.json")
    atomic_write(link, NEW)
    assert link.is_symlink()
    assert (tmp_path / "later.json").read_bytes() == NEW


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "is a directory; name a file in it"


def test_a_missing_parent_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "a" / "b"
    assert refusal(missing / "c.json") == f"the directory {missing} does not exist; create it first"
    assert not missing.exists()


def test_a_parent_that_is_a_file_is_refused(old: Path) -> None:
    assert refusal(old / "x.json").startswith("cannot be written (Not a directory)")
    assert old.read_bytes() == OLD


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert refusal(tmp_path / "loop").startswith("cannot be written (Too many levels of symbolic links)")


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / ("x" * 300)).startswith("cannot be written (File name too long)")
    longest = tmp_path / ("x" * 255)
    atomic_write(longest, NEW)
    assert longest.read_bytes() == NEW


def test_a_path_is_shown_without_its_controls(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        atomic_write(tmp_path / "\x1b[2J" / "x", NEW)
    assert "\x1b" not in str(caught.value)
    assert "\\x1b[2J" in str(caught.value)


AS_NOBODY = "os.setgid(65534), os.setuid(65534), " if os.geteuid() == 0 else ""


@pytest.mark.parametrize("what", ["file", "directory"])
def test_what_is_write_protected_is_refused(what: str) -> None:
    # Not below pytest's own directory, which nobody else may enter.
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    path = folder / "base.json"
    try:
        path.write_bytes(OLD)
        path.chmod(0o444 if what == "file" else 0o666)
        folder.chmod(0o777 if what == "file" else 0o555)
        done = run(WRITE.format(call=f"{AS_NOBODY}atomic_write(Path(sys.argv[1]), b'new')"), path)
        assert done.returncode == 1
        says = "is write-protected" if what == "file" else "cannot be written (Permission denied)"
        assert done.stderr.decode().startswith(f"error: {path}: {says}")
        assert path.read_bytes() == OLD
        assert [*folder.iterdir()] == [path]
    finally:
        folder.chmod(0o755)
        path.unlink()
        folder.rmdir()


# --- failures on the way ------------------------------------------------------------------------------------


def test_the_old_file_stays_whole_when_the_space_ends(old: Path) -> None:
    program = WRITE.format(call="atomic_write(Path(sys.argv[1]), b'x' * 1_000_000)")
    done = run(program, old, limit=4096)
    assert done.returncode == 1
    assert done.stderr.decode() == f"error: {old}: cannot be written (File too large); nothing was changed\n"
    assert old.read_bytes() == OLD
    assert [*old.parent.iterdir()] == [old]


@pytest.mark.parametrize("step", ["os.fsync", "os.fchmod", "pathlib.Path.replace"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), MemoryError()]
)
def test_whatever_fails_the_old_file_stays_whole_and_nothing_lies_beside_it(
    old: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    def fail(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(step, fail)
    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
        atomic_write(old, NEW)
    monkeypatch.undo()
    assert old.read_bytes() == OLD
    assert [*old.parent.iterdir()] == [old]


def test_the_contents_are_on_the_disk_before_the_name_is(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        steps.append("sync directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        sync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr("os.fsync", note_sync)
    monkeypatch.setattr("pathlib.Path.replace", note_replace)
    atomic_write(old, NEW)
    assert steps == ["sync file", "rename", "sync directory"]


def test_killed_at_any_moment_the_file_holds_all_of_one_or_all_of_the_other(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    contents = {letter * 300_000 for letter in (b"a", b"b")}
    atomic_write(path, b"a" * 300_000)
    program = WRITE.format(
        call="[atomic_write(Path(sys.argv[1]), letter * 300_000) for _ in range(10**6) for letter in (b'b', b'a')]"
    )
    for number in range(10):
        writer = subprocess.Popen([sys.executable, "-c", program, path], cwd=SELF)
        inode = path.stat().st_ino
        while path.stat().st_ino == inode and writer.poll() is None:
            time.sleep(0.001)
        time.sleep(0.003 * number)
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        assert path.read_bytes() in contents


# --- what cannot be replaced ----------------------------------------------------------------------------------


def test_a_full_device_is_told() -> None:
    path = Path("/dev/full")
    assert refusal(path).startswith("cannot be written (No space left on device)")
    assert stat.S_ISCHR(path.stat().st_mode)


def test_a_device_is_written_in_place() -> None:
    atomic_write(Path("/dev/null"), NEW)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_named_pipe_is_written_in_place(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        atomic_write(pipe, NEW)
        assert reader.communicate(timeout=30)[0] == NEW
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-"])
def test_standard_output_by_any_name(tmp_path: Path, name: str) -> None:
    program = WRITE.format(call="write_output(sys.argv[1], b'new'); print('after')")
    assert run(program, name).stdout == b"newafter\n"
    log = tmp_path / "log"
    log.write_bytes(OLD)
    with log.open("ab") as file:
        assert run(program, name, stdout=file.fileno()).returncode == 0
    assert log.read_bytes() == OLD + b"newafter\n", "a log that is appended to keeps what it held"
    assert [*tmp_path.iterdir()] == [log]


# --- standard output --------------------------------------------------------------------------------------------


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    for name in ("-", "/dev/stdout"):
        program = "import time; time.sleep(0.2)" + WRITE.format(
            call=f"write_output({name!r}, b'x' * 1_000_000); print('y' * 100_000)"
            if name == "-"
            else f"write_output({name!r}, b'x' * 1_000_000)"
        )
        read, write = os.pipe()
        os.close(read)
        done = run(program, stdout=write)
        os.close(write)
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_standard_output_is_told_once() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(WRITE.format(call="write_output('-', b'x')"), stdout=full.fileno())
    assert done.stderr.decode() == "error: standard output: cannot be written (No space left on device)\n"
    assert done.returncode == 1


def test_a_closed_standard_output_is_told() -> None:
    done = run("import sys; sys.stdout = None" + WRITE.format(call="write_output('-', b'x')"))
    assert done.stderr.decode().startswith("error: standard output: is closed")


def test_what_was_printed_before_comes_before(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    sys.stdout.write("first ")
    write_output("-", "é\x00".encode())
    assert capfdbinary.readouterr().out == "first é\x00".encode()
