"""TCP and TLS connections of outbound requests, as network streams of httpcore2 on asyncio's transports.

httpcore2's own streams go through AnyIO, which took a fifth of the CPU time of a short request.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import ssl
from collections.abc import Iterable
from typing import Any, cast

import httpcore2

#: Reading pauses while this many received bytes wait to be read.
_MAX_UNREAD = 256 * 1024
#: The pause before a connection is tried again for which there was no descriptor.
_FULL_SECONDS = 0.1
_EXTRA_INFO = {"ssl_object": "ssl_object", "client_addr": "sockname", "server_addr": "peername", "socket": "socket"}


class Connector(httpcore2.AsyncNetworkBackend):
    """Opens TCP connections, to whatever address it is told: the backends of `connection_pools` check it."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the library
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connects within `timeout` seconds. Raises ConnectError and ConnectTimeout."""
        loop = asyncio.get_running_loop()
        local = None if local_address is None else (local_address, 0)
        try:
            async with asyncio.timeout(timeout):
                await _until_descriptor()
                _, received = await loop.create_connection(_Received, host, port, local_addr=local)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        stream = _Stream(received)
        for option in socket_options or ():
            stream.get_extra_info("socket").setsockopt(*option)
        return stream

    async def sleep(self, seconds: float) -> None:
        """Waits between the library's connection attempts."""
        await asyncio.sleep(seconds)


async def _until_descriptor() -> None:
    """Waits while this process has no descriptor for another connection. uvloop would not close what it failed to open."""
    while True:
        try:
            os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE}:
                raise
            await asyncio.sleep(_FULL_SECONDS)
        else:
            return


class _Received(asyncio.Protocol):
    """What arrives over a connection, until it is read."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.unread = bytearray()
        self.has_ended = False
        self.failure: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._reading = True
        self.writable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if len(self.unread) > _MAX_UNREAD and self._reading:
            self._reading = False
            self.transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> bool | None:
        self.has_ended = True
        _wake(self._reader)
        return None  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self.has_ended = True
        self.failure = exc
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        _wake(self._writer)

    async def wait_for_data(self) -> None:
        """Returns when there is something to read, or the connection has ended."""
        while not self.unread and not self.has_ended:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None

    def take(self, max_bytes: int) -> bytes:
        """Returns what has arrived, at most `max_bytes`."""
        data = bytes(self.unread[:max_bytes])
        del self.unread[:max_bytes]
        if not self._reading and len(self.unread) <= _MAX_UNREAD // 2:
            self._reading = True
            self.transport.resume_reading()
        return data

    async def wait_until_writable(self) -> None:
        """Returns when the transport has sent enough of what it was given, or the connection has ended."""
        while not self.writable and not self.has_ended:
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None


class _Stream(httpcore2.AsyncNetworkStream):
    def __init__(self, received: _Received) -> None:
        self._received = received

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as in the library
        """Returns at most `max_bytes`, or nothing at the end. Raises ReadError and ReadTimeout."""
        received = self._received
        if not received.unread:
            if timeout is None:
                await received.wait_for_data()
            else:
                try:
                    async with asyncio.timeout(timeout):
                        await received.wait_for_data()
                except TimeoutError as error:
                    raise httpcore2.ReadTimeout(str(error)) from error
        if not received.unread and received.failure is not None:
            raise httpcore2.ReadError(str(received.failure)) from received.failure
        return received.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as in the library
        """Gives `buffer` to the system, and waits while it holds too much. Raises WriteError and WriteTimeout."""
        received = self._received
        if received.transport.is_closing():
            raise httpcore2.WriteError("the connection is closed")
        if buffer:
            received.transport.write(buffer)
        if not received.writable:
            try:
                async with asyncio.timeout(timeout):
                    await received.wait_until_writable()
            except TimeoutError as error:
                raise httpcore2.WriteTimeout(str(error)) from error
        if received.failure is not None:
            raise httpcore2.WriteError(str(received.failure)) from received.failure

    async def aclose(self) -> None:
        """Closes the connection at once: nobody waits for what was not sent yet."""
        self._received.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the library
    ) -> httpcore2.AsyncNetworkStream:
        """Returns this connection with TLS. Raises ConnectError and ConnectTimeout.

        What came before the handshake came from anybody on the way: the connection is refused, and what comes later goes
        through TLS.
        """
        received, secured = self._received, _Received()
        if received.unread or received.has_ended:
            received.transport.abort()
            raise httpcore2.ConnectError("something came before the TLS handshake")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                transport = await loop.start_tls(
                    received.transport, secured, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            received.transport.abort()
            raise httpcore2.ConnectTimeout(str(error)) from error
        except (OSError, ssl.SSLError) as error:
            received.transport.abort()
            raise httpcore2.ConnectError(str(error)) from error
        except BaseException:
            received.transport.abort()
            raise
        if transport is None:  # the other side closed the connection during the handshake
            raise httpcore2.ConnectError("the connection was closed during the TLS handshake")
        secured.transport = transport
        return _Stream(secured)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the signature of the library
        received = self._received
        if info == "is_readable":
            return bool(received.unread) or received.has_ended or _has_data(received.transport)
        return received.transport.get_extra_info(_EXTRA_INFO[info]) if info in _EXTRA_INFO else None


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


def _has_data(transport: asyncio.Transport) -> bool:
    """True when reading would return at once: data that nobody asked for, or the end of the connection."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    descriptor = -1 if connection is None else connection.fileno()
    if descriptor < 0 or transport.is_closing():
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
