"""Bounds the length, and the objects and lists, of what an SDK reads at once: the reply of a model or of an MCP server.

The SDKs make an object of each on the event loop, which takes up to 150 microseconds: 2 MB of `{}` would hold up all jobs of
a worker for half a minute. They look through texts there, too: 9 MB take two seconds; in short lines, 2 MB take most of a
minute. A stream is counted event by event, since the SDKs read each by itself, and between its events others get a turn on
the event loop.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2

from engine.outbound.errors import ResponseTooLarge

#: The objects and lists of one event or of a whole reply. Braces in texts count, too: they cannot be told apart without
#: reading the JSON.
MAX_OBJECTS = 20_000
#: The bytes of one event of a model's reply, or of a whole one.
MAX_BYTES = 2_000_000
#: The ends of lines in one event: an SDK copies an event anew with each of its lines.
_MAX_LINES = 2_000
#: The bytes after which others get a turn: an SDK reads all the events of a piece without a pause.
_TURN_BYTES = 32 * 1024
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


def bounded_reply(whose: str, most_bytes: int) -> Callable[[httpx2.Response], Awaitable[None]]:
    """Returns an event hook for the responses of a client: reading a body raises ResponseTooLarge where it has too many
    objects, or more than `most_bytes` at once. `whose` names in errors who replies.
    """

    async def bound(response: httpx2.Response) -> None:
        response.stream = _Bounded(response.stream, whose, most_bytes)

    return bound


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream | httpx2.AsyncByteStream, whose: str, most_bytes: int) -> None:
        assert isinstance(stream, httpx2.AsyncByteStream)
        self._stream = stream
        self._whose = whose
        self._most_bytes = most_bytes
        #: The objects, the bytes and the ends of lines of the event that is read.
        self._objects = self._bytes = self._lines = 0
        #: Whether the body is a stream of events; None before it has begun.
        self._has_events: bool | None = None
        #: The ends of lines before the next piece.
        self._ends = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for piece in self._stream:
            for start in range(0, len(piece), _TURN_BYTES):
                part = piece[start : start + _TURN_BYTES]
                self._look_at(part)
                yield part
                read += len(part)
                if read >= _TURN_BYTES:
                    read = 0
                    await asyncio.sleep(0)

    def _look_at(self, piece: bytes) -> None:
        if self._has_events is None and (begun := piece.lstrip()):
            self._has_events = begun[:1].isalpha() or begun[:1] == b":"  # JSON may have blank lines, which end nothing
        text = self._ends + piece
        self._bytes -= len(self._ends)
        self._lines -= len(self._ends)
        for number, part in enumerate(_BLANK_LINE.split(text) if self._has_events else [text]):
            if number:
                self._objects = self._bytes = self._lines = 0
            self._objects += part.count(b"{") + part.count(b"[")
            self._bytes += len(part)
            self._lines += part.count(b"\n") + part.count(b"\r")
            if self._objects > MAX_OBJECTS:
                raise ResponseTooLarge(
                    f"The reply of {self._whose} has more than {MAX_OBJECTS:,} objects and lists. Ask for less at once."
                )
            if self._has_events and self._lines > _MAX_LINES:
                raise ResponseTooLarge(
                    f"The reply of {self._whose} has a piece of more than {_MAX_LINES:,} lines. Ask for less at once."
                )
            if self._bytes > self._most_bytes:
                raise ResponseTooLarge(
                    f"The reply of {self._whose} has a piece of more than {self._most_bytes / 1_000_000:.3g} MB, "
                    "which is not read. Ask for less at once."
                )
        last = text[-3:]
        self._ends = last[len(last.rstrip(b"\r\n")) :]

    async def aclose(self) -> None:
        await self._stream.aclose()
