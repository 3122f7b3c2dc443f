from __future__ import annotations

import re
from typing import Any

import pytest

from reprocheck.knowledge import load
from reprocheck.model.snapshot import Accelerator, Framework, Snapshot, System
from reprocheck.redact import is_shown
from reprocheck.rules import determinism
from tests.make import environment, finding, findings, package, snapshot

KNOWN = load()
X86 = System(architecture="x86_64")


def variables(*packages: str, **values: str | None) -> Snapshot:
    return snapshot(environment(*map(package, packages)), variables=values, system=X86)


# What is known.


@pytest.mark.parametrize(
    "row", [row for row in KNOWN.determinism_settings if row.kind == "env"], ids=lambda row: row.name
)
def test_the_value_of_what_affects_numbers_is_captured(row: Any) -> None:
    assert re.fullmatch("[A-Z][A-Z0-9_]*", row.name)
    assert is_shown(row.name)


def test_settings_that_change_runs_say_with_which_values_they_repeat() -> None:
    rows = KNOWN.determinism_settings
    assert [row.name for row in rows if (row.changes == "runs") != bool(row.repeats)] == []
    assert {"NVIDIA_TF32_OVERRIDE", "MKL_CBWR", "XLA_FLAGS"} <= determinism.settings(KNOWN).keys()
    assert "LD_LIBRARY_PATH" not in determinism.settings(KNOWN)


# Variables.


@pytest.mark.parametrize(
    ("name", "before", "after", "severity"),
    [
        ("NVIDIA_TF32_OVERRIDE", "0", None, "major"),
        ("NVIDIA_TF32_OVERRIDE", None, "0", "major"),
        ("TF_ENABLE_ONEDNN_OPTS", "0", "1", "major"),
        ("JAX_ENABLE_X64", None, "1", "major"),
        ("TF_DETERMINISTIC_OPS", "1", None, "major"),
        ("TF_DETERMINISTIC_OPS", "1", "0", "major"),
        ("TF_DETERMINISTIC_OPS", None, "1", "minor"),
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8", None, "major"),
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8", ":16:8", "minor"),
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8", ":4096:2", "major"),
        ("PYTHONHASHSEED", "0", None, "major"),
        ("PYTHONHASHSEED", "0", "random", "major"),
        ("PYTHONHASHSEED", "0", "42", "minor"),
        ("MKL_CBWR", "AVX2,STRICT", None, "major"),
        ("MKL_CBWR", "AVX2", "COMPATIBLE", "minor"),
        ("OMP_NUM_THREADS", "1", None, "minor"),
        ("MKL_NUM_THREADS", "4", "8", "minor"),
        ("XLA_FLAGS", "--a=1 --xla_gpu_deterministic_ops=true", "--a=1", "major"),
        ("XLA_FLAGS", "--xla_gpu_deterministic_ops", "--xla_gpu_deterministic_ops=true --a=1", "minor"),
        ("XLA_FLAGS", "--xla_gpu_deterministic_ops=true", "--xla_gpu_deterministic_ops=false", "major"),
    ],
)
def test_a_setting_that_was_lost_or_changed(name: str, before: Any, after: Any, severity: str) -> None:
    installed = "tensorflow==2.5", "torch==2.0", "jax==0.4"
    one, other = (variables(*installed, **({} if value is None else {name: value})) for value in (before, after))
    (found,) = findings(one, other)
    assert (found.rule, found.subject.kind, found.subject.name) == ("RC801", "variable", name)
    assert (found.severity, found.before, found.after) == (severity, before, after)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("TF_DETERMINISTIC_OPS", "1", "true"),
        ("TF_DETERMINISTIC_OPS", None, "0"),
        ("JAX_ENABLE_X64", "False", None),
        ("PYTHONHASHSEED", "random", None),
        ("MKL_DYNAMIC", "TRUE", None),
    ],
)
def test_another_word_for_the_same_is_no_finding(name: str, before: Any, after: Any) -> None:
    one, other = (variables(**({} if value is None else {name: value})) for value in (before, after))
    assert findings(one, other) == ()


def test_what_nothing_reads_is_info() -> None:
    found = finding(variables(TF_DETERMINISTIC_OPS="1"), variables(), "RC801")
    assert found.severity == "info"
    assert "Nothing is installed that reads it." in found.message
    unread = snapshot(states={"environments": "not-read"})
    assert finding(variables(TF_DETERMINISTIC_OPS="1"), unread, "RC801").severity == "major"
    assert finding(variables(NVIDIA_TF32_OVERRIDE="0"), variables(), "RC801").severity == "major"


