from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from reprocheck import diff
from reprocheck.errors import UsageError
from reprocheck.model.snapshot import (
    Accelerator,
    CondaPackage,
    Coverage,
    Cpu,
    CudaLibrary,
    Device,
    Driver,
    FactClass,
    Files,
    Image,
    Libc,
    Machine,
    OsPackage,
    OsRelease,
    PathFile,
    Provenance,
    Snapshot,
    System,
)
from tests.make import environment, of, package, python, snapshot, without

if TYPE_CHECKING:
    from reprocheck.model.snapshot import TargetKind


def changes(before: Snapshot, after: Snapshot) -> list[tuple[str, str, Any, Any]]:
    found = diff.changes(before, after, diff.pair_environments(before, after, {}))
    return [("/".join(one.path[-2:]), one.kind, one.before, one.after) for one in found]


def pairs(before: Snapshot, after: Snapshot, **by_hand: str) -> list[tuple[str, str, str]]:
    pairing = diff.pair_environments(before, after, {f"/{one}": other for one, other in by_hand.items()})
    return [(pair.before, pair.after, pair.rule) for pair in pairing.pairs]


# Pairing.


def test_each_rule_of_pairing_in_its_order() -> None:
    before = snapshot(
        environment(name="/hand"),
        environment(name="/path", on_path=True),
        environment(name="/same"),
        environment(name="/like", kind="conda"),
        environment(name="/lone", kind="venv"),
    )
    after = snapshot(
        environment(name="/hand2"),
        environment(name="/path2", on_path=True),
        environment(name="/same"),
        environment(name="/like2", kind="conda"),
        environment(name="/lone2", kind="venv", python=python("3.12.1")),
    )
    assert pairs(before, after, hand="/hand2") == [
        ("/hand", "/hand2", "--env"),
        ("/like", "/like2", "same kind and Python"),
        ("/lone", "/lone2", "lone"),
        ("/path", "/path2", "on PATH"),
        ("/same", "/same", "same id"),
    ]


def test_on_path_wins_over_the_same_id() -> None:
    before = snapshot(environment(name="/a", on_path=True), environment(name="/b"))
    after = snapshot(environment(name="/a"), environment(name="/b", on_path=True))
    assert ("/a", "/b", "on PATH") in pairs(before, after)


@pytest.mark.parametrize(("one", "other"), [("image", "python"), ("host", "container"), ("python", "python")])
def test_an_interpreter_that_was_named_need_not_be_on_the_path(one: TargetKind, other: TargetKind) -> None:
    before = snapshot(environment(name="/a", on_path=True), kind=one)
    after = snapshot(environment(name="/b", on_path=True), kind=other)
    assert pairs(before, after) == [("/a", "/b", "named")]


def test_kind_and_python_pair_only_where_unique() -> None:
    before = snapshot(environment(name="/a", kind="venv"), environment(name="/b", kind="venv"))
    after = snapshot(environment(name="/c", kind="venv"), environment(name="/d", kind="venv"))
    pairing = diff.pair_environments(before, after, {})
    assert (pairing.pairs, pairing.before_only, pairing.after_only) == ((), ("/a", "/b"), ("/c", "/d"))


@pytest.mark.parametrize(
    ("by_hand", "said"),
    [
        ({"/nope": "/c"}, "--env: /nope is no environment of the first side; there: /a, /b"),
        ({"/a": "/nope"}, "--env: /nope is no environment of the second side; there: /c"),
        ({"/a": "/c", "/b": "/c"}, "--env: /c is given twice; there: /c"),
    ],
)
def test_wrong_pairs_by_hand_list_what_there_is(by_hand: dict[str, str], said: str) -> None:
    before, after = snapshot(environment(name="/a"), environment(name="/b")), snapshot(environment(name="/c"))
    with pytest.raises(UsageError) as caught:
        diff.pair_environments(before, after, by_hand)
    assert str(caught.value) == said


# Packages.


def test_packages_by_name() -> None:
    before = of(package("a==1"), package("gone==1"), package("same==1"))
    after = of(package("a==2"), package("new==1"), package("same==1"))
    found = changes(before, after)
    assert [(where, kind) for where, kind, _, _ in found] == [
        ("a/version", "changed"),
        ("packages/gone", "removed"),
        ("packages/new", "added"),
    ]
    assert found[0][2:] == ("1", "2")
    assert found[1][2]["version"] == found[2][3]["version"] == "1"


