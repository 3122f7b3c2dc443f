"""A shell's view of a text: its commands, their words without quotes, and what each is given on its standard input.

Simpler than a shell and made for text that may be broken: a quote that is never closed is a character like any other,
nothing is expanded, and what is quoted can be looked at as a text of its own (POSIX.1-2017, Shell Command Language).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from msgspec import Struct, field

DOLLAR = "\0"


class Text(Struct, frozen=True, kw_only=True):
    """Characters without their quotes, and where each stands in what they were taken from."""

    chars: str
    at: Sequence[int]
    """A dollar sign between single quotes, which begins nothing, is :data:`DOLLAR`."""

    def __getitem__(self, part: slice) -> Text:
        return Text(chars=self.chars[part], at=self.at[part])

    def literal(self) -> Text:
        """The same between single quotes."""
        return Text(chars=self.chars.replace("$", DOLLAR), at=self.at)

    def inner(self) -> Text:
        """The same as the text of commands, which another shell reads."""
        return Text(chars=self.chars.replace(DOLLAR, "$"), at=self.at)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where some of the characters stand, quotes between them included."""
        return self.at[start], self.at[end - 1] + 1


def joined(texts: Iterable[Text]) -> Text:
    """Texts with a space between them."""
    parts = [text for text in texts if text.chars]
    at: list[int] = []
    for part in parts:
        if at:
            at.append(at[-1])
        at.extend(part.at)
    return Text(chars=" ".join(part.chars for part in parts), at=at)


class Command(Struct, kw_only=True):
    """One simple command."""

    words: list[Text] = field(default_factory=list)
    """An empty one stands for what a substitution puts there."""
    given: list[Text] = field(default_factory=list)
    """Here-documents and here-strings."""
    files: list[str] = field(default_factory=list)
    """What its output is redirected to."""
    sources: list[Command] = field(default_factory=list)
    """Those whose output is piped into this one."""


_GROUP = 256
"""The last commands of a group that are taken for sources of a pipe."""
_PLAIN = re.compile(r"[^\s'\"\\;&|()<>$`]+")
_BLANK = re.compile(r"[^\S\n]+")
_REDIRECTION = re.compile(r"\d*(?:<<<|<<-?|>>|>\||>&|<&|<>|<|>)")
_OPERATOR = re.compile(r"\|\||&&|;;|\|&|\$\(|[;&|()\n`]")
_IN_QUOTES = re.compile(r"[^\"\\]+|\\(?:.|\Z)", re.DOTALL)
_ESCAPED_IN_QUOTES = re.compile(r"\\([\"\\$`])|\\\n")


