"""Threads in which bodies are checked and examples are made, beside the threads that read and the one that writes.

A check may take a second (`engine.flow.payload_check.STEPS_OF_BATCH`). In a reader or in a transaction everybody would
wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar
from weakref import WeakValueDictionary

P = ParamSpec("P")
T = TypeVar("T")

#: How many checks run at the same time.
THREADS: Final = 2


class CheckThreads:
    """Runs work in threads of its own: for each subject one piece at a time, so that whoever sends much waits for himself
    and holds at most one thread. Only one event loop may use it.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="check")  # a thread begins when there is work
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, subject: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns the result of `work`. `subject`: on whose behalf, for example a workspace."""
        turn = self._turns.get(subject)
        if turn is None:
            turn = self._turns[subject] = asyncio.Lock()
        await turn.acquire()
        try:
            running = asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*args, **kwargs))
        except BaseException:
            turn.release()
            raise
        running.add_done_callback(lambda _: turn.release())  # also when nobody waits for the result any more
        return await asyncio.shield(running)
