"""Images with a layer that is wrong: the rest is captured, what is lost is named, and no gate passes on it."""

from __future__ import annotations

import gzip
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.archives.make import OCI_LAYER, PACKED, Layout, blob_path, named, saved, sha, tar
from tests.faults.made import (
    APPS,
    BASE,
    INSTRUCTIONS,
    SITE,
    STATUS,
    WAYS,
    WHOLE,
    archive,
    descriptor,
    distribution,
    found,
    image,
    layer,
    layout,
    settings,
)
from tests.integration.running import Ran
from tests.layers.archives import END, directory, entry, file, hard, header, link, pax

Command = Callable[..., Ran]

METADATA = b"Metadata-Version: 2.1\nName: delta\nVersion: 4.0\n"
DELTA = SITE + b"/delta-4.0.dist-info/METADATA"


def lost(document: Any) -> list[tuple[str, str]]:
    """Where, and why, of what was lost of the layers."""
    return [(gap["where"], gap["reason"]) for gap in document["gaps"] if gap["what"] == "layers"]


@pytest.fixture
def baseline(command: Command, tmp_path: Path) -> Path:
    """Of the image without the layer that is wrong."""
    path = tmp_path / "baseline.json"
    command("lock", archive(tmp_path / "whole.tar", BASE, APPS), "-o", path).ended(0)
    return path


REFUSED: dict[str, tuple[tuple[bytes, ...], str, str]] = {
    "a name with dots": ((file(b"../../x", b"1"),), "../../x", "'..' in its name"),
    "a name with dots inside": ((file(b"a/../../../x"),), "a/../../../x", "'..' in its name"),
    "a link named with dots": ((link(b"../../etc/ld.so", b"/x"),), "../../etc/ld.so", "'..' in its name"),
    "the root as a link": ((link(b".", b"/etc"),), ".", "the root can't be replaced by a symbolic link"),
    "the root as a link, absolute": ((link(b"/.", b"/etc"),), "/.", "the root can't be replaced by a symbolic link"),
    "a hard link to nothing": ((hard(b"etc/x", b"etc/hostname"),), "etc/x", "dangling hard link: etc/hostname"),
    "a hard link to a lower layer": ((hard(b"etc/x", b"etc/passwd"),), "etc/x", "dangling hard link: etc/passwd"),
    "a hard link outside": ((hard(b"etc/x", b"../../../etc/hostname"),), "etc/x", "dangling hard link"),
    "a whiteout of no name": ((file(b".wh."),), ".wh.", "a whiteout of no name"),
    "a whiteout of the directory": ((file(b"etc/.wh.."),), "etc/.wh..", "a whiteout of no name"),
    "a whiteout of what is above": ((file(b"etc/.wh..."),), "etc/.wh...", "a whiteout of no name"),
    "links in a circle": (
        (link(b"a", b"b"), link(b"b", b"a"), file(b"a/x")), "a/x", "too many links: more than 40 on its way",
    ),
    "41 links": (
        (*(link(b"l%d" % n, b"l%d" % (n + 1)) for n in range(41)), directory(b"l41"), file(b"l0/x")), "l0/x",
        "too many links",
    ),
    "a file for a directory": ((file(b"f"), file(b"f/x")), "f/x", "f is no directory"),
    "a sparse file": (
        (pax({"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.name": b"opt/big",
              "GNU.sparse.realsize": b"1099511627776"}) + header(b"opt/s", size=512) + bytes(512),),
        "opt/big", "a sparse file of 1099511627776 bytes: its contents are not read",
    ),
    "an unknown type": ((entry(b"x", b"Z"),), "x", "an entry of unknown type Z"),
    "a mark of the overlay file system": (
        (pax({"SCHILY.xattr.trusted.overlay.opaque": b"y"}) + directory(SITE),), SITE.decode(),
        "has trusted.overlay.opaque, marks of the overlay file system",
    ),
}  # fmt: skip
"""Entries of a third layer, the path that is named, and why."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", REFUSED)
def test_an_entry_that_is_refused(command: Command, tmp_path: Path, baseline: Path, case: str, way: str) -> None:
    entries, path, reason = REFUSED[case]
    bad = layer(*entries, file(DELTA, METADATA))
    target = image(way, tmp_path / "i", BASE, APPS, bad)
    document = command("capture", target, "--format", "json").ended(0).json
    assert found(document) == {**WHOLE, "delta": "4.0"}
    assert document["system"]["os"]["pretty_name"] == "Made 11"
    (gap,) = lost(document)
    stored = PACKED["" if way == "archive" else f"+{way}"](bad)
    assert gap[0] == f"layer 3 ({sha(stored)}): {path}"
    assert gap[1].startswith(reason)

    text = command("capture", target).ended(0).stdout
    assert path in text
    report = command("verify", target, "--baseline", baseline, "--format", "json").ended(2).json
    assert report["verdict"] == "unverified"
    assert [one for one in report["gaps"] if one["what"] == "layers"]
    # What was read is compared all the same.
    assert report["checked"]["python_packages_unchanged"] == len(WHOLE)
    assert {one["subject"]["name"] for one in report["findings"]} == {"delta"}
    command("lock", target, "-o", tmp_path / "b").ended(2)


def cut(content: bytes) -> bytes:
    """The last member's contents end early."""
    return content[: content.index(b"PAYLOAD") + 700]


