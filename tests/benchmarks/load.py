"""A load generator with little overhead: prepared bytes over persistent connections, so that the server is measured."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

CLIENTS = 32
SECONDS = 4.0


async def rate(
    url: str, body: bytes, headers: dict[str, str], status: int, *, clients: int = CLIENTS, seconds: float = SECONDS
) -> float:
    """Returns responses per second with this status, from `clients` connections at once for `seconds`."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [
        f"POST {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    done = 0
    end = time.perf_counter() + seconds

    async def one() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while time.perf_counter() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            answer = await reader.readexactly(length)
            if int(head[9:12]) != status:
                raise RuntimeError(f"{head[:200]!r} {answer[:200]!r}")
            done += 1
        writer.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return done / seconds
