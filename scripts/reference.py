#!/usr/bin/env python3
"""Write what the documentation takes from the code: the reference pages and the recorded outputs.

    python scripts/reference.py            write them
    python scripts/reference.py --check    say which are out of date; exit code 1 if any is

`commands.md`, `rules.md`, `snapshot.md`, `report.md`, `fits.md`, `audit.md` and `policy.md` are written whole, from the
click commands, the docstrings of the rules and the types of `reprocheck/model/`. In any other page, a block below the
mark `<!-- recorded -->` keeps its commands, and the outputs below them are taken from a real run on the recorded
evidence, in which `image:reprocheck-test/NAME` stands for `evidence:NAME.evidence`, and `container:NAME` for
`evidence:container-NAME.evidence`.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click

from reprocheck.cli.main import cli
from reprocheck.rules import RULES
from reprocheck.rules.base import HEADINGS

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100
_GENERATED = "<!-- Written by scripts/reference.py (`make docs`); edit the code, not this page. -->\n"
_RECORDED = re.compile(
    r"(?P<head><!-- recorded -->\n+```console\n)(?P<body>.*?)(?P<tail>^```$)", re.DOTALL | re.MULTILINE
)
_STREAMS = (
    "Reports go to standard output, warnings and errors to standard error. "
    "How targets are named: [targets](targets.md). How a command ends: [exit codes](exit-codes.md)."
)
_RULES = (
    "A rule is a named judgement of a change. `reprocheck rules` lists them, `reprocheck rule CODE` shows one. "
    "A code is never used for anything else later. Why a finding has its severity: "
    "[severities](../explanation/severities.md)."
)
_DOCUMENT = (
    "JSON, UTF-8, keys sorted. `reprocheck schema {}` prints its JSON Schema. "
    "Unknown fields are ignored on reading, so that a later version can add some."
)
_POLICY = (
    "TOML. `reprocheck schema policy` prints its JSON Schema, for editors. An unknown key is an error. "
    "How to write one: [a policy](../how-to/policy.md)."
)
_PLAIN = {"str": "text", "int": "number", "float": "number", "bool": "true or false", "date": "date"}
_ROLE = re.compile(r":\w+:`[~.]?([^`]+)`")


def main() -> int:
    """Write the pages, or check them."""
    wanted = pages()
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date; run: make docs")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


def pages() -> dict[Path, str]:
    """Give each page that depends on the code, as it should be."""
    reference = ROOT / "docs" / "reference"
    writers: Mapping[str, Callable[[], str]] = {
        "commands.md": commands,
        "rules.md": rules,
        "snapshot.md": lambda: types("snapshot", "Snapshot"),
        "report.md": lambda: types("report", "Report"),
        "fits.md": lambda: types("fits", "Fits"),
        "audit.md": lambda: types("audit", "Audit"),
        "policy.md": lambda: types("policy", "Policy"),
    }
    written = {reference / name: _GENERATED + write() for name, write in writers.items()}
    for path in markdown():
        if path not in written and _RECORDED.search(path.read_text()):
            written[path] = recorded(path.read_text())
    return written


def markdown() -> list[Path]:
    """Give every Markdown page of the project."""
    found = [*ROOT.glob("*.md")]
    for folder in ("baselines", "benchmarks", "docs", "tests"):
        found += (ROOT / folder).rglob("*.md")
    return sorted(found)


# The commands.


def commands() -> str:
    """Give the page of the commands, from click."""
    text = ["# Commands", "", _paragraphs(cli.help or ""), ""]
    text += [
        _STREAMS,
        "",
    ]
    for name, command in sorted(cli.commands.items()):
        context = click.Context(command, info_name=f"reprocheck {name}")
        text += [f"## {name}", "", "```", command.get_usage(context).removeprefix("Usage: "), "```", ""]
        text += [_paragraphs(command.help or ""), ""]
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        if options:
            text += ["| option | what it does |", "| --- | --- |"]
            text += [_option(option, context) for option in options]
            text += [""]
    return "\n".join(text).rstrip() + "\n"


def _paragraphs(text: str) -> str:
    r"""Lines joined to paragraphs; a block behind click's mark ``\b`` becomes a code block."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in block.strip().splitlines()]
        if lines[0].strip(" ") == "\b":
            blocks.append("\n".join(["```", *lines[1:], "```"]))
        else:
            blocks.append(" ".join(block.split()))
    return "\n\n".join(blocks)


