"""What is measured, and what it is held against."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import facts
from benchmarks.measure import Command, WrongAnswerError, run
from benchmarks.ordinary import Ordinary
from benchmarks.ours import BYTES, checking, reprocheck
from benchmarks.table import Row

_ROOT = os.geteuid() == 0
"""The engine's storage can be read."""
_CONTAINER = "throw-away container"
_JUDGED = {(500, 10): (0.15, 4.0), (500, 1): (0.15, 8.0), (5000, 10): (1.5, 5.0), (5000, 2): (1.5, 7.0)}
"""How many packages are judged, one in how many of them is of another version, and the most that it may take: seconds,
and times the decoding of both sides."""
_THROW_AWAY = f"capture image, {_CONTAINER}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """What is captured and verified."""

    container: str
    """Id of a running container of ``image``."""
    image: str
    drifted: str
    """An image made from ``image`` in which something has changed that matters."""
    folder: Path
    """For the baselines; ends with the run."""


class Plan:
    """The commands of a run and the rows made of them."""

    def __init__(self, targets: Targets, ordinary: Ordinary | None) -> None:
        self.counts: dict[str, str] = {}
        """What each capture held, in words, after it was checked."""
        self._targets = targets
        self._ordinary = ordinary
        self.stated = facts.stated(targets.container, targets.image)
        """What the target's own tools say."""
        self._baseline = targets.folder / "image.json"
        self._container_baseline = targets.folder / "container.json"

    def prepare(self) -> None:
        """Lock what will be verified.

        Raises:
            BenchmarkError: that failed.
        """
        for target, baseline in (
            (f"image:{self._targets.image}", self._baseline),
            (f"container:{self._targets.container}", self._container_baseline),
        ):
            run(reprocheck(f"lock {target}", "lock", target, "-o", str(baseline)))
        if self._ordinary is not None:
            image = f"image:{self._targets.image}"
            run(reprocheck("fill the cache", "capture", image, "--route", "save", ordinary=self._ordinary))

    def commands(self) -> Iterator[Command]:
        """Everything that is run in each round."""
        container, image, drifted = self._targets.container, self._targets.image, self._targets.drifted
        yield Command(name="exec", argv=("docker", "exec", container, "python3", "-c", "pass"))
        # Without the look for a newer pip, which would ask the network and make the peer slower than it is.
        pip = ("pip", "--disable-pip-version-check", "list")
        yield Command(name="pip list", argv=("docker", "exec", container, *pip))
        yield self._capture("capture container", f"container:{container}", "exec")
        yield reprocheck("capture container, text", "capture", f"container:{container}")
        yield reprocheck(
            "verify container", "verify", f"container:{container}", "--baseline", str(self._container_baseline)
        )
        yield Command(name="run", argv=_run(image))
        yield self._capture("capture image", f"image:{image}", "engine storage" if _ROOT else _CONTAINER)
        if _ROOT:
            yield self._capture(_THROW_AWAY, f"image:{image}", _CONTAINER)
        yield reprocheck("verify image", "verify", f"image:{image}", "--baseline", str(self._baseline))
        yield reprocheck("capture drifted", "capture", f"image:{drifted}", "--format", "json")
        yield reprocheck("verify drifted", "verify", f"image:{drifted}", "--baseline", str(self._baseline), exit_code=1)
        if self._ordinary is not None:
            yield Command(name="run as user", argv=_run(image), user=self._ordinary.user)
            yield self._capture("capture image as user", f"image:{image}", _CONTAINER, self._ordinary)
            yield self._capture("capture image as user, cache", f"image:{image}", "layer cache", self._ordinary)
        yield Command(name="python", argv=(sys.executable, "-c", "pass"))
        yield reprocheck("help", "--help")
        for packages, every in _JUDGED:
            judge = (sys.executable, "-m", "benchmarks.judge", str(packages), str(every))
            name = f"judge {packages}, every {every}"
            yield Command(name=name, argv=judge, clock=_seconds, check=partial(self._judged, name))
            name = f"decode {packages}, every {every}"
            yield Command(name=name, argv=(*judge, "--decode"), clock=_seconds, check=_decoded)

        known = (sys.executable, "-m", "benchmarks.known")
        yield Command(name="knowledge", argv=known, clock=_seconds, check=self._known)

    def rows(self) -> Iterator[Row]:
        """What is to be read out of the figures."""
        container, image = "capture a running container", "capture an image"
        yield Row(what=container, ours="capture container", base="exec", base_words="exec python3 -c pass")
        yield Row(what=container, ours="capture container", base="pip list", base_words="exec pip list", limit=1.0)
        yield Row(
            what=f"{container}, as text",
            ours="capture container, text",
            base="pip list",
            base_words="exec pip list",
            limit=1.0,
        )
        true = "run --rm IMAGE true"
        if _ROOT:
            storage = f"{image}, engine storage"
            yield Row(what=storage, ours="capture image", base="run", base_words=true, limit=3.0)
            yield Row(what=storage, ours="capture image", kind="seconds", limit=1.0)
        ours = _THROW_AWAY if _ROOT else "capture image"
        yield Row(what=f"{image}, throw-away container", ours=ours, base="run", base_words=true, limit=4.0)
        if self._ordinary is not None:
            for ours, by in (
                ("capture image as user", ""),
                ("capture image as user, cache", ", its layers in the cache"),
            ):
                what = f"{image}, ordinary user{by}"
                yield Row(what=what, ours=ours, base="run as user", base_words=true, limit=4.0)
        for what, ours, base in (
            ("verify a container", "verify container", "capture container"),
            ("verify an image", "verify image", "capture image"),
            ("verify a drifted image", "verify drifted", "capture drifted"),
        ):
            yield Row(what=what, ours=ours, base=base, base_words="capture of the same", kind="more", limit=0.5)
        yield Row(what="--help", ours="help", base="python", base_words="python -c pass", kind="more", limit=0.15)
        for (packages, every), (limit, times) in _JUDGED.items():
            what = f"diff and judge {packages:,} packages, one in {every} of another version"
            ours, base = f"judge {packages}, every {every}", f"decode {packages}, every {every}"
            yield Row(what=what, ours=ours, kind="seconds", limit=limit)
            yield Row(what=what, ours=ours, base=base, base_words="decode both snapshots", limit=times)
        yield Row(what="load all that is known", ours="knowledge", kind="seconds", limit=0.03)
        measured = (
            "capture container", "capture container, text", "capture image", "capture drifted",
            "verify container", "verify image", "verify drifted",
        )  # fmt: skip
        apart = (_THROW_AWAY,) if _ROOT else ()
        by_user = () if self._ordinary is None else ("capture image as user", "capture image as user, cache")
        for ours in (*measured, *apart, *by_user):
            yield Row(what=f"peak memory, {ours}", ours=ours, kind="bytes", limit=BYTES)

    def _capture(self, name: str, target: str, route: str, ordinary: Ordinary | None = None) -> Command:
        check = checking(name, self.stated, route, self.counts)
        # An image that was read before would be taken from the layer cache.
        words = ("--route", "container") if route == _CONTAINER else ()
        return reprocheck(name, "capture", target, "--format", "json", *words, ordinary=ordinary, check=check)

    def _known(self, printed: bytes) -> None:
        rows = json.loads(printed)["rows"]
        if empty := [table for table, count in rows.items() if not count]:
            raise WrongAnswerError(f"knowledge: nothing in {', '.join(empty)}")
        self.counts["knowledge"] = f"{sum(rows.values())} rows in {len(rows)} tables"

    def _judged(self, name: str, printed: bytes) -> None:
        told = json.loads(printed)
        if told["unseen"] or not told["findings"]:
            raise WrongAnswerError(f"{name}: {told['findings']} findings, none about {', '.join(told['unseen'])}")
        self.counts[name] = f"{told['findings']} findings"


def _run(image: str) -> tuple[str, ...]:
    return ("docker", "run", "--rm", image, "true")


def _decoded(printed: bytes) -> None:
    if not json.loads(printed)["same"]:
        raise WrongAnswerError("decode: what was read is not what was written")


def _seconds(printed: bytes) -> float:
    return float(json.loads(printed)["seconds"])
