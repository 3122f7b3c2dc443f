"""What the figures of the benchmarks rest on: the floors, the counts, the generated archives, the arithmetic."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from benchmarks import generated
from benchmarks.measure import Command, Samples, WrongAnswerError, measure
from benchmarks.table import Row
from tests.packing import layout

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable


def program(*arguments: str, cache: Path) -> bytes:
    """What a program prints."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([PYTHON, "-m", *arguments], cwd=ROOT, env=environment, capture_output=True, check=True)
    return done.stdout


def saved(path: Path, *layers: bytes) -> Path:
    """A docker-save archive of these layers."""
    names = [f"layer-{number}.tar" for number in range(len(layers))]
    ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids}}
    manifest = [{"Config": "config.json", "RepoTags": ["it:latest"], "Layers": names}]
    contents = {"manifest.json": manifest, "config.json": config}
    with tarfile.open(path, "w") as archive:
        for name, content in (
            *((name, json.dumps(document).encode()) for name, document in contents.items()),
            *zip(names, layers, strict=True),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
    return path


def layer(**files: str) -> bytes:
    """A layer with these files; one whose contents begin with an arrow is a link."""
    raw = BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if content.startswith("→"):
                member.type, member.linkname = tarfile.SYMTYPE, content[1:]
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, BytesIO(content.encode()))
    return raw.getvalue()


def test_the_header_walk_meets_every_header_of_every_layer(tmp_path: Path) -> None:
    archive = saved(tmp_path / "a.tar", layer(one="1" * 513, two="", three="3" * 512), layer(four="→one"))
    assert int(program("benchmarks.headers", str(archive), cache=tmp_path)) == 4


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_the_decompression_alone_unpacks_every_layer_to_its_end(tmp_path: Path, packing: str) -> None:
    layers = layer(one="1" * 3_000_000), layer(two="2" * 70_000)
    where = layout(saved(tmp_path / "a.tar", *layers), tmp_path / packing, packing)
    assert int(program("benchmarks.unpack", str(where), cache=tmp_path)) == sum(map(len, layers))


def test_the_walk_meets_every_entry_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/a/b/file").write_text("x")
    (tmp_path / "root/a/b/out").symlink_to(tmp_path)
    (tmp_path / "root/hidden").symlink_to("nowhere")
    assert int(program("benchmarks.walk", str(tmp_path / "root"), cache=tmp_path)) == 5


def test_a_second_pass_is_counted_and_says_what_for(tmp_path: Path) -> None:
    layers = layer(other="x"), layer(**{"etc/os-release": "→/usr/mine", "usr/mine": "ID=it\n"})
    where = layout(saved(tmp_path / "a.tar", *layers), tmp_path / "gzip", "gzip")
    expected = [{"passes": 1, "again": []}, {"passes": 2, "again": ["usr/mine"]}]
    assert json.loads(program("benchmarks.passes", str(where), cache=tmp_path)) == expected


def test_layers_from_the_cache_are_no_pass(tmp_path: Path) -> None:
    known, new = layer(**{"etc/os-release": "ID=it\n"}), layer(**{"etc/os-release": "ID=other\n"})
    first = layout(saved(tmp_path / "a.tar", known), tmp_path / "first", "gzip")
    derived = layout(saved(tmp_path / "b.tar", known, new), tmp_path / "derived", "gzip")
    for where, passes in ((first, [1]), (first, [0]), (derived, [0, 1])):
        printed = json.loads(program("benchmarks.passes", str(where), cache=tmp_path))
        assert [one["passes"] for one in printed] == passes


def test_a_generated_archive_has_as_many_entries_as_it_says(tmp_path: Path) -> None:
    archive = generated.archive(tmp_path / "a.tar", 2345)
    with tarfile.open(archive) as outer:
        raw = outer.extractfile("layer.tar")
        assert raw is not None
        with tarfile.open(fileobj=raw) as inner:
            members = inner.getmembers()
    assert len({member.name for member in members}) == len(members) == 2345
    assert sum(member.isdir() for member in members) == 3
    assert int(program("benchmarks.headers", str(archive), cache=tmp_path)) == 2345
    printed = program("reprocheck", "capture", f"archive:{archive}", "--format", "json", cache=tmp_path)
    generated.check(printed, 2345)
    with pytest.raises(WrongAnswerError, match="2346 entries: the last one read says 2345"):
        generated.check(printed, 2346)


def test_beyond_the_limit_the_gap_is_asked_for() -> None:
    gap = {"what": "layers", "where": "layer 1", "reason": "more than 2000000 entries: what follows is not read"}
    cut = json.dumps({"system": {"os": None}, "gaps": [gap]}).encode()
    generated.check(cut, 2_000_001)
    silent = json.dumps({"system": {"os": None}, "gaps": []}).encode()
    with pytest.raises(WrongAnswerError):
        generated.check(silent, 2_000_001)
    with pytest.raises(WrongAnswerError):
        generated.check(cut, 2_000_000)


SAMPLES = {
    name: Samples(seconds=seconds, peak=0)
    for name, seconds in {"ours": (2.0, 1.0, 3.0), "peer": (30.0,), "few": (0.5,), "some": (1.0, 1.5)}.items()
}


@pytest.mark.parametrize(
    ("row", "figure", "limit"),
    [
        (Row(what="", ours="ours", base="peer", kind="faster"), 15.0, "least"),
        (Row(what="", ours="peer", base="some", start="few", kind="growth"), 59.0, "most"),
        (Row(what="", ours="ours", kind="seconds"), 1.0, "most"),
    ],
    ids=["faster", "growth", "seconds"],
)
def test_a_figure_and_the_side_of_its_limit(row: Row, figure: float, limit: str) -> None:
    def holds(bound: float) -> bool:
        return Row(what="", ours=row.ours, base=row.base, start=row.start, kind=row.kind, limit=bound).holds(SAMPLES)

    assert row.figure(SAMPLES) == figure
    assert holds(figure)
    assert holds(figure * 1.01) is (limit == "most")
    assert holds(figure * 0.99) is (limit == "least")


def test_what_takes_minutes_runs_once_and_after_the_rounds() -> None:
    ran: list[str] = []
    long = Command(name="long", argv=("true",), once=True, before=lambda: ran.append("long"))
    short = Command(name="short", argv=("true",), before=lambda: ran.append("short"))
    samples = measure((long, short), 2, lambda _: None)
    assert ran == ["short", "short", "short", "long"]
    assert [len(samples[name].seconds) for name in ("short", "long")] == [2, 1]
