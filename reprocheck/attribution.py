"""Who brought a change: the layer, and the instruction that made it."""

from __future__ import annotations

import re
from itertools import combinations, takewhile
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reprocheck.loaded_since import loaded_since
from reprocheck.model.report import IntroducedBy
from reprocheck.model.snapshot import IMAGES, copy_of

if TYPE_CHECKING:
    from reprocheck.model.report import Finding
    from reprocheck.model.snapshot import Package, Provenance, Snapshot

_OF_FILES = frozenset({"python-package", "conda-package", "os-package", "os", "python", "environment", "cuda", "file"})
"""Subjects that a layer brings; settings and variables are no files."""
_SEEN_ANYHOW = frozenset({"conda-package", "os-package", "os"})
"""Found in one place, whoever starts a program with whatever variables."""
_SHAPES = re.compile(
    r"PATH|LD_LIBRARY_PATH|LD_PRELOAD|HOME|VIRTUAL_ENV|CONDA.*|PYTHON(?:PATH|HOME|USERBASE|NOUSERSITE|SAFEPATH|PLATLIBDIR)"
)
"""Variables by which other files are found."""
_RELATIVE_TO_WORKDIR = ("LD_LIBRARY_PATH", "PATH", "PYTHONPATH")
"""Of these an entry that is empty or does not begin with a slash is looked for in the working directory."""
_UNMET = frozenset({"requirement-violated", "requirement-missing"})
_OF_ONE_VERSION = frozenset(
    {
        "package-origin-changed",
        "package-build-changed",
        "package-files-changed",
        "framework-build-changed",
        "wheel-unfit",
        "libc-unfit",
    }
)
"""Rules about what can differ while the version is the same."""
_EDITED = frozenset({"package-edited", "conda-package-edited", "os-package-edited"})
_OF_SEVERAL_COPIES = frozenset({"duplicate-distribution", "shadowed-distribution"})


def attribute(findings: tuple[Finding, ...], before: Snapshot, after: Snapshot) -> tuple[Finding, ...]:
    """Sign the findings about files with the layer that brought each; unsigned where that is not known.

    The second side's provenance tells, where its layers were read; else there must be one possibility.
    """
    only = _introduced_by(before, after)
    alike = _seen_alike(before, after)
    # What a layer of both brought is there on both sides: it is seen, or not, for another reason.
    both = common_layers(before, after) or 0
    signed = []
    for finding in findings:
        layer = None
        if finding.subject.kind in _OF_FILES:
            group, name = _later_copy(finding, after) if finding.name in _OF_SEVERAL_COPIES else _place(finding)
            if finding.name == "framework-library-changed":
                index = loaded_since(finding, after, both) if alike else None
            else:
                index = _index(finding, group, name, after.provenance)
            time = None if finding.name in _EDITED else after.provenance.times.get(group, {}).get(name)
            guess = only if finding.subject.kind in _SEEN_ANYHOW or alike else None
            if index is None:
                layer = guess
            elif index >= both:
                layer = named(index, after, time)
        signed.append(finding if layer is None else replace(finding, introduced_by=layer))
    return tuple(signed)


def _place(finding: Finding) -> tuple[str, str]:
    """Group and name under which the provenance has a finding's subject."""
    subject = finding.subject
    group = {
        "conda-package": f"environments[{subject.environment}].conda",
        "os-package": "os_packages",
        "os": "system",
        "python": f"environments[{subject.environment}].python",
        "environment": "environments",
        "cuda": subject.environment or "accelerator",
    }.get(subject.kind, subject.environment or "")
    if subject.kind == "environment":
        return group, subject.environment or subject.name
    # Version, implementation and ABI stand in one file.
    return group, "python" if subject.kind == "python" else subject.name


def _later_copy(finding: Finding, snapshot: Snapshot) -> tuple[str, str]:
    """Group and name of the copy with which there were two; the name is empty where the layer of one is not known."""
    subject = finding.subject
    group = f"environments[{subject.environment}].copies"
    authors = snapshot.provenance.authors.get(group, {})
    environment = next((one for one in snapshot.environments if one.id == subject.environment), None)
    copies = [one for one in environment.packages if one.name == subject.name] if environment else []
    same_directory = finding.name == "duplicate-distribution"
    later = []
    for pair in combinations(copies, 2):
        if _are_at_odds(*pair, same_directory=same_directory):
            names = [copy_of(one.name, one.version, one.location) for one in pair]
            if any(name not in authors for name in names):
                return group, ""
            later.append(max(names, key=lambda name: authors[name]))
    return group, min(later, key=lambda name: authors[name], default="")


