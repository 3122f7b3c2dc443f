"""Where the environments of a target are: each interpreter's own, each pyvenv.cfg's, each conda-meta's."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from reprocheck.extractors import conda, home
from reprocheck.extractors.configuration import path_variable
from reprocheck.model.evidence import OUT_OF_REACH, Evidence, InterpreterEvidence, InterpreterFacts, shown
from reprocheck.model.snapshot import IMAGES, ONE_ENVIRONMENT, EnvironmentKind

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAMES = ("python3", "python")
"""What is looked for on ``PATH``, in this order."""
_HIDDEN = frozenset({"EXDEV", OUT_OF_REACH})
"""Problems of a program that is there, and of which nothing else is known."""
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class Place(Struct, frozen=True, kw_only=True):
    """An environment that was found, before its packages are read."""

    id: str
    prefix: str
    kind: EnvironmentKind
    executable: str
    facts: InterpreterFacts | None
    version: tuple[int, int, int] | None
    system_site: bool
    reason: str | None
    """Why there are no facts."""
    unsure: str | None = None
    """Why it is not known where its standard library is."""
    unable: str | None = None
    """Why its interpreter does not start as it is configured."""
    has_python: bool = True
    """Conda manages environments without a Python as well."""

    def rooted(self, path: str, home: str | None) -> str:
        """A path with its named root: ``{prefix}``, ``{base}``, ``{home}``; others as they are."""
        roots = [("{prefix}", self.prefix)]
        if self.facts is not None and self.facts.base_prefix != self.prefix:
            roots.append(("{base}", self.facts.base_prefix))
        if home is not None:
            roots.append(("{home}", home))
        for name, root in roots:
            if root != "/" and (path == root or path.startswith(root + "/")):
                return name + shown(path[len(root) :])
        return shown(path)


def path_candidates(evidence: Evidence) -> list[str]:
    """Where ``python3`` may be on the configured ``PATH``, in order; none where a process says what was started."""
    if evidence.engine is None and evidence.document.subject.kind not in IMAGES:
        return []
    path = path_variable(evidence, "PATH") or _DEFAULT_PATH
    return [f"{directory}/{name}" for name in _NAMES for directory in path.split(":") if directory]


def configurations_on_path(evidence: Evidence) -> list[str]:
    """Where Python would look for a ``pyvenv.cfg`` (PEP 405), were it started from a directory of ``PATH``."""
    directories = dict.fromkeys(posixpath.dirname(candidate) for candidate in path_candidates(evidence))
    return [
        posixpath.join(where, "pyvenv.cfg")
        for directory in directories
        for where in (directory, posixpath.dirname(directory))
    ]


def places(evidence: Evidence) -> list[Place]:
    """Every environment: each interpreter's own, each pyvenv.cfg's, each conda-meta's."""
    managed = set(conda.prefixes(evidence))
    found: dict[str, Place] = {}
    seen: set[tuple[str, str]] = set()
    there = {told.real: home.started(told.facts, evidence) for told in evidence.interpreters.values() if told.facts}
    for real, (facts, unsure, unable) in sorted(there.items(), key=_rank):
        key = (facts.base_prefix, facts.version)
        if key in seen:
            continue
        prefix = facts.base_prefix
        identity = shown(prefix)
        if identity in found:
            identity += f" ({facts.implementation} {facts.version})"
        seen.add(key)
        found[identity] = Place(
            id=identity,
            prefix=prefix,
            kind="conda" if prefix in managed else "system",
            executable=real,
            facts=facts,
            version=_numbers(facts.version),
            system_site=True,
            reason=None,
            unsure=unsure,
            unable=unable,
        )
    for config in sorted(_configurations(evidence)):
        place = _virtual(config, evidence)
        if place is not None:
            found[place.id] = place
    known = {place.prefix for place in found.values()}
    for place in (_conda(prefix, evidence) for prefix in sorted(managed - known)):
        found[place.id] = place
    if evidence.document.subject.kind in ONE_ENVIRONMENT:
        # Only the interpreter that was named: its base is part of it, not another environment.
        chosen = on_path(list(found.values()), evidence)
        return [place for place in found.values() if place.id == chosen]
    return list(found.values())


def _rank(told: tuple[str, home.Started]) -> tuple[bool, int, str]:
    """Programs in the ``bin`` of their own prefix first: of a virtual environment made of copies, the original.

    By the program itself, not by the links that lead to it: which of them are seen depends on the route.
    """
    real, (facts, _, _) = told
    return (posixpath.dirname(posixpath.dirname(real)) != facts.base_prefix, len(real), real)


