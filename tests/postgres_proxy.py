"""A proxy between Flowport and PostgreSQL that cuts connections, as networks do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import URL, make_url

#: Where a connection is cut: before the server gets the COMMIT, while it works on it, or when its answer is there.
Cut = Literal["before", "while", "after"]
COMMIT = b"COMMIT\x00"


class Proxy:
    """Passes bytes on. `cut(where, times)` has the next commits cut; `down` refuses all connections."""

    def __init__(self, target: str, folder: Path) -> None:
        url = make_url(target)
        self._target = self._socket_of(url)
        query = {**{name: value for name, value in url.query.items() if name != "port"}, "host": str(folder)}
        self.url = url.set(query=query, host=None, port=None).render_as_string(hide_password=False)
        self.cuts = 0
        self._planned: list[Cut] = []
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._down = False
        #: The commits that `holding` has kept back.
        self.held = 0
        self._speaks, self._commits = threading.Event(), threading.Event()
        self._speaks.set()
        self._commits.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen(100)
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def _socket_of(url: URL) -> str:
        return f"{url.query['host']}/.s.PGSQL.{url.query.get('port', 5432)}"

    def cut(self, where: Cut, times: int = 1) -> None:
        """Cuts the connections of the next commits."""
        with self._lock:
            self._planned.extend(where for _ in range(times))

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """The server cannot be reached meanwhile, and every connection is lost."""
        self._down = True
        self.lose_all()
        try:
            yield
        finally:
            self._down = False

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """The server answers nothing meanwhile and refuses nothing, like one that is suspended."""
        self._speaks.clear()
        try:
            yield
        finally:
            self._speaks.set()

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Commits reach the server only afterwards; it answers everything else."""
        self._commits.clear()
        try:
            yield
        finally:
            self._commits.set()

    def lose_all(self) -> None:
        """Ends every connection."""
        for pair in list(self._pairs):
            _end(*pair)

    def close(self) -> None:
        """Ends the proxy."""
        self._down = True
        self._speaks.set()
        self._commits.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.lose_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._speaks.wait()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            pair = client, server
            self._pairs.add(pair)
            if self._down:  # asked after it is added: `away` ends those that are there
                self._pairs.discard(pair)
                _end(*pair)
                continue
            waits = threading.Event()
            threading.Thread(target=self._to_server, args=(*pair, waits), daemon=True).start()
            threading.Thread(target=self._to_client, args=(*pair, waits), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket, waits: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                where = self._next_cut() if COMMIT in data else None
                if where == "before":
                    break
                if where == "after":
                    waits.set()
                if COMMIT in data and not self._commits.is_set():
                    self.held += 1
                    self._commits.wait()
                self._speaks.wait()
                server.sendall(data)
                if where == "while":
                    break
        if not waits.is_set():
            self._pairs.discard((client, server))
            _end(client, server)

    def _to_client(self, client: socket.socket, server: socket.socket, waits: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if waits.is_set():
                    break
                client.sendall(data)
        self._pairs.discard((client, server))
        _end(client, server)

    def _next_cut(self) -> Cut | None:
        with self._lock:
            if not self._planned:
                return None
            self.cuts += 1
            return self._planned.pop(0)


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
