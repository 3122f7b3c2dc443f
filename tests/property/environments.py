"""Site directories out of a seed: distributions as installers leave them, that require each other in every odd way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import Version

NAMES = (
    "Alpha", "beta_tool", "Gamma.Ray", "delta--x", "epsilon", "Zeta2", "eta.theta_iota", "KAPPA", "lambda-mu", "nu",
    "Xi_Omicron", "pi3", "rho", "sigma.tau", "upsilon", "Phi-Chi",
)  # fmt: skip
ABSENT = ("psi", "Omega_Absent")
EXTRAS = ("fast", "GPU", "dev_tools", "all", "s3.fs", "a-b")
VERSIONS = (
    "0", "0.1", "0.9.9", "1", "1.0", "1.0.0", "1.0.1", "1.1", "1.2.3.4", "1.9", "2", "2.0.1", "2.10", "3.0", "20.4",
    "2022.1", "20221105", "1.0rc1", "1.0a2", "2.0b3", "2.0.dev5", "1.0a1.dev2", "1.0.post1", "2.0.post3.dev1",
    "1!0.5", "1!2.0", "2!1.0rc1", "1.0+cpu", "2.0+cu118", "1.1+ubuntu.1", "3.0rc2+local.7", "v1.1", "1.0-1", "1.0.RC1",
)  # fmt: skip
"""Releases and what lies between them (PEP 440), some as people spell them."""
SERIES = ("1.0", "2.0", "1!0.5", "0.9.9", "1.1", "2.0rc1", "1.0.post1")
"""What ``~=`` takes; the first of them what may have a ``.*``."""
MARKERS = (
    'python_version < "3.8"', 'python_version >= "3.8"', 'python_version >= "3.12"', 'python_version < "3.11"',
    'python_version == "3.11.*"', 'python_version ~= "3.10"', 'python_version in "3.10, 3.11"',
    'python_version not in "2.7, 3.13"', 'python_full_version < "3.11.4"', 'python_full_version >= "3.10.0rc1"',
    'sys_platform == "linux"', 'sys_platform == "win32"', 'sys_platform != "darwin"', '"linux" in sys_platform',
    'os_name == "posix"', 'os.name == "nt"', 'platform_system == "Linux"', 'platform_system == "Darwin"',
    'platform_machine == "x86_64" or platform_machine == "aarch64"', 'platform_machine == "ppc64le"',
    'implementation_name == "cpython"', 'platform_python_implementation != "PyPy"', 'python_implementation == "PyPy"',
    'implementation_version >= "3.10"',
    '(python_version < "3" or sys_platform == "linux") and os_name == "posix"',
    'python_version < "3" and sys_platform == "linux" or os_name == "nt"',
)  # fmt: skip
"""None of the machine's own (``platform_release``, ``platform_version``): those are gaps, and told as such."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """One distribution."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requires_python: str | None = None
    egg: bool = False
    """Of setuptools of old: ``NAME-VERSION.egg-info``."""


def distributions(seed: int) -> tuple[Made, ...]:
    """The distributions of one site directory."""
    random = Random(seed)
    names = random.sample(NAMES, random.randint(4, len(NAMES)))
    there = {name: _There(random.choice(VERSIONS), random.sample(EXTRAS, random.randint(0, 3))) for name in names}
    most = random.choice((1, 5, 9))
    return tuple(_distribution(random, name, there, most) for name in names)


