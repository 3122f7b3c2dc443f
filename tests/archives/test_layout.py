from __future__ import annotations

import gc
import gzip
import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reprocheck.archives import platforms
from reprocheck.archives.digest import DigestError
from reprocheck.archives.layout import open_layout
from reprocheck.errors import TargetError
from reprocheck.layers.blob import BlobError
from tests.archives.make import (
    LOWER,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    PACKED,
    UPPER,
    Layout,
    as_json,
    blob_path,
    config,
    named,
    sha,
    simple,
    tar,
)
from tests.archives.reading import contents, everything


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(TargetError) as caught, open_layout(path, **options):
        pass
    message = str(caught.value)
    assert message.startswith(f"oci:{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"oci:{path}: ")


@pytest.mark.parametrize("packing", ["", "+gzip", "+zstd"])
def test_layers_however_they_are_packed(tmp_path: Path, packing: str) -> None:
    image, layers = contents(simple(packing).directory(tmp_path))
    assert layers == [LOWER, UPPER]
    assert image.tags == ("one",)
    assert image.manifest_digest is not None
    assert image.notes == ()
    assert [layer.compression for layer in image.layers] == [packing.removeprefix("+") or "none"] * 2
    assert [layer.media_type for layer in image.layers] == [OCI_LAYER + packing] * 2


@pytest.mark.parametrize("said", ["", "+gzip", "+zstd"])
@pytest.mark.parametrize("is_", ["", "+gzip", "+zstd"])
def test_the_bytes_say_how_a_layer_is_packed(tmp_path: Path, said: str, is_: str) -> None:
    layout = Layout()
    descriptors = [layout.blob(PACKED[is_](layer), OCI_LAYER + said) for layer in (LOWER, UPPER)]
    layout.add(layout.manifest(descriptors=descriptors))
    image, layers = contents(layout.directory(tmp_path))
    assert layers == [LOWER, UPPER]
    words = {"": "not compressed", "+gzip": "gzip", "+zstd": "zstd"}
    assert image.notes == (
        ()
        if said == is_
        else tuple(
            f"layer {number} ({one['digest']}): its media type says {words[said]}, its bytes are {words[is_]}"
            for number, one in enumerate(descriptors, start=1)
        )
    )


def test_garbage_behind_a_layer_is_noted_as_it_is_read(tmp_path: Path) -> None:
    layout = Layout()
    stored = gzip.compress(LOWER) + gzip.compress(b"") + b"garbage"
    layout.add(layout.manifest([LOWER], descriptors=[layout.blob(stored, OCI_LAYER + "+gzip")]))
    with open_layout(layout.directory(tmp_path)) as image:
        (lower,) = image.layers
        assert not lower.tolerated
        for _ in range(2):
            assert everything(lower.open()) == LOWER
            assert lower.tolerated == (
                f"what stands behind the end of the gzip stream, at byte {len(stored) - 7}, is ignored",
            )


@pytest.mark.parametrize("verify", [True, False])
def test_hashing_and_unpacking_have_threads_that_end_with_the_layer(tmp_path: Path, verify: bool) -> None:
    def threads() -> int:
        return sum(thread.name.startswith("reprocheck-ahead") for thread in threading.enumerate())

    layer = tar({"much": os.urandom(20 << 20)})
    layout = Layout()
    layout.add(layout.manifest([layer]))
    path = layout.directory(tmp_path)
    before = threads()
    with open_layout(path, verify=verify) as image:
        reader = image.layers[0].open()
        assert reader.read(512) == layer[:512]
        assert threads() - before == (2 if verify else 1)
        reader.close()
        del reader
        gc.collect()
        deadline = time.monotonic() + 5
        while threads() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threads() == before


# Which image


def three(tmp_path: Path) -> tuple[Path, list[str]]:
    layout = Layout()
    one = layout.manifest([LOWER], **named("one"))
    two = layout.manifest([UPPER], annotations={"io.containerd.image.name": "docker.io/library/two:latest"})
    three = layout.manifest([UPPER, LOWER])
    layout.add(one, layout.index([two], annotations=two.pop("annotations")), three)
    return layout.directory(tmp_path), [one["digest"], two["digest"], three["digest"]]


def test_several_images_are_listed_and_none_is_taken(tmp_path: Path) -> None:
    path, digests = three(tmp_path)
    listed = f"add one of these: #one, #docker.io/library/two:latest, #{digests[2]}"
    assert refused(path) == f"holds 3 images; {listed}"
    assert refused(path, tag="gone") == f"holds no image gone; {listed}"
    assert contents(path, tag="one")[1] == [LOWER]
    assert contents(path, tag="two")[1] == [UPPER]
    assert contents(path, tag=digests[1])[1] == [UPPER]
    assert contents(path, tag=digests[2])[1] == [UPPER, LOWER]


def multi(tmp_path: Path, *entries: dict[str, Any], flat: bool = False) -> Path:
    """A layout of one image for several platforms; each layer's contents name its platform."""
    layout = Layout()
    descriptors = []
    for entry in entries:
        more = dict(entry)
        platform = more.pop("is")
        layer = tar({"platform": str(platform)})
        settings = config([layer], architecture=platform["architecture"], variant=platform.get("variant"))
        described = layout.manifest([layer], settings=settings, **more)
        descriptors.append(described)
    if flat:
        layout.add(*descriptors)
    else:
        layout.add(layout.index(descriptors, **named("multi")))
    return layout.directory(tmp_path)


def of(architecture: str, variant: str | None = None, **more: Any) -> dict[str, Any]:
    platform = {"os": "linux", "architecture": architecture, **({"variant": variant} if variant else {})}
    return {"is": platform, "platform": platform, **more}


def test_two_images_with_platforms_are_two_images(tmp_path: Path) -> None:
    path = multi(tmp_path, of("amd64", **named("one")), of("arm64", **named("two")), flat=True)
    assert refused(path) == "holds 2 images; add one of these: #one, #two"
    assert chosen(path, tag="two") == "linux/arm64"


ATTESTATION = {
    "is": {"architecture": "unknown"},
    "platform": {"os": "unknown", "architecture": "unknown"},
    "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
}
BY_ANNOTATION = {"is": {"architecture": "x"}, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
SIGNATURE = {"is": {"architecture": "y"}, "artifactType": "application/vnd.dev.signature"}


def chosen(path: Path, asked: str | None = None, **options: Any) -> str:
    platform = platforms.parse(asked) if asked else None
    image, _ = contents(path, platform=platform, **options)
    return str(image.platform)


@pytest.fixture(params=["amd64", "arm64"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("platform.machine", lambda: {"amd64": "x86_64", "arm64": "aarch64"}[request.param])
    return str(request.param)


@pytest.mark.parametrize("flat", [False, True])
def test_this_machines_platform_unless_another_is_asked_for(tmp_path: Path, machine: str, flat: bool) -> None:
    entries = of("arm64", "v8"), ATTESTATION, of("amd64"), BY_ANNOTATION, of("s390x"), SIGNATURE
    path = multi(tmp_path, *entries, flat=flat)
    assert chosen(path) == {"amd64": "linux/amd64", "arm64": "linux/arm64/v8"}[machine]
    assert chosen(path, "linux/s390x") == "linux/s390x"
    assert chosen(path, "linux/arm64") == "linux/arm64/v8"
    assert chosen(path, "linux/amd64/v1") == "linux/amd64"


@pytest.mark.parametrize("asked", ["linux/riscv64", "windows/amd64", "linux/amd64/v3"])
def test_a_platform_that_is_not_there(tmp_path: Path, asked: str) -> None:
    path = multi(tmp_path, of("arm64", "v8"), ATTESTATION, of("amd64"))
    message = refused(path, platform=platforms.parse(asked))
    assert message.startswith(f"has no image for {asked}; it has linux/arm64/v8 (#sha256:")
    assert ", linux/amd64 (#sha256:" in message
    assert "unknown" not in message


def test_two_that_fit_are_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    path = multi(tmp_path / "1", of("amd64", "v2"), of("amd64", "v3"))
    message = refused(path)
    assert message.startswith("has several images for linux/amd64: linux/amd64/v2 (#sha256:")
    assert message.endswith("name one by its digest")
    assert chosen(path, "linux/amd64/v3") == "linux/amd64/v3"
    digest = message.partition("linux/amd64/v3 (#")[2].partition(")")[0]
    assert chosen(path, tag=digest) == "linux/amd64/v3"
    # The one without a variant is the one that is meant without one.
    assert chosen(multi(tmp_path / "2", of("amd64"), of("amd64", "v3"))) == "linux/amd64"
    assert "has several images" in refused(
        multi(tmp_path / "3", of("amd64"), {**of("amd64"), "is": {"architecture": "other"}})
    )


def test_the_only_image_is_taken_whatever_it_is_for(tmp_path: Path, machine: str) -> None:  # noqa: ARG001
    path = multi(tmp_path, of("s390x"), ATTESTATION)
    assert chosen(path) == "linux/s390x"
    assert "has no image for linux/amd64; it has linux/s390x" in refused(path, platform=platforms.parse("linux/amd64"))


def test_platforms_that_only_configurations_say(tmp_path: Path) -> None:
    path = multi(tmp_path, {"is": {"architecture": "arm64"}}, {"is": {"architecture": "s390x"}})
    assert chosen(path, "linux/s390x") == "linux/s390x"


def test_of_an_index_whose_images_are_not_all_stored(tmp_path: Path) -> None:
    """An engine that holds one platform saves the index of all."""
    path = multi(tmp_path, of("arm64"), of("s390x"))
    gone = sha(as_json_of(path, "arm64"))
    (path / blob_path(gone)).unlink()
    assert chosen(path) == "linux/s390x"


def as_json_of(path: Path, architecture: str) -> bytes:
    """The manifest whose configuration is for an architecture."""
    for file in sorted((path / "blobs/sha256").iterdir()):
        raw = file.read_bytes()
        if raw.startswith(b'{"schemaVersion"') and b'"config"' in raw:
            settings = raw.partition(b'"digest": "')[2].partition(b'"')[0].decode()
            if f'"{architecture}"'.encode() in (path / blob_path(settings)).read_bytes():
                return raw
    raise AssertionError(architecture)


def test_attestations_alone(tmp_path: Path) -> None:
    message = refused(multi(tmp_path, ATTESTATION, BY_ANNOTATION))
    assert message == "holds no image, only what is said about images (attestations, signatures)"


def test_indexes_in_indexes(tmp_path: Path) -> None:
    layout = Layout()
    descriptor = layout.manifest([LOWER])
    for _ in range(3):
        descriptor = layout.index([descriptor])
    assert contents(layout.add(descriptor).directory(tmp_path / "1"))[1] == [LOWER]
    deep = Layout()
    descriptor = deep.manifest([LOWER])
    for _ in range(5):
        descriptor = deep.index([descriptor])
    assert "indexes nested more than 4 deep" in refused(deep.add(descriptor).directory(tmp_path / "2"))


def test_an_index_that_lists_itself_ends(tmp_path: Path) -> None:
    layout = Layout()
    own = sha(b"own")
    layout.files[blob_path(own)] = as_json({"manifests": [{"mediaType": OCI_INDEX, "digest": own, "size": 1}] * 900})
    layout.add({"mediaType": OCI_INDEX, "digest": own, "size": 1})
    path = layout.directory(tmp_path)
    assert "digest mismatch manifest" in refused(path)
    assert "indexes nested more than 4 deep" in refused(path, verify=False)


def test_many_manifests(tmp_path: Path) -> None:
    layout = Layout()
    entries = [{"mediaType": OCI_MANIFEST, "digest": sha(b"%d" % number), "size": 1} for number in range(1001)]
    layout.add(layout.index(entries))
    assert "more than 1000 manifests and indexes" in refused(layout.directory(tmp_path))


# Documents that are not what they should be


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:../../../../etc/passwd",
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 64 + "\n",
        "md5:" + "a" * 32,
        "a" * 64,
        "",
        "sha512:" + "a" * 64,
    ],
)
def test_digests_are_checked_before_they_name_a_file(
    tmp_path: Path, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    original = os.open

    def watching(path: Any, *arguments: Any, **more: Any) -> int:
        opened.append(str(path))
        return original(path, *arguments, **more)

    descriptor = {"mediaType": OCI_MANIFEST, "digest": digest, "size": 1}
    layouts: list[tuple[Layout, str]] = [(Layout().add(descriptor), "manifest")]
    nested = Layout()
    layouts.append((nested.add(nested.index([descriptor])), "manifest"))
    of_layer = Layout()
    layouts.append((of_layer.add(of_layer.manifest([LOWER], descriptors=[descriptor])), "layer 1"))
    of_config = Layout()
    raw = as_json({"config": descriptor, "layers": []})
    layouts.append((of_config.add(of_config.blob(raw, OCI_MANIFEST)), "configuration"))
    of_diff = Layout()
    settings = {**config([LOWER]), "rootfs": {"type": "layers", "diff_ids": [digest]}}
    layouts.append((of_diff.add(of_diff.manifest([LOWER], settings=settings)), "diff_ids[0]"))
    for number, (layout, what) in enumerate(layouts):
        path = layout.directory(tmp_path / str(number))
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", watching)
            message = refused(path, tag=None)
        assert "invalid digest" in message
        assert what in message.partition(": invalid digest")[0]
    assert opened
    assert not [name for name in opened if "etc" in name or "passwd" in name or name in {"..", "A" * 64, "a" * 63}]


def test_sha512(tmp_path: Path) -> None:
    layout = Layout()
    stored = gzip.compress(LOWER)
    digest = sha(stored, "sha512")
    layout.files[blob_path(digest)] = stored
    descriptor = {"mediaType": OCI_LAYER + "+gzip", "digest": digest, "size": len(stored)}
    settings = {**config([LOWER]), "rootfs": {"type": "layers", "diff_ids": [sha(LOWER, "sha512")]}}
    layout.add(layout.manifest([LOWER], settings=settings, descriptors=[descriptor]))
    path = layout.directory(tmp_path)
    assert contents(path, deep=True)[1] == [LOWER]
    (path / blob_path(digest)).write_bytes(gzip.compress(LOWER, mtime=5))
    with open_layout(path) as image, pytest.raises(DigestError, match=f"layer 1: want {digest} got sha512:"):
        everything(image.layers[0].open())


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"manifests": [], "layers": []}, "is ambiguous, with manifests as an index has"),
        ({"manifests": [], "config": {"digest": "x", "size": 0}}, "is ambiguous, with manifests as an index has"),
        ({"schemaVersion": 1, "fsLayers": []}, "is a manifest of Docker's first version, which is not read"),
        ({"layers": []}, "names no configuration, so it is no image's"),
        ({"manifests": {}}, "manifests: expected array or null, got object"),
        ({"config": {"digest": "x", "size": -1}}, "config.size: expected int >= 0"),
        ([], "the document: expected object, got array"),
    ],
)
def test_manifests_that_are_none(tmp_path: Path, document: Any, reason: str) -> None:
    layout = Layout()
    layout.add(layout.blob(as_json(document), OCI_MANIFEST))
    assert reason in refused(layout.directory(tmp_path))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "index.json: is empty; "),
        (b"{}", "index.json lists no image; "),
        (b"null", "index.json: the document: expected object, got null; "),
        (b'{"manifests": null}', "index.json lists no image; "),
        (b'{"manifests": [], "manifests": []}', "the key stands twice in one object"),
        (b"{" * 100_000, "is nested more than 100 levels deep"),
        (b'{"manifests": [], "layers": []}', "index.json: is ambiguous"),
        (b" " * (4 << 20) + b"{}", "has 4,194,306 bytes, and no more than 4 MiB are read"),
    ],
)
def test_indexes_that_are_none(tmp_path: Path, raw: bytes, reason: str) -> None:
    layout = Layout()
    layout.files["index.json"] = raw
    assert reason in refused(layout.directory(tmp_path))


