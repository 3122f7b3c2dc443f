"""The operating system, as the target's files say: os-release, C library, architecture, locale."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

import msgspec

from reprocheck.extractors.base import Facts, Traces
from reprocheck.extractors.configuration import configured_variables
from reprocheck.extractors.databases import history
from reprocheck.model.evidence import AnyWant, Evidence, Interpreter, Read
from reprocheck.model.snapshot import Coverage, FactClass, Gap, Libc, OsRelease, System

CLASS: FactClass = "system"
VERSION = 1

_FILES = ("/etc/os-release", "/usr/lib/os-release")
"""In this order (os-release(5))."""
_OS: history.Key = ("os", "")
"""A system has one release, as a database might have one package."""
_MUSL = re.compile(rb"\x00(\d+\.\d+\.\d+)\x00")
"""The version that musl's loader carries and prints."""
_MACHINES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "386": "i686",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "arm": "armv7l",
}
"""Names of the OCI image specification (Go's ``GOARCH``) as ``uname -m`` has them."""


def wants(evidence: Evidence) -> Sequence[AnyWant]:  # noqa: ARG001 - the shape of an extractor
    """The release files, an interpreter that knows its C library, and the places of musl's loader."""
    return [
        *(Read(at=path, limit=1 << 16, versions=True) for path in _FILES),
        Interpreter(at="@self"),
        Read(at="/lib/ld-musl-*"),
    ]


def read(evidence: Evidence) -> Facts:
    """What is known of the system, and a gap for each thing that is not."""
    system = System(
        os=os_release(evidence),
        libc=_libc(evidence),
        architecture=_architecture(evidence),
        locale=_locale(evidence),
    )
    target = evidence.document.header.target
    reasons = {
        "os": (system.os, _FILES[0], "no os-release file could be read"),
        "libc": (system.libc, target, "neither a Python nor musl's loader says which C library this is"),
        "architecture": (system.architecture, target, "neither the engine nor a Python says"),
    }
    gaps = tuple(
        Gap(what=f"{CLASS}.{name}", where=where, reason=reason)
        for name, (value, where, reason) in reasons.items()
        if value is None
    )
    return Facts(
        coverage=Coverage(state="partial" if gaps else "complete"),
        fields={"system": system},
        traces=_traces(evidence),
        gaps=gaps,
    )


def parse_os_release(raw: bytes) -> dict[str, str]:
    """Variables of an os-release file; a line that is no assignment is passed over, as the manual asks."""
    values = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            continue
        values[name] = " ".join(words)
    return values


def os_release(evidence: Evidence) -> OsRelease | None:
    """What the first release file says; ``None`` where there is none."""
    return next((_release(raw) for path in _FILES if (raw := evidence.content(path)) is not None), None)


def _release(raw: bytes) -> OsRelease:
    values = parse_os_release(raw)
    # Defaults as the manual gives them.
    return OsRelease(
        id=values.get("ID", "linux"),
        version_id=values.get("VERSION_ID", ""),
        pretty_name=values.get("PRETTY_NAME", "Linux"),
    )


def _traces(evidence: Evidence) -> Traces:
    """Which layer first said what the release files say: they are replaced in place."""
    traces = Traces()
    states: list[history.State] = []
    # The second one counts for as long as there was no first one.
    for path in reversed(_FILES):
        told = list(_states(path, evidence))
        if told:
            states = [one for one in states if one.layer < told[0].layer] + told
    since = history.brought(states).get(_OS)
    file = next((evidence.files[path] for path in _FILES if evidence.content(path) is not None), None)
    if file is not None and since is not None:
        traces.of(CLASS, "os", msgspec.structs.replace(file, since=since))
    return traces


def _states(path: str, evidence: Evidence) -> Iterator[history.State]:
    """What a release file said, layer by layer."""
    file, raw = evidence.files.get(path), evidence.content(path)
    if file is None or raw is None or file.layer is None:
        return
    for version in file.versions:
        yield _state(version.layer, None if version.content is None else version.content.encode("latin-1"))
    yield _state(file.layer, raw)


def _state(layer: int, raw: bytes | None) -> history.State:
    """The one release that a file states; ``None``: it is not known what was in it."""
    if raw is None:
        return history.State(layer, {}, whole=False)
    return history.State(layer, {_OS: frozenset({repr(_release(raw))})}, whole=True)


def _libc(evidence: Evidence) -> Libc | None:
    for _, told in sorted(evidence.interpreters.items()):
        if told.facts is not None and told.facts.libc:
            name, _, version = told.facts.libc.partition(" ")
            return Libc(name=name, version=version)
    for path in evidence.matching("/lib", "ld-musl-*"):
        # The loader is the library; run without arguments it would say its version, which is not done here.
        found = _MUSL.search(evidence.content(path) or b"")
        return Libc(name="musl", version=found[1].decode("ascii") if found else "")
    return None


def _architecture(evidence: Evidence) -> str | None:
    if evidence.engine is not None and evidence.engine.platform:
        word = evidence.engine.platform.split("/")[1:2]
        if word:
            return _MACHINES.get(word[0], word[0])
    if evidence.process:
        return evidence.process.machine
    for _, told in sorted(evidence.interpreters.items()):
        if told.facts is not None:
            return told.facts.markers.get("platform_machine")
    return None


def _locale(evidence: Evidence) -> str:
    variables = configured_variables(evidence)
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if variables.get(name):
            return variables[name] or "C"
    return "C"