@pytest.mark.parametrize(
    ("fields", "fact"),
    [
        ({"origin": "https://example.org/a.whl"}, "a/origin"),
        ({"editable": True}, "a/editable"),
        ({"tags": ("py3-none-any",)}, "a/tags"),
        ({"build": "2"}, "a/build"),
        ({"files": Files(count=1, record_sha256="ff")}, "a/record_sha256"),
    ],
)
def test_each_compared_fact(fields: dict[str, Any], fact: str) -> None:
    plain = package("a==1", files=Files(count=1, record_sha256="00"))
    other = package("a==1", **{"files": plain.files, **fields})
    assert [(where, kind) for where, kind, _, _ in changes(of(plain), of(other))] == [(fact, "changed")]


def test_what_is_bound_to_the_place_is_not_compared() -> None:
    before = snapshot(environment(package("a==1"), python=python(executable="/usr/bin/python3", prefix="/usr")))
    moved = package("a==1", location="{prefix}/lib/python3.9/dist-packages", installer="uv", requested=True)
    after = snapshot(environment(moved, name="/opt/venv", python=python(executable="/opt/python", prefix="/opt")))
    assert changes(before, after) == []


def test_names_that_look_private_or_odd_are_compared() -> None:
    odd = '__a["b"].c\'d'
    assert [kind for _, kind, _, _ in changes(of(package(f"{odd}==1")), of(package(f"{odd}==2")))] == ["changed"]


def test_items_that_share_nothing_are_not_merged_into_one_change() -> None:
    before = of(*(package(f"a{n}==1") for n in range(9)))
    after = of(*(package(f"b{n}==1") for n in range(9)))
    assert [kind for _, kind, _, _ in changes(before, after)] == ["removed"] * 9 + ["added"] * 9


def test_the_copy_that_python_takes_is_compared() -> None:
    hidden = package("a==9", active=False, location="{base}/site-packages")
    shifted = package("a==1", location="{prefix}/x")
    found = changes(of(package("a==1")), of(shifted, hidden))
    assert found == [("duplicates/a", "added", None, {"same_directory": "", "shadowed": "9"})]


def test_duplicates_in_one_directory() -> None:
    found = changes(of(package("a==1")), of(package("a==1"), package("a==2", active=False)))
    assert found == [("duplicates/a", "added", None, {"same_directory": "1, 2", "shadowed": ""})]


def test_pth_files_keep_their_identity_across_python_versions() -> None:
    def with_pth(minor: str, sha: str) -> Snapshot:
        path = f"{{prefix}}/lib/python{minor}/site-packages/a.pth"
        return snapshot(environment(pth=(PathFile(path=path, executable=True, sha256=sha),)))

    assert changes(with_pth("3.9", "00"), with_pth("3.10", "00")) == []
    assert [where for where, _, _, _ in changes(with_pth("3.9", "00"), with_pth("3.10", "11"))] == [
        "{prefix}/lib/python*/site-packages/a.pth/sha256"
    ]


def test_a_gap_in_another_environment_hides_nothing() -> None:
    """The second side's `/v` pairs with `/usr`; its gap is about a `/usr` of its own, which it has not."""
    before = snapshot(environment(package("a==1"), name="/usr"))
    after = snapshot(environment(name="/v", on_path=True), gaps=["environments[/usr].packages"])
    assert [(where, kind) for where, kind, _, _ in changes(before, after)] == [("packages/a", "removed")]


def test_conda_packages_are_keyed_by_name() -> None:
    def managed(*packages: tuple[str, str]) -> Snapshot:
        records = tuple(CondaPackage(name=name, version=version, build="0") for name, version in packages)
        return snapshot(environment(kind="conda", conda=records))

    before, after = managed(("mkl", "1"), ("zlib", "1")), managed(("mkl", "2"), ("xz", "1"))
    assert [(where, kind) for where, kind, _, _ in changes(before, after)] == [
        ("mkl/version", "changed"),
        ("conda/xz", "added"),
        ("conda/zlib", "removed"),
    ]
    twice = managed(("mkl", "2"), ("mkl", "1"))
    assert changes(twice, managed(("mkl", "1"), ("mkl", "2"))) == []
    assert changes(before, snapshot(environment(kind="conda"))) == []


