"""A web site that does not answer until a test lets it, and that notices when the caller hangs up.

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
    """Pages as a WebSite has them; whatever is asked under `/hold/` waits."""

    def __init__(self, pages: dict[str, str] | None = None) -> None:
        super().__init__(pages)
        self.hung_up: list[str] = []
        #: So many were held at once at most.
        self.most_held = 0
        self._held_now = 0
        self._status: dict[str, int] = {}
        self._go: dict[str, threading.Event] = {}

    def hold(self, name: str) -> str:
        """An address that answers when `name` is let go."""
        return self.at(f"{HOLD}{name}")

    def let_go(self, name: str, status: int = 200) -> None:
        """Answers everybody who waits for `name`, and whoever comes later."""
        self._status[name] = status
        self._event(name).set()

    def wait_until_held(self, name: str, times: int = 1) -> None:
        """Returns when `name` was asked for so often."""
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
        """Waits; False when the caller hung up meanwhile."""
        while not self._event(name).wait(0.02) and not self._stopping.is_set():
            readable, _, _ = select.select([connection], [], [], 0)
            if readable and not connection.recv(1, socket.MSG_PEEK):
                return False
        return True

    def _event(self, name: str) -> threading.Event:
        return self._go.setdefault(name, threading.Event())


def wait_until(true, said: str, seconds: float = 120) -> None:
    """Asks again and again until it is true. Patient: machines that run tests are shared."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, said
        time.sleep(0.02)
