"""The graph of a document: who runs after whom, who is whose ancestor, cycles, and nodes that stand apart."""

from __future__ import annotations

from engine.flow.document import Document, Edge

#: Types that data comes from; a node not connected with one of them is parked.
SOURCES = frozenset({"api_input", "dataset_source"})


class Graph:
    """Computed once per document; dangling edges are left out. Iterative throughout: size cannot overflow the stack.

    `order` is a topological order of the nodes that lie on no cycle; `cycle` names the nodes of one cycle in their order.
    """

    def __init__(self, document: Document) -> None:
        self.ids: tuple[str, ...] = tuple(dict.fromkeys(node.id for node in document.nodes))
        known = set(self.ids)
        self.edges: tuple[Edge, ...] = tuple(
            edge for edge in document.edges if edge.source in known and edge.target in known
        )
        self.children: dict[str, list[str]] = {node_id: [] for node_id in self.ids}
        self.parents: dict[str, list[str]] = {node_id: [] for node_id in self.ids}
        for edge in self.edges:
            if edge.target not in self.children[edge.source]:
                self.children[edge.source].append(edge.target)
                self.parents[edge.target].append(edge.source)
        self.order = self._sort()
        self.cycle = self._find_cycle()
        self._bits = {node_id: 1 << position for position, node_id in enumerate(self.ids)}
        self._ancestors = self._collect_ancestors()
        self.parked = self._find_parked({node.id for node in document.nodes if node.type in SOURCES})

    def is_ancestor(self, earlier: str, later: str) -> bool:
        """True when `later` may use the data of `earlier`."""
        return bool(self._ancestors.get(later, 0) & self._bits.get(earlier, 0))

    def ancestors(self, node_id: str) -> tuple[str, ...]:
        """All nodes whose data this node may use, in topological order."""
        mask = self._ancestors.get(node_id, 0)
        return tuple(other for other in self.order if mask & self._bits[other])

    def descendants(self, node_id: str) -> set[str]:
        """All nodes that run after this one."""
        found: set[str] = set()
        waiting = [node_id]
        while waiting:
            for child in self.children.get(waiting.pop(), ()):
                if child not in found:
                    found.add(child)
                    waiting.append(child)
        return found

    def _sort(self) -> tuple[str, ...]:
        missing = {node_id: len(parents) for node_id, parents in self.parents.items()}
        ready = [node_id for node_id in self.ids if not missing[node_id]]
        order: list[str] = []
        for node_id in ready:  # grows while it is read
            order.append(node_id)
            for child in self.children[node_id]:
                missing[child] -= 1
                if not missing[child]:
                    ready.append(child)
        return tuple(order)

    def _find_cycle(self) -> tuple[str, ...]:
        left = set(self.ids) - set(self.order)
        if not left:
            return ()
        # Every node left has a parent left, so walking up must come back to where it has been.
        path: list[str] = []
        here = next(node_id for node_id in self.ids if node_id in left)
        while here not in path:
            path.append(here)
            here = next(parent for parent in self.parents[here] if parent in left)
        return tuple(reversed(path[path.index(here) :]))

    def _collect_ancestors(self) -> dict[str, int]:
        masks: dict[str, int] = {}
        for node_id in self.order:
            mask = 0
            for parent in self.parents[node_id]:
                mask |= self._bits[parent] | masks.get(parent, 0)
            masks[node_id] = mask
        return masks

    def _find_parked(self, sources: set[str]) -> frozenset[str]:
        reached = set(sources)
        waiting = list(sources)
        while waiting:
            here = waiting.pop()
            for neighbour in (*self.children[here], *self.parents[here]):
                if neighbour not in reached:
                    reached.add(neighbour)
                    waiting.append(neighbour)
        return frozenset(set(self.ids) - reached)
