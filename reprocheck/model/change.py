"""One difference between two snapshots, before anybody has judged it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One difference: where, what kind, and the two values."""

    path: tuple[str, ...]
    """Keys from the root of the compared mapping: ``("environments", "/usr", "packages", "numpy", "version")``."""
    kind: Literal["added", "removed", "changed"]
    before: Any
    """Value on the first side: text, number, or a mapping for a whole item; ``None`` when added."""
    after: Any
    """Value on the second side; ``None`` when removed."""
