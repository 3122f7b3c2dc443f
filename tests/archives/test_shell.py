"""Commands, words and standard inputs of a text, as a shell would see them."""

from __future__ import annotations

import pytest

from reprocheck.archives.shell import Command, Text, commands


def read(text: str) -> list[Command]:
    return commands(Text(chars=text, at=range(len(text))))


def words(text: str) -> list[list[str]]:
    return [[word.chars for word in command.words] for command in read(text)]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", []),
        ("a  b\tc", [["a", "b", "c"]]),
        ("a;b&&c||d&e\nf|g", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"], ["g"]]),
        ("a 'b c' \"d e\"f\\ g", [["a", "b c", "d ef g"]]),
        (r'a "b \" \$ \x"', [["a", 'b " \0 \\x']]),
        ("a 'b\\' c", [["a", "b\\", "c"]]),
        ("a b\\\nc", [["a", "bc"]]),
        ("it's", [["it's"]]),
        ('a "b', [["a", '"b']]),
        ("a $(b c) d", [["a", "", "d"], ["b", "c"]]),
        ("a `b c` d", [["a", "", "d"], ["b", "c"]]),
        ("(a; b) c", [["c"], ["a"], ["b"]]),
        ("{ a; }; b", [["a"], ["b"]]),
        ("a) b", [["a"], ["b"]]),
        ("a >b 2>&1 <c >>d e", [["a", "e"]]),
        ("a ${b} $c $'d'", [["a", "${b}", "$c", "d"]]),
        ("a <<E b\nx y\nE\nc", [["a", "b"], ["c"]]),
    ],
)
def test_words(text: str, seen: list[list[str]]) -> None:
    assert words(text) == seen


def test_each_character_knows_where_it_stands() -> None:
    (command,) = read("a 'b c'\\d\"e\"")
    word = command.words[1]
    assert word.chars == "b cde"
    assert list(word.at) == [3, 4, 5, 8, 10]
    assert word.span(1, 4) == (4, 9)


def test_what_a_command_is_given() -> None:
    first, second, third = read("a <<'E' <<-F\nx\nE\n\ty\n\tF\nb <<<z\nc <<G\nnever ends")
    assert [given.chars for given in first.given] == ["x\n", "\ty\n"]
    assert [given.chars for given in second.given] == ["z"]
    assert [given.chars for given in third.given] == ["never ends"]


def test_a_dollar_sign_between_single_quotes_begins_nothing() -> None:
    first, second = read("a '$x' \"$y\"$z <<E <<'F'\n$b\nE\n$c\nF\nd \\$e")
    assert [word.chars for word in first.words] == ["a", "\0x", "$y$z"]
    assert [given.chars for given in first.given] == ["$b\n", "\0c\n"]
    assert first.words[1].inner().chars == "$x"
    assert second.words[1].chars == "\0e"


def test_where_its_output_goes() -> None:
    assert [command.files for command in read("a > b >> 'c d' 2>&1; e")] == [["b", "c d"], []]


def test_whose_output_is_piped_into_it() -> None:
    def sources(text: str) -> list[list[str]]:
        return [[word.chars for word in source.words] for source in read(text)[-1].sources]

    assert sources("a; b | c") == [["b"]]
    assert sources("a || c") == []
    assert sources("(a; b) | c") == [["a"], ["b"]]
    assert sources("{ a; b; } |& c") == [["a"], ["b"]]
    assert sources("a $(x) | c") == [["a", ""]]