PAYLOAD = file(b"opt/payload", b"PAYLOAD" + bytes(3000))
DAMAGED: dict[str, tuple[bytes, str, str]] = {
    "cut in a member": (cut(layer(file(DELTA, METADATA), PAYLOAD)), "opt/payload", "truncated"),
    "a wrong checksum": (
        layer(file(DELTA, METADATA), header(b"opt/x", checksum=b"000001\x00 "), file(b"opt/y")), "byte ", "checksum",
    ),
    "a negative size": (
        layer(file(DELTA, METADATA), header(b"opt/x", size=b"\xff" * 12), file(b"opt/y")), "byte ", "size",
    ),
    "8 EiB": (
        layer(file(DELTA, METADATA), header(b"opt/x", size=b"\x80\x00\x00\x00" + (1 << 63).to_bytes(8, "big"))),
        "", "",
    ),
    "a pax header of 50 MB": (
        layer(file(DELTA, METADATA), header(b"pax", b"x", size=50_000_000) + bytes(50_000_256), file(b"opt/y")), "", "",
    ),
    "garbage": (layer(file(DELTA, METADATA))[:-1024] + b"\xde\xad" * 2048, "byte ", ""),
}  # fmt: skip
"""A third layer that is damaged behind its first member; what names the place, and a word of the reason."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", DAMAGED)
def test_a_layer_that_is_damaged(command: Command, tmp_path: Path, baseline: Path, case: str, way: str) -> None:
    bad, place, word = DAMAGED[case]
    target = image(way, tmp_path / "i", BASE, APPS, bad)
    document = command("capture", target, "--format", "json").ended(0).json
    assert found(document) == {**WHOLE, "delta": "4.0"}, "what stands before the damage is kept"
    (gap,) = lost(document)
    assert gap[0].startswith("layer 3 (sha256:")
    assert place in gap[0]
    assert word in gap[1]
    assert "byte" in " ".join(gap) or "bytes" in gap[1]
    assert (
        command("verify", target, "--baseline", baseline, "--format", "json").ended(2).json["verdict"] == "unverified"
    )


LINKED = SITE + b"/linked-1.dist-info"
HARMLESS: dict[str, tuple[tuple[bytes, ...], dict[str, str]]] = {
    "absolute names": ((b"".join((file(b"/" + DELTA, METADATA),)),), {**WHOLE, "delta": "4.0"}),
    "names with a dot": ((b"".join((file(b"./" + DELTA, METADATA),)),), {**WHOLE, "delta": "4.0"}),
    "a link to the root": (
        (link(b"opt/root", b"/"), file(b"opt/root/" + DELTA, METADATA)), {**WHOLE, "delta": "4.0"},
    ),
    "links out of the root stay in it": (
        (link(b"opt/out", b"../../../../../.."), file(b"opt/out/" + DELTA, METADATA)), {**WHOLE, "delta": "4.0"},
    ),
    "a whiteout": ((file(SITE + b"/.wh.beta-2.0.dist-info"),), {"alpha": "1.0", "gamma": "3.0"}),
    "a whiteout, and the same again": (
        (file(SITE + b"/.wh.beta-2.0.dist-info"), distribution("beta", "2.0")), WHOLE,
    ),
    "a whiteout behind what it does not hide": (
        (distribution("beta", "2.0"), file(SITE + b"/.wh.beta-2.0.dist-info")), WHOLE,
    ),
    "an upgrade": (
        (file(SITE + b"/.wh.beta-2.0.dist-info"), distribution("beta", "2.1")), {**WHOLE, "beta": "2.1"},
    ),
    "a device for a whiteout": ((entry(SITE + b"/beta-2.0.dist-info", b"3"),), {"alpha": "1.0", "gamma": "3.0"}),
    "an opaque marker first": ((file(SITE + b"/.wh..wh..opq"), distribution("delta", "4.0")), {"delta": "4.0"}),
    "an opaque marker last": ((distribution("delta", "4.0"), file(SITE + b"/.wh..wh..opq")), {"delta": "4.0"}),
    "a directory named like a whiteout": ((file(b".wh.usr/x"), directory(b".wh.etc")), WHOLE),
    "a directory that becomes a file": ((file(SITE + b"/beta-2.0.dist-info", b"x"),), {"alpha": "1.0", "gamma": "3.0"}),
    "a directory that becomes a link": (
        (link(SITE, b"/opt/site"), distribution("delta", "4.0", site=b"opt/site")), {"delta": "4.0"},
    ),
    "a hard link to a link": (
        (
            directory(LINKED), link(LINKED + b"/a", b"/opt/there"), hard(LINKED + b"/METADATA", LINKED + b"/a"),
            file(b"opt/there", b"Name: linked\nVersion: 1\n"),
        ),
        {**WHOLE, "linked": "1"},
    ),
    "40 links": (
        (*(link(b"opt/l%d" % n, b"l%d" % (n + 1)) for n in range(39)), link(b"opt/l39", b"/" + SITE),
         file(b"opt/l0/delta-4.0.dist-info/METADATA", METADATA)),
        {**WHOLE, "delta": "4.0"},
    ),
    "a trampoline": (
        (*(link(b"t" + b"/t" * n, b"." ) for n in range(3)), link(b"escape", b"t/" * 40 + b"../" * 40 + b"opt"),
         file(b"opt/x")),
        WHOLE,
    ),
}  # fmt: skip
"""Entries of a third layer that are right, if unusual, and the distributions that there are then."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", HARMLESS)
def test_an_entry_that_is_unusual_and_right(command: Command, tmp_path: Path, case: str, way: str) -> None:
    entries, expected = HARMLESS[case]
    document = (
        command("capture", image(way, tmp_path / "i", BASE, APPS, layer(*entries)), "--format", "json").ended(0).json
    )
    assert found(document) == expected
    assert document["gaps"] == []
    assert not Path("/opt/root").exists()


