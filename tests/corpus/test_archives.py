"""Image archives and layouts of peers' test suites: each has the right answer, or the right refusal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reprocheck.archives.archive import open_archive
from reprocheck.archives.layout import open_layout
from reprocheck.errors import TargetError
from reprocheck.layers.blob import drain

GGCR, SCALIBR = "go-containerregistry", "osv-scalibr"

REFUSED = {
    (GGCR, "pkg/v1/tarball/testdata/null_manifest.tar"): "manifest.json lists no image",
    (GGCR, "pkg/v1/tarball/testdata/no_manifest.tar"): "neither manifest.json nor index.json is in it (written before",
    (GGCR, "pkg/v1/tarball/testdata/test_bundle.tar"): "#test_image_2, #test_image_1",
    (GGCR, "pkg/v1/tarball/testdata/test_link.tar"): "#bazel/v1/tarball:test_image_1, #bazel/v1/tarball:test_image_3",
    (GGCR, "pkg/v1/layout/testdata/test_gc_image_unknown_mediatype"): (
        "manifest sha256:32589985702551b6c56033bb3334432a0a513bf9d6aceda0f67c42b003850720: is not in it"
    ),
    (GGCR, "pkg/v1/layout/testdata/test_index_media_type"): (
        "configuration sha256:ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"
    ),
    (SCALIBR, "artifact/image/layerscanning/image/testdata/empty.tar"): "not a docker-save or OCI archive: ",
    (SCALIBR, "artifact/image/unpack/testdata/escape.tar"): "not a docker-save or OCI archive: ",
}


@pytest.fixture
def corpus() -> Path:
    where = os.environ.get("REPROCHECK_CORPUS")
    if where is None:
        pytest.skip("REPROCHECK_CORPUS is not set")
    return Path(where)


def expected(corpus: Path, peer: str) -> dict[str, Any]:
    images: dict[str, Any] = json.loads((corpus / peer / "EXPECTED.json").read_text())["images"]
    assert images
    return images


def opened(path: Path, tag: str | None = None) -> Any:
    return open_layout(path, tag=tag) if path.is_dir() else open_archive(path, tag=tag, deep=True)


def flattened(corpus: Path, peer: str) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    suffix = ".EXPECTED_FLAT.json"
    for answer in sorted((corpus / peer).rglob(f"*{suffix}")):
        yield answer.with_name(answer.name.removesuffix(suffix)), json.loads(answer.read_text())


@pytest.mark.parametrize("peer", [GGCR, SCALIBR])
def test_each_archive_is_read_or_refused(corpus: Path, peer: str) -> None:
    for name in expected(corpus, peer):
        reason = REFUSED.get((peer, name))
        if reason is not None:
            with pytest.raises(TargetError) as caught, opened(corpus / peer / name):
                pass
            assert reason in str(caught.value), name
            continue
        with opened(corpus / peer / name) as image:
            assert image.layers, name
            for layer in image.layers:
                assert layer.problem is None, name
                layer.check()
                drain(layer.open())


@pytest.mark.parametrize("peer", [GGCR, SCALIBR])
def test_each_image_of_each_archive_has_its_layers(corpus: Path, peer: str) -> None:
    count = 0
    for path, answers in flattened(corpus, peer):
        for answer in answers:
            if not answer.get("diff_ids_match"):
                continue  # one whose blobs are missing, and a chart for another program: both are refused
            count += 1
            with opened(path, tag_of(path, answer["ref"], len(answers))) as image:
                assert len(image.layers) == answer["n_layers"], path
                assert [layer.compression for layer in image.layers] == answer["layer_compression"], path
                assert (image.platform.os, image.platform.architecture) == (answer["os"], answer["architecture"]), path
    assert count > 10


def tag_of(path: Path, reference: str, images: int) -> str | None:
    """The choice that an answer is for; none where there is one image."""
    if images == 1:
        return None
    return reference.partition("@")[0] if path.is_dir() else reference


def test_the_image_behind_a_link(corpus: Path) -> None:
    path = corpus / GGCR / "pkg/v1/tarball/testdata/test_link.tar"
    with open_archive(path, tag="bazel/v1/tarball:test_image_3", deep=True) as image:
        assert [layer.size for layer in image.layers] == [10240, 2048]
        for layer in image.layers:
            layer.check()


def test_no_file_of_the_corpus_does_harm(corpus: Path) -> None:
    """Whatever a file is, it is read as an image or refused in one line."""
    read = refused = 0
    for path in sorted(corpus.rglob("*")):
        if not path.is_file() or path.stat().st_size > 4 << 20:
            continue
        try:
            with open_archive(path, deep=True, visit=drain):
                read += 1
        except TargetError as error:
            refused += "\n" not in str(error)
    assert read > 20
    assert refused > 100
