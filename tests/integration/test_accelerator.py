"""Copies of cuDNN, and a library that is missing, in real images, by every route."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reprocheck.capture import capture
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access
from tests.elf import shared_object
from tests.integration.libraries import SITE
from tests.integration.running import Bench, Ran

pytestmark = pytest.mark.engine

Image = Callable[[str], str]
Run = Callable[..., Ran]

CUDNN = shared_object(soname="libcudnn.so.8")
SHOWN = SITE.replace("/usr/", "{prefix}/", 1)
MULTIARCH = "/usr/lib/x86_64-linux-gnu"
PACKAGE = """\
Package: libcudnn8
Status: install ok installed
Architecture: amd64
Version: 8.6.0.163-1+cuda11.8
Maintainer: nobody
Description: planted
"""
RECORD = "nvidia/cudnn/lib/libcudnn.so.8,sha256=x,1\nnvidia_cudnn_cu11-8.9.2.26.dist-info/RECORD,,\n"
FILES: dict[str, str | bytes] = {
    "/usr/local/cuda-11.2/lib64/libcudnn.so.8.1.0": CUDNN,
    f"{MULTIARCH}/libcudnn.so.8.6.0": CUDNN,
    "/var/lib/dpkg/info/libcudnn8.list": f"/.\n{MULTIARCH}/libcudnn.so.8.6.0\n",
    "/opt/conda/lib/libcudnn.so.8": CUDNN,
    "/opt/conda/conda-meta/history": "",
    "/opt/conda/conda-meta/cudnn-8.4.1.50-0.json": json.dumps(
        {"name": "cudnn", "version": "8.4.1.50", "build": "0", "files": ["lib/libcudnn.so.8"]}
    ),
    f"{SITE}/nvidia/cudnn/lib/libcudnn.so.8": CUDNN,
    f"{SITE}/nvidia_cudnn_cu11-8.9.2.26.dist-info/METADATA": "Name: nvidia-cudnn-cu11\nVersion: 8.9.2.26\n",
    f"{SITE}/nvidia_cudnn_cu11-8.9.2.26.dist-info/RECORD": RECORD,
    "/tmp/status": PACKAGE,
}
LINKS = {
    "/usr/local/cuda": "cuda-11.2",
    "/usr/local/cuda-11.2/lib64/libcudnn.so.8": "libcudnn.so.8.1.0",
    "/usr/local/cuda-11.2/lib64/libcudnn.so": "libcudnn.so.8",
    f"{MULTIARCH}/libcudnn.so.8": "libcudnn.so.8.6.0",
}
COPIES = [
    ("8.4.1.50", "/opt/conda/lib/libcudnn.so.8", "conda:cudnn 8.4.1.50"),
    ("8.6.0", f"{MULTIARCH}/libcudnn.so.8.6.0", "dpkg:libcudnn8 8.6.0.163-1+cuda11.8"),
    ("8.1.0", "/usr/local/cuda-11.2/lib64/libcudnn.so.8.1.0", "none"),
    ("8.9.2.26", f"{SHOWN}/nvidia/cudnn/lib/libcudnn.so.8", "python:nvidia-cudnn-cu11 8.9.2.26"),
]


@pytest.fixture(scope="module")
def planted(image: Image, bench: Bench) -> str:
    """An image with four copies of cuDNN: a toolkit's, a system package's, conda's, a wheel's.

    The files are planted, with the metadata that the installers would have left.
    """
    links = " && ".join(f"ln -s {to} {path}" for path, to in LINKS.items())
    recipe = [f"FROM {image('base')}"]
    recipe += [f"COPY {number} {path}" for number, path in enumerate(FILES)]
    recipe += [f"RUN {links} && printf '\\n' >> /var/lib/dpkg/status && cat /tmp/status >> /var/lib/dpkg/status"]
    contents = {str(number): content for number, content in enumerate(FILES.values())}
    return bench.build("\n".join(recipe), contents)


@pytest.mark.parametrize("route", ["storage", "container", "exec"])
def test_four_copies_of_cudnn_each_once_under_its_owner(route: str, planted: str, bench: Bench) -> None:
    if route == "exec":
        address, access = Address("container", str(bench.start(planted).name)), Access()
    else:
        address, access = Address("image", planted), Access(route=route)
    snapshot = capture(address, access)
    assert [(one.version, one.path, one.owner) for one in snapshot.accelerator.cuda] == COPIES
    assert {one.component for one in snapshot.accelerator.cuda} == {"cudnn"}
    assert [gap for gap in snapshot.gaps if gap.what.startswith("accelerator")] == []
    if route == "storage":
        authors = snapshot.provenance.authors
        layers = {
            name: layer for group in authors.values() for name, layer in group.items() if name.startswith("cudnn ")
        }
        instructions = {name: snapshot.provenance.layers[layer].instruction for name, layer in layers.items()}
        assert {name: (said or "").split()[-1] for name, said in instructions.items()} == {
            f"cudnn {path}": path.replace("{prefix}", "/usr") for _, path, _ in COPIES
        }


@pytest.mark.tensorflow
def test_opencv_lacks_what_its_wheel_does_not_bring(image: Image, run_reprocheck: Run, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    run_reprocheck("lock", f"image:{image('tf29')}", "-o", baseline).ended(0)
    report = run_reprocheck("verify", f"image:{image('tf29-team')}", "--baseline", baseline, "--format", "json").ended(
        1
    )
    (found,) = [one for one in report.json["findings"] if one["rule"] == "RC701"]
    assert (found["severity"], found["subject"]["name"]) == ("breaking", "opencv-python")
    assert "import cv2 needs " in found["message"]
    assert "libxcb.so.1" in found["after"].split()
    assert "nowhere in the image" in found["message"]


@pytest.mark.tensorflow
def test_what_tensorflow_was_built_with(image: Image) -> None:
    (found,) = capture(Address("image", image("tf29")), Access()).accelerator.frameworks
    assert (found.name, found.version) == ("tensorflow", "2.9.0")
    assert found.built_with == {"cuda": "11.2", "cudnn": "8"}
    assert found.gpu_targets == ("sm_35", "sm_50", "sm_60", "sm_70", "sm_75", "compute_80")
    # No CUDA library is in this image.
    assert {(one.status, one.path) for one in found.loads} == {("missing", None)}
    assert len(found.loads) == 8
