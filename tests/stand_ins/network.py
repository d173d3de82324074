"""A simulated network for tests: it records the connections that code opens and answers from a table."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import httpcore2


class RecordedNetwork(httpcore2.AsyncNetworkBackend):
    """A network backend without a network: connections are recorded in `dialled`.

    The response for an address is taken from `answers`, otherwise it is an empty 200.
    """

    def __init__(self, answers: dict[str, bytes] | None = None) -> None:
        self.dialled: list[tuple[str, int]] = []
        self.sent: list[bytes] = []
        self.tls_names: list[str | None] = []
        self.answers = answers or {}

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.dialled.append((host, port))
        return _Scripted(self, (host, port), self.answers.get(host, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))

    async def sleep(self, seconds):
        return None


class _Scripted(httpcore2.AsyncNetworkStream):
    def __init__(self, network: RecordedNetwork, address: tuple[str, int], answer: bytes) -> None:
        self._network = network
        self._address = address
        self._answer = answer

    async def read(self, max_bytes, timeout=None):
        piece, self._answer = self._answer[:max_bytes], self._answer[max_bytes:]
        return piece

    async def write(self, buffer, timeout=None):
        self._network.sent.append(bytes(buffer))

    async def aclose(self):
        return None

    async def start_tls(self, ssl_context, server_hostname=None, timeout=None):
        self._network.tls_names.append(server_hostname)
        return self

    def get_extra_info(self, info):
        return self._address if info == "server_addr" else None


class Names:
    """A resolver with a table: each look-up of a name returns its next list of addresses, and the last list from then
    on.
    """

    def __init__(self, table: dict[str, list[list[str]]] | None = None) -> None:
        self.looked_up: list[str] = []
        self._table = {name: list(turns) for name, turns in (table or {}).items()}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append(host)
        turns = self._table.get(host)
        if turns is None:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return turns.pop(0) if len(turns) > 1 else turns[0]
