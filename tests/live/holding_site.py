"""A web site that delays answers until a test releases them, and that records when the caller closes the connection.

with HoldingSite({"/story": "<h1>Hello</h1>"}) as site:
    ...  # fetch site.hold("a")
    site.wait_until_held("a")
    site.let_go("a")  # or let_go("a", status=500)
"""

from __future__ import annotations

import select
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler

from tests.stand_ins.local_server import Reply, Seen
from tests.stand_ins.web_site import WebSite

HOLD = "/hold/"


class HoldingSite(WebSite):
    """A WebSite that also delays every request under `/hold/`."""

    def __init__(self, pages: dict[str, str] | None = None) -> None:
        super().__init__(pages)
        self.hung_up: list[str] = []
        #: The maximum number of requests that were delayed at the same time.
        self.most_held = 0
        self._held_now = 0
        self._status: dict[str, int] = {}
        self._go: dict[str, threading.Event] = {}

    def hold(self, name: str) -> str:
        """Returns a URL that is answered when `name` is released."""
        return self.at(f"{HOLD}{name}")

    def let_go(self, name: str, status: int = 200) -> None:
        """Answers all waiting and all later requests for `name`."""
        self._status[name] = status
        self._event(name).set()

    def wait_until_held(self, name: str, times: int = 1) -> None:
        """Returns when `name` was requested `times` times."""
        wait_until(lambda: self.hits(f"{HOLD}{name}") >= times, f"{name} was not asked for {times} times")

    def reply(self, seen: Seen) -> Reply:
        if not seen.path.startswith(HOLD):
            return super().reply(seen)
        name = seen.path.removeprefix(HOLD)
        return Reply(self._status.get(name, 200), b"held no more", {"content-type": "text/plain", "x-held": name})

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        name = reply.headers.get("x-held")
        if name is not None and not self._counted(handler.connection, name):
            self.hung_up.append(name)
            handler.close_connection = True
            return
        super()._send(
            handler, Reply(self._status.get(name or "", reply.status), reply.body, reply.headers, reply.delay)
        )

    def _counted(self, connection: socket.socket, name: str) -> bool:
        with self._lock:
            self._held_now += 1
            self.most_held = max(self.most_held, self._held_now)
        try:
            return self._held(connection, name)
        finally:
            with self._lock:
                self._held_now -= 1

    def _held(self, connection: socket.socket, name: str) -> bool:
        """Waits until `name` is released; returns False when the caller closed the connection before."""
        while not self._event(name).wait(0.02) and not self._stopping.is_set():
            readable, _, _ = select.select([connection], [], [], 0)
            if readable and not connection.recv(1, socket.MSG_PEEK):
                return False
        return True

    def _event(self, name: str) -> threading.Event:
        return self._go.setdefault(name, threading.Event())


def wait_until(true, said: str, seconds: float = 120) -> None:
    """Polls until the condition is true. The limit is long, because tests run on shared machines."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, said
        time.sleep(0.02)
