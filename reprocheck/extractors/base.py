"""What an extractor is: two pure functions over the evidence, and the facts that it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct, field

from reprocheck.model.evidence import AnyWant, ElfEvidence, Evidence, FileEvidence, InterpreterEvidence
from reprocheck.model.snapshot import Coverage, FactClass, Gap, Note


class Traces(Struct, frozen=True):
    """Which layer brought, rewrote, edited and removed what: group, name, index, as in ``Provenance``."""

    authors: dict[str, dict[str, int]] = field(default_factory=dict)
    rewritten: dict[str, dict[str, int]] = field(default_factory=dict)
    edited: dict[str, dict[str, int]] = field(default_factory=dict)
    removed: dict[str, dict[str, int]] = field(default_factory=dict)
    written: dict[str, dict[str, int]] = field(default_factory=dict)
    """Seconds since the epoch."""

    def of(self, group: str, name: str, evidence: ElfEvidence | FileEvidence | InterpreterEvidence | None) -> None:
        """Take down the layers of the file that a fact rests on, if they are known."""
        if evidence is not None and evidence.layer is not None and evidence.since is not None:
            self.authors.setdefault(group, {})[name] = evidence.since
            if isinstance(evidence, ElfEvidence | FileEvidence) and evidence.mtime is not None:
                self.written.setdefault(group, {})[name] = evidence.mtime
            if evidence.layer > evidence.since:
                self.rewritten.setdefault(group, {})[name] = evidence.layer

    def since(self, group: str, name: str, layer: int, evidence: FileEvidence) -> None:
        """Take down the layer that brought something, one of many in a file."""
        self.authors.setdefault(group, {})[name] = layer
        if layer == evidence.layer and evidence.mtime is not None:
            self.written.setdefault(group, {})[name] = evidence.mtime

    def gone(self, group: str, name: str, layer: int) -> None:
        """Take down a layer that removed something; of several, from several places, the last one counts."""
        removed = self.removed.setdefault(group, {})
        removed[name] = max(layer, removed.get(name, layer))

    def take(self, other: Traces) -> None:
        """Add what another extractor took down."""
        for mine, theirs in (
            (self.authors, other.authors),
            (self.rewritten, other.rewritten),
            (self.edited, other.edited),
            (self.removed, other.removed),
            (self.written, other.written),
        ):
            for group, names in theirs.items():
                mine.setdefault(group, {}).update(names)


class Facts(Struct, frozen=True, kw_only=True):
    """What one extractor read."""

    coverage: Coverage
    fields: dict[str, Any] = field(default_factory=dict)
    """Fields of the snapshot."""
    traces: Traces = field(default_factory=Traces)
    gaps: tuple[Gap, ...] = ()
    notes: tuple[Note, ...] = ()


def stated_since(file: FileEvidence, stated: Callable[[bytes], object]) -> FileEvidence | None:
    """A file, there since the layer from which on it stated what it states; ``None``: that can't be told.

    Where several layers wrote it, it has to have been asked for with its versions.
    """
    if file.layer is None or file.layer == file.since:
        return file
    if file.content is None or not file.versions:
        return None
    now, since = stated(file.content.encode("latin-1")), file.layer
    for earlier in reversed(file.versions):
        if earlier.content is None:
            return None
        if stated(earlier.content.encode("latin-1")) != now:
            break
        since = earlier.layer
    return msgspec.structs.replace(file, since=since)


_WORDS = {
    "EACCES": "permission denied",
    "EFBIG": "larger than what is kept of a file in a compressed layer",
    "ENOBUFS": "no room for it beside what else is kept of compressed layers",
    "ENOENT": "missing",
    "EXDEV": "mounted from elsewhere",
}


def in_words(problem: str | None) -> str:
    """Why something could not be read, as a reader knows it; ``None``: nobody looked."""
    return "not collected" if problem is None else _WORDS.get(problem, problem)


def in_one_pass(evidence: Evidence) -> bool:
    """Whether the target is asked once only, by the bare probe: what may be needed has to be asked at once."""
    return evidence.document.subject.kind == "evidence"


class Extractor(Protocol):
    """A module of this package."""

    CLASS: FactClass
    VERSION: int
    """To be raised when it reads more than before: what it did not look for then is no change now. New facts have
    ``None`` or an empty value in a snapshot that lacks them."""

    def wants(self, evidence: Evidence) -> Sequence[AnyWant]:
        """What to ask next, given the answers so far; the first round's wants need no answer at all."""
        ...

    def read(self, evidence: Evidence) -> Facts:
        """The facts, from whatever evidence there is."""
        ...
