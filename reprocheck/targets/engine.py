"""The container engine: which one answers, and what it says of images and containers.

This module and the routes that use it are imported only when an engine is needed: the Docker SDK costs
about 190 ms.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests
import urllib3
from docker import APIClient
from docker.context import ContextAPI
from docker.context.config import get_current_context_name
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.tls import TLSConfig

from reprocheck import redact
from reprocheck.archives.history import instructions
from reprocheck.errors import EngineError, TargetError
from reprocheck.model.evidence import EngineFacts
from reprocheck.model.snapshot import Layer
from reprocheck.targets.configuration import settings

T = TypeVar("T")

_DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_ANSWER_SECONDS = 60


class Engine:
    """A container engine that answers (Docker Engine API; Podman speaks it too)."""

    def __init__(self, client: APIClient, address: str | None, *, local: bool) -> None:
        self.client = client
        self.address = address
        """``None`` for the default one."""
        self.local = local
        """Whether it is reached by a socket of this machine: its files may be here."""

    def image(self, reference: str) -> dict[str, Any]:
        """What the engine says of an image, by tag, id or digest; nothing is ever pulled.

        Raises:
            TargetError: there is none, or the id is ambiguous.
        """
        with talking(f"image:{reference}"):
            try:
                inspected: dict[str, Any] = self.client.inspect_image(reference)  # type: ignore[no-untyped-call]
            except (ImageNotFound, NotFound):
                raise TargetError(
                    f"image:{reference}: the engine has no such image; get it with: docker pull {reference}"
                ) from None
        return inspected

    def container(self, name: str) -> dict[str, Any]:
        """What the engine says of a container.

        Raises:
            TargetError: there is none, or the id is ambiguous.
        """
        with talking(f"container:{name}"):
            try:
                inspected: dict[str, Any] = self.client.inspect_container(name)
            except NotFound:
                raise TargetError(
                    f"container:{name}: the engine has no such container; docker ps -a lists those it has"
                ) from None
        return inspected

    def image_facts(self, inspected: Mapping[str, Any]) -> EngineFacts:
        """The facts of an image, secrets withheld."""
        config = inspected.get("Config") or {}
        return self._facts(inspected, config, state=None)

    def container_facts(self, inspected: Mapping[str, Any]) -> EngineFacts:
        """The facts of a container: its own configuration, the layers of its image."""
        image = self._image_of(inspected)
        return self._facts(
            image, inspected["Config"], state=inspected["State"]["Status"], name=inspected["Config"].get("Image")
        )

    def _image_of(self, inspected: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self.image(inspected["Image"])
        except TargetError:
            # The image was removed by force while its container lives on.
            return {"Id": inspected["Image"]}

    def _facts(
        self, image: Mapping[str, Any], config: Mapping[str, Any], *, state: str | None, name: str | None = None
    ) -> EngineFacts:
        tags = image.get("RepoTags") or []
        variant = image.get("Variant")
        platform = "/".join(filter(None, (image.get("Os"), image.get("Architecture"), variant)))
        return EngineFacts(
            image_id=image["Id"],
            image_name=name or (tags[0] if tags else None),
            repo_digests=tuple(sorted(image.get("RepoDigests") or [])),
            platform=platform,
            state=state,
            layers=self._layers(image),
            address=self.address,
            **settings(
                user=config.get("User"),
                entrypoint=_words(config.get("Entrypoint")),
                cmd=_words(config.get("Cmd")),
                env=config.get("Env"),
                exposed_ports=config.get("ExposedPorts"),
                labels=config.get("Labels"),
                volumes=config.get("Volumes"),
                workdir=config.get("WorkingDir"),
            ),
        )

    def _layers(self, image: Mapping[str, Any]) -> tuple[Layer, ...]:
        diff_ids = (image.get("RootFS") or {}).get("Layers") or []
        if not diff_ids:
            return ()
        with talking(f"image:{image['Id']}"):
            history = self.client.history(image["Id"])  # type: ignore[no-untyped-call]
        made = instructions([(entry["CreatedBy"], entry["Size"]) for entry in reversed(history)], len(diff_ids))
        return tuple(
            Layer(index=index, diff_id=diff_id, instruction=text, bytes=size)
            for index, (diff_id, (text, size)) in enumerate(zip(diff_ids, made, strict=True))
        )


def _words(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


@contextmanager
def talking(what: str) -> Iterator[None]:
    """Turn what the SDK raises into one line.

    Raises:
        EngineError: the engine was lost, or refused.
    """
    try:
        yield
    except APIError as error:
        said = str(error.explanation or error).strip().splitlines()[0]
        raise EngineError(f"{what}: the engine refused ({said})") from error
    except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise EngineError(
            f"{what}: the connection to the engine was lost ({type(error).__name__}); try again"
        ) from error


def connect(address: str | None = None) -> Engine:
    """The engine to use: ``--engine``, ``DOCKER_HOST``, the docker context, the default socket, the user's Podman.

    Raises:
        EngineError: none answers.
    """
    tried = []
    for origin, candidate in _candidates(address):
        try:
            client = _client(candidate)
        except Exception as error:  # noqa: BLE001 - the SDK raises its own, requests' and the transport's errors
            tried.append(redact.url(f"{origin} {candidate}: {_reason(error)}"))
            continue
        named = None if candidate == _DEFAULT_SOCKET else redact.url(candidate)
        return Engine(client, named, local=candidate.startswith(("unix://", "/")))
    raise EngineError(
        f"no container engine answers ({'; '.join(tried)}); start one, or name it with --engine unix:///path/to.sock"
    )


def _client(address: str) -> APIClient:
    tls: bool | TLSConfig = False
    certificates = os.environ.get("DOCKER_CERT_PATH")
    if os.environ.get("DOCKER_TLS_VERIFY") and certificates:
        folder = Path(certificates)
        tls = TLSConfig(
            client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")), ca_cert=str(folder / "ca.pem"), verify=True
        )
    return APIClient(base_url=address, version="auto", timeout=_ANSWER_SECONDS, tls=tls)


def _candidates(address: str | None) -> Iterator[tuple[str, str]]:
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
    yield "default socket", _DEFAULT_SOCKET
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    podman = Path(runtime) / "podman" / "podman.sock"
    if podman.exists():
        yield "Podman socket", f"unix://{podman}"


def _context_host() -> str | None:
    """Address of the docker context that was chosen; ``None`` for the default one.

    Raises:
        EngineError: it does not exist, or can't be read.
    """
    origin, name = "DOCKER_CONTEXT", os.environ.get("DOCKER_CONTEXT")  # which the SDK does not know
    if not name:
        origin, name = "config.json", get_current_context_name()
    if name == "default":
        return None
    which = f"the docker context {name}, which {origin} names,"
    try:
        context = ContextAPI.get_context(name)
    except Exception as error:  # the SDK raises plain ones
        raise EngineError(f"{which} can't be read ({_reason(error)}); docker context ls lists them") from error
    if context is None:
        raise EngineError(f"{which} does not exist; docker context ls lists those that do")
    host: str | None = context.Host
    return host


def _reason(error: Exception) -> str:
    text = str(error)
    for sign, reason in (
        ("FileNotFoundError", "no such socket"),
        ("PermissionError", "permission denied (are you in the docker group?)"),
        ("ConnectionRefusedError", "nobody listens"),
        ("Name or service not known", "no such host"),
    ):
        if sign in text:
            return reason
    return text.splitlines()[0][:120]


def attempt(action: Callable[[], T]) -> T | None:
    """Do something that may fail because the thing is gone already."""
    try:
        return action()
    except (APIError, OSError):
        return None
