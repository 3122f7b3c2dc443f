"""The judgement of a version change, after PEP 440 and Semantic Versioning 2.0.

Two lists name the packages that are read in their own way: calendar-versioned ones and frameworks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Direction = Literal["up", "down", "sideways"]
Size = Literal["epoch", "major", "minor", "patch", "pre-release", "post-release", "local", "spelling", "incomparable"]

CALENDAR = (
    "aiofiles",
    "argon2-cffi",
    "argon2-cffi-bindings",
    "attrs",
    "autobahn",
    "automat",
    "black",
    "certifi",
    "constantly",
    "flake8-bugbear",
    "hyperlink",
    "incremental",
    "isoduration",
    "klein",
    "packaging",
    "pip",
    "pycountry",
    "pyopenssl",
    "pytz",
    "pytz-deprecation-shim",
    "service-identity",
    "stamina",
    "structlog",
    "svcs",
    "towncrier",
    "treq",
    "trove-classifiers",
    "twisted",
    "txaio",
    "txtorcon",
    "tzdata",
    "webcolors",
)
"""Packages whose first component is a year, of four digits or two. Not ``setuptools``: it follows SemVer."""

FRAMEWORKS = (
    "chainer",
    "flax",
    "jax",
    "jaxlib",
    "keras",
    "lightgbm",
    "mxnet",
    "onnxruntime",
    "onnxruntime-gpu",
    "paddlepaddle",
    "paddlepaddle-gpu",
    "pytorch-lightning",
    "scikit-learn",
    "tensorflow",
    "tensorflow-cpu",
    "tensorflow-cpu-aws",
    "tensorflow-gpu",
    "tensorflow-intel",
    "tensorflow-macos",
    "tensorflow-rocm",
    "tf-keras",
    "tf-nightly",
    "torch",
    "torchaudio",
    "torchvision",
    "xgboost",
)
"""Packages whose version the ``framework`` level counts (normalised names)."""

BUILDS_OF_TENSORFLOW = (
    "tensorflow-cpu",
    "tensorflow-gpu",
    "tensorflow-cpu-aws",
    "tensorflow-rocm",
    "tensorflow-intel",
    "tensorflow-macos",
)
"""Distributions that hold the module ``tensorflow`` under another name, in the same versions."""

_YEARS = range(1990, 2100)
_MONTHS = range(1, 13)
_DAYS = range(1, 32)
_LONG_NUMBER = re.compile(r"(?<![0-9])[0-9]{1001}")


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionChange:
    """Which way a version went, and how far."""

    direction: Direction
    """``sideways``: neither up nor down (other local label, other spelling, not comparable)."""
    size: Size


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Versions between two bounds, or the one at a bound."""

    lower: Version | None
    """``None``: no bound."""
    lower_included: bool
    upper: Version | None
    upper_included: bool

    @property
    def specifier(self) -> str:
        """The versions as a specifier set; empty: every version."""
        # A local label may stand after "==" alone (PEP 440).
        if self.lower is not None and self.lower == self.upper:
            return f"=={self.lower}"
        parts = []
        if self.lower is not None:
            parts.append(f"{'>=' if self.lower_included else '>'}{self.lower.public}")
        if self.upper is not None:
            parts.append(f"{'<=' if self.upper_included else '<'}{self.upper.public}")
        return ",".join(parts)

    def holds(self, version: Version) -> bool:
        """Whether a version lies here, in the order of versions and in the words of the specifier.

        They differ beside a bound: ``<2.0`` leaves out ``2.0rc1``, ``>2.0`` leaves out ``2.0.post1`` (PEP 440).
        """
        above = self.lower is None or version > self.lower or (self.lower_included and version == self.lower)
        below = self.upper is None or version < self.upper or (self.upper_included and version == self.upper)
        return above and below and allows(self.specifier, str(version)) is True

    def lies_above(self, version: Version) -> bool:
        """Whether all of it comes after a version, and after what has only other labels than that version."""
        anchor = version if version.is_prerelease else Version(version.base_version)
        return self.lower is not None and (self.lower, not self.lower_included) > (anchor, False)


@lru_cache(maxsize=16384)
def parse_version(text: str) -> Version | None:
    """Parse a version (PEP 440); ``None`` where it is none."""
    try:
        return Version(text) if is_countable(text) else None
    except InvalidVersion:
        return None


def is_countable(text: str) -> bool:
    """Whether every number in a version or requirement has at most 1,000 digits.

    The specifications set no limit; Python refuses to turn more than 4,300 into a number, or back.
    """
    return _LONG_NUMBER.search(text) is None


@lru_cache(maxsize=16384)
def parse_specifier(text: str) -> SpecifierSet:
    """Parse a specifier set (PEP 440); raises :class:`packaging.specifiers.InvalidSpecifier`."""
    return SpecifierSet(text)


