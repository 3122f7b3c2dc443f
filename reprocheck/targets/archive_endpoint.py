"""Single files of a container through the engine's archive endpoint: works on one that does not run."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Sequence
from io import BytesIO

from docker.errors import NotFound

from reprocheck import redact
from reprocheck.model.evidence import Answer, AnyWant, Document, FileEvidence, Read
from reprocheck.targets.engine import Engine
from reprocheck.targets.sdk import talking

_LINKS = 40
"""As many links as the kernel follows (path_resolution(7))."""


class ArchiveSession:
    """Answers wants for whole files named literally; environments need a running Python."""

    def __init__(self, document: Document, engine: Engine, container_id: str) -> None:
        self.document = document
        self._engine = engine
        self._container = container_id

    def answer(self, wants: Sequence[AnyWant]) -> Answer | None:
        """Read the files that can be read this way; other wants stay unanswered."""
        simple = tuple(
            want
            for want in wants
            if isinstance(want, Read) and want.part == "whole" and want.at.startswith("/") and not _magic(want.at)
        )
        if not simple:
            return None
        return Answer(wants=simple, files={want.at: self._file(want) for want in simple})

    def _file(self, want: Read) -> FileEvidence:
        path = want.at
        for _ in range(_LINKS):
            try:
                found = self._fetch(path, want.limit)
            except tarfile.TarError:
                return FileEvidence(problem="the archive is cut or damaged")
            if found is None:
                return FileEvidence(problem="ENOENT")
            member, content = found
            if not member.issym():
                break
            link = member.linkname.encode("utf-8", "surrogateescape").decode("latin-1")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
        else:
            return FileEvidence(problem="ELOOP")
        if not member.isfile():
            return FileEvidence(problem="not a regular file")
        text, cut = content[: want.limit].decode("latin-1"), len(content) > want.limit
        text = redact.url(redact.cut_url(text) if cut else text)
        return FileEvidence(size=member.size, cut=cut, content=text)

    def _fetch(self, path: str, limit: int) -> tuple[tarfile.TarInfo, bytes] | None:
        """A member and the beginning of its contents, one byte more than the limit; ``None``: there is no such file.

        Raises:
            tarfile.TarError: there is one, and it can't be read.
        """
        with talking(self.document.header.target):
            try:
                stream, _ = self._engine.client.get_archive(
                    self._container, path.encode("latin-1").decode("utf-8", "replace")
                )
            except NotFound:
                return None
            raw = BytesIO()
            for piece in stream:
                raw.write(piece)
                if raw.tell() > limit + (1 << 20):
                    break
            raw.seek(0)
        with tarfile.open(fileobj=raw, mode="r|") as archive:
            member = archive.next()
            if member is None:
                raise tarfile.ReadError("no member")
            file = archive.extractfile(member) if member.isfile() else None
            content = file.read(limit + 1) if file else b""
        if file and len(content) < min(member.size, limit + 1):
            raise tarfile.ReadError("contents cut")
        return member, content


def _magic(path: str) -> bool:
    return any(mark in path for mark in "*?[")
