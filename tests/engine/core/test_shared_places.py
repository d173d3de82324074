"""Places at work that workspaces share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from engine.core.shared_places import CURRENT_WORKSPACE, SharedPlaces, Waited


class Crowd:
    """Tasks of workspaces that take places and keep them until they are told to go."""

    def __init__(self, places: SharedPlaces) -> None:
        self.places = places
        #: Who has a place, in the order in which they came.
        self.inside: list[str] = []
        self._gone: dict[str, asyncio.Event] = {}

    async def come(self, *names: str) -> list[asyncio.Task[None]]:
        """`names`: `workspace part number`."""
        tasks = [asyncio.create_task(self._stay(name)) for name in names]
        await settled()
        return tasks

    async def go(self, *names: str) -> None:
        for name in names:
            self._gone[name].set()
            await settled()

    async def _stay(self, name: str) -> None:
        workspace, part, _number = name.split()
        CURRENT_WORKSPACE.set(workspace)
        self._gone[name] = asyncio.Event()
        assert await self.places.take(part) == workspace
        self.inside.append(name)
        try:
            await self._gone[name].wait()
        finally:
            self.inside.remove(name)
            self.places.give_back(workspace, part)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_place_goes_to_who_has_the_fewest() -> None:
    crowd = Crowd(SharedPlaces(2))
    await crowd.come(*(f"a x {number}" for number in range(5)), "b x 0", "b x 1", "c x 0")
    assert crowd.inside == ["a x 0", "a x 1"]
    await crowd.go("a x 0")
    assert crowd.inside == ["a x 1", "b x 0"]
    await crowd.go("a x 1")
    assert crowd.inside == ["b x 0", "a x 2"]
    await crowd.go("b x 0")
    assert crowd.inside == ["a x 2", "c x 0"]
    await crowd.go("c x 0")
    assert crowd.inside == ["a x 2", "b x 1"]
    await crowd.go("b x 1")
    assert crowd.inside == ["a x 2", "a x 3"]


async def test_the_parts_of_a_workspace_take_turns() -> None:
    crowd = Crowd(SharedPlaces(1))
    await crowd.come("a x 0", "a x 1", "a x 2", "a y 0")
    for name in ("a x 0", "a x 1", "a y 0", "a x 2"):
        assert crowd.inside == [name]
        await crowd.go(name)


async def test_who_gives_nothing_back_leaves_some_for_others() -> None:
    crowd = Crowd(SharedPlaces(12, of_workspace=1, of_part=0.5))
    await crowd.come(*(f"a x {number}" for number in range(9)))
    assert crowd.inside == [f"a x {number}" for number in range(4)]
    await crowd.come(*(f"a y {number}" for number in range(9)))
    assert [name for name in crowd.inside if " y " in name] == ["a y 0", "a y 1"]
    await crowd.come("b x 0", "c x 0")
    assert crowd.inside[-2:] == ["b x 0", "c x 0"]
    await crowd.go("a x 0", "b x 0")
    assert crowd.inside[-1] == "a y 2"


@pytest.mark.parametrize("given", [False, True])
async def test_who_is_cancelled_keeps_no_place(given: bool) -> None:
    """Also in the moment in which he is given the place, or just before it."""
    crowd = Crowd(SharedPlaces(1))
    first, second, _third = await crowd.come("a x 0", "a x 1", "a x 2")
    for task in (first, second) if not given else (second,):
        task.cancel()
    if given:
        await crowd.go("a x 0")
    await settled()
    assert second.cancelled()
    assert crowd.inside == ["a x 2"]
    await crowd.go("a x 2")
    assert await crowd.places.take() == ""


async def test_who_is_given_a_place_and_cancelled_gives_it_back() -> None:
    places = SharedPlaces(1)
    await places.take()
    waiting, last = (asyncio.create_task(places.take()) for _ in range(2))
    await settled()
    places.give_back("")
    waiting.cancel()
    assert await last == ""
    assert waiting.cancelled()


async def test_a_time_limit_that_passes_tells_that_it_waited() -> None:
    places = SharedPlaces(1)
    await places.take()
    waited = await why(places.take())
    assert waited is not None
    assert waited.why == "It waited its turn for the last 1 second: other work of this server was before it."
    assert await why(asyncio.sleep(10)) is None


async def why(work: Awaitable[object]) -> Waited | None:
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.01):
            await work
    return Waited.of(caught.value)