def test_a_layout_of_a_later_version(tmp_path: Path) -> None:
    layout = simple()
    layout.files["oci-layout"] = b'{"imageLayoutVersion": "2.0.0"}'
    assert "image layout version 2.0.0, and version 1 is read" in refused(layout.directory(tmp_path))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rootfs": {"diff_ids": [sha(LOWER)]}}, "has 1 diff_ids, and the manifest has 2 layers"),
        ({"rootfs": {"diff_ids": [sha(LOWER)] * 3}}, "has 3 diff_ids, and the manifest has 2 layers"),
        ({"rootfs": {"diff_ids": None}}, "has 0 diff_ids, and the manifest has 2 layers"),
        ({"rootfs": 5}, "rootfs: expected object, got int"),
        ({"history": 5}, "history: expected array or null, got int"),
    ],
)
def test_configurations_that_do_not_fit(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    layout = Layout()
    layout.add(layout.manifest(settings={**config(), **change}))
    message = refused(layout.directory(tmp_path))
    assert message.startswith("configuration sha256:")
    assert reason in message


@pytest.mark.parametrize("raw", [b"", b"text", b"\xff\xfe{}", b"{}", b"null"])
def test_a_configuration_that_is_none(tmp_path: Path, raw: bytes) -> None:
    layout = Layout()
    other = layout.blob(raw, "application/vnd.example.config.v1+json")
    layout.add(layout.blob(as_json({"config": other, "layers": []}), OCI_MANIFEST))
    message = refused(layout.directory(tmp_path))
    assert message.startswith(f"configuration {sha(raw)} (application/vnd.example.config.v1+json): ")


@pytest.mark.parametrize(
    ("history", "note"),
    [
        ([], "the configuration has no history: no layer's instruction is known"),
        (None, "the configuration has no history: no layer's instruction is known"),
        (
            [{"created_by": "RUN a"}],
            "the history has 1 entries that made layers, and there are 2 layers: no layer's instruction is known",
        ),
    ],
)
def test_a_history_that_does_not_fit(tmp_path: Path, history: Any, note: str) -> None:
    layout = Layout()
    layout.add(layout.manifest(settings=config(history=history)))
    image, layers = contents(layout.directory(tmp_path))
    assert layers == [LOWER, UPPER]
    assert (image.instructions, image.notes) == ((None, None), (note,))


def test_an_empty_image(tmp_path: Path) -> None:
    layout = Layout()
    layout.add(layout.manifest([], settings=config([], history=None)))
    image, layers = contents(layout.directory(tmp_path))
    assert (layers, image.instructions) == ([], ())


# Layers that can't be read


@pytest.mark.parametrize(
    ("media_type", "reason"),
    [
        (OCI_LAYER + "+gzip+encrypted", "is encrypted, and has media type "),
        ("application/vnd.example.layer", "has media type application/vnd.example.layer, which cannot be read"),
    ],
)
def test_layers_of_another_kind(tmp_path: Path, media_type: str, reason: str) -> None:
    layout = Layout()
    descriptors = [layout.blob(gzip.compress(LOWER), media_type), layout.blob(gzip.compress(UPPER), OCI_LAYER)]
    layout.add(layout.manifest(descriptors=descriptors))
    with open_layout(layout.directory(tmp_path)) as image:
        lower, upper = image.layers
        assert lower.problem is not None
        assert lower.problem.startswith(f"layer 1 ({descriptors[0]['digest']}, {media_type}): {reason}")
        assert lower.window is None
        with pytest.raises(BlobError, match=r"layer 1 .* cannot be read"):
            lower.open()
        assert everything(upper.open()) == UPPER


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "",
    ],
)
def test_media_types_that_are_read(tmp_path: Path, media_type: str) -> None:
    layout = Layout()
    layout.add(layout.manifest([LOWER], descriptors=[layout.blob(gzip.compress(LOWER), media_type)]))
    image, layers = contents(layout.directory(tmp_path))
    assert (layers, image.notes) == ([LOWER], ())


