"""A real installer of conda packages (py-rattler) lays packages made here into a prefix; nothing of it is an alarm."""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from reprocheck.capture import capture
from reprocheck.model.snapshot import Files
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access
from tests.integration.tools import installed

PLACEHOLDER = b"/placeholder" * 20
"""Longer than the prefix, as conda's are: the rest is filled with NUL bytes."""
INSTALL = """
import asyncio, os, sys
import rattler

async def install(channel, prefix, cache, *specs):
    wanted = {"sources": [rattler.Channel(channel)], "platforms": ["linux-64", "noarch"]}
    records = await rattler.solve(specs=list(specs), **wanted)
    await rattler.install(records=records, target_prefix=prefix, cache_dir=cache)

asyncio.run(install(*sys.argv[1:]))
os._exit(0)  # all is done; threads of the installer's may crash while Python ends
"""


@pytest.fixture(scope="module")
def rattler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where py-rattler is, from an index."""
    return installed("py-rattler", tmp_path_factory.mktemp("rattler"))


def package(
    channel: Path, name: str, files: Mapping[str, bytes], links: Mapping[str, str], *, depends: Sequence[str] = ()
) -> tuple[str, str, dict[str, Any]]:
    """Write a package into a channel, noarch if it has ``site-packages``; its platform, file and entry in the index."""
    noarch = any(path.startswith("site-packages/") for path in files)
    # That of Python says where packages without an architecture go.
    subdir, version = "noarch" if noarch else "linux-64", "3.9.2" if name == "python" else "1.0"
    file = f"{name}-{version}-0.tar.bz2"
    rows: list[dict[str, Any]] = []
    for path, raw in files.items():
        row = {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(raw).hexdigest()}
        put_in = {"prefix_placeholder": PLACEHOLDER.decode(), "file_mode": "binary" if b"\0" in raw else "text"}
        rows.append({**row, "size_in_bytes": len(raw), **(put_in if PLACEHOLDER in raw else {})})
    rows += [{"_path": path, "path_type": "softlink", "sha256": "0" * 64, "size_in_bytes": 0} for path in links]
    index = {
        "build": "0", "build_number": 0, "depends": list(depends), "name": name, "subdir": subdir, "version": version,
        **({"noarch": "python"} if noarch else {}),
    }  # fmt: skip
    entry_points = {"noarch": {"type": "python", "entry_points": [f"{name} = {name}:main"]}}
    told: dict[str, Any] = {"index": index, "paths": {"paths": rows, "paths_version": 1}}
    if noarch:
        told["link"] = {**entry_points, "package_metadata_version": 1}
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for path, raw in (
            *((f"info/{what}.json", json.dumps(one).encode()) for what, one in told.items()),
            *files.items(),
        ):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(raw), 0o755
            archive.addfile(member, io.BytesIO(raw))
        for path, target in links.items():
            member = tarfile.TarInfo(path)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    packed = bz2.compress(held.getvalue())
    (channel / subdir).mkdir(parents=True, exist_ok=True)
    (channel / subdir / file).write_bytes(packed)
    return subdir, file, {**index, "size": len(packed), "sha256": hashlib.sha256(packed).hexdigest()}


def compared(root: Path, *, deep: bool) -> dict[str, Files]:
    snapshot = capture(Address("rootfs", str(root)), Access(deep=deep))
    assert [gap for gap in snapshot.gaps if ".conda" in gap.what] == []
    (one,) = snapshot.environments
    return {package.name: package.files for package in one.conda or ()}


def test_packages_of_a_channel(rattler: Path, tmp_path: Path) -> None:
    channel, root = tmp_path / "channel", tmp_path / "root"
    site = "lib/python3.9/site-packages"
    program, library = b"\x7fELF\0" + PLACEHOLDER + b"/lib\0end", b"\x7fELF\0" + PLACEHOLDER + b"/share\0\0end"
    made = [
        package(
            channel, "python", {"bin/python3.9": program, "lib/python3.9/os.py": b""}, {"bin/python3": "python3.9"}
        ),
        package(
            channel,
            "first",
            {
                "bin/first": b"#!" + PLACEHOLDER + b"/bin/python\n",
                "lib/libfirst.so.1": library,
                "lib/libboth.so": b"\x7fELF first\n",
                f"{site}/first.py": b"one = 1\n",
            },
            {"lib/libfirst.so": "libfirst.so.1"},
            depends=["python"],
        ),
        package(channel, "last", {"lib/libboth.so": b"\x7fELF of the last\n"}, {}, depends=["first"]),
        package(
            channel, "pure", {"site-packages/pure.py": b"def main():\n    pass\n"}, {}, depends=["python"]
        ),
    ]  # fmt: skip
    for subdir in ("linux-64", "noarch"):
        index = {"packages": {file: entry for where, file, entry in made if where == subdir}, "packages.conda": {}}
        (channel / subdir / "repodata.json").write_text(json.dumps({"info": {"subdir": subdir}, **index}))
    prefix = root / "opt/conda"
    subprocess.run(
        [sys.executable, "-c", INSTALL, channel.as_uri(), prefix, tmp_path / "cache", "last", "pure"],
        env={**os.environ, "PYTHONPATH": str(rattler)},
        check=True,
    )
    counts = {"first": 4, "last": 1, "pure": 1, "python": 2}
    assert (prefix / "bin/pure").is_file(), "an entry point, which is made here"
    for deep in (False, True):
        how: Literal["hashes", "sizes"] = "hashes" if deep else "sizes"
        found = compared(root, deep=deep)
        assert found.keys() == counts.keys()
        for name, files in found.items():
            assert (name, files) == (name, Files(count=counts[name], checked=how))

    (prefix / "bin/first").write_bytes((prefix / "bin/first").read_bytes().replace(b"python", b"pythoN"))
    (prefix / site / "pure.py").unlink()
    found = compared(root, deep=True)
    assert (found["first"].modified, found["pure"].missing) == (("bin/first",), (f"{site}/pure.py",))
