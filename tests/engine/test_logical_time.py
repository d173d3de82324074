"""Simulated time: waiting takes no time, work uses up no time limit, and timers fire only after work in threads is
done.
"""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from storage.opening import open_database
from tests.logical_time import LogicalClock, pass_time


async def test_a_minute_passes_at_once_on_both_clocks():
    clock, begun = LogicalClock(), time.monotonic()
    wall, monotonic = clock.now(), clock.monotonic()
    await pass_time(60)
    assert clock.monotonic() - monotonic == 60
    assert clock.now() - wall >= 60_000
    assert time.monotonic() - begun < 30


async def test_a_limit_does_not_pass_while_a_thread_works():
    def work():
        time.sleep(0.2)
        return "done"

    async with asyncio.timeout(0.001):
        assert await asyncio.to_thread(work) == "done"


async def test_a_limit_passes_when_nothing_can_come_any_more():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3_600):
            await asyncio.Event().wait()


async def test_what_a_write_tells_comes_before_the_next_timer(new_data: Path):
    database = open_database(new_data)
    loop, told = asyncio.get_running_loop(), []

    def write(session):
        time.sleep(0.1)

    writing = asyncio.create_task(database.write(write))
    writing.add_done_callback(lambda _: told.append("written"))
    loop.call_later(0.01, told.append, "timer")
    await pass_time(1)
    assert told == ["written", "timer"]
    database.close()


async def test_a_thread_that_nobody_waits_for_wakes_the_loop_all_the_same():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    threading.Timer(0.05, lambda: loop.call_soon_threadsafe(event.set)).start()
    await event.wait()
