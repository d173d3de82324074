"""The connections of outbound requests, on both event loops: that of the standard library and uvloop, on which workers run."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import resource
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpcore2
import pytest
import uvloop

from engine.outbound.network_stream import Connector
from tests.engine.outbound.test_client import certificate

pytestmark = pytest.mark.process

Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


async def connected(server: Connected, use: Callable[[httpcore2.AsyncNetworkStream], Awaitable[None]]) -> None:
    """Serves one connection and gives `use` the stream to it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await server(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        stream = await Connector().connect_tcp("127.0.0.1", port, 5.0)
        try:
            assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
            await use(stream)
        finally:
            await stream.aclose()


async def read_all(stream: httpcore2.AsyncNetworkStream) -> bytes:
    pieces: list[bytes] = []
    while piece := await stream.read(64 * 1024, 5.0):
        assert len(piece) <= 64 * 1024
        pieces.append(piece)
    return b"".join(pieces)


def test_what_nobody_reads_stops_the_sender(run):
    body = bytes(range(256)) * 131_072  # 32 MiB
    finished = False

    async def sends(_reader, writer):
        nonlocal finished
        writer.write(body)
        await writer.drain()
        finished = True

    async def use(stream):
        await asyncio.sleep(0.1)
        assert not finished
        assert hashlib.sha256(await read_all(stream)).digest() == hashlib.sha256(body).digest()
        assert stream.get_extra_info("is_readable"), "it has ended"

    run(connected(sends, use))


def test_what_the_other_side_does_not_take_stops_a_write(run):
    async def takes_nothing(_reader, _writer):
        await asyncio.sleep(5)

    async def use(stream):
        with pytest.raises(httpcore2.WriteTimeout):
            await stream.write(b"x" * 32 * 1024 * 1024, 0.05)

    run(connected(takes_nothing, use))


def test_what_is_taken_late_arrives_whole(run):
    taken = b""

    async def takes_late(reader, writer):
        nonlocal taken
        await asyncio.sleep(0.05)
        taken = await reader.readexactly(8 * 1024 * 1024)
        writer.write(b"thanks")

    async def use(stream):
        assert not stream.get_extra_info("is_readable")
        await stream.write(b"ab" * 4 * 1024 * 1024, 5.0)
        assert await read_all(stream) == b"thanks"

    run(connected(takes_late, use))
    assert taken == b"ab" * 4 * 1024 * 1024


def test_a_silent_connection_ends_with_the_time_limit_and_can_be_read_later(run):
    async def waits(reader, writer):
        await reader.readexactly(1)
        writer.write(b"now")

    async def use(stream):
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(10, 0.02)
        await stream.write(b"?")
        assert await stream.read(2) == b"no"
        assert stream.get_extra_info("is_readable")
        assert await stream.read(2) == b"w"

    run(connected(waits, use))


def test_a_connection_that_is_reset_is_told(run):
    async def resets(reader, writer):
        await reader.readexactly(1)
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def use(stream):
        await stream.write(b"?")
        with pytest.raises(httpcore2.ReadError):
            await stream.read(10, 5.0)
        with pytest.raises(httpcore2.WriteError):
            await stream.write(b"more")

    run(connected(resets, use))


def test_nobody_listens(run):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]

        async def connect():
            with pytest.raises(httpcore2.ConnectError):
                await Connector().connect_tcp("127.0.0.1", port, 5.0)

        run(connect())


def test_tls_carries_both_ways_and_ends(run, tmp_path):
    server_side, client_side = certificate(tmp_path, "shop.example.com")
    body = bytes(range(256)) * 16_384  # 4 MiB

    async def echoes(reader, writer):
        await writer.start_tls(server_side)
        writer.write(await reader.readexactly(len(body)))
        await writer.drain()

    async def use(stream):
        secured = await stream.start_tls(client_side, "shop.example.com", 5.0)
        assert isinstance(secured.get_extra_info("ssl_object"), ssl.SSLObject) or secured.get_extra_info("ssl_object")
        await secured.write(body, 5.0)
        assert await read_all(secured) == body

    run(connected(echoes, use))


def test_a_handshake_that_fails_is_told(run, tmp_path):
    _, client_side = certificate(tmp_path, "shop.example.com")

    async def closes(reader, _writer):
        await reader.read(1)

    async def is_silent(_reader, _writer):
        await asyncio.sleep(5)

    async def refused(stream):
        with pytest.raises(httpcore2.ConnectError):
            await stream.start_tls(client_side, "shop.example.com", 5.0)

    async def late(stream):
        with pytest.raises(httpcore2.ConnectTimeout):
            await stream.start_tls(client_side, "shop.example.com", 0.05)

    run(connected(closes, refused))
    run(connected(is_silent, late))


def test_what_comes_before_the_handshake_is_not_taken_for_an_answer(run, tmp_path):
    server_side, client_side = certificate(tmp_path, "shop.example.com")
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nFORGED"

    async def forges(_reader, writer):
        writer.write(forged)
        await writer.drain()
        with contextlib.suppress(OSError):
            await writer.start_tls(server_side)

    async def use(stream):
        while not stream.get_extra_info("is_readable"):
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.01)
        with pytest.raises(httpcore2.ConnectError):
            await stream.start_tls(client_side, "shop.example.com", 5.0)

    run(connected(forges, use))


def test_a_connection_waits_for_a_descriptor(run):
    async def says_hello(_reader, writer):
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    async def use_all() -> None:
        async with await asyncio.start_server(says_hello, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            before = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (max(int(one.name) for one in Path("/dev/fd").iterdir()) + 8, before[1])
            )
            try:
                with contextlib.ExitStack() as held:
                    with contextlib.suppress(OSError):
                        while True:
                            held.enter_context(Path(os.devnull).open())
                    connecting = asyncio.create_task(Connector().connect_tcp("127.0.0.1", port, 10.0))
                    await asyncio.sleep(0.25)
                    assert not connecting.done()
                stream = await connecting
                assert await stream.read(5, 5.0) == b"hello"
                await stream.aclose()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)

    run(use_all())
