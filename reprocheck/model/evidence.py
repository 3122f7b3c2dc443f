"""Evidence: raw file contents and raw live answers from a target, uninterpreted (schema ``reprocheck.evidence/1``).

A *want* is a question, an :class:`Answer` holds the replies to one round of them. The probe
(``reprocheck/probe/collect.py``) answers wants where it runs; other routes answer what they can.

Bytes of the target (paths, file contents, variables) travel as Latin-1 text, one character a byte:
JSON carries it and nothing is lost. :func:`reprocheck.model.text.escape` makes readable text of them.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from reprocheck.model.snapshot import Container, Header, Layer, Subject
from reprocheck.model.text import escape

SCHEMA = "reprocheck.evidence/1"


class Want(Struct, frozen=True, kw_only=True, tag_field="want", tag=str.lower, omit_defaults=True):
    """Base of the questions."""


class Walk(Want, frozen=True, kw_only=True):
    """Search a file system for names, without entering mounts, links or leaves."""

    root: str
    search: Literal["always", "container", "never"]
    """``container``: only where the root file system is an image's."""
    find: dict[str, str]
    """Name of a group: regular expression that a base name must match from its start."""
    leaves: tuple[str, ...]
    """Directories of these names are reported, not entered."""
    leaves_beside: dict[str, str] = {}
    """The same for directories of the first name, where something of the second name stands beside them."""
    otherwise: dict[str, tuple[str, ...]]
    """Patterns that stand for a group where nothing is searched."""


class Find(Want, frozen=True, kw_only=True):
    """Search below directories for files by name. They are a group of their own, as those of a walk are."""

    at: str
    """As in :class:`List`."""
    group: str
    """Name of the group."""
    name: str
    """Regular expression that a base name must match from its start."""
    leaves: tuple[str, ...]
    """Directories of these names are not entered."""


class List(Want, frozen=True, kw_only=True):
    """The entries of each directory that ``at`` matches."""

    at: str
    """Absolute path, or ``@GROUP/…`` below what a walk found, ``@prefix/…``, ``@home/…``; ``*``, ``?`` and ``[`` match
    within one component."""


class Read(Want, frozen=True, kw_only=True):
    """The contents of each file that ``at`` matches."""

    at: str
    part: Literal["whole", "header", "digest"] = "whole"
    """``header``: up to the first blank line. ``digest``: SHA-256, size and line count instead of contents."""
    limit: int = 4 << 20
    """Bytes; a longer file is cut and says so."""
    versions: bool = False
    """Its versions in lower layers too, where layers can be told apart, also of a file that is gone."""


class Record(Want, frozen=True, kw_only=True):
    """Each record of installed files that ``at`` matches: its digest, and how far the files that it names agree.

    They are compared where they are: the rows of a large environment are ten times as many bytes as all other
    metadata.
    """

    at: str
    """As in :class:`List`."""
    by: Literal["wheel", "dpkg", "conda"] = "wheel"
    """Whose: the RECORD of a ``.dist-info`` directory, dpkg's ``md5sums``, a record in ``conda-meta``."""
    keep: str | None = None
    """Its lines that hold this text are carried."""
    deep: bool = False
    """Compare hashes too, not sizes alone."""


class Interpreter(Want, frozen=True, kw_only=True):
    """What each Python interpreter that ``at`` matches says of itself, run with ``-I -S -B``."""

    at: str
    """As in :class:`List`, or ``@self``."""


class Process(Want, frozen=True, kw_only=True):
    """The probe's own process: variables, home, user, kernel."""

    variables: tuple[str, ...]
    """Regular expressions; of a variable that matches none the name alone is told."""


class Command(Want, frozen=True, kw_only=True):
    """What a program that reports facts prints."""

    argv: tuple[str, ...]


class Elf(Want, frozen=True, kw_only=True):
    """What each ELF file that ``at`` matches tells the dynamic linker."""

    at: str
    """As in :class:`List`."""
    changed: bool = False
    """Which layer gave it its contents too, where layers can be told apart; ``at`` matches one path."""


AnyWant = Walk | Find | List | Read | Record | Elf | Interpreter | Process | Command


