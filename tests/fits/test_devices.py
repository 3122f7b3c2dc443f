"""GPUs by name: what is named, what is ambiguous, what is not known."""

from __future__ import annotations

import pytest

from reprocheck.errors import UsageError
from reprocheck.fits.devices import named, observed
from reprocheck.model.snapshot import Device
from tests.fits.images import KNOWN


@pytest.mark.parametrize(
    ("text", "name", "capability"),
    [
        ("A100", "A100", "8.0"),
        ("NVIDIA A100-SXM4-80GB", "A100", "8.0"),
        ("a100 40GB", "A100", "8.0"),
        ("Tesla V100-SXM2-16GB", "V100", "7.0"),
        ("Tesla T4", "T4", "7.5"),
        ("NVIDIA H100 80GB HBM3", "H100", "9.0"),
        ("RTX 2080 Ti", "GeForce RTX 2080 Ti", "7.5"),
        ("2080", "GeForce RTX 2080", "7.5"),
        ("NVIDIA GeForce RTX 3080 Laptop GPU", "GeForce RTX 3080", "8.6"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada", "8.9"),
        ("Quadro RTX 4000", "Quadro RTX 4000", "7.5"),
        ("L4", "L4", "8.9"),
        ("8.6", None, "8.6"),
        ("sm_86", None, "8.6"),
        ("SM_90a", None, "9.0"),
        ("compute_120", None, "12.0"),
        ("12.1", None, "12.1"),
    ],
)
def test_named(text: str, name: str | None, capability: str) -> None:
    found = named(text, KNOWN)
    assert (found.name, found.compute_capability) == (name, capability)


@pytest.mark.parametrize("gpu", [row.gpu for row in KNOWN.gpus])
def test_each_known_gpu_is_found_by_its_own_name(gpu: str) -> None:
    row = next(row for row in KNOWN.gpus if row.gpu == gpu)
    for text in (gpu, f"NVIDIA {gpu}", gpu.lower(), f"{gpu} 16GB"):
        found = named(text, KNOWN)
        assert (found.name, found.compute_capability) == (gpu, row.compute_capability)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("RTX 4000", ("Quadro RTX 4000 (7.5)", "RTX 4000 Ada (8.9)", "RTX PRO 4000 Blackwell (12.0)")),
        ("rtx 6000", ("Quadro RTX 6000 (7.5)", "RTX 6000 Ada (8.9)")),
        ("TITAN X", ("TITAN X (Pascal) (6.1)", "GeForce GTX TITAN X (5.2)")),
        ("RTX", ("GeForce RTX 5090 (12.0)", "more")),
    ],
)
def test_an_ambiguous_name_lists_what_it_can_mean(text: str, choices: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as error:
        named(text, KNOWN)
    assert str(error.value).startswith(f"--gpu {text} can mean ")
    for choice in choices:
        assert choice in str(error.value)
    assert "its compute capability" in str(error.value)


@pytest.mark.parametrize(
    "text", ["RX 7900 XTX", "", "GPU", "16GB", "86", "8", "8.66", "sm_8", "x" * 100_000, "\x1b[31m"]
)
def test_an_unknown_name_asks_for_the_compute_capability(text: str) -> None:
    with pytest.raises(
        UsageError, match="no GPU of that name is known; give its compute capability, as in --gpu"
    ) as error:
        named(text, KNOWN)
    assert len(str(error.value)) < 250
    assert "\x1b" not in str(error.value)


def test_what_the_driver_says_of_a_gpu_counts() -> None:
    a100 = observed(Device(name="NVIDIA A100-SXM4-40GB", compute_capability="8.0"), KNOWN)
    assert (a100.name, a100.data_centre, "tesla" in a100.brands) == ("NVIDIA A100-SXM4-40GB", True, True)
    other = observed(Device(name="NVIDIA A100-SXM4-40GB", compute_capability="9.9"), KNOWN)
    assert (other.compute_capability, other.data_centre, other.brands) == ("9.9", None, ())
    unknown = observed(Device(name="NVIDIA X1", compute_capability="[N/A]"), KNOWN)
    assert (unknown.name, unknown.compute_capability, unknown.data_centre) == ("NVIDIA X1", None, None)
    for name, told in (
        ("NVIDIA GeForce GT 710", False),
        ("Quadro K600", False),
        ("Tesla C2075", True),
        ("GT 710", None),
    ):
        assert observed(Device(name=name, compute_capability="3.5"), KNOWN).data_centre is told
