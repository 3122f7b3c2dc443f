"""The layer cache: what was read once and is what its digest says, whole, or not there."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reprocheck.layers import cache
from reprocheck.layers.cache import LayerCache
from reprocheck.layers.index import LayerIndex
from tests.integration.running import ROOT
from tests.layers.archives import directory, file, index, link

NAME = "layers-2.sqlite"


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def an_index(number: int = 0, entries: int = 3) -> LayerIndex:
    return index(
        directory(b"d"), *(file(b"d/%d-%d" % (number, each), b"x") for each in range(entries)), link(b"l", b"d")
    )


def kept(number: int, size: int = 10) -> dict[int, bytes]:
    return {number: bytes([number % 251]) * size}


@pytest.fixture
def layers(tmp_path: Path) -> LayerCache:
    return LayerCache(tmp_path / "cache")


def test_what_was_stored_is_loaded(layers: LayerCache, tmp_path: Path) -> None:
    layers.store(digest(1), an_index(1), kept(1))
    layers.store(digest(2), an_index(2), {})
    for each in (layers, LayerCache(tmp_path / "cache")):
        assert each.load(digest(1)) == (an_index(1), kept(1))
        assert each.load(digest(2)) == (an_index(2), {})


def test_what_was_not_stored_is_not_there(layers: LayerCache, tmp_path: Path) -> None:
    assert layers.load(digest(1)) is None
    assert not (tmp_path / "cache").exists(), "looking makes nothing"
    layers.store(digest(1), an_index(), {})
    assert layers.load(digest(2)) is None
    assert layers.load("") is None


def test_problems_are_kept(layers: LayerCache) -> None:
    found = index(file(b"x"), file(b"x"))
    assert found.problems
    layers.store(digest(1), found, {})
    loaded = layers.load(digest(1))
    assert loaded is not None
    assert loaded[0].problems == found.problems


def test_contents_that_come_later_are_added(layers: LayerCache) -> None:
    layers.store(digest(1), an_index(), {1: b"one"})
    layers.store(digest(1), an_index(), {2: b"two"})
    assert layers.load(digest(1)) == (an_index(), {1: b"one", 2: b"two"})


def test_the_directory_is_the_users_own(layers: LayerCache, tmp_path: Path) -> None:
    layers.store(digest(1), an_index(), {})
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


@pytest.fixture
def loose(tmp_path: Path) -> Iterator[Path]:
    """A place in which everybody may read and write what is made."""
    before = os.umask(0)
    yield tmp_path / "cache"
    os.umask(before)


def modes(place: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in place.iterdir()}


def test_its_files_are_the_users_own_whatever_the_umask(loose: Path) -> None:
    LayerCache(loose).store(digest(1), an_index(), {})
    assert modes(loose) == {0o600}
    assert loose.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("use", ["load", "store", "count", "lacking"])
def test_what_stands_there_with_a_wider_mode_is_made_the_users_own(loose: Path, use: str) -> None:
    LayerCache(loose).store(digest(1), an_index(), {})
    with closing(sqlite3.connect(loose / NAME)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("select count(*) from layers").fetchone()
        loose.chmod(0o777)
        for path in loose.iterdir():
            path.chmod(0o644)
        assert len(modes(loose)) == 1
        assert len(list(loose.iterdir())) == 3, "with a log and its index"
        layers = LayerCache(loose)
        match use:
            case "load":
                assert layers.load(digest(1)) is not None
            case "store":
                layers.store(digest(2), an_index(), {})
            case "count":
                assert layers.count() == 1
            case _:
                assert layers.lacking([digest(1)]) == []
        assert modes(loose) == {0o600}
        assert loose.stat().st_mode & 0o777 == 0o700


def test_while_it_is_written_its_journal_is_the_users_own(loose: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(LayerCache, "_trim", lambda *_: seen.append(modes(loose)))
    for number in range(2):
        LayerCache(loose).store(digest(number), an_index(), kept(number))
    assert seen == [{0o600}] * 2


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache.directory() == Path("/elsewhere/reprocheck")
    # A relative path is to be taken for none.
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache.directory() == Path("/home/me/.cache/reprocheck")


# A place that is somebody else's.


def all_of(place: Path) -> None:
    """All that is done with a cache."""
    layers = LayerCache(place)
    layers.store(digest(1), an_index(1), kept(1))
    assert layers.load(digest(1)) is None
    assert (layers.count(), layers.lacking([digest(1)])) == (0, [digest(1)])


@pytest.mark.parametrize("name", [NAME, NAME + "-journal", NAME + "-wal"])
def test_a_link_in_the_place_of_a_file_is_not_followed(name: str, tmp_path: Path) -> None:
    place, victim = tmp_path / "cache", tmp_path / "victim"
    place.mkdir(0o700)
    (place / name).symlink_to(victim)
    all_of(place)
    assert not victim.exists(), "a dangling link makes nothing"
    victim.write_bytes(b"")
    victim.chmod(0o644)
    all_of(place)
    assert (victim.read_bytes(), victim.stat().st_mode & 0o777) == (b"", 0o644)
    assert cache.refusal(place) == f"{place / name} is a symbolic link"


def test_another_name_of_a_file_is_not_written_to(tmp_path: Path) -> None:
    place, victim = tmp_path / "cache", tmp_path / "victim"
    place.mkdir(0o700)
    victim.write_bytes(b"")
    victim.chmod(0o644)
    (place / NAME).hardlink_to(victim)
    all_of(place)
    assert (victim.read_bytes(), victim.stat().st_mode & 0o777) == (b"", 0o644)


def test_a_link_in_the_place_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    place, victim = tmp_path / "cache", tmp_path / "victim"
    victim.mkdir(0o755)
    place.symlink_to(victim)
    all_of(place)
    assert (list(victim.iterdir()), victim.stat().st_mode & 0o777) == ([], 0o755)
    assert cache.refusal(place) == f"{place} is a symbolic link"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("whose", ["cache", f"cache/{NAME}"])
def test_what_belongs_to_another_user_is_not_used(whose: str, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    LayerCache(place).store(digest(1), an_index(1), kept(1))
    os.chown(tmp_path / whose, 54321, 54321)
    (tmp_path / whose).chmod(0o755)
    all_of(place)
    assert (tmp_path / whose).stat().st_mode & 0o777 == 0o755
    assert cache.refusal(place) == f"{tmp_path / whose} belongs to user 54321"


# Files that are not what they should be.


def test_every_kind_of_damage_to_the_file(layers: LayerCache, tmp_path: Path) -> None:
    """Whatever byte is wrong: what is loaded is what was stored, or nothing."""
    layers.store(digest(1), an_index(1, 200), kept(1, 20_000))
    path = tmp_path / "cache" / NAME
    whole = path.read_bytes()
    chance = random.Random(3)
    lost = 0
    for _ in range(150):
        raw = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(raw))
            raw[at : at + chance.randint(1, 30)] = bytes([chance.randrange(256)])
        path.write_bytes(raw[: chance.choice((len(raw), len(raw), chance.randrange(len(raw))))])
        loaded = LayerCache(tmp_path / "cache").load(digest(1))
        assert loaded in (None, (an_index(1, 200), kept(1, 20_000)))
        lost += loaded is None
    assert lost > 20
    path.write_bytes(whole)
    assert layers.load(digest(1)) is not None


def test_a_row_that_was_changed_is_taken_out(layers: LayerCache, tmp_path: Path) -> None:
    layers.store(digest(1), an_index(), kept(1))
    layers.store(digest(2), an_index(), kept(2))
    with closing(sqlite3.connect(tmp_path / "cache" / NAME)) as connection, connection:
        (content,) = connection.execute("select content from layers where digest = ?", (digest(1),)).fetchone()
        connection.execute("update layers set content = ? where digest = ?", (content + b"x", digest(1)))
    assert layers.load(digest(1)) is None
    with closing(sqlite3.connect(tmp_path / "cache" / NAME)) as connection:
        assert connection.execute("select digest from layers").fetchall() == [(digest(2),)]
    layers.store(digest(1), an_index(), kept(3))
    assert layers.load(digest(1)) == (an_index(), kept(3))


@pytest.mark.parametrize(
    "content", [b"", b"x", msgspec.msgpack.encode([b"x", {}]), msgspec.msgpack.encode({"a": 1}), "text", 7]
)
def test_a_row_of_something_else(layers: LayerCache, tmp_path: Path, content: bytes | str | int) -> None:
    """With the right checksum: as another version of the format would have it."""
    layers.store(digest(1), an_index(), kept(1))
    with closing(sqlite3.connect(tmp_path / "cache" / NAME)) as connection, connection:
        sha256 = hashlib.sha256(content if isinstance(content, bytes) else b"").digest()
        connection.execute("update layers set content = ?, sha256 = ?", (content, sha256))
    assert layers.load(digest(1)) is None
    layers.store(digest(1), an_index(), kept(1))
    assert layers.load(digest(1)) == (an_index(), kept(1))


def test_a_file_of_another_kind(layers: LayerCache, tmp_path: Path) -> None:
    path = tmp_path / "cache" / NAME
    path.parent.mkdir()
    path.write_bytes(b"somebody else's\n" * 1000)
    before = path.read_bytes()
    assert layers.load(digest(1)) is None
    layers.store(digest(1), an_index(), {})
    assert layers.load(digest(1)) is None
    assert path.read_bytes() == before, "it is nobody's to replace"


def test_tables_of_another_shape(layers: LayerCache, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    with closing(sqlite3.connect(tmp_path / "cache" / NAME)) as connection, connection:
        connection.execute("create table layers (other text)")
    assert layers.load(digest(1)) is None
    layers.store(digest(1), an_index(), {})
    assert layers.load(digest(1)) is None


def test_another_version_of_the_format_has_a_file_of_its_own(layers: LayerCache, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    other = tmp_path / "cache/layers-3.sqlite"
    other.write_bytes(b"the next one's")
    layers.store(digest(1), an_index(), {})
    assert layers.load(digest(1)) is not None
    assert other.read_bytes() == b"the next one's"


@pytest.mark.parametrize(
    "way", ["a file in place of the directory", "a directory in place of the file", "a broken link"]
)
def test_places_that_can_not_be_written(layers: LayerCache, tmp_path: Path, way: str) -> None:
    place = tmp_path / "cache"
    if way == "a file in place of the directory":
        place.write_bytes(b"")
    elif way == "a directory in place of the file":
        (place / NAME).mkdir(parents=True)
    else:
        place.symlink_to("nowhere/at/all")
    assert layers.load(digest(1)) is None
    layers.store(digest(1), an_index(), {})
    assert layers.load(digest(1)) is None


_READ_ONLY = """
import sys
from pathlib import Path
from typing import Any
from reprocheck.layers.cache import LayerCache
from tests.layers.test_cache import an_index, digest, kept
layers = LayerCache(Path(sys.argv[1]))
print(layers.load(digest(1)) == (an_index(1), kept(1)), layers.load(digest(2)))
layers.store(digest(2), an_index(2), kept(2))
print(layers.load(digest(2)))
"""


def test_a_directory_that_is_read_only(layers: LayerCache, tmp_path: Path) -> None:
    layers.store(digest(1), an_index(1), kept(1))
    place = tmp_path / "cache"
    before = (place / NAME).read_bytes()
    for path, mode in ((place / NAME, 0o444), (place, 0o555)):
        path.chmod(mode)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    ran = subprocess.run(
        [*user, sys.executable, "-B", "-c", _READ_ONLY, place], cwd=ROOT, capture_output=True, text=True, check=False
    )
    place.chmod(0o755)
    assert ran.returncode == 0, ran.stderr
    # To take down that a layer was used it would have to be written, so it may as well be read again from its image.
    assert ran.stdout in {"True None\nNone\n", "False None\nNone\n"}
    assert (place / NAME).read_bytes() == before


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    where = tmp_path / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", where], check=True)
    try:
        layers = LayerCache(where)
        layers.store(digest(1), an_index(1), kept(1))
        layers.store(digest(2), an_index(2), {0: os.urandom(1 << 20)})
        assert layers.load(digest(2)) is None
        assert layers.load(digest(1)) == (an_index(1), kept(1))
        layers.store(digest(3), an_index(3), kept(3))
        assert layers.load(digest(3)) == (an_index(3), kept(3))
    finally:
        subprocess.run(["umount", where], check=True)


# The limit.


def test_the_ones_that_were_not_used_for_longest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = LayerCache(tmp_path, limit=100_000)
    now = time.time()
    for number in range(10):
        monkeypatch.setattr(time, "time", lambda day=number: now + day * 100_000)
        layers.store(digest(number), an_index(number), {0: os.urandom(20_000)})
        if number:
            assert layers.load(digest(0)) is not None, "used each day"
    there = [number for number in range(10) if layers.load(digest(number)) is not None]
    assert there == [0, 7, 8, 9]


def test_a_layer_that_would_fill_it_is_not_kept(tmp_path: Path) -> None:
    layers = LayerCache(tmp_path, limit=100_000)
    layers.store(digest(1), an_index(1), kept(1, 20_000))
    layers.store(digest(2), an_index(2), kept(2, 30_000))
    assert layers.load(digest(1)) is not None
    assert layers.load(digest(2)) is None


def test_it_does_not_grow_beyond_its_limit(tmp_path: Path) -> None:
    layers = LayerCache(tmp_path, limit=200_000)
    for number in range(60):
        layers.store(digest(number), an_index(number), {0: os.urandom(40_000)})
    assert (tmp_path / NAME).stat().st_size < 400_000


def test_nothing_is_kept_of_a_layer_that_went(tmp_path: Path) -> None:
    layers = LayerCache(tmp_path, limit=200_000)
    for number in range(20):
        layers.store(digest(number), an_index(number), {0: os.urandom(40_000)}, diff_id=digest(1000 + number))
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        there, uses, names = (
            {one for (one,) in connection.execute(f"select digest from {table}")}
            for table in ("layers", "uses", "names")
        )
    assert len(there) == 4
    assert uses == names == there


# Several at once, and killed.

_WRITER = """
import random, sys
from pathlib import Path
from typing import Any
from reprocheck.layers.cache import LayerCache
from tests.layers.test_cache import an_index, digest, kept
layers, chance = LayerCache(Path(sys.argv[1])), random.Random(int(sys.argv[2]))
print("ready", flush=True)
for _ in range(int(sys.argv[3])):
    number = chance.randrange(8)
    layers.store(digest(number), an_index(number, 50), kept(number, 50_000))
    loaded = layers.load(digest(chance.randrange(8)))
    assert loaded is None or loaded in [(an_index(each, 50), kept(each, 50_000)) for each in range(8)]
