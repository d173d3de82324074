"""uvicorn as this program uses it: limits on what a caller may send before anybody reads it, signals left alone, a word when ready.

Its fast parser has no limits of its own: a caller could send headers for ever, before a body or behind it (api.md asks for 16 KiB and
30 s), or begin a thousand requests in one piece. It also waits for ever for callers who do not read their answer. Once a second the
server looks through its connections and ends those whose time is over, so that a request itself costs a few comparisons only.

It also takes requests that servers on the way may read in another manner (RFC 9112): where one of them ends a request elsewhere, what
one caller sends becomes another's request. Whoever calls the public API gets each refusal of this file as a problem.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import socket
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

import httptools
import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware, _TrustedHosts
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.connection_limits import Connections, Standing
from api.http.addresses import is_public
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
from engine.core.errors import Refusal, TooManyConnections

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


@functools.lru_cache(maxsize=2)
def _http_date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


class _DatedHeaders(list[tuple[bytes, bytes]]):
    """Headers of every answer. uvicorn puts them before an answer's own by `+`, and would give them the `Date` of the request."""

    def __add__(self, own: Any) -> list[tuple[bytes, bytes]]:
        return [(b"date", _http_date(int(time.time()))), *self, *own]


def _response(refusal: Refusal, request_id: str, *, public: bool) -> Response:
    """A refusal of this file: a problem for callers of the public API, else a sentence. The connection ends with it."""
    headers = {"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff", "Connection": "close"}
    if public:
        return problem_response(refusal, request_id, headers)
    return PlainTextResponse(f"{refusal}\n", status_of(refusal), headers_of(refusal) | headers)


def _on_the_wire(response: Response, *, head_only: bool = False) -> bytes:
    lines = [name + b": " + value for name, value in _DatedHeaders() + response.raw_headers]
    head = STATUS_LINE[response.status_code] + b"\r\n".join([*lines, b"", b""])
    return head if head_only else head + bytes(response.body)


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
        over = await super().on_tick(counter)
        self.server_state.default_headers = _DatedHeaders(self.config.encoded_headers)
        return over


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


