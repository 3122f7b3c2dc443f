"""The distributions of one directory of a search path: dist-info, egg-info, eggs, editable installs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from msgspec import Struct, field
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from reprocheck import redact
from reprocheck.extractors import integrity, metadata, zipped
from reprocheck.extractors.base import in_words, stated_since
from reprocheck.model.evidence import AnyWant, Evidence, FileEvidence, List, Read, Record, literal, shown
from reprocheck.model.snapshot import Files

_HEADER_LIMIT = 1 << 20
_SMALL = 1 << 20
_DIST_INFO = "*.[dD][iI][sS][tT]-[iI][nN][fF][oO]"
_EGG_INFO = "*.[eE][gG][gG]-[iI][nN][fF][oO]"
"""In whatever letters: so ``importlib.metadata`` and pip take them."""


class Distribution(Struct, frozen=True, kw_only=True):
    """One copy of a distribution, before it is known which copy Python takes."""

    name: str
    version: str
    metadata_path: str
    """Path of the metadata directory or file, as in the evidence."""
    requires: tuple[str, ...] | None = None
    extras: tuple[str, ...] = ()
    requires_python: str | None = None
    requested: bool | None = None
    installer: str | None = None
    origin: str = "unrecorded"
    editable: bool = False
    tags: tuple[str, ...] = ()
    build: str | None = None
    files: Files = field(default_factory=Files)
    problems: tuple[str, ...] = ()
    unread: str | None = None
    """Why the metadata could not be read (whole)."""
    uncompared: str | None = None
    """Why its files could not be compared with RECORD (all of them)."""
    edited_by: int | None = None
    """The layer that last edited one of its files."""


def wants(directory: str, *, deep: bool) -> list[AnyWant]:
    """What to ask of one directory; ``directory`` is a pattern (``@site``, or a literal path)."""
    return [
        List(at=directory),
        Read(at=f"{directory}/{_DIST_INFO}/METADATA", part="header", limit=_HEADER_LIMIT),
        Read(at=f"{directory}/{_DIST_INFO}/WHEEL", limit=_SMALL),
        Read(at=f"{directory}/{_DIST_INFO}/INSTALLER", limit=_SMALL),
        Read(at=f"{directory}/{_DIST_INFO}/REQUESTED", limit=_SMALL),
        Read(at=f"{directory}/{_DIST_INFO}/direct_url.json", limit=_SMALL),
        Record(at=f"{directory}/{_DIST_INFO}/RECORD", keep=".so", deep=deep),
        Read(at=f"{directory}/{_EGG_INFO}", part="header", limit=_HEADER_LIMIT),
        Read(at=f"{directory}/{_EGG_INFO}/PKG-INFO", part="header", limit=_HEADER_LIMIT),
        Read(at=f"{directory}/{_EGG_INFO}/requires.txt", limit=_SMALL),
        Read(at=f"{directory}/*.egg-link", limit=_SMALL),
        Read(at=f"{directory}/*.pth", limit=_SMALL),
        Read(at=f"{directory}/.*.pth", limit=_SMALL),
        Read(at=f"{directory}/EGG-INFO/PKG-INFO", part="header", limit=_HEADER_LIMIT),
        Read(at=f"{directory}/EGG-INFO/requires.txt", limit=_SMALL),
    ]


def read(directory: str, evidence: Evidence) -> tuple[list[Distribution], list[str]]:
    """The distributions whose metadata stands in a directory, by name, and what was left aside, one phrase each."""
    found: list[Distribution] = []
    leftovers: list[str] = []
    links = set(_egg_links(directory, evidence))
    for entry in evidence.listings[directory].entries if directory in evidence.listings else ():
        path, name = f"{directory}/{entry.name}", entry.name.lower()
        if entry.name == "EGG-INFO" and entry.is_dir:
            found.append(_egg(path, directory, evidence))
        elif not name.endswith((".dist-info", ".egg-info")):
            if re.search(r"\.(?:dist|egg)-info\W", name):
                leftovers.append(f"{shown(path)}: a copy under a name of its own, so no distribution")
        elif entry.name.startswith("Python-") and name.endswith(".egg-info"):
            continue  # the standard library's own, of old Debian and Red Hat: the interpreter is no distribution
        elif entry.name.startswith(("~", "-")) or name in {".dist-info", ".egg-info"}:
            leftovers.append(f"{shown(path)}: left behind by an interrupted uninstall")
        elif name.endswith(".egg-info"):
            found.append(_egg(path, path if entry.is_dir else None, evidence))
        elif entry.is_dir:
            found.append(_wheel(path, evidence))
        else:
            leftovers.append(f"{shown(path)}: no directory, so no distribution")
    if links:
        found = [_develop(one) if canonicalize_name(one.name) in links else one for one in found]
    return sorted(found, key=lambda one: (canonicalize_name(one.name), one.metadata_path)), leftovers


def read_archive(path: str, raw: bytes) -> list[Distribution]:
    """The distributions whose metadata stands in an archive on the search path; none where it has no metadata.

    Raises:
        ValueError: the archive can't be read.
    """
    files = zipped.metadata_of(raw)
    found = []
    for name, content in sorted(files.items()):
        if name.endswith("/requires.txt"):
            continue
        known = metadata.parse_metadata(content)
        stem = name.partition("/")[0].removesuffix(".dist-info")
        if name.startswith("EGG-INFO/"):
            stem = re.sub(r"\.(?:egg|whl)$", "", posixpath.basename(shown(path)))
        stated = known.name is not None or known.version is not None
        unread = None if stated else "states neither name nor version"
        one = _named(path, stem, known if stated else None, known.problems, unread)
        if name == "EGG-INFO/PKG-INFO":
            found.append(_requiring(one, known, files.get("EGG-INFO/requires.txt")))
        else:
            found.append(replace(one, requires=known.requires))
    return found


def metadata_file(one: Distribution, evidence: Evidence) -> FileEvidence | None:
    """The file that states a distribution's name and version, there since the layer that first brought this version.

    ``None``: there is no such file, or it is not known which layer that was.
    """
    for path in (f"{one.metadata_path}/METADATA", f"{one.metadata_path}/PKG-INFO", one.metadata_path):
        file = evidence.files.get(path)
        if file is None or file.problem is not None:
            continue
        return file if _is_in_name(one.version, one.metadata_path) else stated_since(file, _version)
    return None


def written_again(evidence: Evidence) -> Iterator[Read]:
    """What to ask of files that several layers wrote: .pth files, and metadata whose version no name tells."""
    for path, file in evidence.files.items():
        if file.layer == file.since or file.content is None:
            continue
        above, _, name = path.rpartition("/")
        if name.endswith(".pth"):
            yield Read(at=literal(path), limit=_SMALL, versions=True)
        holder = above if name in {"METADATA", "PKG-INFO"} else path
        if not holder.lower().endswith((".dist-info", ".egg-info", "/egg-info")):
            continue
        version = _version(file.content.encode("latin-1"))
        if version is not None and not _is_in_name(version, holder):
            yield Read(at=literal(path), part="header", limit=_HEADER_LIMIT, versions=True)


def _is_in_name(version: str, metadata_path: str) -> bool:
    above, _, name = metadata_path.rpartition("/")
    stem = (posixpath.basename(above) if name == "EGG-INFO" else name).rpartition(".")[0]
    return metadata.name_from_directory(shown(stem))[1] == version


def _version(raw: bytes) -> str | None:
    return metadata.parse_metadata(raw).version


def removed(directory: str, evidence: Evidence) -> Iterator[tuple[str, str, int]]:
    """Normalised names of distributions that a layer took out of a directory, with version and layer.

    The version is empty where the name of what is gone did not tell it.
    """
    listing = evidence.listings.get(directory)
    for entry, layer in (listing.removed if listing else {}).items():
        stem, dot, suffix = entry.rpartition(".")
        if dot and suffix.lower() in {"dist-info", "egg-info", "egg", "egg-link"}:
            name, version = metadata.name_from_directory(shown(stem))
            yield canonicalize_name(name), version, layer


def egg_link_targets(directory: str, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Path of each ``.egg-link`` file and the directory that it names (setuptools, "Development mode")."""
    for path in evidence.matching(directory, "*.egg-link"):
        content = evidence.content(path)
        if content and content.strip():
            # Relative to the link's own directory, as a line of a .pth file is.
            target = content.splitlines()[0].strip().decode("latin-1")
            yield path, posixpath.normpath(posixpath.join(directory, target))


