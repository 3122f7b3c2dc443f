"""``reprocheck demo``: the main job as it is done everywhere, on recorded evidence of TensorFlow images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from reprocheck.capture import capture
from reprocheck.compare import Question, compare
from reprocheck.errors import ReprocheckError
from reprocheck.formats import terminal
from reprocheck.model.report import Threshold
from reprocheck.sides import load_baseline
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access

BASELINE = "tensorflow-2.9.0-py39.json"
STORIES: tuple[tuple[str, str, Threshold], ...] = (
    ("tf29", "The image that was locked: not even a patch release may differ.", "info"),
    ("tf29-protobuf", "The same, after somebody's RUN pip3 install protobuf==4.21.1.", "major"),
    (
        "tf29-team",
        "The same, after a team's RUN pip3 install opencv-python transformers scikit-learn seaborn.",
        "major",
    ),
)
"""Name of the recording, what it is of, and what shall fail."""


def baselines() -> Path:
    """The folder of the baselines that ship: in the wheel inside the package, in a checkout beside it."""
    packaged = Path(str(files("reprocheck"))) / "_baselines"
    return packaged if packaged.is_dir() else packaged.parent.parent / "baselines"


def recordings() -> Path:
    """The folder of the recorded evidence."""
    return Path(str(files("reprocheck"))) / "recordings"


def run(access: Access, *, width: int, color: bool) -> Iterator[str]:
    """Text of each step: the verification of each recording, then of an image of the engine, if one answers."""
    locked, file = load_baseline(baselines() / BASELINE)
    file = replace(file, name=BASELINE)
    for name, caption, threshold in STORIES:
        recording = recordings() / f"{name}.evidence"
        yield (
            f"\n# {caption}\n"
            f"$ reprocheck verify evidence:{recording.name} --baseline {BASELINE} --fail-on {threshold}\n"
        )
        after = capture(Address("evidence", str(recording)), access)
        report = compare(locked, after, Question(fail_on=threshold), file)
        yield terminal.render(report, width=width, color=color)
    yield from _live(access, width=width, color=color)


def _live(access: Access, *, width: int, color: bool) -> Iterator[str]:
    """The same on the engine: the last recording's image against the first's, where the engine has them."""
    try:
        engine = access.engine()
        first, last = (Address("image", f"reprocheck-test/{STORIES[position][0]}") for position in (0, -1))
        for address in (first, last):
            engine.image(address.value)
    except ReprocheckError as error:
        yield f"\n# Nothing was asked of an engine: {error}\n"
        return
    yield f"\n$ reprocheck diff {first} {last}\n# Now on the engine that answers here.\n"
    report = compare(capture(first, access), capture(last, access), Question(gate=False))
    yield terminal.render(report, width=width, color=color)
