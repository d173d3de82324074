"""uvicorn as this program uses it: limits on what a caller may send before anybody reads it, signals left alone, a word when ready.

Its fast parser has no limits of its own: a caller could send headers for ever, before a body or behind it (api.md asks for 16 KiB and
30 s), or begin a thousand requests in one piece. It also waits for ever for callers who do not read their answer. Once a second the
server looks through its connections and ends those whose time is over, so that a request itself costs a few comparisons only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware, _TrustedHosts
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.connections import Connections, Standing
from api.create_api import is_public
from api.errors import PROBLEM_TYPE, problem_body, status_of
from engine.errors import TooManyConnections
from engine.ids import new_id

#: Of a request's head and what follows its body, together.
MAX_HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 30.0
#: What is still being sent of a request that was answered already is thrown away for so long.
REST_SECONDS = 10.0
#: A caller who reads slower than so many bytes in so many seconds is given up.
STALLED_SECONDS, STALLED_BYTES = 30.0, 32 * 1024
#: A refused caller may read the refusal for so long; what they go on sending is thrown away.
LINGER_SECONDS = 2.0
#: A body may come in so many pieces, and in more when they have so many bytes on average: each costs a call.
FREE_PIECES, PIECE_BYTES = 1024, 16
#: So many requests may be sent in one piece, ahead of their answers.
MAX_AHEAD = 16
#: engine.io takes a million letters; one can have four bytes.
MAX_SOCKET_MESSAGE = 4_000_000


def _answer(status: str, text: str) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\n"
        "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return (head + text).encode()


_BAD = _answer("400 Bad Request", "Invalid HTTP request received.")
_SMALL_PIECES = _answer(
    "400 Bad Request", "The body comes in too many small pieces. Send larger chunks, or a Content-Length."
)
_TOO_LARGE = _answer(
    "431 Request Header Fields Too Large",
    "The headers of a request, and those behind its body, may have 16 KiB together. Send less of them.",
)
_TOO_SLOW = _answer("408 Request Timeout", "The request did not arrive in time. Send it again, in one go.")


def full_answer(*, public: bool, head_only: bool = False) -> bytes:
    """503 on the wire: a problem for addresses of the public API, else a sentence."""
    refusal = TooManyConnections(retry_after=5)
    request_id = new_id("req")
    if public:
        kind, body = PROBLEM_TYPE, json.dumps(problem_body(refusal, request_id), separators=(",", ":"))
    else:
        kind, body = "text/plain; charset=utf-8", f"{refusal.title}. {refusal.remedy}\n"
    head = (
        f"HTTP/1.1 {status_of(refusal)} Service Unavailable\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        f"retry-after: {refusal.retry_after}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
        f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
    )
    return (head if head_only else head + body).encode()


class Server(uvicorn.Server):
    """Calls `ready` once it answers; whoever runs it sets `should_exit`, and `force_exit` when in a hurry."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to `app.py`: after uvicorn's own handling a SIGTERM would end the process half way."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell_ready()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, _Watched):
                    connection.look(now)
        return await super().on_tick(counter)


class ProxyHeaders(ProxyHeadersMiddleware):
    """uvicorn's reading of X-Forwarded headers; `trusted` are addresses, networks and names of proxies, or `*` alone.

    A caller whose own address lies in a trusted network is told as the nearest proxy saw them: uvicorn takes the first entry, which
    they write themselves.
    """

    def __init__(self, app: Any, trusted: list[str]) -> None:
        super().__init__(app, trusted)
        self.trusted_hosts = _NearestHosts(trusted)


class _NearestHosts(_TrustedHosts):
    def get_trusted_client_address(self, x_forwarded_for: str) -> tuple[str, int]:
        found = super().get_trusted_client_address(x_forwarded_for)
        if self.always_trust or found[0] not in self:
            return found
        return super().get_trusted_client_address(x_forwarded_for.rpartition(",")[2])


class _Watched:
    """A connection that is looked at once a second: does its caller read, and does it end once it is closed?"""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _stalled: tuple[float, int] | None = None

    def note_stalled(self) -> None:
        """More is written than the caller reads."""
        self._stalled = (self.loop.time(), self.transport.get_write_buffer_size())

    def note_flowing(self) -> None:
        """The caller has read nearly everything."""
        self._stalled = None

    def look(self, now: float) -> None:
        """Ends the connection when its time is over."""
        if self._stalled is None:
            if self.transport.is_closing():  # it ends once all is delivered
                self.note_stalled()
        elif now - self._stalled[0] > STALLED_SECONDS:
            left = self.transport.get_write_buffer_size()
            if self._stalled[1] - left < STALLED_BYTES:
                self.transport.abort()
            else:
                self._stalled = (now, left)


