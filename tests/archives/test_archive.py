from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from reprocheck.archives import platforms
from reprocheck.archives.archive import open_archive
from reprocheck.archives.digest import DigestError
from reprocheck.errors import TargetError
from reprocheck.layers.blob import BlobError, Reader, drain
from tests.archives.make import (
    LOWER,
    OCI_LAYER,
    UPPER,
    Layout,
    as_json,
    blob_path,
    config,
    named,
    saved,
    saved_25,
    sha,
    simple,
    tar,
)
from tests.archives.reading import contents, everything

PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda content: zstandard.ZstdCompressor().compress(content),
}
SHAPES: dict[str, Callable[[], dict[str, bytes]]] = {
    "old": saved,
    "25": saved_25,
    "25 unlisted": lambda: saved_25(listed=False),
    "oci": lambda: simple("").files,
    "oci gzip": lambda: simple("+gzip").files,
    "oci zstd": lambda: simple("+zstd").files,
}


def write(path: Path, files: dict[str, bytes], packing: str = "plain") -> Path:
    path.write_bytes(PACK[packing](tar(files)))
    return path


def refused(path: Path, **options: object) -> str:
    with pytest.raises(TargetError) as caught, open_archive(path, **options):  # type: ignore[arg-type]
        pass
    message = str(caught.value)
    assert message.startswith(f"archive:{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"archive:{path}: ")


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_in_every_packing_is_the_same_image(tmp_path: Path, shape: str, packing: str) -> None:
    path = write(tmp_path / "i", SHAPES[shape](), packing)
    for options in ({}, {"deep": True}, {"verify": False}):
        image, layers = contents(path, **options)
        assert layers == [LOWER, UPPER]
        assert image.config_digest == sha(as_json(config()))
        assert str(image.platform) == "linux/amd64"
        assert image.config.env == ("PATH=/bin", "A=1")
        assert [layer.diff_id for layer in image.layers] == [sha(LOWER), sha(UPPER)]
        assert image.instructions == ("RUN make-layer 0", "RUN make-layer 1")
        assert not image.notes
        assert image.tags == {"old": ("made:one",), "25 unlisted": ("made:one",)}.get(
            shape, ("docker.io/library/made:one", "one") if shape == "25" else ("one",)
        )


@pytest.mark.parametrize("packing", [packing for packing in PACK if packing != "plain"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("deep", [False, True])
def test_layers_of_a_compressed_archive_are_visited_in_the_one_pass(
    tmp_path: Path, shape: str, packing: str, deep: bool
) -> None:
    seen = []

    def visit(reader: Reader) -> bytes:
        seen.append(everything(reader))
        return seen[-1]

    with open_archive(write(tmp_path / "i", SHAPES[shape](), packing), deep=deep, visit=visit) as image:
        assert [layer.visited for layer in image.layers] == [LOWER, UPPER]
    assert sorted(seen) == sorted([LOWER, UPPER])


def test_a_visitor_may_stop_early(tmp_path: Path) -> None:
    path = write(tmp_path / "i", simple().files, "gz")
    with open_archive(path, deep=True, visit=lambda reader: reader.read(5)) as image:
        assert [layer.visited for layer in image.layers] == [LOWER[:5], UPPER[:5]]


def test_plain_members_are_read_in_place(tmp_path: Path) -> None:
    path = write(tmp_path / "i", saved())
    raw = path.read_bytes()
    with open_archive(path) as image:
        for layer, want in zip(image.layers, (LOWER, UPPER), strict=True):
            window = layer.window
            assert window is not None
            assert window.read_at(0, 99) == raw[raw.index(want) :][:99]


def test_a_large_archive_is_not_read_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A sparse file: 40 GB that would take a minute to read.
    path = tmp_path / "i"
    size = 20 << 30
    layers = {"a/layer.tar": size, "b/layer.tar": size}
    raw = as_json(config((LOWER, UPPER)))
    manifest = as_json([{"Config": "c.json", "RepoTags": None, "Layers": list(layers)}])
    with path.open("wb") as file:
        for name, length in layers.items():
            member = tarfile.TarInfo(name)
            member.size = length
            file.write(member.tobuf(tarfile.GNU_FORMAT))
            file.seek(length, os.SEEK_CUR)
        file.write(tar({"c.json": raw, "manifest.json": manifest}))
    read = 0
    pread = os.pread

    def counting(descriptor: int, length: int, offset: int, /) -> bytes:
        nonlocal read
        piece = pread(descriptor, length, offset)
        read += len(piece)
        return piece

    monkeypatch.setattr(os, "pread", counting)
    with open_archive(path) as image:
        assert [layer.size for layer in image.layers] == [size, size]
        assert all(layer.window is not None for layer in image.layers)
    assert read < 100_000


# Several images


def test_several_images_are_listed_and_none_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "i", saved({"made:one": [LOWER], "made:two": [UPPER]}))
    assert refused(path) == "holds 2 images; add one of these: #made:one, #made:two"
    assert refused(path, tag="made:three") == "holds no image made:three; add one of these: #made:one, #made:two"
    for tag, layer in (("made:one", LOWER), ("made:two", UPPER), ("docker.io/library/made:two", UPPER)):
        assert contents(path, tag=tag)[1] == [layer]


def test_two_tags_of_one_image_are_one_image(tmp_path: Path) -> None:
    files = saved({"made:one": [LOWER], "made:latest": [LOWER]})
    image, _ = contents(write(tmp_path / "i", files))
    assert image.tags == ("made:one", "made:latest")
    assert contents(tmp_path / "i", tag="made")[1] == [LOWER]


def test_images_without_a_name_are_told_apart_by_digest(tmp_path: Path) -> None:
    files = saved({"made:one": [LOWER], "made:two": [UPPER]})
    files["manifest.json"] = files["manifest.json"].replace(b'"made:one"', b"").replace(b'["made:two"]', b"null")
    digests = [sha(as_json(config([layer]))) for layer in (LOWER, UPPER)]
    path = write(tmp_path / "i", files)
    assert refused(path) == f"holds 2 images; add one of these: #{digests[0]}, #{digests[1]}"
    assert contents(path, tag=digests[1])[1] == [UPPER]


def test_one_name_for_two_images(tmp_path: Path) -> None:
    files = saved({"made:one": [LOWER], "made:two": [UPPER]})
    files["manifest.json"] = files["manifest.json"].replace(b"made:two", b"made:one")
    digests = [sha(as_json(config([layer]))) for layer in (LOWER, UPPER)]
    message = f"holds 2 images; add one of these: #{digests[0]}, #{digests[1]}"
    assert refused(write(tmp_path / "i", files), tag="made:one") == message


# What is no image archive


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a": b"text"}, "neither manifest.json nor index.json is in it; "),
        ({"repositories": b"{}", "a/layer.tar": LOWER}, "it (written before Docker 1.10, or not by docker save); "),
        ({"manifest.json": b"null"}, "manifest.json lists no image; "),
        ({"manifest.json": b"[]"}, "manifest.json lists no image; "),
        ({"index.json": b"{}"}, "index.json lists no image; "),
        ({"index.json": b'{"manifests": null}', "oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}, "index.json lists"),
        ({"index.json": b'{"manifests": []}', "manifest.json": b"[]"}, "manifest.json lists no image; "),
    ],
)
def test_archives_of_something_else(tmp_path: Path, files: dict[str, bytes], reason: str, packing: str) -> None:
    message = refused(write(tmp_path / "i", files, packing))
    assert message.startswith("not a docker-save or OCI archive: ")
    assert reason in message
    if "neither" in reason:
        assert "rootfs:DIR" in message


def test_archives_without_magic_and_without_members(tmp_path: Path) -> None:
    """A header from before POSIX is told by its checksum; an end mark is an archive of nothing."""
    old = tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT)
    old = old[:257] + bytes(len(old) - 257)
    stated = b"%06o\0 " % (sum(old[:148]) + sum(old[156:]) + 8 * 32)
    old = old[:148] + stated + old[156:]
    path = tmp_path / "i"
    for content in (bytes(10240), old + bytes(1024)):
        path.write_bytes(content)
        assert "neither manifest.json nor index.json is in it" in refused(path)
    path.write_bytes(old[:147] + b"x" + old[148:] + bytes(1024))
    assert "it is no tar archive" in refused(path)


@pytest.mark.parametrize("packing", PACK)
def test_root_file_systems_are_told(tmp_path: Path, packing: str) -> None:
    files = {"bin/sh": b"", "etc/passwd": b"", "usr/bin/env": b"", "var/log/x": b""}
    message = refused(write(tmp_path / "i", files, packing))
    assert "it looks like a root file system (docker export); unpack it and name the directory as rootfs:DIR" in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty; save the image again"),
        (b"PK\x03\x04" + bytes(600), "it is a zip file; a wheel is read where it is installed: python:ENVIRONMENT"),
        (b"\x7fELF" + bytes(600), "it is a program; an Apptainer image is read with reprocheck probe"),
        (b"#!/usr/bin/env run-singularity\n", "it is a script; "),
        (b'{"schema": 1}', "it is JSON; snapshot:PATH"),
        (b"hello\n" * 200, "it is text; "),
        (os.urandom(100) + bytes(500), "it is no tar archive; "),
        (gzip.compress(b"hello\n" * 200), "it is a gzip file of what is text; "),
        (lzma.compress(b""), "it is a xz file of what is empty; "),
    ],
)
def test_files_of_another_kind(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "i"
    path.write_bytes(content)
    assert refused(path).startswith(f"not a docker-save or OCI archive: {reason}")


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    assert "is a directory; an image layout is read as oci:DIR, an unpacked root as rootfs:DIR" in refused(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    assert "is a pipe or device" in refused(tmp_path / "fifo")
    assert "No such file or directory" in refused(tmp_path / "gone")


# Damage


@pytest.mark.parametrize("packing", PACK)
def test_a_cut_archive_gives_the_layers_before_the_cut(tmp_path: Path, packing: str) -> None:
    files = saved()
    documents = {name: files[name] for name in files if name.endswith(".json")}
    whole = tar({**documents, **files})
    path = tmp_path / "i"
    path.write_bytes(PACK[packing](whole[: whole.index(UPPER) + 600]))
    with open_archive(path) as image:
        lower, upper = image.layers
        assert everything(lower.open()) == LOWER
        assert upper.problem is not None
        assert f"layer 2 ({sha(UPPER)}, no media type): is not stored here; the archive is damaged: " in upper.problem
        with pytest.raises(BlobError, match=r"layer 2 .* is not stored here"):
            upper.open()
        assert any("the archive is damaged: truncated at byte" in note for note in image.notes)
    whole = tar(files)
    path.write_bytes(PACK[packing](whole[: whole.index(UPPER) + 600]))
    assert "the archive is damaged" in refused(path)


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
def test_a_compressed_archive_that_is_cut(tmp_path: Path, packing: str) -> None:
    path = write(tmp_path / "i", saved(), packing)
    path.write_bytes(path.read_bytes()[:-100])
    message = refused(path)
    assert "stream is cut: it ends at byte" in message


@pytest.mark.parametrize("part", [100, 3000])
def test_a_compressed_archive_that_changes_while_it_is_read(tmp_path: Path, part: int) -> None:
    path = write(tmp_path / "i", saved(), "gz")
    size = path.stat().st_size
    with open_archive(path) as image:
        with path.open("r+b") as file:
            file.write(gzip.compress(tar(saved())[: 2000 + part]).ljust(size, b"\0")[:size])
        with pytest.raises(BlobError, match=r"^layer 1 .*: the archive is cut$"):
            everything(image.layers[0].open())


def test_links_are_followed_inside_the_archive(tmp_path: Path) -> None:
    files = saved()
    names = [name for name in files if name.endswith("layer.tar")]
    settings = next(name for name in files if name.endswith(".json") and name != "manifest.json")
    moved = {"moved/layer.tar": files.pop(names[0]), "real.json": files.pop(settings), "m": files.pop("manifest.json")}
    links = {names[0]: "../moved/layer.tar", settings: "real.json", "manifest.json": "./m"}
    for packing in ("plain", "gz"):
        path = tmp_path / packing
        path.write_bytes(PACK[packing](tar({**files, **moved}, links=links)))
        assert contents(path)[1] == [LOWER, UPPER]


@pytest.mark.parametrize("packing", ["plain", "zst"])
@pytest.mark.parametrize(
    ("links", "reason"),
    [
        ({"manifest.json": "manifest.json"}, "manifest.json: too many links, or links in a circle"),
        ({"manifest.json": "b", "b": "c", "c": "manifest.json"}, "manifest.json: too many links, or links in a circle"),
        ({"manifest.json": "../m"}, "manifest.json: is a link that leads out of the archive"),
        ({"manifest.json": ".."}, "manifest.json: is a link that leads out of the archive"),
        ({"manifest.json": "/etc/passwd"}, "manifest.json: is a link that leads out of the archive"),
        ({"manifest.json": "gone"}, "not a docker-save or OCI archive: neither"),
    ],
)
def test_links_that_lead_nowhere(tmp_path: Path, links: dict[str, str], reason: str, packing: str) -> None:
    path = tmp_path / "i"
    path.write_bytes(PACK[packing](tar({"VERSION": b"1.0"}, links=links)))
    assert refused(path).startswith(reason)


def test_a_layer_that_is_a_circle_of_links(tmp_path: Path) -> None:
    files = saved()
    name = next(name for name in files if name.endswith("layer.tar"))
    del files[name]
    path = tmp_path / "i"
    path.write_bytes(tar(files, links={name: "layer.tar"}))
    assert refused(path) == f"{name}: too many links, or links in a circle"


def test_a_document_that_is_a_directory_or_a_device(tmp_path: Path) -> None:
    raw = io.BytesIO()
    for kind in (tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        with tarfile.open(fileobj=raw, mode="w") as archive:
            member = tarfile.TarInfo("manifest.json")
            member.type = kind
            archive.addfile(member)
        path = tmp_path / "i"
        path.write_bytes(raw.getvalue())
        assert refused(path) == "manifest.json: is no regular file"


def test_a_document_with_holes(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("manifest.json")
        member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
        archive.addfile(member)
    path = tmp_path / "i"
    path.write_bytes(raw.getvalue())
    assert refused(path) == "manifest.json: is no regular file"


@pytest.mark.parametrize("packing", ["plain", "gz"])
def test_of_members_of_one_name_the_last_counts(tmp_path: Path, packing: str) -> None:
    raw = tar({"manifest.json": b"[]"})[:-9216] + tar(saved())
    path = tmp_path / "i"
    path.write_bytes(PACK[packing](raw))
    image, layers = contents(path)
    assert layers == [LOWER, UPPER]
    assert image.notes == ("manifest.json: stands in the archive more than once; the last one counts",)


def test_names_that_point_outside_name_nothing(tmp_path: Path) -> None:
    for name in ("../manifest.json", "/manifest.json", "a/../manifest.json"):
        path = write(tmp_path / "i", {**saved(), "manifest.json": b"[]", name: saved()["manifest.json"]})
        assert "manifest.json lists no image" in refused(path)
    files = {f"./{name}": content for name, content in saved().items()}
    assert contents(write(tmp_path / "i", files))[1] == [LOWER, UPPER]


@pytest.mark.parametrize("packing", PACK)
def test_documents_have_a_limit(tmp_path: Path, packing: str) -> None:
    files = saved()
    for name in ("manifest.json", next(name for name in files if name.endswith(".json"))):
        path = write(tmp_path / "i", {**files, name: files[name] + b" " * (4 << 20)}, packing)
        message = refused(path)
        assert name in message
        assert "and no more than 4 MiB are read" in message
    files["manifest.json"] = b"[" * 100_000
    assert "manifest.json: is nested more than 100 levels deep" in refused(write(tmp_path / "i", files, packing))


def test_many_documents_in_a_compressed_archive(tmp_path: Path) -> None:
    files = {f"{number}.json": b"x" * (4 << 20) for number in range(17)}
    assert "holds more than 64 MiB of documents" in refused(write(tmp_path / "i", files, "gz"))
    assert "neither manifest.json nor index.json" in refused(write(tmp_path / "i", files))


def test_many_members(tmp_path: Path) -> None:
    block = tarfile.TarInfo("a").tobuf()
    path = tmp_path / "i"
    path.write_bytes(block * 70_000)
    assert "more than 65536 entries" in refused(path)


def test_a_layer_of_a_compressed_archive_is_never_held(tmp_path: Path) -> None:
    zeros = tar({"zeros": bytes(200 << 20)})
    path = write(tmp_path / "i", saved({"made:one": [zeros]}), "gz")
    del zeros
    tracemalloc.start()
    try:
        with open_archive(path, visit=drain) as image:
            drain(image.layers[0].open())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20


# Checking


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("shape", ["old", "25", "oci"])
def test_plain_layers_are_checked_when_asked(tmp_path: Path, shape: str, packing: str) -> None:
    changed = UPPER.replace(b"bbbb", b"bbBb", 1)
    files = {name: changed if content == UPPER else content for name, content in SHAPES[shape]().items()}
    path = write(tmp_path / "i", files, packing)
    assert contents(path)[1] == [LOWER, changed]
    assert contents(path, verify=False, deep=True)[1] == [LOWER, changed]
    message = f"digest mismatch layer 2: want {sha(UPPER)} got {sha(changed)}; "
    with open_archive(path, deep=True, visit=everything) as image:
        image.layers[0].check()
        for action in (image.layers[1].check, lambda: everything(image.layers[1].open())):
            with pytest.raises(DigestError, match=message):
                action()
        if packing != "plain":
            with pytest.raises(DigestError, match=message):
                _ = image.layers[1].visited


@pytest.mark.parametrize("packing", ["plain", "gz"])
def test_compressed_layers_are_always_checked(tmp_path: Path, packing: str) -> None:
    layout = simple()
    stored = gzip.compress(UPPER, mtime=0)
    other = gzip.compress(UPPER.replace(b"bbbb", b"bbBb", 1), mtime=1)
    other += bytes(len(stored) - len(other)) if len(other) <= len(stored) else b""
    files = {name: other if name == blob_path(sha(stored)) else content for name, content in layout.files.items()}
    assert other in files.values()
    path = write(tmp_path / "i", files, packing)
    message = f"digest mismatch layer 2: want {sha(stored)} got {sha(other)}; "
    with open_archive(path, visit=everything) as image, pytest.raises(DigestError, match=message):
        everything(image.layers[1].open())
    if packing == "gz":
        with open_archive(path, visit=everything) as image, pytest.raises(DigestError, match=message):
            _ = image.layers[1].visited
    assert contents(path, verify=False)[1][0] == LOWER


@pytest.mark.parametrize("packing", ["plain", "gz"])
def test_compressed_layers_without_a_digest_are_checked_against_the_diff_id(tmp_path: Path, packing: str) -> None:
    files = saved()
    packed = {
        name: gzip.compress(content) if name.endswith("layer.tar") else content for name, content in files.items()
    }
    path = write(tmp_path / "i", packed, packing)
    assert contents(path)[1] == [LOWER, UPPER]
    changed = {
        name: gzip.compress(content.replace(b"bbbb", b"bbBb", 1)) if content == UPPER else packed[name]
        for name, content in files.items()
    }
    path = write(tmp_path / "i", changed, packing)
    with open_archive(path, visit=everything) as image:
        with pytest.raises(DigestError, match=f"digest mismatch layer 2: want {sha(UPPER)} got sha256:"):
            everything(image.layers[1].open())
        if packing == "gz":
            with pytest.raises(DigestError, match="digest mismatch layer 2"):
                _ = image.layers[1].visited


def test_a_layer_behind_a_link_is_checked_against_its_own_digest(tmp_path: Path) -> None:
    """It came by under another name, and was hashed as this one says."""
    layout = Layout()
    stored = gzip.compress(LOWER)
    layout.blob(stored, OCI_LAYER + "+gzip")
    claimed = sha(b"another", "sha512")
    layer = {"mediaType": OCI_LAYER + "+gzip", "digest": claimed, "size": len(stored)}
    layout.add(layout.manifest([LOWER], descriptors=[layer]))
    link = {blob_path(claimed): f"../sha256/{sha(stored).partition(':')[2]}"}
    path = tmp_path / "i"
    path.write_bytes(gzip.compress(tar(layout.files, links=link)))
    with (
        open_archive(path, visit=everything) as image,
        pytest.raises(DigestError, match=f"digest mismatch layer 1: want {claimed} got {sha(stored)}; "),
    ):
        _ = image.layers[0].visited


def test_both_digests_of_a_plain_layer_are_compared(tmp_path: Path) -> None:
    """Its manifest and its configuration may name it in two ways."""
    layout = simple(packing="")
    changed = UPPER.replace(b"bbbb", b"bbBb", 1)
    settings = config((LOWER, changed))
    layout.add(layout.manifest(packing="", settings=settings))
    layout.manifests = layout.manifests[1:]
    layout.add()
    files = {name: changed if content == UPPER else content for name, content in layout.files.items()}
    message = f"digest mismatch layer 2: want {sha(UPPER)} got {sha(changed)}; "
    path = write(tmp_path / "i", files, "gz")
    with open_archive(path, deep=True, visit=everything) as image, pytest.raises(DigestError, match=message):
        _ = image.layers[1].visited


@pytest.mark.parametrize("packing", ["plain", "gz"])
def test_a_corrupt_layer_with_the_right_digest_is_one_bad_layer(tmp_path: Path, packing: str) -> None:
    layout = Layout()
    cut = gzip.compress(UPPER)[:-20]
    descriptors = [
        layout.blob(gzip.compress(LOWER), "application/vnd.oci.image.layer.v1.tar+gzip"),
        layout.blob(cut, "application/vnd.oci.image.layer.v1.tar+gzip"),
    ]
    layout.add(layout.manifest(descriptors=descriptors))
    with open_archive(write(tmp_path / "i", layout.files, packing), visit=everything) as image:
        assert everything(image.layers[0].open()) == LOWER
        reason = rf"layer 2 \({sha(cut)}.*\): the gzip stream is cut: it ends at byte {len(cut)}"
        if packing == "plain":
            with pytest.raises(BlobError, match=reason):
                everything(image.layers[1].open())
        else:
            assert image.layers[0].visited == LOWER
            assert image.layers[1].visited is None
            assert image.layers[1].problem is not None
            assert image.layers[1].problem.startswith(f"layer 2 ({sha(cut)}, application/vnd.oci")
            assert "the gzip stream is cut" in image.layers[1].problem


def test_documents_are_checked(tmp_path: Path) -> None:
    files = saved_25()
    settings = blob_path(sha(as_json(config())))
    files[settings] = files[settings].replace(b"hidden", b"HIDDEN")
    got = sha(files[settings])
    path = write(tmp_path / "i", files)
    message = f"digest mismatch configuration: want {sha(as_json(config()))} got {got}; "
    assert refused(path).startswith(message)
    assert contents(path, verify=False)[1] == [LOWER, UPPER]
    files["index.json"] = b'{"manifests": []}'
    assert refused(write(path, files)).startswith(message)
    assert contents(path, verify=False)[1] == [LOWER, UPPER]


def test_an_edited_configuration_of_the_old_shape_is_noted(tmp_path: Path) -> None:
    files = saved()
    name = next(name for name in files if name.endswith(".json"))
    files[name] = files[name].replace(b"hidden", b"HIDDEN")
    image, layers = contents(write(tmp_path / "i", files))
    assert layers == [LOWER, UPPER]
    assert image.config_digest == sha(files[name])
    assert image.notes == (f"the configuration {name} has the digest {sha(files[name])}: it was edited",)


def test_index_and_manifest_that_disagree(tmp_path: Path) -> None:
    """The index is followed, for its steps are checked by digests; what only the manifest names is found there."""
    layout = Layout()
    layout.add(layout.manifest([LOWER], **named("made:index")))
    files = {**saved({"made:manifest": [UPPER]}), **layout.files}
    path = write(tmp_path / "i", files)
    image, layers = contents(path)
    assert layers == [LOWER]
    assert image.notes == ("index.json and manifest.json disagree: the image that index.json names is read",)
    image, layers = contents(path, tag="made:manifest")
    assert (layers, image.notes) == ([UPPER], ())
    assert refused(path, tag="x") == "holds no image x; add one of these: #made:index, #made:manifest"


def test_a_layer_that_may_not_be_distributed(tmp_path: Path) -> None:
    files = saved()
    name = next(name for name, content in files.items() if content == LOWER)
    del files[name]
    source = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": sha(b"elsewhere"),
        "size": 7,
        "urls": ["https://example.org/layer"],
    }
    files["manifest.json"] = files["manifest.json"].replace(
        b'"Layers"', b'"LayerSources": ' + as_json({sha(LOWER): source}) + b', "Layers"'
    )
    with open_archive(write(tmp_path / "i", files)) as image:
        assert image.layers[0].problem == (
            f"layer 1 ({sha(LOWER)}, application/vnd.docker.image.rootfs.foreign.diff.tar.gzip): is not stored here;"
            " it can be had from https://example.org/layer, and nothing is fetched on its own"
        )
        assert everything(image.layers[1].open()) == UPPER


def test_where_a_layer_came_from_says_nothing_of_what_is_stored(tmp_path: Path) -> None:
    files = saved()
    source = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": sha(b"registry"), "size": 7}
    files["manifest.json"] = files["manifest.json"].replace(
        b'"Layers"', b'"LayerSources": ' + as_json({sha(LOWER): source}) + b', "Layers"'
    )
    image, layers = contents(write(tmp_path / "i", files), deep=True)
    assert (layers, image.notes) == ([LOWER, UPPER], ())


def test_the_platform_of_a_saved_image(tmp_path: Path) -> None:
    path = write(tmp_path / "i", saved())
    assert contents(path, platform=platforms.parse("linux/amd64"))[1] == [LOWER, UPPER]
    assert refused(path, platform=platforms.parse("linux/arm64")) == (
        "has no image for linux/arm64; it has linux/amd64"
    )
