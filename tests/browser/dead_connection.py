"""A proxy between a browser and a server whose connections can be dead without either side being told."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class DeadConnection:
    """Passes bytes on. While `is_dead` is set it swallows them; `cut` ends every connection."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self.is_dead = False
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._passing: list[threading.Thread] = []
        self._accepts = threading.Thread(target=self._accept, daemon=True)
        self._accepts.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepts.join()
        self._listener.close()
        self.cut()
        for thread in self._passing:
            thread.join()

    def cut(self) -> None:
        """Ends every connection."""
        for one in list(self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets |= {client, server}
                for way in ((client, server), (server, client)):
                    self._passing.append(threading.Thread(target=self._pass_on, args=way, daemon=True))
                    self._passing[-1].start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if not self.is_dead:
                    target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        source.close()
