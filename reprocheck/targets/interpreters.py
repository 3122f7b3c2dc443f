"""Where an interpreter may be in a container, tried in order without a shell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

CLEARED: tuple[str, ...] = (
    "LD_PRELOAD",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
    "PYTHONWARNINGS",
    "PYTHONBREAKPOINT",
    "PYTHONUSERBASE",
    "PYTHONDEBUG",
    "PYTHONVERBOSE",
    "PYTHONMALLOC",
    "PYTHONPLATLIBDIR",
    "PYTHONUTF8",
    "PYTHONIOENCODING",
)
"""Variables that the probe runs without; their configured values are facts all the same."""

_MINORS = range(15, 5, -1)
_PLACES = ("/usr/local/bin", "/usr/bin", "/opt/conda/bin", "/opt/venv/bin", "/venv/bin", "/app/.venv/bin")


def candidates(variables: Mapping[str, str | None]) -> Iterator[str]:
    """Names and paths to try: what ``PATH`` finds, the active environment, versioned names, usual places."""
    yield "python3"
    yield "python"
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if prefix := variables.get(variable):
            yield f"{prefix}/bin/python"
    yield from (f"python3.{minor}" for minor in _MINORS)
    yield from (f"{place}/python3" for place in _PLACES)
    yield "pypy3"