"""


def writer(place: Path, seed: int, times: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-B", "-c", _WRITER, place, str(seed), str(times)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wholesome(place: Path) -> int:
    """How many of the layers there are; each is what was stored."""
    layers = LayerCache(place)
    count = 0
    for number in range(8):
        loaded = layers.load(digest(number))
        if loaded is not None:
            assert loaded == (an_index(number, 50), kept(number, 50_000))
            count += 1
    with closing(sqlite3.connect(place / NAME)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    return count


def test_many_writers_at_once(tmp_path: Path) -> None:
    running = [writer(tmp_path, seed, 30) for seed in range(4)]
    for process in running:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
    assert wholesome(tmp_path) == 8


def test_many_threads_at_once(tmp_path: Path) -> None:
    def run(number: int) -> None:
        LayerCache(tmp_path).store(digest(number % 8), an_index(number % 8, 50), kept(number % 8, 50_000))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(64)))
    assert wholesome(tmp_path) == 8


def test_writers_that_are_killed_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(4)
    struck = 0
    for number in range(20):
        with writer(tmp_path, number, 10_000) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
            struck += process.wait() == -signal.SIGKILL
        if (tmp_path / NAME).exists():
            wholesome(tmp_path)
    assert struck == 20
    layers = LayerCache(tmp_path)
    layers.store(digest(9), an_index(9), kept(9))
    assert layers.load(digest(9)) == (an_index(9), kept(9)), "no lock was left"
    assert wholesome(tmp_path) > 4


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_whoever_holds_it_is_waited_for_once(first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = LayerCache(tmp_path)
    layers.store(digest(1), an_index(1), kept(1))
    uses: list[Callable[[], object]] = [
        lambda: layers.load(digest(1)),
        lambda: layers.store(digest(2), an_index(2), kept(2)),
        lambda: layers.count(),  # noqa: PLW0108 - as the others
        lambda: layers.lacking([]),
    ]
    waited = []
    connect = sqlite3.connect

    def counting(path: str, **options: Any) -> sqlite3.Connection:
        waited.append(True)
        made: sqlite3.Connection = connect(path, **options)
        return made

    monkeypatch.setattr(cache, "_WAIT", 0.05)
    with closing(connect(tmp_path / NAME)) as other:
        other.execute("begin exclusive")
        monkeypatch.setattr(sqlite3, "connect", counting)
        for use in (uses[first], *uses, *uses):
            assert not use(), "as if it held nothing"
    assert len(waited) == 1
    assert LayerCache(tmp_path).load(digest(1)) == (an_index(1), kept(1))


# By the digest of the uncompressed bytes.


def test_a_layer_is_found_by_either_digest(layers: LayerCache) -> None:
    layers.store(digest(1), an_index(1), kept(1), diff_id=digest(11))
    layers.store(digest(2), an_index(2), kept(2), diff_id=digest(2))
    layers.store(digest(3), an_index(3), kept(3))
    assert layers.load(digest(11)) == layers.load(digest(1)) == (an_index(1), kept(1))
    assert layers.load(digest(2)) == (an_index(2), kept(2))
    assert layers.lacking([digest(11), digest(1), digest(2), digest(3), digest(12)]) == [digest(12)]
    assert layers.count() == 3
    # Stored once more without a look at its uncompressed bytes: they are the same still.
    layers.store(digest(1), an_index(1), {})
    assert layers.load(digest(11)) == (an_index(1), kept(1))


def test_one_layer_packed_in_two_ways_is_found_as_long_as_either_is_there(tmp_path: Path) -> None:
    layers = LayerCache(tmp_path / "cache")
    for packed in (1, 2):
        layers.store(digest(packed), an_index(7), kept(7), diff_id=digest(7))
    with closing(sqlite3.connect(tmp_path / "cache" / NAME)) as connection, connection:
        connection.execute("delete from layers where digest = ?", (digest(2),))
    assert layers.load(digest(7)) == (an_index(7), kept(7))


def test_an_empty_cache_lacks_all_and_is_not_made_by_asking(layers: LayerCache, tmp_path: Path) -> None:
    assert layers.lacking([digest(1), digest(2)]) == [digest(1), digest(2)]
    assert layers.count() == 0
    assert not (tmp_path / "cache").exists()


# A place that is closed.


def as_another(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a user without a name; the modules are loaded before."""
    loaded = "import os, sys; from reprocheck import doctor; from reprocheck.layers.cache import *"
    return subprocess.run(
        [sys.executable, "-c", f"{loaded}; os.setgroups([]); os.setgid(54321); os.setuid(54321); {program}"],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), **variables},
        text=True,
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_cache_behind_a_closed_directory_is_none(tmp_path: Path, layers: LayerCache) -> None:
    layers.store(digest(1), an_index(1), kept(1))
    tmp_path.chmod(0o700)
    program = (
        "it = LayerCache(directory()); it.store('x', LayerIndex(root=None, directories={}), {}); "
        "print(it.load('x'), it.count(), it.lacking(['x'])); print(doctor._cache(directory()))"
    )
    ran = as_another(program, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert ran.stderr == ""
    first, second = ran.stdout.splitlines()
    assert first == "None 0 ['x']"
    assert "0 MB of layers" in second
    assert second.endswith("which can't be written: layers are read anew each time")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_user_without_a_home_has_none() -> None:
    ran = as_another("it = LayerCache(directory()); it.store('x', None, {}); print(it.load('x'), it.count())")
    assert (ran.stdout, ran.stderr) == ("None 0\n", "")
