"""A server that answers every request with its name, to see where a proxy sends requests."""

from __future__ import annotations

import socket

from tests.stand_ins.local_server import LocalServer, Reply, Seen


class NamingServer(LocalServer):
    """Listens on a port of 127.0.0.1. Each request has a connection of its own."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__()
        self._name = name
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after another one that was stopped
        self._place.bind(("127.0.0.1", port))

    def reply(self, seen: Seen) -> Reply:
        return Reply(body=self._name.encode(), headers={"connection": "close"})
