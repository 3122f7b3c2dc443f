"""`reprocheck capture` on the archives and layouts of peers: what loads loads, what is refused is one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.test_archives import GGCR, REFUSED, SCALIBR, corpus, flattened
from tests.integration.running import Ran

Command = Callable[..., Ran]

__all__ = ["corpus"]


def address(path: Path, reference: str, images: int) -> str:
    kind = "oci" if path.is_dir() else "archive"
    if images == 1:
        return f"{kind}:{path}"
    return f"{kind}:{path}#{reference.partition('@')[0] if path.is_dir() else reference}"


@pytest.mark.parametrize("peer", [GGCR, SCALIBR])
def test_what_loads(corpus: Path, command: Command, peer: str) -> None:
    count = 0
    for path, answers in flattened(corpus, peer):
        for answer in answers:
            if not answer.get("diff_ids_match"):
                continue  # one whose blobs are missing, and a chart for another program: both are refused
            count += 1
            target = address(path, answer["ref"], len(answers))
            document = command("capture", target, "--format", "json").ended(0).json
            assert len(document["provenance"]["layers"]) == answer["n_layers"], target
            assert document["subject"]["platform"].startswith(f"{answer['os']}/{answer['architecture']}"), target
            assert document["header"]["executed"] is False
            assert [gap for gap in document["gaps"] if gap["what"] == "layers"] == [], target
            has_release = any(name in answer["entries"] for name in ("etc/os-release", "usr/lib/os-release"))
            assert (document["system"]["os"] is not None) == has_release, target
            assert command("capture", target).ended(0).stdout.startswith("captured")
    assert count > 10


def test_what_is_refused(corpus: Path, command: Command) -> None:
    for (peer, name), said in REFUSED.items():
        path = corpus / peer / name
        for word in (f"{'oci' if path.is_dir() else 'archive'}:{path}", str(path)):
            assert said in command("capture", word).refused(), word


def test_no_file_of_the_corpus_ends_in_anything_but_a_line(corpus: Path, command: Command) -> None:
    ended: dict[int, int] = {0: 0, 2: 0}
    for path in sorted(corpus.rglob("*")):
        if path.is_file() and path.stat().st_size < 1 << 20:
            ran: Any = command("capture", f"archive:{path}")
            ended[ran.code] += 1
            if ran.code:
                ran.refused()
            assert "internal error" not in ran.stderr, path
    assert ended[0] > 10
    assert ended[2] > 100
