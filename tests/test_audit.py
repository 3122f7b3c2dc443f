"""The audit of a target's packages: what is known, what permits the repair, what was not audited."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from reprocheck.audit import Asked, audit, names_of, open_service
from reprocheck.errors import UsageError
from reprocheck.formats.audit import render
from reprocheck.model import codec
from reprocheck.model.audit import Audit, VulnerablePackage
from reprocheck.model.snapshot import CondaPackage, Note, OsPackage, Package, Provenance, Snapshot
from reprocheck.sides import BaselineFile
from tests.advisories.serving import OSV, all_advisories, osv, serving
from tests.make import environment, of, package, snapshot, without

URLLIB3 = package("urllib3==1.26.4")
REQUESTS = package("requests==2.31.0", "urllib3<1.27,>=1.21.1")
CLEAN = (package("urllib3==2.6.3"), package("numpy==1.23.5"))


def files(*snapshots: Snapshot) -> Asked:
    return open_service(None, OSV, 5, names_of(*snapshots))


def audited(target: Snapshot, before: Snapshot | None = None) -> Audit:
    baseline = None if before is None else (before, BaselineFile(name="b.json", digest="sha256:0"))
    told = audit(target, files(target, *([before] if before else [])), baseline)
    assert codec.decode_audit(codec.encode_json(told), "it") == told
    return told


def only(told: Audit) -> VulnerablePackage:
    (found,) = told.vulnerable
    return found


def test_clean() -> None:
    told = audited(of(*CLEAN))
    assert told.verdict == "clean"
    assert (told.summary.packages, told.summary.unaudited, told.summary.vulnerable) == (2, 0, 0)
    assert (told.service.advisories, told.service.newest) == (17, "2024-01-01")


def test_each_vulnerability_with_its_names_and_fixes() -> None:
    told = audited(of(URLLIB3))
    assert told.verdict == "vulnerable"
    found = only(told)
    assert (found.name, found.version, found.environment) == ("urllib3", "1.26.4", "/usr")
    assert [(one.id, one.aliases, [fix.version for fix in one.fixed_in]) for one in found.vulnerabilities] == [
        ("PYSEC-2021-108", ("CVE-2021-33503", "GHSA-q2q7-5pp4-w6pg"), ["1.26.5"]),
        ("PYSEC-2023-192", ("CVE-2023-43804", "GHSA-v845-jxx5-vc9f"), ["1.26.17", "2.0.6"]),
        ("PYSEC-2023-212", ("CVE-2023-45803", "GHSA-g4mx-q9vg-27p4"), ["1.26.18", "2.0.7"]),
    ]


def test_the_repair_is_the_lowest_version_without_any_of_them() -> None:
    # 2.0.6 lies above the fixes of one, and has another still.
    fix = only(audited(of(URLLIB3))).repair
    assert fix is not None
    assert (fix.version, fix.refused_by) == ("1.26.18", ())
    fix = only(audited(of(package("urllib3==2.0.1")))).repair
    assert fix is not None
    assert fix.version == "2.0.7"


def test_the_repair_is_one_that_the_installed_requirements_allow_where_there_is_one() -> None:
    fix = only(audited(of(URLLIB3, REQUESTS))).repair
    assert fix is not None
    assert (fix.version, fix.refused_by) == ("1.26.18", ())
    fix = only(audited(of(URLLIB3, package("botocore==1.31", "urllib3>=2; python_version >= '3.9'")))).repair
    assert fix is not None
    assert (fix.version, fix.refused_by) == ("2.0.7", ())


def test_who_refuses_the_repair_is_named() -> None:
    found = only(audited(of(URLLIB3, package("old==1", 'urllib3[socks]<1.26.5 ; python_version >= "3"'))))
    assert found.repair is not None
    assert found.repair.version == "1.26.18"
    (refusal,) = found.repair.refused_by
    assert (refusal.by, refusal.by_version, refusal.requirement) == ("old", "1", "urllib3[socks]<1.26.5")
    assert [[fix.refused_by != () for fix in one.fixed_in] for one in found.vulnerabilities] == [
        [True],
        [True] * 2,
        [True] * 2,
    ]


def test_requirements_that_do_not_apply_refuse_nothing() -> None:
    found = only(audited(of(URLLIB3, package("old==1", 'urllib3<1.26.5; python_version < "3"'))))
    assert found.repair is not None
    assert found.repair.refused_by == ()


def test_requirements_that_can_not_be_judged_are_told() -> None:
    others = (package("closed==1", requires=None), package("odd==1", "urllib3<<3"), package("other==1", "urllib<<3"))
    assert only(audited(of(URLLIB3, *others))).unjudged == ("closed", "odd")


def test_no_repair_where_one_of_them_has_none() -> None:
    assert only(audited(of(package("py==1.11.0")))).repair is None


def test_the_layer_that_brought_it_is_named() -> None:
    told = audited(
        without(
            of(URLLIB3, layers=("base", "pip install urllib3")),
            provenance=Provenance(
                layers=of(layers=("base", "pip install urllib3")).provenance.layers,
                authors={"/usr": {"urllib3": 1}},
            ),
        )
    )
    layer = only(told).introduced_by
    assert layer is not None
    assert (layer.layer, layer.instruction) == (2, "RUN pip install urllib3")


def test_each_environment_and_the_copy_that_python_takes() -> None:
    hidden = package("urllib3==1.26.4", location="{prefix}/lib/python3/dist-packages", active=False)
    told = audited(snapshot(environment(*CLEAN, hidden), environment(URLLIB3, name="/opt/venv")))
    assert only(told).environment == "/opt/venv"
    assert told.summary.packages == 3


def test_a_local_build_is_taken_for_its_release() -> None:
    told = audited(of(package("pillow==9.0.0+avx2"), package("pyyaml==5.4+local")))
    assert (only(told).name, only(told).version) == ("pillow", "9.0.0+avx2")
    assert told.summary.unaudited == 0


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (
            package("mine==1.0", origin="git+https://example.org/mine@0123"),
            "installed from git+https://example.org/mine@0123",
        ),
        (package("mine==1.0", origin="file:///src/mine"), "installed from file:///src/mine"),
        (
            package("mine==1.0", origin="https://example.org/mine-1.0-py3-none-any.whl"),
            "installed from https://example.org",
        ),
        (package("mine==1.0", editable=True), "installed from index"),
        (package("mine==1.0", origin="unreadable"), "where it was installed from can't be read"),
        (package("mine=="), "its version is not known"),
        (package("mine==what"), "its version is none"),
        (package(f"mine==1.{'9' * 2000}"), "its version is none"),
    ],
)
def test_what_was_not_audited_is_a_gap(one: Package, why: str) -> None:
    told = audited(of(*CLEAN, one))
    assert told.verdict == "unaudited"
    (gap,) = told.gaps
    assert gap.what == "environments[/usr].packages[mine]"
    assert gap.reason.startswith(why)
    assert told.summary.unaudited == 1


def test_a_copy_from_elsewhere_is_a_gap_and_what_is_known_of_its_version_is_told() -> None:
    told = audited(of(package("urllib3==1.26.4", origin="git+https://github.com/urllib3/urllib3@0123")))
    assert told.verdict == "unaudited"
    assert len(only(told).vulnerabilities) == 3


@pytest.mark.parametrize(
    "what",
    [
        "environments",
        "environments[/opt/venv]",
        "environments[/usr].packages",
        "environments[/usr].packages[urllib3].version",
        "environments[/usr].search_path",
        "environments[/usr].pth[x.pth]",
        "layers[2]",
    ],
)
def test_what_leaves_open_which_packages_there_are_is_a_gap(what: str) -> None:
    assert audited(of(*CLEAN, gaps=[what])).verdict == "unaudited"


@pytest.mark.parametrize(
    "what", ["environments[/usr].packages[numpy].requires", "environments[/usr].python.abi", "os_packages", "machine"]
)
def test_other_gaps_do_not_matter(what: str) -> None:
    assert audited(of(*CLEAN, gaps=[what])).verdict == "clean"


def test_a_target_of_which_no_environment_could_be_read_is_not_audited() -> None:
    told = audited(snapshot(states={"environments": "not-read"}))
    assert told.verdict == "unaudited"
    assert audited(snapshot()).verdict == "clean"


def test_advisories_that_can_not_be_read_are_gaps(tmp_path: Path) -> None:
    for number in range(130):
        (tmp_path / f"{number:03}.json").write_text("{")
    (tmp_path / "good.json").write_bytes((OSV / "PYSEC-2021-108.json").read_bytes())
    told = audit(of(*CLEAN), open_service(None, tmp_path, 5, frozenset()))
    assert told.verdict == "unaudited"
    assert len(told.gaps) == 101
    assert told.gaps[-1].reason == "30 more can't be read"


def test_a_directory_without_advisories_has_audited_nothing(tmp_path: Path) -> None:
    told = audit(of(*CLEAN), open_service(None, tmp_path, 5, frozenset()))
    assert told.verdict == "unaudited"
    assert told.summary.unaudited == 2
    (reason,) = {gap.reason for gap in told.gaps}
    assert reason.startswith("there is no advisory about any Python package in it")


def test_what_is_out_of_scope_is_counted() -> None:
    conda = (CondaPackage(name="openssl", version="3"),)
    os_packages = (OsPackage(manager="dpkg", name="openssl", version="1", architecture="amd64"),)
    told = audited(snapshot(environment(*CLEAN, conda=conda), os_packages=os_packages))
    assert (told.out_of_scope.os_packages, told.out_of_scope.conda_packages) == (1, 1)


def test_where_no_environment_was_searched_for_is_told() -> None:
    notes = tuple(Note(what=what, where="/root", reason="not searched") for what in ("environments", "layers"))
    told = audited(without(of(*CLEAN), provenance=Provenance(notes=notes)))
    assert (told.verdict, told.notes) == ("clean", notes[:1])
    assert "  note        /root: not searched\n" in render(told)


def test_names_that_are_no_text_are_told(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\x1b"))
    odd.mkdir()
    Path(os.fsdecode(os.fsencode(odd) + b"/\xfe.json")).write_text("{")
    told = audit(of(*CLEAN), open_service(None, odd, 5, frozenset()))
    (gap, *_) = told.gaps
    assert gap.where.endswith("\\udcff\\x1b/\\udcfe.json")
    assert codec.decode_audit(codec.encode_json(told), "it") == told
    assert "\x1b" not in render(told)


def test_each_release_is_asked_for_once() -> None:
    asked = []

    def behaviour(path: str, body: bytes) -> tuple[int, bytes]:
        asked.append(body)
        return osv(*all_advisories())(path, body)

    names = ("/usr", "/opt/a", "/opt/b")
    with serving(behaviour) as url:
        audit(snapshot(*(environment(URLLIB3, name=name) for name in names)), open_service(url, None, 5, frozenset()))
    assert len(asked) == len(set(asked)) == 2


# Against a baseline.


def test_what_the_baseline_has_as_well_does_not_fail() -> None:
    told = audited(of(URLLIB3), of(URLLIB3))
    assert told.verdict == "clean"
    assert [one.since for one in only(told).vulnerabilities] == ["known"] * 3
    assert (told.summary.new, told.summary.gone, told.summary.vulnerabilities) == (0, 0, 3)


def test_new_and_gone() -> None:
    told = audited(of(package("urllib3==1.26.17"), package("pillow==9.0.0")), of(URLLIB3, package("pillow==11.0")))
    assert told.verdict == "vulnerable"
    assert {(found.name, one.id, one.since) for found in told.vulnerable for one in found.vulnerabilities} == {
        ("pillow", "PYSEC-2023-175", "new"),
        ("urllib3", "PYSEC-2023-212", "known"),
    }
    assert [(one.name, one.version, one.id) for one in told.gone] == [
        ("urllib3", "1.26.4", "PYSEC-2021-108"),
        ("urllib3", "1.26.4", "PYSEC-2023-192"),
    ]
    assert (told.summary.new, told.summary.gone) == (1, 2)


def test_what_is_new_in_a_package_that_the_baseline_can_not_tell_of_is_a_gap() -> None:
    told = audited(of(URLLIB3), of(package("urllib3==")))
    assert told.verdict == "unaudited"
    (gap,) = told.gaps
    assert gap.where == "urllib3, baseline b.json"
    assert audited(of(*CLEAN), of(package("urllib3=="))).verdict == "clean"


def test_what_was_not_audited_is_not_gone() -> None:
    assert audited(of(package("urllib3==what")), of(URLLIB3)).gone == ()
    assert len(audited(of(CLEAN[1]), of(URLLIB3)).gone) == 3


# Who is asked.


def test_the_server_says_what_the_directory_says() -> None:
    target = of(URLLIB3, REQUESTS, package("PyYAML==5.3", name="pyyaml"), package("py==1.11.0"), package("numpy==2.0"))
    with serving(osv(*all_advisories())) as url:
        for address in (url, f"{url}/", f"{url}/v1/query"):
            told = audit(target, open_service(address, None, 5, frozenset()))
            assert told.service.place == url
            assert without_service(told) == without_service(audited(target))


def without_service(told: Audit) -> dict[str, Any]:
    return {name: getattr(told, name) for name in told.__struct_fields__ if name not in {"service", "made_by"}}


def test_credentials_of_an_address_are_not_shown() -> None:
    name = open_service("https://user:hunter2@example.org", None, 5, frozenset()).name
    assert name.place is not None
    assert "hunter2" not in name.place


def test_addresses_that_are_none_and_two_services_are_refused(tmp_path: Path) -> None:
    for address in ("example.org", "ftp://example.org", "https://", "file:///etc"):
        with pytest.raises(UsageError, match=r"is no address; write https://HOST"):
            open_service(address, None, 5, frozenset())
    with pytest.raises(UsageError, match="name one of them"):
        open_service("https://example.org", tmp_path, 5, frozenset())


class _Releases:
    """A service that knows releases, and none but two."""

    knows_releases = True

    def query(self, spec: Any) -> tuple[Any, list[Any]]:
        from pip_audit._service import SkippedDependency

        known = {("mine", Version("1.0")), ("numpy", Version("1.0"))}
        if (spec.canonical_name, spec.version) in known:
            return spec, []
        return SkippedDependency(name=spec.name, skip_reason="not known"), []

    def ignorance(self) -> str | None:
        return None


@pytest.mark.parametrize(
    ("origin", "verdict"),
    [
        ("index", "clean"),
        ("file:///wheels/mine-1.0-py3-none-any.whl", "clean"),
        ("https://example.org/mine-1.0.tar.gz#sha256=00", "clean"),
        ("file:///src/mine", "unaudited"),
        ("git+https://example.org/mine.zip", "unaudited"),
    ],
)
def test_an_archive_of_a_release_that_the_index_knows_is_audited(origin: str, verdict: str) -> None:
    asked = Asked(_Releases(), files().name, 5)
    assert audit(of(package("mine==1.0", origin=origin)), asked).verdict == verdict
