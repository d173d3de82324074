"""A number of places at work of one kind, which workspaces share: whoever takes many holds up himself and nobody else."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Hashable
from contextvars import ContextVar
from typing import TypeVar

from engine.core.clock import seconds_in_words

Key = TypeVar("Key")

#: The workspace on whose behalf the code runs; "" for what belongs to none. Tasks that a job starts inherit it.
CURRENT_WORKSPACE: ContextVar[str] = ContextVar("workspace", default="")


class SharedPlaces:
    """A place that becomes free goes to the workspace that has the fewest, and of those with equally many to the one that
    waits for its turn the longest; in it to one part after the other. A part is for example a host.

    A workspace takes a place only while it has fewer than `of_workspace` times those that are free, and a part of it fewer
    than `of_part` times those. So some are left when no place is given back. Only one event loop may use it.
    """

    def __init__(self, places: int, of_workspace: float = math.inf, of_part: float = math.inf) -> None:
        self._free = places
        self._of_workspace = of_workspace
        self._of_part = of_part
        self._workspaces: dict[str, int] = {}
        self._parts: dict[tuple[str, Hashable], int] = {}
        #: Workspace -> its parts -> who waits, both in the order of their turns. Who could have a place waits no longer.
        self._lines: dict[str, dict[Hashable, deque[asyncio.Future[None]]]] = {}

    async def take(self, part: Hashable = "") -> str:
        """Waits for a place and returns the workspace that has it now; `give_back` ends its use.

        When it is cancelled while it waits, the CancelledError has a `Waited`.
        """
        workspace = CURRENT_WORKSPACE.get()
        if not self._took(workspace, part):
            await self._turn(workspace, part)
        return workspace

    def give_back(self, workspace: str, part: Hashable = "") -> None:
        """Ends the use of a place."""
        self._return(workspace, part)
        while self._lines and self._free and self._give_next():
            pass

    def _took(self, workspace: str, part: Hashable) -> bool:
        """Takes a place when there is one for this workspace and part."""
        free, one = self._free, (workspace, part)
        held, of_part = self._workspaces.get(workspace, 0), self._parts.get(one, 0)
        if not free or held >= free * self._of_workspace or of_part >= free * self._of_part:
            return False
        self._free = free - 1
        self._workspaces[workspace] = held + 1
        self._parts[one] = of_part + 1
        return True

    def _return(self, workspace: str, part: Hashable) -> None:
        self._free += 1
        _subtract(self._workspaces, workspace)
        _subtract(self._parts, (workspace, part))

    async def _turn(self, workspace: str, part: Hashable) -> None:
        loop = asyncio.get_running_loop()
        begun, turn = loop.time(), loop.create_future()
        self._lines.setdefault(workspace, {}).setdefault(part, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError as error:
            if turn.cancelled():
                self._forget(workspace, part, turn)
            else:
                self.give_back(workspace, part)  # it was given the place in the same moment
            raise asyncio.CancelledError(Waited(loop.time() - begun)) from error

    def _give_next(self) -> bool:
        """Gives a place to the next who may have it; False when there is nobody."""
        held = self._workspaces.get
        for workspace in sorted(self._lines, key=lambda one: held(one, 0)):  # equal ones stay in their order
            for part in self._lines[workspace]:
                if self._took(workspace, part):
                    turn = self._first(workspace, part)
                    if turn.done():  # it was cancelled
                        self._return(workspace, part)
                    else:
                        turn.set_result(None)
                    return True
        return False

    def _first(self, workspace: str, part: Hashable) -> asyncio.Future[None]:
        """Takes the first of a line out of it; its workspace and part go to the end of theirs with those who are left."""
        parts = self._lines.pop(workspace)
        queue = parts.pop(part)
        turn = queue.popleft()
        if queue:
            parts[part] = queue
        if parts:
            self._lines[workspace] = parts
        return turn

    def _forget(self, workspace: str, part: Hashable, turn: asyncio.Future[None]) -> None:
        """Takes somebody who was cancelled out of the line, unless the turn has passed him by already."""
        parts = self._lines.get(workspace, {})
        queue = parts.get(part)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del parts[part]
            if not parts:
                del self._lines[workspace]


class Waited:
    """Tells that a time limit passed while its work waited for a place, for `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @property
    def why(self) -> str:
        """A sentence for people."""
        seconds = max(1, round(self.seconds))
        return f"It waited its turn for the last {seconds_in_words(seconds)}: other work of this server was before it."

    @classmethod
    def of(cls, error: TimeoutError) -> Waited | None:
        """Returns it for the TimeoutError of `asyncio.timeout`; None when the work did anything else."""
        match error.__cause__:
            case asyncio.CancelledError(args=(Waited() as waited,)):
                return waited
            case _:
                return None


def _subtract(counts: dict[Key, int], key: Key) -> None:
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