def test_layers_that_are_not_stored(tmp_path: Path) -> None:
    layout = Layout()
    foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    descriptors = [
        {"mediaType": foreign, "digest": sha(b"1"), "size": 77, "urls": ["https://example.org/1\x1b[2J"]},
        layout.blob(gzip.compress(UPPER), OCI_LAYER),
        {"mediaType": OCI_LAYER, "digest": sha(b"2"), "size": 5},
    ]
    layout.add(layout.manifest([LOWER, UPPER, LOWER], descriptors=descriptors))
    with open_layout(layout.directory(tmp_path)) as image:
        elsewhere = "it can be had from https://example.org/1\\x1b[2J, and nothing is fetched on its own"
        assert [layer.problem for layer in image.layers] == [
            f"layer 1 ({sha(b'1')}, {foreign}): is not stored here; {elsewhere}",
            None,
            f"layer 3 ({sha(b'2')}, {OCI_LAYER}): is not stored here",
        ]
        assert [layer.size for layer in image.layers] == [77, descriptors[1]["size"], 5]
        assert everything(image.layers[1].open()) == UPPER


def test_a_manifest_or_configuration_that_is_not_stored(tmp_path: Path) -> None:
    gone = {"mediaType": OCI_MANIFEST, "digest": sha(b"gone"), "size": 4}
    message = refused(Layout().add(gone).directory(tmp_path / "1"))
    assert message == f"manifest {sha(b'gone')}: is not in it; save or copy the image again, with all its parts"
    layout = Layout()
    layout.add(layout.blob(as_json({"config": gone, "layers": []}), OCI_MANIFEST))
    assert refused(layout.directory(tmp_path / "2")).startswith(f"configuration {sha(b'gone')}: is not in it; ")


