"""uvicorn with limits on what clients may send, without its signal handlers, and with a callback when the server is
ready.

uvicorn's parser (httptools) has no limits: a client could send headers or trailers without end, or begin a thousand
pipelined requests in one packet. uvicorn also waits forever for a client that does not read its response. This module
limits a head to 16 KiB and 30 s. Once a second the server checks all its connections and closes those past their
deadline, so that the cost per request is a few comparisons.

uvicorn accepts some requests that proxies may parse differently (RFC 9112). When a proxy sees the end of a request
elsewhere, it may take part of one client's request for another one's (request smuggling), so ambiguous requests are
refused. Clients of the public API get each refusal of this module as a problem (RFC 9457).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import logging
import math
import re
import select
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from email.utils import formatdate
from typing import Any, cast
from urllib.parse import unquote

import httptools
import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware, _TrustedHosts
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.connection_limits import Connections, Standing
from api.event_loop import seconds_to_step
from api.http.addresses import is_public
from api.http.held_calls import PEER, Peer
from api.http.parser_words import http_words
from api.http.problem_json import (
    AddressTooLong,
    HeadersTooLarge,
    MalformedRequest,
    RequestTimeout,
    TooManyAhead,
    headers_of,
    problem_response,
    status_of,
)
from api.http.request_ids import request_id_from
from api.joined_writes import JoinedWrites
from engine.core.body_limits import FREE_PIECES, PIECE_BYTES
from engine.core.errors import Refusal, ShuttingDown, TooManyConnections
from engine.diagnostics.browser_access import FROM_UNTRUSTED

log = logging.getLogger(__name__)

#: Limit of the head of a request plus its trailers.
MAX_HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 30.0
#: After the response, the rest of the request is still read and discarded for this many seconds.
REST_SECONDS = 10.0
#: A client that reads fewer than this many bytes in this many seconds is disconnected.
STALLED_SECONDS, STALLED_BYTES = 30.0, 32 * 1024
#: After a refusal the connection stays open this many seconds, so that the client can read it; what the client sends is
#: discarded.
LINGER_SECONDS = 2.0
#: Limit of pipelined requests: requests sent before the earlier ones are answered.
MAX_AHEAD = 16
#: The value of Host (RFC 9110 7.2): a name, an IPv4 address or something in brackets, with or without a port.
_HOST = re.compile(rb"(?:(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+|\[([^\[\]]+)\])(?::0*([0-9]{0,5}))?")
#: A whole address without a path (RFC 9112 3.2.2), which is that of `/`; uvicorn cannot read it.
_NO_PATH = re.compile(rb"([A-Za-z]+://[^/?]+)((?:\?.*)?)", re.DOTALL)
#: All that a Content-Length in 64 bits needs. The parser takes any number of zeros in front of it, and Python reads numbers
#: of up to 4,300 digits.
_LENGTH_DIGITS = 20
#: engine.io accepts messages of a million characters, each of which can be four bytes in UTF-8.
MAX_SOCKET_MESSAGE = 4_000_000


@functools.lru_cache(maxsize=2)
def _http_date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


class _DatedHeaders(list[tuple[bytes, bytes]]):
    """The default headers of every response. uvicorn adds them with `+` when the response starts; overriding `+` makes
    `Date` the time of the response instead of that of the request.
    """

    def __add__(self, own: Any) -> list[tuple[bytes, bytes]]:
        return [(b"date", _http_date(int(time.time()))), *self, *own]


def _is_host(value: bytes) -> bool:
    found = _HOST.fullmatch(value)
    if found is None or int(found[2] or 0) > 65_535:
        return False
    if found[1] is None:
        return True
    try:
        ipaddress.IPv6Address(found[1].decode("ascii"))
    except ValueError:
        return False
    return True


def _response(refusal: Refusal, request_id: str, *, public: bool) -> Response:
    """Returns a refusal as a problem for clients of the public API, else as plain text. It closes the connection."""
    headers = {"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff", "Connection": "close"}
    if public:
        return problem_response(refusal, request_id, headers)
    return PlainTextResponse(f"{refusal}\n", status_of(refusal), headers_of(refusal) | headers)


def _on_the_wire(response: Response, *, head_only: bool = False) -> bytes:
    lines = [name + b": " + value for name, value in _DatedHeaders() + response.raw_headers]
    head = STATUS_LINE[response.status_code] + b"\r\n".join([*lines, b"", b""])
    return head if head_only else head + bytes(response.body)


def _send_without_chunks(cycle: RequestResponseCycle) -> Callable[[Any], Awaitable[None]]:
    """Returns the `send` of a cycle for HTTP/1.0, which has no chunks (RFC 9112 6.1): the end of the connection ends a body
    whose length is not known.
    """
    send, known = cycle.send, False

    async def send_without_chunks(message: Any) -> None:
        nonlocal known
        if message["type"] == "http.response.start":
            known = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            cycle.chunked_encoding = None if known else False
        elif not known:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    return send_without_chunks


class Server(uvicorn.Server):
    """Calls `ready` when the server accepts connections. The caller sets `should_exit` to stop it, and `force_exit` to
    stop it without waiting for open requests.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to `app.py`: uvicorn raises a SIGTERM again after its own shutdown, which would end the
        process before the rest is closed.
        """
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops the server. Ends the lifespan with `force_exit`, too, which uvicorn does not: its task would be cancelled later,
        and the log would show a traceback.
        """
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    async def main_loop(self) -> None:
        """Calls `on_tick` ten times a second until the server ends, together with other timers (`api/event_loop.py`)."""
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            await asyncio.sleep(seconds_to_step(0.001, time.monotonic()))

    async def on_tick(self, counter: int) -> bool:
        """Checks the deadlines of all connections once a second; uvicorn calls this ten times a second."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, _Watched):
                    connection.look(now)
        over = await super().on_tick(counter)
        self.server_state.default_headers = _DatedHeaders(self.config.encoded_headers)
        return over


class ProxyHeaders(ProxyHeadersMiddleware):
    """uvicorn's middleware for X-Forwarded headers. `trusted` lists addresses, networks and names of proxies, or only
    `*`.

    When every address in X-Forwarded-For is trusted, the client is the address that the nearest proxy added. uvicorn
    would take the first one, which the client can choose. A request with this header from anybody else has
    `scope[FROM_UNTRUSTED]`, and the first one is logged.
    """

    def __init__(self, app: Any, trusted: list[str]) -> None:
        super().__init__(app, trusted)
        self.trusted_hosts = _NearestHosts(trusted)
        self._told = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan" and any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
            peer = scope["client"][0] if scope.get("client") else ""
            if peer not in self.trusted_hosts:
                scope[FROM_UNTRUSTED] = True
                if not self._told:
                    self._told = True
                    log.warning(
                        "%s sends X-Forwarded-For, and is no proxy that FLOWPORT_TRUSTED_PROXIES names, so its address counts as "
                        "that of everybody it speaks for. If it is your proxy, name it there and start again. Further such "
                        "requests are not logged.",
                        peer or "A connection without an address",
                    )
        await super().__call__(scope, receive, send)


class _NearestHosts(_TrustedHosts):
    def get_trusted_client_address(self, x_forwarded_for: str) -> tuple[str, int]:
        found = super().get_trusted_client_address(x_forwarded_for)
        if self.always_trust or found[0] not in self:
            return found
        return super().get_trusted_client_address(x_forwarded_for.rpartition(",")[2])


class _Watched(asyncio.Protocol):
    """A counted connection that is checked once a second: it is aborted when the client does not read, or when it does
    not end after it was closed.
    """

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _stalled: tuple[float, int] | None = None

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counted = connections

    def connection_lost(self, exc: Exception | None) -> None:
        self._counted.leave(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Called by asyncio when the write buffer is full because the client reads too slowly."""
        self._note_stalled()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Called by asyncio when the client has read nearly all of the write buffer."""
        self._stalled = None
        super().resume_writing()

    def make_room(self) -> None:
        """Closes the connection, so that a new one gets its slot."""
        self.transport.close()

    def has_unread(self) -> bool:
        """True when the client has sent something that the event loop has not read yet."""
        descriptor = self.transport.get_extra_info("socket").fileno()
        if descriptor < 0:  # it is closed
            return False
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def look(self, now: float) -> None:
        """Aborts the connection when its client has read too little in the allowed time."""
        if self._stalled is None:
            if self.transport.is_closing():  # closing is complete only when the client has read the rest
                self._note_stalled()
        elif now - self._stalled[0] > STALLED_SECONDS:
            left = self.transport.get_write_buffer_size()
            if self._stalled[1] - left < STALLED_BYTES:
                self.transport.abort()
            else:
                self._stalled = (now, left)

    def _note_stalled(self) -> None:
        self._stalled = (self.loop.time(), self.transport.get_write_buffer_size())


class BoundedHttp(_Watched, HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits on the size and duration of request heads, trailers and pipelined requests."""

    #: The target of the latest request; empty until it has been received.
    url = b""
    #: Part of a request has been received, and the request is not complete.
    _begun = False
    #: The parser is inside the head of a request or between two requests.
    _in_head = True
    #: True when `cycle` belongs to the request that is being read; until its head is complete, `cycle` belongs to the
    #: previous request.
    _own_cycle = False
    #: A refusal that is sent after the responses to earlier requests.
    _last: bytes | None = None
    #: Bytes received since the last piece of a body or the last complete request.
    _run = 0
    _trailer_bytes = 0
    _pieces = 0
    _body_bytes = 0
    _deadline = math.inf
    #: When a connection without a request is closed, in the time of the event loop.
    _idle_until = math.inf
    #: The client was refused or sent too much: everything else it sends is ignored.
    _deaf = False
    _standing = Standing.IN
    #: The client sends nothing more.
    _has_ended = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._peer = Peer()
        self._standing = self._counted.enter(self, self.client[0] if self.client else "")
        self._deadline = self.loop.time() + HEAD_SECONDS
        if self._standing is Standing.TURNED_AWAY:
            self._deadline = self.loop.time() + LINGER_SECONDS
        elif self._standing is Standing.SHUT_OUT:
            self._deaf = True
            self.transport.write(self._answer(TooManyConnections()))
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parses the data in slices of MAX_HEAD_BYTES. The parser does not tell how much of an unfinished line it
        buffers, so the received bytes are counted after each slice.
        """
        for start in range(0, len(data), MAX_HEAD_BYTES):
            if self._deaf or self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
            self._run += min(MAX_HEAD_BYTES, len(data) - start)
            self._idle_until = math.inf
            self._parse(data[start : start + MAX_HEAD_BYTES])
            if self._run > MAX_HEAD_BYTES:
                self._refuse(self._too_large())
        if self._in_head and self._run and self._deadline is math.inf and not self._deaf:
            self._deadline = self.loop.time() + HEAD_SECONDS

    def _parse(self, piece: bytes) -> None:
        """Feeds the parser and handles Upgrade requests.

        After an Upgrade header the parser stops before the body, and the body would be parsed as the next request. When
        the upgrade is not accepted, the head is parsed again without the header.
        """
        while not self._deaf:
            try:
                self.parser.feed_data(piece)
                return
            except httptools.HttpParserUpgrade as found:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                piece = self._head_without_upgrade() + piece[found.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            except httptools.HttpParserCallbackError:
                self._refuse(MalformedRequest("Its address cannot be read"))
            except httptools.HttpParserError as error:
                self._refuse(MalformedRequest(http_words(str(error))))

    def on_message_begin(self) -> None:
        self._begun = True
        super().on_message_begin()
        cast("Scope", self.scope)[PEER] = self._peer

    def on_header(self, name: bytes, value: bytes) -> None:
        """Stores a header; counts and discards a trailer. Blanks and tabs around a value are no part of it (RFC 9110 5.5), and
        the parser leaves those at its end.
        """
        if self._in_head:
            super().on_header(name, value.strip(b" \t"))
            return
        if self._trailer_bytes == 0:
            self._trailer_bytes = self._head_bytes()
        self._trailer_bytes += len(name) + len(value) + 4
        if self._trailer_bytes > MAX_HEAD_BYTES:
            self._refuse(self._too_large())

    def on_headers_complete(self) -> None:
        if self._deaf or self.parser is None:
            return
        if self.parser.should_upgrade() and not self._should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._refuse(MalformedRequest("CONNECT is for proxies"))
            return  # `_parse` feeds the head again without the Upgrade header
        self._in_head = False
        self._deadline = math.inf
        self._trailer_bytes = self._pieces = self._body_bytes = 0
        if self._standing is not Standing.IN:
            self._refuse(TooManyConnections())
        elif self._run > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            self._refuse(self._too_large())
        elif self.url == b"*":
            self._refuse(MalformedRequest("`*` stands for the whole server, which has no answer of its own"))
        elif ambiguous := self._ambiguous():
            self._refuse(MalformedRequest(ambiguous))
        elif len(self.pipeline) >= MAX_AHEAD:
            self._refuse(TooManyAhead(f"More than {MAX_AHEAD} were sent", retry_after=1))
        else:
            before = self.cycle
            if (without_path := _NO_PATH.fullmatch(self.url)) is not None:
                self.url = b"%s/%s" % without_path.groups()
            super().on_headers_complete()
            if self.cycle is not before:  # a request that becomes a WebSocket has none
                self.cycle.transport = JoinedWrites(self.transport, self.loop, self._end_connection)
                if self.parser.get_http_version() == "1.0":
                    self.cycle.waiting_for_100_continue = False  # 1.0 does not know it (RFC 9110 10.1.1)
                    # uvicorn's cycle has no other place to change an answer
                    self.cycle.send = _send_without_chunks(self.cycle)  # pyright: ignore[reportAttributeAccessIssue]
            self._own_cycle = True

    def on_body(self, body: bytes) -> None:
        if self._deaf:
            return
        self._run = 0
        self._pieces += 1
        self._body_bytes += len(body)
        if self._pieces > FREE_PIECES and self._pieces * PIECE_BYTES > self._body_bytes:
            self._refuse(
                MalformedRequest(
                    f"Its body comes in more than {FREE_PIECES:,} pieces of fewer than {PIECE_BYTES} bytes on average",
                    remedy="Send larger chunks, or a Content-Length",
                )
            )
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._deaf or (self.parser.should_upgrade() and not self._should_upgrade()):
            return
        if self._own_cycle and self.cycle is not None and self.cycle.response_complete and not self.cycle.keep_alive:
            self._deaf = True  # the rest of the request, for which `_end_connection` has waited
            self.transport.close()
            return
        self._in_head = True
        self._begun = self._own_cycle = False
        self._run = 0
        if self.cycle is None or not self.cycle.response_complete:
            if not self.flow.write_paused:
                self._counted.busy(self)
        else:
            self._deadline = math.inf
            self._idle_until = self.loop.time() + self.timeout_keep_alive
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Does what the base class does, without its timer of each request: `look` closes idle connections."""
        was_last = not self.pipeline
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
            else:
                self._idle_until = self.loop.time() + self.timeout_keep_alive
        if self._last is not None:
            if was_last and not self.transport.is_closing():
                last, self._last = self._last, None
                self._say_last(last)
            return
        if not self.cycle.response_complete:
            return  # a pipelined request was waiting, and its cycle has started
        if self._in_head:
            self._counted.idle(self)
        else:
            self._deadline = self.loop.time() + REST_SECONDS

    def _end_connection(self) -> None:
        """Called by the cycle after the last response. While a request is still arriving the connection is only
        half-closed: the system answers data that nobody reads with a reset, which discards the response before the client
        has read it.
        """
        answered = self._own_cycle and self.cycle.response_complete and not self.cycle.keep_alive
        if answered and not self._deaf and not self.transport.is_closing():
            self.transport.write_eof()
            # `look` checks no deadlines while the server stops
            self.loop.call_later(REST_SECONDS, self.transport.close)
        else:
            self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        if self._deaf:
            return
        super().handle_websocket_upgrade()
        successor = self.transport.get_protocol()
        assert isinstance(successor, BoundedSocket)
        self._counted.hand_over(self, successor)

    def eof_received(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Called when the client sends nothing more. Returns True while it may still read: then the connection ends after
        the answers to what it has sent.

        The base class returns None, which ends the connection. A client that has gone looks the same until something is
        written to it: the wait for the end of a job has at most 60 s, and a stream of events writes every 15 s. So the
        connection is idle meanwhile, a new one may get its slot, and calls on it that wait have no place of `HeldCalls`.
        """
        self._has_ended = True
        if self._begun and not self._deaf and not self.transport.is_closing():
            self._refuse(MalformedRequest("It ended before all of it had arrived"))
        if self._last is None:
            if not self._answers_are_due():
                return False
            self.cycle.keep_alive = False
        self._counted.idle(self)
        self._peer.end(lost=False)
        return not self.transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self._peer.end(lost=True)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Marks the connection as idle while its client does not read, so that a new connection may get its slot."""
        self._counted.idle(self)
        super().pause_writing()

    def resume_writing(self) -> None:
        if self._in_head and self.cycle is not None and not self.cycle.response_complete:
            self._counted.busy(self)
        super().resume_writing()

    def look(self, now: float) -> None:
        super().look(now)
        if now > self._deadline and not self.transport.is_closing():
            if self._deaf:
                self.transport.close()
            else:
                self._refuse(RequestTimeout() if self._standing is Standing.IN else TooManyConnections())
        elif now > self._idle_until:
            self.transport.close()

    def make_room(self) -> None:
        """Closes the connection, so that a new one gets its slot. A request that is not complete is refused. One that is
        worked on ends without an answer: a refusal would say that it may be sent again, though it may have been done.
        """
        self._deaf = True
        if self.transport.get_write_buffer_size():  # the client does not read, so it would not read a refusal
            self.transport.abort()
            return
        if self._may_answer() and (self.cycle is None or self._run or not self._in_head):
            self.transport.write(self._answer(TooManyConnections()))
        self.transport.close()

    def shutdown(self) -> None:
        """Called when the server stops. A request that is still arriving is refused, as it could take all the time that the
        others have to end, and the client can send it again.
        """
        if self._begun and not self._deaf and not (self._own_cycle and self.cycle.response_started):
            self._refuse(ShuttingDown(retry_after=5))
            self.loop.call_later(LINGER_SECONDS, self._end_linger)  # deadlines are not looked at any more
            return
        super().shutdown()

    def _end_linger(self) -> None:
        if not self._answers_are_due():
            self.transport.close()

    def _should_upgrade(self) -> bool:
        return super()._should_upgrade() and not is_public(self._path())  # the public API has no WebSocket routes

    def _head_without_upgrade(self) -> bytes:
        lines = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        begin = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        return b"\r\n".join([begin, *lines, b"", b""])

    def _ambiguous(self) -> str:
        """Returns why a proxy might parse this request differently, or what of it nobody can read, as a text for the client;
        empty when there is nothing.
        """
        hosts = [value for name, value in self.headers if name == b"host"]
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            return http_words("Invalid HTTP version")
        if len(hosts) > 1 or (version == "1.1" and not any(hosts)):
            return "A request names its host, once, in the header Host"
        if any(hosts) and not _is_host(hosts[0]):
            return "Its header Host is no name, IPv4 address or IPv6 address in brackets, with or without a port"
        if b"#" in self.url:
            return "Its address has a #, which must be written as %23 where it is part of a value, and else be left out"
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (codings != [b"chunked"] or version != "1.1"):
            return "The only Transfer-Encoding that is read is chunked, in HTTP/1.1"
        if any(len(value) > _LENGTH_DIGITS for name, value in self.headers if name == b"content-length"):
            return f"Its Content-Length has more than {_LENGTH_DIGITS} digits"
        return ""

    def _too_large(self) -> Refusal:
        return AddressTooLong() if len(self.url) > MAX_HEAD_BYTES // 2 else HeadersTooLarge()

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.scope["headers"])

    def _path(self) -> str:
        """Returns the path of the target; empty when it is not received yet, or is a URL that cannot be read."""
        try:
            path = httptools.parse_url(self.url).path or b"/"
        except httptools.HttpParserInvalidURLError:
            path = self.url.partition(b"?")[0] if self.url.startswith(b"/") else b""
        return unquote(path.decode("latin-1"))

    def _answer(self, refusal: Refusal) -> bytes:
        """Builds a refusal: a problem for clients of the public API, and for requests without a readable target or with
        CONNECT, which browsers do not send; else plain text.
        """
        path = self._path() if self._begun else "/"
        public = self._begun and (not path or self.parser.get_method() == b"CONNECT" or is_public(path))
        sent_id = Headers(raw=list(self.scope["headers"])).get("x-request-id") if self._begun else None
        head_only = self._begun and self.parser.get_method() == b"HEAD"
        return _on_the_wire(_response(refusal, request_id_from(sent_id), public=public), head_only=head_only)

    def _answers_are_due(self) -> bool:
        """Tells whether earlier requests on the connection still lack a complete response."""
        if self._own_cycle:
            return bool(self.pipeline)  # the own cycle is in `pipeline` when earlier requests are not answered
        return self.cycle is not None and (bool(self.pipeline) or not self.cycle.response_complete)

    def _may_answer(self) -> bool:
        """Tells whether a response sent now would be matched to this request: all earlier ones are complete, and its
        own has not started.
        """
        return not self._answers_are_due() and not (self._own_cycle and self.cycle.response_started)

    def _refuse(self, refusal: Refusal) -> None:
        """Refuses the request: sends the refusal after the responses to earlier requests, reads nothing more and
        closes.
        """
        if self._deaf:
            return
        self._deaf = True
        answer = self._answer(refusal)
        if self._answers_are_due():
            if self._own_cycle:
                self.pipeline.popleft()  # the cycle of the refused request, which came last and has not started
            self._last = answer
            self._deadline = math.inf
            return
        if not self._may_answer():
            self.transport.close()
            return
        if self._own_cycle:
            self.cycle.disconnected = True  # makes the application's `receive` return a disconnect
            self.cycle.message_event.set()
        self._say_last(answer)

    def _say_last(self, answer: bytes) -> None:
        """Sends the refusal and half-closes the connection. A client that is still sending has LINGER_SECONDS to read
        it.
        """
        self.transport.write(answer)
        if self._has_ended:
            self.transport.close()
            return
        self.transport.write_eof()
        self._deadline = self.loop.time() + LINGER_SECONDS


class BoundedSocket(_Watched, WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol with a counted connection, aborted when the page does not read. It is never idle, so
    it is never closed for a new connection.
    """
