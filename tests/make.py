"""Snapshots in a few words, for tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from reprocheck import diff
from reprocheck.knowledge import Knowledge, load
from reprocheck.model.report import Finding, Level
from reprocheck.model.snapshot import (
    FACT_CLASSES,
    Coverage,
    Environment,
    EnvironmentKind,
    FactClass,
    Gap,
    Header,
    Layer,
    Package,
    Provenance,
    Python,
    Snapshot,
    State,
    Subject,
    TargetKind,
)
from reprocheck.rules import RULES, Comparison, arrange, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EXTRA = re.compile(r'extra [!=]= "(.+?)"')
SITE = "{prefix}/lib/python3.9/site-packages"


def markers(version: str = "3.9.2", **others: str) -> dict[str, str]:
    minor = ".".join(version.split(".")[:2])
    return {
        "implementation_name": "cpython",
        "implementation_version": version,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": version,
        "python_version": minor,
        "sys_platform": "linux",
        **others,
    }


def python(version: str = "3.9.2", **fields: Any) -> Python:
    nodot = "".join(version.split(".")[:2])
    defaults: dict[str, Any] = {
        "version": version,
        "implementation": "cpython",
        "executable": "/usr/bin/python3",
        "prefix": "/usr",
        "abi": f"cpython-{nodot}",
        "markers": markers(version),
    }
    return Python(**{**defaults, **fields})


def package(text: str, *requires: str, **fields: Any) -> Package:
    """``numpy==1.23.5``, its requirements, and any other field; it provides the extras that its requirements name."""
    name, _, version = text.partition("==")
    defaults: dict[str, Any] = {
        "name": name,
        "version": version,
        "location": SITE,
        "requires": tuple(sorted(requires)),
        "extras": tuple(sorted({extra for text in requires for extra in _EXTRA.findall(text)})),
        "origin": "index",
        "installer": "pip",
    }
    return Package(**{**defaults, **fields})


def environment(*packages: Package, name: str = "/usr", **fields: Any) -> Environment:
    kind: EnvironmentKind = "system"
    defaults: dict[str, Any] = {"id": name, "kind": kind, "python": python(), "on_path": name == "/usr"}
    order = sorted(packages, key=lambda one: (one.name, one.location))
    return Environment(**{**defaults, "packages": tuple(order), **fields})


def snapshot(
    *environments: Environment,
    kind: TargetKind = "image",
    states: Mapping[FactClass, State] | None = None,
    gaps: Sequence[str] = (),
    layers: Sequence[str] = (),
    **fields: Any,
) -> Snapshot:
    """A snapshot that read everything but the machine, unless ``states`` says otherwise."""
    coverage: dict[FactClass, Coverage] = {
        name: Coverage(state="not-read" if name in {"machine", "smoke", "accelerator"} else "complete")
        for name in FACT_CLASSES
    }
    coverage |= {name: Coverage(state=state) for name, state in (states or {}).items()}
    return Snapshot(
        header=Header(
            captured_at="2026-11-22T00:00:00Z",
            reprocheck="0",
            target=f"{kind}:it",
            route="exec",
            executed=True,
        ),
        subject=Subject(kind=kind, name="it"),
        coverage=coverage,
        environments=tuple(sorted(environments, key=lambda one: one.id)),
        gaps=tuple(Gap(what=what, where="/somewhere", reason="not readable") for what in gaps),
        provenance=Provenance(
            layers=tuple(
                Layer(index=index, diff_id=f"sha256:{name}", instruction=f"RUN {name}")
                for index, name in enumerate(layers)
            )
        ),
        **fields,
    )


def of(*packages: Package, **fields: Any) -> Snapshot:
    """A snapshot with one environment that holds these packages."""
    return snapshot(environment(*packages), **fields)


KNOWLEDGE = load()


def comparison(
    before: Snapshot,
    after: Snapshot,
    by_hand: Mapping[str, str] | None = None,
    knowledge: Knowledge = KNOWLEDGE,
) -> Comparison:
    pairing = diff.pair_environments(before, after, by_hand or {})
    return arrange(before, after, pairing.pairs, diff.changes(before, after, pairing), knowledge)


def findings(
    before: Snapshot, after: Snapshot, *codes: str, level: Level = "bits", **options: Any
) -> tuple[Finding, ...]:
    """What the rules with these codes, or all of them, say of two snapshots."""
    rules = tuple(rule for rule in RULES if not codes or rule.code in codes)
    return judge(comparison(before, after, **options), level, rules)


def finding(before: Snapshot, after: Snapshot, code: str, **options: Any) -> Finding:
    """The only finding of a rule."""
    (found,) = findings(before, after, code, **options)
    return found


def without(snap: Snapshot, **fields: Any) -> Snapshot:
    return replace(snap, **fields)


TENSORFLOW = (
    package("tensorflow==2.9.0", "protobuf>=3.9.2", "tensorboard<2.10,>=2.9", "numpy>=1.20", requested=True),
    package("tensorboard==2.9.1", "protobuf<3.20,>=3.9.2", requested=False),
    package("numpy==1.23.5", requested=False),
)
"""The TensorFlow story, without the protobuf that it turns on."""


def tensorflow(protobuf: str = "3.19.6", *more: Package, numpy: str = "1.23.5") -> Snapshot:
    base = [one for one in TENSORFLOW if one.name != "numpy"]
    return of(*base, package(f"numpy=={numpy}"), package(f"protobuf=={protobuf}"), *more)