# Checking


def changed(path: Path, digest: str, change: Callable[[bytes], bytes]) -> bytes:
    file = path / blob_path(digest)
    content = change(file.read_bytes())
    file.write_bytes(content)
    return content


def flip(content: bytes) -> bytes:
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


@pytest.mark.parametrize(
    "change", [flip, lambda content: content[:-5], lambda content: content + b"x"], ids=["flip", "cut", "longer"]
)
@pytest.mark.parametrize("packing", ["", "+gzip", "+zstd"])
def test_a_layer_that_was_changed(tmp_path: Path, change: Callable[[bytes], bytes], packing: str) -> None:
    path = simple(packing).directory(tmp_path)
    with open_layout(path) as image:
        digest = image.layers[1].digest
    assert digest is not None
    got = sha(changed(path, digest, change))
    same_size = change is flip
    message = (
        f"oci:{path}: digest mismatch layer 2: want {digest} got {got}; it was cut or changed: copy or save the image"
        " again, or read it unchecked with --no-verify"
    )
    with open_layout(path) as image:
        assert everything(image.layers[0].open()) == LOWER
        if packing == "" and same_size:
            assert image.layers[1].window is not None
        actions: list[Callable[[], object]] = [lambda: everything(image.layers[1].open()), image.layers[1].check]
        if packing == "":
            whole: list[Callable[[], object]] = [lambda: image.layers[1].window, lambda: image.layers[1].open().read(1)]
            actions = [image.layers[1].check, *(() if same_size else whole)]
        for action in actions:
            with pytest.raises(DigestError) as caught:
                action()
            assert str(caught.value) == message
    with open_layout(path, verify=False) as image:
        try:
            everything(image.layers[1].open())
        except BlobError as error:
            assert packing in str(error).replace(" ", "+")  # noqa: PT017 - some changes do no harm


