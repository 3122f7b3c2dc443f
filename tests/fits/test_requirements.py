"""The requirements of an image, as ``nvidia-container-cli`` evaluates them."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.fits.requirements import INVALID, Outcome, Properties, disabled, evaluate, requirements

NVIDIA_11_8 = "cuda>=11.8 brand=tesla,driver>=450,driver<451 " + " ".join(
    f"brand={brand},driver>={branch},driver<{branch + 1}"
    for branch in (470, 510, 515)
    for brand in ("tesla", "unknown", "nvidia", "nvidiartx", "geforce", "quadro", "quadrortx", "titan", "titanrtx")
)
"""Of nvidia/cuda:11.8.0-base-ubuntu20.04."""
NVIDIA_11_2 = "cuda>=11.2 brand=tesla,driver>=418,driver<419 brand=tesla,driver>=440,driver<441 driver>=450"
"""Of nvidia/cuda:11.2.2-base-ubuntu20.04."""
ADVICE = "please update your driver to a newer version, or use an earlier cuda container"


def of(
    cuda: str | None = "11.4", driver: str | None = "470.82.01", arch: str | None = "7.5", *brands: str
) -> Properties:
    return Properties(cuda=cuda, driver=driver, arch=arch, brands=frozenset(brands))


GEFORCE = of("11.4", "470.82.01", "7.5", "geforce")


@pytest.mark.parametrize(
    ("requirement", "properties", "holds"),
    [
        ("", GEFORCE, True),
        ("   ", GEFORCE, True),
        (NVIDIA_11_2, GEFORCE, True),
        (NVIDIA_11_2, of("10.2", "440.33.01", "7.5", "geforce"), False),
        (NVIDIA_11_2, of("10.2", "440.33.01", "7.5", "tesla"), True),
        (NVIDIA_11_2, of("10.2", "440.33.01", "7.5"), None),
        (NVIDIA_11_2, of("10.2", "440.33.01", "7.5", "tesla", "nvidia"), None),
        (NVIDIA_11_2, of("11.0", "450.80.02", "7.5"), True),
        (NVIDIA_11_8, GEFORCE, True),
        (NVIDIA_11_8, of("11.2", "460.32.03", "7.5", "geforce"), False),
        (NVIDIA_11_8, of("11.2", "460.32.03", "7.5", "tesla", "nvidia", "unknown"), False),
        (NVIDIA_11_8, of("11.0", "450.80.02", "7.0", "tesla"), True),
        (NVIDIA_11_8, of("11.0", "450.80.02", "8.6", "geforce"), False),
        (NVIDIA_11_8, of("11.4", "470.82.01", "8.0", "tesla", "nvidia", "unknown"), True),
        ("arch>=7.0", GEFORCE, True),
        ("arch>=8.0", GEFORCE, False),
        ("arch>=8.0", of(arch=None), None),
        # Names and brands in any case, a missing "=" behind "!".
        ("CUDA>=11.2,Brand=GeForce", GEFORCE, True),
        ("brand!=tesla", GEFORCE, True),
        ("brand!geforce", GEFORCE, False),
        ("brand=\udcff", GEFORCE, False),
        # Versions number by number, zeros at the end for nothing.
        ("driver=470.82.1", GEFORCE, True),
        ("driver>470.82", GEFORCE, True),
        ("driver<=470.82", GEFORCE, False),
        ("driver<471", GEFORCE, True),
        ("cuda=11.4.0.0", GEFORCE, True),
        ("cuda>=11..4...", GEFORCE, True),
        ("cuda!=11.4", GEFORCE, False),
        # Empty terms and factors count for nothing; what is behind the first term that holds is not read.
        ("  cuda>=11.2  ,, ", GEFORCE, True),
        ("cuda>=99,, cuda>=1,", GEFORCE, True),
        ("cuda>=11.2 nonsense", GEFORCE, True),
        ("cuda>=99,nonsense cuda>=11", GEFORCE, True),
        # Commas alone end the evaluation.
        (",", GEFORCE, True),
        ("cuda>=99 , cuda>=1", GEFORCE, False),
    ],
)
def test_holds(requirement: str, properties: Properties, holds: bool | None) -> None:
    assert evaluate(requirement, properties).holds is holds


@pytest.mark.parametrize(
    "requirement",
    [
        "nonsense",
        "cuda",
        "cuda>=",
        "brand!=",
        "brand==",
        ">=11",
        "cuda==11.2",
        "cuda=>11.2",
        "cuda>=11.2rc1",
        "cuda>=.5",
        "cuda>=11=2",
        "cuda>=99999999999999999999999999",
        "memory>=4",
        "brand>=tesla",
        "cuda>=99 nonsense",
        f"brand=tesla{'x' * 200}",
        f"cuda>={'9' * 200}.1",
        "cuda>=\uff11\uff11",
        "\udcff>=1",
        "cuda>=\n11",
    ],
)
def test_what_is_no_requirement_is_said_to_be_none(requirement: str) -> None:
    assert evaluate(requirement, GEFORCE) == Outcome(holds=None, error=INVALID)


def test_the_error_names_the_first_alternative() -> None:
    old = of("10.2", "440.33.01", "7.5", "geforce")
    assert evaluate(NVIDIA_11_2, old).error == f"unsatisfied condition: cuda>=11.2, {ADVICE}"
    assert evaluate("driver>=450 driver>=460", old).error == "unsatisfied condition: driver>=450"


def test_a_driver_that_is_named_by_its_branch() -> None:
    branch = of("11.4", "470", "7.5", "geforce")
    assert evaluate("driver>=470,driver<471", branch).holds is True
    assert evaluate("driver>=470.57", branch).holds is None
    assert evaluate("driver<470.57", branch).holds is None
    assert evaluate("driver>=450.80.02", branch).holds is True
    assert evaluate("driver>=510.1", branch).holds is False


def test_which_variables_count() -> None:
    image: dict[str, str | None] = {
        "CUDA_VERSION": "11.2.2",
        "NVIDIA_REQUIRE_CUDA": "cuda>=11.2",
        "NVIDIA_REQUIRE_DRIVER": "driver>=450",
        "NVIDIA_REQUIRE_JETPACK": "csv-mounts=all",
        "NVIDIA_REQUIRE_TOKEN": None,
        "NVIDIA_VISIBLE_DEVICES": "all",
    }
    assert list(requirements(image)) == [
        ("NVIDIA_REQUIRE_CUDA", "cuda>=11.2"),
        ("NVIDIA_REQUIRE_DRIVER", "driver>=450"),
        ("NVIDIA_REQUIRE_TOKEN", None),
    ]
    assert list(requirements({"CUDA_VERSION": "9.0.176"})) == [("CUDA_VERSION", "cuda>=9.0")]
    assert list(requirements({"CUDA_VERSION": "9", "NVIDIA_REQUIRE_CUDA": ""}))[-1] == ("CUDA_VERSION", "cuda>=9.0")
    for nonsense in ("latest", "1" * 100_000):
        assert list(requirements({"CUDA_VERSION": nonsense})) == [("CUDA_VERSION", None)]
    assert list(requirements({"PATH": "/bin"})) == []


@pytest.mark.parametrize(
    ("value", "said"), [("1", True), ("true", True), ("T", True), ("yes", False), ("0", False), ("", False)]
)
def test_an_image_may_ask_not_to_be_checked(value: str, said: bool) -> None:
    assert disabled({"NVIDIA_DISABLE_REQUIRE": value}) is said
    assert not disabled({})


# Laws.

NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=3)
SIGNS = {
    "=": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
BRANDS = ("tesla", "geforce", "nvidia", "titan")
VERSIONED = st.tuples(st.sampled_from(("cuda", "driver", "arch")), st.sampled_from(tuple(SIGNS)), NUMBERS)
BRANDED = st.tuples(st.just("brand"), st.sampled_from(("=", "!=")), st.sampled_from(BRANDS))
TERMS = st.lists(st.lists(VERSIONED | BRANDED, min_size=1, max_size=3), max_size=4)


def padded(numbers: list[int]) -> list[int]:
    return numbers + [0] * (3 - len(numbers))


def dotted(numbers: list[int]) -> str:
    return ".".join(map(str, numbers))


def spelled(terms: list[list[tuple[str, str, list[int] | str]]]) -> str:
    return " ".join(
        ",".join(f"{name}{sign}{value if isinstance(value, str) else dotted(value)}" for name, sign, value in factors)
        for factors in terms
    )


@given(terms=TERMS, cuda=NUMBERS, driver=NUMBERS, arch=NUMBERS, brand=st.sampled_from(BRANDS))
def test_alternatives_of_conjunctions(
    terms: list[list[tuple[str, str, list[int] | str]]],
    cuda: list[int],
    driver: list[int],
    arch: list[int],
    brand: str,
) -> None:
    own = {"cuda": cuda, "driver": driver, "arch": arch}

    def holds(name: str, sign: str, value: list[int] | str) -> bool:
        if isinstance(value, str):
            return bool(SIGNS[sign](brand, value))
        return bool(SIGNS[sign](padded(own[name]), padded(value)))

    # A driver of one number is a branch; here it is meant as it stands.
    properties = Properties(dotted(cuda), dotted(padded(driver)), dotted(arch), frozenset({brand}))
    expected = not terms or any(all(holds(*factor) for factor in factors) for factors in terms)
    assert evaluate(spelled(terms), properties).holds is expected


@given(
    terms=TERMS,
    cuda=st.none() | NUMBERS,
    arch=st.none() | NUMBERS,
    brands=st.sets(st.sampled_from(BRANDS)),
)
def test_what_is_told_without_all_properties_holds_whatever_they_are(
    terms: list[list[tuple[str, str, list[int] | str]]],
    cuda: list[int] | None,
    arch: list[int] | None,
    brands: set[str],
) -> None:
    requirement = spelled(terms)
    known = Properties(
        None if cuda is None else dotted(cuda), "5.1.0", None if arch is None else dotted(arch), frozenset(brands)
    )
    told = evaluate(requirement, known).holds
    if told is None:
        return
    some = [[0], [3], [6, 5], [12, 12, 12]]
    for one, other, brand in product(
        some if cuda is None else [cuda], some if arch is None else [arch], brands or BRANDS
    ):
        world = Properties(dotted(one), "5.1.0", dotted(other), frozenset({brand}))
        assert evaluate(requirement, world).holds is told


@given(st.text(alphabet="cudabrniver=<>!., 019x\n", max_size=60) | st.text(max_size=60))
def test_any_text_is_evaluated(text: str) -> None:
    assert isinstance(evaluate(text, GEFORCE), Outcome)


@pytest.mark.parametrize("unit", ["cuda>=99 ", "cuda>=1,", ", ", "x", "brand=tesla,driver>=470,driver<471 ", "9"])
def test_long_values_are_evaluated_at_once(unit: str) -> None:
    assert isinstance(evaluate(unit * (100_000 // len(unit)), GEFORCE), Outcome)
