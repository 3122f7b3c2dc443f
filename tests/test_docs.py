"""The documentation is true of the code: generated pages, recorded outputs, commands, links, manual pages."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from reprocheck.cli.main import cli
from reprocheck.errors import ExitCode
from reprocheck.model.report import LEVELS, SEVERITIES
from reprocheck.rules import RULES, Rule
from reprocheck.rules.base import HEADINGS
from reprocheck.targets.address import KINDS
from scripts import reference

ROOT = reference.ROOT
PAGES = reference.markdown()
_FENCE = re.compile(r"^ *```(?P<language>\w*)\n(?P<body>.*?)^ *```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_FOREIGN = {
    "--cap-add",
    "--clean",
    "--device",
    "--gpus",
    "--help",
    "--memory",
    "--privileged",
    "--nv",
    "--no-deps",
    "--only-binary",
    "--platform",
}
"""Options of other programs (apptainer, pip, docker, the builder of the test images) that the prose names."""
_CALL = re.compile(r"(?:(?<=^\$ )|(?<!.)|(?<=- run: )|(?<=&& )|(?<=certs ))reprocheck .*")
_PIPES = {"|", "||", "&&", ";", ">", ">>", "<"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def generated() -> dict[Path, str]:
    return reference.pages()


def test_generated_pages_are_up_to_date(generated: dict[Path, str]) -> None:
    stale = [name(path) for path, text in generated.items() if not path.is_file() or path.read_text() != text]
    assert not stale, "run: make docs"


def test_outputs_are_recorded_where_a_reader_looks_first(generated: dict[Path, str]) -> None:
    assert {ROOT / "README.md", ROOT / "docs" / "tutorial.md"} <= set(generated)


def test_what_the_tutorial_shows_was_printed() -> None:
    """A block with an output of ours has the mark of a recorded one."""
    for page in (ROOT / "README.md", ROOT / "docs" / "tutorial.md"):
        for fence in _FENCE.finditer(page.read_text()):
            lines = fence["body"].splitlines()
            shown = [line for line in lines if not line.startswith(("$ ", "# "))]
            if fence["language"] == "console" and shown and any(line.startswith("$ reprocheck ") for line in lines):
                assert fence.string[: fence.start()].rstrip().endswith("<!-- recorded -->"), lines[0]


def test_a_stale_output_is_noticed() -> None:
    page = "<!-- recorded -->\n```console\n$ reprocheck --version\nreprocheck 0.0.0\n$ echo $?\n7\n```\n"
    mended = reference.recorded(page)
    assert mended != page
    assert mended == reference.recorded(mended)
    assert "\n$ echo $?\n0\n" in mended


# Links.


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    prose = _FENCE.sub("", text)
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.finditer(_FENCE.sub("", page.read_text())):
        place, _, anchor = link["target"].partition("#")
        if re.match(r"[a-z]+:", place):
            assert place.startswith("https://"), link["target"]
            continue
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{link['target']}: no such file"
        assert target.is_relative_to(ROOT), f"{link['target']}: leads out of the project"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{link['target']}: no such heading"


def test_each_page_of_the_documentation_is_linked() -> None:
    linked = {
        (page.parent / link["target"].partition("#")[0]).resolve()
        for page in PAGES
        for link in _LINK.finditer(page.read_text())
        if not re.match(r"[a-z]+:", link["target"])
    }
    assert [name(page) for page in (ROOT / "docs").rglob("*.md") if page not in linked] == []


# Commands.


def blocks(page: Path) -> Iterator[str]:
    for fence in _FENCE.finditer(page.read_text()):
        yield fence["body"]


def written_commands() -> list[tuple[Path, list[str]]]:
    """Every `reprocheck …` in the code blocks of the pages, as words."""
    found = []
    for page in PAGES:
        if page.parent.name == "reference":
            continue  # usage lines with placeholders, generated
        for block in blocks(page):
            for line in block.replace("\\\n", " ").splitlines():
                found += [(page, arguments(match[0])) for match in _CALL.finditer(line.strip())]
    return found


def arguments(text: str) -> list[str]:
    """The words behind the program's name, up to a redirection or the next command."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(itertools.takewhile(lambda word: word not in _PIPES, lexer))[1:]


