"""Turns at a model connection: so many calls at once, and one pause for all when the provider asks for it.

Calls wait in the order in which they came. What one call is told (status 429 with Retry-After) holds for every call of the
connection: the others do not run into the same wall one after another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Hashable


class PauseTooLong(Exception):  # noqa: N818 - told in words of its own
    """The provider wants a pause that lasts longer than the caller can wait. `seconds` of it are left."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Turns:
    """The turns of one connection in one process."""

    def __init__(self) -> None:
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until = 0.0

    @property
    def idle(self) -> bool:
        """True when nobody calls, waits or has to pause."""
        return not self._active and not self._waiting and self._pause_left() <= 0

    def pause(self, seconds: float) -> None:
        """Nobody begins a call for so long; a longer pause that was asked for before stays."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    @contextlib.asynccontextmanager
    async def turn(self, at_once: int, deadline: float) -> AsyncIterator[None]:
        """Waits until there is room and no pause. Raises PauseTooLong when the pause ends after `deadline` (loop time)."""
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


class AllTurns:
    """The turns of every connection in use; those of connections that are quiet are forgotten."""

    _MOST = 200

    def __init__(self) -> None:
        self._turns: dict[Hashable, Turns] = {}

    def of(self, connection: Hashable) -> Turns:
        """The turns of one connection."""
        found = self._turns.get(connection)
        if found is None:
            if len(self._turns) >= self._MOST:
                self._turns = {key: turns for key, turns in self._turns.items() if not turns.idle}
            found = self._turns[connection] = Turns()
        return found
