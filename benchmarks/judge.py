"""Diff and judge packages, once, in a process of its own: ``python -m benchmarks.judge PACKAGES EVERY`` prints JSON.

Each ``EVERY``-th of them has another version on the second side; five more are new there, and one in a hundred is gone.
Only the work is timed, not the imports before it, and as processor time: it waits for nothing, so that is how
long it takes where nothing else runs. Nothing is warmed by an earlier round, because in a real run there is none.
``--decode`` times what comes before it in a real run, and grows as it does: both snapshots are read from their JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator

import deepdiff  # noqa: F401 - what reprocheck imports late is not what is measured here

import reprocheck.explain
import reprocheck.rules  # noqa: F401
from reprocheck.compare import Question, compare
from reprocheck.model import codec
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

_EACH = 3
"""Requirements of each package; the TensorFlow image has 1.8, and four times as many of extras nobody asked for."""
_ADDED = 5
_REMOVED = 100
"""One in so many."""
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge")
    parser.add_argument("packages", type=int)
    parser.add_argument("every", type=int)
    parser.add_argument("--decode", action="store_true")
    asked = parser.parse_args()
    before, after = (_snapshot(asked.packages, asked.every, later=later) for later in (False, True))
    if asked.decode:
        stored = [codec.encode_json(side) for side in (before, after)]
        began = time.process_time()
        read = [codec.decode_snapshot(raw, "it") for raw in stored]
        print(json.dumps({"seconds": time.process_time() - began, "same": read == [before, after]}))
        return
    began = time.process_time()
    report = compare(before, after, Question(gate=False))
    seconds = time.process_time() - began
    unseen = {*_different(asked.packages, asked.every)} - {finding.subject.name for finding in report.findings}
    print(json.dumps({"seconds": seconds, "findings": len(report.findings), "unseen": sorted(unseen)}))


def _different(packages: int, every: int) -> Iterator[str]:
    yield from map(_name, range(0, packages, every))
    yield from (_name(number) for number in range(packages) if _is_removed(number))
    yield from (f"added-{number}" for number in range(_ADDED))


def _is_removed(number: int) -> bool:
    return number % _REMOVED == _REMOVED - 1


def _name(number: int) -> str:
    return f"package-{number:04}"


def _package(number: int, packages: int, *, changed: bool) -> Package:
    # Each requires some that come after it, as far as there are any: a graph without cycles, many paths.
    required = [number + step * step for step in range(1, _EACH + 1) if number + step * step < packages]
    # Hardly two real requirements are the same text, so that these must not be either.
    stated = [f"{_name(one)}<{1 + one % 3},>=0.{number}; python_version >= '3.8'" for one in required]
    unasked = [f"{_name(one)}>=0.{number}; extra == 'extra-{extra}'" for one in required for extra in range(4)]
    return Package(
        name=_name(number),
        version=f"{2 if changed else 1}.{number % 20}.{number % 7}",
        location="{prefix}/lib/python3.9/site-packages",
        requires=tuple(sorted((*stated, *unasked))),
        requested=number % 25 == 0,
        installer="pip",
        origin="index",
        tags=("py3-none-any",),
    )


def _snapshot(count: int, every: int, *, later: bool) -> Snapshot:
    packages = [
        _package(number, count, changed=later and number % every == 0)
        for number in range(count)
        if not (later and _is_removed(number))
    ]
    if later:
        where = packages[0].location
        packages += [Package(name=f"added-{number}", version="1.0", location=where) for number in range(_ADDED)]
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
