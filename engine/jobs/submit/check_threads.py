"""Threads in which bodies are checked and examples are made, beside the threads that read and the one that writes.

A check may take a second (`engine.flow.payload_check.STEPS_OF_BATCH`), and an example a few tenths
(`engine.flow.made_up_values`). In a reader or in a transaction everybody would wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from engine.core.errors import RateLimited

P = ParamSpec("P")
T = TypeVar("T")

#: How many checks run at the same time.
THREADS: Final = 2
#: How many pieces of one sender may wait for their turn; the largest plan has as many jobs at once.
MAX_WAITING: Final = 100
#: The sender of what visitors of a flow's docs are shown, who may be strangers.
DOCS: Final = "docs"


class CheckThreads:
    """Runs work in threads of its own: for each workspace one piece at a time, and in it for one sender after the other.
    So whoever sends much waits for himself and holds at most one thread; as two workspaces hold all, a piece takes a
    second or so at most. Only one event loop may use it. `name` is that of the threads.
    """

    def __init__(self, name: str = "check") -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=name)  # a thread begins when there is work
        #: Workspace for which work runs -> its senders in the order of their turns -> who waits.
        self._lines: dict[str, dict[str, deque[asyncio.Future[None]]]] = {}

    def waiting(self, workspace_id: str, sender: str) -> int:
        """Returns how many pieces of this sender wait for their turn."""
        return len(self._lines.get(workspace_id, {}).get(sender, ()))

    async def run(self, workspace_id: str, sender: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns the result of `work`. `sender`: on whose behalf inside the workspace, for example the id of a key or of a
        person. Raises RateLimited when MAX_WAITING pieces of this sender wait, and what `work` raises.
        """
        if self.waiting(workspace_id, sender) >= MAX_WAITING:
            raise RateLimited(
                f"{MAX_WAITING} requests wait until their data are checked",
                remedy="Send it again in a few seconds, and fewer at the same time",
                retry_after=1,
            )
        await self._turn(workspace_id, sender)
        try:
            running = asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*args, **kwargs))
        except BaseException:
            self._next(workspace_id)
            raise
        running.add_done_callback(lambda _: self._next(workspace_id))  # also when nobody waits for the result any more
        return await asyncio.shield(running)

    async def _turn(self, workspace_id: str, sender: str) -> None:
        line = self._lines.get(workspace_id)
        if line is None:
            self._lines[workspace_id] = {}
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.setdefault(sender, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._forget(line, sender, turn)
            else:
                self._next(workspace_id)  # it was given the turn in the same moment
            raise

    @staticmethod
    def _forget(line: dict[str, deque[asyncio.Future[None]]], sender: str, turn: asyncio.Future[None]) -> None:
        """Takes somebody who was cancelled out of the line, unless the turn has passed him by already."""
        queue = line.get(sender)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del line[sender]

    def _next(self, workspace_id: str) -> None:
        """Gives the turn to the next sender of a workspace, who goes to the end of the line with what he has left."""
        line = self._lines[workspace_id]
        while line:
            sender = next(iter(line))
            queue = line.pop(sender)
            while queue:
                turn = queue.popleft()
                if turn.done():
                    continue  # cancelled
                if queue:
                    line[sender] = queue
                turn.set_result(None)
                return
        del self._lines[workspace_id]
