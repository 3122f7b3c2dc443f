"""Image archives with a layer of very many empty files: does time grow as their number does, and memory no faster?"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from benchmarks.measure import WrongAnswerError

MOST = 2_000_000
"""Entries of a layer that reprocheck reads; what follows is a gap."""
_IN_DIRECTORY = 1000
_BLOCK = 512


def archive(path: Path, entries: int) -> Path:
    """A docker-save archive of one image with one layer, whose last entry tells how many there are.

    Nothing else has that number, so a snapshot that has it was made of all the entries before it.
    """
    layer = path.with_suffix(".layer")
    try:
        diff_id = _write(layer, _layer(entries))
        config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
        manifest = [{"Config": "config.json", "RepoTags": ["generated:latest"], "Layers": ["layer.tar"]}]
        with tarfile.open(path, "w") as outer:
            _add(outer, "manifest.json", json.dumps(manifest).encode())
            _add(outer, "config.json", json.dumps(config).encode())
            outer.add(layer, "layer.tar")
    finally:
        layer.unlink(missing_ok=True)
    return path


def check(printed: bytes, entries: int) -> None:
    """Look for the last entry in a snapshot, or for the gap that says why it is not in there.

    Raises:
        WrongAnswerError: it has neither, or both.
    """
    snapshot = json.loads(printed)
    system = snapshot["system"]
    read = None if system is None or system["os"] is None else system["os"]["version_id"]
    limited = any(f"more than {MOST} entries" in gap["reason"] for gap in snapshot["gaps"])
    if (read, limited) != ((str(entries), False) if entries <= MOST else (None, True)):
        raise WrongAnswerError(f"{entries} entries: the last one read says {read}, a gap of the limit: {limited}")


def _layer(entries: int) -> Iterator[bytes]:
    """Headers: a directory before every thousand entries, files, and a file with contents."""
    for number in range(entries - 1):
        directory, place = divmod(number, _IN_DIRECTORY)
        name = b"srv/%06d/" % directory + (b"" if place == 0 else b"file-%03d" % place)
        yield _header(name, b"0" if place else b"5")
    release = b'ID=generated\nVERSION_ID="%d"\n' % entries
    yield _header(b"etc/os-release", b"0", len(release)) + release.ljust(_BLOCK, b"\x00") + bytes(2 * _BLOCK)


def _header(name: bytes, kind: bytes, size: int = 0) -> bytes:
    """A header as POSIX.1-2017 has it (pax, "ustar Interchange Format"); tarfile takes a minute for a million."""
    fields = (name.ljust(100, b"\x00"), b"0000644\x000000000\x000000000\x00", b"%011o\x00" % size, b"00000000000\x00")
    block = b"".join((*fields, b" " * 8, kind)).ljust(257, b"\x00") + b"ustar\x0000"
    return block[:148] + b"%06o\x00 " % sum(block) + block[156:].ljust(_BLOCK - 156, b"\x00")


def _write(layer: Path, blocks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    with layer.open("wb") as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
    return f"sha256:{digest.hexdigest()}"


def _add(outer: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    outer.addfile(member, BytesIO(content))
