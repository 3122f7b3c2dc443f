"""A directory on disk as a layer, and a tree of one: links stay inside, pipes don't block, what is closed says so."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from reprocheck.layers.directory import Directory, OverlayDirectory
from reprocheck.layers.tree import LINKS, Tree
from tests.evidence import plant


@pytest.fixture
def root(tmp_path: Path) -> Path:
    where = tmp_path / "root"
    where.mkdir()
    plant(where, {"/usr/lib/python3/os.py": "inside", "/etc/hostname": "inside"})
    plant(tmp_path, {"/etc/hostname": "outside", "/secret": "outside"})
    return where


def content(root: Path, path: str) -> bytes:
    with closing(Directory(root)) as layer:
        tree = Tree([layer])
        return tree.read(tree.find(path.encode()), 0, 1 << 20)


@pytest.mark.parametrize(
    ("link", "target", "path"),
    [
        ("lib", "usr/lib", "/lib/python3/os.py"),
        ("lib", "/usr/lib", "/lib/python3/os.py"),
        ("lib", "../../../usr/lib", "/lib/python3/os.py"),
        ("name", "/etc/hostname", "/name"),
        ("name", "../../etc/hostname", "/name"),
        ("all", "/", "/all/all/all/etc/hostname"),
        ("all", ".", "/all/etc/../etc/hostname"),
    ],
)
def test_links_are_resolved_inside(root: Path, link: str, target: str, path: str) -> None:
    (root / link).symlink_to(target)
    assert content(root, path) == b"inside"


@pytest.mark.parametrize("target", ["../secret", "/secret", "nowhere", "usr/lib/python3/os.py/"])
def test_a_link_to_what_is_not_inside_leads_nowhere(root: Path, target: str) -> None:
    (root / "link").symlink_to(target)
    with pytest.raises(OSError, match=r"No such file|Not a directory"):
        content(root, "/link")


def test_as_many_links_as_the_kernel_follows(root: Path) -> None:
    (root / "link0").symlink_to("etc/hostname")
    for number in range(LINKS + 1):
        (root / f"link{number + 1}").symlink_to(f"link{number}")
    assert content(root, f"/link{LINKS - 1}") == b"inside"
    for path in (root / f"link{LINKS}", root / f"link{LINKS + 1}"):
        with pytest.raises(OSError) as ours:
            content(root, "/" + path.name)
        with pytest.raises(OSError) as theirs:
            path.read_bytes()
        assert ours.value.errno == theirs.value.errno == errno.ELOOP


def test_links_in_a_circle(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(OSError) as found:
        content(root, "/a/etc")
    assert found.value.errno == errno.ELOOP


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/etc/hostname/x", errno.ENOTDIR),
        ("/etc/hostname/", errno.ENOTDIR),
        ("/etc/hostname/.", errno.ENOTDIR),
        ("/etc/nothing", errno.ENOENT),
        ("/nothing/x", errno.ENOENT),
        ("/" + "x" * 256, errno.ENAMETOOLONG),
        ("/etc" + "/." * 3000 + "/hostname", errno.ENAMETOOLONG),
    ],
)
def test_errors_are_the_kernels(root: Path, path: str, code: int) -> None:
    with pytest.raises(OSError) as ours:
        content(root, path)
    with pytest.raises(OSError) as theirs:
        os.stat(os.fspath(root) + path)  # noqa: PTH116 - a Path would drop the slash at the end
    assert ours.value.errno == theirs.value.errno == code


def test_a_pipe_is_no_file_and_does_not_block(root: Path) -> None:
    os.mkfifo(root / "etc/os-release")
    with closing(Directory(root)) as layer:
        assert layer.directory(b"etc")[b"os-release"].type == "other"


def test_a_file_that_became_something_else_is_not_read(root: Path) -> None:
    with closing(Directory(root)) as layer:
        entry = layer.directory(b"etc")[b"hostname"]
        (root / "etc/hostname").unlink()
        os.mkfifo(root / "etc/hostname")
        with pytest.raises(OSError, match="no file any more"):
            layer.read(b"etc/hostname", entry, 0, 10)
        (root / "etc/hostname").unlink()
        (root / "etc/hostname").symlink_to("/secret")
        with pytest.raises(OSError) as found:
            layer.read(b"etc/hostname", entry, 0, 10)
        assert found.value.errno == errno.ELOOP


def test_a_directory_that_became_a_link_is_not_entered(root: Path) -> None:
    with closing(Directory(root)) as layer:
        entry = layer.directory(b"etc")[b"hostname"]
        (root / "etc").rename(root / "old")
        (root / "etc").symlink_to("../etc")
        with pytest.raises(OSError) as found:
            layer.read(b"etc/hostname", entry, 0, 10)
        assert found.value.errno == errno.ENOTDIR
        assert layer.directory(b"etc") == {b"hostname": entry}, "as it was first seen"


def test_a_closed_directory_says_so(root: Path) -> None:
    (root / "closed").mkdir(mode=0)
    with closing(Directory(root)) as layer:
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(PermissionError):
                layer.directory(b"closed")
        finally:
            os.seteuid(user)


def test_marks_of_the_overlay_count_in_the_engines_storage_alone(root: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can make devices")
    os.mknod(root / "etc/gone", 0o600 | 0o020000, os.makedev(0, 0))
    os.setxattr(root / "usr", "trusted.overlay.opaque", b"y")
    with closing(OverlayDirectory(root)) as layer:
        assert layer.directory(b"etc")[b"gone"].type == "whiteout"
        assert layer.directory(b"")[b"usr"].opaque
    with closing(Directory(root)) as plain:
        assert plain.directory(b"etc")[b"gone"].type == "other"
        assert not plain.directory(b"")[b"usr"].opaque


@pytest.mark.parametrize("value", [b"x", b"z", b"yy", b""])
def test_a_mark_of_another_value_makes_no_directory_opaque(root: Path, value: bytes) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can set such attributes")
    os.setxattr(root / "usr", "trusted.overlay.opaque", value)
    with closing(OverlayDirectory(root)) as layer:
        assert not layer.directory(b"")[b"usr"].opaque


@pytest.mark.parametrize("where", ["usr", "."])
def test_whiteouts_that_are_files(root: Path, where: str) -> None:
    """In a directory that is marked for them: of a layer that was itself laid down on an overlay."""
    if os.getuid() != 0:
        pytest.skip("only root can set such attributes")
    for name, content in (("gone", ""), ("empty", ""), ("full", "x"), ("users", "")):
        (root / where / name).write_text(content)
    for name in ("gone", "full"):
        os.setxattr(root / where / name, "trusted.overlay.whiteout", b"")
    os.setxattr(root / where / "users", "user.overlay.whiteout", b"")
    for value, kind in ((b"y", "file"), (b"x", "whiteout")):
        os.setxattr(root / where, "trusted.overlay.opaque", value)
        with closing(OverlayDirectory(root)) as layer:
            found = layer.directory(b"" if where == "." else where.encode())
            types = {name: found[name].type for name in (b"gone", b"empty", b"full", b"users")}
        assert types == {b"gone": kind, b"empty": "file", b"full": "file", b"users": "file"}


def test_marks_that_an_image_may_bear_are_none(root: Path) -> None:
    """Who mounts as root heeds ``trusted`` attributes alone; the others any file of an image may have."""
    if os.getuid() != 0:
        pytest.skip("only root can set such attributes")
    os.setxattr(root / "usr", "user.overlay.opaque", b"y")
    os.setxattr(root / "etc", "user.overlay.redirect", b"/usr")
    with closing(OverlayDirectory(root)) as layer:
        assert not layer.directory(b"")[b"usr"].opaque
    os.chown(root.parent, 1000, 1000)  # an engine of that user
    with closing(OverlayDirectory(root)) as layer, pytest.raises(OSError, match="moved"):
        layer.directory(b"")
    os.removexattr(root / "etc", "user.overlay.redirect")
    with closing(OverlayDirectory(root)) as layer:
        assert layer.directory(b"")[b"usr"].opaque


def test_a_directory_that_the_kernel_has_moved_is_refused(root: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can make devices")
    os.setxattr(root / "usr", "trusted.overlay.redirect", b"/elsewhere")
    with closing(OverlayDirectory(root)) as layer, pytest.raises(OSError, match="moved"):
        layer.directory(b"")


def test_directories_of_one_name_inside_each_other(root: Path) -> None:
    """Deeper than handles are held: a way that was taken in part is no way from the root."""
    deepest = "/".join("d" for _ in range(70))
    plant(root, {f"/{deepest}/x": "deep", "/d/x": "shallow"})
    with closing(Directory(root)) as layer:
        tree = Tree([layer])
        for path, found in ((f"{deepest}/x", b"deep"), ("d/x", b"shallow"), (f"{deepest}/x", b"deep")):
            assert tree.read(tree.find(path.encode()), 0, 9) == found


def test_a_directory_is_read_by_many_threads(root: Path) -> None:
    names = [f"d{number % 7}/e{number % 5}/{number}" for number in range(400)]
    plant(root, {f"/{name}": name for name in names})
    with closing(Directory(root)) as layer, ThreadPoolExecutor(8) as pool:
        tree = Tree([layer])
        places = [tree.find(name.encode()) for name in names]
        assert list(pool.map(lambda place: tree.read(place, 0, 99).decode(), places)) == names


def test_contents_go_by_and_what_is_gone_has_none(root: Path) -> None:
    plant(root, {"/a": "1" * 9, "/b": "2" * 9})
    with closing(Directory(root)) as layer:
        wanted = [(name, layer.directory(b"")[name]) for name in (b"b", b"a")]
        (root / "b").unlink()
        assert list(layer.contents(wanted)) == [(1, b"1" * 9)]