def test_what_a_layer_removes_it_removed(command: Command, tmp_path: Path) -> None:
    gone = layer(file(SITE + b"/.wh.beta-2.0.dist-info"))
    again = layer(distribution("beta", "2.0"))
    document = command("capture", archive(tmp_path / "a", BASE, APPS, gone), "--format", "json").ended(0).json
    assert document["provenance"]["removed"]["/usr/local"] == {"beta": 2}
    document = command("capture", archive(tmp_path / "b", BASE, APPS, gone, again), "--format", "json").ended(0).json
    assert document["provenance"]["authors"]["/usr/local"] == {"alpha": 0, "beta": 3, "gamma": 1}
    assert [one["instruction"] for one in document["provenance"]["layers"]] == list(INSTRUCTIONS)


def test_who_brought_a_version(command: Command, tmp_path: Path) -> None:
    """The layer from which on there was this version: not one that wrote the same again, but one that edited it."""
    same = layer(distribution("beta", "2.0"))
    edited = layer(file(SITE + b"/beta-2.0.dist-info/METADATA", b"Name: beta\nVersion: 6.6\n"))
    for layers, author, rewritten in (
        ((BASE, APPS, same), 1, 2),
        ((BASE, APPS, edited), 2, None),
    ):
        target = archive(tmp_path / str(len(layers)), *layers)
        provenance = command("capture", target, "--format", "json").ended(0).json["provenance"]
        assert provenance["authors"]["/usr/local"]["beta"] == author
        assert provenance["rewritten"].get("/usr/local", {}).get("beta") == rewritten