def _configurations(evidence: Evidence) -> Iterator[str]:
    return (path for path in evidence.files if path.endswith("/pyvenv.cfg") and evidence.content(path) is not None)


def _virtual(config: str, evidence: Evidence) -> Place | None:
    prefix = posixpath.dirname(config)
    settings = parse_pyvenv(evidence.content(config) or b"")
    told: InterpreterEvidence | None = None
    executable = f"{prefix}/bin/python"
    for name in ("python3", "python"):
        told = evidence.interpreters.get(f"{prefix}/bin/{name}")
        if told is not None:
            executable = f"{prefix}/bin/{name}"
            break
    if told is None and "home" not in settings:
        return None  # a file of that name, but no environment (test data of some package)
    start = home.started(told.facts, evidence) if told and told.facts else None
    facts = start.facts if start else None
    version = facts.version if facts else settings.get("version") or settings.get("version_info", "")
    return Place(
        id=shown(prefix),
        prefix=prefix,
        kind="venv",
        executable=executable,
        facts=facts,
        version=_numbers(version),
        system_site=settings.get("include-system-site-packages", "").lower() == "true",
        reason=None if facts else (told.problem if told else "its bin/python leads nowhere"),
        unsure=start and start.unsure,
        unable=start and start.unable,
    )


def _conda(prefix: str, evidence: Evidence) -> Place:
    """An environment of conda's in which no interpreter answered, or is."""
    executables = [f"{prefix}/bin/{name}" for name in ("python3", "python")]
    told = next((evidence.interpreters[path] for path in executables if path in evidence.interpreters), None)
    there = told is not None or not set(executables).isdisjoint(evidence.found.get("python", ()))
    return Place(
        id=shown(prefix),
        prefix=prefix,
        kind="conda",
        executable=executables[0],
        facts=None,
        version=None,
        system_site=False,
        reason=told.problem if told else None,
        has_python=there,
    )


def parse_pyvenv(raw: bytes) -> dict[str, str]:
    """Keys in lower case and values of a pyvenv.cfg (PEP 405)."""
    pairs = (line.partition("=") for line in raw.decode("utf-8", "replace").splitlines())
    return {key.strip().lower(): value.strip() for key, equals, value in pairs if equals}


def _numbers(version: str) -> tuple[int, int, int] | None:
    found = _VERSION.match(version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def _environment_of(executable: str, evidence: Evidence) -> str | None:
    """Id of the environment that an executable starts."""
    directory = posixpath.dirname(executable)
    for prefix in (directory, posixpath.dirname(directory)):
        if evidence.content(f"{prefix}/pyvenv.cfg") is not None:
            return shown(prefix)
    told = evidence.interpreters.get(executable)
    return shown(home.started(told.facts, evidence).facts.base_prefix) if told and told.facts else None


def on_path(found: Sequence[Place], evidence: Evidence) -> str | None:
    """Id of the environment that ``python3`` starts, or that was named; ``None`` where it is not known."""
    return next((identity for _, identity in _started(found, evidence)), None)


def hidden_on_path(found: Sequence[Place], evidence: Evidence) -> str | None:
    """The program that may be what ``python3`` starts, if it lies in a mount that was not read, or may not be run."""
    for program, _ in _started(found, evidence):
        return program if evidence.interpreters[program].problem in _HIDDEN else None
    return None


def _started(found: Sequence[Place], evidence: Evidence) -> Iterator[tuple[str, str | None]]:
    """The program that ``python3`` starts, at most one, and the id of its environment if that is known."""
    candidates = path_candidates(evidence)
    process = evidence.process
    if process is not None and (evidence.engine is None or process.started_as in _NAMES):
        # It was named, or PATH led to it, perhaps by way of a wrapper script.
        candidates = [*_passed_over(process.executable, candidates, evidence), process.executable]
    for candidate in candidates:
        told = evidence.interpreters.get(candidate)
        if told is None:
            continue
        identity = _environment_of(candidate, evidence)
        # A script starts what it likes, and of what is hidden nothing is known.
        if told.problem == "not a program but a script" or told.problem in _HIDDEN:
            yield candidate, None
            return
        if any(place.id == identity for place in found):
            yield candidate, identity
            return


def _passed_over(program: str, candidates: Sequence[str], evidence: Evidence) -> Iterator[str]:
    """What stands on ``PATH`` before the program that was started, and would have been, by the target's own user."""
    for candidate in candidates:
        if candidate == program:
            return
        told = evidence.interpreters.get(candidate)
        if told is not None and told.problem == OUT_OF_REACH:
            yield candidate
