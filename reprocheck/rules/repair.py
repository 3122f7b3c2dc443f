"""The way back to the baseline, where it breaks nothing else.

Every repair is checked against the requirements of what is installed now; where the baseline's version can't
stand beside them, the reason is given instead of a command. No version is invented: only the baseline's own
versions are ever named in a command.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from reprocheck.model.report import Fix
from reprocheck.model.text import printable
from reprocheck.versions import allows, parse_version, requires_python_holds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from reprocheck.graph import Edge, Unjudged
    from reprocheck.model.snapshot import Package
    from reprocheck.rules.base import EnvironmentPair

MOST = 30
"""Packages of one command; who has to put back more had better start again."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""A project's name (core metadata specification, "Name")."""
_URL = re.compile(r"(?:(?:git|hg|bzr|svn)\+)?https?://[!-~]+")
"""What pip takes after ``name @``: no space, no control, nothing local to the baseline's machine."""


def restore(pair: EnvironmentPair, name: str) -> Fix | None:
    """Put a package back to the baseline, with whatever else has to go back with it.

    ``None``: the baseline has no such package, or its name or version can't be written safely.
    """
    if name not in pair.repairs.fixes:
        package = pair.graph_before.packages.get(name)
        known = package is not None and package.version and _is_writable(package)
        pair.repairs.fixes[name] = _restore(pair, package) if package is not None and known else None
    return pair.repairs.fixes[name]


def _restore(pair: EnvironmentPair, package: Package) -> Fix:
    wanted = {package.name: package}
    fresh = [package]
    while True:
        more: dict[str, Package] = {}
        blocked: list[Edge] = []
        for broken, unjudged in _broken(pair, wanted, fresh):
            if unjudged:
                item = unjudged[0]
                summary = f"{_what(package)} can't be proposed: {item.by} requires {item.requirement}: {item.reason}"
                return Fix(summary=summary)
            for edge in broken:
                other = _to_restore(pair, edge, wanted)
                if other is None:
                    blocked.append(edge)
                else:
                    more[other.name] = other
        if blocked:
            return _refusal(pair, package, wanted, blocked)
        if not more and (not fresh or wanted.keys() == {package.name}):
            return _install(pair, package, wanted)
        wanted |= more
        fresh = list(more.values())
        if len(wanted) > MOST or not pair.repairs.too_many.isdisjoint(more):
            pair.repairs.too_many.add(package.name)
            return Fix(summary=_too_many(package))


def _too_many(package: Package) -> str:
    return (
        f"{_what(package)} can't be put back alone: {MOST} or more other packages would have to go back with it; "
        "install the baseline as a whole"
    )


def _broken(
    pair: EnvironmentPair, wanted: Mapping[str, Package], fresh: Collection[Package]
) -> Iterator[tuple[tuple[Edge, ...], tuple[Unjudged, ...]]]:
    """What would not hold if the wanted packages went back; of those that were looked at already, nothing again.

    What one package alone breaks is worked out once for all repairs that it is part of. Whether those that go back
    hold together is asked when there are none to look at any more, and may bring in more.
    """
    if not fresh:
        yield pair.graph_after.broken_by(wanted)
    for one in fresh:
        if one.name not in pair.repairs.alone:
            pair.repairs.alone[one.name] = pair.graph_after.broken_by({one.name: one})
        broken, unjudged = pair.repairs.alone[one.name]
        yield tuple(edge for edge in broken if not _is_undone(edge, one, wanted)), unjudged


def _is_undone(edge: Edge, package: Package, wanted: Mapping[str, Package]) -> bool:
    """Whether a requirement that a package alone would break is another one as soon as all go back."""
    return edge.by != edge.to and edge.by in wanted and (edge.by != package.name or edge.to in wanted)


def reinstall(pair: EnvironmentPair, name: str) -> Fix | None:
    """Put the baseline's copy of a package back, although the version is the same."""
    package = pair.graph_before.packages.get(name)
    if package is None or not package.version or not _is_writable(package):
        return None
    token = _token(package)
    summary = f"install {_what(package)} again: {_source(package)}"
    if token is None or _is_conda(pair, (name,)):
        return Fix(summary=summary)
    return Fix(summary=summary, commands=_pip(pair, "--force-reinstall", "--no-deps", token))


def _to_restore(pair: EnvironmentPair, edge: Edge, wanted: Mapping[str, Package]) -> Package | None:
    """The package that has to go back as well, so that a requirement holds; ``None``: there is none."""
    other = edge.to if edge.by in wanted else edge.by
    if other in wanted:
        return None
    if other not in pair.repairs.copies:
        pair.repairs.copies[other] = _restorable(pair, other)
    return pair.repairs.copies[other]


