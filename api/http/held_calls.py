"""Bounds the connections that calls hold which wait: `?wait`, calls of tools over MCP, and event streams (rule S29).

Behind a proxy all callers have one address, so that the limit of an address cannot keep one of them from taking every
connection. A workspace may hold half of them, with all of its keys, and all workspaces together leave one in twenty to the
calls and pages that are answered at once. A call whose client has gone holds none: its connection makes room for a new one.
"""

from __future__ import annotations

from collections import Counter

from starlette.requests import Request

from engine.core.errors import RateLimited, TooManyConnections
from engine.jobs.submit.accept import Caller

RETRY_AFTER_SECONDS = 5
#: The key of the connection's Peer in the scope of a request.
PEER = "flowport.peer"


class Peer:
    """The client's end of one connection. Only the event loop may use it."""

    __slots__ = ("has_ended", "is_lost", "places")

    def __init__(self) -> None:
        #: The client sends nothing more. It has closed its connection, or only reads on, which look the same.
        self.has_ended = False
        #: Nothing reaches the client any more.
        self.is_lost = False
        #: Those of the calls on this connection that wait.
        self.places: list[Place] = []

    def end(self, *, lost: bool) -> None:
        """Gives the places of its calls back: from now on the connection may be closed for a new one."""
        self.has_ended = True
        self.is_lost = self.is_lost or lost
        for place in self.places:
            place.give_back()


class Place:
    """Context manager of one call that waits. Its place is taken until its end, or that of its client if that is sooner."""

    __slots__ = ("_held", "_is_taken", "_peer", "_workspace_id")

    def __init__(self, held: HeldCalls, workspace_id: str, peer: Peer) -> None:
        self._held = held
        self._workspace_id = workspace_id
        self._peer = peer
        self._is_taken = False

    def __enter__(self) -> Peer:
        if not self._peer.has_ended:
            self._is_taken = True
            self._held.add(self._workspace_id, 1)
            self._peer.places.append(self)
        return self._peer

    def __exit__(self, *_error: object) -> None:
        if self in self._peer.places:
            self._peer.places.remove(self)
        self.give_back()

    def give_back(self) -> None:
        """Counts the call no more; does nothing when it is not counted."""
        if self._is_taken:
            self._is_taken = False
            self._held.add(self._workspace_id, -1)


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

    def counted(self, caller: Caller, request: Request) -> Place:
        """Returns the place of a call that waits, of a caller who was checked."""
        return Place(self, caller.workspace_id, request.scope.get(PEER) or Peer())

    def place(self, caller: Caller, request: Request) -> Place:
        """Returns the place of a call that waits. Raises RateLimited and TooManyConnections as `check` does."""
        self.check(caller)
        return self.counted(caller, request)

    def add(self, workspace_id: str, calls: int) -> None:
        """Counts so many calls more of a workspace; for `Place` alone."""
        self.taken += calls
        self._of_workspace[workspace_id] += calls
        if not self._of_workspace[workspace_id]:
            del self._of_workspace[workspace_id]
