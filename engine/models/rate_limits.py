"""Limits the calls of a model connection: a maximum of concurrent calls, and one pause for all of them.

Waiting calls start in order of arrival. When one call is answered with status 429 and Retry-After, all calls of the
connection pause, so that they do not run into the same rate limit one after another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Hashable


class PauseTooLong(Exception):  # internal signal; the caller turns it into a ModelFailed
    """The provider asked for a pause that ends after the caller's deadline.

    `seconds` is the remaining time of the pause.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class CallLimiter:
    """The concurrency limit and the pause of one connection in one process."""

    def __init__(self) -> None:
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until = 0.0

    @property
    def idle(self) -> bool:
        """True when no call runs or waits and no pause is in effect."""
        return not self._active and not self._waiting and self._pause_left() <= 0

    def pause(self, seconds: float) -> None:
        """Delays the start of all calls for `seconds`; a pause that ends later stays in effect."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    @contextlib.asynccontextmanager
    async def turn(self, at_once: int, deadline: float) -> AsyncIterator[None]:
        """Context manager around a call: waits until fewer than `at_once` calls run and no pause is in effect.

        Raises PauseTooLong when the pause ends after `deadline` (event loop time).
        """
        await self._take(at_once)
        try:
            while (left := self._pause_left()) > 0:
                if asyncio.get_running_loop().time() + left >= deadline:
                    raise PauseTooLong(left)
                await asyncio.sleep(left)
            yield
        finally:
            self._leave(at_once)

    async def _take(self, at_once: int) -> None:
        if self._active < at_once and not self._waiting:
            self._active += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            elif place.done() and not place.cancelled():
                self._leave(at_once)
            raise

    def _leave(self, at_once: int) -> None:
        self._active -= 1
        while self._waiting and self._active < at_once:
            place = self._waiting.popleft()
            if not place.done():
                self._active += 1
                place.set_result(None)

    def _pause_left(self) -> float:
        return self._paused_until - asyncio.get_running_loop().time()


class CallLimiters:
    """The limits of all connections in use. When there are many, idle connections are dropped."""

    _MOST = 200

    def __init__(self) -> None:
        self._limiters: dict[Hashable, CallLimiter] = {}

    def of(self, connection: Hashable) -> CallLimiter:
        """Returns the limits of one connection; creates them on first use."""
        found = self._limiters.get(connection)
        if found is None:
            if len(self._limiters) >= self._MOST:
                self._limiters = {key: limiter for key, limiter in self._limiters.items() if not limiter.idle}
            found = self._limiters[connection] = CallLimiter()
        return found