def _egg_links(directory: str, evidence: Evidence) -> Iterator[str]:
    """Names of the distributions that an ``.egg-link`` anywhere says are developed in this directory."""
    for holder in dict.fromkeys(posixpath.dirname(path) for path in evidence.files if path.endswith(".egg-link")):
        for path, target in egg_link_targets(holder, evidence):
            if target == directory:
                yield canonicalize_name(posixpath.basename(path).removesuffix(".egg-link"))


def _develop(one: Distribution) -> Distribution:
    where = one.metadata_path.rpartition("/")[0]
    return replace(one, editable=True, origin=f"file://{shown(where)}")


def _wheel(path: str, evidence: Evidence) -> Distribution:
    stem = shown(path.rpartition("/")[2])[: -len(".dist-info")]
    known, problems, unread = _metadata(f"{path}/METADATA", evidence)
    one = _named(path, stem, known, problems, unread)
    installer = _line(evidence.content(f"{path}/INSTALLER"))
    requested = evidence.files.get(f"{path}/REQUESTED")
    wheel = evidence.content(f"{path}/WHEEL")
    tags, build = metadata.parse_wheel(wheel) if wheel is not None else ((), None)
    origin, editable, odd = _origin(path, installer, evidence)
    compared = integrity.read(f"{path}/RECORD", installer, evidence)
    return replace(
        one,
        requires=known.requires if known else None,
        requested=_requested(installer, requested is not None and requested.problem is None),
        installer=installer,
        origin=origin,
        editable=editable,
        tags=tags,
        build=build,
        files=compared.files,
        problems=one.problems + odd + compared.problems,
        uncompared=compared.reason,
        edited_by=compared.layer,
    )


