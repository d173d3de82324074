"""The HTTP server, started in this process, with raw sockets that send and read in ways that no HTTP library does."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import uvicorn

from api import uvicorn_server
from api.connection_limits import ConnectionLimits, Connections
from api.http.problem_json import title_of
from api.http.schemas import ProblemDetails
from api.uvicorn_server import BoundedHttp, BoundedSocket, Server
from engine.core.errors import TooManyConnections

pytestmark = pytest.mark.process

LARGE = 8 * 1024 * 1024
OF_API, OF_PAGE = "/public/v1/flows", "/flows"


def head(path: str = "/", *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: x", *lines, "", ""]).encode()


class App:
    """ASGI application that answers with the body it read. `/large` answers with LARGE bytes. `/stream` does so too,
    and sends the rest once `let_go` is set. `/trickle` sends a byte now and then until its client has gone. `/hold` answers once `let_go` is set, and `/unread` without reading the
    body.
    """

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.let_go = asyncio.Event()
        self.ended: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
            return
        assert scope["type"] == "http"
        body = b""
        message = {"more_body": scope["path"] != "/unread"}
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                self.ended.append(scope["path"])
                return
            body += message["body"]
        if scope["path"] == "/hold":
            await self.let_go.wait()
        if scope["path"] == "/large":
            body = b"x" * LARGE
        if scope["path"] == "/trickle":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            left = asyncio.create_task(receive())
            while not left.done():
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.wait([left], timeout=0.05)
            self.ended.append(scope["path"])
            return
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x" * LARGE, "more_body": True})
            await self.let_go.wait()
            await send({"type": "http.response.body", "body": b""})
            self.ended.append(scope["path"])
            return
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self.ended.append(scope["path"])


class Site:
    """A running server, and raw socket connections to it."""

    def __init__(self, app: App, connections: Connections, port: int, server: Server) -> None:
        self.app = app
        self.server = server
        self.connections = connections
        self.port = port
        self.opened: list[asyncio.StreamWriter] = []

    async def open(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        self.opened.append(writer)
        return reader, writer

    async def close(self) -> None:
        for writer in self.opened:
            writer.close()
        for writer in self.opened:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def say(self, *pieces: bytes) -> bytes:
        """Sends the pieces and returns everything that is received until the server closes the connection."""
        reader, writer = await self.open()
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        answer = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(30):
                while piece := await reader.read(65_536):
                    answer += piece
        return answer


@pytest.fixture
def limits() -> ConnectionLimits:
    return ConnectionLimits(most=100, most_of_one=100)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the time limits of the server to half a second, so that tests need not wait."""
    for name in ("HEAD_SECONDS", "REST_SECONDS", "STALLED_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(uvicorn_server, name, 0.5)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


@pytest.fixture
async def site(limits: ConnectionLimits, listener: socket.socket) -> AsyncIterator[Site]:
    app, connections, ready = App(), Connections(limits), asyncio.Event()
    config = uvicorn.Config(
        app,
        http=functools.partial(BoundedHttp, connections),  # type: ignore[arg-type]
        ws=functools.partial(BoundedSocket, connections),  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = Server(config, ready.set)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    await ready.wait()
    site = Site(app, connections, listener.getsockname()[1], server)
    yield site
    app.let_go.set()
    await site.close()
    server.should_exit = True
    await running


def problem_of(answer: bytes) -> ProblemDetails:
    """Checks that this is the only response on a connection that is closed, with all headers of the API, and returns
    its problem.
    """
    begin, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = begin.decode().split("\r\n")
    headers = dict(line.split(": ", maxsplit=1) for line in lines)
    assert len(headers) == len(lines)
    assert headers["content-type"] == "application/problem+json"
    assert (headers["connection"], headers["cache-control"]) == ("close", "no-store")
    assert abs(parsedate_to_datetime(headers["date"]).timestamp() - time.time()) < 60
    assert int(headers["content-length"]) == len(body)
    problem = ProblemDetails.model_validate(json.loads(body))
    assert status.startswith(f"HTTP/1.1 {problem.status} ")
    assert headers["x-request-id"] == problem.request_id
    return problem


CHUNKED = "transfer-encoding: chunked"
LAST = "connection: close"


async def test_headers_behind_a_body_are_read_by_nobody(site: Site) -> None:
    sent = head("/", CHUNKED, LAST) + b"2\r\nhi\r\n0\r\nx-role: owner\r\n\r\n"
    assert (await site.say(sent)).endswith(b"hi")
    assert "x-role" not in str(site.app.scopes)


@pytest.mark.parametrize(
    "behind",
    [
        b"0\r\n" + b"".join(b"x-%d: %s\r\n" % (number, b"a" * 100) for number in range(200)),
        b"0\r\nx: " + b"a" * 40_000,
        b"2;" + b"a" * 40_000,
    ],
    ids=["many", "long", "chunk extension"],
)
async def test_what_follows_a_body_is_bounded_with_the_head(site: Site, behind: bytes) -> None:
    answer = await site.say(head("/", CHUNKED) + b"2\r\nhi\r\n" + behind[:1000], behind[1000:] + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"16 KiB" in answer


@pytest.mark.parametrize("pieces", [1, 20])
async def test_a_head_is_bounded_in_one_piece_and_in_many(site: Site, pieces: int) -> None:
    sent = head("/", "x: " + "a" * 17_000, "content-length: 0")
    size = len(sent) // pieces + 1
    answer = await site.say(*(sent[start : start + size] for start in range(0, len(sent), size)))
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert not site.app.scopes


async def test_a_body_in_very_many_tiny_pieces_is_refused(site: Site) -> None:
    answer = await site.say(head("/", CHUNKED), *[b"1\r\nx\r\n" * 1000] * 17)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"larger chunks" in answer


async def test_a_small_body_that_a_program_writes_piece_by_piece_is_read(site: Site) -> None:
    answer = await site.say(head("/", CHUNKED, LAST), *[b"1\r\nx\r\n" * 1000] * 5, b"0\r\n\r\n")
    assert answer.endswith(b"x" * 1000)


async def test_a_body_in_many_pieces_of_a_usual_size_is_read(site: Site) -> None:
    answer = await site.say(head("/", CHUNKED, LAST), *[b"20\r\n" + b"x" * 32 + b"\r\n"] * 5000, b"0\r\n\r\n")
    assert answer.endswith(b"x" * 1000)
    assert answer.count(b"x") == 32 * 5000


async def test_requests_far_ahead_of_their_answers_are_refused_after_the_first_ones_were_answered(site: Site) -> None:
    answer = await site.say(head(method="GET") * 5000)
    assert answer.count(b"HTTP/1.1 200 ") == uvicorn_server.MAX_AHEAD + 1
    assert answer.count(b"HTTP/1.1 503 ") == 1
    assert len(site.app.scopes) == uvicorn_server.MAX_AHEAD + 1


@pytest.mark.usefixtures("quick")
async def test_a_head_that_does_not_end_has_a_time(site: Site) -> None:
    assert (await site.say(head()[:-2])).startswith(b"HTTP/1.1 408 ")


async def test_a_whole_request_may_be_worked_on_for_longer_than_a_head_may_take(site: Site) -> None:
    reader, writer = await site.open()
    writer.write(head("/hold", LAST, "content-length: 2") + b"hi")
    while not site.app.scopes:
        await asyncio.sleep(0.01)
    (connection,) = site.connections._callers
    connection.look(asyncio.get_running_loop().time() + 10 * uvicorn_server.HEAD_SECONDS)  # type: ignore[attr-defined]
    site.app.let_go.set()
    assert (await reader.read()).endswith(b"hi")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("lines", [(), (LAST,)])
async def test_the_rest_of_a_request_that_was_answered_has_a_time(site: Site, lines: tuple[str, ...]) -> None:
    answer = await site.say(head("/unread", "content-length: 1000", *lines), b"x")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("path", ["/", "/unread"])
async def test_a_connection_without_a_request_is_kept_for_a_while_and_closed_without_a_word(
    site: Site, path: str
) -> None:
    """Also when the rest of a request arrives after its answer."""
    reader, writer = await site.open()
    writer.write(head(path, "content-length: 2") + (b"" if path == "/unread" else b"hi"))
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"hi" if path == "/unread" else b"")
    (connection,) = site.connections._callers
    assert isinstance(connection, BoundedHttp)
    while not connection._in_head:
        await asyncio.sleep(0.01)
    now = asyncio.get_running_loop().time()
    connection.look(now + connection.timeout_keep_alive - 1)
    assert not connection.transport.is_closing()
    connection.look(now + connection.timeout_keep_alive + 1)
    assert await reader.read() == (b"" if path == "/unread" else b"hi")


@pytest.mark.usefixtures("quick")
async def test_whoever_does_not_read_is_given_up(site: Site) -> None:
    _, writer = await site.open(limit=1000)
    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    writer.write(head("/large", LAST, "content-length: 0"))
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    async with asyncio.timeout(30):
        while not site.app.ended or site.connections._callers:
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("quick")
async def test_whoever_reads_slowly_gets_all(site: Site) -> None:
    reader, writer = await site.open()
    writer.write(head("/large", LAST, "content-length: 0"))
    size = 0
    while piece := await reader.read(200_000):
        size += len(piece)
        await asyncio.sleep(0.05)
    assert size > LARGE


@pytest.mark.parametrize("limits", [ConnectionLimits(most=3, most_of_one=3)])
async def test_a_full_server_says_so_as_the_address_asks(site: Site) -> None:
    held = [await site.open() for _ in range(3)]
    for _, writer in held:
        writer.write(head("/hold", "content-length: 0"))
    while len(site.app.scopes) < 3:
        await asyncio.sleep(0.01)
    of_api = await site.say(head("/public/v1/flows", method="GET"))
    of_page = await site.say(head("/flows", method="GET"))
    assert of_api.startswith(b"HTTP/1.1 503 ")
    assert b"application/problem+json" in of_api
    assert b'"code":"too_many_connections"' in of_api
    assert of_page.startswith(b"HTTP/1.1 503 ")
    assert b"text/plain" in of_page
    assert title_of(TooManyConnections).encode() in of_page
    for answer in (of_api, of_page):
        assert b"retry-after: 5\r\n" in answer
        assert b"connection: close\r\n" in answer
    site.app.let_go.set()
    for reader, _ in held:
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("limits", [ConnectionLimits(most=3, most_of_one=3)])
async def test_whoever_says_nothing_makes_room_for_whoever_asks(site: Site) -> None:
    silent = [await site.open() for _ in range(3)]
    answer = await site.say(head("/", LAST, "content-length: 2") + b"hi")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert (await silent[0][0].readline()).startswith(b"HTTP/1.1 503 ")


def sent_whole_and_then_read(port: int, *pieces: bytes) -> bytes:
    """Sends everything before it reads anything, as most HTTP libraries do, and returns what came until the end."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        while piece := connection.recv(65_536):
            answer += piece
    return answer


@pytest.mark.parametrize("chunked", [False, True])
async def test_who_sends_all_before_reading_gets_the_answer_of_a_call_that_read_nothing(
    site: Site, chunked: bool
) -> None:
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (LARGE, b"x" * LARGE) if chunked else b"x" * LARGE
    asked = head("/unread", CHUNKED if chunked else f"content-length: {LARGE}", LAST)
    answer = await asyncio.to_thread(sent_whole_and_then_read, site.port, asked, body)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close" in answer
    assert len(site.app.scopes) == 1


async def test_what_follows_the_rest_of_the_last_request_is_no_request(site: Site) -> None:
    asked = head("/unread", "content-length: 1000", LAST)
    answer = await asyncio.to_thread(sent_whole_and_then_read, site.port, asked, b"x" * 1000 + head("/", method="GET"))
    assert answer.count(b"HTTP/1.1 ") == len(site.app.scopes) == 1


async def unread(site: Site, *sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Opens a connection that sends requests and reads nothing."""
    reader, writer = await site.open(limit=1000)
    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    for piece in sent:
        writer.write(piece)
    return reader, writer


@pytest.mark.parametrize("limits", [ConnectionLimits(most=3, most_of_one=3)])
@pytest.mark.parametrize("asked", [[head("/stream")], [head("/large")] * 3], ids=["a stream", "several ahead"])
async def test_whoever_does_not_read_makes_room_for_whoever_asks(site: Site, asked: list[bytes]) -> None:
    slow = [await unread(site, *asked) for _ in range(3)]
    async with asyncio.timeout(30):
        while len(site.connections._idle) < 3 or len(site.app.scopes) < 3:
            await asyncio.sleep(0.01)
        for _ in range(3):
            answer = await site.say(head("/", LAST, "content-length: 2") + b"hi")
            assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(site.connections._callers) < 3
    assert len(slow) == 3


@pytest.mark.parametrize("limits", [ConnectionLimits(most=1, most_of_one=1)])
async def test_whoever_asks_ahead_without_reading_is_not_busy(site: Site) -> None:
    asked = head("/large", "content-length: 0")
    _, writer = await unread(site, asked)
    async with asyncio.timeout(30):
        while not site.app.ended:
            await asyncio.sleep(0.01)
        writer.write(asked)
        while len(site.app.scopes) < 2:
            await asyncio.sleep(0.01)
        assert (await site.say(head("/", LAST, "content-length: 2") + b"hi")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("limits", [ConnectionLimits(most=1, most_of_one=1)])
async def test_whoever_reads_on_has_the_place_again(site: Site) -> None:
    reader, writer = await unread(site, head("/stream", LAST, "content-length: 0"))
    async with asyncio.timeout(30):
        while not site.app.scopes or not site.connections._idle:
            await asyncio.sleep(0.01)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        while site.connections._idle:
            await reader.read(200_000)
        assert (await site.say(head("/", LAST, "content-length: 0"))).startswith(b"HTTP/1.1 503 ")
        site.app.let_go.set()
        while not site.app.ended:
            await asyncio.sleep(0.01)


async def test_a_wish_for_another_protocol_is_answered_as_a_plain_request(site: Site) -> None:
    answer = await site.say(head("/", "connection: upgrade, close", "upgrade: h2c", method="GET"))
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"FROB /public/v1/flows HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /public/v1/flows HTTP/3.0\r\nhost: x\r\n\r\n",
        b"GET /public/v1/flows HTTP/2.0\r\nhost: x\r\n\r\n",
        b"GET /public/v1/flows HTTP/0.9\r\nhost: x\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n",
        b"CONNECT /public/v1/flows HTTP/1.1\r\nhost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET http://127.0.0.1:99999/public/v1/jobs HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://127.0.0.1:99999/flows HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://[zz]/public/v1/jobs HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http:///x HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /public/v1/é HTTP/1.1\r\nhost: x\r\n\r\n".encode(),
        "GET /docs/é HTTP/1.1\r\nhost: x\r\n\r\n".encode(),
        b"GET /docs\x01 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /public/v1/a b HTTP/1.1\r\nhost: x\r\n\r\n",
        head(OF_API, "content-length: abc"),
        head(OF_API, "content-length: -1"),
        head(OF_API, f"content-length: {'0' * 20}2") + b"hi",
        head(OF_API, "content-length: 2", "content-length: 2") + b"hi",
        head(OF_API, "content-length: 2", CHUNKED) + b"2\r\nhi\r\n0\r\n\r\n",
        head(OF_API, CHUNKED, "content-length: 2") + b"2\r\nhi\r\n0\r\n\r\n",
        head(OF_API, CHUNKED, CHUNKED) + b"0\r\n\r\n",
        head(OF_API, "transfer-encoding: gzip, chunked") + b"0\r\n\r\n",
        head(OF_API, "transfer-encoding: identity", CHUNKED) + b"0\r\n\r\n",
        head(OF_API, "transfer-encoding: identity"),
        head(OF_API, "transfer-encoding: xchunked") + b"0\r\n\r\n",
        head(OF_API, "transfer-encoding: \x0bchunked") + b"0\r\n\r\n",
        head(OF_API, CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
        head(OF_API, "x: a", " b: c"),
        head(OF_API, "transfer-encoding:", " chunked") + b"0\r\n\r\n",
        head(OF_API, CHUNKED) + b"zz\r\nhi\r\n",
        b"GET /public/v1/flows HTTP/1.1\r\n\r\n",
        b"GET /public/v1/flows HTTP/1.1\r\nhost:\r\n\r\n",
        b"GET /public/v1/flows HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n",
        b"GET /public/v1/flows HTTP/1.1\r\nhost: x\r\nHost: y\r\n\r\n",
        b"GET http://x/public/v1/flows HTTP/1.1\r\nhost: x\r\nHost: y\r\n\r\n",
        b"GET /public/v1/flows#x HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
async def test_a_call_that_breaks_the_rules_of_http_is_a_problem_and_nothing_behind_it_is_read(
    site: Site, sent: bytes
) -> None:
    problem = problem_of(await site.say(sent + head("/behind", "content-length: 0")))
    assert (problem.status, problem.code) == (400, "malformed_request")
    assert "/behind" not in [scope["path"] for scope in site.app.scopes]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (head(OF_API, "content-length: abc"), "Its Content-Length is no whole number"),
        (head(OF_API, "x: a", " b: c"), "A header goes on in the next line; send each on one line"),
        (head(OF_API, "x y: c"), "A header has a character that may not stand there, or no name"),
        (head(OF_API, CHUNKED) + b"zz\r\n", "A chunk of its body does not begin with its size, a hexadecimal number"),
        (
            b"GET /public/v1/jobs/a b HTTP/1.1\r\nhost: x\r\n\r\n",
            "Its address has a space, which must be written as %20",
        ),
        (b"GET /public/v1/jobs/a\tb HTTP/1.1\r\nhost: x\r\n\r\n", "Its address does not begin with /, or has a tab"),
        (b"GET /public/v1/jobs?a=b#c HTTP/1.1\r\nhost: x\r\n\r\n", "Its address has a #, which must be written as %23"),
        (b"GET /public/v1/flows HTTP/9.1\r\nhost: x\r\n\r\n", "It names a version of HTTP that is not read here"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", "Its first line does not begin with a method of HTTP in capital letters"),
    ],
)
async def test_what_breaks_the_rules_of_http_is_told_in_plain_words(site: Site, sent: bytes, told: str) -> None:
    assert problem_of(await site.say(sent)).detail.startswith(told)


async def test_a_host_is_a_name_or_an_address_with_or_without_a_port(site: Site) -> None:
    good = b"a.example a_b:8000 a:0065535 a.example: 127.0.0.1:80 [::1] [fe80::1%eth0]:8000 x%20y".split()
    bad = rb"a/c u@a a?b a#b a\b x%zz a:b a:-1 a:65536 a:99999 a:165535 [::1]:65536 :80 a:1:2 ::1 [::1 [::x] [1.2.3.4] [::1]x [::1]:x".split()
    sent = b"GET /public/v1/flows HTTP/1.%d\r\nhost: %s\r\nconnection: close\r\n\r\n"
    for host in (*good, b"x \t"):
        assert (await site.say(sent % (1, host))).startswith(b"HTTP/1.1 200 "), host
    for host in (*bad, b"a b", b"a\tb", b"a, b", b"\xfcber"):
        problem = problem_of(await site.say(sent % (1, host)))
        assert (problem.code, problem.detail[:18]) == ("malformed_request", "Its header Host is"), host
    assert problem_of(await site.say(sent % (0, b"a/b"))).status == 400
    assert len(site.app.scopes) == len(good) + 1


async def test_blanks_and_tabs_around_a_value_of_a_header_are_no_part_of_it(site: Site) -> None:
    sent = head(OF_API, "a: \t1 \t 2\t ", "b: \t ", "c:3", CHUNKED + "  ", LAST + "  ") + b"2\r\nhi\r\n0\r\n\r\n"
    assert (await site.say(sent)).endswith(b"hi")
    (scope,) = site.app.scopes
    want = {b"a": b"1 \t 2", b"b": b"", b"c": b"3", b"transfer-encoding": b"chunked", b"connection": b"close"}
    assert dict(scope["headers"]) == {b"host": b"x"} | want


@pytest.mark.parametrize(("version", "is_told"), [(b"HTTP/1.1", True), (b"HTTP/1.0", False)])
async def test_only_a_client_that_knows_of_it_is_told_to_go_on(site: Site, version: bytes, is_told: bool) -> None:
    sent = head(OF_API, "expect: 100-continue ", "content-length: 2", LAST).replace(b"HTTP/1.1", version)
    answer = await site.say(sent, b"hi")
    assert answer.endswith(b"hi")
    assert answer.startswith(b"HTTP/1.1 100 ") == is_told


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize(
    ("address", "query"),
    [("http://x", b""), ("http://x:9450?a=/b", b"a=/b"), ("http://x?", b""), ("HTTPS://u:p@[::1]?a", b"a")],
)
async def test_a_whole_address_without_a_path_is_that_of_the_first_page(
    site: Site, method: str, address: str, query: bytes
) -> None:
    answer = await site.say(head(address, LAST, method=method))
    assert answer.startswith(b"HTTP/1.1 200 ")
    ((path, raw, sent),) = [(one["path"], one["raw_path"], one["query_string"]) for one in site.app.scopes]
    assert (path, raw, sent) == ("/", b"/", query)


async def test_several_spaces_around_an_address_count_as_one(site: Site) -> None:
    assert (await site.say(head(f"  {OF_API}  ", LAST))).startswith(b"HTTP/1.1 200 ")
    assert [scope["path"] for scope in site.app.scopes] == [OF_API]


@pytest.mark.parametrize("broken", ["content-length: abc", "transfer-encoding: gzip, chunked", "host: y"])
async def test_a_page_that_breaks_the_rules_of_http_gets_a_sentence(site: Site, broken: str) -> None:
    for address in (OF_PAGE, "http://x" + OF_PAGE, "http://x"):
        answer = await site.say(head(address, broken))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"\r\ncontent-type: text/plain" in answer
    assert not site.app.scopes


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (head(OF_API + "?a=" + "a" * 17_000), 414, "address_too_long"),
        (head(OF_API, "x: " + "a" * 17_000), 431, "headers_too_large"),
        (head(OF_API, CHUNKED) + b"0\r\nx: " + b"a" * 17_000, 431, "headers_too_large"),
    ],
)
async def test_a_call_with_a_long_address_or_head_is_a_problem(site: Site, sent: bytes, status: int, code: str) -> None:
    problem = problem_of(await site.say(sent))
    assert (problem.status, problem.code) == (status, code)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("sent", [head(OF_API)[:-2], head("//public/v1")[:-2], head("/v1/flows")[:-2], b"GE"])
async def test_the_head_of_a_call_that_does_not_end_is_a_problem(site: Site, sent: bytes) -> None:
    problem = problem_of(await site.say(sent))
    assert (problem.status, problem.code) == (408, "request_timeout")


async def test_calls_far_ahead_of_their_answers_end_with_a_problem(site: Site) -> None:
    answer = await site.say(head(OF_API, method="GET") * 50)
    problem = problem_of(answer[answer.index(b"HTTP/1.1 503 ") :])
    assert problem.code == "too_many_connections"
    assert "16" in problem.detail


async def test_a_refusal_on_the_wire_has_the_request_id_of_its_caller(site: Site) -> None:
    answer = await site.say(head(OF_API, "x-request-id: mine-1", "content-length: abc"))
    assert problem_of(answer).request_id == "mine-1"
    answer = await site.say(head(OF_API, "x-request-id: <b>", "content-length: abc"))
    assert re.fullmatch(r"req_\w+", problem_of(answer).request_id)


async def test_a_refusal_of_a_head_request_has_no_body(site: Site) -> None:
    answer = await site.say(head(OF_API, "host: y", method="HEAD"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("path", ["/hold", "/stream", "/"])
async def test_who_sends_nothing_more_gets_the_answers_to_what_was_sent(site: Site, path: str) -> None:
    reader, writer = await site.open()
    writer.write(head("/", "content-length: 2") + b"hi" + head(path, "content-length: 2") + b"hi")
    writer.write_eof()
    while len(site.app.scopes) < 2:
        await asyncio.sleep(0.01)
    site.app.let_go.set()
    answer = await reader.read()
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert answer.endswith(b"0\r\n\r\n" if path == "/stream" else b"hi")
    assert site.app.ended == ["/", path]


@pytest.mark.parametrize("sent", [head(OF_API)[:-2], head(OF_API, "content-length: 9") + b"hi"], ids=["head", "body"])
async def test_who_sends_nothing_more_in_a_request_is_told_after_the_answers_before(site: Site, sent: bytes) -> None:
    reader, writer = await site.open()
    writer.write(head("/hold", "content-length: 2") + b"hi" + sent)
    writer.write_eof()
    while not site.app.scopes:
        await asyncio.sleep(0.01)
    site.app.let_go.set()
    first, last = (await reader.read()).split(b"hiHTTP/1.1", 1)
    assert first.startswith(b"HTTP/1.1 200 ")
    assert "before all of it had arrived" in str(problem_of(b"HTTP/1.1" + last).detail)


@pytest.mark.parametrize("limits", [ConnectionLimits(most=2, most_of_one=2)])
@pytest.mark.parametrize("behind", [b"", head("/")[:-2]], ids=["a call", "a call and a part"])
async def test_who_sends_nothing_more_makes_room_for_whoever_asks(site: Site, behind: bytes) -> None:
    (gone_reader, gone), (staying_reader, staying) = [await site.open() for _ in range(2)]
    async with asyncio.timeout(30):
        for at, writer in enumerate((gone, staying), 1):
            writer.write(head("/hold", "content-length: 2") + b"hi" + behind)
            writer.write_eof()
            while len(site.app.scopes) < at or len(site.connections._idle) < 2:
                await asyncio.sleep(0.01)
        assert (await site.say(head("/", LAST, "content-length: 2") + b"yo")).startswith(b"HTTP/1.1 200 ")
        assert await gone_reader.read() == b"", "it may have been done, so no answer says that it may be sent again"
        site.app.let_go.set()
        assert (await staying_reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200 ")
        while site.connections._callers:
            await asyncio.sleep(0.01)
    assert not site.connections._idle


async def test_a_stream_ends_when_its_client_has_gone(site: Site) -> None:
    reader, writer = await site.open()
    writer.write(head("/trickle", method="GET"))
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    async with asyncio.timeout(30):
        while site.app.ended != ["/trickle"]:
            await asyncio.sleep(0.01)


async def test_an_older_client_gets_a_stream_without_chunks(site: Site) -> None:
    site.app.let_go.set()
    begin, _, body = (await site.say(b"GET /stream HTTP/1.0\r\n\r\n")).partition(b"\r\n\r\n")
    assert b"connection: close" in begin
    assert b"transfer-encoding" not in begin
    assert body == b"x" * LARGE
    begin, _, body = (await site.say(b"POST / HTTP/1.0\r\ncontent-length: 2\r\n\r\nhi")).partition(b"\r\n\r\n")
    assert b"content-length: 2" in begin
    assert body == b"hi"


async def test_an_older_client_needs_no_host(site: Site) -> None:
    answer = await site.say(b"GET /public/v1/flows HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("before", [b"", head("/", "content-length: 0")], ids=["first", "after another request"])
async def test_a_websocket_begins_on_any_connection(site, before):
    wish = head(
        "/socket",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        method="GET",
    )
    reader, writer = await site.open()
    if before:
        writer.write(before)
        await reader.readuntil(b"content-length: 0\r\n\r\n")
    writer.write(wish)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert site.app.scopes[-1]["type"] == "websocket"


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
async def test_a_body_behind_a_wish_for_another_protocol_is_read_as_a_body(site: Site, protocol: str) -> None:
    """Java's HTTP client offers HTTP/2 with each first request in this way. If the body were parsed as the next
    request, a client could smuggle requests past a proxy.
    """
    hidden = head("/hidden", "content-length: 0")
    wish = head(OF_API, "connection: upgrade", f"upgrade: {protocol}", f"content-length: {len(hidden)}")
    answer = await site.say(wish, hidden, head("/next", LAST, "content-length: 0"))
    assert [scope["path"] for scope in site.app.scopes] == [OF_API, "/next"]
    assert hidden in answer


async def test_the_date_is_that_of_the_answer_and_not_of_the_request(site: Site) -> None:
    reader, writer = await site.open()
    writer.write(head("/hold", "content-length: 0", LAST))
    while not site.app.scopes:
        await asyncio.sleep(0.01)
    asked = int(time.time())
    while (let_go := int(time.time())) < asked + 2:
        await asyncio.sleep(0.05)
    site.app.let_go.set()
    answer = (await reader.read()).decode()
    dates = re.findall(r"^date: (.*)\r$", answer, re.MULTILINE)
    assert len(dates) == 1
    assert let_go <= parsedate_to_datetime(dates[0]).timestamp() <= time.time()


NO_HOST = f"GET {OF_API} HTTP/1.1\r\n\r\n".encode()
BROKEN = {
    "no host": NO_HOST,
    "no request at all": b"junkjunk junk\r\n\r\n",
    "a length that is none": head(OF_API, "content-length: abc"),
    "another coding": head(OF_API, "transfer-encoding: gzip"),
    "a broken chunk": head(OF_API, "transfer-encoding: chunked") + b"zz\r\n",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_a_broken_request_behind_another_is_refused_after_the_answer_of_that(site: Site, broken: bytes) -> None:
    """The client matches the first response to its first request, which is processed whatever follows it."""
    site.app.let_go.set()
    asked = head("/hold", "content-length: 3") + b"one"

    answer = await site.say(asked + broken)

    assert [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", answer)] == [200, 400]
    assert answer.partition(b"\r\n\r\n")[2].startswith(b"oneHTTP/1.1 400")
    assert site.app.ended == ["/hold"]


async def test_the_answer_that_is_being_sent_is_not_broken_by_what_comes_behind(site: Site) -> None:
    reader, writer = await site.open()
    writer.write(head("/stream", method="GET") + BROKEN["a broken chunk"])
    await reader.readuntil(b"\r\n\r\n")
    site.app.let_go.set()
    answer = await reader.read(-1)

    assert answer.count(b"HTTP/1.1 400") == 1
    assert answer[: answer.index(b"HTTP/1.1 400")].count(b"x") == LARGE
    assert site.app.ended == ["/stream"]


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_a_broken_request_on_a_connection_that_was_used_before_is_told(site: Site, broken: bytes) -> None:
    reader, writer = await site.open()
    writer.write(head("/", "content-length: 2") + b"ok")
    await reader.readuntil(b"\r\n\r\nok")
    writer.write(broken)
    answer = await reader.read(-1)

    assert answer.startswith(b"HTTP/1.1 400")
    assert problem_of(answer).code == "malformed_request"


@pytest.mark.parametrize(
    "sent",
    [head(OF_API, "content-length: 10") + b"12", head(OF_API, CHUNKED) + b"1\r\nx\r\n", head(OF_API)[:-2]],
    ids=["a body", "a body without a length", "a head"],
)
async def test_a_call_that_is_still_arriving_when_the_server_stops_is_refused(site: Site, sent: bytes) -> None:
    reader, writer = await site.open()
    writer.write(sent)
    while not any(one._begun for one in site.server.server_state.connections):  # type: ignore[union-attr]
        await asyncio.sleep(0.01)
    site.server.should_exit = True
    problem = problem_of(await reader.read())
    assert (problem.status, problem.code) == (503, "shutting_down")
    assert site.app.ended in ([], [OF_API])


async def test_a_call_that_is_worked_on_when_the_server_stops_is_answered(site: Site) -> None:
    reader, writer = await site.open()
    writer.write(head("/hold", "content-length: 2") + b"12")
    while not site.app.scopes:
        await asyncio.sleep(0.01)
    site.server.should_exit = True
    site.app.let_go.set()
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"12")
