from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from reprocheck.extractors import accelerator, shared_objects
from reprocheck.extractors.shared_objects import SharedObjects
from reprocheck.model.evidence import ElfEvidence, Evidence
from tests.elf import cache, shared_object
from tests.evidence import Tree
from tests.extractors.stack import PYTHON, SHOWN, SITE, read, target, wheel

MODULE = "cv2/cv2.abi3.so"
STATUS = """\
Package: python3-uno
Status: install ok installed
Architecture: amd64
Version: 1:7.0.4-4

Package: python3-apt
Status: install ok installed
Architecture: amd64
Version: 2.2.1
"""
CV2 = wheel("opencv-python", "5.0", MODULE, "opencv_python.libs/libav.so.1")


def lacking(tree: Tree) -> list[tuple[str, str, str | None, bool]]:
    return [(one.library, one.owner, one.module, one.certain) for one in read(tree).missing]


def test_normal(tmp_path: Path) -> None:
    """The extension module is complete; a library in its wheel needs what is nowhere."""
    files = {
        f"{SITE}/{MODULE}": shared_object("libav.so.1", "libc.so.6"),
        f"{SITE}/opencv_python.libs/libav.so.1": shared_object("libxcb.so.1", soname="libav.so.1"),
    }
    tree = target(tmp_path, CV2, files)
    assert lacking(tree) == [("libxcb.so.1", "python:opencv-python 5.0", "cv2", True)]
    (one,) = read(tree).missing
    assert (one.needed_by, one.environment) == (f"{SHOWN}/opencv_python.libs/libav.so.1", "/usr/local")


def test_empty(tmp_path: Path) -> None:
    assert read(target(tmp_path)).missing == ()


@pytest.mark.parametrize(
    ("path", "soname"),
    [
        ("/usr/lib/x86_64-linux-gnu/libxcb.so.1", None),
        ("/opt/somewhere/deep/libxcb.so.1", None),
        (f"{SITE}/other/libxcb.so.1", None),
        (f"{SITE}/other/libxcb-0123abcd.so.1.1", "libxcb.so.1"),
    ],
)
def test_what_is_anywhere_is_not_missing(path: str, soname: str | None, tmp_path: Path) -> None:
    """A package may load it by its path, or set up the search itself."""
    files = {f"{SITE}/{MODULE}": shared_object("libxcb.so.1"), path: shared_object(soname=soname)}
    assert lacking(target(tmp_path, CV2, files)) == []


def test_a_link_is_enough(tmp_path: Path) -> None:
    files = {f"{SITE}/{MODULE}": shared_object("libxcb.so.1"), "/usr/lib/libxcb.so.1.1.0": shared_object()}
    assert lacking(target(tmp_path, CV2, files, links={"/usr/lib/libxcb.so.1": "libxcb.so.1.1.0"})) == []


@pytest.mark.parametrize(
    "name", ["libcuda.so.1", "libnvidia-ml.so.1", "libnvcuvid.so.1", "libGLX_nvidia.so.0", "libEGL_nvidia.so.0"]
)
def test_libraries_of_the_driver_are_never_missing(name: str, tmp_path: Path) -> None:
    assert lacking(target(tmp_path, CV2, {f"{SITE}/{MODULE}": shared_object(name)})) == []


