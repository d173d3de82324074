"""Responses and requests of HttpConnection, compared with the connection of httpcore2, which parses with h11."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import httpcore2
import pytest

from engine.outbound.http_connection import HttpConnection, OriginConnection, UnreadableResponse

ORIGIN = httpcore2.Origin(b"http", b"site.example", 80)
OK = b"HTTP/1.1 200 OK\r\n"


class Wire(httpcore2.AsyncMockStream):
    """Gives the pieces of a response, then the end of the connection, and keeps what was written."""

    def __init__(self, pieces: Sequence[bytes], *, closes_early: bool = False) -> None:
        super().__init__(list(pieces))
        self.written: list[bytes] = []
        self.is_closed = False
        self._closes_early = closes_early

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.written.append(buffer)
        if self._closes_early:
            raise httpcore2.WriteError("closed")

    async def aclose(self) -> None:
        self.is_closed = True
        await super().aclose()

    def get_extra_info(self, info):
        return self.is_closed if info == "is_readable" else None


def request(method: str = "GET", headers=(), content=None) -> httpcore2.Request:
    return httpcore2.Request(
        method, "http://site.example/a?b", headers=[(b"Host", b"site.example"), *headers], content=content
    )


async def read(connection, asked: httpcore2.Request):
    """Status, headers and body of the response; and whether the connection takes another request."""
    response = await connection.handle_async_request(asked)
    body = b""
    try:
        async for piece in response.aiter_stream():
            body += piece
    finally:
        await response.aclose()
    return response.status, [(name.lower(), value) for name, value in response.headers], body, connection.is_idle()


async def outcome(make: Callable[[Wire], OriginConnection], method: str, pieces: Sequence[bytes]):
    try:
        return await read(make(Wire(pieces)), request(method))
    except httpcore2.RemoteProtocolError:
        return "error"


def of_httpcore(wire: Wire) -> httpcore2.AsyncHTTP11Connection:
    return httpcore2.AsyncHTTP11Connection(ORIGIN, wire)


def cut(raw: bytes, draw: random.Random) -> list[bytes]:
    """The bytes as the network may deliver them: at once, one by one, or in a few pieces."""
    way = draw.randrange(4)
    if way == 0:
        return [raw]
    if way == 1:
        return [raw[at : at + 1] for at in range(len(raw))]
    cuts = sorted({0, len(raw), *(draw.randrange(1, len(raw)) for _ in range(4))})
    return [raw[start:end] for start, end in itertools.pairwise(cuts)]


def drawn_response(draw: random.Random) -> bytes:
    """A response of a kind that servers send, sometimes cut off, with something behind it or with a wrong byte."""
    eol = draw.choice([b"\r\n", b"\r\n", b"\r\n", b"\n"])
    body = bytes(draw.choices(b"abc\r\n0", k=draw.choice([0, 1, 5, 300])))
    headers = [
        draw.choice(
            [b"Set-Cookie: a", b"X-A:b \t", b"X-Empty:", b"X: \xff\xfe", b"Keep-Alive: timeout=5", b"X: a\r\n b"]
        )
        for _ in range(draw.randrange(4))
    ]
    is_chunked, has_length = draw.choice(
        [(True, False), (True, False), (False, True), (False, True), (True, True), (False, False)]
    )
    if is_chunked:
        headers.append(b"transfer-encoding:chunked")
        chunks = [body[at : at + 40] for at in range(0, len(body), 40)]
        framed = b"".join(
            b"%x%b%b%b%b" % (len(chunk), draw.choice([b"", b"", b";a=b"]), eol, chunk, eol) for chunk in chunks
        )
        payload = framed + b"0" + eol + draw.choice([b"", b"", b"Trailer: 1" + eol]) + eol
    else:
        payload = body
    if has_length:
        headers.append(b"Content-Length: %d" % len(body))
    if draw.random() < 0.2:
        headers.append(draw.choice([b"Connection: close", b"connection: keep-alive"]))
    draw.shuffle(headers)
    interim = b"HTTP/1.1 103 Early" + eol + b"Link: x" + eol + eol if draw.random() < 0.1 else b""
    status = draw.choice([b"1.1 200 OK", b"1.1 200 OK", b"1.1 404", b"1.0 200 ", b"1.1 204 None", b"1.1 304 Same"])
    raw = interim + b"HTTP/" + status + eol + b"".join(header + eol for header in headers) + eol + payload
    spoil = draw.random()
    if spoil < 0.1:
        return raw + b"HTTP/1.1 200 OK\r\n\r\n"
    if spoil < 0.2:
        return raw[: draw.randrange(1, len(raw))]
    return raw


async def test_responses_are_read_as_h11_reads_them():
    draw = random.Random(20)
    answered = refused = 0
    for _ in range(600):
        method, raw = draw.choice(["GET", "GET", "HEAD", "POST"]), drawn_response(draw)
        pieces = cut(raw, draw)
        theirs, ours = await outcome(of_httpcore, method, pieces), await outcome(HttpConnection, method, pieces)
        if theirs == "error":
            refused += 1
            assert ours == "error", raw
        else:
            answered += 1
            assert ours[:3] == theirs[:3], raw
            # h11 uses no connection of HTTP/1.0 again, also when both sides want it
            assert theirs[3] or not ours[3] or b"HTTP/1.0" in raw, f"used again, as h11 does not: {raw}"
    assert answered > 400 and refused > 40


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"220 ftp.example ready\r\n", "no HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "no HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab", "no HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab", "Transfer-Encoding is not known"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", "its header `X` is not a valid one"),
        (b"HTTP/1.1 200 OK\r\nContent-Length : 1000\r\n\r\npart", "its header `Content-Length ` is not a valid one"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding : gzip, chunked\r\n\r\n0\r\n\r\n",
            "its header `Transfer-Encoding ` is not a valid one",
        ),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "changes the protocol"),
        (b"HTTP/1.1 099 None\r\n\r\n" + OK + b"\r\n", "no meaning"),
        (b"HTTP/1.1 103 Early\r\nContent-Length: 3\r\n\r\nabc" + OK + b"Content-Length: 0\r\n\r\n", "no HTTP/1.1"),
    ],
)
async def test_what_is_no_response_is_refused_and_says_why(raw, why):
    wire = Wire([raw])
    with pytest.raises(UnreadableResponse, match=why):
        await read(HttpConnection(wire), request())
    assert wire.is_closed


@pytest.mark.parametrize(
    "pieces",
    [
        [OK, *[b"X: " + b"a" * 16_000 + b"\r\n"] * 8],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n1;", *[b"e" * 16_000] * 8],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: ", *[b"t" * 16_000] * 8],
    ],
    ids=["head", "chunk extension", "trailer"],
)
async def test_what_never_ends_is_refused(pieces):
    with pytest.raises(UnreadableResponse, match="too long"):
        await read(HttpConnection(Wire(pieces)), request())


async def test_two_requests_after_each_other_share_the_connection():
    wire = Wire([OK + b"Content-Length: 2\r\n\r\nab", OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n"])
    connection = HttpConnection(wire)
    assert await read(connection, request()) == (200, [(b"content-length", b"2")], b"ab", True)
    assert (await read(connection, request("POST", [(b"Content-Length", b"1")], b"x")))[2:] == (b"c", True)
    assert wire.written == [
        b"GET /a?b HTTP/1.1\r\nHost: site.example\r\n\r\n",
        b"POST /a?b HTTP/1.1\r\nHost: site.example\r\nContent-Length: 1\r\n\r\nx",
    ]


async def test_a_response_behind_an_interim_one_that_says_close_is_read():
    for interim in (b"HTTP/1.1 103 Early\r\nConnection: close\r\n\r\n", b"HTTP/1.0 103 Early\r\n\r\n"):
        wire = Wire([interim + OK + b"Content-Length: 2\r\n\r\nab"])
        assert await read(HttpConnection(wire), request()) == (200, [(b"content-length", b"2")], b"ab", True)


async def test_after_a_chunked_response_to_head_the_connection_is_not_used_again():
    """Its chunks, which should not be there, would be read as the beginning of the next response."""
    wire = Wire([OK + b"Transfer-Encoding: chunked\r\n\r\n2a\r\n"])
    assert (await read(HttpConnection(wire), request("HEAD")))[2:] == (b"", False)
    assert wire.is_closed


async def test_a_response_that_is_left_before_its_end_closes_the_connection():
    wire = Wire([OK + b"Content-Length: 9\r\n\r\nab", b"cdefghi"])
    connection = HttpConnection(wire)
    response = await connection.handle_async_request(request())
    async for piece in response.aiter_stream():
        assert piece == b"ab"
        break
    await response.aclose()
    assert wire.is_closed
    assert not connection.is_idle()


async def test_the_response_to_a_request_that_was_not_taken_in_full_is_read():
    wire = Wire([b"HTTP/1.1 413 Too large\r\nContent-Length: 2\r\n\r\nno"], closes_early=True)
    connection = HttpConnection(wire)
    assert (await read(connection, request("POST", [(b"Content-Length", b"1")], b"x")))[::2] == (413, b"no")
    assert wire.is_closed


async def test_a_body_without_a_known_length_is_chunked_and_large_ones_are_written_in_parts():
    async def pieces():
        for part in (b"a" * 70_000, b"", b"b"):
            yield part

    wire = Wire([OK + b"Content-Length: 0\r\n\r\n"])
    await read(HttpConnection(wire), request("POST", [(b"Transfer-Encoding", b"chunked")], pieces()))
    assert len(wire.written) == 2
    head, _, body = b"".join(wire.written).partition(b"\r\n\r\n")
    assert head.endswith(b"Transfer-Encoding: chunked")
    assert body == b"11170\r\n" + b"a" * 70_000 + b"\r\n1\r\nb\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "headers", "content", "why"),
    [
        ("GE T", [], None, "the method"),
        ("GET", [(b"X:", b"a")], None, "the name of a header"),
        ("GET", [(b"X", b"a\r\nHost: other")], None, "the header `X` holds control characters"),
        ("POST", [], b"abc", "longer than its Content-Length"),
        ("POST", [(b"Content-Length", b"4")], b"abc", "shorter than its Content-Length"),
        ("POST", [(b"Content-Length", b"3"), (b"Content-Length", b"3")], b"abc", "one Content-Length"),
        ("POST", [(b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")], b"abc", "one Content-Length"),
        ("POST", [(b"Content-Length", b"+3")], b"abc", "one Content-Length"),
    ],
)
async def test_a_request_that_cannot_be_written_is_refused(method, headers, content, why):
    wire = Wire([OK + b"Content-Length: 0\r\n\r\n"])
    with pytest.raises(httpcore2.LocalProtocolError, match=why):
        await read(HttpConnection(wire), request(method, headers, content))
    assert wire.is_closed
    assert wire.written == []
