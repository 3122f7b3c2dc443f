"""The container engine: which one answers, and what it says of images and containers.

This module and the routes that use it are imported only when an engine is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from reprocheck import redact
from reprocheck.archives.history import instructions
from reprocheck.errors import EngineError, TargetError
from reprocheck.model.evidence import EngineFacts
from reprocheck.model.snapshot import Layer
from reprocheck.targets.configuration import settings
from reprocheck.targets.engine_address import DEFAULT_SOCKET, candidates, reason, socket_path
from reprocheck.targets.engine_socket import EngineSocket
from reprocheck.targets.questions import Missing, Questions, about
from reprocheck.targets.started import started

if TYPE_CHECKING:
    from docker import APIClient


class Engine:
    """A container engine that answers (Docker Engine API; Podman speaks it too)."""

    def __init__(self, where: str, asked: Questions) -> None:
        self._where = where
        self._asked = asked
        self.address = None if where == DEFAULT_SOCKET else redact.url(where)
        """``None`` for the default one."""
        self.local = where.startswith(("unix://", "/"))
        """Whether it is reached by a socket of this machine: its files may be here."""

    @cached_property
    def client(self) -> APIClient:
        """The SDK's client, for what streams; made when it is first needed.

        Raises:
            EngineError: the SDK does not take this engine.
        """
        from reprocheck.targets import sdk

        if isinstance(self._asked, sdk.SdkQuestions):
            return self._asked.client
        try:
            return sdk.client(self._where, self._asked.version)
        except Exception as error:  # the SDK raises its own, and plain ones
            raise EngineError(f"the engine at {self.address or self._where} can't be used ({reason(error)})") from error

    def image(self, reference: str) -> dict[str, Any]:
        """What the engine says of an image, by tag, id or digest; nothing is ever pulled.

        Raises:
            TargetError: there is none, or the id is ambiguous.
        """
        with about(f"image:{reference}"):
            try:
                return self._asked.image(reference)
            except Missing:
                raise TargetError(
                    f"image:{reference}: the engine has no such image; get it with: docker pull {reference}"
                ) from None

    def container(self, name: str) -> dict[str, Any]:
        """What the engine says of a container.

        Raises:
            TargetError: there is none, or the id is ambiguous.
        """
        with about(f"container:{name}"):
            try:
                return self._asked.container(name)
            except Missing:
                raise TargetError(
                    f"container:{name}: the engine has no such container; docker ps -a lists those it has"
                ) from None

    def info(self) -> dict[str, Any]:
        """What the engine says of itself (Engine API, system information)."""
        with about("the engine"):
            return self._asked.info()

    def image_facts(self, inspected: Mapping[str, Any]) -> EngineFacts:
        """The facts of an image, secrets withheld."""
        config = inspected.get("Config") or {}
        return self._facts(inspected, config, state=None)

    def container_facts(self, inspected: Mapping[str, Any]) -> EngineFacts:
        """The facts of a container: its own configuration, the layers of its image."""
        image = self._image_of(inspected)
        facts = self._facts(
            image, inspected["Config"], state=inspected["State"]["Status"], name=inspected["Config"].get("Image")
        )
        return msgspec.structs.replace(facts, container=started(inspected))

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
        with about(f"image:{image['Id']}"):
            history = self._asked.history(image["Id"])
        made = instructions([(entry["CreatedBy"], entry["Size"]) for entry in reversed(history)], len(diff_ids))
        return tuple(
            Layer(index=index, diff_id=diff_id, instruction=text, bytes=size)
            for index, (diff_id, (text, size)) in enumerate(zip(diff_ids, made, strict=True))
        )


def _words(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def connect(address: str | None = None) -> Engine:
    """The engine to use: ``--engine``, ``DOCKER_HOST``, the docker context, the default socket, the user's Podman.

    Raises:
        EngineError: none answers.
    """
    tried = []
    for origin, candidate in candidates(address):
        try:
            asked = _questions(candidate)
        except Exception as error:  # noqa: BLE001 - the SDK raises its own, requests' and the transport's errors
            tried.append(redact.url(f"{origin} {candidate}: {reason(error)}"))
            continue
        return Engine(candidate, asked)
    raise EngineError(
        f"no container engine answers ({'; '.join(tried)}); start one, or name it with --engine unix:///path/to.sock"
    )


def _questions(address: str) -> Questions:
    path = socket_path(address)
    if path is not None:
        return EngineSocket(path)
    from reprocheck.targets import sdk

    return sdk.SdkQuestions(sdk.client(address))