class FileVersion(Struct, frozen=True, kw_only=True):
    """A file as it was up to some layer."""

    layer: int
    """Position of the layer that wrote it."""
    content: str | None
    """``None``: it can't be read, or is longer than was asked for, or all of them together are too long."""


class FileEvidence(Struct, frozen=True, kw_only=True):
    """One file."""

    problem: str | None = None
    """``ENOENT``, ``EACCES``, ``not a regular file`` …; then there is nothing else."""
    size: int = 0
    cut: bool = False
    """The limit was reached: ``content`` is only the beginning."""
    content: str | None = None
    sha256: str | None = None
    lines: int | None = None
    layer: int | None = None
    """Position of the layer that last wrote it; ``None`` where layers can't be told apart."""
    since: int | None = None
    """Position of the layer from which on it was there without a break."""
    mtime: int | None = None
    """When it was last written, seconds since the epoch, where its layer is known."""
    versions: tuple[FileVersion, ...] = ()
    """Those of lower layers, the lowest first."""


class Entry(Struct, frozen=True, array_like=True):
    """One directory entry."""

    name: str
    type: Literal["file", "dir", "link", "other"]
    size: int
    is_dir: bool
    """Links followed."""
    link: str | None


class Listing(Struct, frozen=True, kw_only=True):
    """One directory."""

    problem: str | None = None
    entries: tuple[Entry, ...] = ()
    removed: dict[str, int] = {}
    """Names that were seen here in lower layers, and the last layer that took each away; also of a directory that is
    gone."""


class RecordEvidence(Struct, frozen=True, kw_only=True):
    """One record of installed files, and these files.

    RECORD (PyPA, "Recording installed projects"), ``md5sums`` of dpkg (deb-md5sums(5)) or a record of conda's. Names of
    files are those of its rows, ``.`` and ``..`` resolved; dpkg's are absolute.
    """

    problem: str | None = None
    """Why it was not read; or, where there is a digest, why not all that it names was compared."""
    size: int = 0
    sha256: str | None = None
    lines: int | None = None
    content: str | None = None
    """The lines that were to be kept."""
    deep: bool = False
    """Hashes were compared."""
    rows: int | None = None
    """Well-formed ones; of dpkg and conda those of files that are run, loaded or imported, and no others are looked at;
    ``None``: they were not looked at."""
    bad: int = 0
    """Rows that are not well-formed."""
    first_bad: str | None = None
    """Which, what is wrong with it, and how it begins."""
    outside: int = 0
    """Rows that name a file outside of the environment, which is not looked at."""
    first_outside: str | None = None
    unreadable: int = 0
    """Rows whose file can't be looked at."""
    first_unreadable: str | None = None
    checked: int = 0
    """Rows whose file is the same, modified or missing."""
    unverifiable: int = 0
    """Rows that state something which could not be compared."""
    modified: tuple[str, ...] = ()
    """Files of another size, another hash, or another type."""
    missing: tuple[str, ...] = ()
    """Files that are not there."""
    unnamed: int = 0
    """How many more are modified or missing."""
    layer: int | None = None
    """Where layers can be told apart: the last one that modified a file which is named, or took it away."""


class WalkReport(Struct, frozen=True, kw_only=True):
    """How far a walk came."""

    searched: bool
    reason: str | None = None
    """Why it ended early."""
    mounts: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


class ElfEvidence(Struct, frozen=True, kw_only=True):
    """One ELF file (System V ABI): header, and what its dynamic section says."""

    problem: str | None = None
    """``ENOENT``, ``not a valid ELF file: …``; what was read before that is kept."""
    size: int = 0
    real: str = ""
    """Links resolved."""
    layer: int | None = None
    """As in :class:`FileEvidence`."""
    since: int | None = None
    """As in :class:`FileEvidence`."""
    changed: int | None = None
    """Position of the layer that gave it its contents, where that was asked for and can be told: who writes the same
    again changes nothing."""
    mtime: int | None = None
    """As in :class:`FileEvidence`."""
    bits: int | None = None
    """32 or 64."""
    order: Literal["<", ">"] | None = None
    """Least or most significant byte first."""
    machine: int | None = None
    """``e_machine``."""
    flags: int | None = None
    """``e_flags``."""
    interpreter: str | None = None
    """``PT_INTERP``: of programs, the dynamic linker."""
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: str | None = None
    runpath: str | None = None
    nodeflib: bool = False
    """``DF_1_NODEFLIB``: the default directories are not searched."""


