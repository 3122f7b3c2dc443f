"""One environment as the model of ``sys.path`` wants it: its layout, and the evidence as a tree of files."""

from __future__ import annotations

import posixpath

from reprocheck import pythonpath
from reprocheck.extractors.configuration import as_path, path_variable
from reprocheck.extractors.places import Place
from reprocheck.model.evidence import Evidence


def layout_of(place: Place, evidence: Evidence) -> pythonpath.Layout | None:
    """The layout; ``None`` where the version of the environment's Python is not known."""
    if place.version is None:
        return None
    facts = place.facts
    home = evidence.home
    user_base = path_variable(evidence, "PYTHONUSERBASE") or (posixpath.join(home, ".local") if home else None)
    if path_variable(evidence, "PYTHONNOUSERSITE"):
        user_base = None
    # Of a broken virtual environment nothing but its own site directory is known.
    base = facts.base_prefix if facts else f"{place.prefix}/unknown"
    return pythonpath.Layout(
        version=place.version,
        implementation=facts.implementation if facts else "cpython",
        prefix=place.prefix,
        base_prefix=base,
        base_exec_prefix=facts.base_exec_prefix if facts else base,
        standard_path=facts.standard_path if facts else (),
        platlibdir=facts.platlibdir if facts else "lib",
        free_threaded="t" in (facts.abiflags if facts else ""),
        debian=base == "/usr" and bool(evidence.is_dir("/usr/lib/python3/dist-packages")),
        system_site=place.system_site,
        python_path=path_variable(evidence, "PYTHONPATH") or "",
        working_directory=_working_directory(evidence),
        user_base=user_base,
    )


def _working_directory(evidence: Evidence) -> str:
    if evidence.engine is not None:
        return as_path(evidence.engine.workdir or "/")
    return evidence.process.cwd if evidence.process else "/"


class EvidenceTree:
    """The evidence as the model of ``sys.path`` asks it; remembers what it could not answer."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self.unknown: list[str] = []
        """Paths of which it is not known whether they are directories."""

    def is_dir(self, path: str) -> bool:
        """Whether the path is a directory; what is not known counts as none."""
        answer = self._evidence.is_dir(path)
        if answer is None:
            self.unknown.append(path)
        return bool(answer)

    def exists(self, path: str) -> bool:
        """Whether the path is there, as a directory or otherwise (an egg may be a file)."""
        if self.is_dir(path):
            return True
        listing = self._evidence.listings.get(path)
        if listing is not None:
            return listing.problem not in {None, "ENOENT"}
        above = self._evidence.listings.get(posixpath.dirname(path))
        for entry in above.entries if above else ():
            if entry.name == posixpath.basename(path):
                if entry.type == "link":
                    self.unknown.append(path)  # to a file, or to nothing
                return entry.type != "link"
        return False

    def path_files(self, directory: str) -> list[tuple[str, bytes]]:
        """Name and contents of each ``.pth`` file."""
        return [
            (posixpath.basename(path), self._evidence.content(path) or b"")
            for path in self._evidence.files
            if path.endswith(".pth") and posixpath.dirname(path) == directory
        ]
