"""Diff and judge 500 packages, once, in a process of its own: ``python -m benchmarks.judge`` prints JSON.

Only the work is timed, not the imports before it, and as processor time: it waits for nothing, so that is how
long it takes where nothing else runs. Nothing is warmed by an earlier round, because in a real run there is none.
"""

from __future__ import annotations

import json
import time

import deepdiff  # noqa: F401 - what reprocheck imports late is not what is measured here

import reprocheck.explain
import reprocheck.rules  # noqa: F401
from reprocheck.compare import Question, compare
from reprocheck.model.snapshot import (
    FACT_CLASSES,
    Coverage,
    Environment,
    Header,
    Package,
    Python,
    Snapshot,
    Subject,
)

PACKAGES = 500
_EACH = 3
"""Requirements of each package; the TensorFlow image has 1.8, and four times as many of extras nobody asked for."""
_CHANGED, _ADDED, _REMOVED = range(0, PACKAGES, 10), range(5), range(7, PACKAGES, 100)
_MARKERS = {
    "implementation_name": "cpython",
    "implementation_version": "3.9.2",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.9.2",
    "python_version": "3.9",
    "sys_platform": "linux",
}


def main() -> None:
    """Judge once and print how long it took, and what came out: each package that differs has to be in a finding."""
    before, after = _snapshot(later=False), _snapshot(later=True)
    began = time.process_time()
    report = compare(before, after, Question(gate=False))
    seconds = time.process_time() - began
    unseen = _drifted() - {finding.subject.name for finding in report.findings}
    print(json.dumps({"seconds": seconds, "findings": len(report.findings), "unseen": sorted(unseen)}))


def _drifted() -> frozenset[str]:
    return frozenset({*map(_name, _CHANGED), *map(_name, _REMOVED), *(f"added-{number}" for number in _ADDED)})


def _name(number: int) -> str:
    return f"package-{number:03}"


def _package(number: int, *, later: bool) -> Package:
    # Each requires some that come after it, as far as there are any: a graph without cycles, many paths.
    required = [number + step * step for step in range(1, _EACH + 1) if number + step * step < PACKAGES]
    # Hardly two real requirements are the same text, so that these must not be either.
    stated = [f"{_name(one)}<{1 + one % 3},>=0.{number}; python_version >= '3.8'" for one in required]
    unasked = [f"{_name(one)}>=0.{number}; extra == 'extra-{extra}'" for one in required for extra in range(4)]
    major = 2 if later and number in _CHANGED else 1
    return Package(
        name=_name(number),
        version=f"{major}.{number % 20}.{number % 7}",
        location="{prefix}/lib/python3.9/site-packages",
        requires=tuple(sorted((*stated, *unasked))),
        requested=number % 25 == 0,
        installer="pip",
        origin="index",
        tags=("py3-none-any",),
    )


def _snapshot(*, later: bool) -> Snapshot:
    packages = [_package(number, later=later) for number in range(PACKAGES) if not (later and number in _REMOVED)]
    if later:
        where = packages[0].location
        packages += [Package(name=f"added-{number}", version="1.0", location=where) for number in _ADDED]
    python = Python(
        version="3.9.2", implementation="cpython", executable="/usr/bin/python3", prefix="/usr", markers=_MARKERS
    )
    return Snapshot(
        header=Header(
            captured_at="2026-01-01T00:00:00Z", reprocheck="0", target="image:it", route="exec", executed=True
        ),
        subject=Subject(kind="image", name="it"),
        coverage={name: Coverage(state="complete") for name in FACT_CLASSES},
        environments=(
            Environment(
                id="/usr",
                kind="system",
                on_path=True,
                python=python,
                packages=tuple(sorted(packages, key=lambda one: one.name)),
            ),
        ),
    )


if __name__ == "__main__":
    main()
