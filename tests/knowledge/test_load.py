"""The knowledge that ships is well-formed; the user's own is told what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from reprocheck.errors import DataError
from reprocheck.knowledge import TABLES, load
from reprocheck.knowledge.load import wrong
from reprocheck.knowledge.rows import (
    ArchitectureRange,
    CudaRelease,
    DefaultChange,
    DeterminismSetting,
    DriverBranch,
    FailureSignature,
    ForwardCompatibility,
    FrameworkBuild,
    Gpu,
    GpuArchitecture,
    KnownBreak,
    Row,
    VersionPair,
    WheelArchitectures,
)

KNOWN = load()
SHIPPED: dict[str, Sequence[Row]] = {
    "framework_build": KNOWN.framework_builds,
    "version_pair": KNOWN.version_pairs,
    "torch_wheel_arch": KNOWN.wheel_architectures,
    "cuda_driver_min": KNOWN.cuda_releases,
    "cuda_driver_branch": KNOWN.driver_branches,
    "cuda_arch_range": KNOWN.architecture_ranges,
    "cuda_forward": KNOWN.forward_compatibility,
    "gpu_capability": KNOWN.gpus,
    "gpu_architecture": KNOWN.gpu_architectures,
    "known_break": KNOWN.known_breaks,
    "failure_signature": KNOWN.failure_signatures,
    "determinism": KNOWN.determinism_settings,
    "default_change": KNOWN.default_changes,
}


def identity(row: Row) -> object:  # noqa: C901, PLR0911 - one a table
    """What no two rows of a table may share: their answer to it would be two answers."""
    match row:
        case FrameworkBuild():
            return row.framework, row.version, row.platform
        case VersionPair():
            return row.package, row.version, row.partner
        case WheelArchitectures():
            return row.torch, row.cuda
        case CudaRelease():
            return row.release
        case DriverBranch():
            return row.branch
        case ArchitectureRange():
            return row.cuda_from
        case ForwardCompatibility():
            return row.cuda
        case Gpu():
            return row.gpu
        case DefaultChange():
            return row.packages, row.version, row.setting
        case GpuArchitecture():
            return row.compute_capability
        case KnownBreak() | FailureSignature() | DeterminismSetting():
            return row.name
    raise AssertionError(row)


def test_each_table_is_looked_at() -> None:
    assert SHIPPED.keys() == TABLES.keys()
    assert all(SHIPPED.values())


@pytest.mark.parametrize("table", SHIPPED)
def test_rows_that_ship_are_well_formed(table: str) -> None:
    assert [(row, problem) for row in SHIPPED[table] if (problem := wrong(row))] == []


@pytest.mark.parametrize("table", SHIPPED)
def test_no_two_rows_answer_one_question(table: str) -> None:
    identities = [identity(row) for row in SHIPPED[table]]
    assert sorted(map(str, identities)) == sorted(map(str, set(identities)))


def own(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text)
    return path


GOOD = """
[[known_break]]
name = "ours"
package = "ourlib"
specifier = "<2"
partner = "numpy"
partner_specifier = ">=2"
effect = "import-fails"
symptom = "numpy.core"
explanation = "ourlib 1 uses numpy.core."
fix = "ourlib>=2"
confidence = "high"
source = "our tracker, 17"
"""


def test_the_user_s_own_rows_stand_behind_the_ones_that_ship(tmp_path: Path) -> None:
    known = load([own(tmp_path, GOOD)])
    assert known.known_breaks[-1].name == "ours"
    assert known.known_breaks[:-1] == KNOWN.known_breaks
    assert known.gpus == KNOWN.gpus


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[[known_break]]", "[[known_breaks]]", "known_breaks: no such table; there are framework_build, "),
        ('specifier = "<2"', 'specifier = "2 or 3"', "known_break[0].specifier: '2 or 3' is no version specifier"),
        ('symptom = "numpy.core"', 'symptom = "("', "known_break[0].symptom: no regular expression"),
        ('source = "our tracker, 17"', "", "known_break[0]: Object missing required field `source`"),
        ('source = "our tracker, 17"', 'source = " "', "known_break[0].source: a row says where it is from"),
        ('effect = "import-fails"', 'effect = "explodes"', "known_break[0].effect: Invalid enum value 'explodes'"),
        ('fix = "ourlib>=2"', "fix = 2", "known_break[0].fix: Expected `str`, got `int`"),
        ('fix = "ourlib>=2"', 'fixed = "ourlib>=2"', "known_break[0]: Object"),
        ('package = "ourlib"', 'package = "Our_Lib"', "known_break[0].package: 'Our_Lib' is not normalised (PEP 503)"),
        ('partner = "numpy"', 'partner = "NumPy"', "known_break[0].partner: 'NumPy' is not normalised (PEP 503)"),
        ('specifier = "<2"', f'specifier = "<{"9" * 5000}"', "known_break[0].specifier: a number has more than 1,000"),
        ("[[known_break]]", f"a = {'1' * 6000}", "not TOML"),
        ("[[known_break]]", "[[known_break]", "not TOML"),
        ("[[known_break]]", "x = " + "[" * 9000, "not TOML"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path: Path, before: str, after: str, said: str) -> None:
    path = own(tmp_path, GOOD.replace(before, after, 1))
    with pytest.raises(DataError) as error:
        load([path])
    assert str(error.value).startswith(f"{path}: {said}")
    assert "\n" not in str(error.value)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = own(tmp_path, "\ufeff" + GOOD)
    assert load([path]).known_breaks[-1].name == "ours"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml"):
        load([tmp_path / "none.toml"])
