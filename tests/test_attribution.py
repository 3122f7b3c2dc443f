"""Which layer a change is put down to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest

from reprocheck.attribution import attribute
from reprocheck.model.report import Finding, FindingSubject, SubjectKind
from reprocheck.model.snapshot import Layer, Package, Provenance
from tests.make import of

if TYPE_CHECKING:
    from reprocheck.model.report import IntroducedBy
    from reprocheck.model.snapshot import Snapshot


_KINDS: tuple[SubjectKind, ...] = ("python-package", "cuda", "os-package")


def finding(kind: SubjectKind = "python-package") -> Finding:
    subject = FindingSubject(kind=kind, name="x")
    return Finding(fingerprint="", rule="", name="", severity="info", subject=subject, message="")


def brought_by(before: Snapshot, after: Snapshot) -> IntroducedBy | None:
    (attributed,) = attribute((finding(),), before, after)
    return attributed.introduced_by


def test_one_new_layer_brought_it() -> None:
    brought = brought_by(of(layers=["a", "b"]), of(layers=["a", "b", "c"]))
    assert brought is not None
    assert (brought.layer, brought.layers) == (3, 3)
    assert (brought.diff_id, brought.instruction) == ("sha256:c", "RUN c")


@pytest.mark.parametrize(
    ("below", "above"),
    [
        (["a"], ["a"]),
        (["a"], ["a", "b", "c"]),
        (["a", "b"], ["a", "x", "c"]),
        (["a", "b"], ["a"]),
        ([], ["a"]),
        (["a"], []),
    ],
)
def test_otherwise_nobody_is_named(below: list[str], above: list[str]) -> None:
    assert brought_by(of(layers=below), of(layers=above)) is None


@pytest.mark.parametrize("kinds", [("container", "image"), ("image", "container")])
def test_what_a_container_changed_lies_above_every_layer(kinds: tuple[Any, Any]) -> None:
    assert brought_by(of(layers=["a"], kind=kinds[0]), of(layers=["a", "b"], kind=kinds[1])) is None


@pytest.mark.parametrize("name", ["PYTHONPATH", "PATH", "LD_LIBRARY_PATH", "CONDA_PREFIX", "PYTHONHASHSEED"])
def test_the_only_layer_is_not_blamed_for_what_a_setting_may_have_done(name: str) -> None:
    before, after = of(layers=["a"]), of(layers=["a", "b"], variables={name: "/opt"})
    found = {kind: attribute((finding(kind),), before, after)[0].introduced_by for kind in _KINDS}
    assert (found["python-package"] is None) == (found["cuda"] is None) == (name != "PYTHONHASHSEED")
    assert found["os-package"] is not None


def test_the_container_is_not_blamed_for_what_is_mounted() -> None:
    before, after = of(layers=["a"]), of(layers=["a"], kind="container")
    assert brought_by(before, after) is not None
    mounted = msgspec.structs.replace(after.provenance, mounts=("/opt",))
    assert brought_by(before, msgspec.structs.replace(after, provenance=mounted)) is None


def test_the_only_layer_is_not_blamed_for_what_another_user_may_not_see() -> None:
    before, after = of(layers=["a"]), of(layers=["a", "b"])
    assert brought_by(before, after) is not None
    other = msgspec.structs.replace(after.image, user="1000")
    assert brought_by(before, msgspec.structs.replace(after, image=other)) is None


@pytest.mark.parametrize("path", ["", "/opt:/srv", "lib", "/opt::/srv", "/opt:"])
@pytest.mark.parametrize("name", ["PATH", "PYTHONPATH", "LD_LIBRARY_PATH"])
def test_the_only_layer_is_not_blamed_for_what_lies_in_another_working_directory(name: str, path: str) -> None:
    before, after = of(layers=["a"], variables={name: path}), of(layers=["a", "b"], variables={name: path})
    assert brought_by(before, after) is not None
    moved = msgspec.structs.replace(after.image, workdir="/app")
    named = brought_by(before, msgspec.structs.replace(after, image=moved))
    assert (named is None) == (path not in {"", "/opt:/srv"})


def test_a_layer_of_both_sides_changed_nothing_between_them() -> None:
    for layers, layer in ((["a", "b", "c"], None), (["a", "x", "c"], 2), (["a", "x", "c", "d", "e"], 2)):
        after = of(layers=layers, variables={"PYTHONPATH": "/opt"})
        provenance = msgspec.structs.replace(after.provenance, authors={"": {"x": 1}})
        brought = brought_by(of(layers=["a", "b"]), msgspec.structs.replace(after, provenance=provenance))
        assert (brought and brought.layer) == layer


def test_a_layer_without_an_instruction() -> None:
    plain = Provenance(layers=(Layer(index=0, diff_id="sha256:a"), Layer(index=1, diff_id="sha256:b")))
    after = msgspec.structs.replace(of(), provenance=plain)
    brought = brought_by(of(layers=["a"]), after)
    assert brought is not None
    assert brought.instruction is None


def test_a_layer_brings_files_and_no_settings() -> None:
    found = attribute(tuple(map(finding, get_args(SubjectKind))), of(layers=["a"]), of(layers=["a", "b"]))
    assert {one.subject.kind for one in found if one.introduced_by is None} == {
        "variable", "image-config", "driver", "device", "machine", "container", "baseline", "waiver",
    }  # fmt: skip


def traced(
    finding: Finding, authors: dict[str, dict[str, int]], removed: dict[str, dict[str, int]] | None = None
) -> str | None:
    """Instruction of the layer that a finding is put down to, in an image of the layers a, b, c, d over another's."""
    after = of(layers=["a", "b", "c", "d"])
    provenance = msgspec.structs.replace(after.provenance, authors=authors, removed=removed or {})
    after = msgspec.structs.replace(after, provenance=provenance)
    (attributed,) = attribute((finding,), of(layers=["x"]), after)
    return attributed.introduced_by.instruction if attributed.introduced_by else None


