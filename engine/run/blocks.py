"""Computes, once per plan, the nested blocks in which a flow with lists runs: which units there are and what each waits
for.

The whole flow is a block. The nodes that run once per item of a Splitter form a block of their own; in the block around
it, one unit (`each`) stands for all items. A Flatten that ends a list becomes two units: `collect`, in the item's
block, takes the values of one item, and `close`, in the block in which the list ends, builds the list. When nodes
inside a list need the result of a Flatten of the same list, the items are iterated a second time: a second `each` with
the remaining nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from engine.flow.document import Document
from engine.flow.graph import Graph
from engine.flow.lists import SPLITTER, Lists, ListScopes

Kind = Literal["node", "collect", "close", "each"]
Thing = tuple[Literal["node", "collect", "close"], str]


class Unit(Struct, frozen=True):
    """One unit of a block. For `each`, `node_id` is the Splitter's, and `block` is set; other kinds have no `block`.

    `waits`: how many units of its block it waits for. `after`: the positions of the units that wait for it.
    """

    kind: Kind
    node_id: str
    waits: int
    after: tuple[int, ...]
    block: Block | None = None
    #: The Flattens that collect values from the items, also from lists inside these.
    collects: frozenset[str] = frozenset()
    #: True when every node inside leads to one of those Flattens.
    covered: bool = False


class Block(Struct, frozen=True):
    """Units in an order in which they may run.

    `chain`: each unit waits for the one before it, so none can run concurrently.
    """

    units: tuple[Unit, ...]
    chain: bool

    def nodes(self) -> Iterator[str]:
        """Yields the ids of all nodes that run inside, each once."""
        for unit in self.units:
            if unit.block is not None:
                yield from unit.block.nodes()
            elif unit.kind != "collect":
                yield unit.node_id

    def iterated(self) -> Iterator[str]:
        """Yields the Splitters whose items are iterated, once for each iteration."""
        for unit in self.units:
            if unit.block is not None:
                yield unit.node_id
                yield from unit.block.iterated()


def build_block(document: Document, graph: Graph, scopes: ListScopes) -> Block:
    """Returns the block of the whole flow, with the blocks of its lists inside."""
    return _Builder(document, graph, scopes).build()


class _Builder:
    def __init__(self, document: Document, graph: Graph, scopes: ListScopes) -> None:
        self.graph = graph
        self.scopes = scopes
        self.splitters = {node.id for node in document.nodes if node.type == SPLITTER}
        self.lists_of: dict[Thing, Lists] = {}
        self.needs: dict[Thing, tuple[Thing, ...]] = {}
        for node_id in graph.order:
            before = tuple(self._outcome(parent) for parent in graph.parents[node_id])
            if scopes.closes(node_id):
                self._add(("collect", node_id), scopes.around[node_id], before)
                self._add(("close", node_id), scopes.gives[node_id], (("collect", node_id),))
            else:
                self._add(("node", node_id), scopes.around[node_id], before)

    def build(self) -> Block:
        block, _ = self._block((), list(self.lists_of), set())
        return block

    def _add(self, thing: Thing, lists_of: Lists, needs: tuple[Thing, ...]) -> None:
        self.lists_of[thing] = lists_of
        self.needs[thing] = needs

    def _outcome(self, node_id: str) -> Thing:
        return ("close" if self.scopes.closes(node_id) else "node", node_id)

    def _block(self, lists: Lists, todo: list[Thing], done: set[Thing]) -> tuple[Block, set[Thing]]:
        """Returns the block of what can be done of `todo` when `done` is done, and everything that is done after it."""
        done = set(done)
        parts: list[tuple[Kind, str, Block | None, tuple[Thing, ...]]] = []
        while True:
            own = [thing for thing in todo if self.lists_of[thing] == lists and self._is_ready(thing, done)]
            if own:
                for thing in own:
                    parts.append((*thing, None, (thing,)))  # noqa: PERF401 - the type would not be known
                done.update(own)
                todo = [thing for thing in todo if thing not in done]
                continue
            found = self._best_pass(lists, todo, done)
            if found is None:
                return self._connected(parts), done
            splitter, block, now_done = found
            parts.append(("each", splitter, block, tuple(thing for thing in todo if thing in now_done)))
            done = now_done
            todo = [thing for thing in todo if thing not in done]

    def _is_ready(self, thing: Thing, done: set[Thing]) -> bool:
        return all(need in done for need in self.needs[thing])

    def _best_pass(self, lists: Lists, todo: list[Thing], done: set[Thing]) -> tuple[str, Block, set[Thing]] | None:
        """Returns the list to iterate now: one that is finished by it, or else any that gets further.

        None when there is none.
        """
        partly = None
        depth = len(lists)
        for splitter in dict.fromkeys(
            self.lists_of[thing][depth]
            for thing in todo
            if len(self.lists_of[thing]) > depth and self.lists_of[thing][:depth] == lists
        ):
            if ("node", splitter) not in done:
                continue
            inside = (*lists, splitter)
            inner = [thing for thing in todo if self.lists_of[thing][: depth + 1] == inside]
            block, now_done = self._block(inside, inner, done)
            if all(thing in now_done for thing in inner):
                return splitter, block, now_done
            if len(now_done) > len(done) and partly is None:
                partly = (splitter, block, now_done)
        return partly

    def _connected(self, parts: list[tuple[Kind, str, Block | None, tuple[Thing, ...]]]) -> Block:
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
        units: list[Unit] = []
        for number, (kind, node_id, block, things) in enumerate(parts):
            collects = frozenset(other for what, other in things if block and what == "collect")
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
