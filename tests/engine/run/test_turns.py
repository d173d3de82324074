"""The turns of lists: workspaces have them one after the other, and in a workspace its runs do."""

from __future__ import annotations

import asyncio
import contextvars
import time

from engine.core.shared_places import CURRENT_WORKSPACE
from engine.run.turns import TURN_SECONDS, Turns
from tests.engine.run.arrange import WORK, flow, go, node_type


def spend(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def test_whoever_has_many_workers_waits_for_himself() -> None:
    turns, order = Turns(), []

    async def compute(name: str, run: str) -> None:
        for _ in range(6):
            if turns.is_over:
                await turns.next(run)
            order.append(name)
            spend(TURN_SECONDS)

    def begin(workspace: str, run: str) -> asyncio.Task[None]:
        context = contextvars.copy_context()
        context.run(CURRENT_WORKSPACE.set, workspace)
        return asyncio.create_task(compute(f"{workspace}{run}", run), context=context)

    await asyncio.gather(*[begin("a", "1") for _ in range(20)], begin("a", "2"), begin("b", "1"))
    last_of_b = max(at for at, name in enumerate(order) if name == "b1")
    last_of_second = max(at for at, name in enumerate(order) if name == "a2")
    assert last_of_b <= 13, "every second turn is its own"
    assert last_of_second <= 25, "and of the others every second one is that of the second run"


async def test_a_hundred_items_at_once_share_a_turn_of_the_event_loop() -> None:
    """Each took a turn of its own: the loop came back after a hundred of them."""
    in_turn = most = 0

    async def work(config, inputs, context):
        nonlocal in_turn, most
        spend(TURN_SECONDS / 5)
        in_turn += 1
        most = max(most, in_turn)

    async def look() -> None:
        nonlocal in_turn
        while True:
            in_turn = 0
            await asyncio.sleep(0)

    at_once = {"mode": "parallel", "max_concurrency": 100}
    nodes = [
        ("s", "array_splitter", {"items": "{{ in.out.x }}"}, at_once),
        ("a", "work", {"x": "{{ s.out }}"}),
        ("f", "array_flatten"),
    ]
    looking = asyncio.create_task(look())
    catalog = {**WORK, "work": node_type("work", work)}
    outcome, _ = await go(flow(nodes, "in>s s>a a>f"), {"x": list(range(300))}, catalog=catalog)
    looking.cancel()
    assert outcome.result["output"]["count"] == 300
    assert most <= 10


async def test_giving_up_many_items_leaves_the_loop_its_turns() -> None:
    turns = 0
    looking: list[asyncio.Task[None]] = []

    async def work(config, inputs, context):
        try:
            await asyncio.Event().wait()
        finally:  # the list's time limit has passed
            looking.append(asyncio.create_task(look()))

    async def look() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    nodes = [
        ("s", "array_splitter", {"items": "{{ in.out.x }}"}, {}, {"timeout_seconds": 0.1}),
        ("a", "work", {"x": "{{ s.out }}"}),
        ("f", "array_flatten", {}, {"on_item_error": "include_null"}),
    ]
    catalog = {**WORK, "work": node_type("work", work)}
    outcome, _ = await go(flow(nodes, "in>s s>a a>f"), {"x": list(range(20_000))}, catalog=catalog)
    looking[0].cancel()
    assert outcome.result["output"]["failed_count"] == 20_000
    assert turns > 12
