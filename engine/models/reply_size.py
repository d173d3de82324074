"""Bounds the objects and lists in the reply of a model.

The SDKs make an object of each on the event loop, which takes up to 150 microseconds: 2 MB of `{}` would hold up all jobs of
a worker for half a minute. A stream is counted event by event, since the SDKs read each by itself.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx2

from engine.outbound.errors import ResponseTooLarge

#: The objects and lists of one event or of a whole reply. Braces in texts count, too: they cannot be told apart without
#: reading the JSON.
MOST_OBJECTS = 20_000
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


async def bound_reply(response: httpx2.Response) -> None:
    """Event hook for responses of a client: reading the body raises ResponseTooLarge where it has too many objects."""
    response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream | httpx2.AsyncByteStream) -> None:
        assert isinstance(stream, httpx2.AsyncByteStream)
        self._stream = stream
        self._count = 0
        #: Whether the body is a stream of events; None before it has begun.
        self._has_events: bool | None = None
        #: The ends of lines before the next piece.
        self._ends = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._look_at(piece)
            yield piece

    def _look_at(self, piece: bytes) -> None:
        if self._has_events is None and (begun := piece.lstrip()):
            self._has_events = begun[:1].isalpha() or begun[:1] == b":"  # JSON may have blank lines, which end nothing
        text = self._ends + piece
        for number, part in enumerate(_BLANK_LINE.split(text) if self._has_events else [text]):
            self._count = (0 if number else self._count) + part.count(b"{") + part.count(b"[")
            if self._count > MOST_OBJECTS:
                raise ResponseTooLarge(f"The model's reply has more than {MOST_OBJECTS:,} objects and lists.")
        last = text[-3:]
        self._ends = last[len(last.rstrip(b"\r\n")) :]

    async def aclose(self) -> None:
        await self._stream.aclose()
