"""Which layer brought each Python package and environment, and which removed it: installations in stacks of layers."""

from __future__ import annotations

import pytest

from reprocheck.extractors.assemble import assemble
from reprocheck.layers.tar_layer import PlainLayer
from reprocheck.model.evidence import EngineFacts
from reprocheck.model.snapshot import Provenance
from tests.elf import shared_object
from tests.extractors.test_os_package_layers import evidence
from tests.faults.made import BASE, SITE, distribution
from tests.layers.archives import Memory, directory, file, header, link, padded, pax, plain

ENGINE = EngineFacts(image_id="sha256:0", platform="linux/amd64", variables={"PATH": "/usr/local/bin"})
LIB, _, PACKAGES = SITE.rpartition(b"/")
VENV = b"opt/venv"
VENV_SITE = VENV + b"/lib/python3.9/site-packages"


def installed(name: str, version: str, old: str | None = None, *, site: bytes = SITE) -> PlainLayer:
    """What pip leaves in a layer; ``old``: the version that was there, which it takes out first."""
    out = file(site + f"/.wh.{name}-{old}.dist-info".encode()) if old not in {None, version} else b""
    again = file(site + f"/{name}-{version}.dist-info/.wh..wh..opq".encode()) if old == version else b""
    return plain(out, distribution(name, version, site=site), again)


def uninstalled(name: str, version: str, *, site: bytes = SITE) -> PlainLayer:
    return plain(file(site + f"/.wh.{name}-{version}.dist-info".encode()))


def venv() -> bytes:
    return b"".join(
        (
            file(VENV + b"/pyvenv.cfg", b"home = /usr/local/bin\nversion = 3.9.2\n"),
            link(VENV + b"/bin/python3", b"/usr/local/bin/python3"),
            directory(VENV_SITE),
            distribution("inside", "1.0", site=VENV_SITE),
        )
    )


def told(*layers: PlainLayer) -> Provenance:
    """Authors and removers; layer 0 is the base."""
    return assemble(evidence(PlainLayer.open(Memory(BASE)), *layers, engine=ENGINE)).provenance


Layers = dict[str, int]
HISTORY: tuple[tuple[PlainLayer, Layers, Layers], ...] = (
    (installed("x", "1.0"), {"x": 1}, {}),
    (installed("x", "2.0", "1.0"), {"x": 2}, {}),
    (installed("x", "1.0", "2.0"), {"x": 3}, {}),
    (installed("x", "1.0", "1.0"), {"x": 3}, {}),
    (uninstalled("x", "1.0"), {}, {"x": 5}),
    (installed("y", "1.0"), {"y": 6}, {"x": 5}),
    (installed("x", "2.0"), {"x": 7, "y": 6}, {}),
    (uninstalled("x", "2.0"), {"y": 6}, {"x": 8}),
    (plain(file(SITE + b"/.wh..wh..opq"), distribution("y", "1.0")), {"y": 6}, {"x": 8, "alpha": 9}),
    (plain(file(SITE + b"/.wh..wh..opq"), file(SITE + b"/z")), {}, {"x": 8, "y": 10, "alpha": 9}),
    (installed("y", "1.0"), {"y": 11}, {"x": 8, "alpha": 9}),
    (plain(file(LIB + b"/.wh." + PACKAGES)), {}, {"x": 8, "y": 12, "alpha": 9}),
    (plain(directory(SITE)), {}, {"x": 8, "y": 12, "alpha": 9}),
    (installed("x", "1.0"), {"x": 14}, {"y": 12, "alpha": 9}),
)


@pytest.mark.parametrize("steps", range(1, len(HISTORY) + 1))
def test_each_step(steps: int) -> None:
    provenance = told(*(step for step, _, _ in HISTORY[:steps]))
    _, authors, removed = HISTORY[steps - 1]
    known = {"alpha": 0} if "alpha" not in removed else {}
    assert provenance.authors.get("/usr/local", {}) == known | authors
    assert provenance.removed.get("/usr/local", {}) == removed
    again = {"x": 4} if steps == 4 else {"y": 9} if steps == 9 else {}
    assert provenance.rewritten.get("/usr/local", {}) == again


def test_site_packages_replaced_by_a_link() -> None:
    other = b"srv/packages"
    provenance = told(
        installed("x", "1.0"),
        plain(distribution("y", "1.0", site=other)),
        plain(link(SITE, b"/" + other)),
        installed("z", "1.0", site=other),
    )
    assert provenance.authors["/usr/local"] == {"y": 3, "z": 4}, "y is seen since the link is there"
    assert provenance.removed["/usr/local"] == {"alpha": 3, "x": 3}


