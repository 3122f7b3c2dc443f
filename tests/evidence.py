"""Evidence of a directory tree on disk, read by the probe's own code as if the tree were a root file system."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from reprocheck.capture import ask
from reprocheck.model.evidence import (
    Answer,
    AnyWant,
    CommandEvidence,
    Document,
    Elf,
    EngineFacts,
    Evidence,
    Find,
    InterpreterEvidence,
    InterpreterFacts,
    List,
    ProcessEvidence,
    Read,
    Record,
    Walk,
)
from reprocheck.model.snapshot import Header, Subject, TargetKind
from reprocheck.probe import collect

HEADER = Header(captured_at="2026-11-22T10:00:00Z", reprocheck="1", target="image:test", route="test", executed=True)
ENGINE = EngineFacts(image_id="sha256:0", platform="linux/amd64")
MARKERS = {"python_version": "3.9", "sys_platform": "linux", "platform_release": "6.1.0"}


def plant(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a root, each under its absolute path in the target."""
    for path, content in files.items():
        where = root / path.lstrip("/")
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def interpreter(
    version: str = "3.9.2", base: str = "/usr/local", *, path: tuple[str, ...] | None = None, **changes: Any
) -> InterpreterFacts:
    """What an interpreter built from source would say of itself."""
    major, minor, _ = version.split(".")
    library = f"{base}/lib/python{major}.{minor}"
    facts = InterpreterFacts(
        version=version,
        implementation="cpython",
        cache_tag=f"cpython-{major}{minor}",
        abiflags="",
        base_prefix=base,
        base_exec_prefix=base,
        platlibdir="lib",
        standard_path=path or (f"{base}/lib/python{major}{minor}.zip", library, f"{library}/lib-dynload"),
        suffixes=(".so",),
        libc="glibc 2.31",
        markers=MARKERS,
    )
    return msgspec.structs.replace(facts, **changes)


def process(home: str = "/root", /, **variables: str | None) -> ProcessEvidence:
    """The process that the probe would have run in."""
    return ProcessEvidence(
        variables=variables,
        home=home,
        cwd="/",
        executable="/usr/local/bin/python3",
        kernel="6.1.0-test",
        machine="x86_64",
    )


class Tree:
    """A target on disk; answers wants as a session does."""

    def __init__(
        self,
        root: Path,
        *,
        interpreters: Mapping[str, InterpreterFacts | str] | None = None,
        kind: TargetKind = "image",
        engine: EngineFacts | None = ENGINE,
        running: ProcessEvidence | None = None,
        commands: Mapping[str, CommandEvidence] | None = None,
    ) -> None:
        self.root = root
        self.document = Document(header=HEADER, subject=Subject(kind=kind, name="test"), engine=engine)
        self._start = os.fspath(root).rstrip("/")
        self._interpreters = interpreters or {}
        self._process = running or process()
        self._commands = commands or {}
        self._state: dict[str, Any] = {"found": {}, "interpreters": {}}

    def answer(self, questions: Sequence[AnyWant]) -> Answer:
        """What the probe would say, had it been started in the tree."""
        asked = [want for one in questions if (want := self._moved(one)) is not None]
        request = {"wants": json.loads(msgspec.json.encode(asked)), "marker": "", "seconds": 60}
        out = collect.answer(request, collect.Answer(self._state))
        told = msgspec.json.decode(json.dumps(out), type=Answer)
        return msgspec.structs.replace(
            told,
            wants=tuple(questions),
            found={name: tuple(map(self._inside, paths)) for name, paths in told.found.items()},
            walk=told.walk
            and msgspec.structs.replace(
                told.walk,
                mounts=tuple(map(self._inside, told.walk.mounts)),
                denied=tuple(map(self._inside, told.walk.denied)),
            ),
            files={self._inside(path): file for path, file in told.files.items()},
            listings={self._inside(path): listing for path, listing in told.listings.items()},
            records={self._inside(path): record for path, record in told.records.items()},
            elf={
                self._inside(path): msgspec.structs.replace(summary, real=self._inside(summary.real))
                for path, summary in told.elf.items()
            },
            interpreters={
                path: InterpreterEvidence(real=path, problem=facts)
                if isinstance(facts, str)
                else InterpreterEvidence(real=path, facts=facts)
                for path, facts in self._interpreters.items()
            },
            process=self._process,
            commands=dict(self._commands),
        )

    def evidence(self) -> Evidence:
        """All that every extractor asks for, in rounds, as a capture does it."""
        return ask(self)

    def _moved(self, want: AnyWant) -> AnyWant | None:
        if isinstance(want, Walk):
            return msgspec.structs.replace(want, root=self._start, search="always")
        if isinstance(want, (Elf, Find, List, Read, Record)):
            if want.at == "@self":
                return None
            if want.at.startswith("@home/"):
                at = self._start + self._process.home.rstrip("/") + want.at.removeprefix("@home")
            elif want.at.startswith("@prefix"):
                return None  # the probe's own interpreter is not the tree's
            else:
                at = want.at if want.at.startswith("@") else self._start + want.at
            return msgspec.structs.replace(want, at=at)
        return None

    def _inside(self, path: str) -> str:
        return path.removeprefix(self._start) or "/"