def test_what_a_finding_tells() -> None:
    found = finding(variables("jax==0.4", XLA_FLAGS="--a=1 --b=2"), variables("jax==0.4"), "RC801")
    assert found.message.startswith("XLA_FLAGS: --a=1 --b=2 → not set. --xla_gpu_deterministic_ops=true forbids ")
    assert found.message.endswith(" Recommended: record verbatim")
    assert found.fix is not None
    assert found.fix.summary == 'as in the baseline: ENV XLA_FLAGS="--a=1 --b=2"'
    added = finding(variables(), variables(OMP_NUM_THREADS="8"), "RC801")
    assert added.fix is not None
    assert added.fix.summary == "the baseline does not set OMP_NUM_THREADS: remove it"
    withheld = finding(variables(OMP_NUM_THREADS=None), variables(), "RC801")
    assert (withheld.before, withheld.after, withheld.fix) == ("(withheld)", None, None)


def test_what_is_not_known_is_no_finding() -> None:
    unread = snapshot(environment(), states={"variables": "not-read"})
    assert findings(variables(OMP_NUM_THREADS="8"), unread) == ()
    assert findings(variables(NPY_DISABLE_CPU_FEATURES=None), variables(NPY_DISABLE_CPU_FEATURES="AVX2")) == ()


@pytest.mark.parametrize(
    ("version", "value", "fires"),
    [("2.8.4", "1", True), ("2.8.4", "0", False), ("2.9.0", "1", False), ("2.9.0", "0", True)],
)
def test_what_holds_without_a_value_depends_on_the_version(version: str, value: str, fires: bool) -> None:
    tensorflow = f"tensorflow=={version}"
    found = findings(variables(tensorflow), variables(tensorflow, TF_ENABLE_ONEDNN_OPTS=value), "RC801")
    assert [one.severity for one in found] == (["major"] if fires else [])


# Defaults.


def test_a_release_with_another_default_was_crossed() -> None:
    found = finding(variables("tensorflow==2.8.4"), variables("tensorflow==2.9.0"), "RC802")
    assert (found.severity, found.subject.name, found.before, found.after) == ("major", "tensorflow", "2.8.4", "2.9.0")
    assert found.message == (
        "tensorflow 2.8.4 → 2.9.0 computes other numbers by default: TF_ENABLE_ONEDNN_OPTS 0 → 1"
        " (oneDNN kernels compute on x86 processors; they round otherwise)"
    )
    assert found.fix is not None
    assert found.fix.summary == "the old default: TF_ENABLE_ONEDNN_OPTS=0"
    back = finding(variables("tensorflow==2.9.0"), variables("tensorflow==2.8.4"), "RC802")
    assert "TF_ENABLE_ONEDNN_OPTS 1 → 0 (no more, as before 2.9: oneDNN" in back.message
    assert back.fix is None


def test_several_defaults_of_one_package_are_one_finding() -> None:
    found = finding(variables("tensorflow==2.3.0"), variables("tensorflow==2.11.0"), "RC802")
    assert "(TF32); " in found.message or "round otherwise); " in found.message
    assert len(found.evidence) == 2


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("torch==1.6.0", "torch==1.7.0", "False → True"),
        ("torch==1.11.0", "torch==1.12.0+cu116", "True → False"),
        ("torch==1.13.1", "torch==1.10.0", "False → True (no more, as before 1.12: "),
        ("torch==1.6.0", "torch==2.0.0", None),
        ("torch==2.0.0", "torch==2.9.0", None),
        ("jax==0.4.38", "jax==0.5.0", "JAX_THREEFRY_PARTITIONABLE 0 → 1"),
        ("jax==0.4.38", "jax==whatever", None),
    ],
)
def test_releases(before: str, after: str, said: str | None) -> None:
    found = findings(variables(before), variables(after), "RC802")
    assert len(found) == (said is not None)
    assert all(str(said) in one.message for one in found)


def test_a_default_that_is_overruled_or_does_not_concern() -> None:
    old, new = "tensorflow==2.8.4", "tensorflow==2.9.0"
    off = {"TF_ENABLE_ONEDNN_OPTS": "0"}
    assert findings(variables(old, **off), variables(new, **off), "RC801", "RC802") == ()
    assert findings(variables(old), variables(new, **off), "RC801", "RC802") == ()
    assert [one.rule for one in findings(variables(old, **off), variables(new), "RC801", "RC802")] == ["RC801"]
    arm = [snapshot(environment(package(one)), system=System(architecture="aarch64")) for one in (old, new)]
    assert findings(arm[0], arm[1], "RC802") == ()
    cpu = [
        snapshot(
            environment(package(f"torch=={version}")),
            states={"accelerator": "complete"},
            accelerator=Accelerator(
                frameworks=(Framework(name="torch", version=version, environment="/usr", built_with={}),)
            ),
        )
        for version in ("1.11.0", "1.12.0")
    ]
    assert findings(cpu[0], cpu[1], "RC802") == ()
