"""The shape of a run with lists, worked out once per plan: blocks of units that wait for each other.

The whole flow is a block. What runs once per item of a Splitter is a block of its own, and in the block around it one unit
(`each`) stands for all its items. A Flatten that ends a list is two units: `collect` in the item's block takes what came out
for the item, `close` in the block it ends in makes the list. When nodes inside a list need what comes out after the same list
was closed once, its items are gone through again: a second `each` with the nodes that were left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.flow.document import Document
from engine.flow.graph import Graph
from engine.flow.lists import SPLITTER, Lists, ListScopes

Kind = Literal["node", "collect", "close", "each"]
Thing = tuple[Literal["node", "collect", "close"], str]


@dataclass(frozen=True)
class Unit:
    """`node_id` is the Splitter's for `each`, which alone has a `block`.

    `waits`: how many units of its block it waits for; `after`: those that wait for it, by position.
    """

    kind: Kind
    node_id: str
    waits: int
    after: tuple[int, ...]
    block: Block | None = None
    #: Flattens that collect from the items, also from lists inside them.
    collects: frozenset[str] = frozenset()
    #: Every node inside leads to one of those Flattens.
    covered: bool = False


@dataclass(frozen=True)
class Block:
    """Units in an order they may run in. `chain`: each waits for the one before, so nothing could run at the same time."""

    units: tuple[Unit, ...]
    chain: bool

    def nodes(self) -> Iterator[str]:
        """Every node that is run inside, each once."""
        for unit in self.units:
            if unit.block is not None:
                yield from unit.block.nodes()
            elif unit.kind != "collect":
                yield unit.node_id

    def gone_through(self) -> Iterator[str]:
        """The Splitters whose items are gone through, as often as they are."""
        for unit in self.units:
            if unit.block is not None:
                yield unit.node_id
                yield from unit.block.gone_through()


def build_block(document: Document, graph: Graph, scopes: ListScopes) -> Block:
    """The whole flow as a block."""
    return _Builder(document, graph, scopes).build()


class _Builder:
    def __init__(self, document: Document, graph: Graph, scopes: ListScopes) -> None:
        self.graph = graph
        self.scopes = scopes
        self.splitters = {node.id for node in document.nodes if node.type == SPLITTER}
        self.home: dict[Thing, Lists] = {}
        self.needs: dict[Thing, tuple[Thing, ...]] = {}
        for node_id in graph.order:
            before = tuple(self._outcome(parent) for parent in graph.parents[node_id])
            if scopes.closes(node_id):
                self._add(("collect", node_id), scopes.around[node_id], before)
                self._add(("close", node_id), scopes.gives[node_id], (("collect", node_id),))
            else:
                self._add(("node", node_id), scopes.around[node_id], before)

    def build(self) -> Block:
        block, _ = self._block((), list(self.home), set())
        return block

    def _add(self, thing: Thing, home: Lists, needs: tuple[Thing, ...]) -> None:
        self.home[thing] = home
        self.needs[thing] = needs

    def _outcome(self, node_id: str) -> Thing:
        return ("close" if self.scopes.closes(node_id) else "node", node_id)

    def _block(self, lists: Lists, todo: list[Thing], done: set[Thing]) -> tuple[Block, set[Thing]]:
        """What of `todo` can be done in this block when `done` is; and all that is done then."""
        done = set(done)
        parts: list[tuple[Kind, str, Block | None, tuple[Thing, ...]]] = []
        while True:
            own = [thing for thing in todo if self.home[thing] == lists and self._is_ready(thing, done)]
            if own:
                for thing in own:
                    parts.append((*thing, None, (thing,)))  # noqa: PERF401 - the type would not be known
                done.update(own)
                todo = [thing for thing in todo if thing not in done]
                continue
            found = self._best_pass(lists, todo, done)
            if found is None:
                return self._wired(parts), done
            splitter, block, now_done = found
            parts.append(("each", splitter, block, tuple(thing for thing in todo if thing in now_done)))
            done = now_done
            todo = [thing for thing in todo if thing not in done]

    def _is_ready(self, thing: Thing, done: set[Thing]) -> bool:
        return all(need in done for need in self.needs[thing])

    def _best_pass(self, lists: Lists, todo: list[Thing], done: set[Thing]) -> tuple[str, Block, set[Thing]] | None:
        """The list whose items can be gone through now: one that is through afterwards, else any."""
        partly = None
        depth = len(lists)
        for splitter in dict.fromkeys(
            self.home[thing][depth]
            for thing in todo
            if len(self.home[thing]) > depth and self.home[thing][:depth] == lists
        ):
            if ("node", splitter) not in done:
                continue
            inside = (*lists, splitter)
            inner = [thing for thing in todo if self.home[thing][: depth + 1] == inside]
            block, now_done = self._block(inside, inner, done)
            if all(thing in now_done for thing in inner):
                return splitter, block, now_done
            if len(now_done) > len(done) and partly is None:
                partly = (splitter, block, now_done)
        return partly

    def _wired(self, parts: list[tuple[Kind, str, Block | None, tuple[Thing, ...]]]) -> Block:
        place = {thing: number for number, part in enumerate(parts) for thing in part[3]}
        waits: list[set[int]] = []
        earlier: dict[str, int] = {}
        for number, (kind, node_id, _, things) in enumerate(parts):
            needed = {place[need] for thing in things for need in self.needs[thing] if need in place} - {number}
            if kind == "each":
                if ("node", node_id) in place:
                    needed.add(place["node", node_id])
                if node_id in earlier:
                    needed.add(earlier[node_id])
                earlier[node_id] = number
            waits.append(needed)
        units = []
        for number, (kind, node_id, block, things) in enumerate(parts):
            collects = frozenset(other for what, other in things if what == "collect") if block else frozenset()
            units.append(
                Unit(
                    kind,
                    node_id,
                    len(waits[number]),
                    tuple(other for other, needed in enumerate(waits) if number in needed),
                    block,
                    collects,
                    block is not None and self._is_covered(things, collects),
                )
            )
        chain = all(number - 1 in waits[number] for number in range(1, len(parts)))
        return Block(tuple(units), chain)

    def _is_covered(self, things: tuple[Thing, ...], collects: frozenset[str]) -> bool:
        return all(collects & self.graph.descendants(node_id) for what, node_id in things if what != "collect")
