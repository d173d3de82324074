"""The graph of a document: order of nodes, ancestors, cycles, and parked nodes."""

from __future__ import annotations

from engine.flow.document import Document, Edge

#: Node types that provide data. A node that is not connected with one of them, even indirectly, is parked.
SOURCES = frozenset({"api_input", "dataset_source"})


class Graph:
    """The graph of one document. Edges to missing nodes are left out. All methods are iterative, so that no size
    overflows the stack.

    `order`: a topological order of the nodes that are neither on a cycle nor after one. `cycles`: the nodes of each
    cycle in order; of cycles that share a node, only one.
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
        self.cycles = self._find_cycles()
        self._bits = {node_id: 1 << position for position, node_id in enumerate(self.ids)}
        self._ancestors = self._collect_ancestors()
        self.parked = self._find_parked({node.id for node in document.nodes if node.type in SOURCES})

    def is_ancestor(self, earlier: str, later: str) -> bool:
        """True when `later` may use the data of `earlier`."""
        return bool(self._ancestors.get(later, 0) & self._bits.get(earlier, 0))

    def ancestors(self, node_id: str) -> tuple[str, ...]:
        """Returns all nodes whose data this node may use, in topological order."""
        mask = self._ancestors.get(node_id, 0)
        return tuple(other for other in self.order if mask & self._bits[other])

    def descendants(self, node_id: str) -> set[str]:
        """Returns all nodes that run after this one."""
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
        for node_id in ready:  # the list grows during the loop
            order.append(node_id)
            for child in self.children[node_id]:
                missing[child] -= 1
                if not missing[child]:
                    ready.append(child)
        return tuple(order)

    def _find_cycles(self) -> tuple[tuple[str, ...], ...]:
        found: list[tuple[str, ...]] = []
        left = self._waiting(set(self.ids) - set(self.order))
        while left:
            found.append(self._find_cycle(left))
            left = self._waiting(left.difference(found[-1]))
        return tuple(found)

    def _find_cycle(self, left: set[str]) -> tuple[str, ...]:
        # Every node in `left` has a parent in `left`, so following parents must return to a visited node.
        path: dict[str, None] = {}
        here = next(node_id for node_id in self.ids if node_id in left)
        while here not in path:
            path[here] = None
            here = next(parent for parent in self.parents[here] if parent in left)
        walked = list(path)
        return tuple(reversed(walked[walked.index(here) :]))

    def _waiting(self, left: set[str]) -> set[str]:
        """Returns the nodes without those that have no parent among them, and without what only follows from these."""
        missing = {node_id: sum(parent in left for parent in self.parents[node_id]) for node_id in left}
        free = [node_id for node_id in left if not missing[node_id]]
        for node_id in free:  # the list grows during the loop
            for child in self.children[node_id]:
                if child in missing:
                    missing[child] -= 1
                    if not missing[child]:
                        free.append(child)
        return left.difference(free)

    def _collect_ancestors(self) -> dict[str, int]:
        masks = dict.fromkeys(self.ids, 0)
        for node_id in self.order:
            masks[node_id] = self._mask(node_id, masks)
        sorted_ids = set(self.order)
        waiting = [node_id for node_id in self.ids if node_id not in sorted_ids]
        while waiting:  # on and after a cycle: repeat until no set of ancestors grows
            here = waiting.pop()
            mask = self._mask(here, masks)
            if mask != masks[here]:
                masks[here] = mask
                waiting += self.children[here]
        return masks

    def _mask(self, node_id: str, masks: dict[str, int]) -> int:
        mask = 0
        for parent in self.parents[node_id]:
            mask |= self._bits[parent] | masks[parent]
        return mask

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
