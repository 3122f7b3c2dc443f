"""An image archive that comes by once: compressed as a whole, or sent by an engine.

Which members are layers stands in a document that may come last. So whatever looks like a layer is shown to the
visitor as it comes by, and what is not one is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec import Struct

from reprocheck.archives import digest as digests
from reprocheck.archives import guess
from reprocheck.archives.digest import Hashing
from reprocheck.archives.manifest import MAX_BYTES
from reprocheck.archives.members import LIMIT, Members, damaged, plain_name
from reprocheck.archives.store import Blob, Visit, Visited
from reprocheck.errors import TargetError
from reprocheck.layers.ahead import ahead
from reprocheck.layers.blob import CHUNK, BlobError, Held, Pieces, Reader, Window, drain
from reprocheck.layers.compression import MAGIC, Compression, decompressed, sniff
from reprocheck.layers.problem import Problem
from reprocheck.layers.tar import BLOCK, walk_visiting

_KEPT = 64 << 20
"""Bytes of documents that are kept of one archive."""


class _Passed(Struct, frozen=True):
    """A member that came by."""

    head: bytes
    content: bytes | None
    visited: Visited | None


class StreamedArchive:
    """An archive that is not addressed in place; ``opened`` gives its bytes from the first one on, each time.

    Raises:
        TargetError: it is no tar archive.
    """

    def __init__(
        self,
        where: str,
        opened: Callable[[], Reader],
        compression: Compression,
        *,
        verify: bool,
        deep: bool,
        visit: Visit | None,
    ) -> None:
        self.where = where
        self.verify = verify
        self.deep = deep
        self.problem: str | None = None
        self._opened = opened
        self._visit = visit
        self._passed: dict[str, _Passed] = {}
        self._kept = 0
        self._members = Members(where)
        stream = ahead(opened())
        head = _first(stream, BLOCK)
        if not guess.looks_like_tar(head):
            raise TargetError(f"{where}: not a docker-save or OCI archive: it is {guess.no_tar(head, compression)}")
        for member in walk_visiting(_rejoined(head, stream), self._report, self._pass, limit=LIMIT):
            self._members.add(member)
        try:
            drain(stream)  # the checksum of what came by stands at the end
        except BlobError as error:
            self._report(Problem("", str(error), lost=True))
        self.notes = self._members.notes

    def _report(self, problem: Problem) -> None:
        if problem.lost and self.problem is None:
            self.problem = damaged(problem)

    def find(self, name: str) -> Blob | None:
        """A member."""
        found = self._members.resolve(name)
        if found is None:
            return None
        name, member = found
        passed = self._passed[name]
        if passed.content is not None:
            window = Window(Held(passed.content), 0, member.size)
            return Blob(size=member.size, head=passed.head, window=window, open=window.reader)
        again = partial(self._again, member.offset, member.size)
        return Blob(size=member.size, head=passed.head, window=None, open=again, visited=passed.visited)

    def _again(self, offset: int, size: int) -> Reader:
        """A member's bytes, in one more pass over what stands before it."""
        stream = self._opened()
        left = size

        def following() -> bytes:
            nonlocal offset, left
            while offset:
                passed = stream.read(min(offset, CHUNK))
                if not passed:
                    raise BlobError("the archive is cut")
                offset -= len(passed)
            piece = stream.read(min(left, CHUNK)) if left else b""
            if left and not piece:
                raise BlobError("the archive is cut")
            left -= len(piece)
            return piece

        return Pieces(following)

    def _pass(self, raw_name: bytes, size: int, contents: Reader) -> None:
        name = plain_name(raw_name)
        if name is None:
            return
        head = _first(contents, BLOCK)
        whole = _rejoined(head, contents)
        if guess.looks_like_tar(head) or sniff(head[:MAGIC]) != "none":
            visited = None if self._visit is None else self._show(name, head, whole, self._visit)
            self._passed[name] = _Passed(head, None, visited)
            return
        if size > MAX_BYTES:
            self._passed[name] = _Passed(head, None, None)
            return
        self._kept += size
        if self._kept > _KEPT:
            raise TargetError(f"{self.where}: holds more than {_KEPT >> 20} MiB of documents; is it an image's?")
        content = _first(whole, size)
        self._passed[name] = _Passed(head, content, None)

    def _show(self, name: str, head: bytes, stored: Reader, visit: Visit) -> Visited:
        """Show a layer to the visitor, and hash what has to be hashed on the way."""
        tolerated: list[str] = []
        compression = sniff(head[:MAGIC])
        named = digests.from_path(name)
        raw = plain = None
        if self.verify and named is not None and compression != "none":
            raw = stored = Hashing(stored, named.partition(":")[0])
        result, problem = None, None
        try:
            shown = decompressed(stored, compression, tolerated.append)
            if self.deep or (self.verify and compression != "none" and named is None):
                # What to compare with may come later: only then it is known which of them was meant.
                plain = shown = Hashing(shown, *(digests.ALGORITHMS if self.verify else digests.ALGORITHMS[:1]))
            result = visit(Pieces(partial(shown.read, CHUNK)))  # closing it leaves the archive open
            drain(shown)
        except BlobError as error:
            result, problem, plain = None, str(error), None
            drain(stored)
        diff = plain.digests if plain else ()
        return Visited(
            result=result,
            problem=problem,
            stored=raw.digests if raw else diff if compression == "none" else (),
            diff=diff,
            tolerated=tuple(tolerated),
        )


def _first(reader: Reader, length: int) -> bytes:
    """As many bytes, fewer only at the end."""
    pieces = []
    while length and (piece := reader.read(length)):
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _rejoined(head: bytes, rest: Reader) -> Reader:
    """What was read already, and the rest."""
    waiting = [head] if head else []
    following: Callable[[], bytes] = lambda: waiting.pop() if waiting else rest.read(CHUNK)  # noqa: E731 - one line
    return Pieces(following)
