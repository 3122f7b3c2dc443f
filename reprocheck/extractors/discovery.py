"""The one search of a target: where interpreters, environments and site directories are."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Literal

from reprocheck.model.evidence import OUT_OF_REACH, Evidence, Walk, shown
from reprocheck.model.snapshot import IMAGES, ONE_ENVIRONMENT, Gap, Note

SHARED_OBJECT = r"[^/]+\.so(?:\.\d[\w.]*)?$"
"""Names of shared libraries and extension modules."""
CUDA_FAMILY = (
    r"lib(?P<name>cuda|cudart|cublas(?:Lt)?|cudnn|cufft|cupti|curand|cusolver|cusparse(?:Lt)?|nccl|nvinfer|nvJitLink|nvrtc)"
    # Wheels carry copies under a name with a digest in it (auditwheel).
    r"(?:-[0-9a-f]{8})?\.so(?:\.(?P<version>\d[\w.]*))?$"
)
"""Names of the CUDA libraries that a program asks for; parts of cuDNN that it loads itself are not among them."""
_FIND = {
    "conda": r"conda-meta$",
    "cuda": CUDA_FAMILY,
    "library": SHARED_OBJECT,
    "python": r"(?:python(?:[23](?:\.\d+)?t?)?|pypy3?(?:\.\d+)?)$",
    "site": r"(?:site|dist)-packages$",
    "venv": r"pyvenv\.cfg$",
}
_LEAVES = ("site-packages", "dist-packages", "conda-meta", "__pycache__")
"""Not entered: nothing below them is an environment."""
_LEAVES_BESIDE = {"pkgs": "conda-meta"}
"""Nor below conda's package cache, which holds interpreters that nobody starts; another ``pkgs`` may be anything."""

_CUDA_PLACES = (
    "/usr/local/cuda*/lib64/lib*.so*",
    "/usr/local/cuda*/targets/*/lib/lib*.so*",
    *(
        f"{directory}/lib{name}*.so*"
        for directory in ("@prefix/lib", "/usr/lib/*", "/usr/lib64")
        for name in ("cu", "nv", "nccl")
    ),
)
"""Where the CUDA libraries of a machine are that is not searched."""

_KERNEL_MOUNTS = frozenset({"/proc", "/sys", "/dev"})
_NAMED = 3
"""Directories that a remark names; the others are counted."""


def search(evidence: Evidence) -> Walk:
    """The search that suits the target: images and containers are searched, a named interpreter is not.

    The bare probe searches where it finds itself in a container.
    """
    kind = evidence.document.subject.kind
    when: Literal["always", "container", "never"] = "container"
    if kind in ONE_ENVIRONMENT:
        when = "never"
    elif kind == "container" or kind in IMAGES:
        when = "always"
    return Walk(
        root="/",
        search=when,
        find=_FIND,
        leaves=_LEAVES,
        leaves_beside=_LEAVES_BESIDE,
        otherwise={
            "python": ("@self",),
            "venv": ("@prefix/pyvenv.cfg",),
            "conda": ("@prefix/conda-meta",),
            "cuda": _CUDA_PLACES,
            "site": (
                "@prefix/lib*/python*/site-packages",
                "@prefix/lib*/pypy*/site-packages",
                "@prefix/lib/python*/dist-packages",
                "@prefix/local/lib/python*/dist-packages",
                "@home/.local/lib/python*/site-packages",
            ),
        },
    )


def mounts(evidence: Evidence) -> list[str]:
    """Where something else than the root file system is seen, which is not searched."""
    return [path for path in evidence.walk.mounts if path not in _KERNEL_MOUNTS] if evidence.walk else []


def denied(evidence: Evidence) -> list[str]:
    """What whoever was asked had no permission to enter or to run; of nested directories the outermost."""
    closed = set(evidence.walk.denied) if evidence.walk else set()
    closed |= {told.real for told in evidence.interpreters.values() if told.problem == "EACCES"}
    marks = (path for path, told in evidence.files.items() if told.problem == "EACCES")
    closed |= {posixpath.dirname(path) for path in marks if path.endswith("/pyvenv.cfg")}
    outermost: list[str] = []
    for path in sorted(closed, key=lambda path: f"{path}/"):
        if not outermost or not f"{path}/".startswith(f"{outermost[-1]}/"):
            outermost.append(path)
    return outermost


def remarks(what: str, evidence: Evidence, known: Iterable[Gap]) -> tuple[list[Gap], list[Note]]:
    """How far the search came: what could not be read, and what was left aside on purpose.

    ``known``: the gaps of the environments that were found; a directory that hides a search path is among them.
    """
    gaps: list[Gap] = []
    notes: list[Note] = []
    target = evidence.document.header.target
    walk = evidence.walk
    places = [gap.where for gap in known]
    for path, told in sorted(evidence.interpreters.items()):
        if told.facts is None and (told.problem or "").startswith("no answer"):
            gaps.append(Gap(what=what, where=shown(path), reason=f"its Python gave {told.problem}"))
        elif told.facts is None and told.problem not in {"not a program but a script", "EXDEV", OUT_OF_REACH}:
            notes.append(Note(what=what, where=shown(path), reason=f"not an interpreter that runs ({told.problem})"))
    if walk is None:
        return gaps, notes
    if walk.reason:
        gaps.append(Gap(what=what, where=target, reason=f"the search for environments {walk.reason}"))
    if elsewhere := mounts(evidence):
        listed = ", ".join(map(shown, elsewhere))
        notes.append(Note(what=what, where=listed, reason="mounted from elsewhere, so not searched"))
    closed = [
        path for path in map(shown, walk.denied) if not any(f"{where}/".startswith(f"{path}/") for where in places)
    ]
    if closed:
        some = ", ".join(closed[:_NAMED])
        more = f" and {len(closed) - _NAMED} more" if len(closed) > _NAMED else ""
        if evidence.document.header.executed:
            # Most often nothing is there; a comparison with a side that has an environment there says so.
            reason = "can't be entered by whom the probe runs as, and is on no search path, so not searched"
            notes.append(Note(what=what, where=some + more, reason=reason))
        else:
            gaps.append(Gap(what=what, where=some + more, reason="can't be entered, so not searched for environments"))
    return gaps, notes
