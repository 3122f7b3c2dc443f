"""Which layer made a framework load another CUDA library: images compared, rule and all."""

from __future__ import annotations

import pytest

from reprocheck.attribution import attribute
from reprocheck.extractors.assemble import assemble
from reprocheck.model.evidence import EngineFacts
from reprocheck.model.snapshot import Layer, Snapshot
from tests.elf import cache, shared_object
from tests.extractors.stack import LINKER, SITE, wheel
from tests.extractors.test_frameworks import BUILD_INFO, INFO_PATH, LIBRARIES
from tests.extractors.test_os_package_layers import Files, evidence
from tests.make import findings

FRAMEWORK = f"{SITE}/tensorflow/libtensorflow_framework.so.2"
CUDNN = shared_object(soname="libcudnn.so.8")
BASE: Files = {
    "/usr/local/bin/python3.9": shared_object(interpreter=LINKER) + b"\0003.9.2\0",
    "/usr/local/bin/python3": shared_object(interpreter=LINKER) + b"\0003.9.2\0",
    "/usr/local/lib/python3.9/os.py": "",
    "/usr/local/lib/python3.9/_sysconfigdata__linux_x86_64-linux-gnu.py": "",
    "/usr/local/lib/python3.9/lib-dynload/x": "",
    LINKER: shared_object(soname="ld-linux-x86-64.so.2"),
    INFO_PATH: BUILD_INFO,
    **wheel("tensorflow", "2.9.0"),
    **LIBRARIES,
}
OLD: Files = {"/usr/lib64/libcudnn.so.8": CUDNN}
NEW: Files = {"/opt/libcudnn.so.8": CUDNN}
LATER: Files = {"/lib64/libcudnn.so.8": CUDNN}
GONE: Files = {"/usr/lib64/libcudnn.so.8": None}
OTHER: Files = {"/usr/lib64/libcudnn.so.8.1.0": CUDNN}
NOTHING: Files = {"/x": ""}
UPGRADE: Files = {
    **wheel("tensorflow", "2.9.1"),
    FRAMEWORK: shared_object(soname="libtensorflow_framework.so.2", runpath="/srv"),
    f"{SITE}/tensorflow-2.9.0.dist-info/METADATA": None,
    f"{SITE}/tensorflow-2.9.0.dist-info/RECORD": None,
}
FAR: Files = {"/far/libcudnn.so.8": CUDNN}
CACHE: Files = {"/etc/ld.so.cache": cache(("libcudnn.so.8", "/far/libcudnn.so.8"))}
OTHER_CACHE: Files = {"/etc/ld.so.cache": cache(("libx.so", "/far/libx.so"), ("libcudnn.so.8", "/far/libcudnn.so.8"))}
EMPTY_CACHE: Files = {"/etc/ld.so.cache": cache(("libx.so", "/far/libx.so"))}


def snapshot(*layers: Files, **variables: str) -> Snapshot:
    told = tuple(Layer(index=index, diff_id=f"sha256:{one}", bytes=1) for index, one in enumerate(map(id, layers)))
    engine = EngineFacts(
        image_id="sha256:0", platform="linux/amd64", variables={"PATH": "/usr/local/bin", **variables}, layers=told
    )
    return assemble(evidence(*layers, engine=engine))


def brought(below: tuple[Files, ...], above: tuple[Files, ...], **variables: str) -> int | None:
    """Index of the layer that is named for cuDNN."""
    before, after = snapshot(BASE, *below), snapshot(BASE, *below, *above, **variables)
    found = [one for one in findings(before, after, "RC703") if one.subject.name == "cudnn of tensorflow"]
    (signed,) = attribute(tuple(found), before, after)
    return signed.introduced_by.layer - 1 if signed.introduced_by else None


@pytest.mark.parametrize(
    ("below", "above", "layer"),
    [
        ((OLD,), (NOTHING, NEW, NOTHING), 3),
        ((), (NOTHING, NEW, NOTHING), 2),
        ((NEW, OLD), (NOTHING, {"/opt/libcudnn.so.8": None, **OTHER}, NOTHING), None),
        ((OTHER, OLD), (NOTHING, GONE, NOTHING), 4),
        ((OLD,), (OTHER, GONE, NOTHING), 3),
        # Where nothing is left of a directory, it is not known who removed what was in it.
        ((OLD,), (NOTHING, {**GONE, **NEW}, NOTHING), None),
        # Both in one layer, as an upgrade does it.
        ((OLD, OTHER), (NOTHING, {**GONE, **NEW}, NOTHING), 4),
        ((OLD, OTHER), (NOTHING, {**GONE, **LATER}, OTHER, NOTHING), 4),
        ((OLD, OTHER), (LATER, GONE, NOTHING), None),
        # The framework, which looks elsewhere.
        ((OLD, NEW), (NOTHING, UPGRADE, NOTHING), 4),
        ((OLD,), (NEW, {"/srv/libcudnn.so.8": CUDNN}, UPGRADE), None),
        ((NEW,), (UPGRADE, {"/srv/libcudnn.so.8": CUDNN}, NOTHING), 3),
        # The cache, by which it is found.
        ((), (FAR, CACHE, OTHER_CACHE), 2),
        ((CACHE,), (NOTHING, FAR, OTHER_CACHE), 3),
        ((FAR, EMPTY_CACHE), (NOTHING, CACHE, OTHER_CACHE), 4),
    ],
)
def test_who_made_a_framework_load_another_library(
    below: tuple[Files, ...], above: tuple[Files, ...], layer: int | None
) -> None:
    assert brought(below, above) == layer


def test_a_variable_may_have_done_it() -> None:
    variables = {"LD_LIBRARY_PATH": "/opt"}
    assert brought((OLD,), (NOTHING, NEW, NOTHING), **variables) is None


def test_a_framework_that_was_written_again_may_have_done_it() -> None:
    again = {path: content for path, content in BASE.items() if "tensorflow" in path}
    assert brought((OLD,), (NEW, again)) is None


def test_a_copy_that_was_removed_beside_others_has_the_layer_that_removed_it() -> None:
    before, after = snapshot(BASE, OLD, OTHER), snapshot(BASE, OLD, OTHER, NOTHING, GONE)
    found = findings(before, after, "RC702")
    layers = {one.subject.name: one.introduced_by for one in attribute(found, before, after)}
    removed = layers["cudnn /usr/lib64/libcudnn.so.8"]
    assert removed is not None
    assert removed.layer == 5