@pytest.mark.parametrize("packing", ["", "+gzip"])
def test_a_layer_whose_size_is_not_what_the_manifest_says(tmp_path: Path, packing: str) -> None:
    layout = Layout()
    descriptor = layout.blob(PACKED[packing](LOWER), OCI_LAYER + packing)
    size = descriptor["size"]
    layout.add(layout.manifest([LOWER], descriptors=[{**descriptor, "size": size + 1}]))
    path = layout.directory(tmp_path)
    message = rf"size mismatch layer 1 {descriptor['digest']}: want {size + 1} bytes got {size}; "
    with open_layout(path) as image, pytest.raises(DigestError, match=message):
        image.layers[0].open().read(1)
    with open_layout(path, verify=False) as image:
        assert everything(image.layers[0].open()) == LOWER


def test_documents_that_were_changed(tmp_path: Path) -> None:
    path = simple().directory(tmp_path)
    with open_layout(path) as image:
        digests = {"manifest": image.manifest_digest, "configuration": image.config_digest}
    for what, digest in digests.items():
        assert digest is not None
        original = (path / blob_path(digest)).read_bytes()
        got = sha(changed(path, digest, lambda content: content + b" "))
        assert refused(path).startswith(f"digest mismatch {what}: want {digest} got {got}; ")
        assert contents(path, verify=False)[1] == [LOWER, UPPER]
        (path / blob_path(digest)).write_bytes(original)
    layout = Layout()
    descriptor = layout.manifest()
    layout.add({**descriptor, "size": 5})
    path = layout.directory(tmp_path / "size")
    assert refused(path).startswith(f"size mismatch manifest {descriptor['digest']}: want 5 bytes got ")
    assert contents(path, verify=False)[1] == [LOWER, UPPER]