def test_a_path_twice_in_one_layer(command: Command, tmp_path: Path) -> None:
    """The last one counts, so that the two orders differ; it is noted, and nothing is lost."""
    one, two = (file(DELTA, METADATA.replace(b"4.0", version)) for version in (b"4.0", b"4.1"))
    told = []
    for name, entries in (("a", (one, two)), ("b", (two, one))):
        document = (
            command("capture", archive(tmp_path / name, BASE, APPS, layer(*entries)), "--format", "json").ended(0).json
        )
        assert not lost(document)
        (note,) = [one for one in document["provenance"]["notes"] if "duplicate entry" in one["reason"]]
        assert note["where"].endswith(DELTA.decode())
        told.append(found(document)["delta"])
    assert told == ["4.1", "4.0"]


def test_links_as_real_images_have_them(command: Command, tmp_path: Path) -> None:
    """A merged ``/usr``, absolute and relative; the alternatives of Debian: each Python and package is found once."""
    merged = layer(
        file(b"etc/os-release", b"ID=debian\n"),
        link(b"bin", b"usr/bin"),
        link(b"lib", b"/usr/lib"),
        link(b"lib64", b"/usr/lib64"),
        directory(b"usr/lib64"),
        file(b"usr/bin/python3.9", b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00\x003.9.2\x00", mode=0o755),
        link(b"usr/bin/python3", b"/etc/alternatives/python3"),
        link(b"etc/alternatives/python3", b"/usr/bin/python3.9"),
        file(b"usr/lib/python3.9/os.py"),
        distribution("alpha", "1.0", site=b"usr/lib/python3/dist-packages"),
    )
    document = command("capture", archive(tmp_path / "a", merged), "--format", "json").ended(0).json
    (environment,) = document["environments"]
    assert environment["id"] == "/usr"
    assert [one["name"] for one in environment["packages"]] == ["alpha"]
    assert environment["python"]["executable"] == "/usr/bin/python3.9"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [b"6", b"3", b"4"], ids=["FIFO", "character device", "block device"])
def test_a_special_file_in_place_of_metadata(command: Command, tmp_path: Path, way: str, kind: bytes) -> None:
    special = layer(directory(SITE + b"/delta-4.0.dist-info"), entry(DELTA, kind, device=(1, 3)))
    document = command("capture", image(way, tmp_path / "i", BASE, APPS, special), "--format", "json").ended(0).json
    assert found(document) == {**WHOLE, "delta": "4.0"}, "its name is that of its directory"
    assert any("not a regular file" in gap["reason"] and "delta" in gap["what"] for gap in document["gaps"]), document[
        "gaps"
    ]


@pytest.mark.parametrize(("name", "target"), [("circle", b"METADATA"), ("dangling", b"/opt/none"), ("long", b"l0")])
def test_links_in_place_of_metadata_that_lead_nowhere(
    command: Command, tmp_path: Path, name: str, target: bytes
) -> None:
    folder = SITE + b"/delta-4.0.dist-info/"
    chain = [link(folder + b"l%d" % number, b"l%d" % (number + 1)) for number in range(41)]
    bad = layer(link(DELTA, target), *(chain if name == "long" else []))
    document = command("capture", archive(tmp_path / "a", BASE, APPS, bad), "--format", "json").ended(0).json
    assert found(document) == {**WHOLE, "delta": "4.0"}
    assert any("delta" in gap["what"] or "delta" in gap["where"] for gap in document["gaps"])


# Layers as a whole.


