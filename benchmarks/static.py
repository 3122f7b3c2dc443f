"""Images as files: archives, layouts with compressed layers and their cache, an unpacked root, very many entries."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import facts, generated
from benchmarks.docker import docker, unpacked
from benchmarks.measure import Command, WrongAnswerError, run
from benchmarks.ours import BYTES, checking, reprocheck
from benchmarks.peer import Syft
from benchmarks.table import Row
from tests.packing import layout

_ENTRIES = (10_000, 100_000, 1_000_000, generated.MOST + 1)
_FEW, _SOME, _MANY, _TOO_MANY = (f"{entries:,} entries" for entries in _ENTRIES)
_BYTES_AN_ENTRY = 400
_FIRST, _AGAIN, _DERIVED = "capture gzip layout", "capture gzip layout again", "capture derived layout"
_ZSTD, _UNPACKED = "capture zstd layout", "capture unpacked root"


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """An image and one made from it, as files."""

    archive: Path
    layout: Path
    derived: Path
    zstd: Path
    root: Path

    @classmethod
    def make(cls, image: str, derived: str, folder: Path) -> Packed:
        """Save and pack them; layers are compressed the same way each time, so those of both have one digest."""
        layouts = []
        for name, one in (("image", image), ("derived", derived)):
            docker("save", "-o", str(folder / f"{name}.tar"), one)
            layouts.append(layout(folder / f"{name}.tar", folder / name, "gzip"))
        (folder / "derived.tar").unlink()
        archive = folder / "image.tar"
        zstd, root = layout(archive, folder / "zstd", "zstd"), unpacked(image, folder / "root")
        return cls(archive=archive, layout=layouts[0], derived=layouts[1], zstd=zstd, root=root)


class Static:
    """The commands of a run and the rows made of them."""

    def __init__(
        self, image: str, stated: facts.Facts, derived: facts.Facts, packed: Packed, syft: Syft | None, folder: Path
    ) -> None:
        self.counts: dict[str, str] = {}
        """What each capture held, in words, after it was checked."""
        self.passes: dict[str, str] = {}
        """How often each layer was read, the lowest first, and what a second pass was for."""
        self._image = image
        self._stated = stated
        self._derived = derived
        self._packed = packed
        self._syft = syft
        self._folder = folder
        self._new = len(set(derived.layers) - set(stated.layers))

    def prepare(self) -> None:
        """Make the archives with many entries, fill the cache once, and count passes.

        Raises:
            BenchmarkError: that failed.
        """
        for entries in _ENTRIES:
            generated.archive(self._archive(entries), entries)
        known, derived = len(self._stated.layers), len(self._derived.layers)
        self._count(_FIRST, self._packed.layout, "known", [1] * known)
        self._count(_AGAIN, self._packed.layout, "known", [0] * known)
        self._own_cache()
        self._count(_DERIVED, self._packed.derived, "own", [0] * (derived - self._new) + [1] * self._new)

    def commands(self) -> Iterator[Command]:
        """Everything that is run in each round, and the peer."""
        archive, packed = str(self._packed.archive), self._packed
        headers = (sys.executable, "-m", "benchmarks.headers", archive)
        yield Command(name="headers", argv=headers, check=partial(self._floor, "headers", "headers"))
        yield self._capture("capture archive", f"archive:{archive}", "archive")
        unpack = (sys.executable, "-m", "benchmarks.unpack", str(packed.layout))
        yield Command(name="unpack", argv=unpack, check=partial(self._floor, "unpack", "bytes"))
        yield self._capture(_FIRST, f"oci:{packed.layout}", "OCI layout", cache="own", before=self._no_cache)
        yield self._capture(_AGAIN, f"oci:{packed.layout}", "OCI layout", cache="known")
        yield self._capture(_DERIVED, f"oci:{packed.derived}", "OCI layout", cache="own", before=self._own_cache)
        unpack_zstd = (sys.executable, "-m", "benchmarks.unpack", str(packed.zstd))
        yield Command(name="unpack zstd", argv=unpack_zstd, check=partial(self._floor, "unpack zstd", "bytes"))
        yield self._capture(_ZSTD, f"oci:{packed.zstd}", "OCI layout", cache="own", before=self._no_cache)
        walk = (sys.executable, "-m", "benchmarks.walk", str(packed.root))
        yield Command(name="walk", argv=walk, check=partial(self._floor, "walk", "entries"))
        yield self._capture(_UNPACKED, f"rootfs:{packed.root}", "root file system", of=facts.FILES)
        for entries in _ENTRIES:
            name, target = f"{entries:,} entries", f"archive:{self._archive(entries)}"
            check = partial(generated.check, entries=entries)
            yield reprocheck(name, "capture", target, "--format", "json", check=check)
        if self._syft is not None:
            yield self._syft.command("syft image", f"docker:{self._image}", self.counts)
            yield self._syft.command("syft archive", f"docker-archive:{archive}", self.counts)
            yield self._syft.command("syft layout", f"oci-dir:{packed.layout}", self.counts)

    def rows(self) -> Iterator[Row]:
        """What is to be read out of the figures."""
        archive, gzip = "capture an uncompressed archive", "capture a gzip layout, first time"
        yield Row(what=archive, ours="capture archive", base="headers", base_words="header walk", limit=5.0)
        yield Row(what=gzip, ours=_FIRST, base="unpack", base_words="decompression alone", limit=1.5)
        yield Row(what="the same again, from the cache", ours=_AGAIN, kind="seconds", limit=0.5)
        yield Row(what="an image made from it", ours=_DERIVED, kind="seconds", limit=0.5)
        zstd = "capture a zstd layout, first time"
        yield Row(what=zstd, ours=_ZSTD, base="unpack zstd", base_words="decompression alone")
        yield Row(what="capture an unpacked root", ours=_UNPACKED, base="walk", base_words="listing and lstat")
        if self._syft is not None:
            for what, ours, base, limit in (
                ("capture an image, engine storage", "capture image", "syft image", 70),
                (archive, "capture archive", "syft archive", 25),
                (gzip, _FIRST, "syft layout", 10),
            ):
                yield Row(what=what, ours=ours, base=base, base_words="syft, once", kind="faster", limit=limit)
        yield Row(
            what=f"{_MANY} of one layer",
            ours=_MANY,
            base=_SOME,
            base_words=f"{_SOME}, less {_FEW}",
            start=_FEW,
            kind="growth",
            # Both are to grow by what is between them: 11 for each 1, and half as much again for caches that miss.
            limit=1.5 * (_ENTRIES[2] - _ENTRIES[0]) / (_ENTRIES[1] - _ENTRIES[0]),
        )
        for ours in ("capture archive", _FIRST, _AGAIN, _DERIVED, _ZSTD, _UNPACKED, _FEW, _SOME):
            yield Row(what=f"peak memory, {ours}", ours=ours, kind="bytes", limit=BYTES)
        for ours, entries in ((_MANY, _ENTRIES[2]), (_TOO_MANY, generated.MOST)):
            yield Row(what=f"peak memory, {ours}", ours=ours, kind="bytes", limit=entries * _BYTES_AN_ENTRY)

    def _archive(self, entries: int) -> Path:
        return self._folder / f"{entries}-entries.tar"

    def _capture(
        self,
        name: str,
        target: str,
        route: str,
        *,
        cache: str = "own",
        before: Callable[[], None] | None = None,
        of: tuple[str, ...] = facts.ALL,
    ) -> Command:
        stated = self._derived if name == _DERIVED else self._stated
        return reprocheck(
            name,
            *("capture", target, "--format", "json"),
            variables=self._cache(cache),
            before=before,
            check=checking(name, stated, route, self.counts, of=of),
        )

    def _count(self, name: str, target: Path, cache: str, expected: list[int]) -> None:
        def check(printed: bytes) -> None:
            layers = json.loads(printed)
            found = [layer["passes"] for layer in layers]
            if len(found) != len(expected) or any(one < least for one, least in zip(found, expected, strict=True)):
                raise WrongAnswerError(f"passes, {name}: {found}, where at least {expected} can be")
            again = [path for layer in layers for path in layer["again"]]
            words = f", again for {len(again)} files: {', '.join(again[:3])}" if again else ""
            self.passes[name] = f"{' '.join(map(str, found))}{words}"

        argv = (sys.executable, "-m", "benchmarks.passes", str(target))
        run(Command(name=f"passes, {name}", argv=argv, variables=self._cache(cache), check=check))

    def _cache(self, name: str) -> Mapping[str, str]:
        return {"XDG_CACHE_HOME": str(self._folder / f"cache-{name}")}

    def _no_cache(self) -> None:
        shutil.rmtree(self._folder / "cache-own", ignore_errors=True)

    def _own_cache(self) -> None:
        """A cache that holds the layers of the image and not those of the derived one."""
        self._no_cache()
        shutil.copytree(self._folder / "cache-known", self._folder / "cache-own")

    def _floor(self, name: str, what: str, printed: bytes) -> None:
        number = int(printed)
        if number == 0:
            raise WrongAnswerError(f"{name}: no {what}")
        self.counts[name] = f"{number:,} {what}"
