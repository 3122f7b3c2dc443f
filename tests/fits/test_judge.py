"""Images against hosts: what is answered, why, what is to be expected, what is to be done."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reprocheck.errors import UsageError
from reprocheck.fits import amended, captured, described, fits
from reprocheck.model import codec
from reprocheck.model.fits import Fits
from reprocheck.model.snapshot import CondaPackage, Coverage, MissingLibrary, Snapshot, System
from reprocheck.sides import side_of
from tests.fits.images import KNOWN, compat, cudart, framework, host, image, judged, library
from tests.fits.test_requirements import NVIDIA_11_2, NVIDIA_11_8
from tests.make import environment, package, snapshot

TF = image(framework(), cuda=[cudart()])
"""TensorFlow 2.9.0 with the runtime of CUDA 11.2."""


def said(found: Fits, about: str) -> list[tuple[bool | None, str]]:
    statements = [*(one for program in found.programs for one in program.statements), *found.statements]
    return [(one.holds, one.said) for one in statements if one.about == about]


def outcome(found: Fits) -> tuple[str, str]:
    return found.verdict, found.answer


# The driver.


def test_a_driver_that_serves_the_release_itself() -> None:
    found = judged(TF, "470.82.01", "RTX 2080 Ti")
    assert outcome(found) == ("fits", "fits")
    assert said(found, "driver") == [(True, "470.82.01 serves CUDA 11.2 itself (460.27.03 and newer do)")]
    assert said(found, "GPU") == [(True, "7.5 is served by this build (sm_75)")]
    assert (found.expect, found.repair, found.gaps) == ((), None, ())


def test_a_driver_that_is_too_old() -> None:
    found = judged(TF, "440.33.01", "RTX 2080 Ti")
    assert outcome(found) == ("does-not-fit", "driver-too-old")
    assert said(found, "driver") == [
        (
            False,
            "460.27.03 is CUDA 11.2's own; 450.80.02 is enough (minor-version compatibility); 440.33.01 is too old",
        )
    ]
    assert said(found, "compat") == [(False, "the image has no cuda-compat, which would serve data-centre GPUs")]
    assert [one.text for one in found.expect] == ['"CUDA driver version is insufficient for CUDA runtime version"']
    assert found.repair is not None
    assert found.repair.startswith("driver >= 450.80.02, or another node")


def test_the_runtime_that_is_loaded_counts_not_the_one_of_the_build() -> None:
    newer = cudart("11.8.89", "/opt/conda/lib/libcudart.so.11.8.89")
    found = judged(image(framework(path=newer.path), cuda=[cudart(), newer]), "450.51.06")
    assert (found.programs[0].cuda, found.answer) == ("11.8", "driver-too-old")
    assert "the runtime that it loads is CUDA 11.8" in said(found, "needs")[0][1]


def test_a_soname_does_not_tell_the_release() -> None:
    bare = replace(cudart("11.0", "/usr/lib/libcudart.so.11.0"), source="soname")
    assert judged(image(framework(path=bare.path), cuda=[bare]), "470.82.01").programs[0].cuda == "11.2"
    found = judged(image(cuda=[bare]), "450.80.02")
    assert (found.programs[0].cuda, found.answer) == ("11", "fits-by-minor-version-compatibility")


@pytest.mark.parametrize(
    ("cuda", "driver", "answer"),
    [
        ("12", "525.60.13", "fits-by-minor-version-compatibility"),
        ("12", "580.65.06", "fits"),
        ("12", "520.61.05", "driver-too-old"),
        ("12.7", "565.57.01", "fits-by-minor-version-compatibility"),
        ("12.7", "570.26", "fits"),
        ("13.9", "580.65.06", "fits-by-minor-version-compatibility"),
        ("13.9", "575.57.08", "driver-too-old"),
        ("14.0", "595.45.04", "cannot-tell"),
        ("9.0", "384.81", "fits"),
        ("7.5", "410.48", "fits"),
        ("7.5", "340.108", "cannot-tell"),
        ("11.2", "650.1", "fits"),
        ("11.2", "470", "fits"),
        ("11.2", "460", "fits-by-minor-version-compatibility"),
        ("11.2", "450", "cannot-tell"),
        ("11.2", "440", "driver-too-old"),
        # Drivers of the branch from before the release.
        ("12.0", "525.53", "cannot-tell"),
        ("12.1", "525.53", "driver-too-old"),
        ("11.8", "520.56.06", "fits-by-minor-version-compatibility"),
        ("10.2", "440.26", "cannot-tell"),
        ("11.1", "450.51.06", "driver-too-old"),
    ],
)
def test_releases_and_drivers_beside_the_table(cuda: str, driver: str, answer: str) -> None:
    assert judged(image(framework("jaxlib", "0.4", cuda, path="/nowhere")), driver).answer == answer


def test_no_driver_at_all() -> None:
    found = fits(TF, side_of(TF, None), captured(host(), "this host", KNOWN), KNOWN, named=False)
    assert outcome(found) == ("does-not-fit", "no-driver")
    assert any("could not select device driver" in one.text for one in found.expect)


# Forward compatibility.

COMPAT = image(framework(gpu_targets=("sm_75", "sm_80")), cuda=[cudart(), compat()])


@pytest.mark.parametrize(
    ("gpu", "driver", "answer"),
    [
        ("T4", "418.226.00", "fits-by-forward-compatibility"),
        ("T4", "440.33.01", "fits-by-forward-compatibility"),
        ("RTX 2080 Ti", "440.33.01", "driver-too-old"),
        ("7.5", "440.33.01", "cannot-tell"),
        (None, "440.33.01", "cannot-tell"),
        ("T4", "410.48", "cannot-tell"),
        ("T4", "470.82.01", "fits"),
        ("Quadro RTX 6000", "440.33.01", "cannot-tell"),
    ],
)
def test_forward_compatibility_is_for_data_centre_gpus(gpu: str | None, driver: str, answer: str) -> None:
    assert judged(COMPAT, driver, gpu).answer == answer


def test_forward_compatibility_can_not_help_a_geforce() -> None:
    found = judged(COMPAT, "440.33.01", "RTX 2080 Ti")
    ((holds, words),) = said(found, "compat")
    assert holds is False
    assert words.startswith("cuda-compat (460.32.03, CUDA 11.2) in the image can't help: forward compatibility is for")


def test_a_compat_package_that_is_too_old_itself() -> None:
    old = image(framework(), cuda=[cudart(), compat("440.118.02", "10.2")])
    found = judged(old, "418.226.00", "T4")
    assert outcome(found) == ("does-not-fit", "driver-too-old")
    assert said(found, "compat")[0][1].endswith("does not serve CUDA 11.2 either")


def test_a_compat_package_that_breaks_what_works_without_it() -> None:
    found = judged(image(framework(), cuda=[cudart(), compat("470.82.01", "11.4")]), "460.32.03", "RTX 2080 Ti")
    assert found.verdict == "fits"
    assert "forward compatibility was attempted on non supported HW" in said(found, "compat")[0][1]
    assert said(judged(COMPAT, "470.82.01", "RTX 2080 Ti"), "compat") == []


def test_only_the_library_of_the_driver_is_a_compat_package() -> None:
    vague = image(framework(), cuda=[cudart(), library("cuda", "1", "/usr/local/cuda/compat/libcuda.so.1")])
    assert judged(vague, "440.33.01", "T4").answer == "driver-too-old"


# Kernels.


@pytest.mark.parametrize(
    ("gpu", "driver", "answer"),
    [
        ("A100", "460.32.03", "fits"),
        ("A100", "450.80.02", "no-kernels"),
        ("RTX 3090", "455.45.01", "no-kernels"),
        ("RTX 3090", "470.82.01", "fits"),
        ("T4", "450.80.02", "fits-by-minor-version-compatibility"),
        ("GTX 680", "470.82.01", "no-kernels"),
        ("A100", None, "fits"),
    ],
)
def test_ptx_is_compiled_by_drivers_that_are_not_older(gpu: str, driver: str | None, answer: str) -> None:
    """TensorFlow 2.9.0 serves Ampere by PTX of CUDA 11.2, which a driver of CUDA 11.0 does not compile."""
    assert judged(TF, driver, gpu).answer == answer


def test_forward_compatibility_compiles_the_ptx_of_its_release() -> None:
    found = judged(image(framework(), cuda=[cudart(), compat()]), "450.51.06", "A100")
    assert outcome(found) == ("fits", "fits-by-forward-compatibility")


def test_no_kernels_is_explained() -> None:
    found = judged(image(framework(gpu_targets=("sm_75",)), cuda=[cudart()]), "525.60.13", "H100")
    assert outcome(found) == ("does-not-fit", "no-kernels")
    assert said(found, "GPU") == [(False, "9.0 is not served by this build, which is for sm_75")]
    assert found.expect[0].text == '"no kernel image is available for execution on the device"'


def test_targets_that_are_not_understood_are_a_gap() -> None:
    found = judged(image(framework(gpu_targets=("sm_75", "gfx90a")), cuda=[cudart()]), gpu="H100")
    assert found.verdict == "cannot-tell"
    assert found.gaps[0].reason == "its GPU targets are not understood: gfx90a"


X86_64 = ("cp312-cp312-manylinux_2_28_x86_64",)


def torch(version: str = "2.7.0+cu128", cuda: str = "12.8", tags: tuple[str, ...] = X86_64, **fields: Any) -> Snapshot:
    runtime = cudart(f"{cuda}.57", "{prefix}/lib/python3.9/site-packages/nvidia/cuda_runtime/lib/libcudart.so.12")
    one = framework("torch", version, cuda, path=runtime.path, gpu_targets=())
    own = environment(package(f"torch=={version}", tags=tags), **fields)
    return replace(image(one, cuda=[runtime]), environments=(own,))


@pytest.mark.parametrize(
    ("gpu", "verdict"), [("RTX 5090", "fits"), ("H100", "fits"), ("V100", "does-not-fit"), ("GTX 1080", "does-not-fit")]
)
def test_targets_of_pytorch_s_wheels_are_known(gpu: str, verdict: str) -> None:
    found = judged(torch(), "580.65.06", gpu)
    assert found.verdict == verdict
    assert "what is known of PyTorch's wheels" in said(found, "GPU")[0][1]


@pytest.mark.parametrize(
    "target",
    [
        torch("2.6.0+cu124", "12.4"),
        torch("2.7.0a0+nv25.1", "12.7"),
        torch(conda=(CondaPackage(name="pytorch", version="2.7.0"),)),
        torch("nonsense"),
        torch(tags=("cp312-cp312-manylinux_2_28_aarch64",)),
    ],
)
def test_targets_of_other_builds_are_a_gap(target: Snapshot) -> None:
    found = judged(target, "580.65.06", "H100")
    assert found.verdict == "cannot-tell"
    assert "which GPUs it was built for is not known" in found.gaps[0].reason


def test_a_gpu_that_the_release_has_no_code_for() -> None:
    target = image(framework("torch", "9", "13.0", gpu_targets=(), path="/x"))
    assert judged(target, "580.65.06", "V100").answer == "no-kernels"
    assert judged(target, "580.65.06", "T4").verdict == "cannot-tell"


@pytest.mark.parametrize(
    ("cuda", "gpu", "verdict"),
    [("12.8", "RTX 5090", "fits"), ("11.8", "RTX 5090", "cannot-tell"), ("13.0", "P100", "does-not-fit")],
)
def test_a_bare_runtime_is_judged_by_its_release(cuda: str, gpu: str, verdict: str) -> None:
    runtime = cudart(f"{cuda}.1", f"/usr/local/cuda-{cuda}/lib64/libcudart.so.{cuda}.1")
    assert judged(image(cuda=[runtime]), "580.65.06", gpu).verdict == verdict


def test_one_gpu_that_is_served_is_enough() -> None:
    both = host("470.82.01", ("GeForce GT 710", "3.5"), ("NVIDIA GeForce RTX 2080 Ti", "7.5"))
    target = image(framework(gpu_targets=("sm_75",)), cuda=[cudart()])
    found = fits(target, side_of(target, None), captured(both, "node", KNOWN), KNOWN, named=False)
    assert found.verdict == "fits"
    assert [holds for holds, _ in said(found, "GPU")] == [False, True]
    assert said(found, "GPU")[0][1].startswith("GeForce GT 710 (3.5) is not served")


# The processor alone.


def test_an_image_that_lacks_the_runtime_runs_on_the_cpu() -> None:
    target = image(framework(status="missing"))
    found = judged(target, "440.33.01", "RTX 2080 Ti")
    assert outcome(found) == ("does-not-fit", "cpu-only")
    assert said(found, "needs")[0][1].endswith("but the image lacks libcudart.so.11.0")
    assert [holds for holds, _ in said(found, "driver")] == [False]
    assert found.gaps == ()
    assert found.repair == (
        "an image that has CUDA 11.2 for tensorflow 2.9.0, and driver >= 450.80.02; on the CPU it runs as it is"
    )
    nobody = fits(target, side_of(target, None), captured(host(), "this host", KNOWN), KNOWN, named=False)
    assert outcome(nobody) == ("fits", "cpu-only")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (image(framework("torch", "2.0.0+cpu", None)), "torch 2.0.0+cpu was built for the processor alone"),
        (image(framework("torch", "2.0", None, built_with={"rocm": "6.0"})), "torch 2.0 was built for ROCm"),
        (image(), "no CUDA runtime and no framework that was built for CUDA is in the image"),
    ],
)
def test_an_image_without_cuda_runs_on_the_cpu(target: Snapshot, words: str) -> None:
    for driver, gpu in (("470.82.01", None), (None, "A100"), ("470.82.01", "A100")):
        found = judged(target, driver, gpu)
        assert outcome(found) == ("does-not-fit", "cpu-only")
        assert said(found, "needs") == [(None, words)]
    nobody = fits(target, side_of(target, None), captured(host(), "this host", KNOWN), KNOWN, named=False)
    assert outcome(nobody) == ("fits", "cpu-only")


def test_of_several_frameworks_the_worst_counts() -> None:
    target = image(
        framework(), framework("torch", "2.0", "12.1", path="/x"), framework("jaxlib", "0.4", None), cuda=[cudart()]
    )
    found = judged(target, "470.82.01")
    assert [(one.name, one.answer) for one in found.programs] == [("tensorflow", "fits"), ("torch", "driver-too-old")]
    assert outcome(found) == ("does-not-fit", "driver-too-old")
    assert found.repair is not None
    assert "525.60.13" in found.repair


# What can't be told.


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (image(framework(built_with=None, loads=())), "what tensorflow 2.9.0 was built with is not known"),
        (image(framework(status="unknown")), "whether it finds the CUDA runtime can't be told: why"),
        (image(framework(loads=())), "whether it finds the CUDA runtime can't be told: what it loads was not read"),
        (image(framework("torch", "1", "latest")), "the CUDA release that it needs is not known"),
        (image(read="not-read"), "its CUDA libraries and frameworks were not read"),
        (image(read="partial"), "not all of its CUDA libraries could be read"),
    ],
)
def test_what_is_not_known_is_a_gap(target: Snapshot, reason: str) -> None:
    found = judged(target, "470.82.01")
    assert outcome(found) == ("cannot-tell", "cannot-tell")
    assert reason in {gap.reason for gap in found.gaps}


def test_a_definite_no_counts_for_more_than_a_gap() -> None:
    assert judged(image(framework(status="unknown")), "418.39").verdict == "does-not-fit"


def test_a_host_whose_gpu_is_not_known() -> None:
    found = fits(TF, side_of(TF, None), captured(host("470.82.01"), "node", KNOWN), KNOWN, named=False)
    assert found.verdict == "cannot-tell"
    assert found.gaps[0].reason == "which GPU the host has is not known; name it with --gpu"
    named = amended(captured(host("470.82.01"), "node", KNOWN), described(None, "T4", KNOWN))
    assert fits(TF, side_of(TF, None), named, KNOWN, named=True).verdict == "fits"
    other = amended(
        captured(host("440.33.01", ("Tesla T4", "7.5")), "node", KNOWN), described("470.82.01", None, KNOWN)
    )
    assert fits(TF, side_of(TF, None), other, KNOWN, named=True).verdict == "fits"


def test_a_host_that_is_none() -> None:
    for one in (snapshot(environment()), snapshot(environment(), kind="host", states={"machine": "not-read"})):
        with pytest.raises(UsageError, match="capture host: on the host itself"):
            captured(one, "file", KNOWN)
    with pytest.raises(UsageError, match="is no version of a driver"):
        described("latest", None, KNOWN)


# The start of the container.


def starting(requirement: str | None, **variables: str) -> Snapshot:
    return image(framework(), cuda=[cudart()], variables={"NVIDIA_REQUIRE_CUDA": requirement, **variables})


def test_a_requirement_that_is_met() -> None:
    found = judged(starting(NVIDIA_11_2), "470.82.01", "RTX 2080 Ti")
    assert outcome(found) == ("fits", "fits")
    assert said(found, "require") == [(True, "NVIDIA_REQUIRE_CUDA is met")]


def test_docker_refuses_what_would_run() -> None:
    target = image(framework(gpu_targets=("sm_75",)), cuda=[cudart()], variables={"NVIDIA_REQUIRE_CUDA": NVIDIA_11_8})
    found = judged(target, "460.32.03", "RTX 2080 Ti")
    assert outcome(found) == ("does-not-fit", "refused-at-start")
    docker, others = found.expect
    assert docker.where == "Docker"
    assert docker.text == (
        'it is refused at start: "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=11.8, '
        'please update your driver to a newer version, or use an earlier cuda container"'
    )
    assert others.where == "Docker in CDI mode, Apptainer"
    assert found.repair is not None
    assert found.repair.endswith("NVIDIA_DISABLE_REQUIRE=1 starts it without the check")


def test_docker_refuses_what_would_fail_anyway() -> None:
    found = judged(starting(NVIDIA_11_2), "440.33.01", "RTX 2080 Ti")
    assert outcome(found) == ("does-not-fit", "driver-too-old")
    assert [one.where for one in found.expect] == ["Docker", "Docker in CDI mode, Apptainer", "once it runs"]


def test_the_image_may_ask_not_to_be_checked() -> None:
    found = judged(starting("cuda>=99", NVIDIA_DISABLE_REQUIRE="true"), "470.82.01")
    assert outcome(found) == ("fits", "fits")


@pytest.mark.parametrize(
    ("requirement", "driver", "gpu", "verdict"),
    [
        (None, "470.82.01", "T4", "cannot-tell"),
        ("nonsense", "470.82.01", "T4", "cannot-tell"),
        ("x" * 100_000, "470.82.01", "T4", "cannot-tell"),
        (NVIDIA_11_8, "470.82.01", None, "cannot-tell"),
        (NVIDIA_11_8, "470.82.01", "7.5", "cannot-tell"),
        ("cuda>=99", "650.1", "T4", "cannot-tell"),
        ("cuda>=99", None, "T4", "fits"),
        ("arch>=8.0", None, "T4", "does-not-fit"),
    ],
)
def test_a_requirement_that_can_not_be_judged(
    requirement: str | None, driver: str | None, gpu: str | None, verdict: str
) -> None:
    found = judged(starting(requirement), driver, gpu)
    assert found.verdict == verdict
    assert len(codec.encode_json(found)) < 10_000


def test_an_interpreter_is_not_started_by_a_container_runtime() -> None:
    own = replace(starting("cuda>=99"), subject=replace(TF.subject, kind="python"))
    assert judged(own, "470.82.01", "T4").verdict == "fits"


def test_one_gpu_that_meets_it_is_enough() -> None:
    node = host("470.82.01", ("Quadro K600", "3.0"), ("Tesla T4", "7.5"))
    target = starting("arch>=7.0")
    assert fits(target, side_of(target, None), captured(node, "node", KNOWN), KNOWN, named=False).verdict == "fits"


@pytest.mark.parametrize(
    ("driver", "gpu", "verdict"),
    [
        ("440.33.01", "T4", "fits"),
        ("440.33.01", "A100", "does-not-fit"),
        ("440.33.01", "7.5", "cannot-tell"),
        ("450.51.06", "T4", "fits"),
    ],
)
def test_up_to_branch_450_a_data_centre_gpu_is_a_tesla(driver: str, gpu: str, verdict: str) -> None:
    target = image(
        framework(gpu_targets=("sm_75",)), cuda=[cudart(), compat()], variables={"NVIDIA_REQUIRE_CUDA": NVIDIA_11_2}
    )
    assert judged(target, driver, gpu).verdict == verdict


@pytest.mark.parametrize(
    ("version", "cuda", "gpu", "verdict"),
    [
        ("1.12.1+cu102", "10.2", "A100", "does-not-fit"),
        ("1.13.1+cu117", "11.7", "A100", "fits"),
        ("1.13.1+cu117", "11.7", "H100", "does-not-fit"),
        ("2.0.1+cu117", "11.7", "RTX 4090", "fits"),
        ("2.0.1+cu118", "11.8", "H100", "fits"),
        ("2.1.2+cu121", "12.1", "K80", "does-not-fit"),
        ("2.1.2+cu118", "11.8", "H100", "fits"),
        ("2.5.1+cu124", "12.4", "RTX 5090", "does-not-fit"),
        ("2.5.1", "12.4", "GTX 1080", "fits"),
    ],
)
def test_builds_of_pytorch_and_gpus(version: str, cuda: str, gpu: str, verdict: str) -> None:
    assert judged(torch(version, cuda), gpu=gpu).verdict == verdict


def test_a_refusal_is_not_to_be_switched_off_where_it_may_fail_anyway() -> None:
    found = judged(
        image(cuda=[cudart(), compat()], variables={"NVIDIA_REQUIRE_CUDA": "cuda>=11.2"}), "440.33.01", "7.5"
    )
    assert outcome(found) == ("does-not-fit", "refused-at-start")
    assert found.repair == "a newer driver"


def test_a_library_that_a_framework_is_linked_to_is_missing() -> None:
    lost = MissingLibrary(
        library="libcudart.so.12",
        owner="python:torch 2.7.0+cu128",
        environment="/usr",
        needed_by="{prefix}/torch/lib/libtorch_cuda.so",
        module="torch._C",
        certain=True,
    )
    whole = torch()
    target = replace(whole, accelerator=replace(whole.accelerator, missing=(lost,)))
    for gpu in ("H100", None):
        found = judged(target, "580.65.06", gpu)
        assert outcome(found) == ("does-not-fit", "libraries-missing")
        assert found.expect[0].text.startswith('"libcudart.so.12: cannot open shared object file')
        assert found.repair == "a package that brings libcudart.so.12"
    unsure = replace(whole, accelerator=replace(whole.accelerator, missing=(replace(lost, certain=False),)))
    assert judged(unsure, "580.65.06").verdict == "fits"
    other = replace(whole, accelerator=replace(whole.accelerator, missing=(replace(lost, owner="python:cv 1"),)))
    assert judged(other, "580.65.06").verdict == "fits"


@pytest.mark.parametrize(
    ("own", "there", "answer"),
    [
        ("aarch64", "x86_64", "other-architecture"),
        ("x86_64", "aarch64", "other-architecture"),
        ("x86_64", "x86_64", "fits"),
        ("i686", "x86_64", "fits"),
        (None, "x86_64", "fits"),
        ("x86_64", "loongarch64", "fits"),
    ],
)
def test_an_image_for_another_architecture(own: str | None, there: str, answer: str) -> None:
    node = captured(replace(host("470.82.01", ("Tesla T4", "7.5")), system=System(architecture=there)), "node", KNOWN)
    target = replace(TF, system=System(architecture=own))
    assert fits(target, side_of(target, None), node, KNOWN, named=False).answer == answer


def test_drivers_of_jetson_boards_go_by_other_numbers() -> None:
    node = captured(host("35.4.1", ("Orin", "8.7")), "node", KNOWN)
    target = image(framework("torch", "2.0", gpu_targets=("sm_87",)), cuda=[cudart()])
    found = fits(target, side_of(target, None), node, KNOWN, named=False)
    assert found.verdict == "cannot-tell"
    assert "JetPack" in found.gaps[0].reason
    assert judged(target, gpu="Jetson AGX Orin").verdict == "fits"


def test_many_targets_are_counted() -> None:
    target = image(framework(gpu_targets=tuple(f"sm_{number}0" for number in range(10, 99)) * 500), cuda=[cudart()])
    assert len(codec.encode_json(judged(target, gpu="K80"))) < 5_000


def test_settings_that_were_not_read_are_a_gap() -> None:
    unread = replace(TF, coverage={**TF.coverage, "variables": Coverage(state="not-read")})
    assert judged(unread, "470.82.01").verdict == "cannot-tell"
    assert judged(unread, "440.33.01").verdict == "does-not-fit"
    assert judged(unread, gpu="T4").verdict == "fits"
    none = replace(TF, coverage={**TF.coverage, "variables": Coverage(state="not-applicable")})
    assert judged(none, "470.82.01").verdict == "fits"


def test_what_is_written_can_be_read_again() -> None:
    for found in (judged(TF, "470.82.01", "T4"), judged(starting("nonsense"), "440.33.01", "RTX 2080 Ti")):
        assert codec.decode(codec.encode_json(found), Fits, "it", "reprocheck.fits/1") == found


@pytest.mark.parametrize(
    ("driver", "requirement", "verdict"),
    [
        ("537.58", "cuda>=12.2", "fits"),
        ("537.58", "cuda>=12.3", "does-not-fit"),
        ("430.26", "cuda>=10.2", "cannot-tell"),
        ("435.21", "cuda>=10.1", "fits"),
        ("620.10", "cuda>=13.0", "cannot-tell"),
    ],
)
def test_the_cuda_version_that_a_driver_reports(driver: str, requirement: str, verdict: str) -> None:
    old = cudart("10.0.130", "/usr/local/cuda-10.0/lib64/libcudart.so.10.0.130")
    assert judged(image(cuda=[old], variables={"NVIDIA_REQUIRE_CUDA": requirement}), driver).verdict == verdict


def test_pytorch_has_words_of_its_own() -> None:
    found = judged(torch(), "470.82.01")
    assert [one.text for one in found.expect] == [
        'PyTorch: "The NVIDIA driver on your system is too old"',
        '"CUDA driver version is insufficient for CUDA runtime version"',
    ]


@pytest.mark.parametrize(
    ("cuda", "library", "driver", "answer"),
    [
        ("12.1", "530.30.02", "470.256.02", "fits-by-forward-compatibility"),
        ("12.4", "550.54.15", "470.256.02", "fits-by-forward-compatibility"),
        ("12.4", "550.54.15", "510.47.03", "cannot-tell"),
        ("13.0", "580.82.07", "535.183.06", "fits-by-forward-compatibility"),
        ("13.0", "580.82.07", "525.147.05", "cannot-tell"),
        ("13.1", "590.48.01", "570.124.06", "fits-by-forward-compatibility"),
        ("13.0", "590.48.01", "570.124.06", "fits-by-forward-compatibility"),
        ("13.1", "580.82.07", "570.124.06", "fits-by-forward-compatibility"),
        ("13.0", "575.57.08", "570.124.06", "driver-too-old"),
    ],
)
def test_forward_compatibility_across_major_releases(cuda: str, library: str, driver: str, answer: str) -> None:
    """Of an older driver's library in the image, minor-version compatibility counts as of any driver."""
    runtime = cudart(f"{cuda}.88", f"/usr/local/cuda-{cuda}/lib64/libcudart.so.{cuda}.88")
    one = framework("torch", "2.9", cuda, path=runtime.path, gpu_targets=("sm_80",))
    target = image(one, cuda=[runtime, compat(library, cuda)])
    assert judged(target, driver, "A100").answer == answer