@lru_cache(maxsize=16384)
def allows(specifier_text: str, version: str) -> bool | None:
    """Say whether a version satisfies a specifier set, as ``pip check`` would: pre-releases count.

    A version that doesn't parse is compared as text by ``==`` and ``===``; against an ordered
    comparison, and where the version is empty (not known), the answer is ``None``. So it is where the
    specifier set holds a number that is not countable.
    Raises :class:`packaging.specifiers.InvalidSpecifier`.
    """
    if not specifier_text:
        return True
    if not is_countable(specifier_text):
        return None
    specifier = parse_specifier(specifier_text)
    parsed = parse_version(version)
    if parsed is not None:
        return specifier.contains(parsed, prereleases=True)
    if not version:
        return None
    answers: list[bool | None] = []
    for clause in specifier:
        if clause.operator in {"==", "==="}:
            answers.append(clause.version.lower() == version.lower())
        elif clause.operator == "!=":
            answers.append(True)
        else:
            answers.append(None)
    if False in answers:
        return False
    return None if None in answers else True


def requires_python_holds(requires_python: str | None, version: str) -> bool:
    """Say whether an interpreter surely meets ``Requires-Python`` (PEP 440); pre-releases of Python count."""
    if requires_python is None:
        return True
    try:
        return allows(requires_python, version) is True
    except InvalidSpecifier:
        return False


@lru_cache(maxsize=16384)
def compare(name: str, before: str, after: str) -> VersionChange:
    """Judge the change of one package's version; ``name`` is normalised, the two texts differ.

    - The first component that differs names the size: major, minor, patch (PEP 440, release segment).
    - Below 1.0 the second component is the major one (SemVer 2.0, section 4).
    - Calendar versions are read one step lower: a new year is minor, all below it is a patch. A version is
      one if the package is listed in ``CALENDAR``, or if both first components are years from 1990 to 2099,
      alone or with month and day (``20221105``).
    - A change of the local label alone has no direction: labels such as ``+cpu`` and ``+cu118`` name builds.
    - A version that doesn't parse has neither direction nor size.
    """
    old, new = parse_version(before), parse_version(after)
    if old is None or new is None:
        return VersionChange(direction="sideways", size="incomparable")
    if old == new:
        return VersionChange(direction="sideways", size="spelling")
    if old.public == new.public:
        return VersionChange(direction="sideways", size="local")
    return VersionChange(direction="up" if new > old else "down", size=_size(name, old, new))


def _size(name: str, old: Version, new: Version) -> Size:
    if old.epoch != new.epoch:
        return "epoch"
    width = max(len(old.release), len(new.release), 3)
    before = old.release + (0,) * (width - len(old.release))
    after = new.release + (0,) * (width - len(new.release))
    if before == after:
        pre = (old.pre, old.dev) != (new.pre, new.dev)
        return "pre-release" if pre else "post-release"
    first = next(i for i in range(width) if before[i] != after[i])
    if name in CALENDAR or (_is_date(before[0]) and _is_date(after[0])):
        return "minor" if first == 0 else "patch"
    if first == 0 or (first == 1 and before[0] == 0):
        return "major"
    return "minor" if first == 1 else "patch"


def _is_date(number: int) -> bool:
    """Whether a number is a year, or a year with month and day: ``2022``, ``20221105``."""
    rest, day = divmod(number, 100)
    year, month = divmod(rest, 100)
    return number in _YEARS or (year in _YEARS and month in _MONTHS and day in _DAYS)


def cut(specifiers: Iterable[str]) -> Iterator[tuple[Stretch, str]]:
    """Cut the line of versions at the bounds of specifier sets; give each stretch with a final release in it.

    Below, at, between and above the bounds, from the lowest up.
    """
    bounds = sorted({bound for specifier in specifiers for bound in _bounds(specifier)})
    if not bounds:
        yield Stretch(lower=None, lower_included=False, upper=None, upper_included=False), "0"
        return
    width = max(len(bound.release) for bound in bounds)
    if Version("0") < bounds[0]:
        yield Stretch(lower=None, lower_included=False, upper=bounds[0], upper_included=False), "0"
    for bound, following in zip(bounds, [*bounds[1:], None], strict=True):
        yield Stretch(lower=bound, lower_included=True, upper=bound, upper_included=True), str(bound)
        release = (*bound.release, *(0,) * (width - len(bound.release)), 1)
        sample = Version(f"{bound.epoch}!{'.'.join(map(str, release))}")
        if following is None or sample < following:
            above = Stretch(lower=bound, lower_included=False, upper=following, upper_included=False)
            yield above, str(sample)


def _bounds(specifier: str) -> Iterator[Version]:
    """Versions at which a specifier set changes its mind (PEP 440, version specifiers)."""
    if not is_countable(specifier):
        return
    for clause in parse_specifier(specifier):
        wildcard = clause.version.endswith(".*")
        bound = parse_version(clause.version.removesuffix(".*"))
        if bound is None:
            continue
        yield bound
        if wildcard or clause.operator == "~=":
            release = bound.release if wildcard else bound.release[:-1]
            head = ".".join(map(str, (*release[:-1], release[-1] + 1)))
            yield Version(f"{bound.epoch}!{head}")
