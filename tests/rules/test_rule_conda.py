from __future__ import annotations

import pytest
from msgspec.structs import replace

from reprocheck.model.snapshot import CondaPackage, Files, Package, Snapshot
from tests.make import environment, finding, findings, package, snapshot

ID = "/opt/conda"


def conda(text: str, build: str = "h1_0", channel: str = "conda-forge") -> CondaPackage:
    """``cudatoolkit==11.3.1`` and its build."""
    name, _, version = text.partition("==")
    return CondaPackage(name=name, version=version, build=build, channel=channel, subdir="linux-64")


def managed(*packages: CondaPackage, python: tuple[Package, ...] = (), gaps: tuple[str, ...] = ()) -> Snapshot:
    return snapshot(environment(*python, name=ID, kind="conda", conda=packages), gaps=gaps)


@pytest.mark.parametrize(
    ("before", "after", "severity"),
    [
        ("cudatoolkit==11.3.1", "cudatoolkit==10.2.89", "major"),
        ("cudatoolkit==11.3.1", "cudatoolkit==11.8.0", "minor"),
        ("cudnn==8.2.1", "cudnn==8.2.4", "info"),
        ("openblas==0.3.20", "openblas==0.4.1", "major"),
        ("libblas==3.9.0", "libblas==4.0.0", "major"),
        ("mkl==2021.4.0", "mkl==2022.1.0", "minor"),
        ("nccl==2.12", "nccl==weird", "major"),
    ],
)
def test_a_version_of_what_computes(before: str, after: str, severity: str) -> None:
    found = finding(managed(conda(before)), managed(conda(after)), "RC111")
    assert (found.severity, found.subject.kind, found.subject.environment) == (severity, "conda-package", ID)
    assert (found.before, found.after) == (before.partition("==")[2], after.partition("==")[2])
    name = before.partition("==")[0]
    assert found.message == f"{name} {found.before} → {found.after} (conda)"


@pytest.mark.parametrize(
    ("before", "after", "severity"),
    [
        ("py3.9_cuda11.3_cudnn8.3.2_0", "py3.9_cpu_0", "major"),
        ("cuda112py39h01f5b09_0", "cuda118py39h01f5b09_0", "major"),
        ("py39_mkl_0", "py39_openblas_0", "major"),
        ("cuda112py39h01f5b09_0", "cuda112py39hffffff_1", "minor"),
    ],
)
def test_a_build_of_what_computes(before: str, after: str, severity: str) -> None:
    torch = (package("torch==1.12.1"),)
    one = managed(conda("pytorch==1.12.1", before), python=torch)
    other = managed(conda("pytorch==1.12.1", after), python=torch)
    found = finding(one, other, "RC111")
    assert found.severity == severity
    assert found.message == f"pytorch is another build (conda): {before} → {after}"


def test_what_python_tells_of_is_judged_there() -> None:
    before = managed(conda("pytorch==1.12.1"), conda("numpy==1.23.5"), python=(package("torch==1.12.1"),))
    after = managed(conda("pytorch==2.0.0"), conda("numpy==2.0.2"), python=(package("torch==2.0.0"),))
    assert findings(before, after, "RC111", "RC112") == ()
    assert [one.subject.name for one in findings(before, after, "RC101")] == ["torch"]
    gone = managed()
    assert [one.subject.name for one in findings(before, gone, "RC112")] == ["numpy"]


def test_others_are_folded() -> None:
    before = managed(conda("zlib==1.2.11"), conda("openssl==1.1.1q"), conda("bzip2==1.0.8"), conda("same==1"))
    after = managed(conda("zlib==1.2.13"), conda("openssl==1.1.1q", "h2_0"), conda("xz==5.2"), conda("same==1"))
    found = finding(before, after, "RC113")
    assert found.severity == "info"
    assert found.message == "conda packages of /opt/conda: 2 changed, 1 added, 1 removed"
    assert found.evidence == (
        "- bzip2 1.0.8 h1_0 conda-forge",
        "~ openssl 1.1.1q h1_0 conda-forge → 1.1.1q h2_0 conda-forge",
        "+ xz 5.2 h1_0 conda-forge",
        "~ zlib 1.2.11 h1_0 conda-forge → 1.2.13 h1_0 conda-forge",
    )
    assert findings(before, after, "RC111") == ()


