"""Credentials in a shell's commands: those that a program is known to be given, and those with a telling name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from reprocheck import redact
from reprocheck.archives.forms import FILES, FORMS, WRAPPERS, WRITERS, Form
from reprocheck.archives.shell import Command, Text, commands, joined

_Span = tuple[int, int]

_DEPTH = 4
"""How deep commands in quotes of commands are looked at, and how many pipes back."""
_BEHIND_WRAPPER = 16
"""Words in which a wrapper's command is looked for."""

# A name that ends in such a word is a secret's (`tokenizers==0.13`, `keyring` and `liboauth0=1.0` are none).
_NAMED = (
    r"(?:(?:KEY|TOKEN|SECRET|(?<!NO)PASSW(?:OR)?D|PASSPHRASE|PWD|CREDENTIAL|SIGNATURE|(?<![A-Z])(?:O?AUTH|PASS|PAT))S?\d{0,9}"
    r"(?:_\w{0,60})?)"
)
_NAME = re.compile(rf"{_NAMED}\Z", re.IGNORECASE)
_PUBLIC = r"(?:recv|receive|fetch|default|import|export|search|list|delete|send)-"
_OPTION = re.compile(rf"--?(?!-?{_PUBLIC})[\w.-]{{0,80}}?{_NAMED}", re.IGNORECASE)
_OPTION_WITH_VALUE = re.compile(rf"--?[\w.-]{{0,80}}?{_NAMED}(?:-[\w-]{{0,60}})?", re.IGNORECASE)
_BEGINS = r"(?:(?<![\w-])|(?<=\\[nrt]))"
_SCHEME = r"(?:(?:Bearer|Basic|Token|Digest|ApiKey)[ \t]{1,20})?"
_PROSE = r"[=:]|(?:for|is|required|requisite|sufficient)\b"
# Of any language: name=value, name = value, environ['name'] = value.
_ASSIGNMENT = rf"{_NAMED}(?:\\?[\"'])?\]?(?:=(?!=)|[ \t]{{1,20}}=(?!=)[ \t]{{0,20}})"
_BEFORE_VALUES = (
    _ASSIGNMENT,
    rf"{_NAMED}(?:\\?[\"'])?[ \t]{{0,20}}:(?!//)[ \t]{{0,20}}{_SCHEME}",
    r"\bBearer[ \t]{1,20}",
    r"\bBasic[ \t]{1,20}(?=[^\s\"']{0,200}[\d=])",
    # .netrc, settings of servers, SQL.
    rf"{_BEGINS}(?:password|requirepass|masterauth)[ \t]{{0,20}}[ \t(](?!{_PROSE})",
    rf"{_BEGINS}login[ \t]{{1,20}}[^\s\"']{{1,200}}\s{{1,20}}passwd[ \t]{{1,20}}",
    rf"{_BEGINS}IDENTIFIED[ \t]{{1,20}}BY[ \t]{{1,20}}",
    r"\blogin\([ \t]{0,20}(?=[\"'])",
)
_TELLING = re.compile(r"key|token|secret|pass|pat|pwd|credential|signature|auth|bearer|basic|by|login", re.IGNORECASE)
"""What any of these rules needs."""
_SPACE = re.compile(r"\s")
_NESTED = re.compile(r"[\[{](?:[\s\"'\[\]{}]|\Z)")
_QUOTE = re.compile(r"\\?[\"']")
_PLAIN = re.compile(r"[^\s\"']+")
_EXPANDED = re.compile(r"\$(?:\w+|\{\w+\}|\([^()]*\))|`[^`]*`")


def masked(text: str) -> str:
    """A text of shell commands, asterisks in place of each credential; all else is as it was."""
    text = redact.url(text)
    shown: list[str] = []
    position = 0
    for start, end in sorted(_balanced(text, *span) for span in _secrets(Text(chars=text, at=range(len(text))))):
        if end <= position:
            continue
        if start > position or not shown:
            shown += [text[position:start], redact.MASK]
        position = end
    return redact.tokens("".join([*shown, text[position:]]))


def assigned(text: str) -> bool:
    """Whether a name that looks like a secret's is given a value by ``=``, which is no prose, in a text of any kind."""
    return any(_of_data(Text(chars=text, at=range(len(text))), (_ASSIGNMENT,)))


def _balanced(text: str, start: int, end: int) -> _Span:
    """A span, and the quote that would be left alone beside it."""
    for quote in "\"'":
        if text.count(quote, start, end) % 2:
            if text.startswith(quote, end):
                end += 1
            elif text.startswith(quote, start - 1):
                start -= 1
    return start, end


def _secrets(text: Text) -> Iterator[_Span]:
    found = commands(text)
    for command in found:
        for data in (joined(command.words), *command.given):
            if _TELLING.search(data.chars):
                yield from _of_data(data)
    yield from _of_commands(found, _DEPTH)


def _of_commands(found: Iterable[Command], depth: int) -> Iterator[_Span]:
    for command in found:
        yield from _of_names(command.words)
        yield from _of_forms(command)
        for text in (*command.words, *command.given):
            if depth and _SPACE.search(text.chars):
                yield from _of_commands(commands(text.inner()), depth - 1)
        for told, path in _written(command):
            for file, part in FILES:
                if re.fullmatch(file, path[-4096:]):
                    yield from _of_parts(told, part)


