"""Which instruction made which layer (OCI image configuration, ``history``), its secrets withheld."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from reprocheck import redact
from reprocheck.archives import credentials
from reprocheck.archives.manifest import HistoryEntry

_EMPTY = frozenset(
    {"ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "SHELL"}
    | {"STOPSIGNAL", "USER", "VOLUME"}
)
"""Instructions that make no layer."""

_ARGUMENTS = re.compile(r"(?:RUN )?\|(\d+) ")
_SHELL = r"(?:/\S+/)?(?:ba|da|a|z|k|c|tc|mk|fi)?sh(?: -\w*o \w+| -\S+)*? -\w*c "
_DEFAULT_SHELL = "/bin/sh -c"
_ARGUMENT_MOST = 1 << 17
"""Bytes of one argument of a program (execve(2)): no longer line was ever handed to a shell. To be read as words it
would take a hundred times its memory."""


def instructions(history: list[tuple[str, int]], layers: int) -> list[tuple[str | None, int | None]]:
    """Instruction and size of each layer, from the history, oldest entry first.

    The engine's API leaves out ``empty_layer`` (OCI image configuration, ``history``), so which entry made
    a layer is worked out: bytes mean a layer, settings mean none, and any other instruction of no bytes
    (``WORKDIR``, a ``RUN`` that changed nothing) goes either way. Where that does not come out even, the
    layers below the first and above the last doubtful entry are still certain; of the others nothing is
    claimed.
    """
    entries = list(zip(_instructions(text for text, _ in history), (size for _, size in history), strict=True))
    entries = [(text, size) for text, size in entries if size > 0 or _word(text) not in _EMPTY]
    certain = [entry for entry in entries if entry[1] > 0]
    if layers in {len(entries), len(certain)}:
        return list(entries if layers == len(entries) else certain)
    doubtful = [position for position, (_, size) in enumerate(entries) if size == 0]
    if not doubtful or not len(certain) < layers < len(entries):
        return [(None, None)] * layers
    below, above = entries[: doubtful[0]], entries[doubtful[-1] + 1 :]
    return [*below, *[(None, None)] * (layers - len(below) - len(above)), *above]


def from_config(history: Sequence[HistoryEntry], layers: int) -> tuple[str | None, ...] | None:
    """Instruction of each layer, from the history of an image configuration, secrets masked.

    It says of each entry whether it made a layer. ``None`` where that does not come out even: the specification
    leaves the history optional, and tools that cut or add layers don't always keep it.
    """
    if sum(not entry.empty_layer for entry in history) != layers:
        return None
    shown = _instructions(entry.created_by or "" for entry in history)
    return tuple(text for text, entry in zip(shown, history, strict=True) if not entry.empty_layer)


def _instructions(history: Iterable[str]) -> Iterator[str | None]:
    """The instruction of each entry, which may be in the shell that an earlier one has set."""
    shell = _DEFAULT_SHELL
    for text in history:
        shown = instruction(text, shell)
        yield shown
        if shown and (set_ := re.fullmatch(r"SHELL \[(.+)\]", shown, re.DOTALL)):
            shell = set_[1]


def _word(text: str | None) -> str:
    return (text or "").partition(" ")[0].upper()


def instruction(created_by: str, shell: str = _DEFAULT_SHELL) -> str | None:
    """The Dockerfile instruction of a history entry as its author wrote it, secrets masked; ``None`` for an empty one.

    The classic builder writes ``/bin/sh -c #(nop)  CMD …`` and ``|1 ARG=value /bin/sh -c …``, BuildKit
    ``RUN |1 ARG=value /bin/sh -c … # buildkit``. ``shell``: the words of the shell that ``SHELL`` has set.
    """
    text = created_by.strip().removesuffix("# buildkit").strip()
    if not text:
        return None
    nop = re.match(r"(?:\S+sh )?(?:-\S+ )*#\(nop\)\s*", text)
    if nop:
        text = text[nop.end() :]
    elif arguments := _ARGUMENTS.match(text):
        text = f"RUN {_behind_arguments(text[arguments.end() - 1 :], shell)}"
    elif started := re.match(rf"(?:RUN )?(?:{re.escape(shell)} |{_SHELL})", text):
        text = f"RUN {text[started.end() :]}"
    word, _, rest = text.partition(" ")
    return f"{word} {_operands(word.upper(), rest.strip())}".strip()


def _behind_arguments(text: str, shell: str) -> str:
    """The command behind build arguments, whose values may hold anything, a shell as well."""
    ends = [found.end() for found in re.finditer(rf" {re.escape(shell)} ", text)]
    ends = ends or [found.end() for found in re.finditer(f"(?<= ){_SHELL}", text)]
    if not ends:
        return redact.MASK
    command = text[ends[-1] :]
    return command if len(ends) == 1 else f"{redact.MASK} {command}"


def _operands(word: str, rest: str) -> str:
    match word:
        case "ENV" | "LABEL" | "ARG":
            return _names(rest, word)
        case "CMD" | "ENTRYPOINT" | "HEALTHCHECK" | "ONBUILD":
            return _masked_command(rest)
        case _:
            return credentials.masked(rest) if len(rest) <= _ARGUMENT_MOST else redact.MASK


def _names(rest: str, word: str) -> str:
    # Names alone: a value may hold spaces and quotes, and where one ends can't be told from the history.
    found = re.match(r"(?:map\[)?([A-Za-z_][\w.-]*)(?:=(.*))?", rest, re.DOTALL)
    if found is None:
        return redact.MASK
    name, value = found[1], found[2]
    if value is None:
        return name if word == "ARG" else f"{name} {redact.MASK}"
    if word == "ENV" and redact.is_shown(name) and not re.search(r"\s\S+=", value):
        return f"{name}={redact.scrubbed(value)}"
    return f"{name}={redact.MASK}"


def _masked_command(rest: str) -> str:
    try:
        argv = json.loads(rest)
    except ValueError:
        # The classic builder prints a Go slice: ["python3" "train.py"].
        argv = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
    if not isinstance(argv, list) or not argv:
        return redact.MASK
    return json.dumps(list(redact.command([str(word) for word in argv])))