class _Watched(asyncio.Protocol):
    """A connection that is counted, and looked at once a second: does its caller read, and does it end once it is closed?"""

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
        """More is written than the caller reads."""
        self._note_stalled()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The caller has read nearly everything."""
        self._stalled = None
        super().resume_writing()

    def make_room(self) -> None:
        """Another one gets its place."""
        self.transport.close()

    def look(self, now: float) -> None:
        """Ends the connection when its time is over."""
        if self._stalled is None:
            if self.transport.is_closing():  # it ends once all is delivered
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
    """uvicorn's HTTP protocol with limits on size and time of everything that comes before and behind a body."""

    #: Of the request that came last; empty while its address has not come.
    url = b""
    #: Something of a request has come that is not complete.
    _begun = False
    #: The next thing to be complete is a request's head.
    _in_head = True
    #: `cycle` is that of the request that is being read; before, it is that of the request that came before.
    _own_cycle = False
    #: A refusal that waits for the answers before it.
    _last: bytes | None = None
    #: Bytes that came since the last piece of a body or the last whole request.
    _run = 0
    _trailer_bytes = 0
    _pieces = 0
    _body_bytes = 0
    _deadline = math.inf
    #: It was refused or said too much: nothing is read any more.
    _deaf = False
    _standing = Standing.IN

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._standing = self._counted.enter(self, self.client[0] if self.client else "")
        self._deadline = self.loop.time() + HEAD_SECONDS
        if self._standing is Standing.TURNED_AWAY:
            self._deadline = self.loop.time() + LINGER_SECONDS
        elif self._standing is Standing.SHUT_OUT:
            self._deaf = True
            self.transport.write(self._answer(TooManyConnections()))
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """What the parser holds of one line is unknown: it is counted in steps of what a head may have."""
        for start in range(0, len(data), MAX_HEAD_BYTES):
            if self._deaf or self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
            self._run += min(MAX_HEAD_BYTES, len(data) - start)
            self._unset_keepalive_if_required()
            self._parse(data[start : start + MAX_HEAD_BYTES])
            if self._run > MAX_HEAD_BYTES:
                self._refuse(self._too_large())
        if self._in_head and self._run and self._deadline is math.inf and not self._deaf:
            self._deadline = self.loop.time() + HEAD_SECONDS

    def _parse(self, piece: bytes) -> None:
        """Feeds the parser, as uvicorn does. A wish for a protocol that nobody speaks here does not change how a request is read:
        the parser would leave its body out, and take it for the next request.
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

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or one behind the body, which nobody reads."""
        if self._in_head:
            super().on_header(name, value)
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
            return  # it is read again as a plain request
        self._in_head = False
        self._deadline = math.inf
        self._trailer_bytes = self._pieces = self._body_bytes = 0
        if self._standing is not Standing.IN:
            self._refuse(TooManyConnections())
        elif self._run > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            self._refuse(self._too_large())
        elif ambiguous := self._ambiguous():
            self._refuse(MalformedRequest(ambiguous))
        elif len(self.pipeline) >= MAX_AHEAD:
            self._refuse(TooManyAhead(f"More than {MAX_AHEAD} were sent", retry_after=1))
        else:
            super().on_headers_complete()
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
                    "Its body comes in too many small pieces", remedy="Send larger chunks, or a Content-Length"
                )
            )
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._deaf or (self.parser.should_upgrade() and not self._should_upgrade()):
            return
        self._in_head = True
        self._begun = self._own_cycle = False
        self._run = 0
        if self.cycle is None or not self.cycle.response_complete:
            if not self.flow.write_paused:
                self._counted.busy(self)
        else:
            self._deadline = self.loop.time() + self.timeout_keep_alive
        super().on_message_complete()

    def on_response_complete(self) -> None:
        was_last = not self.pipeline
        super().on_response_complete()
        if self._last is not None:
            if was_last and not self.transport.is_closing():
                self._say_last(self._last)
            return
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

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Until its caller reads on, nothing can be done for it: another one may get its place."""
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

    def make_room(self) -> None:
        """Its caller has not said all, or nothing at all: another one gets its place."""
        self._deaf = True
        if self.transport.get_write_buffer_size():  # its caller does not even read
            self.transport.abort()
            return
        if self._may_answer() and (self.cycle is None or self._run or not self._in_head):
            self.transport.write(self._answer(TooManyConnections()))
        self.transport.close()

    def _should_upgrade(self) -> bool:
        return super()._should_upgrade() and not is_public(self._path())  # the public API has no web sockets

    def _head_without_upgrade(self) -> bytes:
        lines = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        begin = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        return b"\r\n".join([begin, *lines, b"", b""])

    def _ambiguous(self) -> str:
        """What another server on the way might read in another manner; empty when there is no such thing."""
        hosts = [value for name, value in self.headers if name == b"host"]
        version = self.parser.get_http_version()
        if len(hosts) > 1 or (version == "1.1" and not any(hosts)):
            return "A request names its host, once, in the header Host"
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (codings != [b"chunked"] or version != "1.1"):
            return "The only Transfer-Encoding that is read is chunked, in HTTP/1.1"
        return ""

    def _too_large(self) -> Refusal:
        return AddressTooLong() if len(self.url) > MAX_HEAD_BYTES // 2 else HeadersTooLarge()

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.scope["headers"])

    def _path(self) -> str:
        try:
            path = httptools.parse_url(self.url).path or b""
        except httptools.HttpParserInvalidURLError:  # not all of it has come
            path = self.url.partition(b"?")[0]
        return unquote(path.decode("latin-1"))

    def _answer(self, refusal: Refusal) -> bytes:
        """A problem for a caller of the public API, and for what has no address: no browser sends that. Else a sentence."""
        public = self._begun and (not self.url or is_public(self._path()))
        sent_id = Headers(raw=list(self.scope["headers"])).get("x-request-id") if self._begun else None
        head_only = self._begun and self.parser.get_method() == b"HEAD"
        return _on_the_wire(_response(refusal, request_id_from(sent_id), public=public), head_only=head_only)

    def _answers_are_due(self) -> bool:
        """Requests before the one that is being read have no whole answer yet."""
        if self._own_cycle:
            return bool(self.pipeline)  # its own cycle waits there, behind the others
        return self.cycle is not None and (bool(self.pipeline) or not self.cycle.response_complete)

    def _may_answer(self) -> bool:
        """Whether an answer would be taken for one to this request: no other is on its way, and none was given."""
        return not self._answers_are_due() and not (self._own_cycle and self.cycle.response_started)

    def _refuse(self, refusal: Refusal) -> None:
        """Answers, after the requests before have their answers, reads nothing more and closes."""
        if self._deaf:
            return
        self._deaf = True
        answer = self._answer(refusal)
        if self._answers_are_due():
            if self._own_cycle:
                self.pipeline.popleft()  # it is the one that came last, and never begins
            self._last = answer
            self._deadline = math.inf
            return
        if not self._may_answer():
            self.transport.close()
            return
        if self._own_cycle:
            self.cycle.disconnected = True  # its app learns that nobody waits
            self.cycle.message_event.set()
        self._say_last(answer)

    def _say_last(self, answer: bytes) -> None:
        """A caller who is still sending gets a moment to read."""
        self.transport.write(answer)
        self.transport.write_eof()
        self._deadline = self.loop.time() + LINGER_SECONDS


class BoundedSocket(_Watched, WebSocketsSansIOProtocol):
    """uvicorn's web socket, counted, and given up when its page does not read. It is never idle, so it never makes room."""
