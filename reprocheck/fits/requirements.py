"""Requirements of an image (``NVIDIA_REQUIRE_*``), evaluated as ``nvidia-container-cli`` does before a start.

The language and its oddities are those of libnvidia-container, ``src/cli/dsl.c``: terms between spaces are
alternatives, factors between commas all have to hold, both are tried in order and the first that decides, decides.
Which variables count is decided by nvidia-container-toolkit, ``internal/config/image/cuda_image.go``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

PREFIX = "NVIDIA_REQUIRE_"
INVALID = "invalid expression"
"""What ``nvidia-container-cli`` says of a text that is no requirement; it does not start the container."""
_JETPACK = "NVIDIA_REQUIRE_JETPACK"
_CUDA = "NVIDIA_REQUIRE_CUDA"
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
"""What Go's ``strconv.ParseBool`` takes for true."""
_SEMVER = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.\d+)?(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)
_FACTOR = re.compile(r"([^<>=!]+)([<>=!]+)([^<>=!].*)", re.DOTALL)
_NUMBERS = re.compile(r"[0-9.]+")
_LONGEST = 127
"""Bytes of a factor that fails, in the buffer of ``dsl.c`` for messages."""
_LARGEST = 2**64 - 2
_OPERATORS: Mapping[str, Callable[[int, int], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    # strncmp(3) over as many characters as were given takes this for "!=".
    "!": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Properties(NamedTuple):
    """What requirements are compared with."""

    cuda: str | None
    """The CUDA version that the driver reports; ``None``: not known."""
    driver: str | None
    arch: str | None
    """Compute capability of the device."""
    brands: frozenset[str]
    """What the device's brand may be, in lower case; empty: not known."""


class Outcome(NamedTuple):
    """What comes of one requirement."""

    holds: bool | None
    """``None``: it can't be told."""
    error: str | None
    """What ``nvidia-container-cli`` says where it does not hold, or may not."""


class InvalidError(Exception):
    """A factor that is no expression of the language."""


def disabled(variables: Mapping[str, str | None]) -> bool:
    """Whether the image asks not to be checked (``NVIDIA_DISABLE_REQUIRE``)."""
    return variables.get("NVIDIA_DISABLE_REQUIRE") in _TRUE


def requirements(variables: Mapping[str, str | None]) -> Iterator[tuple[str, str | None]]:
    """Name and text of each requirement; ``None``: it is withheld, or can't be made out.

    An image without ``NVIDIA_REQUIRE_CUDA`` and with ``CUDA_VERSION`` is taken to require that version.
    """
    for name, value in sorted(variables.items()):
        if name.startswith(PREFIX) and not name.startswith(_JETPACK):
            yield name, value
    version = variables.get("CUDA_VERSION")
    if version and not variables.get(_CUDA, ""):
        found = _SEMVER.fullmatch(version)
        known = found is not None and len(version) < _LONGEST
        yield "CUDA_VERSION", f"cuda>={int(found[1])}.{int(found[2] or 0)}" if found and known else None


def evaluate(requirement: str, properties: Properties) -> Outcome:
    """Evaluate one requirement for one device; what holds whichever its brand is, holds."""
    brands = [frozenset({brand}) for brand in sorted(properties.brands)] or [properties.brands]
    outcomes = [_evaluate(requirement, properties._replace(brands=one)) for one in brands]
    if all(outcome == outcomes[0] for outcome in outcomes):
        return outcomes[0]
    return Outcome(holds=None, error=next(outcome.error for outcome in outcomes if outcome.error is not None))


def _evaluate(requirement: str, properties: Properties) -> Outcome:
    tried = unsure = False
    for term in filter(None, requirement.split(" ")):
        factors = [factor for factor in term.split(",") if factor]
        if not factors:  # commas alone end the evaluation with what the term before came to
            break
        tried = True
        try:
            holds = _all_hold(factors, properties)
        except InvalidError:
            return Outcome(holds=None, error=INVALID)
        if holds:
            return Outcome(holds=True, error=None)
        unsure = unsure or holds is None
    if not tried:
        return Outcome(holds=True, error=None)
    return Outcome(holds=None if unsure else False, error=_said(requirement))


def _said(requirement: str) -> str:
    """The message names the first alternative alone."""
    first = requirement.partition(" ")[0]
    advice = ", please update your driver to a newer version, or use an earlier cuda container"
    return f"unsatisfied condition: {first}{advice if first.startswith('cuda>=') else ''}"


def _all_hold(factors: Sequence[str], properties: Properties) -> bool | None:
    sure = True
    for factor in factors:
        holds = _holds(factor, properties)
        if holds is False:
            return False
        sure = sure and holds is True
    return True if sure else None


def _holds(factor: str, properties: Properties) -> bool | None:
    found = _FACTOR.fullmatch(factor)
    compare = _OPERATORS.get(found[2]) if found else None
    if found is None or compare is None:
        raise InvalidError
    name, value = found[1].lower(), found[3]
    if name == "brand":
        holds = _brand_holds(found[2], value.lower(), properties.brands)
    elif name in {"cuda", "driver", "arch"}:
        if _NUMBERS.fullmatch(value) is None:
            raise InvalidError
        known: str | None = getattr(properties, name)
        holds = None if known is None else _version_holds(name, known, compare, value)
    else:
        raise InvalidError
    if holds is False and len(f"{found[1]} {found[2]} {value}".encode("utf-8", "surrogatepass")) > _LONGEST:
        raise InvalidError
    return holds


def _version_holds(name: str, known: str, compare: Callable[[int, int], bool], value: str) -> bool | None:
    holds = compare(_compare(known, value), 0)
    if name == "driver" and "." not in known and compare(_compare(f"{known}.{_LARGEST}", value), 0) != holds:
        return None  # the branch alone is known
    return holds


def _brand_holds(sign: str, brand: str, brands: frozenset[str]) -> bool | None:
    if sign not in {"=", "!=", "!"}:
        raise InvalidError
    if not brands:
        return None
    return (brand in brands) == (sign == "=")


def _compare(one: str, other: str) -> int:
    """Compare two versions: below, at or above 0. Zeros at the end count for nothing."""
    if one.startswith(".") or other.startswith("."):
        raise InvalidError
    first, second = (re.findall("[0-9]+", version) for version in (one, other))
    for left, right in zip(first, second, strict=False):
        numbers = _number(left), _number(right)
        if numbers[0] != numbers[1]:
            return numbers[0] - numbers[1]
    rest = [any(part.strip("0") for part in parts[min(len(first), len(second)) :]) for parts in (first, second)]
    return rest[0] - rest[1]


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    if len(digits) > len(str(_LARGEST)) or int(digits or 0) > _LARGEST:
        raise InvalidError
    return int(digits or 0)
