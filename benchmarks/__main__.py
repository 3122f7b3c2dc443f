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

from benchmarks import facts
from benchmarks.docker import container, docker
from benchmarks.facts import Facts
from benchmarks.measure import BenchmarkError, WrongAnswerError, measure
from benchmarks.ordinary import Ordinary, ordinary_user
from benchmarks.ours import compile_all
from benchmarks.peer import Syft, install
from benchmarks.plan import Plan, Targets
from benchmarks.static import Packed, Static
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
    parser.add_argument("--derived", default="reprocheck-test/tf29-protobuf", metavar="REF")
    asked = parser.parse_args()
    try:
        return _measured(max(asked.repetitions, 1), asked.image, asked.drifted, asked.derived)
    except WrongAnswerError as error:
        _tell(str(error))
        return _OVER
    except BenchmarkError as error:
        _tell(str(error))
        return _UNMEASURED


def _measured(repetitions: int, image: str, drifted: str, derived: str) -> int:
    load = os.getloadavg()[0]
    for one in (image, drifted, derived):  # else the engine would try to pull it
        docker("image", "inspect", "--format", "{{.Id}}", one)
    compile_all()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reprocheck-benchmark-")))
        running = stack.enter_context(container(image))
        ordinary, remark = _ordinary(stack)
        plan = Plan(Targets(container=running, image=image, drifted=drifted, folder=folder), ordinary)
        plan.prepare()
        syft, syft_remark = _syft(folder)
        static = _static(image, derived, plan.stated, syft, folder)
        samples = measure((*plan.commands(), *static.commands()), repetitions, _tell)
    rows = (*plan.rows(), *static.rows())
    print(f"{image}, {os.cpu_count()} cores, {repetitions} rounds: median (least to most); memory: the most")
    print(f"load before: {load:.1f}{_BUSY if load > _IDLE else ''}\n")
    print(table(rows, samples))
    print("\nfacts, each time as pip list, dpkg-query and the engine say; syft's are its own")
    for name, words in {**plan.counts, **static.counts}.items():
        print(f"  {name}: {words}")
    print("\npasses over each layer, the lowest first")
    for name, words in static.passes.items():
        print(f"  {name}: {words}")
    print(f"\nordinary user: {remark}\nsyft: {syft_remark}")
    over = [row for row in rows if not row.holds(samples)]
    print(f"{len(over)} over the limit" if over else "all within their limits")
    if over:
        return _OVER
    return _UNMEASURED if syft is None or (ordinary is None and os.geteuid() == 0) else _WITHIN


def _static(image: str, derived: str, stated: Facts, syft: Syft | None, folder: Path) -> Static:
    _tell("packing the images")
    packed = Packed.make(image, derived, folder)
    with container(derived) as running:
        derived_stated = facts.stated(running, derived)
    static = Static(image, stated, derived_stated, packed, syft, folder)
    static.prepare()
    return static


def _syft(folder: Path) -> tuple[Syft | None, str]:
    try:
        syft = install(folder)
    except BenchmarkError as error:
        return None, f"not measured ({error})"
    return syft, f"{syft.version}, each source once"


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
