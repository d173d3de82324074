"""Follows a job until it ends: reads it after each notice of a change, and updates the clock in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

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
    async with page_session.app.waiters.subscribe(job_id) as changes:
        while wanted():
            try:
                look = await page_session.query(look_at, job_id, seen)
            except SignedOut:
                return
            if not wanted():
                return
            if look is not None:
                seen = seen_seq(look)
                begun = begun or any(not step.reused for step in look.steps)
                await live.look(look)
                on_look(look)
                if look.job.ended:
                    return
            else:
                on_tick()
            if begun:  # before the first step there is no pause, so that it is shown at once
                await asyncio.sleep(LOOK_SECONDS)
            await changes.wait(TICK_SECONDS)