def commands(text: Text) -> list[Command]:
    """Every simple command of a text, in order, those in substitutions and groups as well."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: Text) -> None:
        self._text = text.chars
        self._at = text.at
        self._position = 0
        self._last = {quote: self._text.rfind(quote) for quote in "'\""}
        self._found: list[Command] = []
        self._groups: list[tuple[str, int, Command]] = []
        """How each open one began, the number of its first command, and the command that it stands in."""
        self._sources: list[Command] = []
        """What a pipe after the last thing read would get the output of."""
        self._expected: list[tuple[Command, str, bool]] = []
        """Here-documents whose bodies begin with the next line: whose, up to which mark, and whether that is quoted."""
        self._command = self._next()

    def read(self) -> list[Command]:
        while self._position < len(self._text):
            self._step()
        return [command for command in self._found if command.words or command.given]

    def _next(self) -> Command:
        command = Command()
        self._found.append(command)
        self._sources = [command]
        return command

    def _step(self) -> None:
        if blank := _BLANK.match(self._text, self._position):
            self._position = blank.end()
        elif redirection := _REDIRECTION.match(self._text, self._position):
            self._redirected(redirection)
        elif operator := _OPERATOR.match(self._text, self._position):
            self._position = operator.end()
            self._operator(operator[0])
        else:
            word = self._word()
            if word.chars in {"{", "}"}:
                self._operator(word.chars)
            else:
                self._command.words.append(word)

    def _operator(self, operator: str) -> None:
        match operator:
            case "(" | "{" | "$(":
                self._open(operator)
            case ")" | "}":
                self._close()
            case "`":
                if self._groups and self._groups[-1][0] == "`":
                    self._close()
                else:
                    self._open(operator)
            case "|" | "|&":
                sources = [command for command in self._sources if command.words or command.given]
                self._command = self._next()
                self._command.sources = sources
            case _:
                self._command = self._next()
                if operator == "\n":
                    self._bodies()

    def _open(self, operator: str) -> None:
        if operator in {"$(", "`"}:
            self._command.words.append(self._slice(self._position, self._position))
        self._groups.append((operator, len(self._found), self._command))
        self._command = self._next()

    def _close(self) -> None:
        if not self._groups:
            self._command = self._next()
            return
        operator, start, outer = self._groups.pop()
        # What follows a substitution belongs to the command that it stands in.
        self._command = outer
        self._sources = self._found[max(start, len(self._found) - _GROUP) :] if operator in "({" else [outer]

    def _redirected(self, redirection: re.Match[str]) -> None:
        self._position = redirection.end()
        if blank := _BLANK.match(self._text, self._position):
            self._position = blank.end()
        if self._position >= len(self._text) or self._text[self._position] in ";&|()\n`<>":
            return
        start = self._position
        word = self._word()
        match redirection[0].lstrip("0123456789"):
            case "<<<":
                self._command.given.append(word)
            case "<<" | "<<-":
                quoted = self._text[start : self._position] != word.chars
                self._expected.append((self._command, word.chars, quoted))
            case ">" | ">>" | ">|":
                self._command.files.append(word.chars)
            case _:
                pass

    def _bodies(self) -> None:
        for command, mark, quoted in self._expected:
            start = self._position
            end = re.compile(rf"^\t*{re.escape(mark)}$", re.MULTILINE).search(self._text, start)
            stop = end.start() if end else len(self._text)
            body = self._slice(start, stop)
            command.given.append(body.literal() if quoted else body)
            self._position = min(end.end() + 1, len(self._text)) if end else stop
        self._expected.clear()

    def _slice(self, start: int, stop: int) -> Text:
        return Text(chars=self._text[start:stop], at=self._at[start:stop])

    def _word(self) -> Text:
        parts = list(self._parts())
        if len(parts) == 1:
            return parts[0]
        return Text(
            chars="".join(part.chars for part in parts), at=list(chain.from_iterable(part.at for part in parts))
        )

    def _parts(self) -> Iterator[Text]:
        while self._position < len(self._text):
            start = self._position
            here = self._text[start]
            if plain := _PLAIN.match(self._text, start):
                self._position = plain.end()
                yield self._slice(start, self._position)
            elif here in "'\"" and start < self._last[here]:
                yield self._quoted(here, start)
            elif here == "\\":
                self._position = start + 2
                if not self._text.startswith("\n", start + 1):
                    yield self._slice(start + 1, start + 2).literal()
            elif here.isspace() or here in ";&|()<>`" or self._text.startswith("$(", start):
                return
            else:
                self._position = start + 1
                if here != "$" or not self._text.startswith("'", start + 1):
                    yield self._slice(start, start + 1)

    def _quoted(self, quote: str, start: int) -> Text:
        if quote == "'":
            end = self._text.index("'", start + 1)
            self._position = end + 1
            return self._slice(start + 1, end).literal()
        end = start + 1
        while run := _IN_QUOTES.match(self._text, end):
            end = run.end()
        self._position = end + 1
        return _unescaped(self._slice(start + 1, end))


def _unescaped(text: Text) -> Text:
    if "\\" not in text.chars:
        return text
    chars: list[str] = []
    at: list[int] = []
    position = 0
    for found in _ESCAPED_IN_QUOTES.finditer(text.chars):
        chars.append(text.chars[position : found.start()])
        at.extend(text.at[position : found.start()])
        if found[1]:
            chars.append(found[1].replace("$", DOLLAR))
            at.append(text.at[found.start(1)])
        position = found.end()
    chars.append(text.chars[position:])
    at.extend(text.at[position:])
    return Text(chars="".join(chars), at=at)