def _requested(installer: str | None, marked: bool) -> bool | None:
    """What the file REQUESTED (PEP 376), or its absence, says."""
    if installer == "uv":  # which marks whatever it installs (astral-sh/uv#13278)
        return None
    if marked:
        return True
    return False if installer == "pip" else None


def _egg(path: str, directory: str | None, evidence: Evidence) -> Distribution:
    """An egg-info directory or file, or the EGG-INFO of an egg."""
    name = path.rpartition("/")[2]
    stem = shown(path.rpartition("/")[0].rpartition("/")[2] if name == "EGG-INFO" else name)
    holder = f"{directory}/EGG-INFO" if name == "EGG-INFO" else directory
    known, problems, unread = _metadata(f"{holder}/PKG-INFO" if holder else path, evidence)
    one = _named(path, re.sub(r"\.egg(-info)?$", "", stem, flags=re.IGNORECASE), known, problems, unread)
    if known is None:
        return replace(one, requires=None)
    return _requiring(one, known, evidence.content(f"{holder}/requires.txt") if holder else None)


def _requiring(one: Distribution, known: metadata.Metadata, requires_txt: bytes | None) -> Distribution:
    """What an egg requires: PKG-INFO of old says nothing of it, and requires.txt stands beside it."""
    if known.requires or requires_txt is None:
        return replace(one, requires=known.requires)
    requires, extras = metadata.parse_requires_txt(requires_txt)
    return replace(one, requires=requires, extras=tuple(sorted({*known.extras, *extras})))


def _named(
    path: str, stem: str, known: metadata.Metadata | None, problems: tuple[str, ...], unread: str | None
) -> Distribution:
    name, version = metadata.name_from_directory(stem)
    if known is None:
        return Distribution(
            name=name,
            version=version,
            metadata_path=path,
            problems=(*problems, f"metadata unreadable ({unread}): name and version are from the directory's name"),
            unread=unread,
        )
    notes = list(problems)
    if known.name is None:
        notes.append("metadata states no name: it is from the directory's name")
    elif canonicalize_name(known.name) != canonicalize_name(name):
        notes.append(f"metadata says {known.name}, the directory's name says {name}")
    if known.version is None:
        notes.append("metadata states no version: it is from the directory's name")
    return Distribution(
        name=known.name or name,
        version=known.version or version,
        metadata_path=path,
        extras=known.extras,
        requires_python=known.requires_python,
        problems=tuple(notes),
        unread=unread,
    )


def _metadata(path: str, evidence: Evidence) -> tuple[metadata.Metadata | None, tuple[str, ...], str | None]:
    file = evidence.files.get(path)
    content = evidence.content(path)
    if file is None or content is None:
        return None, (), in_words(file.problem if file else None)
    known = metadata.parse_metadata(content)
    if known.name is None and known.version is None:
        return None, known.problems, "states neither name nor version"
    if file.cut:
        return known, known.problems, f"longer than the limit of {_HEADER_LIMIT} bytes"
    return known, known.problems, None


def _origin(path: str, installer: str | None, evidence: Evidence) -> tuple[str, bool, tuple[str, ...]]:
    """Origin, editable, problems."""
    content = evidence.content(f"{path}/direct_url.json")
    if content is not None:
        try:
            origin, editable = metadata.parse_direct_url(content)
            # Once more: in the file a credential may be written in escapes that no pattern knows.
            origin = redact.scrubbed(origin)
        except (ValueError, RecursionError) as error:
            return "unreadable", False, (f"direct_url.json is malformed ({str(error)[:80]})",)
        return origin, editable, ()
    # PEP 610: pip and uv write direct_url.json for everything that did not come from an index.
    return ("index" if installer in {"pip", "uv"} else "unrecorded"), False, ()


def _line(raw: bytes | None) -> str | None:
    if raw is None or not raw.strip():
        return None
    return raw.splitlines()[0].strip().decode("utf-8", "replace") or None