@pytest.mark.parametrize(
    ("media_type", "packing"),
    [("", ""), ("+gzip", "+gzip"), ("+zstd", "+zstd"), ("+gzip", "+zstd"), ("+zstd", ""), ("", "+gzip")],
)
def test_layers_are_what_their_bytes_are(command: Command, tmp_path: Path, media_type: str, packing: str) -> None:
    made = Layout()
    labelled = [made.blob(PACKED[packing](one), OCI_LAYER + media_type) for one in (BASE, APPS)]
    made.add(made.manifest((BASE, APPS), settings=settings((BASE, APPS)), descriptors=labelled, **named("one")))
    document = command("capture", f"oci:{made.directory(tmp_path / 'i')}", "--format", "json").ended(0).json
    assert found(document) == WHOLE
    assert document["gaps"] == []
    notes = [one["reason"] for one in document["provenance"]["notes"] if "media type says" in one["reason"]]
    assert len(notes) == (0 if media_type == packing else 2)


def test_garbage_behind_a_compressed_layer(command: Command, tmp_path: Path) -> None:
    made = Layout()
    stored = [made.blob(gzip.compress(one) + b"garbage", OCI_LAYER + "+gzip") for one in (BASE, APPS)]
    made.add(made.manifest((BASE, APPS), settings=settings((BASE, APPS)), descriptors=stored, **named("one")))
    where, whole = made.directory(tmp_path / "i"), made.archive(tmp_path / "a.tar")
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(gzip.compress(whole.read_bytes()))
    expected = [
        {
            "what": "layers",
            "where": f"layer {number} ({one['digest']})",
            "reason": f"what stands behind the end of the gzip stream, at byte {one['size'] - 7}, is ignored",
        }
        for number, one in enumerate(stored, start=1)
    ]
    for target in (f"archive:{packed}", f"archive:{whole}", f"oci:{where}", f"oci:{where}", f"archive:{packed}"):
        document = command("capture", target, "--format", "json").ended(0).json
        assert found(document) == WHOLE
        assert document["gaps"] == []
        notes = document["provenance"]["notes"]
        assert [note for note in notes if "behind" in note["reason"]] == expected, target


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (
            descriptor(b"x", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"),
            "is encrypted, and has media type application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        ),
        (descriptor(b"x", "application/x-wasm"), "has media type application/x-wasm, which cannot be read"),
        (
            descriptor(
                b"x", "application/vnd.oci.image.layer.nondistributable.v1.tar", urls=["https://example.invalid/layer"]
            ),
            "is not stored here; it can be had from https://example.invalid/layer, and nothing is fetched on its own",
        ),
        (descriptor(b"x"), "is not stored here"),
    ],
    ids=["encrypted", "unknown", "elsewhere", "missing"],
)
def test_a_layer_that_can_not_be_read(
    command: Command, tmp_path: Path, baseline: Path, bad: dict[str, Any], said: str
) -> None:
    made = Layout()
    stored = [made.blob(gzip.compress(one), OCI_LAYER + "+gzip") for one in (BASE, APPS)]
    if "urls" not in bad and bad["mediaType"] != OCI_LAYER:
        made.blob(b"x", bad["mediaType"])
    layers = (BASE, APPS, b"x")
    made.add(made.manifest(layers, settings=settings(layers), descriptors=[*stored, bad], **named("one")))
    target = f"oci:{made.directory(tmp_path / 'i')}"
    document = command("capture", target, "--format", "json").ended(0).json
    assert found(document) == WHOLE
    (gap,) = lost(document)
    assert bad["digest"] in gap[0]
    assert said in gap[1]
    text = command("verify", target, "--baseline", baseline).ended(2).stdout
    assert text.startswith("unverified  ")


# Digests.


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("packing", ["+gzip", "+zstd", ""])
@pytest.mark.parametrize("change", [flipped, lambda content: content[:-700], lambda content: content + b"x"])
def test_a_layer_that_is_not_what_its_digest_says(
    command: Command, tmp_path: Path, packing: str, change: Callable[[bytes], bytes]
) -> None:
    target = layout(tmp_path / "i", BASE, APPS, packing=packing)
    stored = PACKED[packing](APPS)
    blob = tmp_path / "i" / blob_path(sha(stored))
    blob.write_bytes(change(stored))
    options = ("--deep",) if not packing else ()
    for words in (("capture", target), ("capture", target, "--format", "json")):
        line = command(*words, *options).refused()
        assert "mismatch layer 2" in line
        assert re.search(r"want (sha256:\w+|\d+ bytes) got (sha256:\w+|\d+)", line)
        assert "--no-verify" in line


