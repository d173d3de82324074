"""Follows a job until it ends: reads it after each notice of a change, and updates the clock in between. While the
database cannot be read, it tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from engine.core.errors import Unavailable
from engine.core.ids import JobId
from ui.flow_view.job_watch import Look, look_at, seen_seq
from ui.page_session import PageSession, SignedOut
from ui.playground.run.live_text import LiveText

#: The shortest time between two readings of a running job; the canvas gets one set of changes per reading.
LOOK_SECONDS = 0.1
#: The interval at which the clock in the panel is updated while the job does not change.
TICK_SECONDS = 0.4


async def follow_job(
    page_session: PageSession,
    job_id: JobId,
    *,
    wanted: Callable[[], bool],
    live: LiveText,
    on_look: Callable[[Look], None],
    on_tick: Callable[[], None],
) -> None:
    """Reads the job until it ends or the caller no longer needs it."""
    seen, begun = -1, False

    async def read() -> Look | None:
        look = await page_session.query(look_at, job_id, seen)
        if wanted():
            await (live.look(look) if look is not None else live.look_at_calls())
        return look

    async with page_session.app.waiters.subscribe(job_id) as changes:
        while wanted():
            try:
                look = await read()
            except SignedOut:
                return
            except Unavailable:
                on_tick()
                await asyncio.sleep(TICK_SECONDS)
                continue
            if not wanted():
                return
            if look is not None:
                seen = seen_seq(look)
                begun = begun or any(not step.reused for step in look.steps)
                on_look(look)
                if look.job.ended:
                    return
            else:
                on_tick()
            if begun:  # before the first step there is no pause, so that it is shown at once
                await asyncio.sleep(LOOK_SECONDS)
            await changes.wait(TICK_SECONDS)


async def show_when_readable(show: Callable[[], Awaitable[None]], *, wanted: Callable[[], bool]) -> None:
    """Shows a part of the run that is read after the run itself. While the database cannot be read, it tries again until
    the part is no longer wanted.
    """
    while True:
        try:
            await show()
        except SignedOut:
            return
        except Unavailable:
            await asyncio.sleep(TICK_SECONDS)
            if wanted():
                continue
        return
