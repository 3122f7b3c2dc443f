"""The layer cache: index and contents of layers that were read once, by the digest of their stored bytes.

Only what was compared with its digest stands here, under that digest and no other: a ``diff_id`` that an image
merely claims would let one image lay contents into another. SQLite keeps it whole under concurrent runs and kills.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from reprocheck.layers.index import LayerIndex

LIMIT = 1 << 30
"""Bytes of all layers together; the ones that were not used for longest go first."""
_NAME = "layers-1.sqlite"
"""The number changes with the format."""
_WAIT = 5.0
"""Seconds to wait for another run."""
_TABLES = """
    pragma synchronous = off;
    create table if not exists layers (digest text primary key, content blob not null, sha256 blob not null);
    create table if not exists uses (digest text primary key, used integer not null);
"""
# Not synchronous: what a power failure leaves is found out by its checksum, and costs one reading.
_DAY = 86_400

Kept = Mapping[int, bytes]
"""Contents of files by their offset in the uncompressed layer."""


class _Row(msgspec.Struct, frozen=True, array_like=True):
    index: bytes
    kept: dict[int, bytes]


class LayerCache:
    """The cache of one user. What goes wrong with it costs time and nothing else, so it is passed over."""

    def __init__(self, directory: Path, *, limit: int = LIMIT) -> None:
        self._path = directory / _NAME
        self._limit = limit

    def load(self, digest: str) -> tuple[LayerIndex, Kept] | None:
        """Index and contents of a layer; ``None`` where it is not here, or not whole."""
        if not self._path.exists():
            return None
        with suppress(sqlite3.Error, OSError), closing(self._connected()) as connection, connection:
            row = self._row(connection, digest)
            if row is not None:
                self._use(connection, digest)
                with suppress(ValueError):
                    return LayerIndex.from_bytes(row.index), row.kept
        return None

    def store(self, digest: str, index: LayerIndex, kept: Kept) -> None:
        """Keep a layer; contents that are here already stay."""
        with suppress(sqlite3.Error, OSError):
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
                self._use(connection, digest)
                self._trim(connection)

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(os.fspath(self._path), timeout=_WAIT, isolation_level=None)
        try:
            connection.executescript(_TABLES)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

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


def directory() -> Path:
    """Where the cache of this user is (XDG base directory specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or ""
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "reprocheck"
