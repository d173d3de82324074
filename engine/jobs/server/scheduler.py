"""Starts schedules when they are due: a task on the event loop of the server, which sleeps until the next one.

Several servers may run it on one database: each slot is claimed in the transaction that accepts its jobs. Without
schedules it reads one number every LOOK_SECONDS.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from engine.core.errors import Refusal, Unavailable
from engine.core.log_throttle import LogThrottle
from engine.jobs.submit.scheduled import (
    SCHEDULER,
    check_inputs,
    find_costly_inputs,
    refuse_slot,
    start_slot,
    trouble_of,
)
from storage.database import Database
from storage.schedules import list_due, next_due_at

log = logging.getLogger(__name__)

#: The longest sleep, in seconds: the wall clock may be set, and other processes may change schedules.
LOOK_SECONDS = 30.0
#: Seconds until the next try while the data folder cannot be written.
AGAIN_SECONDS = 5.0
#: How many due schedules are read at once.
_PAGE = 50
_FAULT = {
    "code": "internal",
    "title": "Flowport could not start it",
    "detail": "An unexpected error happened; the log of the server has its details",
    "remedy": "Start it by hand to see if it happens again, and report it to whoever runs the server.",
}


class Scheduler:
    """Runs from `start` until `stop`, which are called on the event loop. `pass_over` does what is due now, for tests."""

    def __init__(self, database: Database) -> None:
        self._database = database
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

    async def pass_over(self) -> float:
        """Starts what is due. Returns the seconds until it has to look again. Raises StorageUnavailable."""
        first = await self._database.read(next_due_at)
        if first is None:
            return LOOK_SECONDS
        wait = (first - self._database.clock.now()) / 1_000
        if wait > 0:
            return min(LOOK_SECONDS, wait)
        for schedule_id, slot in await self._database.read(list_due, _PAGE):
            await self._begin(schedule_id, slot)
        return 0.0

    async def _begin(self, schedule_id: str, slot: int) -> None:
        try:
            inputs = await self._database.read(find_costly_inputs, None, schedule_id)
            checked = None if inputs is None else await asyncio.to_thread(check_inputs, inputs)
            await self._database.write(start_slot, schedule_id, slot, checked)
            return
        except Unavailable:
            raise
        except Refusal as refusal:
            trouble = trouble_of(refusal)
        except Exception:
            log.exception("The schedule %s was not started", schedule_id)
            trouble = _FAULT
        await self._database.write(refuse_slot, schedule_id, slot, trouble)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                wait = await self.pass_over()
            except Refusal as refusal:
                if self._log_throttle.may_say("wait"):
                    log.warning("Schedules wait: %s", refusal)
                wait = AGAIN_SECONDS
            except Exception:
                log.exception("Schedules were not looked at")
                wait = LOOK_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), max(0.0, wait))
