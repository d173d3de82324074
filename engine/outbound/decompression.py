"""Unpacks an answer's body in small pieces and stops at a limit, so that a small bomb stays small.

A plain client unpacks first and counts later: 0.6 MB of gzip grew to 973 MiB. Here no step makes more than 64 KiB, and what
comes in and what comes out are both counted.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator

#: What is asked for. Brotli and zstd would need libraries that this product does not carry.
ACCEPTED_ENCODINGS = "gzip, deflate"

_PIECE = 64 * 1024
#: A packed body may be a little longer than the unpacked one.
_SLACK = 64 * 1024
_MAX_MEMBERS = 256
_MAX_LAYERS = 2


class BodyTooLong(Exception):  # noqa: N818 - a fact the door turns into its refusal
    """The body, packed or unpacked, is longer than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class BodyUnreadable(Exception):  # noqa: N818
    """The body is damaged, cut short, or packed in a way that was not asked for."""


async def unpacked(chunks: AsyncIterable[bytes], content_encoding: str, max_bytes: int) -> AsyncIterator[bytes]:
    """The unpacked pieces of a body. Raises BodyTooLong and BodyUnreadable."""
    layers = _layers(content_encoding)
    received = produced = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > max_bytes + (_SLACK if layers else 0):
            raise BodyTooLong(max_bytes)
        for piece in _through(layers, chunk):
            produced += len(piece)
            if produced > max_bytes:
                raise BodyTooLong(max_bytes)
            yield piece
    if received and not all(layer.complete for layer in layers):
        raise BodyUnreadable("it ended too early")


def _layers(content_encoding: str) -> list[_Unpacker]:
    names = [name.strip().lower() for name in content_encoding.split(",") if name.strip()]
    names = [name for name in names if name != "identity"]
    if len(names) > _MAX_LAYERS or not {"gzip", "x-gzip", "deflate"}.issuperset(names):
        raise BodyUnreadable(f"it is packed as {', '.join(names)[:60]}")
    return [_Unpacker(gzip=name != "deflate") for name in reversed(names)]


def _through(layers: list[_Unpacker], data: bytes) -> Iterator[bytes]:
    if not layers:
        yield data
        return
    first, *rest = layers
    for piece in first.feed(data):
        yield from _through(rest, piece)


class _Unpacker:
    """One layer of gzip (also several members after each other) or deflate (with or without the zlib wrapper)."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._zlib = zlib.decompressobj(31) if gzip else None
        self._start = b""
        self._members = 0
        self._over = False

    @property
    def complete(self) -> bool:
        return self._over or (self._zlib is not None and self._zlib.eof) or self._members > 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._zlib is None:
            self._start += data
            if len(self._start) < 2:
                return
            data = self._start
            wrapped = data[0] & 15 == 8 and (data[0] * 256 + data[1]) % 31 == 0
            self._zlib = zlib.decompressobj(15 if wrapped else -15)
        while data and not self._over:
            if self._zlib.eof and not self._next_member():
                return
            try:
                piece = self._zlib.decompress(data, _PIECE)
            except zlib.error as error:
                if self._members:  # rubbish after the last member
                    self._over = True
                    return
                raise BodyUnreadable("it is damaged") from error
            while piece:
                yield piece
                data = self._zlib.unconsumed_tail
                try:
                    piece = self._zlib.decompress(data, _PIECE) if not self._zlib.eof else b""
                except zlib.error as error:
                    raise BodyUnreadable("it is damaged") from error
            data = self._zlib.unused_data if self._zlib.eof else b""

    def _next_member(self) -> bool:
        self._members += 1
        self._over = not self._gzip or self._members >= _MAX_MEMBERS
        if not self._over:
            self._zlib = zlib.decompressobj(31)
        return not self._over
