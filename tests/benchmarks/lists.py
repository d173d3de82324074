"""The engine's overhead: a chain of nodes and a list of items, compared with the same written directly with asyncio."""

from __future__ import annotations

import asyncio
import gc
import itertools
import resource
import time
from collections.abc import Awaitable, Callable

import uvloop

from engine.flow.document import Document
from engine.flow.node_context import Json
from engine.flow.node_type import FreeInputs, NodeConfig, NodeType
from engine.nodes import CATALOG
from engine.run.plan import Plan, compile_plan
from engine.run.runner import run_flow

CHAIN = 100
ITEMS = 1_000
AT_ONCE = 50


class _Silent:
    """A recorder and services that do nothing."""

    http = None

    def started(self, step: object) -> None: ...
    def ended(self, step: object) -> None: ...
    def called(self, key: object, call: object) -> None: ...
    def delta(self, key: object, text: str) -> None: ...

    def as_stored(self, text: str) -> str:
        return text

    async def secret(self, secret_id: str) -> str:
        return secret_id

    async def ask_model(self, question: object, **_more: object) -> None: ...
    async def in_thread(self, work: Callable[..., Json], *args: Json) -> Json:
        return work(*args)

    async def render_template(self, template: str, data: object) -> str:
        return template


async def _trivial(config: object, inputs: FreeInputs, context: object) -> Json:
    return inputs.values["x"]


def _catalog(run: Callable[..., Awaitable[Json]]) -> dict[str, NodeType]:
    kind = NodeType(
        type="trivial",
        title="Trivial",
        group="transform",
        icon="x",
        config=NodeConfig,
        inputs=FreeInputs,
        run=run,
        out_schema=lambda config, inputs: None,
        summary=lambda config, inputs: "",
    )
    return {**CATALOG, "trivial": kind}


def _flow(nodes: list[dict], edges: list[tuple[str, str]], run: Callable[..., Awaitable[Json]] = _trivial) -> Plan:
    start = {"id": "start", "type": "api_input", "config": {"fields": [{"name": "x", "type": "array"}]}}
    document = {
        "format": 1,
        "nodes": [start, *nodes],
        "edges": [
            {"id": f"e{number}", "source": source, "target": target} for number, (source, target) in enumerate(edges)
        ],
    }
    return compile_plan(Document.model_validate(document), _catalog(run), trial=True)


def chain_plan() -> Plan:
    """A chain of trivial nodes."""
    ids = ["start", *(f"n{number}" for number in range(CHAIN))]
    nodes = [
        {"id": here, "type": "trivial", "inputs": {"x": f"{{{{ {before}.out }}}}"}}
        for before, here in itertools.pairwise(ids)
    ]
    return _flow(nodes, list(itertools.pairwise(ids)))


def map_plan(mode: str, run: Callable[..., Awaitable[Json]] = _trivial) -> Plan:
    """One node for each item of a list."""
    nodes = [
        {
            "id": "split",
            "type": "array_splitter",
            "inputs": {"items": "{{ start.out.x }}"},
            "config": {"mode": mode, "max_concurrency": AT_ONCE},
        },
        {"id": "work", "type": "trivial", "inputs": {"x": "{{ split.out }}"}},
        {"id": "flat", "type": "array_flatten"},
    ]
    return _flow(nodes, [("start", "split"), ("split", "work"), ("work", "flat")], run)


async def run_plan(plan: Plan, payload: dict[str, Json]) -> Json:
    """Runs a plan and returns its result."""
    outcome = await run_flow(plan, payload, system={}, services=_Silent(), recorder=_Silent())
    assert outcome.status == "completed", outcome.error
    return outcome.result


async def _by_hand(value: Json) -> Json:
    """A step without the engine: a time limit, attempts, start time and duration."""
    notes = []
    for _ in range(3):
        at, begun = time.time(), time.monotonic()
        try:
            async with asyncio.timeout(60):
                value = await _hand_node(value)
        except TimeoutError:
            continue
        notes.append((at, time.monotonic() - begun))
        break
    return value


async def _hand_node(value: Json) -> Json:
    return value


async def chain_by_hand(value: Json) -> Json:
    """The chain without the engine."""
    for _ in range(CHAIN):
        value = await _by_hand(value)
    return value


async def map_by_hand(items: list[Json]) -> list[Json]:
    """The list without the engine: workers that share one iterator."""
    results: list[Json] = [None] * len(items)
    waiting = iter(enumerate(items))

    async def work() -> None:
        for place, item in waiting:
            results[place] = await _by_hand(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return results


async def microseconds(work: Callable[[], Awaitable[object]], steps: int, rounds: int = 15) -> float:
    """Returns the time per step of the best round."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        await work()
        best = min(best, time.perf_counter() - begun)
    return best / steps * 1e6


def memory_mib() -> float:
    """Returns the peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def overhead() -> None:
    """Prints the engine's microseconds per step and those of the code without the engine."""
    gc.collect()
    gc.freeze()  # excludes loaded objects from garbage collection for both sides
    items = list(range(ITEMS))
    chain, split = chain_plan(), map_plan("parallel")
    engine = await microseconds(lambda: run_plan(chain, {"x": items}), CHAIN)
    hand = await microseconds(lambda: chain_by_hand(items), CHAIN)
    print(
        f"chain of {CHAIN} nodes:           {engine:.1f} us a node = {engine / hand:.1f} of hand-written ({hand:.1f} us)"
    )
    engine = await microseconds(lambda: run_plan(split, {"x": items}), ITEMS)
    hand = await microseconds(lambda: map_by_hand(items), ITEMS)
    print(
        f"map over {ITEMS:,} items:          {engine:.1f} us an item = {engine / hand:.1f} of hand-written ({hand:.1f} us)"
    )


async def waiting_items() -> None:
    """Prints how near many items that wait 200 ms come to the ideal rate, and their memory."""

    async def wait(config: object, inputs: FreeInputs, context: object) -> Json:
        await asyncio.sleep(0.2)
        return inputs.values["x"]

    gc.collect()
    before, begun = memory_mib(), time.perf_counter()
    result = await run_plan(map_plan("parallel", wait), {"x": list(range(ITEMS))})
    spent = time.perf_counter() - begun
    assert result["output"]["items"] == list(range(ITEMS))
    ideal = ITEMS / AT_ONCE * 0.2
    print(
        f"{ITEMS:,} items of 200 ms, {AT_ONCE} at once: {ideal / spent:.0%} of the ideal rate, {memory_mib() - before:.0f} MiB more"
    )


def main() -> None:
    """Prints the figures."""
    uvloop.run(overhead())
    uvloop.run(waiting_items())


if __name__ == "__main__":
    main()
