"""Copies of the libraries of the CUDA family: what each is, its version, who brought it."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from reprocheck.extractors.base import Traces, in_words
from reprocheck.extractors.discovery import CUDA_FAMILY
from reprocheck.extractors.owners import lists
from reprocheck.extractors.shared_objects import SharedObjects
from reprocheck.model.evidence import AnyWant, Elf, ElfEvidence, Evidence, List, Read, literal, shown
from reprocheck.model.snapshot import CudaLibrary, Gap, Note

Source = Literal["wheel", "package", "header", "version file", "file name", "soname", "none"]

_NAME = re.compile(CUDA_FAMILY)
_DRIVER = "cuda"
"""Its library belongs to the machine, but for the one of the package cuda-compat."""
_DPKG_LISTS = ("cublas", "cud", "cufft", "cupti", "curand", "cusolver", "cusparse", "nccl", "nvinfer", "nvjit", "nvrtc")
_PARENTS = 4
"""A toolkit's version file stands above ``lib64`` or ``targets/x86_64-linux/lib``."""
_EXACT = 3
"""Numbers of a file name that tell a version as a whole."""
_SMALL = 1 << 20

_HEADERS: dict[str, tuple[str, tuple[str, str, str]]] = {
    "cudnn": ("cudnn_version.h", ("CUDNN_MAJOR", "CUDNN_MINOR", "CUDNN_PATCHLEVEL")),
    "nccl": ("nccl.h", ("NCCL_MAJOR", "NCCL_MINOR", "NCCL_PATCH")),
    "nvinfer": ("NvInferVersion.h", ("NV_TENSORRT_MAJOR", "NV_TENSORRT_MINOR", "NV_TENSORRT_PATCH")),
}
_RUNTIME_HEADER = ("cuda_runtime_api.h", re.compile(rb"^#define\s+CUDART_VERSION[ \t]+(\d{4,6})\b", re.MULTILINE))
_JSON_KEYS = {
    "cublas": "libcublas",
    "cublasLt": "libcublas",
    "cudart": "cuda_cudart",
    "cufft": "libcufft",
    "cupti": "cuda_cupti",
    "curand": "libcurand",
    "cusolver": "libcusolver",
    "cusparse": "libcusparse",
    "nvJitLink": "libnvjitlink",
    "nvrtc": "cuda_nvrtc",
}
"""Keys of a toolkit's version.json."""
_VERSION_TEXT = re.compile(rb"CUDA Version (\d[\d.]*)")


class Copy(Struct, frozen=True, kw_only=True):
    """One file of the family, before its version is known."""

    component: str
    name: str
    """The path that it was found at."""
    told: ElfEvidence

    @property
    def path(self) -> str:
        """Where it is, links resolved."""
        return self.told.real


def component_of(path: str) -> str | None:
    """The component that a file name stands for."""
    directory, _, name = path.rpartition("/")
    found = _NAME.fullmatch(name)
    if found is None or (found["name"] == _DRIVER and posixpath.basename(directory) != "compat"):
        return None
    return found["name"]


def _version_in(name: str) -> str:
    found = _NAME.fullmatch(name)
    return (found["version"] if found else None) or ""


def _is_exact(version: str) -> bool:
    return version.count(".") >= _EXACT - 1


def wants(evidence: Evidence) -> Iterator[AnyWant]:
    """The files of the family; then what may tell the version and the owner of those that are there."""
    yield Elf(at="@cuda")
    found = copies(evidence)
    if not found:
        return
    yield from (Elf(at=literal(copy.name), changed=True) for copy in found if _is_unsure(copy))
    yield from (List(at=literal(directory)) for directory in _layered(found))
    for copy in found:
        yield from (Read(at=literal(path), limit=_SMALL) for path in (*_headers(copy), *_version_files(copy)))
    for part in _DPKG_LISTS:
        yield lists(part)


def _layered(found: Iterable[Copy]) -> list[str]:
    """The directories of copies whose layers are known: of them it can be told what was removed."""
    return sorted({posixpath.dirname(copy.path) for copy in found if copy.told.layer is not None})


def copies(evidence: Evidence) -> list[Copy]:
    """Every file of the family, once however many names lead to it; link-time stubs are none."""
    found: dict[str, Copy] = {}
    for path, told in evidence.elf.items():
        component = component_of(told.real) or component_of(path)
        if component is not None and told.problem is None and "/stubs/" not in told.real:
            found.setdefault(told.real, Copy(component=component, name=path, told=told))
    return sorted(found.values(), key=lambda copy: (copy.component, copy.path))


def unread(evidence: Evidence) -> Iterator[Gap | Note]:
    """Files with a name of the family that could not be read: a gap; that are no libraries at all: a note."""
    for path, told in sorted(evidence.elf.items()):
        if told.problem in {None, "ENOENT", "ENOTDIR", "not a regular file"} or component_of(path) is None:
            continue
        if told.problem == "not a valid ELF file: bad magic number":
            yield Note(what="accelerator.cuda", where=shown(path), reason="not a library, whatever its name says")
        else:
            yield Gap(what="accelerator.cuda", where=shown(path), reason=in_words(told.problem))


def _is_unsure(copy: Copy) -> bool:
    """Whether several layers wrote the file and its name does not tell the version: it may have been another."""
    return copy.told.since != copy.told.layer and not _is_exact(_version_in(posixpath.basename(copy.path)))


def _of_version(copy: Copy) -> ElfEvidence | None:
    """The file, there since the layer that brought its version; ``None``: it is not known which did."""
    told = copy.told
    if not _is_unsure(copy):
        return told
    if told.since is None or told.changed is None:
        return None
    return msgspec.structs.replace(told, since=max(told.since, told.changed))


