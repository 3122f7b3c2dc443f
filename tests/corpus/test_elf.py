"""ELF headers of the test suite of packaging: whole ones, cut ones, foreign ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from reprocheck.model.evidence import ElfEvidence
from reprocheck.probe import collect

_MACHINES = {3: "i386", 40: "ARM", 62: "x86_64"}
_HARD_FLOAT = 0x400
"""``EF_ARM_ABI_FLOAT_HARD`` (ELF for the ARM Architecture)."""


def described(told: ElfEvidence, answer: str) -> str:
    """A summary in the words of the answers."""
    if told.bits is None:
        return "ERROR"
    if answer.startswith("interpreter "):
        return f"interpreter {told.interpreter}"
    if answer == "64-bit big-endian":
        return f"{told.bits}-bit {'big' if told.order == '>' else 'little'}-endian"
    float_abi = " hard float" if told.machine == 40 and (told.flags or 0) & _HARD_FLOAT else ""
    return f"{told.bits}-bit {_MACHINES[told.machine or 0]}{float_abi}"


def test_packaging() -> None:
    where = os.environ.get("REPROCHECK_CORPUS")
    if not where:
        pytest.skip("REPROCHECK_CORPUS is not set")
    folder = Path(where) / "packaging"
    answers: dict[str, Any] = json.loads((folder / "EXPECTED.json").read_bytes())["elf"]
    for path, answer in answers.items():
        told = collect.Answer({}).linked(os.fsencode(folder / path))
        known = {name: value for name, value in told.items() if name in ElfEvidence.__struct_fields__}
        assert set(known) == set(told)
        assert described(ElfEvidence(**known), answer) == answer, path
        # All of them are cut behind what they are about.
        assert str(told["problem"]).startswith("not a valid ELF file: "), path
    assert len(answers) >= 11
