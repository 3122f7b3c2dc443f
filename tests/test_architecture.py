"""The shape of the package: who may import whom, what is loaded when, and that nothing stands outside its registry."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_args

import click
import pytest

from reprocheck.cli.main import cli
from reprocheck.extractors.assemble import EXTRACTORS
from reprocheck.formats import FORMATS
from reprocheck.model.report import LEVELS, Level, SubjectKind, Threshold
from reprocheck.model.snapshot import FACT_CLASSES, State, TargetKind
from reprocheck.rules import RULES
from reprocheck.targets.address import KINDS
from reprocheck.verdict import CLASS_LEVELS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "reprocheck"

# From the bottom up. A unit (a module, or a package below reprocheck) may import the units of the lines
# before its own, and what stands in the same line only by name below.
LAYERS = (
    ("errors",),
    ("model",),
    ("layers", "redact"),
    ("archives",),
    ("targets",),
    ("pythonpath",),
    ("extractors",),
    ("graph", "integrity", "knowledge", "loaded_since", "policy", "versions", "wheel_tags"),
    ("advisories",),
    ("formats", "rules", "explain", "fits", "attribution", "base", "diff", "verdict", "scope", "tolerance", "output"),
    ("sides",),
    ("inheritance",),
    ("capture", "compare", "demo", "doctor", "lock", "by_hand"),
    ("audit",),
    ("cli",),
    ("__main__",),
)
WITHIN_A_LAYER = {
    ("graph", "versions"),
    ("knowledge", "versions"),
    ("wheel_tags", "versions"),
    ("explain", "attribution"),
    ("base", "attribution"),
    ("base", "diff"),
    ("scope", "verdict"),
    ("rules", "fits"),
    ("demo", "capture"),
    ("demo", "compare"),
}

HEAVY = ("deepdiff", "docker", "pip_audit", "requests", "rich", "urllib3")
NO_RULES = {
    "base": "what rules are made of",
    "chains": "helper of several families",
    "edits": "helper of several families",
    "grading": "how grave a version is",
    "order": "what findings are ordered by",
    "repair": "helper of several families",
    "requirers": "helper of several families",
}
NO_FORMATS = {
    "audit": "known vulnerabilities, not a report",
    "fits": "an image and a host, not a report",
    "capture": "a snapshot, not a report",
    "doctor": "what a machine has, not a report",
    "explain": "one package, not a report",
    "manual": "the rules, not a report",
    "layout": "helper of terminal",
    "stories": "helper of terminal",
    "words": "phrases that several formats share",
}
MOST_LINES = 450


def modules() -> dict[str, Path]:
    """Dotted name, without the package's own, of each module; packages by their own name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    found.pop("")
    return found