def test_digests_of_a_mismatch_are_both_named(command: Command, tmp_path: Path) -> None:
    target = layout(tmp_path / "i", BASE, APPS)
    stored = PACKED["+gzip"](APPS)
    (tmp_path / "i" / blob_path(sha(stored))).write_bytes(flipped(stored))
    line = command("capture", target).refused()
    assert f"{target}: digest mismatch layer 2: want {sha(stored)} got {sha(flipped(stored))}; " in line


def test_unchecked_only_if_that_is_asked_for(command: Command, tmp_path: Path) -> None:
    """A digest that is wrong with bytes that are right: what is inside can be read."""
    target = layout(tmp_path / "i", BASE, APPS)
    stored = PACKED["+gzip"](APPS)
    blob = tmp_path / "i" / blob_path(sha(stored))
    blob.write_bytes(gzip.compress(APPS, compresslevel=1))
    assert blob.read_bytes() != stored
    command("capture", target).refused()
    document = command("capture", target, "--no-verify", "--format", "json").ended(0).json
    assert found(document) == WHOLE
    assert document["header"]["checked"] == "none"
    command("capture", target).refused()  # nor was anything kept that would be believed later


def test_the_report_says_what_was_checked(command: Command, tmp_path: Path) -> None:
    plain, packed = archive(tmp_path / "a.tar", BASE, APPS), layout(tmp_path / "i", BASE, APPS)
    # The layers of the first are not compressed themselves; of the second one is.
    as_a_whole, mixed = (f"archive:{tmp_path / name}.gz" for name in ("a", "m"))
    (tmp_path / "a.gz").write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes()))
    made = Layout()
    stored = [made.blob(BASE, OCI_LAYER), made.blob(gzip.compress(APPS), OCI_LAYER + "+gzip")]
    made.add(made.manifest((BASE, APPS), settings=settings((BASE, APPS)), descriptors=stored, **named("one")))
    (tmp_path / "m.gz").write_bytes(gzip.compress(made.archive(tmp_path / "m.tar").read_bytes()))
    for target, options, checked in (
        (plain, (), "headers"),
        (as_a_whole, (), "headers"),
        (as_a_whole, ("--deep",), "digests"),
        (as_a_whole, ("--no-verify",), "none"),
        (mixed, (), "headers"),
        (mixed, ("--deep",), "digests"),
        (plain, ("--deep",), "digests"),
        (plain, ("--no-verify",), "none"),
        (packed, (), "digests"),
        (packed, ("--no-verify",), "none"),
    ):
        header_of = command("capture", target, *options, "--format", "json").ended(0).json["header"]
        assert header_of["checked"] == checked, (target, options)


def test_a_plain_layer_that_was_changed_is_found_with_deep(command: Command, tmp_path: Path) -> None:
    """Its headers are right, so a walk from one to the next does not see it."""
    target = layout(tmp_path / "i", BASE, APPS, packing="")
    blob = tmp_path / "i" / blob_path(sha(APPS))
    blob.write_bytes(APPS.replace(b"Version: 2.0\n", b"Version: 6.6\n"))
    assert found(command("capture", target, "--format", "json").ended(0).json)["beta"] == "6.6"
    assert "digest mismatch layer 2" in command("capture", target, "--deep").refused()


@pytest.mark.parametrize("packed", [False, True])
def test_a_diff_id_of_another_algorithm_is_compared_too(command: Command, tmp_path: Path, packed: bool) -> None:
    """Layers of an archive that is compressed as a whole come by before anything says how to hash them."""
    layers = (BASE, APPS)
    for name, claimed in (("right", layers), ("wrong", (BASE, BASE))):
        config = settings(layers)
        config["rootfs"]["diff_ids"] = [sha(one, "sha512") for one in claimed]
        files = saved({"made:one": layers}, settings=config)
        if packed:
            files = {path: gzip.compress(one) if one in layers else one for path, one in files.items()}
        (tmp_path / name).write_bytes(gzip.compress(tar(files)))
    options = () if packed else ("--deep",)
    command("capture", f"archive:{tmp_path / 'right'}", *options).ended(0)
    line = command("capture", f"archive:{tmp_path / 'wrong'}", *options).refused()
    want, got = sha(BASE, "sha512"), sha(APPS, "sha512")
    assert f"digest mismatch layer 2: want {want} got {got}; " in line