class BoundedHttp(_Watched, HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits on size and time of everything that comes before and behind a body."""

    #: The next thing to be complete is a request's head.
    _in_head = True
    #: Bytes that came since the last piece of a body or the last whole request.
    _run = 0
    _trailer_bytes = 0
    _pieces = 0
    _body_bytes = 0
    _deadline = math.inf
    #: It was refused or said too much: nothing is read any more.
    _deaf = False
    _standing = Standing.IN

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counted = connections
        self._trailers = _Trailers(self)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._standing = self._counted.enter(self, self.client[0] if self.client else "")
        self._deadline = self.loop.time() + HEAD_SECONDS
        if self._standing is Standing.TURNED_AWAY:
            self._deadline = self.loop.time() + LINGER_SECONDS
        elif self._standing is Standing.SHUT_OUT:
            self._deaf = True
            self.transport.write(full_answer(public=False))
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """What the parser holds of one line is unknown: it is counted in steps of what a head may have."""
        for start in range(0, len(data), MAX_HEAD_BYTES):
            if self._deaf or self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
            self._run += min(MAX_HEAD_BYTES, len(data) - start)
            super().data_received(data[start : start + MAX_HEAD_BYTES])
            if self._run > MAX_HEAD_BYTES and not self._deaf:
                self._refuse(_TOO_LARGE)
        if self._in_head and self._run and self._deadline is math.inf and not self._deaf:
            self._deadline = self.loop.time() + HEAD_SECONDS

    def on_headers_complete(self) -> None:
        if self._deaf or self.parser is None:
            return
        self._in_head = False
        self._deadline = math.inf
        self._trailer_bytes = self._pieces = self._body_bytes = 0
        if self._standing is not Standing.IN:
            self._refuse(full_answer(public=self._is_public(), head_only=self.parser.get_method() == b"HEAD"))
        elif self._run > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        else:
            if len(self.pipeline) >= MAX_AHEAD:
                self.app = _too_many_ahead
            super().on_headers_complete()
            self._deaf = self.app is _too_many_ahead
            if not self.parser.should_upgrade():
                self.headers = self._trailers  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        if self._deaf:
            return
        self._run = 0
        self._pieces += 1
        self._body_bytes += len(body)
        if self._pieces > FREE_PIECES and self._pieces * PIECE_BYTES > self._body_bytes:
            self._refuse(_SMALL_PIECES)
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._deaf:
            return
        self._in_head = True
        self._run = 0
        if self.cycle is None or not self.cycle.response_complete:
            if not self.flow.write_paused:
                self._counted.busy(self)
        else:
            self._deadline = self.loop.time() + self.timeout_keep_alive
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.cycle.response_complete:
            return  # the next request was here already
        if self._in_head:
            self._counted.idle(self)
        else:
            self._deadline = self.loop.time() + REST_SECONDS

    def handle_websocket_upgrade(self) -> None:
        if self._deaf:
            return
        super().handle_websocket_upgrade()
        successor = self.transport.get_protocol()
        assert isinstance(successor, BoundedSocket)
        self._counted.hand_over(self, successor)

    def send_400_response(self, msg: str) -> None:
        if not self._deaf:
            self._refuse(_BAD)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self._counted.leave(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Until its caller reads on, nothing can be done for it: another one may get its place."""
        self.note_stalled()
        self._counted.idle(self)
        super().pause_writing()

    def resume_writing(self) -> None:
        self.note_flowing()
        if self._in_head and self.cycle is not None and not self.cycle.response_complete:
            self._counted.busy(self)
        super().resume_writing()

    def look(self, now: float) -> None:
        super().look(now)
        if now > self._deadline and not self.transport.is_closing():
            if self._deaf:
                self.transport.close()
            else:
                self._refuse(_TOO_SLOW if self._standing is Standing.IN else full_answer(public=False))

    def make_room(self) -> None:
        """Its caller has not said all, or nothing at all: another one gets its place."""
        self._deaf = True
        if self.transport.get_write_buffer_size():  # its caller does not even read
            self.transport.abort()
            return
        if self._may_answer() and (self.cycle is None or self._run or not self._in_head):
            self.transport.write(full_answer(public=not self._in_head and self._is_public()))
        self.transport.close()

    def count_trailer(self, name: bytes, value: bytes) -> None:
        """A header behind the body: nobody reads it."""
        if self._trailer_bytes == 0:
            self._trailer_bytes = self._head_bytes()
        self._trailer_bytes += len(name) + len(value) + 4
        if self._trailer_bytes > MAX_HEAD_BYTES and not self._deaf:
            self._refuse(_TOO_LARGE)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.scope["headers"])

    def _is_public(self) -> bool:
        return is_public(self.url.partition(b"?")[0].decode("latin-1"))

    def _may_answer(self) -> bool:
        """Whether an answer would be taken for one to this request: no other is on its way, and none was given."""
        if self.cycle is None:
            return True
        return self.cycle.response_complete if self._in_head else not self.cycle.response_started

    def _refuse(self, answer: bytes) -> None:
        """Answers, reads nothing more and closes; a caller who is still sending gets a moment to read."""
        self._deaf = True
        if not self._may_answer():
            self.transport.close()
            return
        if self.cycle is not None:
            self.cycle.disconnected = True  # its app learns that nobody waits
            self.cycle.message_event.set()
        self.transport.write(answer)
        self.transport.write_eof()
        self._deadline = self.loop.time() + LINGER_SECONDS


class BoundedSocket(_Watched, WebSocketsSansIOProtocol):
    """uvicorn's web socket, counted, and given up when its page does not read."""

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counted = connections

    def connection_lost(self, exc: Exception | None) -> None:
        self._counted.leave(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self.note_stalled()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.note_flowing()
        super().resume_writing()

    def make_room(self) -> None:
        """Sockets are never idle; this one ends all the same."""
        self.shutdown()


class _Trailers:
    """Stands where uvicorn would keep headers, once those of the head are complete."""

    __slots__ = ("_connection",)

    def __init__(self, connection: BoundedHttp) -> None:
        self._connection = connection

    def append(self, header: tuple[bytes, bytes]) -> None:
        self._connection.count_trailer(*header)


async def _too_many_ahead(scope: Any, receive: Any, send: Any) -> None:
    """The answer to the first request that was sent too far ahead; it is the last one of its connection."""
    text = f"More than {MAX_AHEAD} requests were sent before their answers. Wait for answers in between.".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"retry-after", b"1"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": text})
