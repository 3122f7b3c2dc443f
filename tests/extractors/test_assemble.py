"""Every extractor in turn: what belongs to none alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from reprocheck.extractors import machine, os_packages, system
from reprocheck.extractors.assemble import EXTRACTORS, assemble
from reprocheck.model.evidence import Answer, AnyWant, Command, Evidence, Interpreter
from tests.evidence import Tree, interpreter, plant

if TYPE_CHECKING:
    from pathlib import Path

    from reprocheck.model.snapshot import Snapshot

FILES = {"/etc/os-release": "ID=x\n", "/proc/cpuinfo": "model name: x\n", "/usr/local/bin/python3": ""}


def failing(root: Path, want: Any) -> tuple[Snapshot, Snapshot]:
    """A container of which all was read, and the same where the probe failed to answer one want."""
    tree = Tree(plant(root, FILES), kind="container", interpreters={"/usr/local/bin/python3": interpreter()})
    whole = assemble(tree.evidence())
    evidence = tree.evidence()
    # As the probe tells it: the want as JSON, whatever it holds.
    evidence.add(Answer(failed=((json.loads(msgspec.json.encode(want)), "OSError: x"),)))
    return whole, assemble(evidence)


@pytest.mark.parametrize(
    ("want_of", "classes"),
    [
        (lambda evidence: next(want for want in machine.wants(evidence) if isinstance(want, Command)), ["machine"]),
        (lambda evidence: os_packages.wants(evidence)[0], ["os_packages"]),
        (lambda evidence: system.wants(evidence)[0], ["system"]),
        (lambda _: Interpreter(at="@python"), ["environments"]),
        (lambda _: Interpreter(at="@self"), ["environments", "system"]),
    ],
)
def test_a_want_that_failed_is_a_gap_of_those_who_wanted_it(want_of: Any, classes: list[str], tmp_path: Path) -> None:
    want: AnyWant = want_of(Evidence(Tree(tmp_path, kind="container").document))
    whole, found = failing(tmp_path, want)
    new = [gap for gap in found.gaps if gap not in whole.gaps]
    assert [gap.what for gap in new] == classes
    assert all("could not answer" in gap.reason and "OSError: x" in gap.reason for gap in new)
    for name, coverage in found.coverage.items():
        before = whole.coverage[name].state
        assert coverage.state == ("partial" if name in classes and before == "complete" else before)


@pytest.mark.parametrize(
    "want", [{"want": "list"}, {"want": "dance"}, "text", None, {"want": "read", "at": "/nobody's"}]
)
def test_a_failed_want_of_nobody_counts_at_every_level(want: Any, tmp_path: Path) -> None:
    whole, found = failing(tmp_path, want)
    assert [gap.what for gap in found.gaps if gap not in whole.gaps] == ["environments"]
    assert found.coverage["environments"].state == "partial"


def test_each_class_says_which_version_of_its_extractor_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "VERSION", 7)
    coverage = assemble(Tree(plant(tmp_path, FILES)).evidence()).coverage
    assert {extractor.CLASS: coverage[extractor.CLASS].version for extractor in EXTRACTORS} == {
        extractor.CLASS: extractor.VERSION for extractor in EXTRACTORS
    }
    assert coverage["system"].version == 7


def test_the_id_of_an_image_is_not_taken_for_the_digest_of_its_configuration(tmp_path: Path) -> None:
    # In a containerd image store it is the digest of a manifest or an index.
    provenance = assemble(Tree(plant(tmp_path, FILES)).evidence()).provenance
    assert (provenance.image_id, provenance.config_digest) == ("sha256:0", None)