def _restorable(pair: EnvironmentPair, name: str) -> Package | None:
    package = pair.graph_before.packages.get(name)
    if package is None or not package.version or not _is_writable(package):
        return None
    now = pair.graph_after.packages.get(name)
    return None if now is not None and now.version == package.version else package


def _install(pair: EnvironmentPair, package: Package, wanted: Mapping[str, Package]) -> Fix:
    python = pair.after.python
    for other in wanted.values():
        holds = requires_python_holds(other.requires_python, python.version if python is not None else "")
        if not holds:
            reason = f"{_what(other)} requires Python {other.requires_python}, which this interpreter does not meet"
            return Fix(summary=f"{_what(package)} can't be put back: {printable(reason)}")
    together = sorted(name for name in wanted if name != package.name)
    summary = f"put {_what(package)} back"
    if together:
        summary += f", together with {', '.join(_what(wanted[name]) for name in together)}"
    tokens = [_token(wanted[name]) for name in (package.name, *together)]
    known = [token for token in tokens if token is not None]
    if len(known) < len(tokens):
        unknown = next(wanted[name] for name in (package.name, *together) if _token(wanted[name]) is None)
        return Fix(summary=f"{summary}; no command, because {_source(unknown)}")
    if _is_conda(pair, wanted):
        return Fix(summary=f"{summary}, with conda, which installed it")
    if any("+" in other.version for other in wanted.values()):
        summary += "; PyPI carries no local versions: name the index that it came from"
    # What else it requires is among them already.
    forced = ("--force-reinstall", "--no-deps") if any(_is_satisfied(pair, other) for other in wanted.values()) else ()
    return Fix(summary=summary, commands=_pip(pair, *forced, *known))


def _is_satisfied(pair: EnvironmentPair, package: Package) -> bool:
    """Whether pip would take what is installed for this version: another local label, or another spelling."""
    now = pair.graph_after.packages.get(package.name)
    return now is not None and allows(f"=={package.version}", now.version) is True


def _refusal(pair: EnvironmentPair, package: Package, wanted: Mapping[str, Package], blocked: list[Edge]) -> Fix:
    """Why the baseline's version can't simply come back, and what would make it possible."""
    new = sorted({edge.by for edge in blocked if edge.to == package.name and edge.by in pair.added})
    says = "; ".join(dict.fromkeys(_says(pair, edge, wanted) for edge in blocked))
    if new and all(edge.to == package.name and edge.by in new for edge in blocked):
        which = " and ".join(f"{'an' if name[0] in 'aeiou' else 'a'} {name}" for name in new)
        them, allow = ("it", "allows") if len(new) == 1 else ("them", "allow")
        pin = f"{package.name}=={package.version}"
        return Fix(
            summary=f"find {which} that {allow} {_what(package)}, with {pin} beside {them}",
            avoid=f"a later `pip install {pin}`: {says}",
        )
    return Fix(summary=f"{_what(package)} can't be put back beside what is installed: {says}")


def _says(pair: EnvironmentPair, edge: Edge, wanted: Mapping[str, Package]) -> str:
    stands = wanted.get(edge.by) or pair.graph_after.packages[edge.by]
    return printable(f"{edge.by} {stands.version} requires {edge.text}")


def _what(package: Package) -> str:
    return f"{package.name} {package.version}"


def _source(package: Package) -> str:
    """Where the baseline's copy came from, as a sentence."""
    match package.origin:
        case "index":
            return f"{package.name} came from the index"
        case "unrecorded" | "unreadable":
            return f"how {package.name} was installed is not recorded"
        case url:
            return f"{package.name} came from {printable(url)}"


def _is_writable(package: Package) -> bool:
    """Whether name and version are what the specifications allow: nothing else gets near a command."""
    return _NAME.fullmatch(package.name) is not None and (
        parse_version(package.version) is not None and package.version == package.version.strip()
    )


def _token(package: Package) -> str | None:
    """What pip takes for exactly this copy; ``None``: nothing that would surely give it back."""
    if package.editable or not _is_writable(package):
        return None
    if package.origin == "index":
        return f"{package.name}=={package.version}"
    if _URL.fullmatch(package.origin) and "***" not in package.origin:
        return f"{package.name} @ {package.origin}"
    return None


def _is_conda(pair: EnvironmentPair, names: Mapping[str, Package] | tuple[str, ...]) -> bool:
    copies = [graph.packages.get(name) for name in names for graph in (pair.graph_before, pair.graph_after)]
    return any(copy is not None and copy.installer == "conda" for copy in copies)


def _pip(pair: EnvironmentPair, *arguments: str) -> tuple[str, ...]:
    quoted = " ".join(map(shlex.quote, arguments))
    if pair.after.on_path and not pair.named:
        return (f"pip install {quoted}",)
    executable = pair.after.python.executable if pair.after.python is not None else ""
    if not executable or printable(executable) != executable:
        return ()
    return (f"{shlex.quote(executable)} -m pip install {quoted}",)
