"""HTTP/1.1 over one connection of an outbound request: writes requests and reads responses.

llhttp (httptools) parses the responses. httpcore2's own connection parses them with h11, whose Python code takes more
CPU time than all the rest of a short request. What h11 reads, this reads too, except for a Content-Length that comes twice
and for extensions of chunks that break their grammar.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Any, Protocol

import httpcore2
import httptools

_READ_BYTES = 64 * 1024
#: Most bytes of a head, a trailer or the extensions of a chunk.
_MAX_BYTES_WITHOUT_BODY = 100 * 1024
#: Bytes of a request that are collected before they are written.
_WRITE_BYTES = 64 * 1024

_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch
_TARGET = re.compile(rb"[\x21-\x7e]+").fullmatch
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch
_RECEIVED_VALUE = re.compile(rb"[^\x00\r\n]*").fullmatch
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_FIRST_INTERIM = 100
_FIRST_FINAL = 200

Headers = Sequence[tuple[bytes, bytes]]


class UnreadableResponse(httpcore2.RemoteProtocolError):
    """The response does not keep to HTTP/1.1; the text tells how."""


class Response(Protocol):
    """A response whose body is still on the connection."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def extensions(self) -> Any: ...  # noqa: ANN401 - a dictionary of httpcore2
    def aiter_stream(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


class OriginConnection(Protocol):
    """A connection to one origin that answers one request at a time: HttpConnection, or one of httpcore2's through the
    company proxy.
    """

    async def handle_async_request(self, request: httpcore2.Request) -> Response: ...
    def is_idle(self) -> bool: ...
    def has_expired(self) -> bool: ...
    async def aclose(self) -> None: ...


class HttpConnection:
    """Sends requests over `stream`, each after the response to the one before was read to its end."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self._is_idle = True

    async def handle_async_request(self, request: httpcore2.Request) -> Response:
        """Sends a request and returns the response once its head is there.

        Raises LocalProtocolError for a request that HTTP/1.1 cannot express, RemoteProtocolError for an unreadable
        response, and what the stream raises.
        """
        assert self._is_idle, "a connection is used for one request at a time"
        self._is_idle = False
        timeouts = request.extensions.get("timeout", {})
        reading = _ResponseReader(is_head=request.method == b"HEAD")
        response = _OpenResponse(self, self._stream, reading, timeouts.get("read"))
        try:
            try:
                await self._send(request, timeouts.get("write"))
                response.is_sent = True
            except httpcore2.WriteError:
                pass  # a server may refuse a request before it has come in full: its response tells why
            await response.receive_head()
        except BaseException:
            await self.aclose()
            raise
        return response

    def is_idle(self) -> bool:
        """True when the next request may be sent."""
        return self._is_idle

    def has_expired(self) -> bool:
        """True for an idle connection that the other side has closed, or on which it sent what nobody asked for."""
        return bool(self._stream.get_extra_info("is_readable"))

    def response_ended(self) -> None:
        """The response was read to its end, and the connection stays open for another request."""
        self._is_idle = True

    async def aclose(self) -> None:
        """Closes the connection at once."""
        self._is_idle = False
        await self._stream.aclose()

    async def _send(self, request: httpcore2.Request, timeout: float | None) -> None:  # noqa: ASYNC109
        head, length = _request_head(request)
        body = request.stream
        assert isinstance(body, AsyncIterable)
        unsent, sent = [head], 0
        waiting = len(head)
        pieces = aiter(body)
        try:
            async for piece in pieces:
                if not piece:
                    continue
                sent += len(piece)
                if length is not None and sent > length:
                    raise httpcore2.LocalProtocolError("the body is longer than its Content-Length")
                unsent.append(piece if length is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
                waiting += len(piece)
                if waiting > _WRITE_BYTES:
                    await self._stream.write(b"".join(unsent), timeout)
                    unsent, waiting = [], 0
        finally:
            if (close := getattr(pieces, "aclose", None)) is not None:
                await close()
        if length is None:
            unsent.append(b"0\r\n\r\n")
        elif sent < length:
            raise httpcore2.LocalProtocolError("the body is shorter than its Content-Length")
        await self._stream.write(b"".join(unsent), timeout)


class _OpenResponse:
    """The response that a connection is receiving."""

    def __init__(
        self,
        connection: HttpConnection,
        stream: httpcore2.AsyncNetworkStream,
        reading: _ResponseReader,
        read_timeout: float | None,
    ) -> None:
        self.extensions: dict[str, Any] = {"network_stream": stream}
        #: False until the request was sent in full.
        self.is_sent = False
        self._connection = connection
        self._stream = stream
        self._reading = reading
        self._read_timeout = read_timeout
        self._is_closed = False

    @property
    def status(self) -> int:
        return self._reading.status

    @property
    def headers(self) -> Headers:
        return self._reading.headers

    async def receive_head(self) -> None:
        while not self._reading.status:
            await self._receive()

    async def aiter_stream(self) -> AsyncIterator[bytes]:
        """Yields the pieces of the body as they arrive."""
        reading = self._reading
        try:
            while True:
                if piece := reading.take():
                    yield piece
                if reading.is_complete:
                    return
                await self._receive()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Ends the use of the connection: it is closed unless the response was read to its end."""
        if self._is_closed:
            return
        self._is_closed = True
        self._reading.close()
        if self.is_sent and self._reading.leaves_connection_open:
            self._connection.response_ended()
        else:
            await self._connection.aclose()

    async def _receive(self) -> None:
        if data := await self._stream.read(_READ_BYTES, self._read_timeout):
            self._reading.feed(data)
        else:
            self._reading.end()


class _ResponseReader:
    """Parses one response. 1xx responses before it are skipped."""

    def __init__(self, *, is_head: bool) -> None:
        #: 0 until the head is there.
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False
        #: Bytes came after the end of the response.
        self._has_excess = False
        self._keeps_alive = False
        self._is_interim = False
        self._is_head = is_head
        #: Why the response cannot be read.
        self._fault = ""
        self._pieces: list[bytes] = []
        self._bytes_without_body = 0
        self._parser = httptools.HttpResponseParser(self)
        # What h11 takes, too: lines that end with LF alone, values that go on in the next line, other versions, a chunked
        # body with a Content-Length, which does not count, and what follows an interim response that says `close`.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_version=True,
            lenient_chunked_length=True,
            lenient_keep_alive=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )

    @property
    def leaves_connection_open(self) -> bool:
        """True when the response was read to its end and the connection can be used again."""
        return self.is_complete and self._keeps_alive and not self._has_excess

    def take(self) -> bytes:
        """Returns the part of the body that has arrived since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def feed(self, data: bytes) -> None:
        """Parses bytes from the connection. Raises UnreadableResponse."""
        self._bytes_without_body += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fault = "it changes the protocol, which nobody asked for"
        except httptools.HttpParserError as error:
            if self.is_complete:
                self._has_excess = True
            else:
                self._fault = f"it is no HTTP/1.1 ({error})"
        if self._bytes_without_body > _MAX_BYTES_WITHOUT_BODY and not self.is_complete:
            self._fault = "its headers are too long"
        if self._fault:
            raise UnreadableResponse(self._fault)

    def close(self) -> None:
        """Ends the parser, which refers back to this reader: both would be freed by the garbage collector only."""
        del self._parser

    def end(self) -> None:
        """The connection has ended. Raises RemoteProtocolError when the response had not."""
        if not self.status:
            raise httpcore2.RemoteProtocolError("the server closed the connection without a response")
        if any(name.lower() in _FRAMING for name, _ in self.headers):
            raise httpcore2.RemoteProtocolError("the server closed the connection within the response")
        self.is_complete = True

    # The parser calls these.

    def on_message_begin(self) -> None:
        self._has_excess |= self.is_complete

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # the trailers of a chunked body are not read
            self.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        status = self._parser.get_status_code()
        is_chunked = False
        for name, value in self.headers:
            if not _TOKEN(name) or not _RECEIVED_VALUE(value):
                self._fault = f"its header `{name[:60].decode('latin-1')}` is not a valid one"
            is_chunked |= name.lower() == b"transfer-encoding"
            if name.lower() == b"transfer-encoding" and (value.lower() != b"chunked" or status < _FIRST_FINAL):
                self._fault = "its Transfer-Encoding is not known here"
        if status < _FIRST_FINAL:
            self.headers.clear()
            self._is_interim = True
            if status < _FIRST_INTERIM:
                self._fault = "its status has no meaning"
        else:
            self.status = status
            # a chunk of a response to HEAD, which has none, would be read beside the parser
            self._keeps_alive = self._parser.should_keep_alive() and not (self._is_head and is_chunked)
            self.is_complete = self._is_head

    def on_body(self, data: bytes) -> None:
        if self.is_complete:
            self._has_excess = True
        elif not self._fault:
            self._pieces.append(data)
            self._bytes_without_body = 0

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
            self._bytes_without_body = 0
        else:
            self.is_complete = True


def _request_head(request: httpcore2.Request) -> tuple[bytes, int | None]:
    """Returns the head of a request, and the length of its body in bytes; None for a chunked body.

    Raises LocalProtocolError.
    """
    if not _TOKEN(request.method):
        raise httpcore2.LocalProtocolError("the method may hold only letters, digits and hyphens")
    if not _TARGET(request.url.target):
        raise httpcore2.LocalProtocolError("the address holds characters that have to be percent-encoded")
    lines = [b"%b %b HTTP/1.1\r\n" % (request.method, request.url.target)]
    lengths: list[bytes] = []
    encodings: list[bytes] = []
    for name, value in request.headers:
        if not _TOKEN(name):
            raise httpcore2.LocalProtocolError(f"`{name[:60].decode('latin-1')}` cannot be the name of a header")
        if not _VALUE(value):
            raise httpcore2.LocalProtocolError(f"the value of the header `{name.decode()}` holds control characters")
        lines.append(b"%b: %b\r\n" % (name, value))
        if len(name) == len("content-length") and name.lower() == b"content-length":
            lengths.append(value)
        elif len(name) == len("transfer-encoding") and name.lower() == b"transfer-encoding":
            encodings.append(value)
    lines.append(b"\r\n")
    head = b"".join(lines)
    if encodings == [b"chunked"] and not lengths:
        return head, None
    if encodings or len(lengths) > 1 or not all(value.isdigit() for value in lengths):
        raise httpcore2.LocalProtocolError("a request has one Content-Length, or Transfer-Encoding: chunked")
    return head, int(lengths[0]) if lengths else 0
