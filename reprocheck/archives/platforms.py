"""Platforms of an image (OCI image index, ``platform``), written ``os/architecture[/variant]``."""

from __future__ import annotations

import platform as machine

from msgspec import Struct

from reprocheck.errors import UsageError

_MACHINES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "i386": "386",
    "i686": "386",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv5l": "arm/v5",
    "armv6l": "arm/v6",
    "armv7l": "arm/v7",
    "armv8l": "arm/v7",
}
"""What uname(2) says, in the names of the specification; others are the same in both."""
_IMPLIED = {"arm": "v7", "arm64": "v8", "amd64": "v1"}
"""The variant that is meant where none is written (containerd platforms, "Normalization")."""
_PARTS = (2, 3)


class Platform(Struct, frozen=True, rename={"os_version": "os.version"}):
    """What an image runs on."""

    architecture: str = ""
    os: str = ""
    variant: str | None = None
    os_version: str | None = None
    """Build of Windows."""

    def __str__(self) -> str:
        name = "/".join(filter(None, (self.os, self.architecture, self.variant)))
        return f"{name} ({self.os_version})" if self.os_version else name

    def normal(self) -> Platform:
        """The same with its variant written out, so that equal ones compare equal; without the build of Windows."""
        return Platform(
            os=self.os, architecture=self.architecture, variant=self.variant or _IMPLIED.get(self.architecture)
        )


def parse(text: str) -> Platform:
    """Read what a user wrote.

    Raises:
        UsageError: it is no platform.
    """
    parts = text.lower().split("/")
    if len(parts) not in _PARTS or not all(parts):
        raise UsageError(f"--platform {text}: write os/architecture or os/architecture/variant, as linux/arm64")
    return Platform(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) > _PARTS[0] else None)


def here() -> Platform:
    """What containers on this machine run on: Linux, whatever the machine's own system is."""
    name = machine.machine().lower()
    return parse(f"linux/{_MACHINES.get(name, name)}")