def test_a_virtual_environment_removed_and_created_again() -> None:
    made = plain(venv())
    more = installed("more", "1.0", site=VENV_SITE)
    provenance = told(made, more, plain(file(b"opt/.wh.venv")), made)
    assert provenance.authors["/opt/venv"] == {"inside": 4}
    assert provenance.removed["/opt/venv"] == {"more": 3}
    assert provenance.authors["environments"]["/opt/venv"] == 4
    anew = told(made, more, plain(file(VENV + b"/.wh..wh..opq"), venv()))
    assert anew.authors["/opt/venv"] == {"inside": 1}
    assert anew.rewritten["/opt/venv"] == {"inside": 3}
    assert anew.removed["/opt/venv"] == {"more": 3}


def test_names_in_whatever_letters() -> None:
    taken = plain(*(file(SITE + b"/.wh." + name) for name in (b"Old.Name-1.0.Dist-Info", b"dev.egg-link")))
    provenance = told(
        plain(directory(SITE + b"/Old.Name-1.0.Dist-Info"), file(SITE + b"/dev.egg-link", b"/src")), taken
    )
    assert provenance.removed["/usr/local"] == {"old-name": 2, "dev": 2}


def test_of_two_places_the_one_where_it_was_last_counts() -> None:
    user = b"root/.local/lib/python3.9/site-packages"
    both = plain(distribution("x", "1.0"), distribution("x", "1.0", site=user))
    for first, second in ((SITE, user), (user, SITE)):
        provenance = told(both, uninstalled("x", "1.0", site=first), uninstalled("x", "1.0", site=second))
        assert provenance.removed["/usr/local"] == {"x": 3}


ELF = b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00" + bytes(40)
PROGRAM, LIBRARY = b"usr/local/bin/python3.9", b"usr/local/lib/libpython3.9.so.1.0"


def elf(name: bytes, text: bytes, *, mtime: int = 1_700_000_000, mode: int = 0o755) -> PlainLayer:
    contents = ELF + b"\x00" + text + b"\x00"
    return plain(header(name, size=len(contents), mtime=mtime, mode=mode) + padded(contents))


def test_an_interpreter_that_was_replaced_in_place() -> None:
    def version(*layers: PlainLayer) -> tuple[int, int | None]:
        provenance = told(*layers)
        assert provenance.authors["environments"] == {"/usr/local": 0}
        group = "environments[/usr/local].python"
        return provenance.authors[group]["python"], provenance.rewritten.get(group, {}).get("python")

    other = plain(file(b"x"))
    assert version(other) == (0, None)
    assert version(other, elf(PROGRAM, b"3.9.18"), other) == (2, None)
    assert version(elf(PROGRAM, b"3.9.18"), elf(PROGRAM, b"3.9.2\x00x")) == (2, None), "as it was before, but not since"
    assert version(elf(PROGRAM, b"3.9.18"), elf(PROGRAM, b"3.9.18", mode=0o700)) == (1, 2), "another mode"
    assert version(elf(PROGRAM, b"3.9.18"), elf(PROGRAM, b"3.9.18\x00x", mtime=1_800_000_000)) == (1, 2), "built anew"
    assert version(elf(PROGRAM, b"3.9.17"), elf(PROGRAM, b"3.9.18")) == (2, None), "all files are of one time"


def test_an_interpreter_whose_library_was_replaced() -> None:
    shared = elf(PROGRAM, LIBRARY.rpartition(b"/")[2])
    stack = (
        shared,
        elf(LIBRARY, b"3.9.2"),
        elf(LIBRARY, b"3.9.18"),
        elf(PROGRAM, LIBRARY.rpartition(b"/")[2], mode=0o700),
    )
    provenance = told(*stack)
    assert provenance.authors["environments[/usr/local].python"] == {"python": 3}
    assert provenance.authors["environments"] == {"/usr/local": 0}


def test_a_library_of_another_version_in_the_same_file() -> None:
    def library(name: str, size: int, mode: int = 0o755) -> PlainLayer:
        contents = shared_object(soname="libcudnn.so.8") + bytes(size)
        return plain(header(b"usr/lib/" + name.encode(), size=len(contents), mode=mode) + padded(contents))

    for name, layer in (("libcudnn.so.8", 2), ("libcudnn.so.8.9.2", 1)):
        provenance = told(library(name, 0), library(name, 64), library(name, 64, mode=0o700))
        assert provenance.authors["accelerator"] == {f"cudnn /usr/lib/{name}": layer}


