"""Turns of lists on the event loop: a list of a hundred thousand items whose steps never wait holds nobody up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable

from engine.core.shared_places import SharedPlaces

#: The items of all lists of a process compute for so many seconds, then the event loop does everything else once.
TURN_SECONDS = 0.005


class Turns:
    """Gives the turns of one event loop: to one workspace after the other, and in it to one run after the other."""

    __slots__ = ("_ends", "_places")

    def __init__(self) -> None:
        self._places = SharedPlaces(1)
        self._ends = 0.0

    @property
    def is_over(self) -> bool:
        """True when whoever computes has to wait for the next turn of its run."""
        return time.monotonic() >= self._ends

    async def next(self, run: Hashable) -> None:
        """Waits for the next turn of a run; does not wait when nobody computes."""
        workspace = await self._places.take(run)
        self._ends = time.monotonic() + TURN_SECONDS
        # The event loop calls this when it has done everything that is ready.
        asyncio.get_running_loop().call_soon(self._places.give_back, workspace, run)
