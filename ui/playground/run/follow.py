"""Following a job until it ends: a look whenever something happened to it, and the clock in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.core.ids import JobId
from ui.flow_view.job_watch import Look, look_at
from ui.page_session import PageSession, SignedOut
from ui.playground.run.live_text import LiveText

#: A running job is looked at so often at most; the canvas gets one batch of changes each time.
LOOK_SECONDS = 0.1
#: The clock in the panel moves while nothing happens.
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
    """Looks at the job until it ends or nobody wants to know any more."""
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
                seen = look.job.last_seq
                begun = begun or any(not step.reused for step in look.steps)
                await live.look(look)
                on_look(look)
                if look.job.ended:
                    return
            else:
                on_tick()
            if begun:  # the first step is shown as soon as it is there
                await asyncio.sleep(LOOK_SECONDS)
            await changes.wait(TICK_SECONDS)
