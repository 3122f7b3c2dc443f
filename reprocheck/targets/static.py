"""A target that is read without running a line of it: wants are answered from a tree of layers."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from reprocheck.errors import ReprocheckError
from reprocheck.layers.tree import Place, Tree
from reprocheck.model.evidence import Answer, AnyWant, Command, Document, Find, Process, Walk
from reprocheck.probe import collect
from reprocheck.targets import interpreter_files
from reprocheck.targets.files import MOUNTED, TreeFiles
from reprocheck.targets.mounts import Mounts


class StaticSession:
    """Answers wants about files by the probe's own code, and wants about interpreters from their files."""

    def __init__(
        self, document: Document, tree: Tree, *, home: str | None = None, mounts: Mounts | None = None
    ) -> None:
        self.document = document
        user = document.engine.user if document.engine is not None else ""
        self._answers = _Answers(TreeFiles(tree, mounts), (home or home_of(tree, user)).encode("latin-1"))

    def answer(self, wants: Sequence[AnyWant]) -> Answer | None:
        """Answer what files can tell; there is no process to ask and no program is run.

        Raises:
            ReprocheckError: a layer is not what its digest says, or was lost on the way.
        """
        # Searches come first: what is read in this round is where they have found something.
        asked = sorted(
            (want for want in wants if not isinstance(want, (Process, Command))),
            key=lambda want: not isinstance(want, (Walk, Find)),
        )
        if not asked:
            return None
        request = {"wants": json.loads(msgspec.json.encode(asked))}
        out = self._answers.to(request)
        return msgspec.convert(out, Answer)


class _Answers(collect.Answer):
    """The probe's answers over a tree instead of a disk; what does not have to travel may be larger."""

    file_limit, total_limit = 64 << 20, 128 << 20

    def __init__(self, files: TreeFiles, home: bytes) -> None:
        super().__init__({"found": {}, "interpreters": {}}, files)
        self._files = files
        self._tree = files.tree
        self._home = home
        self._reads: list[str] = []
        self._objects: list[str] = []
        self._refused: ReprocheckError | None = None

    def to(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One round.

        Raises:
            ReprocheckError: a layer is not what its digest says, or was lost on the way.
        """
        self.begin()
        self._reads = [want["at"] for want in request["wants"] if want["want"] in {"read", "record"}]
        self._objects = [want["at"] for want in request["wants"] if want["want"] == "elf"]
        out: dict[str, Any] = collect.answer(request, self)
        if self._refused is not None:
            raise self._refused  # the probe's code takes what is raised for one want that failed
        return {**out, "home": self._home.decode("latin-1")}

    def walk(self, want: Mapping[str, Any]) -> None:
        """The search; mounts are known without it, also where no layer has anything."""
        super().walk(want)
        self.out["walk"]["mounts"] = sorted(point.decode("latin-1") for point in self._files.mounts())

    def read(self, want: Mapping[str, Any]) -> None:
        """Files, made ready with all others of this round."""
        self._fetch()
        super().read(want)

    def record(self, want: Mapping[str, Any]) -> None:
        """RECORD files, made ready with all others of this round; what they name comes by when it is compared."""
        self._fetch()
        with self._refusing():
            super().record(want)

    def elf(self, want: Mapping[str, Any]) -> None:
        """ELF files, made ready with all others of this round."""
        self._fetch()
        super().elf(want)

    def _fetch(self) -> None:
        """Make ready all that this round reads: a layer that comes by as a stream comes by once for all of it."""
        whole, self._reads = self._reads, []
        objects, self._objects = self._objects, []
        if self._tree.streamed:
            with self._refusing():
                self._tree.fetch(self._places(whole), self._places(objects))

    def _places(self, patterns: Sequence[str]) -> list[Place]:
        places = []
        for pattern in patterns:
            for path in self.expand(pattern):
                with suppress(OSError):
                    place = self._tree.find(path)
                    if place.entry.type == "file":
                        places.append(place)
        return places

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Remember what ends the whole reading."""
        try:
            yield
        except ReprocheckError as error:
            self._refused = self._refused or error
            raise

    def roots(self, pattern: str) -> tuple[list[bytes], str]:
        """Nothing runs here: there is neither ``@self`` nor ``@prefix``."""
        if pattern == "@self" or pattern.startswith("@prefix/"):
            return [], ""
        if pattern.startswith("@home/"):
            return [self._home], pattern[len("@home/") :]
        roots: tuple[list[bytes], str] = super().roots(pattern)
        return roots

    def ask(self, real: bytes) -> dict[str, Any]:
        """What the files of an interpreter tell of it."""
        if self._files.is_mounted(real):
            return {"problem": errno.errorcode[MOUNTED]}
        try:
            with self._refusing():
                facts = interpreter_files.facts_of(self._tree, real)
        except interpreter_files.Unknown as unknown:
            return {"problem": str(unknown)}
        except OSError as error:
            return {"problem": collect.problem(error)}
        return {"problem": None, "facts": facts}


def home_of(tree: Tree, user: str) -> str:
    """Home directory of the configured user (name or number, with or without a group), as engines set ``HOME``.

    From ``/etc/passwd`` (passwd(5)); ``/`` where it does not know the user.
    """
    wanted = user.partition(":")[0] or "0"
    try:
        users = tree.find(b"/etc/passwd")
        tree.fetch([users])
        raw = tree.read(users, 0, 1 << 20)
    except OSError:
        raw = b""
    for line in raw.decode("latin-1").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and wanted in {fields[0], fields[2]}:  # noqa: PLR2004 - the home is the sixth
            return fields[5] or "/"
    return "/root" if not raw and wanted == "0" else "/"
