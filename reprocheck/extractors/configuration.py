"""Variables and image settings: what the image's or container's own configuration says."""

from __future__ import annotations

from reprocheck.model.evidence import Evidence, shown

_OF_THE_SESSION = frozenset({"HOME", "HOSTNAME", "LOGNAME", "OLDPWD", "PWD", "SHELL", "SHLVL", "TERM", "USER", "_"})
"""Set by whatever started the process (a shell, ``docker exec``), not by anybody's configuration."""


def configured_variables(evidence: Evidence) -> dict[str, str | None]:
    """The variables that count: of the image or container where an engine says, else of the caller."""
    if evidence.engine is not None:
        return evidence.engine.variables
    if evidence.process is None:
        return {}
    return {
        shown(name): None if value is None else shown(value)
        for name, value in evidence.process.variables.items()
        if name not in _OF_THE_SESSION
    }


def path_variable(evidence: Evidence, name: str) -> str | None:
    """A configured variable that holds paths, as the text that the evidence uses for paths."""
    if evidence.engine is not None:
        value = evidence.engine.variables.get(name)
        return None if value is None else as_path(value)
    return evidence.process.variables.get(name) if evidence.process else None


def as_path(text: str) -> str:
    """Text of the engine (UTF-8) as the text that the evidence uses for paths."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")