def _option(option: click.Option, context: click.Context) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    metavar = "" if option.is_flag else f" `{_cell(option.make_metavar(context))}`"
    facts = [(option.help or "").rstrip()]
    if option.required:
        facts.append("Required.")
    if option.show_default and option.default is not None:
        facts.append(f"Default: `{option.default}`.")
    return f"| {names}{metavar} | {_cell(' '.join(fact for fact in facts if fact))} |"


# The rules.


def rules() -> str:
    """Give the page of the rules, from their docstrings."""
    text = [
        "# Rules",
        "",
        _RULES,
        "",
        "| code | name | counts from | judges |",
        "| --- | --- | --- | --- |",
    ]
    for rule in RULES:
        first = rule.manual.partition("\n")[0]
        text.append(
            f"| [{rule.code}](#{rule.code.lower()}-{rule.name}) | {rule.name} | `{rule.level}` | {_cell(first)} |"
        )
    family = ""
    for rule in RULES:
        title = _first_line(sys.modules[rule.check.__module__].__doc__)
        if title != family:
            family = title
            text += ["", f"## {title.rstrip('.')}"]
        manual = rule.manual
        for heading in HEADINGS:
            manual = manual.replace(f"## {heading}\n", f"#### {heading}\n\n")
        early = " For a framework package it counts from `framework` on." if rule.frameworks_count_earlier else ""
        text += ["", f"### {rule.code} {rule.name}", "", f"Counts from the level `{rule.level}` on.{early}", "", manual]
    return "\n".join(text) + "\n"


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0]


# The documents.


@dataclass(frozen=True, kw_only=True)
class _Type:
    """One type of a module, with its fields as they stand in the source."""

    name: str
    text: str
    fields: tuple[tuple[str, ast.expr, str], ...]
    """Name, type, meaning."""


def types(module: str, root: str) -> str:
    """Give the page of a document, from the types of ``reprocheck.model`` and their attribute docstrings."""
    known: dict[str, _Type] = {}
    aliases: dict[str, ast.expr] = {}
    for name in dict.fromkeys(("snapshot", "report", module)):
        source = (ROOT / "reprocheck" / "model" / f"{name}.py").read_text()
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.ClassDef):
                known[statement.name] = _Type(
                    name=statement.name, text=_prose(ast.get_docstring(statement)), fields=tuple(_fields(statement))
                )
            elif (alias := _alias(statement)) is not None:
                aliases[alias[0]] = alias[1]
    documentation = import_module(f"reprocheck.model.{module}").__doc__ or ""
    title, _, rest = documentation.strip().partition("\n\n")
    text = [f"# {root}", "", _prose(title), ""]
    if rest:
        text += [_prose(rest), ""]
    text += [
        _POLICY if module == "policy" else _DOCUMENT.format(module),
        "",
    ]
    for one in _reachable(root, known):
        text += [f"## {one.name}", "", one.text, ""]
        text += ["| field | type | meaning |", "| --- | --- | --- |"]
        for name, kind, meaning in one.fields:
            held = next((known[word].text for word in _names(kind) if word in known), "")
            said = _typed(kind, known, aliases)
            if module == "policy":  # what is null elsewhere is left out in TOML
                said = said.replace(" or null", "")
            text.append(f"| `{name}` | {said} | {_cell(meaning or held)} |")
        text += [""]
    return "\n".join(text).rstrip() + "\n"