def test_diff_ids_are_checked_when_asked(tmp_path: Path) -> None:
    layout = Layout()
    layout.add(layout.manifest(settings=config([LOWER, LOWER])))
    path = layout.directory(tmp_path)
    assert contents(path)[1] == [LOWER, UPPER]
    assert contents(path, deep=True, verify=False)[1] == [LOWER, UPPER]
    with open_layout(path, deep=True) as image:
        assert everything(image.layers[0].open()) == LOWER
        for action in (lambda: everything(image.layers[1].open()), image.layers[1].check):
            with pytest.raises(DigestError, match=f"digest mismatch layer 2: want {sha(LOWER)} got {sha(UPPER)}"):
                action()


# Files


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside = simple().directory(tmp_path / "outside")
    with open_layout(outside) as image:
        manifest = image.manifest_digest
        layer = image.layers[0].digest
    assert manifest is not None
    assert layer is not None
    for name in ("index.json", blob_path(manifest), blob_path(layer), "blobs/sha256", "blobs"):
        path = simple().directory(tmp_path / name.replace("/", "-"))
        target = path / name
        target.rename(path / "moved")
        target.symlink_to(outside / name)
        assert "is or stands behind a symbolic link, and none is followed; copy the layout with cp -rL" in refused(path)
    (tmp_path / "link").symlink_to(outside)
    assert contents(tmp_path / "link")[1] == [LOWER, UPPER]


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    path = simple().directory(tmp_path)
    (path / "index.json").unlink()
    os.mkfifo(path / "index.json")
    assert refused(path) == "index.json: is no regular file"


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ((), "name the directory of oci-layout and index.json"),
        (("etc/x", "usr/x"), "it looks like a root file system: rootfs:DIR"),
        (("pyvenv.cfg",), "it looks like an environment: python:DIR"),
        (("manifest.json",), "it looks like an unpacked archive: pack it with tar, and read it as archive:PATH"),
    ],
)
def test_directories_of_another_kind(tmp_path: Path, names: tuple[str, ...], reason: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert refused(tmp_path) == f"not an OCI layout: it has no index.json; {reason}"


def test_what_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file") == "is a file; an archive is read as archive:PATH"
    assert "No such file or directory" in refused(tmp_path / "gone")


def test_more_layers_than_files_may_stand_open(tmp_path: Path) -> None:
    layers = [tar({"n": str(number)}) for number in range(400)]
    layout = Layout()
    layout.add(layout.manifest(layers, packing=""))
    path = layout.directory(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, before + 260), hard))
    try:
        assert contents(path)[1] == layers
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
