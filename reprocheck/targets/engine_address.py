"""Where an engine may be: ``--engine``, ``DOCKER_HOST``, the docker context, the default socket, the user's Podman."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reprocheck.errors import DataError, EngineError
from reprocheck.model import codec

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_SIGNS = (
    ("FileNotFoundError", "no such socket"),
    ("PermissionError", "permission denied (are you in the docker group?)"),
    ("ConnectionRefusedError", "nobody listens"),
    ("Name or service not known", "no such host"),
)
"""What an error says of its cause, whatever it is wrapped in, and how that is told."""


def candidates(address: str | None) -> Iterator[tuple[str, str]]:
    """Who names an engine, and its address, in the order in which they are tried.

    Raises:
        EngineError: the docker context that was chosen can't be used.
    """
    # A choice that was made is the only one tried: falling through to another engine would answer for the
    # wrong machine.
    if address:
        yield "--engine", address
        return
    if host := os.environ.get("DOCKER_HOST"):
        yield "DOCKER_HOST", host
        return
    if context := _context_host():
        yield "docker context", context
        return
    yield "default socket", DEFAULT_SOCKET
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    podman = Path(runtime) / "podman" / "podman.sock"
    if podman.exists():
        yield "Podman socket", f"unix://{podman}"


def socket_path(address: str) -> str | None:
    """The path of the socket that an address names; ``None`` where it names another way, or needs interpretation."""
    path = address.strip().removeprefix("unix://")
    return path if path.startswith("/") and path != address.strip() else None


def reason(error: Exception) -> str:
    """Why an engine does not answer, in a few words."""
    text = f"{type(error).__name__} {error}"
    for sign, told in _SIGNS:
        if sign in text:
            return told
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def _context_host() -> str | None:
    """Address of the docker context that was chosen; ``None`` for the default one.

    Raises:
        EngineError: it does not exist, or can't be read.
    """
    origin, name = "DOCKER_CONTEXT", os.environ.get("DOCKER_CONTEXT")  # which the SDK does not know
    if not name:
        origin, name = "config.json", _current_context()
    if name == "default":
        return None
    from docker.context import ContextAPI

    which = f"the docker context {name}, which {origin} names,"
    try:
        context = ContextAPI.get_context(name)
    except Exception as error:  # the SDK raises plain ones
        raise EngineError(f"{which} can't be read ({reason(error)}); docker context ls lists them") from error
    if context is None:
        raise EngineError(f"{which} does not exist; docker context ls lists those that do")
    host: str | None = context.Host
    return host


def _current_context() -> str:
    """The name that the first configuration file of the docker client has; where the SDK looks for it as well."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path's own raises where there is no home
    places = [home / ".docker" / "config.json", home / ".dockercfg"]
    if folder := os.environ.get("DOCKER_CONFIG"):
        places.insert(0, Path(folder) / "config.json")
    for place in places:
        if os.path.lexists(place):
            try:
                name = codec.decode(codec.read_file(place), dict[str, Any], str(place)).get("currentContext")
            except DataError:
                return "default"
            return name if isinstance(name, str) and name else "default"
    return "default"