# The other classes.


def test_system_and_os_packages() -> None:
    def system(version: str, libc: str, *packages: OsPackage) -> Snapshot:
        release = OsRelease(id="debian", version_id=version, pretty_name="Debian")
        facts = System(os=release, libc=Libc(name="glibc", version=libc), architecture="x86_64", locale="C")
        return snapshot(system=facts, os_packages=packages)

    def dpkg(name: str, version: str, architecture: str = "amd64") -> OsPackage:
        return OsPackage(manager="dpkg", name=name, version=version, architecture=architecture)

    before = system("11", "2.31", dpkg("zlib", "1"), dpkg("zlib", "1", "i386"))
    after = system("12", "2.36", dpkg("zlib", "2"), dpkg("zlib", "1", "i386"))
    assert changes(before, after) == [
        ("dpkg/zlib/amd64/version", "changed", "1", "2"),
        ("libc/version", "changed", "2.31", "2.36"),
        ("os/version_id", "changed", "11", "12"),
    ]


def test_several_versions_of_one_os_package_are_one_fact() -> None:
    keys = [OsPackage(manager="rpm", name="gpg-pubkey", version=v, architecture="none") for v in ("2", "1")]
    assert changes(snapshot(os_packages=tuple(keys)), snapshot(os_packages=tuple(reversed(keys)))) == []
    assert changes(snapshot(os_packages=tuple(keys)), snapshot(os_packages=(keys[0],)))[0][2:] == ("1, 2", "2")


def test_variables() -> None:
    before = snapshot(variables={"OMP_NUM_THREADS": "1", "GONE": "x", "SECRET": None, "__X": "1"})
    after = snapshot(variables={"OMP_NUM_THREADS": "2", "SECRET": None, "NEW": None, "__X": "2"})
    assert changes(before, after) == [
        ("variables/GONE", "removed", {"value": "x"}, None),
        ("variables/NEW", "added", None, {"value": None}),
        ("OMP_NUM_THREADS/value", "changed", "1", "2"),
        ("__X/value", "changed", "1", "2"),
    ]


def test_a_withheld_value_is_not_a_changed_one() -> None:
    assert changes(snapshot(variables={"A": None}), snapshot(variables={"A": "x"})) == []


def test_image_settings_without_labels() -> None:
    before = snapshot(image=Image(user="app", exposed_ports=("80/tcp",), labels={"a": "b"}, cmd=("x",)))
    after = snapshot(image=Image(user="", exposed_ports=("80/tcp", "81/tcp"), labels={"a": "c"}, cmd=("x",)))
    assert changes(before, after) == [
        ("exposed_ports/81/tcp", "added", None, "81/tcp"),
        ("image/user", "changed", "app", ""),
    ]


def test_machine() -> None:
    def machine(driver: str, devices: int, *features: str) -> Snapshot:
        gpu = Device(name="A100", compute_capability="8.0", memory_bytes=4)
        facts = Machine(
            kernel="6.1",
            cpu=Cpu(model="Z", features=features),
            driver=Driver(version=driver, source="libcuda"),
            devices=(gpu,) * devices,
        )
        return snapshot(machine=facts, states={"machine": "complete"})

    assert changes(machine("525", 2, "avx", "avx2"), machine("440", 1, "avx")) == [
        ("features/avx2", "removed", "avx2", None),
        ("A100 (8.0)/count", "changed", 2, 1),
        ("driver/version", "changed", "525", "440"),
    ]


# An extractor that reads more than before.


def version(side: Snapshot, number: int, *classes: FactClass) -> Snapshot:
    """A snapshot whose extractors of these classes had a version."""
    return without(
        side, coverage={**side.coverage, **{name: Coverage(state="complete", version=number) for name in classes}}
    )


