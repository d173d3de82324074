"""One beat for all that open pages repeat, so that a server with many open pages in which nothing happens wakes up twice a
second instead of a hundred times: each wake-up costs as much as the work that is done in it.

RepeatedCall(1.0, look)                    calls `look` at once and then every second, until the element is removed

The beat begins with the first call that is to be repeated and ends with the last one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from nicegui import app as nicegui_app
from nicegui import background_tasks
from nicegui.element import Element

from engine.core.paths import ASSETS

#: The interval of the beat. It starts at whole multiples of the clock of the event loop.
BEAT_SECONDS = 0.5
_COMPONENT = ASSETS / "components" / "repeated_call.js"


class PagePulse:
    """The calls to repeat. Belongs to the event loop that runs; those of an earlier one are forgotten."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        #: The calls, and the number of the beat at which each is due.
        self._due: dict[RepeatedCall, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: RepeatedCall, beats: int) -> None:
        """Has `call` made in so many beats, and again after each `call.beats`."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._timer = loop, None
            self._due.clear()
        self._due[call] = self._number(loop) + beats
        self._set_timer(loop)

    def remove(self, call: RepeatedCall) -> None:
        """Has `call` not made any more."""
        self._due.pop(call, None)
        if not self._due and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _number(self, loop: asyncio.AbstractEventLoop) -> int:
        """The number of the last beat. A timer of uvloop may be a millisecond early."""
        return int((loop.time() + 0.002) / BEAT_SECONDS)

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None and self._due:
            self._timer = loop.call_at((self._number(loop) + 1) * BEAT_SECONDS, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if nicegui_app.is_stopping or nicegui_app.is_stopped:
            return
        number = self._number(loop)
        due = deque(call for call, beat in self._due.items() if beat <= number)
        if due:
            self._start_next(loop, due, number)
        self._set_timer(loop)

    def _start_next(self, loop: asyncio.AbstractEventLoop, due: deque[RepeatedCall], number: int) -> None:
        """Starts one of the calls that are due; the next one after what else waits for the loop.

        Each runs in a task of its own. One that still runs is due at the next beat.
        """
        call = due.popleft()
        if self._due.get(call, number + 1) <= number and not call.is_running:
            self._due[call] = number + call.beats
            call.start()
        if due:
            loop.call_soon(self._start_next, loop, due, number)


_PULSE = PagePulse()


class RepeatedCall(Element, component=_COMPONENT):
    """A call that is repeated while its element is on the page. When the element is removed, a call that runs is cancelled.

    `seconds` is rounded to whole beats. `is_due`: whether to make the call, asked at each beat at which it is due; it must
    not wait. `at_once`: the first call is made when the browser has connected, else after `seconds`. An error is handled as
    one of the page, and ends nothing but that call.
    """

    def __init__(
        self,
        seconds: float,
        call: Callable[[], Awaitable[object]],
        *,
        is_due: Callable[[], bool] = lambda: True,
        at_once: bool = True,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.beats = max(1, round(seconds / BEAT_SECONDS))
        self._call = call
        self._is_due = is_due
        self._active = active
        self._task: asyncio.Task[None] | None = None
        background_tasks.create(self._begin(at_once=at_once), name=f"begin {call}")

    @property
    def active(self) -> bool:
        """Whether the call is made. A call that runs goes on when this is set to False."""
        return self._active

    @active.setter
    def active(self, active: bool) -> None:
        changed, self._active = active != self._active, active
        if changed and active and not self.is_deleted:
            _PULSE.add(self, 1)
        elif not active:
            _PULSE.remove(self)

    def activate(self) -> None:
        """Makes the call again, from the next beat on."""
        self.active = True

    def deactivate(self) -> None:
        """Makes the call no more."""
        self.active = False

    @property
    def is_running(self) -> bool:
        """True while the call is being made."""
        return self._task is not None

    def start(self) -> None:
        """Makes the call in a task, unless it is not due."""
        try:
            slot = self.parent_slot
            if slot is None or not self._is_due():
                return
            self._task = background_tasks.create(self._run(), name=str(self._call), context=slot)
        except Exception as error:  # noqa: BLE001 - it must not keep the other pages from their calls
            nicegui_app.handle_exception(error)

    async def _begin(self, *, at_once: bool) -> None:
        await self.client.connected()
        if self.active and not self.is_deleted:
            _PULSE.add(self, self.beats)
            if at_once:
                self.start()

    async def _run(self) -> None:
        try:
            await self._call()
        finally:
            self._task = None

    def _handle_delete(self) -> None:
        self._active = False
        _PULSE.remove(self)
        if self._task is not None:
            self._task.cancel()
        super()._handle_delete()
