"""The policy file: where it is found, and how it is read: strictly, with the path of what is wrong."""

from __future__ import annotations

import datetime
import difflib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

import msgspec
import tomli

from reprocheck.errors import DataError
from reprocheck.model import factpath, shape
from reprocheck.model.codec import read_file
from reprocheck.model.policy import Policy, Waiver
from reprocheck.model.report import SEVERITIES
from reprocheck.model.snapshot import FACT_CLASSES, Snapshot
from reprocheck.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OWN = "reprocheck.toml"
SHARED = "pyproject.toml"
"""The policy in it is the table ``[tool.reprocheck]``."""
MAX_BYTES = 1 << 20
"""Size of a file that is still read: thousands of waivers."""

_ERROR = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<where>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<key>.*)`")
_STEP = re.compile(r"[^.\[\]]+")
_BRACKETS = re.compile(r"\[.*?\]", re.DOTALL)
_SAYS_SOMETHING = re.compile(r"\w")
_WANTED = {
    "rule": "; write the code or name of a rule",
    "subject": "; name what the finding is about: a waiver is for one thing",
    "reason": "; say why it is tolerated",
    "expires": "; write the last day on which it waives, as in 2026-12-31",
}
_DATE = "a date, as in 2026-12-31"
_TYPES = {datetime.date: _DATE, bool: "true or false", int: "a whole number", str: "text", tuple: "a list"}
_FACTS = tuple(name for name in FACT_CLASSES if name != "smoke")


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyFile:
    """A policy and where it was read from."""

    path: Path
    digest: str
    """``sha256:…`` of the file."""
    policy: Policy

    @property
    def extends(self) -> Path | None:
        """The baseline that it extends."""
        return None if self.policy.extends is None else self.path.parent / self.policy.extends

    @property
    def knowledge(self) -> tuple[Path, ...]:
        """Files of the user's own knowledge."""
        return tuple(self.path.parent / name for name in self.policy.knowledge)


def find_here() -> Path | None:
    """Find the policy that holds in the current directory, by a path that is short to read."""
    try:
        found = find(Path.cwd())
    except FileNotFoundError:  # somebody has removed it
        return None
    return None if found is None else Path(os.path.relpath(found))


def find(start: Path) -> Path | None:
    """Find the policy that holds in a directory: the nearest one upwards, no further than the repository's root.

    Outside a repository (no ``.git``) only the directory itself is looked at: what lies above it may be anybody's.

    Raises:
        DataError: one directory holds two, or a ``pyproject.toml`` on the way can't be read.
    """
    # os.path throughout: the methods of Path raise where a directory can't be entered.
    above = [start, *start.parents]
    roots = [number for number, folder in enumerate(above) if os.path.exists(folder / ".git")]  # noqa: PTH110
    for folder in above[: roots[0] + 1 if roots else 1]:
        own, shared = folder / OWN, folder / SHARED
        there = [path for path in (own, shared) if os.path.isfile(path)]  # noqa: PTH113
        if shared in there and not _is_shared(shared):
            there.remove(shared)
        if len(there) > 1:
            raise DataError(f"{printable(str(own))}: pyproject.toml beside it has a policy too; keep one of them")
        if there:
            return there[0]
    return None


def load(path: Path, rules: Mapping[str, str]) -> PolicyFile:
    """Read a policy.

    Args:
        path: the file; one that is called ``pyproject.toml`` holds the policy as ``[tool.reprocheck]``.
        rules: name of each rule, by code.

    Raises:
        DataError: it can't be used; one line with the path of what is wrong.
    """
    raw, document = _parsed(path)
    at = printable(str(path))
    table, prefix = (_shared(document, at), "tool.reprocheck.") if path.name == SHARED else (document, "")
    if table is None:
        raise DataError(f"{at}: has no table [tool.reprocheck]; name the file that holds the policy")
    try:
        policy = _convert(table)
        _check(policy, rules)
    except _WrongError as wrong:
        raise DataError(f"{at}: {printable(f'{prefix}{wrong}'.replace('.:', ':', 1))}") from None
    return PolicyFile(path=path, digest=f"sha256:{hashlib.sha256(raw).hexdigest()}", policy=policy)


class _WrongError(ValueError):
    """``PATH: WHAT``, of the first thing that is wrong."""


def _parsed(path: Path) -> tuple[bytes, dict[str, Any]]:
    at = printable(str(path))
    raw = read_file(path, most=MAX_BYTES)
    try:
        return raw, tomli.loads(raw.removeprefix(b"\xef\xbb\xbf").decode())
    except UnicodeDecodeError as error:
        raise DataError(f"{at}: is not UTF-8 text, so not TOML; save it as UTF-8") from error
    except RecursionError as error:
        raise DataError(f"{at}: is nested too deeply; is it the right file?") from error
    except ValueError as error:  # a syntax error, or a number that is too long
        why = str(error)
        raise DataError(f"{at}: is not TOML: {printable(why[:1].lower() + why[1:])}; mend it") from error


def _shared(document: dict[str, Any], at: str) -> Any:
    tool = document.get("tool", {})
    if not isinstance(tool, dict):
        raise DataError(f"{at}: tool: expected a table")
    return tool.get("reprocheck")


def _is_shared(path: Path) -> bool:
    return _shared(_parsed(path)[1], printable(str(path))) is not None


def _convert(document: Any) -> Policy:
    severity = document.get("severity") if isinstance(document, dict) else None
    if isinstance(severity, dict):  # msgspec names no keys
        for rule, value in severity.items():
            if value not in SEVERITIES:
                raise _WrongError(f"severity.{rule}: expected one of {', '.join(SEVERITIES)}")
    try:
        # As built-in types, dates are dates of TOML, and no text that looks like one.
        return msgspec.convert(document, Policy, builtin_types=(datetime.date, datetime.datetime, datetime.time))
    except msgspec.ValidationError as error:
        raise _WrongError(_in_words(str(error))) from error


def _in_words(error: str) -> str:
    """Say what msgspec says in the words of who writes TOML: ``Expected `str`, got `int` - at `$.waiver[2].rule```."""
    found = _ERROR.fullmatch(error)
    if found is None:
        return error
    what, where = found["what"], (found["where"] or "").removeprefix(".")
    kind = shape.kind_at(Policy, _STEP.findall(where))
    dot = "." if where else ""
    if unknown := _UNKNOWN.fullmatch(what):
        return f"{where}{dot}{unknown['key']}: no such key{_suggestion(unknown['key'], shape.fields(kind))}"
    if missing := _MISSING.fullmatch(what):
        return f"{where}{dot}{missing['key']}: is missing{_WANTED.get(missing['key'], '')}"
    choices = shape.words(kind)
    expected = f"one of {', '.join(choices)}" if choices else _TYPES.get(get_origin(kind) or kind, "a table")
    return f"{where}: expected {expected}"


def _check(policy: Policy, rules: Mapping[str, str]) -> None:
    """Check what types don't say."""
    if policy.max_baseline_age_days is not None and policy.max_baseline_age_days < 0:
        raise _WrongError("max_baseline_age_days: expected a number of days, 0 or more")
    if policy.extends is not None and not policy.extends.strip():
        raise _WrongError("extends: is empty; name a baseline")
    for index, name in enumerate(policy.knowledge):
        if not name.strip():
            raise _WrongError(f"knowledge[{index}]: is empty; name a file")
    _check_severities(policy, rules)
    _check_required(policy)
    _check_waivers(policy, rules)


def _check_severities(policy: Policy, rules: Mapping[str, str]) -> None:
    codes: dict[str, str] = {}
    for rule in policy.severity:
        other = codes.setdefault(_code(rule, rules, f"severity.{rule}"), rule)
        if other != rule:
            raise _WrongError(f"severity.{rule}: is the rule {other}, which has a severity already")


def _check_required(policy: Policy) -> None:
    for index, what in enumerate(policy.require):
        _check_path(what, f"require[{index}]")
        if factpath.keys(what)[0] in policy.ignore:
            raise _WrongError(f"require[{index}]: {factpath.keys(what)[0]} is ignored; keep one of the two")


def _check_waivers(policy: Policy, rules: Mapping[str, str]) -> None:
    seen: dict[Waiver, int] = {}
    for index, waiver in enumerate(policy.waiver):
        code = _code(waiver.rule, rules, f"waiver[{index}].rule")
        if not waiver.subject.strip():
            raise _WrongError(f"waiver[{index}].subject: is empty; name what the finding is about")
        if not _SAYS_SOMETHING.search(_BRACKETS.sub("", waiver.subject)):
            raise _WrongError(f"waiver[{index}].subject: covers anything; name what the finding is about")
        if not waiver.reason.strip():
            raise _WrongError(f"waiver[{index}].reason: is empty; say why it is tolerated")
        same = msgspec.structs.replace(waiver, rule=code, reason="", expires=datetime.date.max)
        if seen.setdefault(same, index) != index:
            raise _WrongError(f"waiver[{index}]: waives the same as waiver[{seen[same]}]; keep one of them")


def _check_path(what: str, where: str) -> None:
    """Check that facts can stand at a path."""
    steps = factpath.keys(what)
    known: Iterable[str] = _FACTS
    if steps and steps[0] in _FACTS:
        try:
            shape.kind_at(Snapshot, steps)
        except KeyError as error:
            position = error.args[0]
            known = shape.fields(shape.kind_at(Snapshot, steps[:position]))
            steps = steps[position:]
        else:
            return
    suggestion = _suggestion(steps[0] if steps else "", known) or "; facts are named as in gaps, as in machine.driver"
    raise _WrongError(f"{where}: {what} is no path of a fact{suggestion}")


def _code(rule: str, rules: Mapping[str, str], where: str) -> str:
    """The code of a rule that is named by code or name."""
    for code, name in rules.items():
        if rule in {code, name}:
            return code
    suggestion = _suggestion(rule, [*rules, *rules.values()]) or "; reprocheck rules lists them"
    raise _WrongError(f"{where}: no rule has this code or name{suggestion}")


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
