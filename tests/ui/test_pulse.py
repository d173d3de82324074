"""What open pages repeat is called at one beat, and the pages do not hold each other up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
from nicegui import ui
from nicegui.testing import User

from ui.pulse import BEAT_SECONDS, RepeatedCall
from ui.shared_reads import SharedReads


class Calls:
    """Repeated calls on one page, and the beats at which they were made."""

    def __init__(self) -> None:
        self.made: dict[str, list[float]] = {}

    def repeat(
        self, name: str, seconds: float, then: Callable[[], Awaitable[object]] | None = None, *, at_once: bool = False
    ) -> RepeatedCall:
        """Repeats a call that notes when it is made, and then does `then`."""

        async def call() -> None:
            self.made.setdefault(name, []).append(asyncio.get_running_loop().time() / BEAT_SECONDS)
            if then is not None:
                await then()

        return RepeatedCall(seconds, call, at_once=at_once)


@pytest.fixture
async def page(user: User) -> ui.element:
    """The content of an open page."""
    await user.open("/settings/account")
    assert user.client is not None
    return user.client.content


async def test_calls_are_made_together_at_whole_beats_in_their_order_without_drift(page: ui.element) -> None:
    calls = Calls()
    with page:
        for name, seconds in (("fast", 0.5), ("slow", 1.0), ("other", 1.0)):
            calls.repeat(name, seconds)
    await asyncio.sleep(30)
    for made, times in (calls.made["fast"], 60), (calls.made["slow"], 30):
        assert abs(len(made) - times) <= 1
        assert max(beat - round(beat) for beat in made) < 0.05
    assert [round(beat) for beat in calls.made["slow"]] == [round(beat) for beat in calls.made["other"]]
    assert list(calls.made) == ["fast", "slow", "other"]


async def test_a_call_that_takes_long_is_not_made_twice_and_holds_up_no_other(page: ui.element) -> None:
    calls, end = Calls(), asyncio.Event()
    with page:
        calls.repeat("long", 0.5, end.wait)
        calls.repeat("short", 0.5)
    await asyncio.sleep(5)
    assert len(calls.made["long"]) == 1
    assert len(calls.made["short"]) >= 9
    end.set()
    await asyncio.sleep(0.6)
    assert len(calls.made["long"]) == 2


async def test_an_error_is_logged_and_ends_nothing_but_its_call(
    page: ui.element, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise RuntimeError("this page fails")

    def cannot_say() -> bool:
        raise RuntimeError("nobody knows")

    calls = Calls()
    with page, caplog.at_level(logging.ERROR):
        calls.repeat("failing", 0.5, fail)
        RepeatedCall(0.5, asyncio.Event().wait, is_due=cannot_say, at_once=False)
        calls.repeat("well", 0.5)
        await asyncio.sleep(2)
    assert {"this page fails", "nobody knows"} <= {record.getMessage() for record in caplog.records}
    assert len(calls.made["failing"]) >= 3
    assert len(calls.made["well"]) >= 3
    caplog.clear()


async def test_a_page_that_goes_away_ends_its_calls(page: ui.element) -> None:
    calls, begun, ended = Calls(), asyncio.Event(), asyncio.Event()

    async def long() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with page, ui.element() as part:
        calls.repeat("long", 0.5, long, at_once=True)
        calls.repeat("short", 0.5)
        paused = calls.repeat("paused", 0.5)
        paused.deactivate()
    await begun.wait()
    part.delete()
    paused.activate()
    await ended.wait()
    await asyncio.sleep(3)
    assert {name: len(made) for name, made in calls.made.items()} == {"long": 1}


async def test_a_paused_call_is_made_again_from_the_next_beat_on(page: ui.element) -> None:
    calls = Calls()
    with page:
        one = calls.repeat("one", 5.0, at_once=True)
        await asyncio.sleep(0.1)
        one.deactivate()
        await asyncio.sleep(20)
        assert len(calls.made["one"]) == 1
        one.activate()
        await asyncio.sleep(0.6)
        assert len(calls.made["one"]) == 2


async def test_pages_that_look_at_the_same_beat_read_once() -> None:
    reads, answer, asked = SharedReads(), asyncio.Event(), []

    async def read(who: str) -> str:
        asked.append(who)
        await answer.wait()
        return who

    def share(who: str, what: str, version: int | None) -> asyncio.Task[str]:
        return asyncio.create_task(reads.share("jobs", what, version, lambda: read(who)))

    tasks = [share("ada", "all", 1), share("bob", "all", 1), share("cleo", "failed", 1), share("dan", "all", 2)]
    tasks += [share("eve", "all", None), share("fay", "all", None)]
    await asyncio.sleep(0.01)
    answer.set()
    assert await asyncio.gather(*tasks) == ["ada", "ada", "cleo", "dan", "eve", "fay"]
    assert asked == ["ada", "cleo", "dan", "eve", "fay"]


async def test_who_waits_for_a_read_that_fails_or_is_given_up_reads_itself() -> None:
    reads, goes_on = SharedReads(), asyncio.Event()

    async def fail() -> str:
        await goes_on.wait()
        raise RuntimeError("signed out")

    async def read() -> str:
        return "read"

    for end in (lambda _task: goes_on.set(), asyncio.Task.cancel):
        goes_on.clear()
        first = asyncio.create_task(reads.share("jobs", (), 1, fail))
        await asyncio.sleep(0)
        others = [asyncio.create_task(reads.share("jobs", (), 1, read)) for _ in range(3)]
        await asyncio.sleep(0.01)
        end(first)
        assert await asyncio.gather(*others) == ["read"] * 3
        with pytest.raises((RuntimeError, asyncio.CancelledError)):
            await first