def _of_data(text: Text, rules: Iterable[str] = _BEFORE_VALUES) -> Iterator[_Span]:
    """Values behind names, in any kind of text."""
    for pattern in rules:
        rule = re.compile(pattern, re.IGNORECASE)  # here, and kept by re: few texts have anything that tells
        position = 0
        while before := rule.search(text.chars, position):
            start, position = _value(text.chars, before.end())
            yield from _span(text, start, position)
            position = max(position, before.end())


def _value(chars: str, start: int) -> tuple[int, int]:
    """Where a value begins and ends, in quotes or not."""
    if quote := _QUOTE.match(chars, start):
        end = chars.find(quote[0], quote.end())
        return quote.end(), len(chars) if end < 0 else end
    plain = None if _NESTED.match(chars, start) else _PLAIN.match(chars, start)
    return start, plain.end() if plain else start


def _span(text: Text, start: int, end: int) -> Iterator[_Span]:
    """Where a secret stands, unless it is none: empty, masked before, or what a shell puts something for."""
    value = text.chars[start:end]
    if value and not value.startswith(redact.MASK) and not _EXPANDED.fullmatch(value):
        yield text.span(start, end)


def _of_names(words: Sequence[Text]) -> Iterator[_Span]:
    """Assignments, quotes in their values taken away, and options."""
    for position, word in enumerate(words):
        equals = word.chars.find("=")
        if equals < 0:
            if position + 1 < len(words) and _OPTION.fullmatch(word.chars):
                following = words[position + 1]
                if not following.chars.startswith("-"):
                    yield from _span(following, 0, len(following.chars))
            continue
        name = word.chars[max(0, equals - 200) : equals]
        if word.chars.startswith("=", equals + 1) or _SPACE.search(name):
            continue
        if _NAME.search(name) or _OPTION_WITH_VALUE.fullmatch(name):
            yield from _span(word, equals + 1, len(word.chars))


def _of_forms(command: Command) -> Iterator[_Span]:
    for position in _programs(command.words):
        words = command.words[position + 1 :]
        for form in _forms(_base(command.words[position].chars)):
            behind = _behind_verbs(form, words)
            if behind is None:
                continue
            if form.options is not None:
                yield from _of_parts(_of_options(form.options, words), form.part)
            if form.words is not None:
                operands = [word for word in words[behind:] if not word.chars.startswith("-")]
                yield from _of_parts(operands[form.words], form.part)
            if form.given:
                yield from _of_input((*command.given, *_piped(command)), form.part)


def _programs(words: Sequence[Text]) -> Iterator[int]:
    """Positions of words that may name the program that is run."""
    first = 0
    while first < len(words) and "=" in words[first].chars:
        first += 1
    if first == len(words):
        return
    yield first
    if WRAPPERS.fullmatch(_base(words[first].chars)):
        yield from range(first + 1, min(first + 1 + _BEHIND_WRAPPER, len(words)))


def _base(program: str) -> str:
    return program.rpartition("/")[2][:64]


@lru_cache(maxsize=1024)
def _forms(program: str) -> tuple[Form, ...]:
    return tuple(form for form in FORMS if re.fullmatch(form.programs, program))


def _behind_verbs(form: Form, words: Sequence[Text]) -> int | None:
    """The position behind the last of a row's verbs, if all are there."""
    position = 0
    for verb in form.verbs:
        while position < len(words) and not re.fullmatch(verb, words[position].chars):
            position += 1
        if position == len(words):
            return None
        position += 1
    return position


def _of_options(options: str, words: Sequence[Text]) -> Iterator[Text]:
    for position, word in enumerate(words):
        if not word.chars.startswith("-"):
            continue
        name, equals, _ = word.chars.partition("=") if word.chars.startswith("--") else (word.chars, "", "")
        found = re.fullmatch(options, name, re.DOTALL)
        if found is None:
            continue
        if equals:
            yield word[len(name) + 1 :]
        elif found.re.groups and found["value"]:
            yield word[found.start("value") :]
        elif position + 1 < len(words):
            yield words[position + 1]


def _piped(command: Command) -> Iterator[Text]:
    """What the programs write that stand before a command's pipes."""
    sources = command.sources
    for _ in range(_DEPTH):
        for source in sources:
            yield from _told(source)
        sources = sources[-1].sources if sources else []


def _told(command: Command) -> list[Text]:
    """What a program that writes what it is told is told."""
    for position in _programs(command.words):
        program = _base(command.words[position].chars)
        if not WRITERS.fullmatch(program):
            continue
        if program == "cat":
            return command.given
        words = command.words[position + 1 :]
        if program == "printf" and len(words) > 1 and "%" in words[0].chars:
            return words[1:]
        while words and re.fullmatch(r"-[neE]+|--", words[0].chars):
            words = words[1:]
        return [joined(words)] if words else []
    return []


def _written(command: Command) -> Iterator[tuple[list[Text], str]]:
    """What a command writes into files, and the path of each."""
    for path in command.files:
        yield _told(command), path
    for position in _programs(command.words):
        if _base(command.words[position].chars) == "tee":
            told = [*command.given, *_piped(command)]
            for word in command.words[position + 1 :][:_BEHIND_WRAPPER]:
                yield told, word.chars


def _of_input(values: Iterable[Text], part: str) -> Iterator[_Span]:
    """What is secret of each value; all of it where it is not of the shape that is known."""
    for value in values:
        yield from list(_of_parts([value], part)) or _span(value, 0, len(value.chars))


def _of_parts(values: Iterable[Text], part: str) -> Iterator[_Span]:
    for value in values:
        for found in re.finditer(part, value.chars):
            yield from _span(value, *found.span(1))