@pytest.mark.parametrize("name", ["libcudart.so.12", "libnvinfer.so.8", "libGL.so.1"])
def test_others_of_like_names_are(name: str, tmp_path: Path) -> None:
    files = {f"{SITE}/{MODULE}": shared_object(name)}
    assert [one[0] for one in lacking(target(tmp_path, CV2, files))] == [name]


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("cv2/cv2.abi3.so", "cv2"),
        ("scipy/io/_x.cpython-39-x86_64-linux-gnu.so", "scipy.io._x"),
        ("_single.so", "_single"),
        ("cv2/qt/plugins/libqxcb.so", None),
        ("cv2/not-a-package/x.so", None),
        ("cv2/libx.so.1", None),
    ],
)
def test_only_an_extension_module_is_imported(path: str, module: str | None, tmp_path: Path) -> None:
    tree = target(tmp_path, wheel("opencv-python", "5.0", path), {f"{SITE}/{path}": shared_object("libnone.so")})
    assert lacking(tree) == [("libnone.so", "python:opencv-python 5.0", module, True)]


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("x.so", shared_object("libnone.so", machine=183)),
        ("x.so", shared_object("libnone.so", bits=32)),
        ("x.so", shared_object("libnone.so", order=">")),
        ("x.so", shared_object("libnone.so", "libc.musl-x86_64.so.1")),
        ("x.cpython-310-x86_64-linux-gnu.so", shared_object("libnone.so")),
        ("x.pypy39-pp73-x86_64-linux-gnu.so", shared_object("libnone.so")),
    ],
)
def test_what_this_python_never_loads_is_not_judged(path: str, raw: bytes, tmp_path: Path) -> None:
    assert lacking(target(tmp_path, wheel("many", "1", path), {f"{SITE}/{path}": raw})) == []


def test_the_nearest_copy_of_a_library_is_the_one_that_is_linked(tmp_path: Path) -> None:
    files = {
        f"{SITE}/a/a.so": shared_object("libshared.so"),
        f"{SITE}/a/libshared.so": shared_object(soname="libshared.so"),
        f"{SITE}/b/libshared.so": shared_object("libnone.so", soname="libshared.so"),
    }
    assert lacking(target(tmp_path, wheel("b", "1", "b/libshared.so"), files)) == [
        ("libnone.so", "python:b 1", None, True)
    ]


def test_cycles_end(tmp_path: Path) -> None:
    files = {
        f"{SITE}/a.so": shared_object("libb.so"),
        f"{SITE}/libb.so": shared_object("libc2.so", soname="libb.so"),
        f"{SITE}/libc2.so": shared_object("libb.so", "libnone.so", soname="libc2.so"),
    }
    assert lacking(target(tmp_path, files)) == [("libnone.so", "none", "a", True)]


def test_each_once(tmp_path: Path) -> None:
    files = {
        f"{SITE}/p/plugin/libq.so": shared_object("libnone.so"),
        f"{SITE}/p/b.abi3.so": shared_object("libnone.so"),
        f"{SITE}/p/a.abi3.so": shared_object("libnone.so"),
    }
    names = ["p/plugin/libq.so", "p/b.abi3.so", "p/a.abi3.so"]
    assert lacking(target(tmp_path, wheel("p", "1", *names), files)) == [("libnone.so", "python:p 1", "p.a", True)]


def test_what_other_installers_recorded_is_theirs(tmp_path: Path) -> None:
    """Of several packages without a RECORD each is told by itself; what nobody recorded is nobody's."""
    debian, conda = "/usr/lib/python3/dist-packages", "/opt/conda/lib/python3.9/site-packages"
    module = shared_object("libnone.so", "libc.so.6")
    record = {"name": "py-opencv", "version": "4.5", "files": ["lib/python3.9/site-packages/cv2.so"]}
    files: dict[str, str | bytes] = {
        f"{debian}/uno.so": module,
        f"{debian}/apt_pkg.so": module,
        f"{debian}/own.so": module,
        f"{conda}/cv2.so": module,
        "/usr/bin/python3": PYTHON,
        "/opt/conda/bin/python3": PYTHON,
        "/opt/conda/conda-meta/py-opencv-4.5-0.json": json.dumps(record),
        "/var/lib/dpkg/status": STATUS,
        "/var/lib/dpkg/info/python3-uno:amd64.list": f"/.\n{debian}/uno.so\n",
        "/var/lib/dpkg/info/python3-apt.list": f"{debian}/apt_pkg.so\n",
    }
    tree = target(tmp_path, files, pythons={"/usr/bin/python3": "/usr", "/opt/conda/bin/python3": "/opt/conda"})
    assert [(one.owner, one.environment) for one in read(tree).missing] == [
        ("conda:py-opencv 4.5", "/opt/conda"),
        ("dpkg:python3-apt 2.2.1", "/usr"),
        ("dpkg:python3-uno:amd64 1:7.0.4-4", "/usr"),
        ("none", "/usr"),
    ]


