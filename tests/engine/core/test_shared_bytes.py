"""Memory that workspaces share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from engine.core.shared_bytes import SharedBytes
from engine.core.shared_places import CURRENT_WORKSPACE, Waited


class Crowd:
    """Tasks of workspaces that hold bytes until they are told to go."""

    def __init__(self, shared: SharedBytes) -> None:
        self.shared = shared
        #: Who holds bytes, in the order in which they came.
        self.inside: list[str] = []
        self._gone: dict[str, asyncio.Event] = {}

    async def come(self, *names: str, then: Callable[[], Awaitable[None]] | None = None) -> list[asyncio.Task[None]]:
        """`names`: `workspace size number`."""
        tasks = [asyncio.create_task(self._stay(name, then)) for name in names]
        await settled()
        return tasks

    async def go(self, *names: str) -> None:
        for name in names:
            self._gone[name].set()
        await settled()

    async def _stay(self, name: str, then: Callable[[], Awaitable[None]] | None) -> None:
        workspace, size, _number = name.split()
        CURRENT_WORKSPACE.set(workspace)
        self._gone[name] = asyncio.Event()
        async with self.shared.hold(int(size)):
            self.inside.append(name)
            if then is not None:
                await then()
            await self._gone[name].wait()
        self.inside.remove(name)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def crowd() -> Crowd:
    return Crowd(SharedBytes(100, 60))


async def test_a_workspace_holds_no_more_than_its_share(crowd: Crowd) -> None:
    await crowd.come("a 40 1", "a 30 2", "a 20 3", "b 30 1")
    assert crowd.inside == ["a 40 1", "a 20 3", "b 30 1"]
    await crowd.go("a 40 1")
    assert crowd.inside == ["a 20 3", "b 30 1", "a 30 2"]


async def test_what_is_larger_than_a_share_waits_until_the_workspace_holds_nothing(crowd: Crowd) -> None:
    await crowd.come("a 1 1", "a 500 2")
    assert crowd.inside == ["a 1 1"]
    await crowd.go("a 1 1")
    assert crowd.inside == ["a 500 2"]


async def test_small_ones_do_not_keep_a_large_one_waiting(crowd: Crowd) -> None:
    await crowd.come("a 50 1", "b 40 1", "c 20 1", "d 10 1")
    assert crowd.inside == ["a 50 1", "b 40 1"]
    await crowd.go("b 40 1")
    assert crowd.inside == ["a 50 1", "c 20 1", "d 10 1"]


async def test_work_that_holds_bytes_gets_more_though_all_wait(crowd: Crowd) -> None:
    done: list[str] = []

    async def more() -> None:
        async with crowd.shared.hold(60):
            done.append("inner")

    await crowd.come("a 60 1", "b 40 1", then=more)
    await crowd.come("a 60 2")
    assert done == ["inner", "inner"]
    assert crowd.inside == ["a 60 1", "b 40 1"]


async def test_who_is_cancelled_leaves_nothing_behind(crowd: Crowd) -> None:
    await crowd.come("a 60 1")
    (waits,) = await crowd.come("a 60 2")
    waits.cancel()
    with pytest.raises(asyncio.CancelledError) as error:
        await waits
    assert isinstance(error.value.args[0], Waited)
    (given,) = await crowd.come("a 60 3")
    crowd._gone["a 60 1"].set()
    await asyncio.sleep(0)  # it has gone, and the next was given its bytes
    given.cancel()
    await settled()
    await crowd.come("a 60 4")
    assert crowd.inside == ["a 60 4"]
