"""A real MCP server in a process of its own: `python -m tests.stand_ins.mcp_server PORT`.

Its tools: `stock` (reads), `note` (changes something), `fail` (raises), `hang` (never answers) and `slow` (answers after
some seconds, and writes down when it began and ended).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def serve(port: int, key: str) -> None:
    """Serves until the process is ended. Requests without the key get 401."""
    import uvicorn
    from mcp.server import MCPServer
    from mcp.types import ToolAnnotations

    server = MCPServer("shop")
    calls: list[str] = []

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def stock(item: str) -> str:
        """How many pieces of an item are in stock."""
        calls.append(f"stock {item}")
        return f"{item}: 7 left"

    @server.tool()
    def note(text: str) -> str:
        """Writes a note down."""
        calls.append(f"note {text}")
        return "written"

    @server.tool()
    def fail() -> str:
        """Always fails."""
        raise ValueError("no luck")

    @server.tool()
    async def hang() -> str:
        """Never answers."""
        await asyncio.sleep(3_600)
        return ""

    @server.tool()
    async def slow(seconds: float) -> str:
        """Answers after some seconds."""
        calls.append("slow begins")
        await asyncio.sleep(seconds)
        calls.append("slow ends")
        return "done"

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def called() -> str:
        """What was called so far."""
        return ", ".join(calls)

    app = server.streamable_http_app()

    async def with_key(scope, receive, send) -> None:
        headers = dict(scope.get("headers", ()))
        if scope["type"] == "http" and key and headers.get(b"authorization") != f"Bearer {key}".encode():
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b"no"})
            return
        await app(scope, receive, send)

    uvicorn.run(with_key, host="127.0.0.1", port=port, log_level="critical")


@contextlib.contextmanager
def mcp_server(port: int, key: str = "") -> Iterator[str]:
    """Runs the server in a process of its own, and returns its address."""
    command = [sys.executable, "-m", "tests.stand_ins.mcp_server", str(port), key]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """Returns a port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
