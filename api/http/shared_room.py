"""Room for what is being received, which its owners share: workspaces, and networks where no key is known yet.

Nobody keeps others out. When the room is full, whoever has most of it gives way to an owner with less: one of his places
ends, at best one on which little arrives. An owner also gets no new room while slow ones of his own could end instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from engine.core.errors import TooManyConnections

#: What arrives with fewer bytes a second is slow: it ends first when room is needed.
SLOW: Final = 64 * 1024
#: Over how many seconds that is measured.
_WINDOW: Final = 1.0


class GivenUp(Exception):  # an expected event
    """The place was ended because somebody else needs its room."""


class RoomPlace:
    """The room of one request. `taken` is in the units of the room."""

    def __init__(self, room: SharedRoom, owner: str) -> None:
        self.taken = 0
        self.owner = owner
        self._room = room
        self._limit: asyncio.Timeout | None = None
        self._given_up = False
        self._arrived = self._arrived_before = 0
        self._since = room.clock()
        self._was_slow = False

    def take(self, taken: int) -> None:
        """Makes this place so large. Raises TooManyConnections when there is no room."""
        self._room.change(self, taken)

    def arrived(self, size: int) -> None:
        """Notes that so many bytes more have arrived."""
        now = self._room.clock()
        if now - self._since >= _WINDOW:
            self._was_slow = self.is_slow(now)
            self._since, self._arrived_before = now, self._arrived
        self._arrived += size

    def is_slow(self, now: float) -> bool:
        """Tells whether little arrived in the last second or two."""
        seconds = now - self._since
        return self._was_slow if seconds < _WINDOW else self._arrived - self._arrived_before < SLOW * seconds

    @contextlib.asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Context manager in which the request is received. Raises TimeoutError after so many seconds, and GivenUp when
        the place ends before.
        """
        try:
            async with asyncio.timeout(seconds) as self._limit:
                yield
        except TimeoutError:
            if self._given_up:
                raise GivenUp from None
            raise
        finally:
            self._limit = None

    @property
    def may_end(self) -> bool:
        """Tells whether the place can be ended: what has arrived in full is soon gone by itself."""
        return self._limit is not None and not self._limit.expired()

    def end(self) -> None:
        """Ends receiving, and gives the room back at once."""
        assert self._limit is not None
        self._given_up = True
        self._limit.reschedule(asyncio.get_running_loop().time())
        self._limit = None
        self._room.change(self, 0)


class SharedRoom:
    """Gives places to owners. Only one event loop may use it. `most`: what all places have together; `most_of_one`: what
    those of one owner have, unless he has a single one.
    """

    def __init__(self, most: int, most_of_one: int, full: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.most_of_one = most_of_one
        self.clock = clock
        self._full = full
        #: What all places have together.
        self.taken = 0
        self._taken: Counter[str] = Counter()
        self._places: defaultdict[str, dict[RoomPlace, None]] = defaultdict(dict)

    @contextlib.contextmanager
    def place(self, owner: str) -> Iterator[RoomPlace]:
        """Context manager with a place, which has nothing yet."""
        place = RoomPlace(self, owner)
        try:
            yield place
        finally:
            if place.taken:
                self.change(place, 0)

    def change(self, place: RoomPlace, taken: int) -> None:
        """Sets what a place has, and ends others if that is needed. Raises TooManyConnections."""
        owner, places = place.owner, self._places[place.owner]
        grown = taken > place.taken
        self.taken += taken - place.taken
        self._taken[owner] += taken - place.taken
        place.taken = taken
        if taken:
            places[place] = None
        else:
            places.pop(place, None)
            if not places:
                del self._places[owner], self._taken[owner]
        if grown:
            self._make_room(place)

    def _make_room(self, place: RoomPlace) -> None:
        owner = place.owner
        while self._taken[owner] > self.most_of_one and len(self._places[owner]) > 1:
            self._end(self._slow_one(owner, place))
        while self.taken > self.most:
            self._end(self._one_of_others(owner) or self._slow_one(owner, place))

    def _one_of_others(self, owner: str) -> RoomPlace | None:
        """Returns the place to end of those who have more than this owner: a slow one of whoever has most, or else the last
        one of whoever has most.
        """
        own, now = self._taken[owner], self.clock()
        others = sorted((other for other, taken in self._taken.items() if taken > own), key=self._taken.__getitem__)
        ending = [place for other in reversed(others) for place in reversed(self._places[other]) if place.may_end]
        return next((place for place in ending if place.is_slow(now)), ending[0] if ending else None)

    def _slow_one(self, owner: str, asking: RoomPlace) -> RoomPlace | None:
        now = self.clock()
        return next(
            (place for place in self._places[owner] if place is not asking and place.may_end and place.is_slow(now)),
            None,
        )

    def _end(self, place: RoomPlace | None) -> None:
        if place is None:
            raise self.refusal()
        place.end()

    def refusal(self) -> TooManyConnections:
        """Returns the refusal of whom there is no room for."""
        return TooManyConnections(self._full, remedy="Send the request again in a few seconds, or a smaller one.")