def plant(site: Path, made: tuple[Made, ...]) -> None:
    """Write them as pip (dist-info) and setuptools (egg-info) do."""
    site.mkdir(parents=True, exist_ok=True)
    for one in made:
        stem = f"{re.sub(r'[-_.]+', '_', one.name)}-{Version(one.version)}"
        fields = [("Metadata-Version", "2.1"), ("Name", one.name), ("Version", one.version), ("Summary", "Made.")]
        fields += [("Requires-Python", one.requires_python)] if one.requires_python else []
        fields += [("Provides-Extra", extra) for extra in one.extras]
        if one.egg:
            info = site / f"{stem}.egg-info"
            info.mkdir()
            (info / "requires.txt").write_text(_requires_txt(one.requires))
        else:
            info = site / f"{stem}.dist-info"
            info.mkdir()
            fields += [("Requires-Dist", text) for text in one.requires]
            (info / "INSTALLER").write_text("pip\n")
            (info / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        text = "".join(f"{name}: {value}\n" for name, value in fields) + "\nRequires-Dist: in-the-description\n"
        (info / ("PKG-INFO" if one.egg else "METADATA")).write_text(text)


class _There(NamedTuple):
    version: str
    extras: list[str]


def _distribution(random: Random, name: str, there: dict[str, _There], most: int) -> Made:
    egg = random.random() < 0.1
    extras = there[name].extras
    return Made(
        name=name,
        version=there[name].version,
        requires=tuple(_requirement(random, there, extras, egg=egg) for _ in range(random.randint(0, most))),
        extras=tuple(extras),
        requires_python=random.choice((None, ">=3.6", ">=3.8,!=3.9.0", "<3")),
        egg=egg,
    )


def _requirement(random: Random, there: dict[str, _There], extras: list[str], *, egg: bool) -> str:
    name = random.choice((*there, *there, *ABSENT))
    found = there.get(name)
    text = _respelled(random, name)
    if random.random() < 0.4:
        # Some ask for what is not provided.
        asked = random.sample((found.extras if found and random.random() < 0.8 else None) or EXTRAS, 1)
        asked += [random.choice(EXTRAS)] if random.random() < 0.2 else []
        text += f"[{','.join(_respelled(random, extra) for extra in asked)}]"
    marker = _marker(random, extras, egg=egg)
    if random.random() < 0.04:
        return f"{text} @ https://example.org/{name}.whl" + (f" ; {marker}" if marker else "")
    clauses = [_clause(random, found and found.version) for _ in range(random.choice((0, 1, 1, 1, 1, 2)))]
    # Whatever follows === up to a blank is its version.
    specifier = ",".join(one for one in clauses if not one.startswith("===") or one == clauses[-1])
    if specifier and random.random() < 0.2:
        specifier = f" ({specifier})"
    return text + specifier + (f"{random.choice((';', '; ', ' ; '))}{marker}" if marker else "")


def _respelled(random: Random, name: str) -> str:
    """The name in another of the spellings that mean the same (PEP 503)."""
    spelled = re.sub(r"[-_.]+", lambda _: random.choice("-_."), name)
    return random.choice((name, spelled, spelled.lower(), spelled.upper()))


def _clause(random: Random, installed: str | None) -> str:
    version = installed if installed is not None and random.random() < 0.3 else random.choice(VERSIONS)
    operator = random.choice(("<", "<=", ">", ">=", ">=", "==", "!=", "===", "~=", "==*", "!=*"))
    if operator == "~=":
        version = random.choice(SERIES)
    elif operator.endswith("*"):
        operator, version = operator[:2], f"{random.choice(SERIES[:4])}.*"
    elif operator in {"<", "<=", ">", ">="}:
        version = version.partition("+")[0]
    return f"{operator}{random.choice(('', '', ' '))}{version}"


def _marker(random: Random, extras: list[str], *, egg: bool) -> str:
    chance = random.random()
    plain = random.choice(MARKERS)
    if chance < 0.4:
        return ""
    if chance < 0.65 or not extras:
        return plain
    extra = _respelled(random, random.choice(extras))
    one = f'extra == "{extra}"'
    if egg or chance < 0.8:
        return one
    return random.choice(
        (
            f'"{extra}" == extra',
            f"({plain}) and {one}",
            f"{one} and ({plain})",
            f"{plain} or {one}",
            f'extra != "{extra}"',
            f'{one} or extra == "{random.choice(EXTRAS)}"',
            f"({one}) and ({plain}) or ({random.choice(MARKERS)})",
        )
    )


def _requires_txt(requires: tuple[str, ...]) -> str:
    return "".join(_sections(requires))


def _sections(requires: tuple[str, ...]) -> Iterator[str]:
    """What always applies, then ``[extra]`` and ``[:marker]`` (setuptools, "Development mode and egg-info")."""
    for text in sorted(requires, key=lambda text: ";" in text):
        need, _, marker = text.partition(";")
        extra = re.fullmatch(r'extra == "(.+)"', marker.strip())
        section = f"[{canonicalize_name(extra[1])}]" if extra else f"[:{marker.strip()}]"
        yield f"\n{section}\n{need.strip()}\n" if marker else f"{need}\n"
