"""The sides of a comparison: where a baseline is read from, how two sides are arranged, how a report names each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reprocheck import rules
from reprocheck.diff import changes, pair_environments
from reprocheck.knowledge import Knowledge
from reprocheck.model import codec
from reprocheck.model.report import Pair, Side
from reprocheck.model.snapshot import Gap, Snapshot
from reprocheck.rules import Comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineFile:
    """Where a baseline was read from."""

    name: str
    digest: str
    """``sha256:…``"""


def load_baseline(path: Path) -> tuple[Snapshot, BaselineFile]:
    """Read a baseline.

    Raises:
        DataError: it can't be used.
    """
    raw = codec.read_file(path)
    file = BaselineFile(name=str(path), digest=f"sha256:{hashlib.sha256(raw).hexdigest()}")
    return codec.decode_snapshot(raw, str(path)), file


def arranged(
    before: Snapshot, after: Snapshot, by_hand: Mapping[str, str], knowledge: Knowledge
) -> tuple[Comparison, tuple[Pair, ...]]:
    """Two snapshots as rules look at them, and how their environments were paired."""
    pairing = pair_environments(before, after, by_hand)
    return rules.arrange(before, after, pairing.pairs, changes(before, after, pairing), knowledge), pairing.pairs


def gaps_of(before: Snapshot) -> tuple[Gap, ...]:
    """The gaps of the first side, which say whose they are: both sides may have one name."""
    name = before.header.target
    return tuple(
        Gap(
            what=gap.what,
            where=f"baseline {name}" if gap.where == name else f"{name}: {gap.where}",
            reason=gap.reason,
        )
        for gap in before.gaps
    )


def side_of(snapshot: Snapshot, file: BaselineFile | None) -> Side:
    """One side of a document; with the file that it was read from, if it is a baseline."""
    name = snapshot.subject.name
    if name.startswith("sha256:"):
        name = snapshot.provenance.image_name or name
    return Side(
        name=file.name if file else name,
        target=snapshot.header.target,
        kind=snapshot.subject.kind,
        image_id=snapshot.provenance.image_id,
        digest=file.digest if file else None,
        route=snapshot.header.route,
        executed=snapshot.header.executed,
        checked=snapshot.header.checked,
    )
