"""Decompresses response bodies in small pieces up to a size limit, as protection against decompression bombs.

A client that decompresses before it checks the size can be exhausted: 0.6 MB of gzip expanded to 973 MiB. Here each
step produces at most 64 KiB, and both the received and the produced bytes are counted.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator

from engine.core.redaction import cut

#: Value of the Accept-Encoding header. Brotli and zstd would need libraries that are not dependencies.
ACCEPTED_ENCODINGS = "gzip, deflate"

_PIECE = 64 * 1024
#: Bytes by which a compressed body may exceed the limit, because compressing random data makes it slightly longer.
_SLACK = 64 * 1024
_MAX_MEMBERS = 256
_MAX_LAYERS = 2


class BodyTooLong(Exception):  # internal signal; `error_messages` turns it into a ResponseTooLarge error
    """The body exceeds `limit` bytes, compressed or decompressed."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class BodyUnreadable(Exception):
    """The body is damaged, truncated, or compressed with an encoding that was not requested."""


async def unpacked(chunks: AsyncIterable[bytes], content_encoding: str, max_bytes: int) -> AsyncIterator[bytes]:
    """Yields the decompressed pieces of a body.

    `content_encoding` is the Content-Encoding header (RFC 9110, section 8.4). Raises BodyTooLong and BodyUnreadable.
    """
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
        raise BodyUnreadable(f"it is packed as {cut(', '.join(names), 60)}")
    return [_Unpacker(gzip=name != "deflate") for name in reversed(names)]


def _through(layers: list[_Unpacker], data: bytes) -> Iterator[bytes]:
    if not layers:
        yield data
        return
    first, *rest = layers
    for piece in first.feed(data):
        yield from _through(rest, piece)


class _Unpacker:
    """Decoder for one encoding: gzip (RFC 1952, with several members) or deflate (with or without the zlib wrapper, RFC
    1950).
    """

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
                if self._members:  # ignore trailing garbage after the last gzip member
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
