"""A target that is read without running a line of it: wants are answered from a tree of layers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import Answer, AnyWant, Command, Document, Process
from reprocheck.probe import collect
from reprocheck.targets import interpreter_files
from reprocheck.targets.files import TreeFiles


class StaticSession:
    """Answers wants about files by the probe's own code, and wants about interpreters from their files."""

    def __init__(self, document: Document, tree: Tree, *, user: str = "", home: str | None = None) -> None:
        self.document = document
        self._answers = _Answers(tree, (home or home_of(tree, user)).encode("latin-1"))

    def answer(self, wants: Sequence[AnyWant]) -> Answer | None:
        """Answer what files can tell; there is no process to ask and no program is run."""
        asked = [want for want in wants if not isinstance(want, (Process, Command))]
        if not asked:
            return None
        request = {"wants": json.loads(msgspec.json.encode(asked))}
        out = self._answers.to(request)
        return msgspec.convert(out, Answer)


class _Answers(collect.Answer):
    """The probe's answers over a tree instead of a disk."""

    def __init__(self, tree: Tree, home: bytes) -> None:
        super().__init__({"found": {}, "interpreters": {}}, TreeFiles(tree))
        self._tree = tree
        self._home = home

    def to(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One round."""
        self.begin()
        out: dict[str, Any] = collect.answer(request, self)
        return {**out, "home": self._home.decode("latin-1")}

    def file(self, path: bytes, want: Mapping[str, Any]) -> dict[str, Any]:
        """A file, with the layer that it is of."""
        told: dict[str, Any] = super().file(path, want)
        if told.get("problem") is None:
            place = self._tree.find(path)
            told["layer"], told["since"] = place.layer, self._tree.since(place)
            if want.get("versions"):
                told["versions"] = list(self._versions(path, place.layer, want))
        return told

    def linked(self, path: bytes) -> dict[str, Any]:
        """An ELF file, with the layer that it is of."""
        told: dict[str, Any] = super().linked(path)
        if "real" in told:
            place = self._tree.find(path)
            told["layer"], told["since"] = place.layer, self._tree.since(place)
        return told

    def listing(self, path: bytes) -> None:
        """A directory, with what layers have taken out of it."""
        super().listing(path)
        told: dict[str, Any] = self.told("listings")[path.decode("latin-1")]
        if told["problem"] is None:
            removed = self._tree.removed(self._tree.find(path).path)
            told["removed"] = {name.decode("latin-1"): layer for name, layer in removed.items()}

    def interpreter(self, want: Mapping[str, Any]) -> None:
        """Interpreters, each with the layer that it is of."""
        super().interpreter(want)
        for told in self.told("interpreters").values():
            place = self._tree.find(told["real"].encode("latin-1"))
            told["layer"], told["since"] = place.layer, self._tree.since(place)

    def told(self, part: str) -> dict[str, Any]:
        """What this round has answered so far."""
        answered: dict[str, Any] = self.out[part]  # type: ignore[assignment] # its values are of several shapes
        return answered

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
        try:
            facts = interpreter_files.facts_of(self._tree, real)
        except interpreter_files.Unknown as unknown:
            return {"problem": str(unknown)}
        except OSError as error:
            return {"problem": collect.problem(error)}
        return {"problem": None, "facts": facts}

    def _versions(self, path: bytes, layer: int, want: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        below = []
        while layer > 0:
            try:
                place = self._tree.below(layer).find(path)
            except OSError:
                break
            below.append(place)
            layer = place.layer
        for place in reversed(below):
            raw = self._tree.read(place, 0, min(want.get("limit", collect.WANT_LIMIT), max(self.room, 0)))
            self.room -= len(raw)
            yield {"layer": place.layer, "content": collect.text(collect.scrub(raw))}


def home_of(tree: Tree, user: str) -> str:
    """Home directory of the configured user (name or number, with or without a group), as engines set ``HOME``.

    From ``/etc/passwd`` (passwd(5)); ``/`` where it does not know the user.
    """
    wanted = user.partition(":")[0] or "0"
    try:
        raw = tree.read(tree.find(b"/etc/passwd"), 0, 1 << 20)
    except OSError:
        raw = b""
    for line in raw.decode("latin-1").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and wanted in {fields[0], fields[2]}:  # noqa: PLR2004 - the home is the sixth
            return fields[5] or "/"
    return "/root" if not raw and wanted == "0" else "/"