class InterpreterFacts(Struct, frozen=True, kw_only=True):
    """``sys`` and ``platform`` of one interpreter, isolated and without ``site``."""

    version: str
    implementation: str
    cache_tag: str | None
    abiflags: str
    base_prefix: str
    base_exec_prefix: str
    platlibdir: str
    standard_path: tuple[str, ...]
    """``sys.path`` before ``site``: the standard library."""
    suffixes: tuple[str, ...]
    libc: str | None
    """``os.confstr("CS_GNU_LIBC_VERSION")``: ``glibc 2.31``."""
    markers: dict[str, str]
    version_file: str | None = None
    """The file that has the version in it: the program or its shared library, links resolved."""

    @property
    def library(self) -> str:
        """The directory of the standard library's modules."""
        modules = (path for path in self.standard_path if not path.endswith((".zip", "/lib-dynload")))
        return next(modules, self.base_prefix)


OUT_OF_REACH = "out of reach without capabilities"
"""The problem of a program that the target's own user could run, and whoever was asked can't."""


class InterpreterEvidence(Struct, frozen=True, kw_only=True):
    """One interpreter."""

    real: str
    """Links resolved."""
    layer: int | None = None
    """As in :class:`FileEvidence`."""
    since: int | None = None
    """As in :class:`FileEvidence`."""
    version_layer: int | None = None
    """Position of the layer that last wrote the file with the version."""
    version_since: int | None = None
    """Position of the layer from which on that file told this version."""
    problem: str | None = None
    facts: InterpreterFacts | None = None


class ProcessEvidence(Struct, frozen=True, kw_only=True):
    """The process that the probe ran in."""

    variables: dict[str, str | None]
    home: str
    cwd: str
    executable: str
    started_as: str | None = None
    """The name or path that the engine was given to start it; ``None``: not by an engine, or not recorded."""
    kernel: str
    machine: str


class CommandEvidence(Struct, frozen=True, kw_only=True):
    """One program's output."""

    problem: str | None = None
    exit: int | None = None
    output: str = ""


class Answer(Struct, frozen=True, kw_only=True):
    """The replies to one round of wants."""

    wants: tuple[AnyWant, ...] = ()
    found: dict[str, tuple[str, ...]] = {}
    walk: WalkReport | None = None
    files: dict[str, FileEvidence] = {}
    listings: dict[str, Listing] = {}
    records: dict[str, RecordEvidence] = {}
    interpreters: dict[str, InterpreterEvidence] = {}
    process: ProcessEvidence | None = None
    home: str | None = None
    """Home directory of the configured user, where there is no process to tell."""
    commands: dict[str, CommandEvidence] = {}
    searches: dict[str, WalkReport] = {}
    """How far the searches of :class:`Find` came, by group."""
    elf: dict[str, ElfEvidence] = {}
    failed: tuple[tuple[Any, str], ...] = ()
    """Wants that raised, each with the error."""
    time: int = 0
    """When the answer was made, on the target's clock, seconds since the epoch."""


class EngineFacts(Struct, frozen=True, kw_only=True):
    """What the container engine says of an image or container, secrets withheld (OCI image configuration)."""

    image_id: str
    image_name: str | None = None
    config_digest: str | None = None
    """Digest of the image configuration, where it is known to be that."""
    repo_digests: tuple[str, ...] = ()
    platform: str
    state: str | None = None
    """A container's state; ``None`` for an image."""
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    command_sha256: str | None = None
    exposed_ports: tuple[str, ...] = ()
    labels: dict[str, str | None] = {}
    volumes: tuple[str, ...] = ()
    workdir: str = ""
    notebook: Literal["open", "closed"] | None = None
    """As in ``Image``."""
    container: Container | None = None
    """How a container was started; ``None`` for an image."""
    variables: dict[str, str | None] = {}
    layers: tuple[Layer, ...] = ()
    address: str | None = None


class LayerProblem(Struct, frozen=True, kw_only=True):
    """Something that is wrong with a stored image."""

    where: str
    """Layer, and the path in it or the byte of it."""
    reason: str
    lost: bool
    """Something of its content is not known because of it."""