MODULES = modules()


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """What a module imports of this package: module, and whether for type checkers alone."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, _, rest = name.partition(".")
            if first == "reprocheck":
                yield rest, id(node) in typing_only


def unit(name: str) -> str:
    return name.partition(".")[0]


def layer(name: str) -> int:
    place = [position for position, names in enumerate(LAYERS) if unit(name) in names]
    assert place, f"reprocheck.{name} stands in no layer: give it a place in LAYERS"
    return place[0]


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_what_stands_below(name: str) -> None:
    if unit(name) == "probe":
        others = [imported for imported, _ in imports(MODULES[name]) if unit(imported) != "probe"]
        assert not others, "the probe runs where reprocheck is not installed"
        return
    for imported, typing_only in imports(MODULES[name]):
        other = unit(imported)
        if other in {unit(name), "__version__"}:
            continue
        if other == "probe":
            assert unit(name) == "targets" or (name, imported.rpartition(".")[0] or imported) == ("redact", "probe"), (
                "the probe is sent; its code serves trees of layers too, and its rules for URLs are everybody's"
            )
            continue
        allowed = layer(other) < layer(name) or (
            layer(other) == layer(name) and (typing_only or (unit(name), other) in WITHIN_A_LAYER)
        )
        assert allowed, f"reprocheck.{name} imports reprocheck.{imported}, which does not stand below it"


def test_layers_name_only_what_exists() -> None:
    units = {unit(name) for name in MODULES}
    assert {name for names in LAYERS for name in names} <= units


def loaded_by(module: str) -> set[str]:
    """Names of all modules that a fresh interpreter has after an import."""
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True)
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize(
    "module", ["reprocheck.cli.main", "reprocheck.capture", "reprocheck.compare", "reprocheck.formats"]
)
def test_heavy_libraries_wait_until_they_are_needed(module: str) -> None:
    loaded = loaded_by(module)
    heavy = [name for name in HEAVY if name in loaded and not (name == "rich" and module == "reprocheck.formats")]
    assert not heavy


@pytest.mark.parametrize("module", ["reprocheck.targets.image", "reprocheck.targets.container", "reprocheck.doctor"])
def test_the_sdk_waits_for_what_streams(module: str) -> None:
    assert not loaded_by(module) & {"docker", "requests", "urllib3"}


def test_help_needs_click_alone() -> None:
    loaded = {name.partition(".")[0] for name in loaded_by("reprocheck.cli.main")}
    assert not loaded & {"msgspec", "packaging", *HEAVY}


@pytest.mark.parametrize("name", [name for name in MODULES if unit(name) != "probe"])
def test_modules_are_short(name: str) -> None:
    # The probe is one file on purpose: it is sent as it is, and its own tests hold its size.
    # Docstrings, comments and blank lines aside: the manual page of a rule is a docstring.
    text = MODULES[name].read_text()
    prose = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            prose |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = [
        line
        for number, line in enumerate(text.splitlines(), start=1)
        if number not in prose and line.strip() and not line.lstrip().startswith("#")
    ]
    assert len(lines) <= MOST_LINES, f"{len(lines)} lines of code: does the module have one subject?"


def public(node: ast.Module | ast.ClassDef, name: str) -> Iterator[tuple[str, str | None]]:
    """A module or class, its public classes, functions and methods: name and docstring."""
    yield name, ast.get_docstring(node)
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
            if isinstance(child, ast.ClassDef):
                yield from public(child, child.name)
            else:
                yield f"{name}.{child.name}", ast.get_docstring(child)


@pytest.mark.parametrize("name", MODULES)
def test_public_things_have_a_docstring(name: str) -> None:
    missing = [thing for thing, text in public(ast.parse(MODULES[name].read_text()), name) if not text]
    if unit(name) == "probe":
        # It is sent with each capture: its small helpers say enough by their names.
        missing = [thing for thing in missing if "." not in thing]
    assert not missing


@pytest.mark.parametrize(
    "path",
    [*PACKAGE.rglob("*.py"), *ROOT.glob("scripts/*"), *ROOT.glob("docs/**/*.md")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_left_overs(path: Path) -> None:
    if path.is_dir():
        return
    found = re.findall(r"\b(?:TODO|FIXME|XXX|HACK)\b|(?<![\w/.])/(?:root|work|home/\w+)/\S*", path.read_text())
    assert not found, "unfinished work belongs into an issue, a path of one machine nowhere"


# Registries: what stands in a folder stands in its tuple.


def members(package: str) -> dict[str, ModuleType]:
    names = [name for name in MODULES if name.startswith(f"{package}.")]
    return {name.partition(".")[2]: import_module(f"reprocheck.{name}") for name in names}


def test_each_extractor_is_registered() -> None:
    there = {name for name, module in members("extractors").items() if hasattr(module, "CLASS")}
    registered = [str(getattr(extractor, "__name__", "")).rpartition(".")[2] for extractor in EXTRACTORS]
    assert there == set(registered)
    assert [extractor.CLASS for extractor in EXTRACTORS] == [
        name for name in FACT_CLASSES if name in {extractor.CLASS for extractor in EXTRACTORS}
    ], "one extractor a fact class, in the order of the snapshot"


def test_each_rule_is_registered() -> None:
    families = {name: module for name, module in members("rules").items() if hasattr(module, "RULES")}
    assert set(members("rules")) == families.keys() | NO_RULES.keys()
    assert {rule.code for module in families.values() for rule in module.RULES} == {rule.code for rule in RULES}
    for name, module in families.items():
        checks = {rule.check for rule in module.RULES}
        manuals = {
            thing
            for thing in vars(module).values()
            if getattr(thing, "__module__", "") == module.__name__ and "## What it checks" in (thing.__doc__ or "")
        }
        assert checks == manuals, f"rules/{name}.py: RULES and the functions with a manual page differ"


def test_codes_and_names_of_rules_are_unique_and_well_formed() -> None:
    codes, names = [rule.code for rule in RULES], [rule.name for rule in RULES]
    assert codes == sorted(codes)
    assert len(set(codes)) == len(codes)
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"RC[1-9]\d\d", code) for code in codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", name) for name in names)


def test_names_of_rules_elsewhere_are_rules() -> None:
    """Who asks for the name of a finding, and has a name that no rule has (any more), is never answered."""
    names = {rule.name for rule in RULES}
    askers = [path for path in MODULES.values() if "finding.name" in path.read_text() and path.parent.name != "rules"]
    assert {path.name for path in askers} >= {"attribution.py", "stories.py"}
    for path in askers:
        texts = {one.value for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Constant)}
        written = {text for text in texts if isinstance(text, str) and re.fullmatch(r"[a-z]+(-[a-z]+)*-[a-z]*", text)}
        whole = {text for text in written if not text.endswith("-")}
        assert whole <= names | set(get_args(SubjectKind)) | set(get_args(State)), path
        assert all(any(name.startswith(text) for name in names) for text in written - whole), path


def test_each_format_is_registered() -> None:
    registered = {render.__module__.rpartition(".")[2] for render in FORMATS.values()}
    assert set(members("formats")) == registered | NO_FORMATS.keys()


def test_the_command_line_offers_what_is_registered() -> None:
    # The command line repeats these lists, so that --help need not import the modules that own them.
    def choices(command: str, option: str) -> tuple[str, ...]:
        found = next(one for one in cli.commands[command].params if one.name == option)
        assert isinstance(found.type, click.Choice)
        return tuple(found.type.choices)

    assert choices("verify", "level") == LEVELS == get_args(Level)
    assert choices("verify", "fail_on") == get_args(Threshold)
    assert choices("verify", "format_") == tuple(FORMATS)
    assert choices("lock", "allowed") == FACT_CLASSES


def test_kinds_and_classes_agree() -> None:
    assert set(KINDS) == set(get_args(TargetKind))
    assert set(CLASS_LEVELS) == set(FACT_CLASSES) - {"smoke"}