def about(kind: SubjectKind, name: str, environment: str | None = None, *suffers: str) -> Finding:
    subject = FindingSubject(kind=kind, name=name, environment=environment)
    return msgspec.structs.replace(finding(), subject=subject, suffers=suffers)


@pytest.mark.parametrize(
    ("told", "brought"),
    [
        (about("python-package", "numpy", "/usr"), "RUN c"),
        (about("python-package", "numpy", "/opt"), "RUN b"),
        (about("python-package", "gone", "/usr"), "RUN d"),
        (about("python-package", "unknown", "/usr"), None),
        (about("os-package", "numpy"), "RUN a"),
        (about("python", "python", "/opt"), "RUN c"),
        (about("python", "implementation", "/opt"), "RUN c"),
        (about("python", "python", "/usr"), None),
        (about("environment", "/opt", "/opt"), "RUN b"),
        (about("conda-package", "numpy", "/usr"), "RUN d"),
        (about("conda-package", "early", "/usr"), None),
        (about("os", "os"), "RUN b"),
        (about("os", "libc"), None),
        (about("variable", "numpy", "/usr"), None),
        (about("cuda", "nccl /usr/lib/libnccl.so.2"), "RUN b"),
        (about("cuda", "cudnn {prefix}/libcudnn.so.8", "/opt"), "RUN c"),
    ],
)
def test_layers_that_were_read_tell(told: Finding, brought: str | None) -> None:
    authors = {
        "/usr": {"numpy": 2, "early": 0, "late": 3},
        "/opt": {"numpy": 1, "cudnn {prefix}/libcudnn.so.8": 2},
        "accelerator": {"nccl /usr/lib/libnccl.so.2": 1},
        "environments": {"/opt": 1},
        "environments[/opt].python": {"python": 2},
        "environments[/usr].conda": {"numpy": 3},
        "system": {"os": 1},
        "os_packages": {"numpy": 0},
    }
    assert traced(told, authors, {"/usr": {"gone": 3}}) == brought


@pytest.mark.parametrize("rule", ["package-upgraded", "package-removed", "package-added", "package-downgraded"])
@pytest.mark.parametrize("name", ["numpy", "gone", "unknown"])
def test_a_change_is_put_down_to_its_own_layer_whoever_suffers(rule: str, name: str) -> None:
    told = msgspec.structs.replace(about("python-package", name, "/usr", "late"), name=rule)
    authors = {"/usr": {"numpy": 2, "early": 0, "late": 3}}
    assert traced(told, authors, {"/usr": {"gone": 2}}) == (None if name == "unknown" else "RUN c")


@pytest.mark.parametrize(
    ("rule", "name", "before", "suffers", "brought"),
    [
        # From when both were there.
        ("requirement-violated", "numpy", None, ("late",), "RUN d"),
        ("requirement-violated", "numpy", None, ("early", "late"), "RUN c"),
        ("requirement-violated", "numpy", None, ("early", "unknown"), "RUN c"),
        ("requirement-violated", "numpy", None, ("late", "unknown"), None),
        ("requirement-violated", "unknown", None, ("early", "late"), None),
        ("requirement-missing", "gone", "1", ("early", "late"), "RUN b"),
        ("requirement-missing", "gone", "1", ("late",), "RUN d"),
        # What was never there: the first who requires it brought the trouble.
        ("requirement-missing", "unknown", None, ("late", "numpy"), "RUN c"),
        ("requirement-missing", "unknown", "1", ("late", "early"), None),
    ],
)
def test_a_requirement_is_not_met_once_both_are_there(
    rule: str, name: str, before: str | None, suffers: tuple[str, ...], brought: str | None
) -> None:
    told = msgspec.structs.replace(about("python-package", name, "/usr", *suffers), name=rule, before=before)
    authors = {"/usr": {"numpy": 2, "early": 0, "late": 3}}
    assert traced(told, authors, {"/usr": {"gone": 1}}) == brought