class Document(Struct, frozen=True, kw_only=True):
    """Saved evidence: every round's answer, so that a replay needs no target."""

    schema: str = SCHEMA
    header: Header
    subject: Subject
    deep: bool = False
    """Whether the contents of files are asked for as well."""
    engine: EngineFacts | None = None
    probe_sha256: str | None = None
    problems: tuple[LayerProblem, ...] = ()
    """Of layers that were read as they are stored."""
    answers: tuple[Answer, ...] = ()


class Evidence:
    """All that is known of a target so far: the document, its answers merged."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.found: dict[str, tuple[str, ...]] = {}
        self.walk: WalkReport | None = None
        self.files: dict[str, FileEvidence] = {}
        self.listings: dict[str, Listing] = {}
        self.records: dict[str, RecordEvidence] = {}
        self.interpreters: dict[str, InterpreterEvidence] = {}
        self.process: ProcessEvidence | None = None
        self.home: str | None = None
        self.commands: dict[str, CommandEvidence] = {}
        self.searches: dict[str, WalkReport] = {}
        self.elf: dict[str, ElfEvidence] = {}
        self.failed: list[tuple[Any, str]] = []
        self._asked: set[bytes] = set()
        for answer in document.answers:
            self._merge(answer)

    @property
    def engine(self) -> EngineFacts | None:
        """The engine's facts, for images and containers."""
        return self.document.engine

    def add(self, answer: Answer) -> None:
        """Take in the replies to one more round."""
        self.document = msgspec.structs.replace(self.document, answers=(*self.document.answers, answer))
        self._merge(answer)

    def asked(self, want: AnyWant) -> bool:
        """Whether a round has put this question already."""
        return msgspec.json.encode(want) in self._asked

    def content(self, path: str) -> bytes | None:
        """The bytes of a file that was read; ``None`` where it was not."""
        file = self.files.get(path)
        return None if file is None or file.content is None else file.content.encode("latin-1")

    def matching(self, directory: str, names: str) -> Iterator[str]:
        """Paths of the files of a directory that were asked for and whose name matches, sorted."""
        start = directory.rstrip("/") + "/"
        for path in sorted(path for path in self.files if path.startswith(start)):
            name = path[len(start) :]
            if "/" not in name and fnmatch.fnmatchcase(name, names):
                yield path

    def is_dir(self, path: str) -> bool | None:
        """Whether a path is a directory, as far as the listings tell; ``None``: not known."""
        if path in self.listings:
            return self.listings[path].problem not in {"ENOENT", "ENOTDIR"}
        above = posixpath.dirname(path)
        parent = self.listings.get(above)
        if parent is None:
            # What has no parent is not there; otherwise nothing is known.
            return False if above != path and self.is_dir(above) is False else None
        if parent.problem == "EACCES":
            return None
        name = posixpath.basename(path)
        return any(entry.name == name and entry.is_dir for entry in parent.entries)

    def _merge(self, answer: Answer) -> None:
        self._asked.update(msgspec.json.encode(want) for want in answer.wants)
        self.found.update(answer.found)
        self.files.update(answer.files)
        self.listings.update(answer.listings)
        self.records.update(answer.records)
        self.interpreters.update(answer.interpreters)
        self.commands.update(answer.commands)
        self.searches.update(answer.searches)
        self.elf.update(answer.elf)
        self.walk = answer.walk or self.walk
        self.process = answer.process or self.process
        self.home = answer.process.home if answer.process else answer.home or self.home
        self.failed.extend(answer.failed)


def shown(path: str) -> str:
    """A path of the evidence (Latin-1 text) as readable text."""
    return escape(path.encode("latin-1"))


def literal(path: str) -> str:
    """A path as a pattern that matches it alone."""
    if not any(mark in path for mark in "*?["):
        return path
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in path)


def unanswered(evidence: Evidence, wants: Sequence[AnyWant]) -> list[AnyWant]:
    """The wants that no round has asked yet, each once, in order."""
    fresh: dict[bytes, AnyWant] = {}
    for want in wants:
        if not evidence.asked(want):
            fresh.setdefault(msgspec.json.encode(want), want)
    return list(fresh.values())
