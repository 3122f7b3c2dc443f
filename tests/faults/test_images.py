"""Archives and layouts from which no image can be had, or not without being asked: one line, and exit 2."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.archives.make import (
    LAYOUT,
    OCI_MANIFEST,
    Layout,
    as_json,
    blob_path,
    named,
    saved,
    sha,
    tar,
)
from tests.evidence import plant
from tests.faults.made import APPS, BASE, SITE, WHOLE, archive, distribution, found, layer, layout, settings
from tests.integration.running import ROOT, Ran
from tests.layers.archives import file, header

Command = Callable[..., Ran]

BOTH = {"made:one": (BASE,), "made:two": (BASE, APPS)}


def write(path: Path, content: bytes | dict[str, bytes]) -> str:
    path.write_bytes(content if isinstance(content, bytes) else tar(content))
    return f"archive:{path}"


def test_several_images_are_listed_and_each_can_be_named(command: Command, tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    manifest: list[Any] = []
    for tag, layers in BOTH.items():
        one = saved({tag: layers}, settings=settings(layers))
        manifest += json.loads(one["manifest.json"])
        files |= one
    target = write(tmp_path / "i", {**files, "manifest.json": as_json(manifest)})
    line = command("capture", target).refused()
    assert line == f"{target}: holds 2 images; add one of these: #made:one, #made:two"
    for word in (target, str(tmp_path / "i")):
        assert found(command("capture", f"{word}#made:one", "--format", "json").ended(0).json) == {"alpha": "1.0"}
        assert found(command("capture", f"{word}#made:two", "--format", "json").ended(0).json) == WHOLE
    assert "holds no image made:three; add one of these" in command("capture", f"{target}#made:three").refused()


OTHER = json.dumps(["x"]).encode()
NO_IMAGE: dict[str, tuple[bytes | dict[str, bytes], str]] = {
    "no manifest": ({"a": b"1"}, "neither manifest.json nor index.json is in it"),
    "null": ({"manifest.json": b"null"}, "manifest.json lists no image"),
    "an empty list": ({"manifest.json": b"[]"}, "manifest.json lists no image"),
    "an empty object": ({"manifest.json": b"{}"}, "manifest.json: "),
    "an empty index": ({"index.json": b"", "oci-layout": LAYOUT}, "index.json: is empty"),
    "an index of nothing": ({"index.json": b"{}", "oci-layout": LAYOUT}, "index.json"),
    "not JSON": ({"manifest.json": b"<html>"}, "manifest.json: is not JSON"),
    "deep JSON": ({"manifest.json": b"[" * 100_000 + b"]" * 100_000}, "is nested more than 100 levels"),
    "an empty file": (b"", "empty; save the image again"),
    "text": (b"hello\n" * 1000, "it is text"),
    "a zip file": (b"PK\x03\x04" + bytes(1000), "a zip file"),
    "a program": (b"\x7fELF" + bytes(1000), "a program"),
    "JSON": (b'{"schema": "x"}', "JSON"),
    "text that is compressed": (gzip.compress(b"hello\n" * 1000), "a gzip file of what is text"),
    "a root file system": ({"etc/os-release": b"ID=x", "usr/bin/x": b""}, "rootfs:DIR"),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_IMAGE)
def test_what_is_no_image(command: Command, tmp_path: Path, case: str) -> None:
    content, said = NO_IMAGE[case]
    target = write(tmp_path / "i", content)
    for words in (("capture", target), ("lock", target, "-o", tmp_path / "b")):
        line = command(*words).refused()
        assert line.startswith(f"{target}: ")
        assert said in line
        assert len(line) < 500
    assert not (tmp_path / "b").exists()


def test_a_directory_and_a_file_for_each_other(command: Command, tmp_path: Path) -> None:
    layout(tmp_path / "layout", BASE)
    archive(tmp_path / "i.tar", BASE)
    assert (
        "is a directory; an image layout is read as oci:DIR"
        in command("capture", f"archive:{tmp_path}/layout").refused()
    )
    assert "is a file; an archive is read as archive:PATH" in command("capture", f"oci:{tmp_path}/i.tar").refused()
    assert "can't be read" in command("capture", f"archive:{tmp_path}/none").refused()
    assert "can't be read" in command("capture", f"oci:{tmp_path}/none").refused()
    assert "can't be read" in command("capture", f"rootfs:{tmp_path}/i.tar").refused()


@pytest.mark.parametrize("name", ["manifest.json", "CONFIG"])
def test_documents_of_500_megabytes(command: Command, tmp_path: Path, name: str) -> None:
    """With holes, so that it takes no room: it must be refused by its size, not after it was read."""
    files = saved({"made:one": (BASE,)})
    (config,) = [one for one in files if one.endswith(".json") and one != "manifest.json"]
    path = tmp_path / "i"
    big = config if name == "CONFIG" else name
    with path.open("wb") as sink:
        for one, content in files.items():
            if one != big:
                sink.write(file(one.encode(), content))
        sink.write(header(big.encode(), size=500_000_000))
        sink.seek(500_000_256, os.SEEK_CUR)
        sink.write(bytes(1024))
    line = command("capture", f"archive:{path}").refused()
    assert big in line
    assert "4 MiB" in line


# Platforms.


def multi(path: Path, *platforms: tuple[str, str], attested: bool = True) -> str:
    """A layout with an image for each platform, whose one distribution is named like the architecture."""
    made = Layout()
    manifests = []
    for system, architecture in platforms:
        layers = (BASE, layer(distribution(architecture, "1.0")))
        config = settings(layers, architecture=architecture, os=system)
        platform = {"os": system, "architecture": architecture}
        manifests.append(made.manifest(layers, settings=config, platform=platform))
    if attested:
        unknown = {"os": "unknown", "architecture": "unknown"}
        about = {"vnd.docker.reference.type": "attestation-manifest"}
        manifests.append(made.manifest((), platform=unknown, annotations=about))
    return f"oci:{made.add(made.index(manifests, **named('one'))).directory(path)}"


def test_platforms(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    target = multi(tmp_path / "i", ("linux", "arm64"), ("linux", "amd64"))
    assert "amd64" in found(command("capture", target, "--format", "json").ended(0).json)
    for asked in ("linux/arm64", "linux/amd64"):
        document = command("capture", target, "--platform", asked, "--format", "json").ended(0).json
        assert asked.partition("/")[2] in found(document)
        assert document["subject"]["platform"] == asked
    line = command("capture", target, "--platform", "linux/s390x").refused()
    assert "has no image for linux/s390x" in line
    assert "linux/arm64" in line
    assert "linux/amd64" in line
    assert "unknown" not in line


def test_attestations_are_no_platform(command: Command, tmp_path: Path) -> None:
    target = multi(tmp_path / "i", ("linux", "riscv64"))
    assert "riscv64" in found(command("capture", target, "--format", "json").ended(0).json)


# Two documents.


def test_index_and_manifest_that_disagree(command: Command, tmp_path: Path) -> None:
    """``index.json`` is followed, since there each step is checked by a digest; it is said."""
    made = Layout()
    layers = (BASE, APPS)
    made.add(made.manifest(layers, packing="", settings=settings(layers), **named("one")))
    files = {**made.files, **saved({"other:one": (BASE,)}, settings=settings((BASE,)))}
    document = command("capture", write(tmp_path / "i", files), "--format", "json").ended(0).json
    assert found(document) == WHOLE
    assert any("disagree" in note["reason"] for note in document["provenance"]["notes"])


def test_a_manifest_that_is_an_index_too(command: Command, tmp_path: Path) -> None:
    made = Layout()
    one = made.manifest((BASE,), settings=settings((BASE,)))
    both = json.loads(made.files[blob_path(one["digest"])]) | {"manifests": [one]}
    made.add(made.blob(as_json(both), OCI_MANIFEST, **named("one")))
    line = command("capture", f"oci:{made.directory(tmp_path / 'i')}").refused()
    assert "layers" in line
    assert "manifests" in line


@pytest.mark.parametrize(
    "digest", ["sha256:../../../../etc/passwd", f"sha256:{'A' * 64}", f"sha256:{'a' * 63}", "md5:x", ""]
)
@pytest.mark.parametrize("place", ["manifest", "layer", "config", "diff_id"])
def test_digests_that_are_none(command: Command, tmp_path: Path, digest: str, place: str) -> None:
    made = Layout()
    layers = (BASE, APPS)
    config = settings(layers)
    if place == "diff_id":
        config["rootfs"]["diff_ids"][1] = digest
    one = made.manifest(layers, settings=config, **named("one"))
    if place in {"layer", "config"}:
        manifest = json.loads(made.files[blob_path(one["digest"])])
        (manifest["layers"][1] if place == "layer" else manifest["config"])["digest"] = digest
        one = made.blob(as_json(manifest), OCI_MANIFEST, **named("one"))
    made.add({**one, "digest": digest} if place == "manifest" else one)
    line = command("capture", f"oci:{made.directory(tmp_path / 'i')}").refused()
    assert "invalid digest" in line
    assert "passwd" not in line or repr(digest) in line


# Configurations.


def _of_wrong_count(config: dict[str, Any]) -> None:
    config["rootfs"]["diff_ids"].append("sha256:" + "0" * 64)


def _of_fewer(config: dict[str, Any]) -> None:
    del config["rootfs"]["diff_ids"][0]


@pytest.mark.parametrize(("change", "number"), [(_of_wrong_count, 3), (_of_fewer, 1)])
def test_as_many_diff_ids_as_layers(
    command: Command, tmp_path: Path, change: Callable[[dict[str, Any]], None], number: int
) -> None:
    config = settings((BASE, APPS))
    change(config)
    target = write(tmp_path / "i", saved({"made:one": (BASE, APPS)}, settings=config))
    assert f"has {number} diff_ids, and the manifest has 2 layers" in command("capture", target).refused()


@pytest.mark.parametrize("history", [None, [], [{"created_by": "x"}], [{"created_by": "x", "empty_layer": True}] * 9])
def test_a_history_that_does_not_fit(command: Command, tmp_path: Path, history: object) -> None:
    """No instruction is better than one that belongs to another layer."""
    config = settings((BASE, APPS), history=history)
    document = command(
        "capture", write(tmp_path / "i", saved({"made:one": (BASE, APPS)}, settings=config)), "--format", "json"
    ).ended(0).json  # fmt: skip
    assert found(document) == WHOLE
    assert [one["instruction"] for one in document["provenance"]["layers"]] == [None, None]
    assert any("history" in note["reason"] for note in document["provenance"]["notes"])
    assert document["provenance"]["authors"]["/usr/local"]["beta"] == 1


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"\xff\xfe"])
def test_a_configuration_that_is_none(command: Command, tmp_path: Path, raw: bytes) -> None:
    files = saved({"made:one": (BASE,)})
    (config,) = [one for one in files if one.endswith(".json") and one != "manifest.json"]
    line = command("capture", write(tmp_path / "i", {**files, config: raw})).refused()
    assert config in line


# Links in an archive.


def test_a_layer_that_is_a_link(command: Command, tmp_path: Path) -> None:
    files = saved({"made:one": (BASE, APPS)}, settings=settings((BASE, APPS)))
    first, second = [one for one in files if one.endswith("layer.tar")]
    moved = {**files, "shared/layer.tar": files[second]}
    del moved[second]
    (tmp_path / "i").write_bytes(tar(moved, links={second: "../shared/layer.tar"}))
    document = command("capture", f"archive:{tmp_path}/i", "--format", "json").ended(0).json
    assert found(document) == WHOLE
    for target in (f"../{second}", "../../../../../../etc/hostname", "/etc/hostname"):
        (tmp_path / "j").write_bytes(tar(moved, links={second: target, "x": second}))
        ran = command("capture", f"archive:{tmp_path}/j", "--format", "json")
        assert ran.code == 2 or [gap for gap in ran.json["gaps"] if gap["what"] == "layers"]
        assert first


# No Python.


@pytest.mark.parametrize(
    "only",
    [{"app": b"\x7fELF"}, {"Files/Windows/x.dll": b"MZ"}, {"etc/os-release": b"ID=x\n"}],
    ids=["scratch", "windows", "bare"],
)
def test_an_image_without_a_python(command: Command, tmp_path: Path, only: dict[str, bytes]) -> None:
    """That is a fact of its own, and no image of 0 packages that agrees with anything."""
    baseline = tmp_path / "b"
    command("lock", archive(tmp_path / "whole", BASE, APPS), "-o", baseline).ended(0)
    target = archive(tmp_path / "i", layer(*(file(name.encode(), content) for name, content in only.items())))
    document = command("capture", target, "--format", "json").ended(0).json
    assert document["environments"] == []
    assert any(gap["reason"] == "no Python environment was found" for gap in document["gaps"])
    assert (
        command("verify", target, "--baseline", baseline, "--format", "json").ended(2).json["verdict"] == "unverified"
    )
    command("lock", target, "-o", tmp_path / "c").ended(2)


# A directory.


def test_a_root_file_system(command: Command, tmp_path: Path) -> None:
    root = plant(
        tmp_path / "root",
        {
            "/etc/os-release": "ID=debian\n",
            "/usr/local/bin/python3.9": b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00\x003.9.2\x00",
            "/usr/local/lib/python3.9/os.py": "",
            f"/{SITE.decode()}/alpha-1.0.dist-info/METADATA": "Name: alpha\nVersion: 1.0\n",
            # Another process's root, as the kernel shows it.
            "/proc/7/root/opt/venv/pyvenv.cfg": "home = /usr/local/bin\n",
        },
    )
    (root / "usr/local/bin/python3.9").chmod(0o755)
    outside = plant(tmp_path / "outside", {"/beta-9.dist-info/METADATA": "Name: beta\nVersion: 9\n"})
    (root / SITE.decode() / "beta-9.dist-info").symlink_to(outside / "beta-9.dist-info")
    special = root / SITE.decode() / "gamma-3.0.dist-info"
    special.mkdir()
    os.mkfifo(special / "METADATA")
    for target in (f"rootfs:{root}", str(root)):
        document = command("capture", target, "--format", "json").ended(0).json
        assert document["header"]["target"] == f"rootfs:{root}"
        assert found(document)["alpha"] == "1.0"
        # The link leads to nothing inside, and the pipe is not opened.
        assert "9" not in {version for name, version in found(document).items() if name == "beta"} or any(
            "beta" in gap["what"] or "beta" in gap["where"] for gap in document["gaps"]
        )
        assert any("not a regular file" in gap["reason"] for gap in document["gaps"])
        assert document["coverage"]["image"]["state"] == document["coverage"]["variables"]["state"] == "not-applicable"


def test_an_image_and_its_unpacked_root_verify_each_other(command: Command, tmp_path: Path) -> None:
    """What the root does not have, its settings, is a note and no gap."""
    target, root = archive(tmp_path / "i.tar", BASE, APPS), tmp_path / "root"
    for one in (BASE, APPS):
        with tarfile.open(fileobj=io.BytesIO(one)) as packed:
            packed.extractall(root, filter="fully_trusted")
    for first, second in ((target, f"rootfs:{root}"), (f"rootfs:{root}", target)):
        command("lock", first, "-o", tmp_path / "b").ended(0)
        words = ("verify", second, "--baseline", tmp_path / "b", "--fail-on", "info", "--format", "json")
        report = command(*words).ended(0).json
        assert report["checked"]["python_packages_unchanged"] == len(WHOLE)
        assert report["checked"]["os_packages"] == 2
        assert {note["what"] for note in report["notes"]} == {"image", "variables"}
    (root / SITE.decode() / "beta-2.0.dist-info/METADATA").write_text("Name: beta\nVersion: 6.6\n")
    command("verify", f"rootfs:{root}", "--baseline", tmp_path / "b", "--fail-on", "minor").ended(1)


DENIED = "can't be entered, so not searched for environments"


def test_a_directory_that_can_not_be_entered_is_a_gap(tmp_path: Path) -> None:
    """As an ordinary user; root may enter."""
    root = plant(tmp_path / "root", {f"/{SITE.decode()}/alpha-1.0.dist-info/METADATA": "Name: alpha\nVersion: 1.0\n"})
    closed = root / "opt/closed"
    closed.mkdir(parents=True)
    closed.chmod(0)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    words = [sys.executable, "-m", "reprocheck", "capture", f"rootfs:{root}", "--format", "json"]
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    ran = subprocess.run([*user, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    closed.chmod(0o755)
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert {"what": "environments", "where": "/opt/closed", "reason": DENIED} in document["gaps"]


# What is asked for and can't be had.


def test_reports_replace_no_archive(command: Command, tmp_path: Path) -> None:
    target, baseline = archive(tmp_path / "i.tar", BASE, APPS), tmp_path / "b"
    command("lock", target, "-o", baseline).ended(0)
    before = (tmp_path / "i.tar").read_bytes()
    line = command("verify", f"{target}#made:one", "--baseline", baseline, "-o", tmp_path / "i.tar").refused()
    assert "is what is compared" in line
    assert (tmp_path / "i.tar").read_bytes() == before


# Bounds, in a process that may take no more memory than this.

_MEMORY = 700 << 20


def bounded(cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["prlimit", f"--as={_MEMORY}", sys.executable, "-m", "reprocheck", *words],
        cwd=ROOT, env={**os.environ, "XDG_CACHE_HOME": str(cache)}, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("place", ["opt/zeros", f"{SITE.decode()}/delta-4.0.dist-info/METADATA"])
def test_a_gigabyte_of_zeros_in_a_compressed_layer(tmp_path: Path, place: str) -> None:
    """Neither one that nobody asks for, nor one that is asked for is ever held whole."""
    size = 1 << 30
    zeros = bytes(1 << 20)
    path = tmp_path / "zeros.gz"
    member = tarfile.TarInfo(place)
    member.size = size
    plain = hashlib.sha256()
    with gzip.open(path, "wb", compresslevel=1) as sink:

        def put(piece: bytes) -> None:
            sink.write(piece)
            plain.update(piece)

        put(member.tobuf())
        for _ in range(size >> 20):
            put(zeros)
        put(layer(distribution("epsilon", "5.0")))
    made = Layout()
    config = settings((BASE, APPS, b""))
    config["rootfs"]["diff_ids"][2] = f"sha256:{plain.hexdigest()}"
    stored = [
        made.blob(gzip.compress(one, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip") for one in (BASE, APPS)
    ]
    stored.append(made.blob(path.read_bytes(), "application/vnd.oci.image.layer.v1.tar+gzip"))
    made.add(made.manifest((), settings=config, descriptors=stored, **named("one")))
    ran = bounded(tmp_path / "cache", "capture", f"oci:{made.directory(tmp_path / 'i')}", "--format", "json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    expected = {**WHOLE, "epsilon": "5.0"}
    if "delta" in place:
        expected["delta"] = "4.0"
        assert any("delta" in gap["what"] or "delta" in gap["where"] for gap in document["gaps"])
    else:
        assert document["gaps"] == []
    assert found(document) == expected
    assert sha(path.read_bytes()) == stored[2]["digest"]
