from __future__ import annotations

import pytest

from reprocheck.archives.history import from_config, instructions
from reprocheck.archives.manifest import HistoryEntry

Entry = tuple[str, int]

BASE: Entry = ("/bin/sh -c #(nop) ADD file:abc in / ", 100)
SETTINGS: list[Entry] = [
    ("/bin/sh -c #(nop)  ENV A=1", 0),
    ('/bin/sh -c #(nop)  CMD ["bash"]', 0),
    ("EXPOSE 8888/tcp", 0),
    ("ARG X", 0),
]
RUN: Entry = ("RUN /bin/sh -c pip3 install six # buildkit", 7)
WORKDIR: Entry = ("WORKDIR /work", 0)
NOTHING: Entry = ("RUN /bin/sh -c true # buildkit", 0)
COPY: Entry = ("COPY app /app # buildkit", 3)

ADDED, RAN, COPIED = ("ADD file:abc in /", 100), ("RUN pip3 install six", 7), ("COPY app /app", 3)
UNKNOWN = (None, None)


@pytest.mark.parametrize(
    ("history", "layers", "made"),
    [
        ([], 0, []),
        ([BASE], 1, [ADDED]),
        ([BASE, *SETTINGS, RUN], 2, [ADDED, RAN]),
        # An instruction that wrote nothing made a layer (BuildKit) or none (the classic builder).
        ([BASE, WORKDIR, RUN], 3, [ADDED, ("WORKDIR /work", 0), RAN]),
        ([BASE, WORKDIR, RUN], 2, [ADDED, RAN]),
        ([BASE, NOTHING, COPY], 3, [ADDED, ("RUN true", 0), COPIED]),
        # One of the two did: what stands between them is not certain, the ends are.
        ([BASE, WORKDIR, RUN, NOTHING, COPY], 4, [ADDED, UNKNOWN, UNKNOWN, COPIED]),
        # A history of something else, or none at all: nothing is claimed.
        ([BASE, RUN], 3, [UNKNOWN] * 3),
        ([BASE, RUN, COPY], 2, [UNKNOWN] * 2),
        ([], 2, [UNKNOWN] * 2),
        ([("", 0), ("", 5)], 1, [(None, 5)]),
    ],
)
def test_each_layer_has_its_instruction(
    history: list[Entry], layers: int, made: list[tuple[str | None, int | None]]
) -> None:
    assert instructions(history, layers) == made


def entry(text: str | None, *, empty: bool | None = None) -> HistoryEntry:
    return HistoryEntry(created_by=text, empty_layer=empty)


def test_a_configurations_own_history_is_exact() -> None:
    history = [
        entry("/bin/sh -c #(nop) ADD file:abc in / "),
        entry("ENV A=1", empty=True),
        entry("WORKDIR /work"),
        entry("RUN /bin/sh -c true # buildkit"),
        entry("RUN |1 TOKEN=hidden /bin/sh -c pip3 install six # buildkit", empty=False),
        entry(None),
        entry('CMD ["bash"]', empty=True),
    ]
    made = ("ADD file:abc in /", "WORKDIR /work", "RUN true", "RUN pip3 install six", None)
    assert from_config(history, 5) == made
    assert from_config([], 0) == ()


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_a_configurations_history_of_something_else_claims_nothing(layers: int) -> None:
    assert from_config([entry("RUN a"), entry("RUN b"), entry("USER c", empty=True)], layers) is None
