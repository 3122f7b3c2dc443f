"""A whole image, made byte by byte: a Python with distributions in two layers, and whatever a test lays on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.archives.make import OCI_LAYER, Layout, config, named, saved, sha, tar
from tests.layers.archives import END, directory, file, link

SITE = b"usr/local/lib/python3.9/site-packages"
_ELF = b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00" + bytes(40)
STATUS = (
    b"Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.31-13\n\n"
    b"Package: tar\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.34\n"
)


def distribution(name: str, version: str, *requires: str, site: bytes = SITE) -> bytes:
    """The files by which pip knows an installed distribution."""
    folder = site + f"/{name}-{version}.dist-info".encode()
    lines = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        *(f"Requires-Dist: {one}\n" for one in requires),
    ]
    return b"".join(
        (
            directory(folder),
            file(folder + b"/METADATA", "".join(lines).encode()),
            file(folder + b"/INSTALLER", b"pip\n"),
            file(folder + b"/RECORD", f"{name}-{version}.dist-info/INSTALLER,,\n".encode()),
        )
    )


def layer(*pieces: bytes) -> bytes:
    return b"".join(pieces) + END


BASE = layer(
    file(b"etc/os-release", b'ID=debian\nVERSION_ID="11"\nPRETTY_NAME="Made 11"\n'),
    file(b"etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nme:x:7:7::/home/me:/bin/sh\n"),
    file(b"var/lib/dpkg/status", STATUS),
    file(b"lib/x86_64-linux-gnu/libc.so.6", _ELF + b"GNU C Library (Made) stable release version 2.31.\n\x00"),
    file(b"usr/local/bin/python3.9", _ELF + b"\x003.9.2\x00", mode=0o755),
    link(b"usr/local/bin/python3", b"python3.9"),
    file(b"usr/local/lib/python3.9/os.py"),
    file(b"usr/local/lib/python3.9/_sysconfigdata__linux_x86_64-linux-gnu.py"),
    directory(b"usr/local/lib/python3.9/lib-dynload"),
    directory(SITE),
    distribution("alpha", "1.0"),
)
APPS = layer(distribution("beta", "2.0", "alpha>=1"), distribution("gamma", "3.0"))
INSTRUCTIONS = ("COPY base /", "RUN pip install beta gamma", "RUN break-it", "RUN more")


def settings(layers: Sequence[bytes], **more: Any) -> dict[str, Any]:
    """A configuration whose ``PATH`` finds the Python, and whose instructions are told apart."""
    made = config(layers)
    made["config"] = {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["python3"]}
    made["history"] = [
        {"created_by": f"/bin/sh -c #(nop) {INSTRUCTIONS[number % len(INSTRUCTIONS)]}"} for number in range(len(layers))
    ]
    return {**made, **more}


def archive(path: Path, *layers: bytes) -> str:
    """A docker-save archive with plain layers; the target."""
    path.write_bytes(tar(saved({"made:one": layers}, settings=settings(layers))))
    return f"archive:{path}"


def layout(path: Path, *layers: bytes, packing: str = "+gzip", descriptors: list[dict[str, Any]] | None = None) -> str:
    """An OCI layout; the target."""
    made = Layout()
    made.add(made.manifest(layers, packing=packing, settings=settings(layers), descriptors=descriptors, **named("one")))
    return f"oci:{made.directory(path)}"


WAYS = ("archive", "gzip", "zstd")
"""Read in place, and as streams."""


def image(way: str, path: Path, *layers: bytes) -> str:
    """The image in one of the ways; the target."""
    if way == "archive":
        return archive(path, *layers)
    return layout(path, *layers, packing=f"+{way}")


def descriptor(content: bytes, media_type: str = OCI_LAYER, **more: Any) -> dict[str, Any]:
    """A descriptor of something that is not stored."""
    return {"mediaType": media_type, "digest": sha(content), "size": len(content), **more}


def found(document: Any) -> dict[str, str]:
    """Name and version of each distribution of the one environment."""
    (environment,) = document["environments"]
    return {one["name"]: one["version"] for one in environment["packages"]}


WHOLE = {"alpha": "1.0", "beta": "2.0", "gamma": "3.0"}