def test_a_library_is_of_the_layer_that_gave_it_its_contents() -> None:
    def library(tail: bytes, mtime: int = 1_700_000_000, size: int | None = None) -> PlainLayer:
        contents = shared_object(soname="libcudnn.so.8") + tail
        stated = len(contents) if size is None else size
        return plain(header(b"usr/lib/libcudnn.so.8", size=stated, mtime=mtime) + padded(contents))

    def author(*layers: PlainLayer) -> int | None:
        return told(*layers).authors.get("accelerator", {}).get("cudnn /usr/lib/libcudnn.so.8")

    one, other, touched = library(b"1"), library(b"2"), library(b"1", 1_800_000_000)
    assert author(one, touched) == 1, "the same bytes at another time"
    assert author(one, other) == 2, "other bytes of the same size and time"
    assert author(one, other, one, touched) == 3
    assert author(library(b"22"), one, touched) == 2
    sparse = {f"GNU.sparse.{key}": value for key, value in {"major": b"1", "minor": b"0"}.items()}
    size = len(shared_object(soname="libcudnn.so.8")) + 1
    sparse |= {"GNU.sparse.name": b"usr/lib/libcudnn.so.8", "GNU.sparse.realsize": b"%d" % size}
    unread = plain(pax(sparse) + header(b"usr/lib/sparse", size=512) + bytes(512))
    assert author(unread, one) is None, "it may have been the same"
    assert author(unread, library(b"33")) == 2
    assert author(unread, other, one) == 3


def test_metadata_whose_directory_does_not_tell_the_version() -> None:
    def metadata(version: str, rest: str = "", mtime: int = 1_700_000_000, name: str = "METADATA") -> PlainLayer:
        contents = f"Name: odd\nVersion: {version}\n{rest}".encode()
        path = SITE + f"/odd.dist-info/{name}".encode() if name == "METADATA" else SITE + name.encode()
        return plain(header(path, size=len(contents), mtime=mtime) + padded(contents))

    def author(*layers: PlainLayer) -> int | None:
        return told(*layers).authors["/usr/local"].get("odd")

    one, other = metadata("1.0"), metadata("2.0")
    assert author(one, metadata("1.0", mtime=1_800_000_000)) == 1, "the same bytes at another time"
    assert author(one, other) == 2, "other bytes of the same size and time"
    assert author(one, other, metadata("2.0", "Summary: more\n"), one, metadata("1.0", "Summary: less\n")) == 4
    assert author(metadata("1.0", "x" * (1 << 20)), one) is None, "too long to be read: it may have said the same"
    for path in ("/odd.egg-info/PKG-INFO", "/odd.egg-info"):
        assert author(metadata("1.0", name=path), metadata("2.0", name=path), metadata("2.0", "\n", name=path)) == 2
    named = [metadata(version, name="/odd-2.0.dist-info/METADATA") for version in ("2.0", "2.0")]
    assert author(*named) == 1


def test_a_library_that_is_missing_was_removed_by_a_layer() -> None:
    program = shared_object(interpreter="/lib64/ld-linux-x86-64.so.2") + b"\x003.9.2\x00"
    module = shared_object("libxcb.so.1", "libnever.so", "libown.so", runpath="$ORIGIN/../x.libs")
    python, needing = plain(file(PROGRAM, program)), plain(file(SITE + b"/x/x.abi3.so", module))
    libraries = plain(
        file(b"usr/lib/libz.so.1"), link(b"usr/lib/libxcb.so.1", b"libxcb.so.1.1"), file(SITE + b"/x.libs/libown.so")
    )
    system, own = plain(file(b"usr/lib/.wh.libxcb.so.1")), plain(file(SITE + b"/.wh.x.libs"))
    assert "accelerator" not in told(python, libraries, needing).removed
    assert told(python, libraries, needing, system).removed["accelerator"] == {"libxcb.so.1": 4}
    assert told(python, libraries, needing, own, system).removed["accelerator"] == {"libxcb.so.1": 5, "libown.so": 4}
    assert told(python, libraries, needing, own, libraries).removed.get("accelerator") is None


def test_a_path_file_is_of_the_layer_that_gave_it_its_contents() -> None:
    name = "{prefix}/lib/python3.9/site-packages/start.pth"

    def author(*contents: bytes) -> tuple[int | None, int | None]:
        provenance = told(*(plain(file(SITE + b"/start.pth", one)) for one in contents))
        group = "/usr/local"
        return provenance.authors[group].get(name), provenance.rewritten.get(group, {}).get(name)

    assert author(b"import a\n") == (1, None)
    assert author(b"import a\n", b"import b\n") == (2, None)
    assert author(b"import b\n", b"import a\n", b"import a\n") == (2, 3)
    assert author(b"x" * ((1 << 20) + 1), b"import a\n") == (None, None), "it is not known what it was"


