"""Each recipe of a test image is there for a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.images.build import BUILD_ARGS, BUILDKIT, RECIPES, names

TESTS = Path(__file__).resolve().parent


def _asked_for(path: Path) -> Iterator[str]:
    """Names that a file gives the fixture ``image``, itself or as a case of a test."""
    tree = ast.parse(path.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "image"]
    for call in calls:
        match call.args:
            case [ast.Constant(value=str(name))]:
                yield name
            case [ast.Name()]:  # a parameter of the test: its cases stand somewhere in the file
                yield from (
                    node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in ALL
                )


ALL = frozenset(names())


def test_each_image_is_used() -> None:
    used = {name for path in (TESTS / "integration").glob("test_*.py") for name in _asked_for(path)}
    assert ALL - used == set(), "no test asks for these"


def test_each_image_is_described() -> None:
    text = (RECIPES / "README.md").read_text()
    assert [name for name in names() if f"| `{name}` |" not in text] == []
    assert BUILD_ARGS.keys() | BUILDKIT <= ALL
