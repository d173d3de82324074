"""Threads for CPU-heavy work of jobs, and the handling of work whose step was stopped.

A thread cannot be ended from outside. Work whose step was stopped (time limit, cancellation) goes on computing, but no
longer counts among the PLACES. When it has not ended some seconds later, the worker process lets its jobs end and is
replaced (`engine.jobs.worker.worker`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from engine.core.shared_places import SharedPlaces
from engine.jobs.at_work import MAX_THREADS, AtWork

#: The largest number of computations that run at a time.
PLACES = 4
#: Work that still runs this many seconds after its step was stopped counts as stuck: it will not end by itself soon
#: enough.
STUCK_SECONDS = 5.0


class Threads:
    """The threads of one process, used from one event loop. `stuck` and `left_behind` may be read from any thread."""

    def __init__(self, at_work: AtWork, *, stuck_seconds: float = STUCK_SECONDS) -> None:
        self._at_work = at_work
        self._stuck_seconds = stuck_seconds
        self._places = SharedPlaces(PLACES)
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="step")
        self._left: dict[Future[Any], float] = {}

    async def run(self, job_id: str, work: Callable[..., Any], *args: Any) -> Any:
        """Computes `work(*args)` in a thread for this job, when its workspace has its turn. Returns what it returns, and
        raises what it raises.
        """
        workspace = await self._places.take()
        try:
            future = self._pool.submit(copy_context().run, self._named, job_id, work, args)
            try:
                return await asyncio.wrap_future(future)
            except asyncio.CancelledError:
                if not future.cancel() and not future.done():
                    self._left[future] = time.monotonic()
                    future.add_done_callback(lambda ended: self._left.pop(ended, None))
                raise
        finally:
            self._places.give_back(workspace)

    @property
    def left_behind(self) -> bool:
        """True while work runs whose step was stopped."""
        return bool(self._left)

    @property
    def stuck(self) -> bool:
        """True when such work has run for `stuck_seconds` since its step was stopped."""
        now = time.monotonic()
        return any(now - since >= self._stuck_seconds for since in list(self._left.values()))

    def shutdown(self) -> None:
        """Starts nothing more; does not wait for work that runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _named(self, job_id: str, work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        place = self._at_work.begin_in_thread(job_id)
        try:
            return work(*args)
        finally:
            self._at_work.end_in_thread(place)