def test_what_an_older_extractor_did_not_read_is_no_change() -> None:
    # As if the newer one had learnt to read eggs, builds and another kind of environment.
    shared = package("a==1")
    old = version(snapshot(environment(shared)), 1, "environments")
    new = snapshot(
        environment(package("a==1", build="7"), package("egg==1")), environment(shared, name="/pixi", kind="conda")
    )
    assert len(changes(old, new)) == 3
    newer = version(new, 2, "environments")
    assert changes(old, newer) == changes(newer, old) == []
    (note,) = diff.one_sided(old, newer, ("environments", "image"))
    assert (note.what, note.where) == ("environments", "image:it")
    assert "older" in note.reason
    assert diff.one_sided(newer, old, ("environments",)) == (note,)
    assert diff.one_sided(newer, newer, ("environments",)) == diff.one_sided(old, newer, ("image",)) == ()


def test_what_both_versions_of_an_extractor_read_is_compared() -> None:
    old = version(of(package("a==1"), package("gone==1")), 1, "environments")
    new = version(of(package("a==2"), package("egg==1")), 2, "environments")
    assert [(where, kind) for where, kind, _, _ in changes(old, new)] == [
        ("a/version", "changed"),
        ("packages/gone", "removed"),
    ]
    assert [(where, kind) for where, kind, _, _ in changes(new, old)] == [
        ("a/version", "changed"),
        ("packages/gone", "added"),
    ]


def test_the_version_of_one_class_says_nothing_of_another() -> None:
    old = version(of(package("a==1"), variables={}), 1, "variables")
    new = version(of(package("a==1"), package("b==1"), variables={"X": "1"}), 2, "variables")
    assert [where for where, *_ in changes(old, new)] == ["packages/b"]


# What is not known.


@pytest.mark.parametrize("state", ["not-read", "not-applicable"])
def test_a_class_that_one_side_did_not_read_has_no_changes(state: Any) -> None:
    full = of(package("a==1"))
    blind = snapshot(states={"environments": state})
    assert changes(full, blind) == changes(blind, full) == []
    (note,) = diff.one_sided(full, blind, ("environments", "image"))
    assert note.what == "environments"
    assert diff.one_sided(full, blind, ("image",)) == ()
    assert diff.one_sided(blind, blind, ("environments",)) == ()


def test_files_that_the_first_side_did_not_compare_are_a_note() -> None:
    looked = of(package("a==1", files=Files(count=1, record_sha256="00", checked="sizes", modified=("a.py",))))
    older = of(package("a==1", files=Files(count=1, record_sha256="00")))
    assert changes(older, looked) == changes(looked, older) == []
    (note,) = diff.one_sided(older, looked, ("environments",))
    assert note.what == "environments"
    assert note.reason == "files were not compared with RECORD on this side, so edits of them are no change"
    assert diff.one_sided(looked, older, ("environments",)) == (), "a gap, one for each package"
    assert diff.one_sided(looked, looked, ("environments",)) == diff.one_sided(older, older, ("environments",)) == ()
    assert diff.one_sided(of(package("a==1")), looked, ("environments",)) == (), "nothing to compare with"


def test_a_class_that_an_older_snapshot_does_not_know_is_not_read() -> None:
    full = snapshot(variables={"A": "1"})
    old = without(full, coverage={}, variables={})
    assert changes(full, old) == []


@pytest.mark.parametrize(
    "gap",
    [
        "environments",
        "environments[/usr]",
        "environments[/usr].packages",
        "environments[/usr].packages[a]",
        "environments[/usr].search_path",
        "layers",
    ],
)
def test_a_gap_is_never_a_removal(gap: str) -> None:
    full, holed = of(package("a==1")), of(gaps=[gap])
    assert changes(full, holed) == changes(holed, full) == []
    assert len(changes(full, of())) == 1


def test_what_no_layer_decides_is_gone_whatever_layer_is_lost() -> None:
    before, after = snapshot(image=Image(user="app")), snapshot(image=Image(user=""), gaps=["layers"])
    assert [where for where, *_ in changes(before, after)] == ["image/user"]


def test_a_search_path_that_was_not_read_whole_may_hold_more_of_what_it_leads_to() -> None:
    path_file = PathFile(path="{prefix}/a.pth", executable=False, sha256="0")
    before, after = snapshot(environment(pth=(path_file,))), of(gaps=["environments[/usr].search_path"])
    assert changes(before, after) == []
    assert len(changes(before, of())) == 1


