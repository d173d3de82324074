"""Starts schedules when they are due: a task on the event loop of the server, which sleeps until the next one.

The due schedules of one workspace are started one after the other, and those of different workspaces side by side: the
check of costly inputs, which may take a second, delays those of its own workspace only.

Several servers may run it on one database: each slot is claimed in the transaction that accepts its jobs. Without
schedules it reads one number every LOOK_SECONDS.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Sequence

from engine.core.clock import MINUTE
from engine.core.do_first import TOO_MUCH_FIRST
from engine.core.errors import Refusal, Unavailable
from engine.core.log_throttle import LogThrottle
from engine.jobs.submit.bodies import MAX_CHECKS, NotChecked
from engine.jobs.submit.check_threads import CheckThreads
from engine.jobs.submit.scheduled import (
    SCHEDULER,
    check_inputs,
    correct_slots,
    find_costly_inputs,
    list_late_slots,
    refuse_slot,
    start_slot,
    trouble_of,
)
from storage.database import Database
from storage.schedules import DueSchedule, list_due, next_due_at

log = logging.getLogger(__name__)

#: The longest sleep, in seconds: the wall clock may be set, and other processes may change schedules.
LOOK_SECONDS = 30.0
#: Seconds until the next try while the data folder cannot be written, or an input changes whenever it is checked.
AGAIN_SECONDS = 5.0
#: How often the slots that schedules wait for are compared with the clock, in milliseconds. One that is too late twice is
#: corrected: after one time the clock itself might be wrong, as that of a machine which has just started.
COMPARE_MS = 10 * MINUTE
#: The workspaces whose schedules are started at the same time; further ones wait until one is done.
MAX_WORKSPACES = 20
#: How many due schedules are read at once.
_PAGE = 50
#: On whose behalf inputs are checked inside a workspace.
_SENDER = "schedules"
_FAULT = {
    "code": "internal",
    "title": "Flowport could not start it",
    "detail": "An unexpected error happened; the log of the server has its details",
    "remedy": "Start it by hand to see if it happens again, and report it to whoever runs the server.",
}


class Scheduler:
    """Runs from `start` until `stop`, which are called on the event loop. `pass_over` does what is due now, for tests."""

    def __init__(self, database: Database, threads: CheckThreads | None = None) -> None:
        """`threads`: in which inputs with patterns are checked; those of the whole server."""
        self._database = database
        self._threads = threads or CheckThreads()
        #: Workspace -> what starts its due schedules, or waits after a failure before it is looked at again.
        self._busy: dict[str, asyncio.Task[None] | asyncio.TimerHandle] = {}
        self._compared_at: int | None = None
        #: Slots that were too late when they were compared, as `list_late_slots` returns them.
        self._late: dict[tuple[str, int], int] = {}
        self._changed = asyncio.Event()
        self._log_throttle = LogThrottle()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts the task, which notices changes of schedules by this process at once."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._changed.set)

        self._database.info[SCHEDULER] = wake
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends the task; a start that is being written is finished by the database."""
        self._database.info.pop(SCHEDULER, None)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        busy = list(self._busy.values())
        for one in busy:
            one.cancel()
        await asyncio.gather(*(one for one in busy if isinstance(one, asyncio.Task)), return_exceptions=True)

    async def pass_over(self) -> float:
        """Starts what is due, and waits for it. Returns the seconds until it has to look again. Raises
        StorageUnavailable.
        """
        wait = await self._look()
        await asyncio.gather(*(one for one in self._busy.values() if isinstance(one, asyncio.Task)))
        return wait

    async def _look(self) -> float:
        """Begins to start what is due. Returns the seconds until it has to look again, unless a workspace gets done."""
        busy = tuple(self._busy)
        if len(busy) >= MAX_WORKSPACES:
            return LOOK_SECONDS
        first = await self._database.read(next_due_at, busy)
        if first is None:
            return LOOK_SECONDS
        if await self._compare():
            return 0.0
        wait = (first - self._database.clock.now()) / 1_000
        if wait > 0:
            return min(LOOK_SECONDS, wait)
        due = sorted(await self._database.read(list_due, _PAGE, busy), key=lambda one: one.workspace_id)
        for workspace_id, of_it in itertools.groupby(due, key=lambda one: one.workspace_id):
            if workspace_id not in self._busy and len(self._busy) < MAX_WORKSPACES:
                task = asyncio.create_task(self._begin_all(list(of_it)), name="schedules of a workspace")
                self._busy[workspace_id] = task
                task.add_done_callback(lambda task, workspace_id=workspace_id: self._done(workspace_id, task))
        return 0.0

    async def _compare(self) -> bool:
        """Corrects slots that are too late, from a clock that was ahead. Returns whether there were any."""
        at = self._database.clock.now()
        if self._compared_at is not None and abs(at - self._compared_at) < COMPARE_MS:
            return False
        self._compared_at, before = at, self._late
        self._late = await self._database.read(list_late_slots)
        again = {late: following for late, following in self._late.items() if late in before}
        if not again:
            return False
        corrected = await self._database.write(correct_slots, again)
        log.warning("%d schedules waited for a time that a wrong clock had set, and were corrected", corrected)
        return True

    def _done(self, workspace_id: str, task: asyncio.Task[None]) -> None:
        del self._busy[workspace_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            if self._log_throttle.may_say("wait"):
                log.warning("Schedules wait: %s", error)
            again = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._rested, workspace_id)
            self._busy[workspace_id] = again
        self._changed.set()

    def _rested(self, workspace_id: str) -> None:
        del self._busy[workspace_id]
        self._changed.set()

    async def _begin_all(self, due: Sequence[DueSchedule]) -> None:
        for one in sorted(due, key=lambda one: (one.slot, one.id)):
            await self._begin(one.workspace_id, one.id, one.slot)

    async def _begin(self, workspace_id: str, schedule_id: str, slot: int) -> None:
        try:
            await self._start(workspace_id, schedule_id, slot)
            return
        except Unavailable:
            raise
        except Refusal as refusal:
            trouble = trouble_of(refusal)
        except Exception:
            log.exception("The schedule %s was not started", schedule_id)
            trouble = _FAULT
        await self._database.write(refuse_slot, schedule_id, slot, trouble)

    async def _start(self, workspace_id: str, schedule_id: str, slot: int) -> None:
        """Raises Unavailable when an input changes again and again while it is checked; the slot stays due."""
        for _ in range(MAX_CHECKS):
            inputs = await self._database.read(find_costly_inputs, None, schedule_id)
            checked = None
            if inputs is not None:
                checked = await self._threads.run(workspace_id, _SENDER, check_inputs, inputs)
            with contextlib.suppress(NotChecked):
                await self._database.write(start_slot, schedule_id, slot, checked)
                return
        raise Unavailable(TOO_MUCH_FIRST)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                wait = await self._look()
            except Refusal as refusal:
                if self._log_throttle.may_say("wait"):
                    log.warning("Schedules wait: %s", refusal)
                wait = AGAIN_SECONDS
            except Exception:
                log.exception("Schedules were not looked at")
                wait = LOOK_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), max(0.0, wait))