def test_another_channel_is_a_line() -> None:
    before, after = managed(conda("mkl==1")), managed(conda("mkl==1", channel="pkgs/main"))
    assert [one.rule for one in findings(before, after)] == ["RC113"]


@pytest.mark.parametrize(("name", "severity"), [("cudnn", "major"), ("bzip2", "minor")])
def test_what_is_gone(name: str, severity: str) -> None:
    found = finding(managed(conda(f"{name}==1")), managed(), "RC112")
    assert (found.severity, found.before, found.after) == (severity, "1", None)
    assert found.message == f"{name} 1 (conda) was removed"


def test_two_records_of_one_package() -> None:
    both = managed(conda("cudnn==8.1"), conda("cudnn==8.2"))
    found = finding(both, managed(conda("cudnn==8.2")), "RC111")
    assert (found.before, found.after) == ("8.1, 8.2", "8.2")


def test_nothing_changed() -> None:
    assert findings(managed(conda("mkl==1")), managed(conda("mkl==1"))) == ()


def test_what_is_not_known_is_no_difference() -> None:
    known = managed(conda("mkl==1"))
    older = snapshot(environment(name=ID, kind="conda"))
    assert older.environments[0].conda is None
    assert findings(known, older) == findings(older, known) == ()
    gap = managed(gaps=(f"environments[{ID}].conda",))
    assert findings(known, gap) == ()
    item = managed(conda("mkl==2"), gaps=(f"environments[{ID}].conda[mkl]",))
    assert findings(known, item) == ()


def test_the_level_is_packages() -> None:
    before, after = managed(conda("mkl==1")), managed(conda("mkl==2"))
    assert {one.rule for one in findings(before, after, level="packages")} == {"RC111", "RC113"}
    assert findings(before, after, level="framework") == ()


def test_environments_are_told_apart() -> None:
    def two(text: str) -> Snapshot:
        inner = environment(name="/opt/conda/envs/x", kind="conda", conda=(conda(text),))
        return snapshot(environment(name=ID, kind="conda", conda=(conda("mkl==1"),)), inner)

    assert finding(two("mkl==2"), two("mkl==3"), "RC111").subject.environment == "/opt/conda/envs/x"


AS_INSTALLED = Files(count=3, checked="sizes")
EDITED = Files(count=3, checked="sizes", modified=("lib/libblas.so.3",), missing=("share/x.txt",))


def of_files(files: Files, text: str = "libblas==3.9.0") -> CondaPackage:
    return replace(conda(text), files=files)


def test_an_edited_package() -> None:
    found = finding(managed(of_files(AS_INSTALLED)), managed(of_files(EDITED)), "RC114", level="packages")
    assert (found.name, found.severity, found.subject.environment) == ("conda-package-edited", "major", ID)
    said = "lib/libblas.so.3 modified; share/x.txt missing"
    assert found.message == f"libblas 3.9.0 was edited since it was installed: {said}"
    assert found.evidence == ("modified: lib/libblas.so.3", "missing: share/x.txt")
    assert found.details == {"version": "3.9.0", "compared": "sizes"}
    assert findings(managed(), managed(of_files(EDITED)), "RC114") != ()


def test_an_edit_that_is_not_new_or_not_known_to_be() -> None:
    edited = managed(of_files(EDITED))
    assert findings(edited, edited, "RC114") == ()
    assert findings(managed(of_files(Files())), edited, "RC114") == (), "not compared there"
    assert findings(edited, managed(of_files(AS_INSTALLED)), "RC114") == ()


def test_what_pip_has_replaced_is_no_edit() -> None:
    before = managed(of_files(AS_INSTALLED, "numpy==1.23.5"), python=(package("numpy==1.23.5"),))
    gone = Files(count=3, checked="sizes", missing=("lib/python3.9/site-packages/numpy/x.py",))
    record = of_files(gone, "numpy==1.23.5")
    assert findings(before, managed(record, python=(package("numpy==2.0.2"),)), "RC114") == ()
    assert len(findings(before, managed(record, python=(package("numpy==1.23.5"),)), "RC114")) == 1