def test_a_gap_in_an_item_leaves_nothing_of_it_comparable() -> None:
    read = package("a==1", tags=("py3-none-any",))
    guessed = package("a==2", origin="unrecorded", tags=("cp39-cp39-linux_x86_64",))
    assert len(changes(of(read), of(guessed))) == 3
    holed = of(guessed, gaps=["environments[/usr].packages[a]"])
    assert changes(of(read), holed) == changes(holed, of(read)) == []


def test_a_version_that_nothing_states_is_no_change() -> None:
    odd = package("a==", problems=("no Version field",))
    assert changes(of(package("a==1")), of(odd)) == changes(of(odd), of(package("a==1"))) == []


def test_a_gap_in_one_package_hides_no_other() -> None:
    before, after = of(package("a==1"), package("b==1")), of(gaps=["environments[/usr].packages[a]"])
    assert [where for where, _, _, _ in changes(before, after)] == ["packages/b"]


def test_a_gap_in_the_listing_leaves_what_was_listed_comparable() -> None:
    before = of(package("a==1"), package("b==1"))
    after = of(package("a==2"), package("c==1"), gaps=["environments[/usr].packages"])
    assert [(where, kind) for where, kind, _, _ in changes(before, after)] == [
        ("a/version", "changed"),
        ("packages/c", "added"),
    ]


@pytest.mark.parametrize(
    ("fields", "gap"),
    [
        ({"version": ""}, "version"),
        ({"origin": "unreadable"}, "origin"),
        ({"tags": ()}, "tags"),
        ({"requires": None}, "requires"),
    ],
)
def test_an_unknown_fact_of_a_package_is_no_change(fields: dict[str, Any], gap: str) -> None:
    facts: dict[str, Any] = {"tags": ("py3-none-any",)}
    whole = of(package("a==1", **facts))
    holed = of(package("a==1", **{**facts, **fields}), gaps=[f"environments[/usr].packages[a].{gap}"])
    assert changes(whole, holed) == changes(holed, whole) == []


def test_a_gap_finds_its_environment_when_the_ids_differ() -> None:
    before = snapshot(environment(package("a==1"), name="/old", on_path=True))
    after = snapshot(environment(name="/new[1].x", on_path=True), gaps=["environments[/new[1].x].packages"])
    assert changes(before, after) == []


def test_a_gap_of_an_unpaired_environment_hides_nothing_of_the_other_sides_one_of_that_id() -> None:
    before = snapshot(environment(package("a==1"), name="/usr", on_path=True))
    after = snapshot(
        environment(name="/opt", on_path=True), environment(name="/usr"), gaps=["environments[/usr].packages"]
    )
    assert [change[:2] for change in changes(before, after)] == [
        ("environments//usr", "added"),
        ("packages/a", "removed"),
    ]


def test_a_gap_of_a_whole_class() -> None:
    package_ = OsPackage(manager="dpkg", name="zlib", version="1", architecture="amd64")
    assert changes(snapshot(os_packages=(package_,)), snapshot(gaps=["os_packages"])) == []


def test_an_unknown_system_fact_is_no_change() -> None:
    known = System(os=OsRelease(id="debian", version_id="11", pretty_name="x"), architecture="x86_64")
    assert changes(snapshot(system=known), snapshot(system=System())) == []


def test_unpaired_environments_are_single_changes() -> None:
    before = snapshot(environment(package("a==1")), environment(package("a==1"), name="/v", kind="venv"))
    found = changes(before, snapshot(environment(package("a==1"))))
    assert found == [("environments//v", "removed", {"kind": "venv", "python": "3.9.2", "packages": 1}, None)]
    assert changes(snapshot(environment(package("a==1"))), before)[0][1] == "added"
    blind = snapshot(environment(package("a==1")), gaps=["environments[/v]"])
    assert changes(before, blind) == []


def test_a_single_interpreter_says_nothing_of_other_environments() -> None:
    image = snapshot(environment(), environment(name="/v", kind="venv"))
    interpreter = snapshot(environment(), kind="python")
    assert changes(image, interpreter) == changes(interpreter, image) == []
    (note,) = diff.one_sided(image, interpreter, ("environments",))
    assert note.where == "python:it"


