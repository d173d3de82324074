"""What the open pages of a server share of what they read again and again, so that fifty tabs in which nothing happens
ask the database no more than a few.

All of it holds while nothing was committed, and for SAME_SECONDS at most, because time passes too. With PostgreSQL, which
has no number of commits, nothing is shared.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec import Struct

from engine.core.clock import SECOND
from storage.database import Database
from storage.sqlite_file import read_version

T = TypeVar("T")

#: For how long a repeated query has the same answer while nothing is committed.
SAME_SECONDS = 10
#: For how long all pages share what was committed.
MOMENT_SECONDS = 0.1
#: How many browsers are remembered at most, and how many answers to one query, which may be another for each person.
MAX_KEPT = 1_000


class Moment(Struct, frozen=True):
    """How many commits there were (None with PostgreSQL) and what time it was, in milliseconds."""

    version: int | None
    at: int

    def still_holds(self, now: Moment) -> bool:
        """True when what was read at this moment would be read the same `now`."""
        return (
            self.version is not None and self.version == now.version and 0 <= now.at - self.at < SAME_SECONDS * SECOND
        )


class Committed:
    """The number that SQLite changes with each commit, read once for all pages that look within a moment."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._until = 0.0

    def read(self, database: Database) -> int | None:
        """Returns the number; None with PostgreSQL, which has none."""
        if database.is_postgres:
            return None
        at = database.clock.monotonic()
        if at >= self._until:
            self._version, self._until = database.look_up(read_version), at + MOMENT_SECONDS
        return self._version

    def moment(self, database: Database) -> Moment:
        """Returns the present moment of this database."""
        return Moment(self.read(database), database.clock.now())

    def forget(self) -> None:
        """Has the number read anew."""
        self._until = 0.0


class SessionChecks:
    """When each browser's session was last found to be there: the tabs of one browser need not all ask."""

    def __init__(self) -> None:
        self._last: dict[str, Moment] = {}

    def holds(self, cookie: str, now: Moment) -> bool:
        """True when the session was found a short time ago, and nothing was committed since."""
        last = self._last.get(cookie)
        return last is not None and last.still_holds(now)

    def note(self, cookie: str, moment: Moment) -> None:
        """Remembers that the session was there at this moment."""
        if len(self._last) >= MAX_KEPT:
            self._last.clear()
        self._last[cookie] = moment


class Answer(Struct, frozen=True):
    """The answer to a query, the arguments it was asked with, and when."""

    asked: tuple[Any, ...]
    moment: Moment
    value: Any


@dataclass
class Answers:
    """The answers to repeated queries, shared by the pages of a workspace. A page must not change what it gets."""

    #: The newest commit of which an answer is known; answers of earlier ones are dropped.
    _version: int | None = None
    #: Per workspace and query the last answers, one for each set of arguments.
    _known: dict[tuple[str, Callable[..., Any]], deque[Answer]] = field(default_factory=dict)

    def find(self, workspace_id: str, query: Callable[..., Any], asked: tuple[Any, ...], now: Moment) -> Answer | None:
        """Returns the answer that the query would give now, if it was asked with the same arguments."""
        for one in self._known.get((workspace_id, query), ()):
            if one.asked == asked and one.moment.still_holds(now):
                return one
        return None

    def note(self, workspace_id: str, query: Callable[..., Any], answer: Answer) -> None:
        """Keeps an answer for other pages."""
        if answer.moment.version is None:
            return
        if answer.moment.version != self._version:
            self._known.clear()
            self._version = answer.moment.version
        kept = self._known.setdefault((workspace_id, query), deque(maxlen=MAX_KEPT))
        while kept and not kept[0].moment.still_holds(answer.moment):
            kept.popleft()
        kept.append(answer)


class SharedReads:
    """What is being read at this moment: all pages look at the same beat (`ui/pulse.py`), and those that want the same wait
    for the one that asks first.
    """

    def __init__(self) -> None:
        #: Those that waited go on one by one: each then draws, and other work of the event loop comes in between.
        self._turn = asyncio.Lock()
        #: By key what is read under it: the arguments, the version, and the answer to come; None when the read failed.
        self._under_way: dict[Hashable, list[tuple[object, int, asyncio.Future[tuple[Any] | None]]]] = {}

    async def share(self, key: Hashable, asked: object, version: int | None, read: Callable[[], Awaitable[T]]) -> T:
        """Returns what `read` gives, or what the same read of another page gives, if that began at the same version.

        When the other one fails or its page is closed, each page that waited calls its own `read`. With PostgreSQL nothing is
        shared.
        """
        if version is None:
            return await read()
        if other := self._find(key, asked, version):
            await asyncio.wait([other])
            async with self._turn:
                await asyncio.sleep(0)
            answer = other.result()
            return await read() if answer is None else answer[0]
        mine = (asked, version, asyncio.get_running_loop().create_future())
        self._under_way.setdefault(key, []).append(mine)
        answer_of_mine: tuple[T] | None = None
        try:
            answer_of_mine = (await read(),)
            return answer_of_mine[0]
        finally:
            self._under_way[key].remove(mine)
            if not self._under_way[key]:
                del self._under_way[key]
            mine[2].set_result(answer_of_mine)

    def _find(self, key: Hashable, asked: object, version: int) -> asyncio.Future[tuple[Any] | None] | None:
        for other_asked, other_version, to_come in self._under_way.get(key, ()):
            if other_version == version and other_asked == asked:
                return to_come
        return None