@pytest.mark.parametrize("raw", [b"", b"not an ELF file", shared_object("libnone.so")[:-40]])
def test_malformed(raw: bytes, tmp_path: Path) -> None:
    assert lacking(target(tmp_path, CV2, {f"{SITE}/{MODULE}": raw})) == []


@pytest.mark.parametrize(
    "record",
    [b"\xff\xfe,,\n", b'"unclosed,,\ncv2/cv2.abi3.so,,\n', b"\0.so\n", b"x.so" * 5000 + b"\n", b",,.so\n\n"],
)
def test_a_malformed_record_owns_nothing_else(record: bytes, tmp_path: Path) -> None:
    files = {f"{SITE}/{MODULE}": shared_object("libnone.so")}
    folder = f"{SITE}/odd-1.dist-info"
    broken: dict[str, str | bytes] = {f"{folder}/RECORD": record, f"{folder}/METADATA": "Name: odd\nVersion: 1\n"}
    owners = {owner for _, owner, _, _ in lacking(target(tmp_path, CV2, files, broken))}
    assert owners <= {"python:opencv-python 5.0", "python:odd 1"}
    assert len(owners) == 1


def changed(tree: Tree, **fields: object) -> Evidence:
    evidence = tree.evidence()
    assert evidence.walk is not None
    evidence.walk = msgspec.structs.replace(evidence.walk, **fields)
    return evidence


@pytest.mark.parametrize(
    "fields",
    [{"mounts": ("/data",)}, {"denied": ("/secret",)}, {"reason": "stopped"}, {"searched": False}],
)
def test_it_is_certain_only_where_all_was_searched(fields: Mapping[str, object], tmp_path: Path) -> None:
    tree = target(tmp_path, CV2, {f"{SITE}/{MODULE}": shared_object("libnone.so")})
    (one,) = shared_objects.missing(SharedObjects(changed(tree, mounts=("/proc", "/sys", "/dev"))))
    assert one.certain
    (one,) = shared_objects.missing(SharedObjects(changed(tree, **fields)))
    assert not one.certain


def test_the_cache_knows_what_was_not_searched(tmp_path: Path) -> None:
    files = {
        f"{SITE}/{MODULE}": shared_object("libfar.so", "libnone.so"),
        "/etc/ld.so.cache": cache(("libfar.so", "/far/libfar.so")),
    }
    assert [one[0] for one in lacking(target(tmp_path, CV2, files))] == ["libnone.so"]


def test_what_was_never_looked_for_is_no_gap(tmp_path: Path) -> None:
    """Evidence of an earlier version; a target that could not be searched at all is a gap."""
    tree = target(tmp_path)
    evidence = tree.evidence()
    evidence.searches.clear()
    facts = accelerator.read(evidence)
    assert (facts.coverage.state, facts.gaps, facts.fields) == ("not-read", (), {})
    facts = accelerator.read(Evidence(tree.document))
    assert (facts.coverage.state, [gap.what for gap in facts.gaps]) == ("not-read", ["accelerator"])


def test_a_search_that_stopped_is_a_gap(tmp_path: Path) -> None:
    evidence = target(tmp_path).evidence()
    search = evidence.searches["module"]
    evidence.searches["module"] = msgspec.structs.replace(search, denied=(f"{SITE}/closed",), reason="stopped")
    facts = accelerator.read(evidence)
    assert [gap.where for gap in facts.gaps] == ["image:test", f"{SITE}/closed"]
    assert facts.coverage.state == "partial"


def test_an_object_whose_bytes_can_not_be_had_is_a_gap(tmp_path: Path) -> None:
    path = f"{SITE}/one.so"
    evidence = target(tmp_path, {path: shared_object("libnowhere.so.1"), f"{SITE}/two.so": b"text"}).evidence()
    assert accelerator.read(evidence).gaps == ()
    evidence.elf[path] = ElfEvidence(problem="EFBIG", size=1 << 30, real=path)
    facts = accelerator.read(evidence)
    assert [(gap.what, gap.where) for gap in facts.gaps] == [("accelerator", path)]
    assert "too far apart" in facts.gaps[0].reason
    assert facts.fields["accelerator"].missing == ()
    assert facts.coverage.state == "partial"