def _are_at_odds(one: Package, other: Package, *, same_directory: bool) -> bool:
    """Whether two copies lie over each other, or the one that Python takes hides another version elsewhere."""
    if same_directory:
        return one.location == other.location
    return (one.active or other.active) and one.location != other.location and one.version != other.version


def _index(finding: Finding, group: str, name: str, provenance: Provenance) -> int | None:
    """Position of the layer from which on there was what the finding tells."""
    if finding.name in _EDITED:
        return provenance.edited.get(group, {}).get(name)
    if finding.name in _UNMET:
        return _unmet(finding, group, name, provenance)
    if finding.name == "library-missing":
        return _missing(finding, _of(provenance, group, name), provenance)
    if finding.name in _OF_ONE_VERSION and name in provenance.rewritten.get(group, {}):
        return None  # either of the two layers, or one in between
    return _of(provenance, group, name)


def _unmet(finding: Finding, group: str, name: str, provenance: Provenance) -> int | None:
    """A requirement is not met once both are there: what it asks of, or its absence, and the first of those who ask."""
    asking = [_of(provenance, group, one) for one in finding.suffers]
    known = [index for index in asking if index is not None]
    found = _of(provenance, group, name)
    if found is None:
        # What the first side has as little was never there; else something that was not seen took it out of sight.
        if finding.name != "requirement-missing" or finding.before is not None:
            return None
        found = 0
    if any(index <= found for index in known):
        return found
    return max(found, min(known)) if known and len(known) == len(asking) else None


def _missing(finding: Finding, owner: int | None, provenance: Provenance) -> int | None:
    """A library is missing once there is who needs it and it is not there itself; of several, the first that is."""
    if owner is None or finding.after is None:
        return None
    removed = provenance.removed.get("accelerator", {})
    return min(max(owner, removed.get(library, owner)) for library in finding.after.split(" "))


def _of(provenance: Provenance, group: str, name: str) -> int | None:
    there = provenance.authors.get(group, {})
    return there[name] if name in there else provenance.removed.get(group, {}).get(name)


def common_layers(one: Snapshot, other: Snapshot) -> int | None:
    """How many layers, from the lowest up, two images have in common; ``None``: layers are not known."""
    layers, others = ([layer.diff_id for layer in side.provenance.layers] for side in (one, other))
    if not layers or not others:
        return None
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(layers, others, strict=False)))


def _seen_alike(before: Snapshot, after: Snapshot) -> bool:
    """Whether what Python finds differs by files alone, and not by settings, or by what is mounted over them."""
    settings = [
        (
            {name: value for name, value in one.variables.items() if _SHAPES.fullmatch(name)},
            one.image.user,
            one.image.workdir if _looks_into_workdir(one) else "",
            one.provenance.mounts,
        )
        for one in (before, after)
    ]
    return settings[0] == settings[1]


def _looks_into_workdir(snapshot: Snapshot) -> bool:
    values = [snapshot.variables.get(name) or "" for name in _RELATIVE_TO_WORKDIR]
    return any(not entry.startswith("/") for value in values if value for entry in value.split(":"))


def named(index: int, snapshot: Snapshot, time: str | None = None) -> IntroducedBy:
    """Name a layer of a snapshot, as people count; what lies above all layers is the container itself."""
    layers = snapshot.provenance.layers
    if index >= len(layers):
        return IntroducedBy(layer=len(layers) + 1, layers=len(layers), diff_id=None, time=time)
    layer = layers[index]
    return IntroducedBy(layer=index + 1, layers=len(layers), diff_id=layer.diff_id, instruction=layer.instruction)


def _introduced_by(before: Snapshot, after: Snapshot) -> IntroducedBy | None:
    """Name what brought every change of a target's files, where there can be only one thing.

    That is so where the second image is the first with layers on top, of which exactly one holds bytes (``WORKDIR``
    makes an empty one), and where a container is compared with the image that it was started from: what was changed
    in it since lies above every layer.
    """
    below, layers = len(before.provenance.layers), after.provenance.layers
    if before.subject.kind not in IMAGES or not below or common_layers(before, after) != below:
        return None
    if after.subject.kind == "container":
        return named(len(layers), after) if len(layers) == below else None
    filled = [layer for layer in layers[below:] if layer.bytes != 0]
    return named(filled[0].index, after) if after.subject.kind in IMAGES and len(filled) == 1 else None
