"""Runs the nodes inside lists: once per item of a Splitter, and the Flattens that end lists (docs/dev/flows.md).

As many workers as may run at once take items from one iterator. A failure inside a list ends the nodes after it for
that item, and is passed to the Flatten. So does a step that waits for a person, except that the Flatten waits, too:
items that run at the same time all ask, items that run one after the other ask one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from engine.core.clock import seconds_in_words
from engine.core.error_codes import JobErrorCode
from engine.flow.data_size import MAX_DATA, data_size, require_moderate_texts, texts_are_short
from engine.flow.node_context import Json, NodeFailed
from engine.flow.references import Missing
from engine.run.blocks import Unit
from engine.run.lists import Collector, Frame
from engine.run.plan import PlannedNode
from engine.run.state import RunState
from engine.run.step import StepRun
from engine.run.steps import WAITS, RunError, StepKey, Stop

#: The list that more items gave is made in a thread.
SHORT = 1_000


class Items:
    """The lists of one run."""

    __slots__ = ("kept", "plan", "run", "turns")

    def __init__(self, run: RunState) -> None:
        self.run = run
        self.plan = run.plan
        self.kept: Mapping[StepKey, Json] = run.kept
        self.turns = run.services.turns

    async def each(self, unit: Unit, planned: PlannedNode, frame: Frame) -> None:
        """Runs a block once for each item of a list."""
        splitter = unit.node_id
        assert unit.block is not None
        if (error := frame.failed.get(splitter)) is not None:
            for flatten in unit.collects:
                closing = self._closing(flatten, frame, len(planned.around))
                if closing is not None and closing is not frame:
                    closing.lists.collector(flatten).fail(frame.index[len(closing.index) :], error)
            return
        if splitter in frame.skipped or not frame.lists.items[splitter]:
            why = "The list was empty." if splitter in frame.lists.items else f"{planned.node.name} was skipped."
            for node_id in unit.block.nodes():
                self.run.skip(self.plan.nodes[node_id], frame, why)
            return
        if self._is_kept(unit, planned, frame):
            return
        limit = asyncio.timeout(planned.node.policy.timeout_seconds)
        through: set[int] = set()
        try:
            async with limit:
                await self._run_items(unit, planned, frame, through)
        except TimeoutError:
            if not limit.expired():
                raise
            await self._give_up(unit, planned, frame, through)

    async def _run_items(self, unit: Unit, planned: PlannedNode, frame: Frame, through: set[int]) -> None:
        total = len(frame.lists.items[unit.node_id])
        mode, at_once, size = _mode(planned)
        if mode != "chunked":
            waits = await self._work(range(total), at_once, unit, frame, through)
        else:
            waits = False
            for start in range(0, total, size):
                waits = await self._work(range(start, min(start + size, total)), size, unit, frame, through)
                if waits:
                    break  # the next group begins when this one is through
        if waits and len(through) < total:
            self._wait_for_rest(unit, planned, frame)

    async def _work(self, positions: range, at_once: int, unit: Unit, frame: Frame, through: set[int]) -> bool:
        """Runs the items at these positions with `at_once` workers that share one iterator. Returns whether one of them
        waits for a person.
        """
        waiting = iter(positions)
        waits = False

        splitter, block, full = unit.node_id, unit.block, frame.lists.full
        assert block is not None

        async def work() -> None:
            nonlocal waits
            for position in waiting:
                if self.turns.is_over:
                    await self._next_turn()
                if splitter in full:
                    return
                item = self._inside(splitter, frame, position)
                await self.run.run_block(block, item)
                through.add(position)
                if item.waits:
                    waits = True
                    if at_once == 1:
                        return  # one after the other: the next item begins when this one is through

        if at_once == 1:
            await work()
            return waits
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(positions))):
                group.create_task(work())
        return waits

    async def _next_turn(self) -> None:
        await self.run.services.caught_up()
        await self.turns.next(self)

    def _wait_for_rest(self, unit: Unit, planned: PlannedNode, frame: Frame) -> None:
        """Makes every Flatten of a list wait, also one that no waiting step leads to: items have not begun."""
        for flatten in unit.collects:
            closing = self._closing(flatten, frame, len(planned.around))
            if closing is not None:
                closing.lists.collector(flatten).waits = True

    def _inside(self, splitter: str, frame: Frame, position: int) -> Frame:
        """Returns the frame of an item, which is the same one when the list is iterated again."""
        if splitter not in self.plan.repeated:
            return frame.inside(splitter, position)
        frames = frame.lists.frames.setdefault(splitter, {})
        return frames.get(position) or frames.setdefault(position, frame.inside(splitter, position))

    async def _give_up(self, unit: Unit, planned: PlannedNode, frame: Frame, through: set[int]) -> None:
        """Fails the items that have not finished when the Splitter's time limit has passed."""
        node = planned.node
        limit = node.policy.timeout_seconds or 0
        for position in range(len(frame.lists.items[unit.node_id])):
            if position in through:
                continue
            if self.turns.is_over:
                await self._next_turn()
            index = (*frame.index, position)
            error = RunError(
                JobErrorCode.TIMEOUT,
                f"The item was not through within the list's limit of {seconds_in_words(limit)}.",
                why=f"The time limit of {node.name} counts for all of its items together.",
                remedy="Raise the time limit of “For each item”, let more items run at once, or send fewer.",
                node_id=node.id,
                node_label=node.name,
                item_index=index[0] if len(index) == 1 else list(index),
            )
            handled = False
            for flatten in unit.collects:
                closing = self._closing(flatten, frame, len(planned.around))
                if closing is not None:
                    closing.lists.collector(flatten).fail(index[len(closing.index) :], error)
                    handled = True
            if not handled:
                raise Stop(error)

    def _closing(self, flatten: str, frame: Frame, depth: int) -> Frame | None:
        """Returns the frame in which a Flatten ends its list, from a frame inside `depth` lists; None when it is
        deeper.
        """
        gives = len(self.plan.nodes[flatten].gives)
        return frame.up(depth - gives) if gives <= depth else None

    def _is_kept(self, unit: Unit, planned: PlannedNode, frame: Frame) -> bool:
        """True when an earlier attempt stored everything that the items would produce."""
        if not self.kept or not unit.covered or unit.node_id in self.plan.repeated:
            return False
        if not frame.keeps or not frame.lists.unchanged[unit.node_id]:
            return False
        outer = [
            (flatten, closing)
            for flatten in unit.collects
            if (closing := self._closing(flatten, frame, len(planned.around))) is not None
        ]
        return all(StepKey(flatten, closing.index) in self.kept for flatten, closing in outer)

    def collect(self, planned: PlannedNode, frame: Frame) -> None:
        """Takes the values of one item into the collector of a Flatten."""
        closing = frame.up(planned.ends)
        collector = closing.lists.collector(planned.node.id)
        index = frame.index[len(closing.index) :]
        entries: list[Json] = []
        error: RunError | None = None
        alive = False
        has_value = planned.collects_value
        for edge in planned.incoming:
            came = frame.came_by(edge)
            if came is True:
                alive = True
                if not has_value:
                    entries.append(frame.up(edge.up).outputs.get(edge.source))
            elif came is not False:
                error = error or came
                if planned.puts_null and not has_value:
                    entries.append(None)
        if collector.size > MAX_DATA or (has_value and alive and not self._value_is_moderate(planned, frame)):
            self._take_no_more(planned, closing, frame)
            collector.size, entries, has_value = MAX_DATA + 1, [], False
        if has_value and alive and error is None:
            missing: list[Missing] = []
            entries.append(planned.renderings["value"](frame, missing))
            self._warn(collector, missing)
        collector.size += data_size(entries, MAX_DATA) if entries else 0
        collector.add(index, entries, error)
        if error is not None and error is not WAITS and self._ends_the_run(planned):
            self._take_no_more(planned, closing, frame)

    def _take_no_more(self, planned: PlannedNode, closing: Frame, frame: Frame) -> None:
        """Has no more items of the list begin, as its Flatten fails."""
        closing.lists.full.add(planned.around[0])
        if frame.outer is not None:
            frame.outer.lists.full.add(planned.around[-1])

    def _value_is_moderate(self, planned: PlannedNode, frame: Frame) -> bool:
        if texts_are_short(planned.in_texts, frame):
            return True
        try:
            require_moderate_texts(planned.in_texts, frame)
        except NodeFailed:
            return False
        return True

    def _ends_the_run(self, planned: PlannedNode) -> bool:
        fails = planned.node.config.get("on_item_error") == "fail" and planned.node.policy.on_error == "fail"
        return fails and not planned.gives

    def _warn(self, collector: Collector, missing: list[Missing]) -> None:
        for gone in missing:
            text = f"`value`: `{gone.reference}` named nothing for some items, so it is null."
            if text not in collector.warnings:
                collector.warnings.append(text)

    async def close(self, planned: PlannedNode, frame: Frame) -> None:
        """Builds the list that a Flatten collected."""
        node_id = planned.node.id
        splitter = planned.around[len(planned.gives)]
        if (error := frame.failed.get(splitter)) is not None:
            frame.fail(node_id, error)
            return
        if splitter in frame.skipped:
            self.run.skip(planned, frame, "Everything before it was skipped.")
            return
        key = StepKey(node_id, frame.index)
        if frame.keeps and frame.lists.unchanged[splitter] and key in self.kept:
            frame.outputs[node_id] = self.kept[key]
        else:
            collector = frame.lists.collectors.pop(node_id, None) or Collector()
            if collector.waits and not (collector.errors and self._ends_the_run(planned)):
                frame.wait(node_id)
                return

            async def make() -> Json:
                config: Any = planned.settings
                if len(collector.reached) > SHORT:
                    return await self.run.services.in_thread(collector.result, config)
                return collector.result(config)

            through = frozenset(() if frame.index else self._through(planned))
            await StepRun(self.run, planned, frame, tuple(collector.warnings)).record(make, through=through)
        if node_id == self.run.shown:
            self.run.show(node_id, frame)

    def _through(self, flatten: PlannedNode) -> Iterable[str]:
        """Returns the nodes inside the lists that a Flatten ends; all of their items have finished."""
        splitter = flatten.around[len(flatten.gives)]
        return (node_id for node_id, planned in self.plan.nodes.items() if splitter in planned.around)


def _mode(planned: PlannedNode) -> tuple[str, int, int]:
    """Returns how a Splitter runs its items: the mode, how many at once, and how many in a group."""
    config: Any = planned.settings
    return config.mode, config.max_concurrency if config.mode == "parallel" else 1, config.chunk_size
