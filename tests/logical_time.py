"""Simulated time for tests in one process: an event loop whose clock stops while work is running and skips idle
waiting.

    def pytest_asyncio_loop_factories(config, item):      in the conftest.py of a folder
        return loop_factories(item)

A time limit of 50 ms cannot expire because the machine is busy, a sleep of a minute takes no real time, and after
`pass_time(0.3)` everything that was due within 0.3 s has happened, even on a slow machine. `LogicalClock` gives the
loop's time to the code under test. Before time advances, the loop waits for work in executor threads and in a
database's writer thread. While a socket or pipe is registered with the loop, it uses real time.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

import anyio.to_thread

from engine.core.clock import DAY, SECOND, Millis, MovedClock
from storage.database import Database
from tests.postgres_cluster import POSTGRES
from tests.tiers import PROCESS_FIXTURES

#: Real seconds that a busy thread may take before simulated time advances in spite of it.
PATIENCE_SECONDS = 20.0


class UnderWay:
    """Counts the work in threads whose completion the loop has not processed yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self, number: int) -> None:
        with self._lock:
            self.count += number


WRITES = UnderWay()


class LogicalLoop(asyncio.SelectorEventLoop):
    """An event loop with simulated time, as described in the module docstring."""

    BEGIN = 1_000.0
    #: The loop of the running test.
    current: ClassVar[LogicalLoop | None] = None

    def __init__(self) -> None:
        LogicalLoop.current = self
        self._at = self.BEGIN
        self._threads: Executor | None = None
        self.under_way = UnderWay()
        super().__init__(Skipping(self))

    def time(self) -> float:
        return self._at

    def pass_time(self, seconds: float) -> None:
        self._at += seconds

    @property
    def busy(self) -> bool:
        """True while a thread works for this loop or a database writes."""
        return self.under_way.count > 0 or WRITES.count > 0

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        if executor is None:
            executor = self._threads = self._threads or ThreadPoolExecutor(8, "asyncio")
        work = executor.submit(func, *args)
        self.under_way.add(1)
        # registered first, so that the loop is notified before the counter decreases
        answer = asyncio.wrap_future(work, loop=self)
        work.add_done_callback(lambda _: self.under_way.add(-1))
        return answer

    def close(self) -> None:
        if LogicalLoop.current is self:
            LogicalLoop.current = None
        super().close()
        if self._threads is not None:
            self._threads.shutdown(wait=False)


@dataclass
class LogicalClock(MovedClock):
    """A clock for simulated time.

    `monotonic` is the time of the test's loop, in every thread. The wall clock starts at noon, far from the boundary of
    a minute, hour or day, and advances with skipped time too.
    """

    _begun: float = field(default_factory=time.monotonic)

    def now(self) -> Millis:
        noon = time.time_ns() // 1_000_000 // DAY * DAY + DAY // 2
        loop = LogicalLoop.current
        passed = time.monotonic() - self._begun + (loop.time() - LogicalLoop.BEGIN if loop else 0.0)
        return Millis(noon + 5 * SECOND + round(passed * 1000) + self.offset)

    def monotonic(self) -> float:
        loop = LogicalLoop.current
        return super().monotonic() if loop is None else loop.time()


#: A time in September 2026.
STILL_AT = Millis(1_790_000_000_000)


@dataclass
class StillClock:
    """A clock that changes only when a test sets it, for assertions to the millisecond."""

    at: Millis = STILL_AT

    def now(self) -> Millis:
        return self.at

    def monotonic(self) -> float:
        return self.at / SECOND


class Skipping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """The selector of LogicalLoop: waits for file descriptors, or advances the simulated time to the next timer."""

    #: Number of file descriptors of the loop itself: the pipe through which threads wake it.
    OWN = 1

    def __init__(self, loop: LogicalLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if len(self.get_map()) > self.OWN:
            begun = time.monotonic()
            found = super().select(timeout)
            self._loop.pass_time(min(time.monotonic() - begun, timeout) if found else timeout)
            return found
        until = time.monotonic() + PATIENCE_SECONDS
        found = super().select(0)
        while not found and self._loop.busy and time.monotonic() < until:
            found = super().select(0.05)  # a thread that finishes wakes the loop
        found = found or super().select(0)  # picks up notifications of work that ended just now
        if not found:
            self._loop.pass_time(timeout)
        return found


async def pass_time(seconds: float) -> None:
    """Lets simulated time pass. Afterwards everything that was due within it has happened."""
    await asyncio.sleep(seconds)


def loop_factories(item: Any) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Chooses the loop of a test. Tests that use a process or a server run in real time."""
    marked = any(map(item.get_closest_marker, ("process", "browser", "slow")))
    real = marked or "browser" in item.fixturenames or PROCESS_FIXTURES.intersection(item.fixturenames)
    return {"real": asyncio.new_event_loop} if real else {"logical": LogicalLoop}


def _count_writes() -> None:
    """Patches Database so that the loop knows when a write and its notifications are complete."""

    def counted(kind: type[Database], name: str, count: Callable[..., int], *, after: bool) -> None:
        plain = getattr(kind, name)

        def method(database: Database, *args: Any) -> None:
            if not after:
                WRITES.add(count(*args))
            try:
                plain(database, *args)
            except BaseException:
                if not after:
                    WRITES.add(-count(*args))
                raise
            finally:
                if after:
                    WRITES.add(-count(*args))

        setattr(kind, name, method)

    if POSTGRES:
        from storage.postgres.database import PostgresDatabase

        counted(PostgresDatabase, "_submit", lambda _write: 1, after=False)
        counted(PostgresDatabase, "_write_together", len, after=True)
    else:
        counted(Database, "_submit", lambda _write: 1, after=False)
        counted(Database, "_give", lambda answers, _notices: len(answers), after=True)  # perhaps in another thread


def _count_threads() -> None:
    """Patches anyio so that the loop knows about the threads that Starlette uses."""
    run_sync = anyio.to_thread.run_sync

    async def counted(*args: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        under_way = loop.under_way if isinstance(loop, LogicalLoop) else UnderWay()
        under_way.add(1)
        try:
            return await run_sync(*args, **options)
        finally:
            under_way.add(-1)

    anyio.to_thread.run_sync = counted  # type: ignore[assignment]


_count_writes()
_count_threads()