USER_SITE = b"root/.local/lib/python3.9/site-packages"


def test_a_copy_that_was_hidden_is_taken_since_what_hid_it_is_gone() -> None:
    def author(*layers: PlainLayer) -> int | None:
        provenance = told(*layers)
        assert "x" not in provenance.rewritten.get("/usr/local", {})
        return provenance.authors["/usr/local"].get("x")

    seen, hidden = installed("x", "1.0"), installed("x", "2.0", site=USER_SITE)
    again = uninstalled("x", "2.0", site=USER_SITE)
    assert author(seen, hidden) == 2
    assert author(seen, hidden, again) == 3
    assert author(hidden, seen, again) == 3
    assert author(hidden, again, seen) == 3
    assert author(seen, hidden, plain(file(b"root/.wh..local"))) == 3, "with the directory above it"
    same = installed("x", "1.0", site=USER_SITE)
    assert author(seen, same, uninstalled("x", "1.0", site=USER_SITE)) == 1, "it was this version all the time"
    assert author(hidden, seen, uninstalled("x", "1.0")) == 1, "what was hidden hid nothing"
    newer = installed("x", "1.10")
    assert author(seen, newer, uninstalled("x", "1.10")) == 3, "of two in one directory the newer is taken"
    assert author(seen, newer, uninstalled("x", "1.0")) == 2
    unknown = plain(file(USER_SITE + b"/x.egg-info", b"Name: x\nVersion: 3\n"))
    assert author(seen, unknown, plain(file(USER_SITE + b"/.wh.x.egg-info"))) is None


def test_a_directory_is_searched_since_a_path_file_names_it() -> None:
    def author(*layers: PlainLayer) -> int | None:
        return told(*layers).authors["/usr/local"].get("x")

    def path_file(*lines: str, name: str = "more.pth") -> PlainLayer:
        return plain(file(SITE + f"/{name}".encode(), "".join(f"{line}\n" for line in lines).encode()))

    copy, other = installed("x", "1.0", site=b"srv/app"), path_file("/elsewhere")
    assert author(copy, path_file("/srv/app")) == 2
    assert author(path_file("/srv/app"), copy) == 2
    assert author(copy, other, path_file("/elsewhere", "/srv/app"), path_file("/srv/app")) == 3
    assert author(copy, path_file("/srv/app"), other, path_file("/srv/app")) == 4
    assert author(copy, path_file("/srv/app"), path_file("/srv/app", name="again.pth")) == 2
    assert author(copy, path_file("x" * (1 << 20)), path_file("/srv/app")) is None, "it is not known what it named"


def test_each_copy_of_a_package_has_its_layer() -> None:
    other = installed("x", "3", site=USER_SITE)
    provenance = told(installed("x", "2.0"), installed("x", "1.0"), installed("y", "1"), other)
    site = "{prefix}/lib/python3.9/site-packages"
    assert provenance.authors["environments[/usr/local].copies"] == {
        f"x 2.0 {site}": 1,
        f"x 1.0 {site}": 2,
        "x 3 {home}/.local/lib/python3.9/site-packages": 4,
    }
    both = b"Name: x\nVersion: 1.0\n"
    for first, second in (
        ("x-1.0.dist-info/METADATA", "x-1.0.egg-info"),
        ("x-1.0.egg-info", "x-1.0.dist-info/METADATA"),
    ):
        provenance = told(*(plain(file(SITE + b"/" + name.encode(), both)) for name in (first, second)))
        assert provenance.authors["environments[/usr/local].copies"] == {f"x 1.0 {site}": 2}


def test_a_changed_mode_brings_nothing() -> None:
    """``chmod -R`` writes every file again."""
    without_version = SITE + b"/odd.dist-info/METADATA"

    def metadata(version: bytes, mode: int) -> bytes:
        return file(without_version, b"Name: odd\nVersion: " + version + b"\n", mode=mode)

    stack = [plain(metadata(b"1", 0o644)), plain(metadata(b"2.0", 0o644)), plain(metadata(b"2.0", 0o755))]
    provenance = told(*stack)
    assert provenance.authors["/usr/local"]["odd"] == 2
    assert provenance.rewritten["/usr/local"]["odd"] == 3