class Copies:
    """The copies with what is known of them."""

    def __init__(self, objects: SharedObjects) -> None:
        self._objects = objects
        self._evidence = objects.evidence

    def libraries(self, traces: Traces) -> tuple[CudaLibrary, ...]:
        """By component and path; the layer of each is taken down."""
        found = []
        for copy in copies(self._evidence):
            owner, packaged = self._owner(copy)
            version, source = self._version(copy, packaged)
            path, environment = self.place_of(copy.path)
            one = CudaLibrary(
                component=copy.component,
                version=version,
                path=path,
                source=source,
                owner=owner,
                environment=environment,
            )
            # Two environments may have one path below their prefixes.
            traces.of(environment or "accelerator", f"{copy.component} {path}", _of_version(copy))
            found.append(one)
        self._trace_removed(traces)
        return tuple(sorted(found, key=lambda one: (one.component, one.path, one.environment or "")))

    def _trace_removed(self, traces: Traces) -> None:
        for directory in _layered(copies(self._evidence)):
            listing = self._evidence.listings.get(directory)
            for name, layer in listing.removed.items() if listing else ():
                component = component_of(f"{directory}/{name}")
                if component is not None:
                    path, environment = self.place_of(f"{directory}/{name}")
                    traces.gone(environment or "accelerator", f"{component} {path}", layer)

    def place_of(self, path: str) -> tuple[str, str | None]:
        """A path as the snapshot shows it, and the environment that it is of."""
        found = self._objects.home_of(path)
        place = found[0].place if found else None
        if place is None:
            homes = (home.place for home in self._objects.homes)
            own = (one for one in homes if one.kind != "system" and path.startswith(one.prefix + "/"))
            place = max(own, key=lambda one: len(one.prefix), default=None)
        if place is None:
            return shown(path), None
        return place.rooted(path, self._evidence.home), place.id

    def _owner(self, copy: Copy) -> tuple[str, tuple[str, Source] | None]:
        """Who recorded a file; and the version that this gives, if the package is the library's own."""
        owner = self._objects.owners.of(copy.name)
        if owner is None:
            return "none", None
        version = owner.version
        if owner.manager == "python":
            own = owner.name.startswith(("nvidia-", "tensorrt"))
            return str(owner), (version, "wheel") if own else None
        if owner.manager == "dpkg":
            # Epoch and revision are the packager's (deb-version(7)).
            upstream = version.partition(":")[2] or version
            version = upstream.rpartition("-")[0] or upstream
        return str(owner), (version, "package")

    def _version(self, copy: Copy, packaged: tuple[str, Source] | None) -> tuple[str | None, Source]:
        """The most exact that tells it."""
        by_name = _version_in(posixpath.basename(copy.path))
        if _is_exact(by_name):
            return by_name, "file name"
        if packaged is not None and packaged[0]:
            return packaged
        for path in _headers(copy):
            version = header_version(copy.component, self._evidence.content(path) or b"")
            if version:
                return version, "header"
        for path in _version_files(copy):
            version = file_version(copy.component, self._evidence.content(path) or b"")
            if version:
                return version, "version file"
        by_soname = _version_in(copy.told.soname or "")
        if by_soname:
            return by_soname, "soname"
        return (by_name, "file name") if by_name else (None, "none")


def _headers(copy: Copy) -> list[str]:
    """Where a header of the copy would be: beside its directory, and in the compiler's own."""
    name = _RUNTIME_HEADER[0] if copy.component == "cudart" else _HEADERS.get(copy.component, ("",))[0]
    if not name:
        return []
    directory = posixpath.dirname(copy.path)
    beside = posixpath.normpath(f"{directory}/../include")
    places = [beside]
    if posixpath.dirname(directory) in {"/usr/lib", "/lib"}:  # multiarch
        places = [f"/usr/include/{posixpath.basename(directory)}", "/usr/include"]
    return [f"{place}/{name}" for place in places]


def _version_files(copy: Copy) -> list[str]:
    """The version files of the toolkit that the copy lies in."""
    directories, directory = [], posixpath.dirname(copy.path)
    for _ in range(_PARENTS):
        directories.append(directory)
        directory = posixpath.dirname(directory)
    inside = next((one for one in directories if posixpath.basename(one).startswith("cuda")), None)
    return [f"{inside}/version.json", f"{inside}/version.txt"] if inside and copy.component in _JSON_KEYS else []


def header_version(component: str, raw: bytes) -> str | None:
    """The version that a header defines for the preprocessor."""
    if component == "cudart":
        found = _RUNTIME_HEADER[1].search(raw)
        # Thousands are the major version, tens the minor one (CUDA Runtime API, "Version Management").
        return f"{int(found[1]) // 1000}.{int(found[1]) % 1000 // 10}" if found else None
    numbers = []
    for name in _HEADERS[component][1]:
        found = re.search(rb"^[ \t]*#[ \t]*define[ \t]+%s[ \t]+(\d{1,9})\b" % name.encode("ascii"), raw, re.MULTILINE)
        if found is None:
            return None
        numbers.append(found[1].decode("ascii"))
    return ".".join(numbers)


def file_version(component: str, raw: bytes) -> str | None:
    """The version in a toolkit's version.json, or of the toolkit in its version.txt."""
    found = _VERSION_TEXT.match(raw)
    if found:
        return found[1].decode("ascii") if component == "cudart" else None
    try:
        told = json.loads(raw)
        version = told[_JSON_KEYS[component]]["version"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return version if isinstance(version, str) and re.fullmatch(r"\d[\d.]{0,40}", version) else None