def test_equal_sides_do_not_pay_for_deepdiff() -> None:
    program = (
        "import sys; from tests.make import of, package, comparison; one = of(package('a==1'));"
        "comparison(one, one); sys.exit('deepdiff' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# Where a side could not look.

UNOWNED: dict[str, Any] = {"source": "file name", "owner": "none"}


def without_leave(*denied: str) -> Snapshot:
    """A side that has /usr alone, and may not look there."""
    return replace(snapshot(environment()), provenance=Provenance(denied=denied))


@pytest.mark.parametrize(
    ("name", "program", "closed"),
    [
        ("/srv/app/venv", "/srv/app/venv/bin/python3", "/srv/app"),
        ("/opt/venv", "/opt/venv/bin/python3", "/opt/venv"),
        # The prefix may be entered, the directory of the program may not; or the program may not be run.
        ("/opt/python", "/opt/python/bin/python3.9", "/opt/python/bin"),
        ("/opt/python", "/opt/python/bin/python3.9", "/opt/python/bin/python3.9"),
        ("/opt/venv", "/opt/venv/bin/python3", "/"),
    ],
)
def test_an_environment_where_a_side_may_not_look_is_a_gap_and_no_change(name: str, program: str, closed: str) -> None:
    fuller = snapshot(environment(), environment(name=name, python=python(executable=program)))
    poorer = without_leave(closed, "/var/private")
    for before, after, where in ((fuller, poorer, closed), (poorer, fuller, f"{poorer.header.target}: {closed}")):
        assert changes(before, after) == []
        (gap,) = diff.out_of_sight(before, after, diff.pair_environments(before, after, {}).pairs)
        assert (gap.what, gap.where) == (f"environments[{name}]", where)
        assert gap.reason == "permission denied, so it is not known whether this environment is there"


def test_an_environment_beside_a_closed_directory_is_removed() -> None:
    before = snapshot(environment(), environment(name="/srv/application"))
    after = without_leave("/srv/app", "/srv/application/data")
    assert [kind for _, kind, *_ in changes(before, after)] == ["removed"]
    assert list(diff.out_of_sight(before, after, diff.pair_environments(before, after, {}).pairs)) == []


@pytest.mark.parametrize("hidden", [{"denied": ("/srv",)}, {"mounts": ("/srv/cuda",)}])
def test_a_cuda_library_where_a_side_may_not_look_is_a_gap_and_no_change(hidden: dict[str, Any]) -> None:
    def side(*paths: str, **provenance: Any) -> Snapshot:
        copies = [CudaLibrary(component="cudart", version="11.2", path=path, **UNOWNED) for path in paths]
        accelerator = Accelerator(cuda=tuple(copies))
        found = snapshot(environment(), accelerator=accelerator, states={"accelerator": "complete"})
        return replace(found, provenance=Provenance(**provenance))

    # A link may lead to one of the copies even there.
    fuller = side("/opt/libcudart.so.11.2", "/srv/cuda/libcudart.so.11.2", "/srv/cuda/seen.so.11.2")
    poorer = side("/srv/cuda/seen.so.11.2", **hidden)
    for before, after, gone in ((fuller, poorer, "removed"), (poorer, fuller, "added")):
        ((name, kind, *_),) = changes(before, after)
        assert (name.rpartition("\0")[2], kind) == ("/opt/libcudart.so.11.2", gone)
        (gap,) = diff.out_of_sight(before, after, diff.pair_environments(before, after, {}).pairs)
        assert gap.what == "accelerator.cuda"
        assert gap.reason.endswith("so it is not known whether cudart (/srv/cuda/libcudart.so.11.2) is there")


def test_what_is_on_path_out_of_sight_is_compared_with_nothing_else() -> None:
    before = snapshot(environment(on_path=False), environment(name="/root/venv", on_path=True))
    after = without_leave("/root")
    assert pairs(before, after) == pairs(after, before) == [("/usr", "/usr", "same id")]
    assert ("/root/venv", "/usr", "on PATH") in pairs(before, replace(after, provenance=Provenance()))
