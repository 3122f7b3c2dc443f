"""What comes from the base image: by layers where they tell, else by what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from reprocheck.base import explained, remarks
from reprocheck.compare import Question, compare
from reprocheck.explain import explain_package
from reprocheck.formats import explain, terminal
from tests.make import environment, of, package, snapshot

if TYPE_CHECKING:
    from reprocheck.model.report import Report
    from reprocheck.model.snapshot import Snapshot

OLD, NEW = package("numpy==1.23.5"), package("numpy==2.0.2")


def traced(side: Snapshot, **authors: int) -> Snapshot:
    """A snapshot that knows which layer brought a package."""
    return replace(side, provenance=replace(side.provenance, authors={"/usr": authors}))


def judged(before: Snapshot, after: Snapshot, base: Snapshot) -> Report:
    return compare(before, after, Question(), base=base)


def told(report: Report) -> dict[str, bool | None]:
    """By rule and subject, whether a finding comes from the base."""
    return {f"{finding.name} {finding.subject.name}": finding.from_base for finding in report.findings}


LAYERS = ["a", "b", "c"]


@pytest.mark.parametrize(("layer", "from_base"), [(0, True), (1, True), (2, False)])
def test_layers_of_the_base_are_the_lowest_of_the_target(layer: int, from_base: bool) -> None:
    # What the base holds does not count where layers tell: its numpy is another one, or the same.
    for held in (OLD, NEW):
        report = judged(of(OLD), traced(of(NEW, layers=LAYERS), numpy=layer), of(held, layers=LAYERS[:2]))
        assert told(report) == {"package-upgraded numpy": from_base}
        assert report.base is not None
        assert (report.base.layers, report.base.shared, report.base.remarks) == (2, 2, ())
        assert (report.base.findings, report.base.others, report.base.untold) == (from_base, not from_base, 0)


@pytest.mark.parametrize("held", [OLD, NEW])
def test_what_no_layer_is_known_to_have_brought_is_looked_up_in_the_base(held: Any) -> None:
    report = judged(of(OLD), of(NEW, layers=LAYERS), of(held, layers=LAYERS[:2]))
    assert told(report) == {"package-upgraded numpy": held is NEW}


def test_settings_are_in_the_base_or_not() -> None:
    before, after = of(variables={"A": "1", "B": "1"}), of(variables={"A": "2", "B": "2"}, layers=LAYERS)
    report = judged(before, after, of(variables={"A": "2", "B": "1"}, layers=LAYERS[:1]))
    assert {finding.subject.name: finding.from_base for finding in report.findings} == {"A": True, "B": False}


def test_what_was_removed_in_the_base_comes_from_it() -> None:
    gone = {"package-removed numpy": True}
    assert told(judged(of(OLD), of(layers=LAYERS), of(layers=LAYERS[:2]))) == gone
    assert told(judged(of(OLD), of(layers=LAYERS), of(OLD, layers=LAYERS[:2]))) == dict.fromkeys(gone, False)


@pytest.mark.parametrize(
    ("layers", "below", "reason"),
    [
        (["x"], 0, "image:it is not built on it as it is here, unless it was squashed: no layer agrees"),
        (
            ["a", "b", "x"],
            2,
            "image:it is not built on it as it is here: only the lowest 2 of the base's 3 layers agree",
        ),
        (
            ["a", "b", "c", "d"],
            3,
            "image:it is not built on it as it is here: only the lowest 3 of the base's 4 layers agree",
        ),
        ([], None, "the layers of image:it are not known"),
    ],
)
def test_a_base_that_is_none_is_named_and_its_contents_tell(layers: list[str], below: int | None, reason: str) -> None:
    six, old_six = package("six==2"), package("six==1")
    after = traced(of(NEW, six, layers=LAYERS), numpy=2, six=0)
    report = judged(of(OLD, old_six), after, of(NEW, old_six, layers=layers))
    assert report.base is not None
    assert (report.base.layers, report.base.shared) == (len(layers) or None, below)
    assert report.base.remarks == (f"{reason}; what it holds as well counts as from it",)
    # The layers that both have tell even so.
    assert told(report) == {"package-upgraded numpy": True, "package-upgraded six": bool(below)}


def test_a_target_without_layers_is_compared_by_what_it_holds() -> None:
    root = of(NEW, kind="rootfs")
    report = judged(of(OLD), root, of(NEW, layers=["a"]))
    assert report.base is not None
    assert report.base.remarks == ("the layers of rootfs:it are not known; what it holds as well counts as from it",)
    assert told(report) == {"package-upgraded numpy": True}


def test_what_could_not_be_read_in_the_base_is_not_told() -> None:
    base = of(layers=["a"], states={"environments": "partial"}, gaps=["environments[/usr].packages"])
    report = judged(of(OLD), of(NEW, layers=LAYERS), base)
    assert told(report) == {"package-upgraded numpy": None}
    assert report.base is not None
    assert (report.base.findings, report.base.others, report.base.untold) == (0, 0, 1)
    assert report.base.remarks == ("not all is known of its environments",)
    assert "none of 1 finding from it, 1 can't be told" in terminal.render(report)


MOVED = "image:it and image:it are not built on the same: did the base image move between them?"


@pytest.mark.parametrize(
    ("first", "second", "moved"),
    [
        (["a", "b", "c"], ["a", "b", "d"], False),
        (["a", "old", "c"], ["a", "b", "c"], True),
        (["old"], ["a", "b", "c"], True),
        (["a", "b", "c"], ["a", "new", "c"], True),
        (["a", "x"], ["a", "y"], False),
        # A lower image, and one whose layers are not known.
        (["a"], ["a", "b", "c"], False),
        ([], ["a", "b", "c"], False),
    ],
)
def test_a_base_that_moved_between_the_sides_is_said(first: list[str], second: list[str], moved: bool) -> None:
    base, before, after = (of(layers=layers) for layers in (["a", "b"], first, second))
    assert (MOVED in remarks(base, after, before)) is moved


def test_environments_that_were_paired_by_hand() -> None:
    before, after = (of(one, layers=LAYERS) for one in (OLD, NEW))
    elsewhere = snapshot(environment(NEW, name="/opt/venv", on_path=True), layers=LAYERS[:1])
    question = Question(pairs={"/usr": "/usr"})
    report = compare(before, after, question, base=elsewhere)
    assert told(report) == {"package-upgraded numpy": True}


def test_without_a_base_nothing_is_said_of_one() -> None:
    report = compare(of(OLD), traced(of(NEW, layers=LAYERS), numpy=2), Question())
    assert report.base is None
    assert told(report) == {"package-upgraded numpy": None}
    assert "base" not in terminal.render(report)


def test_the_text_says_it_of_the_whole_and_of_each() -> None:
    six = package("six==2")
    after = traced(of(NEW, six, layers=LAYERS), numpy=0, six=2)

    def judged(before: Snapshot, after: Snapshot, base: Snapshot) -> Report:
        return compare(before, after, Question(fail_on="minor"), base=base)

    text = terminal.render(judged(of(OLD, package("six==1")), after, of(layers=LAYERS[:2])))
    assert "base        it, the lowest 2 layers of the target · 1 of 2 findings from it\n" in text
    assert "brought by  layer 1 of 3, in the base image: RUN a\n" in text
    assert "brought by  layer 3 of 3, not in the base image: RUN c\n" in text
    text = terminal.render(judged(of(OLD), of(NEW, layers=LAYERS), of(NEW, layers=["x"])))
    assert "brought by  the base image\n" in text
    text = terminal.render(judged(of(OLD), of(NEW, layers=LAYERS), of(OLD, layers=["x"])))
    assert "brought by  what is not in the base image\n" in text


def test_the_last_lines_say_how_the_base_was_read() -> None:
    base = of(NEW, layers=["a"])
    read = replace(base, header=replace(base.header, route="engine storage", executed=False))
    text = terminal.render(judged(of(OLD), of(NEW, layers=LAYERS), read))
    assert text.endswith("  it: read in the engine's storage; nothing of the target was run\n")


@pytest.mark.parametrize(
    ("layers", "held", "from_base"),
    [(LAYERS[:2], OLD, True), (LAYERS[:1], NEW, False), (["x"], NEW, True), (["x"], OLD, False), ([], NEW, True)],
)
def test_one_package_is_explained_so_too(layers: list[str], held: Any, from_base: bool) -> None:
    target, base = traced(of(NEW, layers=LAYERS), numpy=1), of(held, layers=layers)
    (one,) = explained(explain_package(target, "numpy"), base, target)
    assert one.from_base is from_base
    words = "in the base image" if from_base else "not in the base image"
    assert f"brought by  layer 2 of 3, {words}: RUN b\n" in explain.render((one,))


def test_a_package_is_looked_up_in_the_environment_of_its_name() -> None:
    """A squashed image has lost its settings, and has another interpreter on its PATH than its base."""
    venv = environment(NEW, name="/opt/venv", kind="venv")
    base = snapshot(environment(OLD, on_path=False), replace(venv, on_path=True))
    target = snapshot(environment(OLD), venv)
    told = explained(explain_package(target, "numpy"), base, target)
    assert {one.environment: one.from_base for one in told} == {"/opt/venv": True, "/usr": True}


@pytest.mark.parametrize(
    ("kind", "layers", "layer"),
    [("image", LAYERS, 3), ("image", [*LAYERS, "d"], None), ("container", LAYERS[:2], 3), ("container", LAYERS, None)],
)
def test_the_one_layer_above_the_base_has_brought_what_is_not_in_it(
    kind: Any, layers: list[str], layer: int | None
) -> None:
    """In a throw-away container no layer is seen, and of a baseline on an older base the layers tell nothing."""
    before = of(OLD, package("six==1"), layers=["old"], variables={"A": "1"})
    after = of(NEW, package("six==2"), layers=layers, kind=kind, variables={"A": "2"})
    report = judged(before, after, of(OLD, package("six==2"), layers=LAYERS[:2], variables={"A": "1"}))
    found = {one.subject.name: one.introduced_by and one.introduced_by.layer for one in report.findings}
    assert found == {"numpy": layer, "six": None, "A": None}
    assert told(report) == {
        "package-upgraded numpy": False, "package-upgraded six": True, "variable-changed A": False,
    }  # fmt: skip
