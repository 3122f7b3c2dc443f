"""One environment as the model of ``sys.path`` wants it: its layout, and the evidence as a tree of files."""

from __future__ import annotations

import posixpath

from reprocheck import pythonpath
from reprocheck.extractors.configuration import as_path, configured_variables, path_variable
from reprocheck.extractors.places import Place
from reprocheck.model.evidence import Evidence, InterpreterFacts

_DEBIAN = b'"dist-packages"'
"""What Debian's own ``site`` has and nobody else's."""
_BY_VARIABLE = b"'VIRTUAL_ENV' in os.environ"
"""What Debian's has up to Python 3.9 (Debian 11)."""


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
    site = evidence.content(site_module(facts)) if facts else None
    return pythonpath.Layout(
        version=place.version,
        implementation=facts.implementation if facts else "cpython",
        prefix=place.prefix,
        base_prefix=base,
        base_exec_prefix=facts.base_exec_prefix if facts else base,
        standard_path=facts.standard_path if facts else (),
        platlibdir=facts.platlibdir if facts else "lib",
        free_threaded="t" in (facts.abiflags if facts else ""),
        debian=_is_debians(base, evidence) if site is None else _DEBIAN in site,
        virtual_env=site is not None and _BY_VARIABLE in site and "VIRTUAL_ENV" in configured_variables(evidence),
        system_site=place.system_site,
        python_path=path_variable(evidence, "PYTHONPATH") or "",
        working_directory=_working_directory(evidence),
        user_base=user_base,
    )


def site_module(facts: InterpreterFacts) -> str:
    """The module that decides where packages are looked for."""
    return f"{facts.library}/site.py"


def unsure_of_site(place: Place, evidence: Evidence) -> bool:
    """Whether it is not known if the interpreter looks into the ``dist-packages`` beside it."""
    facts = place.facts
    file = evidence.files.get(site_module(facts)) if facts else None
    # Evidence of an earlier version was not asked for the module, which is no gap.
    if facts is None or file is None or file.content is not None or not place.system_site:
        return False
    return evidence.is_dir(f"{facts.base_prefix}/lib/python3/dist-packages") is True


def _is_debians(base: str, evidence: Evidence) -> bool:
    """Where ``site`` was not read: as an interpreter in this place is as a rule."""
    return base == "/usr" and bool(evidence.is_dir("/usr/lib/python3/dist-packages"))


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
