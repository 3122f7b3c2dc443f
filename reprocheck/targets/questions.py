"""What an engine is asked of its images and containers, whoever carries the questions to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from reprocheck.errors import EngineError

ANSWER_SECONDS = 60
"""How long an engine may take."""
_QUOTED = 500
"""Characters of the engine's own words that an error message repeats."""


class Questions(Protocol):
    """The plain questions of the Docker Engine API; what they raise is :class:`Unanswered`."""

    @property
    def version(self) -> str:
        """Of the API, the newest that the engine speaks: ``1.41``."""

    def image(self, reference: str) -> dict[str, Any]:
        """Of an image, by tag, id or digest (``GET /images/{name}/json``)."""

    def history(self, image_id: str) -> list[dict[str, Any]]:
        """How an image was made, the newest step first (``GET /images/{name}/history``)."""

    def container(self, name: str) -> dict[str, Any]:
        """Of a container, by name or id (``GET /containers/{id}/json``)."""

    def info(self) -> dict[str, Any]:
        """Of the engine itself (``GET /info``)."""


class Unanswered(Exception):  # noqa: N818 - half a message: whose question it was is known further up
    """The engine refused or was lost; the argument says which."""


class Missing(Unanswered):
    """The engine refused, for it has no such thing."""


def refused(said: str) -> str:
    """A refusal in one line, the first of what the engine said."""
    lines = said.strip().splitlines() or ["it does not say why"]
    return f"the engine refused ({lines[0][:_QUOTED]})"


def lost(error: BaseException) -> str:
    """How it is told that the engine was lost on the way."""
    return f"the connection to the engine was lost ({type(error).__name__}); try again"


@contextmanager
def about(what: str) -> Iterator[None]:
    """Make one line of what remained unanswered, that begins with what it was about.

    Raises:
        EngineError: the engine was lost, or refused.
    """
    try:
        yield
    except Unanswered as error:
        raise EngineError(f"{what}: {error}") from error
