"""The type of what stands at a path in a document of ours."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


def kind_at(kind: Any, steps: Iterable[str]) -> Any:
    """Give the type that some steps lead to: names of fields, and any key or index of what holds many.

    Raises:
        KeyError: a step leads nowhere; its position among the steps.
    """
    for position, step in enumerate(steps):
        kind = _bare(kind)
        if many(kind):
            kind = get_args(kind)[1 if get_origin(kind) is dict else 0]
        elif step in fields(kind):
            kind = fields(kind)[step]
        else:
            raise KeyError(position)
    return _bare(kind)


def fields(kind: Any) -> dict[str, Any]:
    """Names and types of the fields of a type; none of what is no structure."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.name: field.type for field in msgspec.structs.fields(kind)}
    return {}


def many(kind: Any) -> bool:
    """Whether a type is a list or a mapping."""
    return get_origin(kind) in {tuple, dict}


def words(kind: Any) -> tuple[str, ...]:
    """Give the words that a type is one of; none where it is something else."""
    return get_args(kind) if get_origin(kind) is Literal else ()


def _bare(kind: Any) -> Any:
    """A type without ``| None``."""
    if get_origin(kind) in {Union, UnionType}:
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    return kind
