"""Bounds the connections that calls hold which wait: `?wait`, calls of tools over MCP, and event streams (rule S29).

Behind a proxy all callers have one address, so that the limit of an address cannot keep one of them from taking every
connection. A workspace may hold half of them, with all of its keys, and all workspaces together leave one in twenty to the
calls and pages that are answered at once.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from engine.core.errors import RateLimited, TooManyConnections
from engine.jobs.submit.accept import Caller

RETRY_AFTER_SECONDS = 5


class HeldCalls:
    """Counts the calls that wait. Only the event loop may use it. `connections`: those that the server takes in all."""

    def __init__(self, connections: int) -> None:
        self.connections = connections
        self._of_workspace: Counter[str] = Counter()
        #: How many calls wait.
        self.taken = 0

    @property
    def most_of_one(self) -> int:
        """How many calls of one workspace may wait."""
        return self.connections // 2

    @property
    def most(self) -> int:
        """How many calls may wait in all."""
        return self.connections - max(1, self.connections // 20)

    def check(self, caller: Caller) -> None:
        """Raises RateLimited or TooManyConnections when no more calls of this caller may wait."""
        if self._of_workspace[caller.workspace_id] >= self.most_of_one:
            raise RateLimited(
                f"{self.most_of_one:,} calls of this workspace wait or follow events",
                remedy="Send it again in a few seconds. End event streams that nobody reads, and wait for fewer jobs at the "
                "same time: use a batch, or a webhook",
                retry_after=RETRY_AFTER_SECONDS,
            )
        if self.taken >= self.most:
            raise TooManyConnections(f"{self.most:,} calls wait or follow events", retry_after=RETRY_AFTER_SECONDS)

    @contextlib.contextmanager
    def counted(self, caller: Caller) -> Iterator[None]:
        """Context manager for a call that waits, of a caller who was checked."""
        workspace_id = caller.workspace_id
        self._of_workspace[workspace_id] += 1
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
            self._of_workspace[workspace_id] -= 1
            if not self._of_workspace[workspace_id]:
                del self._of_workspace[workspace_id]

    @contextlib.contextmanager
    def place(self, caller: Caller) -> Iterator[None]:
        """Context manager for a call that waits. Raises RateLimited and TooManyConnections as `check` does."""
        self.check(caller)
        with self.counted(caller):
            yield