@pytest.mark.parametrize(
    "rule", ["package-origin-changed", "package-build-changed", "package-files-changed", "framework-build-changed"]
)
def test_what_differs_at_one_version_may_be_of_any_layer_that_wrote_it(rule: str) -> None:
    after = of(layers=["a", "b", "c", "d"])
    traces = {"authors": {"/usr": {"once": 1, "again": 1}}, "rewritten": {"/usr": {"again": 3}}}
    after = msgspec.structs.replace(after, provenance=msgspec.structs.replace(after.provenance, **traces))
    for name, instruction in (("once", "RUN b"), ("again", None)):
        told = msgspec.structs.replace(about("python-package", name, "/usr"), name=rule)
        (attributed,) = attribute((told,), of(layers=["x"]), after)
        assert (attributed.introduced_by and attributed.introduced_by.instruction) == instruction


def test_an_edit_is_put_down_to_the_layer_of_the_edit() -> None:
    after = of(layers=["a", "b", "c"])
    traces = {"authors": {"/usr": {"numpy": 0, "six": 0}}, "edited": {"/usr": {"numpy": 1}}}
    after = msgspec.structs.replace(after, provenance=msgspec.structs.replace(after.provenance, **traces))
    for name, instruction in (("numpy", "RUN b"), ("six", None)):
        told = msgspec.structs.replace(about("python-package", name, "/usr"), name="package-edited")
        (attributed,) = attribute((told,), of(layers=["x"]), after)
        assert (attributed.introduced_by and attributed.introduced_by.instruction) == instruction


@pytest.mark.parametrize(
    ("copies", "same_directory", "shadowed"),
    [
        ({("a", "1"): 3, ("b", "2"): 1}, None, "RUN d"),
        ({("a", "1"): 1, ("b", "2"): 3}, None, "RUN d"),
        ({("a", "1"): 1, ("a", "2"): 2}, "RUN c", None),
        ({("a", "1"): 1, ("a", "2"): 2, ("a", "3"): 3}, "RUN c", None),
        ({("a", "1"): 3, ("b", "2"): 1, ("b", "3"): 2}, "RUN c", "RUN d"),
        ({("a", "1"): 1, ("b", "2"): 2, ("c", "3"): 3}, None, "RUN c"),
        ({("a", "1"): 1, ("b", "1"): 2, ("c", "3"): 3}, None, "RUN d"),
        ({("a", "1"): 1, ("b", "2"): None, ("c", "3"): 3}, None, None),
        ({("a", "1"): None, ("a", "2"): 2}, None, None),
    ],
)
def test_two_copies_are_put_down_to_the_layer_of_the_later(
    copies: dict[tuple[str, str], int | None], same_directory: str | None, shadowed: str | None
) -> None:
    """By directory, the first of which Python takes, and version."""
    packages = [
        Package(name="numpy", version=version, location=location, active=not number)
        for number, (location, version) in enumerate(copies)
    ]
    after = of(layers=["a", "b", "c", "d"])
    (environment,) = after.environments
    environment = msgspec.structs.replace(environment, packages=tuple(packages))
    authors = {
        environment.id: {"numpy": 0},
        f"environments[{environment.id}].copies": {
            f"numpy {version} {location}": layer for (location, version), layer in copies.items() if layer is not None
        },
    }
    provenance = msgspec.structs.replace(after.provenance, authors=authors)
    after = msgspec.structs.replace(after, environments=(environment,), provenance=provenance)
    for rule, instruction in (("duplicate-distribution", same_directory), ("shadowed-distribution", shadowed)):
        told = msgspec.structs.replace(about("python-package", "numpy", environment.id), name=rule)
        (attributed,) = attribute((told,), of(layers=["x"]), after)
        assert (attributed.introduced_by and attributed.introduced_by.instruction) == instruction


@pytest.mark.parametrize(
    ("libraries", "name", "brought"),
    [
        ("libnever.so", "numpy", "RUN c"),
        ("liblate.so", "numpy", "RUN d"),
        ("libearly.so", "numpy", "RUN c"),
        ("liblate.so libearly.so", "numpy", "RUN c"),
        ("liblate.so", "unknown", None),
    ],
)
def test_a_library_is_missing_once_it_is_needed_and_removed(libraries: str, name: str, brought: str | None) -> None:
    told = msgspec.structs.replace(about("python-package", name, "/usr"), name="library-missing", after=libraries)
    removed = {"accelerator": {"liblate.so": 3, "libearly.so": 1}}
    assert traced(told, {"/usr": {"numpy": 2}}, removed) == brought
