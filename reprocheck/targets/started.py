"""How the engine started a container, as far as others may know it: no path of the host, no value of a variable."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from reprocheck.model.snapshot import Container, Mount

_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_GPU_DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dri")
_SOCKETS = ("/docker.sock", "/podman.sock", "/containerd.sock")
_FLAG = re.compile(
    r"--(?:\w+App|IdentityProvider|PasswordIdentityProvider)\.(token|password|hashed_password)(?:=(.*))?"
)


def started(inspected: Mapping[str, Any]) -> Container:
    """What the engine says of a container (Engine API, "Inspect a container")."""
    host = inspected.get("HostConfig") or {}
    return Container(
        memory_bytes=host.get("Memory") or None,
        privileged=bool(host.get("Privileged")),
        gpus=_gpus(host),
        network=str(host.get("NetworkMode") or ""),
        published=tuple(sorted(_published(inspected, host))),
        mounts=tuple(sorted(_mounts(inspected, host), key=lambda mount: mount.destination)),
        engine_socket=any(
            str(mount.get(end) or "").endswith(_SOCKETS)
            for mount in inspected.get("Mounts") or []
            for end in ("Source", "Destination")
        ),
    )


def _gpus(host: Mapping[str, Any]) -> bool:
    for request in host.get("DeviceRequests") or []:
        capabilities = [word for group in request.get("Capabilities") or [] for word in group]
        if "gpu" in capabilities or any("/gpu" in name for name in request.get("DeviceIDs") or []):
            return True
    paths = [str(device.get("PathOnHost") or "") for device in host.get("Devices") or []]
    return host.get("Runtime") == "nvidia" or any(path.startswith(_GPU_DEVICES) for path in paths)


def _published(inspected: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[str]:
    """As ``docker ps`` writes them; of a container that does not run, as it was asked for."""
    bound = (inspected.get("NetworkSettings") or {}).get("Ports") or host.get("PortBindings") or {}
    for port, places in bound.items():
        for place in places or []:
            yield f"{place.get('HostIp') or '0.0.0.0'}:{place.get('HostPort') or '*'}->{port}"  # noqa: S104 - shown


def _mounts(inspected: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Mount]:
    for mount in inspected.get("Mounts") or []:
        kind = str(mount.get("Type") or "")
        anonymous = kind == "volume" and _ANONYMOUS.fullmatch(str(mount.get("Name") or "")) is not None
        lasting = kind in {"bind", "volume"} and not anonymous
        yield Mount(
            destination=str(mount.get("Destination") or ""),
            kind=kind,
            writable=bool(mount.get("RW")),
            lasting=lasting,
        )
    for destination in host.get("Tmpfs") or {}:
        yield Mount(destination=destination, kind="tmpfs", writable=True, lasting=False)


def notebook(words: Sequence[str], token: str | None) -> Literal["open", "closed"] | None:
    """Whether anybody may use the Jupyter that a command starts, as far as the command says.

    ``open``: its token was made empty, and no password is given. ``None``: nothing is said, and Jupyter makes a
    token of its own.

    Args:
        words: entrypoint and command.
        token: the variable ``JUPYTER_TOKEN``.
    """
    flat = [part for word in words for part in _parts(word)]
    said: dict[str, str] = {}
    for position, word in enumerate(flat):
        flag = _FLAG.fullmatch(word)
        if flag is not None:
            value = flag[2] if flag[2] is not None else "".join(flat[position + 1 : position + 2])
            said[flag[1]] = value.strip("'\"")
    if token is not None and any(word.rpartition("/")[2].startswith("jupyter") for word in flat):
        said.setdefault("token", token)
    if not said:
        return None
    return "closed" if any(said.values()) or "token" not in said else "open"


def _parts(word: str) -> list[str]:
    """The words of a command for a shell; any other word is itself."""
    if not re.search(r"\s", word):
        return [word]
    try:
        return shlex.split(word)
    except ValueError:
        return word.split()