COMMANDS = written_commands()


def test_commands_are_found_in_the_pages() -> None:
    pages = {page for page, _ in COMMANDS}
    assert {ROOT / "README.md", ROOT / "docs" / "tutorial.md"} <= pages
    assert {words[0] for _, words in COMMANDS} >= {"lock", "verify", "diff", "explain", "probe", "capture"}


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=lambda value: name(value) if isinstance(value, Path) else None
)
def test_commands_in_the_pages_are_valid(page: Path, words: list[str]) -> None:  # noqa: ARG001 - names the case
    first, *rest = words
    if first in {"--version", "--help"}:
        return
    try:
        cli.commands[first].make_context(first, rest).close()
    except click.exceptions.Exit:
        assert "--help" in rest


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_and_commands_in_the_prose_exist(page: Path) -> None:
    options = {text for command in cli.commands.values() for one in command.params for text in one.opts}
    options |= {"--help", "-h", "--version"}
    prose = _FENCE.sub("", page.read_text())
    for option in re.findall(r"`(--[a-z-]+)[^`]*`", prose):
        assert option in options | _FOREIGN, option
    for code in re.findall(r"`(reprocheck [^`]+)`", prose):
        words = code.split()[1:]
        assert words[0] in cli.commands or words[0] in {"--version", "--help", "…"}, code
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options, code


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_in_the_pages_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|\$ )make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_named_in_the_pages_exist(page: Path) -> None:
    for path in re.findall(r"`((?:reprocheck|tests|scripts|docs|baselines|benchmarks)/[\w./-]+)`", page.read_text()):
        assert (ROOT / path).exists() or (ROOT / path).parent.name == "baselines", path


def defined(path: Path) -> set[str]:
    """Names of the classes, functions, variables and fields of a module."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    return names | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def test_what_the_pages_name_in_a_module_is_there() -> None:
    named = {
        (place[0], place[1])
        for page in PAGES
        for place in re.findall(r"`([A-Za-z_]\w*)` (?:in|of) `(\w+/[\w./-]+\.py)`", page.read_text())
    }
    assert ("instructions", "reprocheck/archives/history.py") in named
    assert [f"{thing} in {path}" for thing, path in named if thing not in defined(ROOT / path)] == []


# What has to be said.


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_each_rule_has_a_whole_manual_page(rule: Rule) -> None:
    title, _, rest = rule.manual.partition("\n\n")
    assert "\n" not in title, "one line"
    assert title.endswith("."), "the first line is a sentence"
    assert re.findall(r"^## (.+)$", rest, re.MULTILINE) == list(HEADINGS)
    sections = re.split(r"^## .+$", rest, flags=re.MULTILINE)[1:]
    assert all(section.strip() for section in sections)


def test_each_rule_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "rules.md").read_text()
    assert [rule.code for rule in RULES if f"### {rule.code} {rule.name}\n" not in text] == []


def test_every_field_of_the_documents_says_what_it_is() -> None:
    for page in ("snapshot", "report", "fits", "audit", "policy"):
        text = (ROOT / "docs" / "reference" / f"{page}.md").read_text()
        assert re.findall(r"^\| (`\w+`) \|.*\|  \|$", text, re.MULTILINE) == [], page


def test_every_kind_of_target_is_described() -> None:
    text = (ROOT / "docs" / "reference" / "targets.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}:" not in text] == []


def test_every_exit_code_level_and_severity_is_described() -> None:
    text = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()
    assert [code for code in ExitCode if f"| {code.value} |" not in text] == []
    assert [word for word in (*LEVELS, *SEVERITIES) if f"`{word}`" not in text] == []


def test_decisions_are_numbered_and_have_their_three_parts() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text()
        assert text.startswith(f"# {record.name[:4]} "), record.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], record.name
