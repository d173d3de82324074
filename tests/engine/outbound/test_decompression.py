"""S13: bodies are decompressed in pieces up to the limit."""

from __future__ import annotations

import gzip
import zlib

import pytest

from engine.outbound.decompression import BodyTooLong, BodyUnreadable, unpacked

TEXT = b"Good bread takes its time. " * 4_000
RAW = zlib.compressobj(wbits=-15)
RAW_DEFLATE = RAW.compress(TEXT) + RAW.flush()


async def unpack(body: bytes, encoding: str, *, limit: int = 10**6, piece: int = 1_000) -> bytes:
    async def chunks():
        for start in range(0, len(body), piece):
            yield body[start : start + piece]

    return b"".join([part async for part in unpacked(chunks(), encoding, limit)])


@pytest.mark.parametrize("piece", [1, 7, 1_000, 10**6])
@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (TEXT, ""),
        (TEXT, "identity"),
        (gzip.compress(TEXT), "gzip"),
        (gzip.compress(TEXT), "X-GZIP"),
        (zlib.compress(TEXT), "deflate"),
        (RAW_DEFLATE, "deflate"),
        (gzip.compress(zlib.compress(TEXT)), "deflate, gzip"),
        (gzip.compress(TEXT[:50_000]) + gzip.compress(TEXT[50_000:]), "gzip"),
        (gzip.compress(TEXT) + b"\0rubbish", "gzip"),
    ],
)
async def test_known_encodings_come_out_whole_however_they_arrive(body, encoding, piece):
    assert await unpack(body, encoding, piece=piece) == TEXT


async def test_an_empty_body_is_empty_whatever_it_says():
    assert await unpack(b"", "gzip") == b""
    assert await unpack(gzip.compress(b""), "gzip") == b""


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (TEXT, ""),
        (gzip.compress(TEXT), "gzip"),
        (RAW_DEFLATE, "deflate"),
        (gzip.compress(gzip.compress(TEXT)), "gzip, gzip"),
        (gzip.compress(b"") * 60_000, "gzip"),
    ],
)
async def test_more_than_the_limit_is_refused(body, encoding):
    with pytest.raises(BodyTooLong):
        await unpack(body + b"\0" * 200_000 if not encoding else body * 3, encoding, limit=20_000)


async def test_exactly_the_limit_is_read():
    assert len(await unpack(gzip.compress(TEXT), "gzip", limit=len(TEXT))) == len(TEXT)
    with pytest.raises(BodyTooLong):
        await unpack(gzip.compress(TEXT), "gzip", limit=len(TEXT) - 1)


@pytest.mark.parametrize(
    ("body", "encoding", "says"),
    [
        (b"not gzip at all", "gzip", "damaged"),
        (gzip.compress(TEXT)[:-200], "gzip", "too early"),
        (zlib.compress(TEXT)[:-20], "deflate", "too early"),
        (b"x", "deflate", "too early"),
        (TEXT, "br", "packed as br"),
        (TEXT, "gzip, gzip, gzip", "packed as gzip, gzip, gzip"),
    ],
)
async def test_what_cannot_be_read_says_why(body, encoding, says):
    with pytest.raises(BodyUnreadable, match=says):
        await unpack(body, encoding)