def _alias(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    """A name for a set of words: ``State = Literal["complete", …]``."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript(value=ast.Name(id="Literal")) as value):
            return name, value
    return None


def _fields(statement: ast.ClassDef) -> Iterator[tuple[str, ast.expr, str]]:
    for field, following in zip(statement.body, [*statement.body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        meaning = ""
        if (
            isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            meaning = following.value.value
        name = field.target.id
        if name == "schema" and isinstance(field.value, ast.Name):
            meaning = "Always the same for this form of the document."
        yield name, field.annotation, _prose(meaning)


def _reachable(root: str, known: Mapping[str, _Type]) -> list[_Type]:
    """The root and the types that it holds, in the order in which a reader meets them."""
    order: dict[str, _Type] = {}

    def visit(name: str) -> None:
        if name in order:
            return
        order[name] = known[name]
        for _, kind, _ in known[name].fields:
            for word in _names(kind):
                if word in known:
                    visit(word)

    visit(root)
    return list(order.values())


def _names(annotation: ast.expr) -> list[str]:
    return [node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)]


def _typed(annotation: ast.expr, known: Mapping[str, _Type], aliases: Mapping[str, ast.expr]) -> str:
    """A type as a reader of JSON thinks of it, with links to the types of ours."""

    def said(node: ast.expr) -> str:
        text = f"`{ast.unparse(node)}`"
        match node:
            case ast.Name(id=name) if name in aliases:
                text = said(aliases[name])
            case ast.Name(id=name) if name in known:
                text = f"[{name}](#{name.lower()})"
            case ast.Name(id=name) if name in _PLAIN:
                text = _PLAIN[name]
            case ast.Constant(value=None):
                text = "null"
            case ast.BinOp(left=left, right=right):
                text = f"{said(left)} or {said(right)}"
            case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple(elts=words)):
                text = ", ".join(f"`{ast.literal_eval(word)}`" for word in words)
            case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[item, *_])):
                text = f"list of {said(item)}"
            case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, value])):
                text = f"map by name of {said(value)}"
        return text

    return said(annotation)


def _prose(text: str | None) -> str:
    """A docstring as Markdown: roles and double backquotes become code, lines become one."""
    text = _ROLE.sub(r"`\1`", text or "").replace("``", "`").replace("`None`", "`null`").replace("tuple", "list")
    return "\n\n".join(" ".join(block.split()) for block in re.split(r"\n\s*\n", text.strip()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# The recorded outputs.


def recorded(text: str) -> str:
    """Give a page with the outputs of its recorded blocks as they are now."""
    return _RECORDED.sub(lambda m: f"{m['head']}{_ran(m['body'])}{m['tail']}", text)


def _ran(block: str) -> str:
    lines = [line for line in block.splitlines() if line.startswith(("$ ", "# "))]
    with tempfile.TemporaryDirectory() as folder:
        # Copies, so that a page which shows `lock` can't write over the baseline that ships.
        for place in (ROOT / "reprocheck" / "recordings", ROOT / "docs" / "recordings"):
            for source in place.glob("*.evidence"):
                shutil.copy(source, folder)
        shutil.copytree(ROOT / "baselines", Path(folder, "baselines"))
        for source in (ROOT / "baselines").glob("*.json"):
            shutil.copy(source, folder)
        text, code = "", 0
        for line in lines:
            text += f"{line}\n"
            if line == "$ echo $?":
                text += f"{code}\n"
            elif line.startswith("$ "):
                code, output = _run(line.removeprefix("$ "), folder)
                text += output
    return text


def _run(command: str, folder: str) -> tuple[int, str]:
    program, *arguments = shlex.split(command)
    if program != "reprocheck":
        raise ValueError(f"only reprocheck's own output can be recorded, not: {command}")
    arguments = [re.sub(r"^image:reprocheck-test/([\w-]+)$", r"evidence:\1.evidence", word) for word in arguments]
    arguments = [re.sub(r"^container:([\w-]+)$", r"evidence:container-\1.evidence", word) for word in arguments]
    ran = subprocess.run(
        [sys.executable, "-m", "reprocheck", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": str(WIDTH), "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return ran.returncode, ran.stdout.decode()


if __name__ == "__main__":
    sys.exit(main())