# Names that would write to the terminal.

HOSTILE = "\x1b[2J\x1b]52;c;cm0=\x07\r\u202e\x9b31m"
UNBROKEN = HOSTILE.replace("\r", "")
"""In METADATA the other would end a line."""


@pytest.mark.parametrize("way", WAYS)
def test_hostile_names_are_printed_safely(command: Command, tmp_path: Path, baseline: Path, way: str) -> None:
    bad = layer(
        file(b"../" + HOSTILE.encode()),
        file(b"../\xff\xfe"),
        hard(b"opt/x", HOSTILE.encode()),
        distribution("delta", UNBROKEN),
        entry(HOSTILE.encode() + b"/" + b"n" * 300, b"0"),
    )
    target = image(way, tmp_path / "i", BASE, APPS, bad)
    for words in (
        ("capture", target),
        ("capture", target, "--format", "json", "--debug"),
        ("verify", target, "--baseline", baseline),
        ("verify", target, "--baseline", baseline, "--all", "--format", "json"),
        ("capture", f"{target}#{HOSTILE}"),
        ("explain", target, "delta"),
    ):
        ran = command(*words)
        shown = ran.stdout + ran.stderr
        harmful = {one for one in shown if unicodedata.category(one) in {"Cc", "Cf", "Zl", "Zp"} and one != "\n"}
        assert harmful == set(), words
    document = command("capture", target, "--format", "json").ended(0).json
    assert found(document)["delta"] == UNBROKEN, "the value itself is kept"
    assert json.dumps(lost(document)).count("\\\\x1b[2J") >= 2


# Bounds.


def test_many_layers(command: Command, tmp_path: Path) -> None:
    """Each brings a package, and has its say in the directory and in the database that all of them share."""
    upgraded = STATUS + b"\nPackage: p\nStatus: install ok installed\nArchitecture: amd64\nVersion: %d\n"
    more = (
        layer(distribution(f"p{number}", "1"), file(b"var/lib/dpkg/status", upgraded % number))
        for number in range(5000)
    )
    layers = (BASE, APPS, *more)
    document = command("capture", archive(tmp_path / "a", *layers), "--format", "json").ended(0).json
    assert found(document) == WHOLE | {f"p{number}": "1" for number in range(5000)}
    provenance = document["provenance"]
    assert len(provenance["layers"]) == 5002
    brought = provenance["authors"]
    assert (brought["/usr/local"]["p0"], brought["/usr/local"]["p4999"]) == (2, 5001)
    assert (brought["os_packages"]["tar"], brought["os_packages"]["p"]) == (0, 5001)


def test_many_whiteouts(command: Command, tmp_path: Path) -> None:
    many = layer(*(file(b"opt/.wh.%d" % number) for number in range(50_000)))
    document = command("capture", archive(tmp_path / "a", BASE, APPS, many), "--format", "json").ended(0).json
    assert found(document) == WHOLE
    assert document["gaps"] == []


def test_deep_directories(command: Command, tmp_path: Path) -> None:
    deep = layer(file(b"d/" * 2000 + b"x"), file(b"d/" * 5000 + b"x"), distribution("delta", "4.0"))
    document = command("capture", archive(tmp_path / "a", BASE, APPS, deep), "--format", "json").ended(0).json
    assert found(document) == {**WHOLE, "delta": "4.0"}
    (gap,) = lost(document)
    assert "a name of 10001 bytes, more than 4095" in gap[1]


def test_an_end_that_is_missing_is_noted(command: Command, tmp_path: Path) -> None:
    target = archive(tmp_path / "a", BASE, APPS[: -len(END)])
    document = command("capture", target, "--format", "json").ended(0).json
    assert found(document) == WHOLE
    assert document["gaps"] == []
    assert any("no end mark" in note["reason"] for note in document["provenance"]["notes"])
