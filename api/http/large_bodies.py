"""Holds the large bodies of answers while they are sent: one copy of each for all who read it, within bounds (rule S29).

A client reads as slowly as it likes, and what it has not read yet stays in memory. So a client has a time that depends on
the size, a workspace has half of what all bodies may have together, and when that is all taken, the oldest body of whoever
has most gives way to a workspace with less.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.http.held_calls import Peer, peer_of
from engine.core.errors import RateLimited, TooManyConnections

#: Larger bodies are counted.
LARGE: Final = 64 * 1024
#: What all bodies that are being sent may have together, in bytes.
MOST: Final = 256 * 1024 * 1024
#: A body must be read within so many seconds, and one more for each so many bytes.
READ_SECONDS: Final = 60
BYTES_A_SECOND: Final = 32 * 1024
#: A body that has been there for fewer seconds does not give way to another workspace.
KEPT_SECONDS: Final = 10
RETRY_AFTER_SECONDS: Final = 5


class Body:
    """A body that is being made or sent. `since` is the time of the event loop."""

    __slots__ = ("owner", "peers", "since", "size", "task")

    def __init__(self, owner: str, size: int, since: float) -> None:
        self.owner = owner
        self.size = size
        self.since = since
        #: Who reads it.
        self.peers: list[Peer] = []
        self.task: asyncio.Future[bytes] | None = None

    async def content(self, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Returns what `make` returns, which is called for the first who asks. Raises what it raises."""
        if self.task is None:
            self.task = asyncio.ensure_future(make())
        return await asyncio.shield(self.task)  # who leaves stops it for nobody else


class LargeBodies:
    """Counts the bodies of a process; only its event loop may use it. `most`: what they may have together, in bytes; half of
    it those of one workspace.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        #: What they have together.
        self.taken = 0
        self._of_owner: Counter[str] = Counter()
        #: In the order in which they came.
        self._bodies: dict[Hashable, Body] = {}

    @contextlib.contextmanager
    def body(self, owner: str, size: int, peer: Peer, key: str | None = None) -> Iterator[Body]:
        """Context manager of one who reads a body of about `size` bytes. Those who read the body of the same key share it.
        Raises RateLimited and TooManyConnections when there is no room for it.
        """
        name = (owner, key) if key else object()
        body = self._bodies.get(name)
        if body is None:
            self._make_room(owner, size)
            body = self._bodies[name] = Body(owner, size, asyncio.get_running_loop().time())
            self._count(body, size)
        body.peers.append(peer)
        try:
            yield body
        finally:
            body.peers.remove(peer)
            if not body.peers:
                self._forget(name, body)

    def _make_room(self, owner: str, size: int) -> None:
        most_of_one = self.most // 2
        if self._of_owner[owner] + size > most_of_one:
            raise RateLimited(
                f"Your large answers that are still being read have {most_of_one >> 20} MiB together",
                remedy="Send it again in a few seconds. Read answers to their end, and fewer of them at the same time",
                retry_after=RETRY_AFTER_SECONDS,
            )
        while self.taken + size > self.most:
            greatest, taken = self._of_owner.most_common(1)[0]
            found = ((name, body) for name, body in self._bodies.items() if body.owner == greatest)
            name, oldest = next(found)
            age = asyncio.get_running_loop().time() - oldest.since
            if taken <= self._of_owner[owner] + size or age < KEPT_SECONDS:
                raise TooManyConnections(
                    f"Large answers that are being read have {self.most >> 20} MiB together",
                    remedy="Send it again in a few seconds",
                    retry_after=RETRY_AFTER_SECONDS,
                )
            for peer in oldest.peers:
                peer.cut_off()
            self._forget(name, oldest)

    def _forget(self, name: Hashable, body: Body) -> None:
        """Counts a body no more; does nothing when it is not counted."""
        if self._bodies.get(name) is body:
            del self._bodies[name]
            self._count(body, -body.size)

    def _count(self, body: Body, size: int) -> None:
        self.taken += size
        self._of_owner[body.owner] += size
        if not self._of_owner[body.owner]:
            del self._of_owner[body.owner]


def json_answer(bodies: LargeBodies, owner: str, content: bytes) -> Response:
    """Returns the answer with this JSON, which is not to be kept by caches. `owner`: a workspace, or the network of a caller
    without a key.
    """
    headers = {"Cache-Control": "no-store"}
    if len(content) <= LARGE:
        return Response(content, headers=headers, media_type="application/json")

    async def make() -> bytes:
        return content

    return LargeAnswer(bodies, owner, len(content), make, headers)


@contextlib.contextmanager
def in_time(peer: Peer, size: int) -> Iterator[None]:
    """Context manager in which a client is sent `size` bytes; one that does not read them in time is cut off."""
    timer = asyncio.get_running_loop().call_later(READ_SECONDS + size / BYTES_A_SECOND, peer.cut_off)
    try:
        yield
    finally:
        timer.cancel()


class LargeAnswer(Response):
    """An answer with a large body, which `make` makes when there is room for it: `size` is about its size. Whoever is sent
    the body of the same `key` at the same time shares it. `around`: what is sent before and after it.
    """

    media_type = "application/json"

    def __init__(
        self,
        bodies: LargeBodies,
        owner: str,
        size: int,
        make: Callable[[], Awaitable[bytes]],
        headers: Mapping[str, str],
        *,
        key: str | None = None,
        around: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._bodies = bodies
        self._owner = owner
        self._size = size
        self._make = make
        self._key = key
        self._around = around

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        peer = peer_of(scope)
        with self._bodies.body(self._owner, self._size, peer, self._key) as body:
            content = await body.content(self._make)
            before, after = self._around
            length = len(before) + len(content) + len(after)
            self.headers["content-length"] = str(length)
            with in_time(peer, length):
                start: dict[str, Any] = {"status": self.status_code, "headers": self.raw_headers}
                await send({"type": "http.response.start", **start})
                await send({"type": "http.response.body", "body": before, "more_body": True})
                await send({"type": "http.response.body", "body": content, "more_body": True})
                await send({"type": "http.response.body", "body": after})
