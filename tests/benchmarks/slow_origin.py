"""A site that answers late, in a process of its own: `/200` after 200 ms, `/hold` when `/release` is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Iterator
from typing import Any

import httpx
import uvloop

from tests.benchmarks.baseline import wait_for_port
from tests.live_server import free_port


class _Site(asyncio.Protocol):
    held: set[_Site] = set()  # noqa: RUF012 - one site in its process

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._buffer.endswith(b"\r\n\r\n"):
            return
        path = self._buffer.split(b" ", 2)[1].strip(b"/")
        self._buffer = b""
        if path == b"hold":
            self.held.add(self)
        elif path == b"release":
            for site in self.held:
                site.say(b"released")
            self.held.clear()
            self.say(b"0")
        elif path == b"held":
            self.say(b"%d" % len(self.held))
        else:
            asyncio.get_running_loop().call_later(int(path or 0) / 1000, self.say, path)

    def connection_lost(self, exc: Exception | None) -> None:
        self.held.discard(self)

    def say(self, body: bytes) -> None:
        """Sends the answer."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Site, "127.0.0.1", port, backlog=4_096)
    await server.serve_forever()


def _run(port: int) -> None:
    uvloop.run(_serve(port))


@contextlib.contextmanager
def slow_origin() -> Iterator[str]:
    """Starts the site and yields its origin."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(port,), daemon=True)
    process.start()
    wait_for_port(port)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.join()


def held(origin: str) -> int:
    """Returns how many requests the site holds."""
    return int(httpx.get(f"{origin}/held", timeout=30).text)


def release(origin: str) -> None:
    """Lets the site answer the requests it holds."""
    httpx.get(f"{origin}/release", timeout=30)
