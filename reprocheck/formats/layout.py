"""A page of text for a terminal: labelled rows that wrap under themselves, safe whatever they quote.

Everything that is put on a page may come from a target. So it is plain text, never rich's markup;
control characters become visible escapes; and no line that is printed can be taken for a command by
the runner of a CI system, which obeys ``::error::`` at the start of a line and ``##[error]`` anywhere.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from reprocheck.model.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Part = str | tuple[str, str]
"""Text, or text with the name of its style."""

INDENT = 2
LABEL = 12
"""Columns of a row's label."""
BLOCK = 10
"""Columns of the word that begins a block."""
RIGHT_EDGE = 100
"""What stands on the right stands no further than this: on a wide screen the eye would lose the line."""
_NARROWEST = 20

_STYLES = {
    "verified": "bold green",
    "drift": "bold red",
    "unverified": "bold magenta",
    "breaking": "bold red",
    "major": "red",
    "minor": "yellow",
    "info": "cyan",
    "label": "dim",
    "aside": "dim",
    "strong": "bold",
}
_LINE_COMMAND = re.compile(r"^((?:\s|\x1b\[[0-9;]*m)*):(?=:)", re.MULTILINE)
_ANYWHERE_COMMAND = re.compile(r"##(?=\[|vso\[|teamcity\[)")


_ENDLESS = re.compile(r"\S{301,}")
_BEGINNING, _END = 120, 40
"""Characters that are left of a word of more than 300."""


class Page:
    """Lines of text, laid out for one width.

    Args:
        width: columns of the terminal.
        color: whether to style the text; the words alone say everything without it.
    """

    def __init__(self, *, width: int, color: bool) -> None:
        from rich.console import Console  # 40 ms that only a page needs

        self._width = width
        self._out = io.StringIO()
        # Nothing of the surroundings may change the page: same report, same bytes.
        self._console: Console = Console(
            file=self._out,
            width=width,
            height=100,
            force_terminal=color,
            color_system="standard" if color else None,
            no_color=not color,
            markup=False,
            emoji=False,
            highlight=False,
            legacy_windows=False,
        )

    def line(self, *parts: Part) -> None:
        """Add a line; what is too long for the width goes on, indented."""
        self._wrapped(self._text(), self._text(*parts), INDENT)

    def block(self, word: str, style: str, *parts: Part, right: str = "") -> None:
        """Begin a block with a word at the left edge; ``right`` goes to the right edge, if there is room."""
        room = min(self._width, RIGHT_EDGE) - BLOCK
        text = self._text(*parts)
        if right:
            text.append(" " * max(room - text.cell_len - len(right), 2))
            text.append_text(self._text((right, "aside")))
        self._wrapped(self._text((word.ljust(BLOCK), style)), text, BLOCK)

    def row(self, label: str, *parts: Part) -> None:
        """Add a row with a label in front; it wraps under its own text."""
        begin = " " * INDENT + label.ljust(LABEL)
        self._wrapped(self._text((begin, "label")), self._text(*parts), len(begin))

    def aside(self, *parts: Part) -> None:
        """Add an indented line."""
        begin = " " * INDENT
        self._wrapped(self._text(begin), self._text(*parts), len(begin))

    def step(self, depth: int, *parts: Part) -> None:
        """Add a line of a chain; each stands below what it follows from."""
        begin = " " * (INDENT + LABEL + 2 * max(depth - 1, 0)) + ("└ " if depth else "")
        self._wrapped(self._text(begin), self._text(*parts), len(begin))

    def verbatim(self, label: str, text: str) -> None:
        """Add a row that never wraps: a command, to be copied as it is."""
        self._print(self._text((" " * INDENT + label.ljust(LABEL), "label")).append_text(self._plain(text, "")))

    def render(self) -> str:
        """Give the page; it ends with a newline."""
        text = _LINE_COMMAND.sub(r"\1\\x3a", self._out.getvalue())
        return _ANYWHERE_COMMAND.sub(r"#\\x23", text)

    def _wrapped(self, begin: Text, text: Text, hang: int) -> None:
        room = max(self._width - hang, _NARROWEST)
        for line in text.wrap(self._console, room, overflow="fold"):
            self._print(begin.append_text(line))
            begin = self._text(" " * hang)

    def _print(self, line: Text) -> None:
        line.rstrip()
        self._console.print(line, soft_wrap=True)

    def _text(self, *parts: Part) -> Text:
        from rich.text import Text

        text = Text()
        for part in parts:
            words, style = (part, "") if isinstance(part, str) else part
            text.append_text(self._plain(_ENDLESS.sub(_shortened, words), style))
        return text

    def _plain(self, words: str, style: str) -> Text:
        from rich.text import Text

        # Python's file names may hold halves of surrogate pairs, which no terminal can be sent.
        words = words.encode("utf-8", "backslashreplace").decode()
        return Text(printable(words), _STYLES.get(style, ""))


def _shortened(word: re.Match[str]) -> str:
    """A word that nobody reads to its end, such as a version of thousands of digits; other formats have it whole."""
    return f"{word[0][:_BEGINNING]}…[{len(word[0]):,} characters]…{word[0][-_END:]}"
