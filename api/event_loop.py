"""The event loop of a server: uvloop, whose longer timers end together.

Each open page has timers of NiceGUI and of its connection, which nobody else can set. When each ends at a moment of its
own, fifty pages in which nothing happens wake the server a hundred times a second. So a timer of MIN_SECONDS to MAX_SECONDS
ends at the next multiple of STEP_SECONDS, and those that end within a step share one wake-up. None ends too early.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, TypeVarTuple

if TYPE_CHECKING:
    from asyncio import TimerHandle

Ts = TypeVarTuple("Ts")

MIN_SECONDS, MAX_SECONDS = 1.0, 3_600.0
STEP_SECONDS = 0.1
_STEP_MS = round(STEP_SECONDS * 1_000)


def seconds_to_step(seconds: float, now: float) -> float:
    """Returns in how many seconds after `now` (`time.monotonic`) the first step is that is `seconds` or more away.
    uvloop counts whole milliseconds.
    """
    now_ms = int(now * 1_000)
    return (-(-(now_ms + seconds * 1_000) // _STEP_MS) * _STEP_MS - now_ms) / 1_000


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns what creates the event loop of a server; None: the default."""
    try:
        import uvloop
    except ImportError:  # uvloop does not support Windows
        return None

    class SteppedLoop(uvloop.Loop):
        def call_later(
            self,
            delay: float,
            callback: Callable[[*Ts], object],
            *args: *Ts,
            context: Context | None = None,
        ) -> TimerHandle:
            when = seconds_to_step(delay, time.monotonic()) if MIN_SECONDS <= delay <= MAX_SECONDS else delay
            return super().call_later(when, callback, *args, context=context)

    return SteppedLoop
