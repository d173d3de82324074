"""Sends the head of a response and its body in one write.

uvicorn writes the head when the response starts and the body when that comes, which is at once for most responses: two
calls of the system and two packets, of which a short answer's client reads each on its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_HEAD = b"HTTP/"


class JoinedWrites(asyncio.Transport):
    """What uvicorn's cycle of one request uses of its transport. A head waits for the write that follows it in the same
    turn of the event loop; without one it is sent then. `end` is called instead of the transport's `close`.
    """

    __slots__ = ("_end", "_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
        self._transport = transport
        self._loop = loop
        self._end = end
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Sends data after what waits, or lets it wait when it is a head."""
        head = self._head
        if head:
            self._head = b""
            self._transport.writelines((head, data))
        elif data[: len(_HEAD)] == _HEAD:
            self._head = bytes(data)
            self._loop.call_soon(self._send_head)
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether the transport is closed or is being closed."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Ends the connection when all has been sent."""
        self._send_head()
        self._end()

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)
