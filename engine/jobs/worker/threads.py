"""Threads for CPU-heavy work of jobs, and what becomes of work that nobody waits for any more.

A thread cannot be ended. Work whose step was stopped (time limit, cancel) goes on computing: it gives its place to others, and
when it has not ended some seconds later, the worker process lets its jobs end and is replaced (`engine.jobs.worker.worker`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from engine.jobs.at_work import MOST_THREADS, AtWork

#: So many pieces of work compute at a time.
PLACES = 4
#: Work that goes on for so long after its step was stopped does not end by itself in any useful time.
STUCK_SECONDS = 5.0


class Threads:
    """The threads of one process, used from one event loop. `stuck` and `left_behind` may be asked from any thread."""

    def __init__(self, at_work: AtWork, *, stuck_seconds: float = STUCK_SECONDS) -> None:
        self._at_work = at_work
        self._stuck_seconds = stuck_seconds
        self._places = asyncio.Semaphore(PLACES)
        self._pool = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="step")
        self._left: dict[Future[Any], float] = {}

    async def run(self, job_id: str, work: Callable[..., Any], *args: Any) -> Any:
        """What `work` returns or raises, computed in a thread for this job."""
        async with self._places:
            future = self._pool.submit(self._named, job_id, work, args)
            try:
                return await asyncio.wrap_future(future)
            except asyncio.CancelledError:
                if not future.cancel() and not future.done():
                    self._left[future] = time.monotonic()
                    future.add_done_callback(lambda ended: self._left.pop(ended, None))
                raise

    @property
    def left_behind(self) -> bool:
        """True while something computes that nobody waits for."""
        return bool(self._left)

    @property
    def stuck(self) -> bool:
        """True when such work has not ended for long."""
        now = time.monotonic()
        return any(now - since >= self._stuck_seconds for since in list(self._left.values()))

    def shutdown(self) -> None:
        """Begins nothing more; does not wait for what runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _named(self, job_id: str, work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        place = self._at_work.begin_in_thread(job_id)
        try:
            return work(*args)
        finally:
            self._at_work.end_in_thread(place)
