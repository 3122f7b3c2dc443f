"""Which CUDA libraries a framework would load: its own way of asking, followed through the dynamic linker."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from reprocheck.extractors.cuda import Copies, component_of
from reprocheck.extractors.frameworks import Found
from reprocheck.extractors.loader import Loaded as InProcess
from reprocheck.extractors.loader import Process, Unknown
from reprocheck.extractors.processes import Processes
from reprocheck.model.evidence import shown
from reprocheck.model.snapshot import Loaded

_ASKED = ("cudart", "cublas", "cublasLt", "cufft", "curand", "cusolver", "cusparse")
_VERSIONS: dict[str, tuple[str, ...]] = {
    "11": ("11.0", "11", "11", "10", "10", "11", "11"),
    "12": ("12", "12", "12", "11", "10", "11", "12"),
    "13": ("13", "13", "13", "12", "10", "12", "12"),
}
"""In the sonames of these, by CUDA's major version (CUDA Toolkit release notes)."""

_HOLDER = "libtensorflow_framework.so.2"
"""TensorFlow's library with ``LoadDynamicLibrary``, by which the others open what they need."""
_TENSORFLOW = ("tensorflow/python/_pywrap_tensorflow_internal.so",)
_TORCH_DEPENDENCIES = "torch/lib/libtorch_global_deps.so"
_PRELOADED = (
    ("cublas", "cublas"),
    ("cudnn", "cudnn"),
    ("cuda_nvrtc", "nvrtc"),
    ("cuda_runtime", "cudart"),
    ("cuda_cupti", "cupti"),
    ("cufft", "cufft"),
    ("curand", "curand"),
    ("nvjitlink", "nvJitLink"),
    ("cusparse", "cusparse"),
    ("cusolver", "cusolver"),
    ("nccl", "nccl"),
)
"""Directories of NVIDIA's wheels and libraries in them, in the order in which PyTorch loads them by path."""
_PRELOADED_FIRST = ("cublas", "cublasLt")
"""Later versions put this one in front."""


def predict(one: Found, built_with: Mapping[str, str], processes: Processes, copies: Copies) -> tuple[Loaded, ...]:
    """What a framework loads of the CUDA family, by component."""
    if "cuda" not in built_with:
        return ()
    ways = [_PRELOADED, (_PRELOADED_FIRST, *_PRELOADED)] if one.name == "torch" else [()]
    answers = [_follow(one, built_with, processes, copies, way) for way in ways]
    agreed = {name for name in answers[0] if all(answer.get(name) == answers[0][name] for answer in answers)}
    told = [
        answers[0][name]
        if name in agreed
        else _unknown(answers[0][name].component, name, "it hangs on the version of PyTorch")
        for name in answers[0]
    ]
    return tuple(sorted(told, key=lambda loaded: (loaded.component, loaded.name)))


def _follow(
    one: Found,
    built_with: Mapping[str, str],
    processes: Processes,
    copies: Copies,
    preloaded: Sequence[tuple[str, str]],
) -> dict[str, Loaded]:
    names = dict(_asked(built_with))
    try:
        process = processes.start(one.home.place)
    except Unknown as unknown:
        return {name: _unknown(component, name, str(unknown)) for name, component in names.items()}
    if one.name == "torch":
        answers = _torch(one, process, processes, copies, preloaded)
    else:
        answers = _by_name(_openers(one, built_with["cuda"]), names, process, copies)
    if processes.unknown:
        reason = f"{shown(next(iter(processes.unknown)))} was not looked at"
        return {name: _unknown(told.component, name, reason) for name, told in answers.items()}
    return answers


def _asked(built_with: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The names by which a build asks for its libraries, and what they are."""
    versions = _VERSIONS.get(built_with["cuda"].partition(".")[0], ())
    for component, version in zip(_ASKED, versions, strict=False):
        yield f"lib{component}.so.{version}", component
    cudnn = built_with.get("cudnn", "").partition(".")[0]
    if cudnn:
        yield f"libcudnn.so.{cudnn}", "cudnn"


# TensorFlow and JAX open them by name.


def _openers(one: Found, version: str) -> list[str]:
    """The libraries of a framework that may open them; the first that is there does."""
    paths: Sequence[str] = _TENSORFLOW
    if one.name == "jaxlib":
        paths = (f"jax_plugins/xla_cuda{version.partition('.')[0]}/xla_cuda_plugin.so", "jaxlib/xla_extension.so")
    return [f"{one.site}/{path}" for path in paths]


def _by_name(openers: Sequence[str], names: Mapping[str, str], process: Process, copies: Copies) -> dict[str, Loaded]:
    outcomes = [process.load(path) for path in openers]
    caller = next((outcome.loaded for outcome in outcomes if outcome.loaded), None)
    if caller is None:
        reason = f"{shown(posixpath.basename(openers[0]))} is not loaded: {shown(outcomes[0].reason)}"
        return {name: _unknown(component, name, reason) for name, component in names.items()}
    caller = next((known for known in process.objects if known.told.soname == _HOLDER), caller)
    answers = {}
    for name, component in names.items():
        outcome = process.load(name, caller)
        if outcome.loaded is not None:
            answers[name] = _found(component, name, outcome.loaded, copies)
        elif outcome.certain:
            answers[name] = Loaded(
                component=component, name=name, status="missing", path=None, reason=shown(outcome.reason)
            )
        else:
            answers[name] = _unknown(component, name, outcome.reason)
    return answers


# PyTorch's libraries need them.


def _torch(
    one: Found, process: Process, processes: Processes, copies: Copies, preloaded: Sequence[tuple[str, str]]
) -> dict[str, Loaded]:
    start = f"{one.site}/{_TORCH_DEPENDENCIES}"
    if process.load(start).loaded is None:
        for path in _wheel_libraries(one, processes, preloaded):
            process.load(path)
        process.load(start)
    for path in processes.modules(f"{one.site}/torch/_C.*so", f"{one.site}/torch/lib/libtorch_cuda.so"):
        process.load(path)
    needed = {
        name: component
        for known in process.objects
        if posixpath.dirname(known.path).startswith(f"{one.site}/torch")
        for name in known.told.needed
        if (component := component_of(name)) is not None
    }
    answers = {}
    for name, component in needed.items():
        found = next((known for known in process.objects if name in known.names or name == known.told.soname), None)
        if found is not None:
            answers[name] = _found(component, name, found, copies)
        else:
            answers[name] = _unknown(component, name, process.unknown.get(name, "nothing that asks for it is loaded"))
    return answers


def _wheel_libraries(one: Found, processes: Processes, preloaded: Sequence[tuple[str, str]]) -> Iterator[str]:
    for folder, library in preloaded:
        for site in one.home.directories:
            found = processes.modules(f"{site}/nvidia/{folder}/lib/lib{library}.so.*[0-9]")
            if found:
                yield found[0]
                break


def _found(component: str, name: str, loaded: InProcess, copies: Copies) -> Loaded:
    path = copies.place_of(loaded.told.real)[0]
    return Loaded(component=component, name=name, status="found", path=path, reason=shown(loaded.reason))


def _unknown(component: str, name: str, reason: str) -> Loaded:
    return Loaded(component=component, name=name, status="unknown", path=None, reason=shown(reason))
