"""A real HTTP server on a free port of 127.0.0.1 that runs in threads; the base of the other stand-ins.

A Flowport that many tests share must know the addresses of the stand-ins when it starts: `Places` reserves ports for
them.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Seen:
    """A received request. Header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """A response.

    `chunks` are sent one by one (a stream), with `pause` seconds or a call of `between` in between. `drop` closes the
    connection instead of answering, or in the middle of the chunks. `delay` is in seconds before the first byte.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False
    chunks: tuple[bytes, ...] | None = None
    pause: float = 0.0
    between: Callable[[], object] | None = None

    @classmethod
    def of_json(cls, value: Any, status: int = 200, **rest: Any) -> Reply:
        headers = {"content-type": "application/json", **rest.pop("headers", {})}
        return cls(status, json.dumps(value).encode(), headers, **rest)


class Places:
    """Reserved ports of this machine. Each can be used once."""

    def __init__(self, count: int = 80) -> None:
        self._kept = [_kept_port() for _ in range(count)]
        self.allow = ",".join(f"127.0.0.1:{place.getsockname()[1]}" for place in self._kept)

    def take(self) -> socket.socket:
        """Returns a socket that is bound but not listening."""
        assert self._kept, "every place was used; keep more of them"
        return self._kept.pop()

    def close(self) -> None:
        """Releases the unused ports."""
        for place in self._kept:
            place.close()


def _kept_port() -> socket.socket:
    kept = socket.socket()
    kept.bind(("127.0.0.1", 0))
    return kept


class LocalServer:
    """A server whose subclasses implement `reply`. Use it in a `with` block, or call `start()` and `stop()`."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self._stopping = threading.Event()
        self._place: socket.socket | None = None

    def at_place(self, places: Places) -> Self:
        """Makes the server listen on a reserved port, which the shared Flowport may reach."""
        self._place = places.take()
        return self

    def reply(self, seen: Seen) -> Reply:
        raise NotImplementedError

    def start(self) -> Self:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                stand_in._connections.add(self.connection)

            def finish(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().finish()
                stand_in._connections.discard(self.connection)

            def handle(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().handle()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
                pass

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self._answer
                raise AttributeError(name)

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = Seen(self.command, self.path, headers, body, time.time())
                with stand_in._lock:
                    stand_in.requests.append(seen)
                    reply = stand_in.reply(seen)
                stand_in._send(self, reply)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Ignores callers that close the connection early."""

        if self._place is None:
            self._server = Server(("127.0.0.1", 0), Handler)
        else:
            self._server = Server(self._place.getsockname(), Handler, bind_and_activate=False)
            self._server.socket.close()
            self._server.socket = self._place
            self._server.server_activate()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        assert self._server is not None, "start it first"
        return self._server.server_address[1]

    @property
    def origin(self) -> str:
        """The server's origin, `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Seen:
        return self.requests[-1]

    def hits(self, path: str) -> int:
        """Returns the number of requests for this path."""
        return sum(seen.path == path for seen in list(self.requests))

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        self._stopping.wait(reply.delay)
        if reply.drop and reply.chunks is None:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.chunks is None:
            handler.send_header("content-length", str(len(reply.body)))
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(reply.body)
            return
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for chunk in reply.chunks:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            handler.wfile.flush()
            if reply.between is not None:
                reply.between()
            self._stopping.wait(reply.pause)
        if reply.drop:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.wfile.write(b"0\r\n\r\n")
