"""The Docker SDK: for whatever streams, and for engines that are not reached by a socket of this machine.

This module and those that use it are imported only when it is needed: the SDK costs about 100 ms.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests
import urllib3
from docker import APIClient
from docker.errors import APIError, DockerException, NotFound
from docker.tls import TLSConfig

from reprocheck.targets.questions import ANSWER_SECONDS, Missing, Unanswered, about, lost, refused

T = TypeVar("T")


def client(address: str, version: str = "auto") -> APIClient:
    """A client of the engine at an address; with ``auto`` it asks for the version of the API, else it connects later.

    Raises:
        Exception: of any kind, where the address can't be used or nothing answers there.
    """
    tls: bool | TLSConfig = False
    certificates = os.environ.get("DOCKER_CERT_PATH")
    if os.environ.get("DOCKER_TLS_VERIFY") and certificates:
        folder = Path(certificates)
        tls = TLSConfig(
            client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")), ca_cert=str(folder / "ca.pem"), verify=True
        )
    return APIClient(base_url=address, version=version, timeout=ANSWER_SECONDS, tls=tls)


class SdkQuestions:
    """The questions of :class:`~reprocheck.targets.questions.Questions`, asked by the SDK."""

    def __init__(self, asked: APIClient) -> None:
        self.client = asked
        self.version: str = asked.api_version

    def image(self, reference: str) -> dict[str, Any]:
        """``GET /images/{name}/json``."""
        with _translated():
            told: dict[str, Any] = self.client.inspect_image(reference)  # type: ignore[no-untyped-call]
        return told

    def history(self, image_id: str) -> list[dict[str, Any]]:
        """``GET /images/{name}/history``."""
        with _translated():
            told: list[dict[str, Any]] = self.client.history(image_id)  # type: ignore[no-untyped-call]
        return told

    def container(self, name: str) -> dict[str, Any]:
        """``GET /containers/{id}/json``."""
        with _translated():
            told: dict[str, Any] = self.client.inspect_container(name)
        return told

    def info(self) -> dict[str, Any]:
        """``GET /info``."""
        with _translated():
            told: dict[str, Any] = self.client.info()
        return told


@contextmanager
def talking(what: str) -> Iterator[None]:
    """Turn what the SDK raises into one line.

    Raises:
        EngineError: the engine was lost, or refused.
    """
    with about(what), _translated():
        yield


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except APIError as error:
        kind = Missing if isinstance(error, NotFound) else Unanswered
        raise kind(refused(str(error.explanation or error))) from error
    except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise Unanswered(lost(error)) from error


def attempt(action: Callable[[], T]) -> T | None:
    """Do something that may fail because the thing is gone already."""
    try:
        return action()
    except (APIError, OSError):
        return None
