"""A server that receives webhooks: records them and answers with scripted statuses.

with WebhookReceiver() as receiver:
    receiver.answer(500, 503)  # then 200 again
    ...  # have receiver.url called
    receiver.wait_for(3)
"""

from __future__ import annotations

import threading
from collections import deque

from tests.stand_ins.local_server import LocalServer, Reply, Seen


class WebhookReceiver(LocalServer):
    """Accepts any path. `delay` seconds pass before each response."""

    def __init__(self, *, delay: float = 0.0) -> None:
        super().__init__()
        self.delay = delay
        self._statuses: deque[Reply] = deque()
        self._came = threading.Condition()

    @property
    def url(self) -> str:
        return f"{self.origin}/hook"

    @property
    def deliveries(self) -> list[Seen]:
        """The received requests, in order."""
        return list(self.requests)

    def answer(self, *statuses: int | Reply) -> None:
        """Appends scripted responses; after the last one the server answers 200."""
        self._statuses.extend(status if isinstance(status, Reply) else Reply(status) for status in statuses)

    def wait_for(self, count: int, seconds: float = 30.0) -> list[Seen]:
        """Waits until `count` deliveries were received. Raises AssertionError after `seconds`."""
        with self._came:
            if not self._came.wait_for(lambda: len(self.requests) >= count, seconds):
                raise AssertionError(f"{len(self.requests)} of {count} deliveries came within {seconds} s")
        return self.deliveries

    def reply(self, seen: Seen) -> Reply:
        with self._came:
            self._came.notify_all()
        return self._statuses.popleft() if self._statuses else Reply(200, delay=self.delay)
