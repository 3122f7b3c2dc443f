"""Measure whole commands beside their floors and peers, in one run: ``python -m benchmarks``.

Exit codes: 0 every figure is within its limit, 1 one is not or a snapshot is not what the target holds, 2 something
could not be measured.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.docker import container, docker
from benchmarks.measure import BenchmarkError, WrongAnswerError, measure
from benchmarks.ordinary import Ordinary, ordinary_user
from benchmarks.plan import Plan, Targets
from benchmarks.table import table

_WITHIN, _OVER, _UNMEASURED = 0, 1, 2
_IDLE = 0.5
_BUSY = "; the machine is busy with something else: run this again when it is not"


def main() -> int:
    """Run and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=7, metavar="N", help="counted rounds (default: 7)")
    parser.add_argument("--image", default="reprocheck-test/tf29", metavar="REF")
    parser.add_argument("--drifted", default="reprocheck-test/tf29-team", metavar="REF")
    asked = parser.parse_args()
    try:
        return _measured(max(asked.repetitions, 1), asked.image, asked.drifted)
    except WrongAnswerError as error:
        _tell(str(error))
        return _OVER
    except BenchmarkError as error:
        _tell(str(error))
        return _UNMEASURED


def _measured(repetitions: int, image: str, drifted: str) -> int:
    load = os.getloadavg()[0]
    for one in (image, drifted):  # else the engine would try to pull it
        docker("image", "inspect", "--format", "{{.Id}}", one)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reprocheck-benchmark-")))
        running = stack.enter_context(container(image))
        ordinary, remark = _ordinary(stack)
        plan = Plan(Targets(container=running, image=image, drifted=drifted, folder=folder), ordinary)
        plan.prepare()
        samples = measure(tuple(plan.commands()), repetitions, _tell)
    rows = tuple(plan.rows())
    print(f"{image}, {os.cpu_count()} cores, {repetitions} rounds: median (least to most); memory: the most")
    print(f"load before: {load:.1f}{_BUSY if load > _IDLE else ''}\n")
    print(table(rows, samples))
    print("\nfacts, each time as pip list, dpkg-query and the engine say")
    for name, words in plan.counts.items():
        print(f"  {name}: {words}")
    print(f"\nordinary user: {remark}")
    over = [row for row in rows if not row.holds(samples)]
    print(f"{len(over)} over the limit" if over else "all within their limits")
    if over:
        return _OVER
    return _UNMEASURED if ordinary is None and os.geteuid() == 0 else _WITHIN


def _ordinary(stack: ExitStack) -> tuple[Ordinary | None, str]:
    try:
        ordinary = stack.enter_context(ordinary_user())
    except BenchmarkError as error:
        return None, f"not measured apart ({error})"
    return ordinary, f"nobody, with the engine's group, by {ordinary.note}"


def _tell(message: str) -> None:
    print(f"benchmarks: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
