"""Machine learning frameworks: where they are and what they were built with, as their own files say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from packaging.utils import canonicalize_name

from reprocheck.extractors import metadata
from reprocheck.extractors.base import in_words
from reprocheck.extractors.shared_objects import Home, SharedObjects
from reprocheck.model.evidence import AnyWant, Evidence, Read, literal, shown

_TENSORFLOW = frozenset(
    {"tensorflow", "tensorflow-gpu", "tensorflow-cpu", "tensorflow-cpu-aws", "tensorflow-rocm", "tf-nightly"}
)
_NAMES = _TENSORFLOW | {"torch", "jaxlib"}
_BUILD_INFO = "tensorflow/python/platform/build_info.py"
_TORCH_VERSION = "torch/version.py"
_LIMIT = 1 << 18
_JAX_PLUGIN = re.compile(r"jax-cuda(\d+)-(?:plugin|pjrt)")
_JAX_LOCAL = re.compile(r"\+cuda(\d+)(?:\.cudnn(\d)(\d+))?")


class Found(Struct, frozen=True, kw_only=True):
    """A framework of an environment."""

    name: str
    version: str
    home: Home
    site: str
    """The directory that it is imported from."""
    beside: tuple[tuple[str, str], ...]
    """Names and versions of the distributions in the same directory."""


def find(objects: SharedObjects) -> list[Found]:
    """The frameworks of every environment, by its id and their names."""
    found: dict[tuple[str, str], Found] = {}
    for home in objects.homes:
        for directory in home.directories:
            there = tuple(_distributions(directory, objects.evidence))
            for name, version in there:
                if name in _NAMES:
                    one = Found(name=name, version=version, home=home, site=directory, beside=there)
                    found.setdefault((home.place.id, name), one)
    return [found[key] for key in sorted(found)]


def _distributions(directory: str, evidence: Evidence) -> Iterator[tuple[str, str]]:
    listing = evidence.listings.get(directory)
    for entry in listing.entries if listing else ():
        stem, dot, suffix = entry.name.rpartition(".")
        if dot and suffix in {"dist-info", "egg-info"}:
            name, version = metadata.name_from_directory(shown(stem))
            yield canonicalize_name(name), version


def wants(objects: SharedObjects) -> Iterator[AnyWant]:
    """The files in which the frameworks say how they were built."""
    yield from (Read(at=f"@site/{path}", limit=_LIMIT) for path in (_BUILD_INFO, _TORCH_VERSION))
    for one in find(objects):
        if one.name != "jaxlib":
            yield Read(at=literal(f"{one.site}/{_file(one.name)}"), limit=_LIMIT)


def _file(name: str) -> str:
    return _TORCH_VERSION if name == "torch" else _BUILD_INFO


# What they were built with.


class Build(Struct, frozen=True):
    """How a framework was built."""

    built_with: dict[str, str] | None = None
    """As in ``Framework``."""
    targets: tuple[str, ...] = ()
    problem: str | None = None
    """Why it is not known."""


def build_of(one: Found, evidence: Evidence) -> Build:
    """What the framework's files say of its build."""
    if one.name == "jaxlib":
        return Build(_jax_build(one))
    name, parse = _file(one.name), torch_build if one.name == "torch" else tensorflow_build
    file, raw = evidence.files.get(f"{one.site}/{name}"), evidence.content(f"{one.site}/{name}")
    if file is None or raw is None:
        return Build(problem=f"{name} can't be read ({in_words(file.problem if file else None)})")
    try:
        return Build(*parse(raw))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return Build(problem=f"{name} is not of the form that is known")


def tensorflow_build(raw: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
    """What ``build_info.py`` of TensorFlow says: a literal, read and never run.

    Raises:
        ValueError, TypeError, SyntaxError, RecursionError, MemoryError: it says nothing of the kind.
    """
    (value,) = _assigned(raw, {"build_info"}).values()
    if isinstance(value, ast.Call) and len(value.args) == 1:  # collections.OrderedDict([…])
        value = value.args[0]
    info: Mapping[str, Any] = dict(ast.literal_eval(value))
    built_with = {}
    if info.get("is_cuda_build"):
        built_with["cuda"] = str(info.get("cuda_version", ""))
        built_with["cudnn"] = str(info.get("cudnn_version", ""))
    if info.get("is_rocm_build"):
        built_with["rocm"] = str(info.get("rocm_version", ""))
    targets = info.get("cuda_compute_capabilities", []) if info.get("is_cuda_build") else []
    return built_with, tuple(str(target) for target in targets)


def torch_build(raw: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
    """What ``version.py`` of PyTorch says; the targets stand in its libraries alone.

    Raises:
        ValueError, TypeError, SyntaxError, RecursionError, MemoryError: it says nothing of the kind.
    """
    values = {name: ast.literal_eval(value) for name, value in _assigned(raw, {"cuda", "hip"}).items()}
    if "cuda" not in values:
        raise ValueError("no cuda")
    names = {"cuda": "cuda", "hip": "rocm"}
    return {names[name]: str(value) for name, value in values.items() if value}, ()


def _assigned(raw: bytes, names: set[str]) -> dict[str, ast.expr]:
    """Right sides of the module's assignments to some names.

    Raises:
        ValueError, TypeError, SyntaxError, RecursionError, MemoryError: it is no Python, or assigns none of them.
    """
    found: dict[str, ast.expr] = {}
    for statement in ast.parse(raw).body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id in names:
            found[target.id] = value
    if not found:
        raise ValueError("nothing assigned")
    return found


def _jax_build(one: Found) -> dict[str, str]:
    """By the plug-in that stands beside it, or by the label of its version (before plug-ins)."""
    for name, _ in one.beside:
        plugin = _JAX_PLUGIN.match(name)
        if plugin is not None:
            return {"cuda": plugin[1]}
    label = _JAX_LOCAL.search(one.version)
    if label is not None:
        cudnn = {"cudnn": f"{label[2]}.{label[3]}"} if label[2] else {}
        return {"cuda": label[1], **cudnn}
    return {}
