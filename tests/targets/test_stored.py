"""Archives and layouts as sessions: the layer cache changes the time that they take, and nothing else."""

from __future__ import annotations

import gzip
import json
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from reprocheck.capture import capture, collect
from reprocheck.errors import TargetError
from reprocheck.layers.cache import LayerCache, directory
from reprocheck.layers.tar_layer import StreamedLayer
from reprocheck.model import codec
from reprocheck.model.evidence import Read
from reprocheck.targets import kept, stored
from reprocheck.targets.address import parse
from reprocheck.targets.resolve import Access
from tests import rpm
from tests.archives.make import OCI_LAYER, PACKED, Layout, blob_path, named, sha
from tests.faults.made import APPS, BASE, SITE, archive, distribution, layer, layout, settings
from tests.layers.archives import file

UPPER = layer(distribution("delta", "4.0"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return directory() / "layers-2.sqlite"


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry for each time that a stream was read from its beginning to its end."""
    seen: list[bool] = []
    opened = StreamedLayer.open.__func__  # type: ignore[attr-defined] # it is a class's

    def counting(cls: type[StreamedLayer], /, *words: object, **options: object) -> StreamedLayer:
        seen.append(True)
        made = opened(cls, *words, **options)
        assert isinstance(made, StreamedLayer)
        return made

    monkeypatch.setattr(StreamedLayer, "open", classmethod(counting))
    return seen


def told(target: str, **access: bool) -> bytes:
    """The whole snapshot but for the header."""
    address = parse(target)
    assert address is not None
    document = json.loads(codec.encode_json(collect(address, Access(**access))[1]))  # type: ignore[arg-type]
    del document["header"]
    return json.dumps(document, indent=1).encode()


def rows(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {digest for (digest,) in connection.execute("select digest from layers")}


@pytest.mark.parametrize("packing", ["+gzip", "+zstd"])
def test_with_and_without_the_cache(tmp_path: Path, own_cache: Path, packing: str, passes: list[bool]) -> None:
    target = layout(tmp_path / "i", BASE, APPS, packing=packing)
    first = told(target)
    assert len(passes) == 2
    assert rows(own_cache) == {sha(PACKED[packing](one)) for one in (BASE, APPS)}
    assert told(target) == first
    assert len(passes) == 2, "no layer was read again"
    own_cache.unlink()
    assert told(target) == first


def test_a_derived_image_costs_its_new_layer(tmp_path: Path, passes: list[bool]) -> None:
    told(layout(tmp_path / "one", BASE, APPS))
    passes.clear()
    derived = layout(tmp_path / "two", BASE, APPS, UPPER)
    second = told(derived)
    assert len(passes) == 1
    assert b"delta" in second


@pytest.mark.parametrize(("second", "by"), [(b"one line\n", 1), (b"another.\n", 2)])
def test_what_is_compared_between_layers_is_what_the_files_hold(tmp_path: Path, second: bytes, by: int) -> None:
    """The cache keeps nothing of what stands where scripts do but its length."""
    record = file(SITE + b"/alpha-1.0.dist-info/RECORD", b"../../../bin/tool,sha256=" + b"x" * 43 + b",3\n")
    lower = [BASE, layer(record, file(b"usr/local/bin/tool", b"one line\n", mode=0o755))]
    layers = [*lower, layer(file(b"usr/local/bin/tool", second, mode=0o755))]
    told(layout(tmp_path / "lower", *lower))
    derived = layout(tmp_path / "derived", *layers)
    for kept_before in ("the lower layers", "all layers"):
        document = json.loads(told(derived))
        assert document["provenance"]["edited"] == {"/usr/local": {"alpha": by}}, kept_before


def test_nothing_is_kept_unchecked(tmp_path: Path, own_cache: Path) -> None:
    target = layout(tmp_path / "i", BASE, APPS)
    told(target, no_verify=True)
    assert not own_cache.exists()
    checked = told(target)
    assert rows(own_cache)
    assert told(target, no_verify=True) == checked


def test_what_is_kept_is_not_believed_where_all_is_to_be_checked(tmp_path: Path, passes: list[bool]) -> None:
    target = layout(tmp_path / "i", BASE, APPS)
    told(target)
    passes.clear()
    told(target, deep=True)
    assert len(passes) == 2


def test_plain_layers_are_read_in_place(tmp_path: Path, own_cache: Path, passes: list[bool]) -> None:
    told(archive(tmp_path / "i", BASE, APPS))
    assert passes == []
    assert not own_cache.exists()


def forged(tmp_path: Path, name: str, **diff_ids: str) -> str:
    """A layout that says of its own upper layer that it is another one, by its diff_id."""
    made = Layout()
    config = settings((BASE, UPPER))
    config["rootfs"]["diff_ids"][1] = diff_ids["claimed"]
    made.add(made.manifest((BASE, UPPER), settings=config, **named("one")))
    return f"oci:{made.directory(tmp_path / name)}"


def test_an_image_can_not_lay_contents_into_another(tmp_path: Path) -> None:
    """A ``diff_id`` is a claim that only unpacking proves: what is kept goes by the digest of the stored bytes."""
    honest = layout(tmp_path / "honest", BASE, APPS)
    expected = told(honest)
    directory().joinpath("layers-2.sqlite").unlink()
    assert b"delta" in told(forged(tmp_path, "forged", claimed=sha(APPS)))
    assert told(honest) == expected
    # Nor the other way round: a claim gets it nothing that is another image's.
    assert b'"name": "beta"' not in told(forged(tmp_path, "again", claimed=sha(APPS)))


def test_a_blob_that_is_not_what_its_digest_says_is_never_kept(tmp_path: Path, own_cache: Path) -> None:
    target = layout(tmp_path / "i", BASE, APPS)
    digest = sha(PACKED["+gzip"](APPS))
    (tmp_path / "i" / blob_path(digest)).write_bytes(PACKED["+gzip"](UPPER))
    with pytest.raises(TargetError, match="mismatch layer 2"):
        told(target)
    assert not own_cache.exists() or digest not in rows(own_cache)


def asks_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a later version would: a file that no rule keeps."""
    from reprocheck.extractors import assemble, system

    wants: Callable[..., list[object]] = lambda evidence: [*system.wants(evidence), Read(at="/opt/new")]  # noqa: E731
    more = type(
        "More", (), {"CLASS": "system", "VERSION": 1, "wants": staticmethod(wants), "read": staticmethod(system.read)}
    )
    monkeypatch.setattr(assemble, "EXTRACTORS", (more, *assemble.EXTRACTORS[1:]))


def test_a_new_extractor_adds_to_what_is_kept(
    tmp_path: Path, own_cache: Path, passes: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    upper = layer(file(b"opt/new", b"asked for later"), distribution("delta", "4.0"))
    target = layout(tmp_path / "i", BASE, upper)
    told(target)
    cache, digest = LayerCache(directory()), sha(PACKED["+gzip"](upper))

    def contents() -> list[bytes]:
        known = cache.load(digest)
        assert known is not None
        return list(known[1].values())

    before = contents()
    assert b"asked for later" not in before
    asks_for_more(monkeypatch)
    told(target)
    assert sorted(contents()) == sorted([*before, b"asked for later"])
    assert len(passes) == 2
    assert own_cache.exists()


def test_what_is_added_later_is_checked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is kept, and the blob was exchanged meanwhile: its bytes are not taken for the layer's."""
    upper = layer(file(b"opt/new", b"asked for later"), distribution("delta", "4.0"))
    layers = (BASE, upper)
    made = Layout()
    # Packed without being compressed, so that other contents of one length are of one length still.
    stored = [made.blob(gzip.compress(one, compresslevel=0, mtime=0), OCI_LAYER + "+gzip") for one in layers]
    made.add(made.manifest(layers, settings=settings(layers), descriptors=stored, **named("one")))
    target = f"oci:{made.directory(tmp_path / 'i')}"
    told(target)
    digest = stored[1]["digest"]
    other = gzip.compress(upper.replace(b"asked for later", b"forged contents"), compresslevel=0, mtime=0)
    assert len(other) == stored[1]["size"]
    (tmp_path / "i" / blob_path(digest)).write_bytes(other)
    asks_for_more(monkeypatch)
    with pytest.raises(TargetError, match="digest mismatch layer 2"):
        told(target)
    known = LayerCache(directory()).load(digest)
    assert known is not None
    assert not any(b"forged" in content for content in known[1].values())


def test_a_layer_with_losses_is_not_kept(tmp_path: Path, own_cache: Path) -> None:
    bad = layer(file(b"../x"), distribution("delta", "4.0"))
    target = layout(tmp_path / "i", BASE, bad)
    first = told(target)
    assert rows(own_cache) == {sha(PACKED["+gzip"](BASE))}
    assert told(target) == first


def test_credentials_are_masked_in_what_is_kept(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = SITE + b"/delta-4.0.dist-info/direct_url.json"
    upper = layer(
        distribution("delta", "4.0"),
        file(secret, b'{"url": "https://me:hunter2@example.invalid/x.whl", "archive_info": {}}'),
    )
    target = layout(tmp_path / "i", BASE, upper)
    first = told(target)
    assert b"hunter2" not in first
    assert b"https://example.invalid/x.whl" in first
    assert b"hunter2" not in own_cache.read_bytes()
    assert rows(own_cache) == {sha(PACKED["+gzip"](one)) for one in (BASE, upper)}
    monkeypatch.setattr(StreamedLayer, "_take", lambda *_: pytest.fail("a second pass over a layer"))
    assert told(target) == first
    assert b"hunter2" not in own_cache.read_bytes()


def test_no_credential_of_any_file_is_kept(tmp_path: Path, own_cache: Path) -> None:
    info = SITE + b"/delta-4.0.dist-info/"
    script = b"#!/bin/sh\nexport TOKEN=hunter2-script\n"
    upper = layer(
        file(info + b"METADATA", b"Metadata-Version: 2.1\nName: delta\nVersion: 4.0\n\nUse hunter2-readme.\n"),
        file(info + b"RECORD", b"../../../bin/delta,sha256=x,10\n"),
        file(info + b"config.txt", b"token = hunter2-config\n"),
        file(b"usr/bin/delta", script),
        file(SITE + b"/delta.pth", b"import os; os.environ['TOKEN'] = 'hunter2-pth'\n"),
        file(b"etc/passwd", b"root:hunter2-hash:0:0:hunter2-name:/root:/bin/sh\n"),
    )
    target = layout(tmp_path / "i", BASE, upper)
    first = told(target)
    assert b"delta" in first
    assert b"hunter2" not in first
    assert rows(own_cache) == {sha(PACKED["+gzip"](one)) for one in (BASE, upper)}
    assert b"hunter2" not in own_cache.read_bytes()
    assert told(target) == first
    assert b"hunter2" not in own_cache.read_bytes()


def test_limits_of_what_is_kept_lose_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "ALL_LIMIT", 2000)
    monkeypatch.setattr(kept, "FILE_LIMIT", 1000)
    document = told(layout(tmp_path / "i", BASE, APPS, *(layer(distribution(f"n{n}", "1")) for n in range(5))))
    for name in (b"alpha", b"beta", b"gamma", b"n0", b"n4"):
        assert b'"name": "%s"' % name in document


RPM = b"usr/lib/sysimage/rpm/rpmdb.sqlite"


@pytest.mark.parametrize("limit", [None, 1000])
def test_a_large_database_of_rpm(limit: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has 50 to 100 KiB a package, so that no more than some 500 are read of a compressed layer."""
    if limit is not None:
        monkeypatch.setattr(kept, "FILE_LIMIT", limit)
    count = 400 if limit is None else 1
    database = rpm.sqlite(tmp_path / "db", (rpm.header(f"package-{n}", padding=90_000) for n in range(count)))
    target = layout(tmp_path / "i", layer(file(RPM, database)))
    address = parse(target)
    assert address is not None
    snapshot = capture(address, Access())
    reasons = [gap.reason for gap in snapshot.gaps if gap.where == f"/{RPM.decode()}"]
    if limit is None:
        assert (len(database) > 33 << 20, len(snapshot.os_packages), reasons) == (True, count, [])
    else:
        assert reasons == ["can't be read (larger than what is kept of a file in a compressed layer)"]
        assert snapshot.coverage["os_packages"].state == "partial"


def test_what_is_kept_of_all_layers_has_one_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    junk = [layer(*(file(b"opt/%d/%d/rpm/Packages" % (n, m), bytes(1 << 20)) for m in range(3))) for n in range(12)]
    target = layout(tmp_path / "i", BASE, *junk, APPS)
    expected = told(target, no_verify=True)
    monkeypatch.setattr(kept, "ALL_LIMIT", 4 << 20)
    tracemalloc.start()
    try:
        assert told(target, no_verify=True) == expected
        assert tracemalloc.get_traced_memory()[1] < 24 << 20, "36 MiB are wanted of them"
    finally:
        tracemalloc.stop()


def test_what_finds_no_room_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "ALL_LIMIT", 9000)
    info = SITE + b"/delta-4.0.dist-info"
    large = layer(file(info + b"/METADATA", b"Metadata-Version: 2.1\nName: delta\nVersion: 4.0\n\n" + b"x" * 9000))
    address = parse(layout(tmp_path / "i", BASE, large))
    assert address is not None
    gaps = [(gap.where, gap.reason) for gap in capture(address, Access()).gaps]
    assert gaps == [(f"/{info.decode()}", "metadata: no room for it beside what else is kept of compressed layers")]


def test_paths_of_all_layers_have_one_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_PATHS_MOST", 12_000)
    deep = [layer(file(b"%d/" % number + b"d/" * 50 + b"x")) for number in range(8)]
    address = parse(layout(tmp_path / "i", BASE, *deep, APPS))
    assert address is not None
    lost = {gap.where.split()[1] for gap in capture(address, Access()).gaps if "paths of the image's" in gap.reason}
    assert lost == {"6", "7", "8", "9", "10"}


def test_a_layer_that_stands_twice(tmp_path: Path, passes: list[bool]) -> None:
    made = Layout()
    one = made.blob(PACKED["+gzip"](APPS), OCI_LAYER + "+gzip")
    base = made.blob(PACKED["+gzip"](BASE), OCI_LAYER + "+gzip")
    layers = (BASE, APPS, APPS)
    made.add(made.manifest(layers, settings=settings(layers), descriptors=[base, one, one], **named("one")))
    target = f"oci:{made.directory(tmp_path / 'i')}"
    first = told(target)
    assert len(passes) == 2, "one name, one reading"
    assert told(target) == first
    assert len(passes) == 2
