"""The layer cache: index and contents of layers that were read once, by the digest of their bytes.

That is the digest of the bytes as they were stored, and the ``diff_id`` where the uncompressed bytes were hashed as
well. Nothing stands here under a name that was not compared with its bytes: a ``diff_id`` that an image merely claims
would let one image lay contents into another. SQLite keeps it whole under concurrent runs and kills.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

import msgspec

from reprocheck.layers.index import LayerIndex

LIMIT = 1 << 30
"""Bytes of all layers together; the ones that were not used for longest go first."""
_NAME = "layers-2.sqlite"
"""The number changes with the format."""
_FILES = tuple(_NAME + suffix for suffix in ("", "-journal", "-wal", "-shm"))
_WAIT = 5.0
"""Seconds to wait for another run."""
_TABLES = """
    pragma synchronous = off;
    create table if not exists layers (digest text primary key, content blob not null, sha256 blob not null);
    create table if not exists uses (digest text primary key, used integer not null);
    create table if not exists names (diff_id text, digest text, primary key (diff_id, digest));
"""
# Not synchronous: what a power failure leaves is found out by its checksum, and costs one reading.
_DAY = 86_400

Kept = Mapping[int, bytes]
"""Contents of files by their offset in the uncompressed layer."""


class _Row(msgspec.Struct, frozen=True, array_like=True):
    index: bytes
    kept: dict[int, bytes]


class LayerCache:
    """The cache of one user. What goes wrong with it costs time and nothing else, so it is passed over.

    Whoever holds it is waited for once; after that it is left alone.
    """

    def __init__(self, directory: Path, *, limit: int = LIMIT) -> None:
        self._busy = False
        self._path = directory / _NAME
        self._limit = limit

    def lacking(self, digests: Sequence[str]) -> list[str]:
        """Those of the layers that are not here; whether the others are whole is found out by loading them."""
        if self._is_there():
            with self._passing_over(), closing(self._connected()) as connection:
                return [digest for digest in digests if self._stored(connection, digest) is None]
        return list(digests)

    def count(self) -> int:
        """How many layers are here."""
        if self._is_there():
            with self._passing_over(), closing(self._connected()) as connection:
                return int(connection.execute("select count(*) from layers").fetchone()[0])
        return 0

    def load(self, digest: str) -> tuple[LayerIndex, Kept] | None:
        """Index and contents of a layer, by either digest; ``None`` where it is not here, or not whole."""
        if not self._is_there():
            return None
        with self._passing_over(), closing(self._connected()) as connection, connection:
            stored = self._stored(connection, digest)
            row = self._row(connection, stored) if stored is not None else None
            if stored is not None and row is not None:
                self._use(connection, stored)
                with suppress(ValueError):
                    return LayerIndex.from_bytes(row.index), row.kept
        return None

    def store(self, digest: str, index: LayerIndex, kept: Kept, *, diff_id: str | None = None) -> None:
        """Keep a layer; contents that are here already stay.

        Args:
            digest: of its bytes as they were stored.
            index: its entries.
            kept: contents.
            diff_id: digest of its uncompressed bytes, where they were hashed.
        """
        if self._busy:
            return
        with self._passing_over():
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with closing(self._connected()) as connection, connection:
                connection.execute("begin immediate")
                known = self._row(connection, digest)
                contents = {**(known.kept if known else {}), **kept}
                content = msgspec.msgpack.encode(_Row(index.to_bytes(), contents))
                if len(content) > self._limit // 4:
                    return
                values = (digest, content, hashlib.sha256(content).digest())
                connection.execute("insert or replace into layers values (?, ?, ?)", values)
                if diff_id not in {None, digest}:
                    connection.execute("insert or replace into names values (?, ?)", (diff_id, digest))
                self._use(connection, digest)
                self._trim(connection)

    def _is_there(self) -> bool:
        # Not by Path's own method, which raises where a directory on the way is closed.
        return not self._busy and os.path.exists(self._path)  # noqa: PTH110

    @contextmanager
    def _passing_over(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            self._busy = self._busy or "locked" in str(error)
        except (sqlite3.Error, OSError):
            pass

    def _connected(self) -> sqlite3.Connection:
        self._make_private()
        connection = sqlite3.connect(os.fspath(self._path), timeout=_WAIT, isolation_level=None)
        try:
            connection.executescript(_TABLES)
            self._make_private()
        except (sqlite3.Error, OSError):
            connection.close()
            raise
        return connection

    def _make_private(self) -> None:
        """Leave the directory and all files of the database to their owner alone.

        SQLite gives its journals the mode of the database, and that the umask's.

        Raises:
            OSError: they are somebody else's, or links to who knows what; then they are not to be used.
        """
        handle = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(handle)
            if found.st_uid == os.geteuid() and found.st_mode & 0o077:
                os.fchmod(handle, 0o700)
            # From here on nobody else can exchange what is in it.
            reason = refusal(self._path.parent)
            if reason is not None:
                raise PermissionError(errno.EPERM, reason)
            for name in _FILES:
                with suppress(FileNotFoundError):
                    # By name: to open and close the file would give up the locks that this process has on it (POSIX).
                    if os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode & 0o077:
                        os.chmod(name, 0o600, dir_fd=handle)
        finally:
            os.close(handle)

    @staticmethod
    def _stored(connection: sqlite3.Connection, digest: str) -> str | None:
        """The digest under which a layer stands; ``None``: it is not here."""
        query = """
            select digest from layers where digest = :it
            union all select digest from names join layers using (digest) where diff_id = :it
        """
        found = connection.execute(query, {"it": digest}).fetchone()
        return None if found is None else str(found[0])

    @staticmethod
    def _row(connection: sqlite3.Connection, digest: str) -> _Row | None:
        found = connection.execute("select content, sha256 from layers where digest = ?", (digest,)).fetchone()
        if found is None:
            return None
        content, sha256 = found
        if isinstance(content, bytes) and hashlib.sha256(content).digest() == sha256:
            with suppress(msgspec.DecodeError):
                return msgspec.msgpack.decode(content, type=_Row)
        connection.execute("delete from layers where digest = ?", (digest,))
        return None

    @staticmethod
    def _use(connection: sqlite3.Connection, digest: str) -> None:
        """Take down when a layer was used, to the day: a run that only reads rarely has to write."""
        now = int(time.time())
        connection.execute(
            "insert into uses values (?, ?) on conflict (digest) do update set used = ? where used < ?",
            (digest, now, now, now - _DAY),
        )

    def _trim(self, connection: sqlite3.Connection) -> None:
        query = "select digest, length(content) from layers join uses using (digest) order by used desc"
        rows = connection.execute(query).fetchall()
        total = 0
        for digest, size in rows:
            total += size
            if total > self._limit:
                connection.execute("delete from layers where digest = ?", (digest,))
        # Those of damaged layers, which were taken out when they were loaded, go as well.
        connection.execute("delete from uses where digest not in (select digest from layers)")
        connection.execute("delete from names where digest not in (select digest from layers)")


def refusal(directory: Path) -> str | None:
    """Why a directory is not used, if it is there: it or a file of the cache is a link or belongs to another user."""
    for path in (directory, *(directory / name for name in _FILES)):
        try:
            found = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISLNK(found.st_mode):
            return f"{path} is a symbolic link"
        if found.st_uid != os.geteuid():
            return f"{path} belongs to user {found.st_uid}"
        if path != directory and (not stat.S_ISREG(found.st_mode) or found.st_nlink != 1):
            return f"{path} is not a file of that name alone"
    return None


def directory() -> Path:
    """Where the cache of this user is (XDG base directory specification); for a user without a home there is none."""
    base = os.environ.get("XDG_CACHE_HOME") or ""
    try:
        return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "reprocheck"
    except RuntimeError:
        return Path(os.devnull, "reprocheck")  # where nothing can be


def of_user() -> LayerCache:
    """The one cache of this user in this process."""
    return _at(directory())


_at = cache(LayerCache)
