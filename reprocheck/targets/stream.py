"""The two-way stream between this process and one in a container."""

from __future__ import annotations

import struct
import time
from typing import Any

_STDERR_LIMIT = 64 << 10


class Stream:
    """The two-way stream of an exec or an attached container, its frames taken apart.

    Docker Engine API, "Attach to a container", stream format: eight bytes of header (stream, length) before
    each piece.
    """

    def __init__(self, raw: Any) -> None:
        self._owner = raw  # keeps the connection open
        self._socket = getattr(raw, "_sock", raw)
        self._buffer = b""
        self._left = 0
        self._kind = 1
        self.stderr = b""

    def send(self, data: bytes) -> None:
        """Write to the process's standard input."""
        self._socket.settimeout(10.0)
        self._socket.sendall(data)

    def receive(self, timeout: float) -> bytes:
        """Some bytes of standard output; standard error is kept aside, up to a limit; empty at the end.

        Raises:
            TimeoutError: nothing came in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            piece = self._piece(deadline)
            if not piece or self._kind != 2:  # noqa: PLR2004 - stream 2 is standard error
                return piece
            self.stderr = (self.stderr + piece)[-_STDERR_LIMIT:]

    def close(self) -> None:
        """Close the connection; the process sees the end of its input."""
        # The SDK hangs the HTTP response on the socket; closed first, its buffers go before what they lie on.
        response = getattr(self._owner, "_response", None)
        if response is not None:
            response.close()
        self._owner.close()
        self._socket.close()

    def _piece(self, deadline: float) -> bytes:
        while self._left == 0:
            while len(self._buffer) < 8:  # noqa: PLR2004 - the size of a frame's header
                if not self._fill(deadline):
                    # Text without a header is the runtime's own error message.
                    piece, self._buffer, self._kind = self._buffer, b"", 2
                    self.stderr += piece
                    return b""
            self._kind, self._left = struct.unpack(">BxxxL", self._buffer[:8])
            self._buffer = self._buffer[8:]
        if not self._buffer and not self._fill(deadline):
            return b""
        piece, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        self._left -= len(piece)
        return piece

    def _fill(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        more = self._socket.recv(1 << 18)
        self._buffer += more
        return bool(more)
