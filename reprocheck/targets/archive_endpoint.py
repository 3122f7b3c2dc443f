"""Single files of a container through the engine's archive endpoint: works on one that does not run."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Sequence
from io import BytesIO

from docker.errors import NotFound

from reprocheck import redact
from reprocheck.model.evidence import Answer, AnyWant, Document, FileEvidence, Read
from reprocheck.targets.engine import Engine, talking

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
            want for want in wants if isinstance(want, Read) and want.at.startswith("/") and not _magic(want.at)
        )
        if not simple:
            return None
        return Answer(wants=simple, files={want.at: self._file(want) for want in simple})

    def _file(self, want: Read) -> FileEvidence:
        path = want.at
        for _ in range(_LINKS):
            member, content = self._fetch(path, want.limit)
            if member is None:
                return FileEvidence(problem="ENOENT")
            if not member.issym():
                break
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
        else:
            return FileEvidence(problem="ELOOP")
        if not member.isfile():
            return FileEvidence(problem="not a regular file")
        text = redact.url(content[: want.limit].decode("latin-1"))
        return FileEvidence(size=member.size, cut=len(content) > want.limit, content=text)

    def _fetch(self, path: str, limit: int) -> tuple[tarfile.TarInfo | None, bytes]:
        with talking(self.document.header.target):
            try:
                stream, _ = self._engine.client.get_archive(
                    self._container, path.encode("latin-1").decode("utf-8", "replace")
                )
            except NotFound:
                return None, b""
            raw = BytesIO()
            for piece in stream:
                raw.write(piece)
                if raw.tell() > limit + (1 << 20):
                    break
            raw.seek(0)
        try:
            with tarfile.open(fileobj=raw, mode="r|") as archive:
                member = archive.next()
                if member is None:
                    return None, b""
                content = archive.extractfile(member) if member.isfile() else None
                return member, content.read(limit + 1) if content else b""
        except tarfile.TarError:
            return None, b""


def _magic(path: str) -> bool:
    return any(mark in path for mark in "*?[")
