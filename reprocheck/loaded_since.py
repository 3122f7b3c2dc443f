"""Since which layer a framework would load the CUDA library that it would load now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reprocheck.model.report import Finding
    from reprocheck.model.snapshot import Snapshot

_VERSION_BEHIND = re.compile(r" \([^()]*\)$")
_NOWHERE = "nowhere"
_NEVER = -1


def loaded_since(finding: Finding, snapshot: Snapshot, both: int) -> int | None:
    """The layer that made a framework load another library (``framework-library-changed``); ``None``: not known.

    It is the one that brought the library, unless something else may have done it later or before: another build of the
    framework, the removal of what was loaded. Variables are to be the same. ``both``: how many layers the first side
    has too.
    """
    case = _Case(finding, snapshot)
    framework, removed = case.framework(), case.removed()
    if framework is None or removed is None:
        return None
    if case.new == _NOWHERE:
        return removed if framework < both and removed != _NEVER else None
    there = case.there()
    if there is None or removed > there:
        return None
    if there >= framework:
        return there
    # Had the library come between the two sides, the framework of before may have loaded it already.
    return framework if there < both and removed == _NEVER else None


class _Case:
    """One finding, with what the second side's layers tell of it."""

    def __init__(self, finding: Finding, snapshot: Snapshot) -> None:
        self._component, _, self._name = finding.subject.name.partition(" of ")
        self._environment = finding.subject.environment or ""
        self._provenance = snapshot.provenance
        self._accelerator = snapshot.accelerator
        self._old, self.new = (_VERSION_BEHIND.sub("", path or "") for path in (finding.before, finding.after))
        # Two environments may have one path below their prefixes.
        self._copies = [
            (one.path, one.environment or "accelerator")
            for one in snapshot.accelerator.cuda
            if one.component == self._component
        ]

    def framework(self) -> int | None:
        """The layer that brought the framework, if none wrote it again."""
        told = self._provenance
        if any(self._name in later.get(self._environment, {}) for later in (told.rewritten, told.edited)):
            return None
        return told.authors.get(self._environment, {}).get(self._name)

    def removed(self) -> int | None:
        """The layer that removed what was loaded before, or that none did."""
        if self._old == _NOWHERE or any(path == self._old for path, _ in self._copies):
            return _NEVER
        groups = (self._provenance.removed.get(group, {}) for group in (self._environment, "accelerator"))
        return next((group[key] for group in groups if (key := f"{self._component} {self._old}") in group), None)

    def there(self) -> int | None:
        """The layer from which on the library is where the dynamic linker finds it."""
        authors = self._provenance.authors
        groups = [group for path, group in self._copies if path == self.new]
        layers = [authors.get(group, {}).get(f"{self._component} {self.new}") for group in groups]
        layers += [authors.get("accelerator", {}).get(f"ld.so.cache {name}") for name in self._found_by_cache()]
        known = [layer for layer in layers if layer is not None]
        return max(known) if len(groups) == 1 and len(known) == len(layers) else None

    def _found_by_cache(self) -> list[str]:
        return [
            loaded.name
            for one in self._accelerator.frameworks
            if (one.environment, one.name) == (self._environment, self._name)
            for loaded in one.loads
            if loaded.component == self._component and loaded.reason.endswith("ld.so.cache")
        ]
