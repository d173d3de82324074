"""Pages that read repeatedly: data read before a change is never drawn after data that was read later."""

from __future__ import annotations

import asyncio

from ui.page_shell import one_at_a_time


class Page:
    """A page whose read of the stored data takes a while, and which then draws it."""

    def __init__(self) -> None:
        self.stored = "old"
        self.drawn: list[str] = []
        self.slow = [asyncio.Event()]

    @one_at_a_time
    async def look(self) -> None:
        read = self.stored
        if self.slow:
            await self.slow.pop().wait()
        self.drawn.append(read)


async def test_a_look_that_began_before_a_change_is_not_drawn_after_it() -> None:
    page = Page()
    (slow,) = page.slow
    by_the_timer = asyncio.create_task(page.look())
    await asyncio.sleep(0)
    page.stored = "new"
    after_a_press = asyncio.create_task(page.look())
    await asyncio.sleep(1)
    slow.set()
    await asyncio.gather(by_the_timer, after_a_press)
    assert page.drawn == ["old", "new"]


async def test_one_page_waits_for_no_other() -> None:
    slow, other = Page(), Page()
    other.slow.clear()
    waiting = asyncio.create_task(slow.look())
    await asyncio.sleep(0)
    await other.look()
    assert (other.drawn, slow.drawn) == (["old"], [])
    waiting.cancel()
