"""HTTP as a service of advisories needs it: answers that are too long are refused, redirects are few."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from reprocheck import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 64 << 20
"""Of one answer, unpacked."""
_REDIRECTS = 5


class TooLongError(requests.RequestException):
    """The answer has more bytes than are read."""


class CutError(requests.RequestException):
    """The answer ended before its end, or can't be unpacked."""


class _Bounded(HTTPAdapter):
    """Reads no more of an answer than ``MOST_BYTES``, however well it was packed."""

    def send(self, request: requests.PreparedRequest, *args: Any, **words: Any) -> requests.Response:
        response = super().send(request, *args, **{**words, "stream": True})
        try:
            body = response.raw.read(MOST_BYTES + 1, decode_content=True)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise requests.ReadTimeout(error, request=request) from error
        except urllib3.exceptions.HTTPError as error:
            raise CutError("the answer is cut, or packed wrongly", request=request) from error
        if len(body) > MOST_BYTES:
            response.raw.close()
            raise TooLongError(f"the answer has more than {MOST_BYTES >> 20} MiB", request=request)
        # What is left of a cut answer can be whole JSON.
        if response.raw.length_remaining:
            raise CutError("the answer is cut", request=request)
        response.raw.release_conn()
        response.raw = io.BytesIO(body)
        return response


def session(check: Callable[[requests.Response], None] | None = None) -> requests.Session:
    """A session without a cache, whose answers are bounded; ``check`` is given each of them."""
    made = requests.Session()
    made.max_redirects = _REDIRECTS
    made.headers["User-Agent"] = f"reprocheck/{__version__}"
    for scheme in ("https://", "http://"):
        made.mount(scheme, _Bounded())
    if check is not None:
        made.hooks["response"].append(lambda response, **_: check(response))
    return made
