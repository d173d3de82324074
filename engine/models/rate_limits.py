"""Limits the calls of a model connection: a maximum of concurrent calls, and one pause for all of a model.

Calls that wait for a place start in order of arrival. When one call is answered with status 429 and Retry-After, all calls of its model
pause, so that they do not run into the same rate limit one after another. Providers limit each model by itself, so the
calls of other models go on: a call that pauses takes no place of theirs.
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
    """The concurrency limit of one connection and the pauses of its models in one process."""

    def __init__(self) -> None:
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        #: Model -> end of its pause.
        self._paused: dict[str, float] = {}

    @property
    def idle(self) -> bool:
        """True when no call runs or waits and no pause is in effect."""
        return not self._active and not self._waiting and all(self._pause_left(model) <= 0 for model in self._paused)

    def pause(self, seconds: float, model: str = "") -> None:
        """Delays the start of all calls of a model for `seconds`; a pause that ends later stays in effect."""
        self._paused[model] = max(self._paused.get(model, 0.0), asyncio.get_running_loop().time() + seconds)

    @contextlib.asynccontextmanager
    async def turn(self, at_once: int, deadline: float, model: str = "") -> AsyncIterator[None]:
        """Context manager around a call: waits until fewer than `at_once` calls run and no pause of the model is in effect.

        Raises PauseTooLong when the pause ends after `deadline` (event loop time).
        """
        await self._take(at_once)
        while (left := self._pause_left(model)) > 0:
            self._leave(at_once)
            if asyncio.get_running_loop().time() + left >= deadline:
                raise PauseTooLong(left)
            await asyncio.sleep(left)
            await self._take(at_once)
        self._paused.pop(model, None)
        try:
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

    def _pause_left(self, model: str) -> float:
        until = self._paused.get(model)
        return 0.0 if until is None else until - asyncio.get_running_loop().time()


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
