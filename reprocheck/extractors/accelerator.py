"""The accelerator stack: copies of CUDA libraries, frameworks and what they load, and libraries that are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from reprocheck.extractors import cuda, frameworks, ld_cache, lost_libraries, shared_objects
from reprocheck.extractors.base import Facts, Traces, stated_since
from reprocheck.extractors.cuda import Copies
from reprocheck.extractors.frameworks import build_of
from reprocheck.extractors.loads import predict
from reprocheck.extractors.processes import Processes
from reprocheck.extractors.shared_objects import SharedObjects
from reprocheck.model.evidence import AnyWant, Evidence, Read, shown
from reprocheck.model.snapshot import Accelerator, Coverage, FactClass, Framework, Gap, Loaded, Note

CLASS: FactClass = "accelerator"
VERSION = 1

_UNREADABLE = {
    "EACCES": "can't be read (EACCES)",
    "EFBIG": "what it tells the dynamic linker lies too far apart to be held while its layer comes by",
    "EIO": "can't be read (EIO)",
    "ENOBUFS": "no room for it beside what else is kept of compressed layers",
    "EXDEV": "mounted from elsewhere",
    "ENODATA": "stored as a sparse file, which is not read",
}
"""Problems of a file's bytes, not of what they mean."""


def wants(evidence: Evidence) -> Sequence[AnyWant]:
    """First the shared objects; then what tells their versions, and where the dynamic linker would look."""
    objects = SharedObjects(evidence)
    processes = Processes(objects)
    known = [
        predict(one, build_of(one, evidence).built_with or {}, processes, Copies(objects))
        for one in frameworks.find(objects)
    ]
    return [
        *_cache_versions(known, evidence),
        *shared_objects.wants(),
        *shared_objects.owners_wants(objects),
        *cuda.wants(evidence),
        *frameworks.wants(objects),
        *processes.wants(),
        *lost_libraries.wants(objects),
    ]


def _cache_versions(loads: Iterable[Sequence[Loaded]], evidence: Evidence) -> Iterator[Read]:
    """The cache of the dynamic linker as it was in each layer, where something is found by it."""
    file = evidence.files.get(ld_cache.PATH)
    if file is not None and file.layer != file.since and any(_is_by_cache(one) for each in loads for one in each):
        yield Read(at=ld_cache.PATH, versions=True)


def _is_by_cache(one: Loaded) -> bool:
    return one.reason.endswith("ld.so.cache")


def _trace_cache(loads: Iterable[Loaded], evidence: Evidence, traces: Traces) -> None:
    """Take down the layer from which on the cache leads to each library that is found by it."""
    file = evidence.files.get(ld_cache.PATH)
    for one in loads:
        if file is not None and _is_by_cache(one):
            traces.of(CLASS, f"ld.so.cache {one.name}", stated_since(file, partial(ld_cache.paths_of, name=one.name)))


def read(evidence: Evidence) -> Facts:
    """The copies, the frameworks and what is missing."""
    where = evidence.document.header.target
    if evidence.walk is None:
        gap = Gap(what=CLASS, where=where, reason="its files were not searched")
        return Facts(coverage=Coverage(state="not-read"), gaps=(gap,))
    if shared_objects.GROUP not in evidence.searches:
        # What nobody asked for is no gap: the evidence is of an earlier version, and comparisons say so.
        return Facts(coverage=Coverage(state="not-read"))
    objects = SharedObjects(evidence)
    copies, traces = Copies(objects), Traces()
    remarks = [*cuda.unread(evidence), *_searched(evidence), *_unread(evidence)]
    libraries = copies.libraries(traces)
    built = []
    for one in frameworks.find(objects):
        build = build_of(one, evidence)
        environment = one.home.place.id
        loads = predict(one, build.built_with or {}, Processes(objects), copies)
        _trace_cache(loads, evidence, traces)
        if build.problem is not None:
            what = f"accelerator.frameworks[{environment}/{one.name}].built_with"
            remarks.append(Gap(what=what, where=shown(one.site), reason=build.problem))
        built.append(
            Framework(
                name=one.name,
                version=one.version,
                environment=environment,
                built_with=build.built_with,
                gpu_targets=build.targets,
                loads=loads,
            )
        )
    missing = tuple(shared_objects.missing(objects))
    for name, layer in lost_libraries.removed(objects):
        traces.gone(CLASS, name, layer)
    gaps = tuple(remark for remark in remarks if isinstance(remark, Gap))
    return Facts(
        coverage=Coverage(state="partial" if gaps else "complete"),
        fields={"accelerator": Accelerator(cuda=libraries, frameworks=tuple(built), missing=missing)},
        traces=traces,
        gaps=gaps,
        notes=tuple(remark for remark in remarks if isinstance(remark, Note)),
    )


def _searched(evidence: Evidence) -> Iterator[Gap | Note]:
    search = evidence.searches[shared_objects.GROUP]
    if search.reason:
        where = evidence.document.header.target
        yield Gap(what=CLASS, where=where, reason=f"the search for shared objects {search.reason}")
    for path in search.denied:
        yield Gap(what=CLASS, where=shown(path), reason="can't be entered, and is part of a site directory")


def _unread(evidence: Evidence) -> Iterator[Gap | Note]:
    """Shared objects of site directories whose bytes can't be had; the CUDA family is told of elsewhere."""
    for path in evidence.found.get(shared_objects.GROUP, ()):
        told = evidence.elf.get(path)
        if told is None or told.problem not in _UNREADABLE or cuda.component_of(path) is not None:
            continue
        yield Gap(what=CLASS, where=shown(path), reason=_UNREADABLE[told.problem])
