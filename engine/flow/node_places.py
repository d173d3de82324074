"""Places nodes: of a flow without positions, and of a node that is added to a flow that has them.

A new node stands to the right of the node it comes after, and what comes after it moves right. Where that place is
taken, rows or columns are moved apart, which keeps the order of all other nodes. `crowding` says what may not happen:
nodes that cover each other, and nodes inside the frame of a list (docs/dev/flows.md) that do not run for its items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct

from engine.flow.document import Document, Edge, Position
from engine.flow.graph import Graph
from engine.flow.lists import ListScopes
from engine.flow.node_type import Catalog

#: The distance of a new node from the one before it. A node is 204 wide; gaps are 56 and 76, rounded to the grid of 20.
STEP_X = 260
STEP_Y = 160
#: The further distance after a node with several outputs: their labels and their + need room.
PORT_ROOM = 60

_WIDTH, _HEIGHT = 204, 84
#: The smallest distance between two nodes.
_APART = 20
#: The distance of a frame from its nodes, and how much further a frame around other frames is away (measures.js).
_FRAME_PAD, _FRAME_MORE, _MAX_MORE = 18, 14, 2
#: By how much rows are moved apart to make room, the smallest first.
_ROWS_APART = (STEP_Y / 2, STEP_Y, STEP_Y * 1.5, STEP_Y * 2)

#: How much is tried to find room, so that a large flow does not hold up the page: tries times nodes, and tries at least.
_TRIED_NODES, _FEWEST_TRIES = 4_000, 10
#: Up to this number of nodes a flow without positions is laid out with regard to its lists.
_MAX_WITH_LISTS = 60

_Places = dict[str, tuple[float, float]]


class _Frame(Struct, frozen=True):
    """The nodes that run once per item of a list, and how far the frame around them is away from them."""

    splitter: str
    members: frozenset[str]
    pad: float


def with_places(document: Document, catalog: Catalog) -> Document:
    """Returns the document with its nodes spread out when all have the same position; otherwise unchanged."""
    if len({(node.position.x, node.position.y) for node in document.nodes}) > 1 or len(document.nodes) < 2:
        return document
    graph = Graph(document)
    places = _spread(document, graph, _frames(document, graph), catalog)
    nodes = tuple(node.model_copy(update={"position": _position(places[node.id])}) for node in document.nodes)
    return document.model_copy(update={"nodes": nodes})


def make_room(before: Document, document: Document, node_id: str, catalog: Catalog) -> dict[str, Position]:
    """Returns the new positions of the nodes that move, the new node among them, which the document already holds with
    its connections. What was crowded `before` may stay so.
    """
    graph = Graph(document)
    leading = [edge for edge in graph.edges if edge.target == node_id]
    if not leading:
        return {}
    places = {node.id: (node.position.x, node.position.y) for node in document.nodes if node.id != node_id}
    frames = _frames(document, graph)
    had = crowding(before)
    found = _Room(document, graph, frames, places, node_id, leading, catalog).find(had)
    if not had and _crowding(found, frames):  # nothing was in the way before: all of the flow is laid out anew
        spread = _spread(document, graph, frames, catalog)
        found = found if _crowding(spread, frames) else spread
    return {one: _position(place) for one, place in found.items() if places.get(one) != place}


def _spread(document: Document, graph: Graph, frames: Sequence[_Frame], catalog: Catalog) -> _Places:
    """Places all nodes, one after the other in the order in which they run."""
    if len(graph.ids) > _MAX_WITH_LISTS:
        return _in_columns(graph)
    leading: dict[str, list[Edge]] = {node_id: [] for node_id in graph.ids}
    for edge in graph.edges:
        leading[edge.target].append(edge)
    places: _Places = {}
    for node_id in (*graph.order, *(one for one in graph.ids if one not in graph.order)):
        before = [edge for edge in leading[node_id] if edge.source in places]
        if before:
            places = _Room(document, graph, frames, places, node_id, before, catalog).find(set())
        else:
            places[node_id] = (0, max((y for _x, y in places.values()), default=-STEP_Y) + STEP_Y)
    return places


def _in_columns(graph: Graph) -> _Places:
    column: dict[str, int] = dict.fromkeys(graph.ids, 0)
    for node_id in graph.order:
        column[node_id] = max((column[parent] + 1 for parent in graph.parents[node_id]), default=0)
    rows: dict[int, int] = {}
    places: _Places = {}
    for node_id in graph.ids:
        row = rows.get(column[node_id], 0)
        rows[column[node_id]] = row + 1
        places[node_id] = (column[node_id] * STEP_X, row * STEP_Y)
    return places


def crowding(document: Document) -> set[tuple[str, str]]:
    """Returns the pairs of nodes that cover each other, and pairs of a Splitter and a node that stands in the frame of
    its list without belonging there.
    """
    places = {node.id: (node.position.x, node.position.y) for node in document.nodes}
    return _crowding(places, _frames(document, Graph(document)))


class _Room:
    """Looks for the place of one node among the others.

    `places`: of all nodes but the new one. `before`: the edges that lead to it.
    """

    def __init__(
        self,
        document: Document,
        graph: Graph,
        frames: Sequence[_Frame],
        places: _Places,
        node_id: str,
        before: Sequence[Edge],
        catalog: Catalog,
    ) -> None:
        self.graph = graph
        self.frames = frames
        self.places = places
        self.node_id = node_id
        kinds = {node.id: catalog.get(node.type) for node in document.nodes}
        self.ports: Mapping[str, Sequence[str]] = {one: kind.ports for one, kind in kinds.items() if kind}
        self.leading = max(before, key=lambda edge: places[edge.source][0])
        self.source = self.leading.source
        self.before = before

    def find(self, had: set[tuple[str, str]]) -> _Places:
        """Returns the places of all nodes with the new one: the first way that crowds nothing that was not crowded
        already, else the one that crowds least.
        """
        best: tuple[int, _Places] | None = None
        for found in islice(self._ways(), max(_FEWEST_TRIES, _TRIED_NODES // len(self.places))):
            for places in (found, self._with_lists_closed(found)):
                worse = len(_crowding(places, self.frames) - had)
                if not worse:
                    return places
                if best is None or worse < best[0]:
                    best = (worse, places)
        assert best is not None
        return best[1]

    def _ways(self) -> Iterator[_Places]:
        """Yields places to try, those that move the fewest nodes first."""
        row, away = self._row()
        for places in (self._with_followers_moved(), self._with_columns_apart()):
            yield self._with_node(places, row, away)
            around = self.places[row][1] + away
            heights = sorted({y for _x, y in places.values() if abs(y - around) <= 2 * STEP_Y})
            for apart in _ROWS_APART:
                for height in reversed(heights):
                    lower = {one: (x, y + apart if y >= height else y) for one, (x, y) in places.items()}
                    yield self._with_node(lower, row, away)
                for height in heights:
                    upper = {one: (x, y - apart if y <= height else y) for one, (x, y) in places.items()}
                    yield self._with_node(upper, row, away)

    def _with_node(self, places: _Places, row: str, away: float) -> _Places:
        return {**places, self.node_id: (places[self.source][0] + self._step(self.source), places[row][1] + away)}

    def _row(self) -> tuple[str, float]:
        """Returns the node whose row counts, and how far below that row the new node belongs."""
        followers = [one for one in self._followers() if len(self.graph.parents[one]) == 1]
        if len(followers) == 1:
            return followers[0], 0
        height = self.places[self.source][1]
        if len(self.before) > 1:
            heights = [self.places[edge.source][1] for edge in self.before]
            return self.source, round((min(heights) + max(heights)) / 40) * 20 - height
        beside = [
            self.places[edge.target][1]
            for edge in self.graph.edges
            if edge.source == self.source
            and edge.source_port == self.leading.source_port
            and edge.target in self.places
            and _leads_right(self.places, self.source, edge.target)
        ]
        if beside:
            return self.source, max(beside) + STEP_Y - height
        ports = self.ports.get(self.source, ())
        at = ports.index(self.leading.source_port) if self.leading.source_port in ports else 0
        return self.source, (at - (len(ports) - 1) / 2) * STEP_Y if len(ports) > 1 else 0

    def _with_followers_moved(self) -> _Places:
        """Moves what comes after the new node right, as far as the new node needs."""
        followers = self._followers()
        x = self.places[self.source][0] + self._step(self.source) + self._step(self.node_id)
        further = max((x - self.places[one][0] for one in followers), default=0)
        moved: set[str] = self._to_the_right(followers, self.places) if further > 0 else set()
        return {one: (x + further if one in moved else x, y) for one, (x, y) in self.places.items()}

    def _with_columns_apart(self) -> _Places:
        """Moves everything right of the source right, so that the new node has a column of its own."""
        left = self.places[self.source][0]
        x = left + self._step(self.source) + self._step(self.node_id)
        further = max(0, x - min((one for one, _y in self.places.values() if one > left), default=x))
        return {one: (x + further if x > left else x, y) for one, (x, y) in self.places.items()}

    def _with_lists_closed(self, places: _Places) -> _Places:
        """Moves what comes after a list right, out of the frame of that list."""
        for frame in self.frames:
            own = [one for one in frame.members if one in places]
            if not own:
                continue
            x = max(places[one][0] for one in own) + STEP_X
            inside = [one for splitter, one in _crowding(places, [frame]) if splitter == frame.splitter]
            after = [one for one in inside if any(self.graph.is_ancestor(member, one) for member in own)]
            further = max((x - places[one][0] for one in after), default=0)
            moved = self._to_the_right(after, places) - frame.members
            places = {one: (x + further if one in moved else x, y) for one, (x, y) in places.items()}
        return places

    def _followers(self) -> list[str]:
        """Returns the nodes that come next and stand to the right; a row that is wrapped goes on at the left."""
        return [one for one in self.graph.children[self.node_id] if _leads_right(self.places, self.source, one)]

    def _to_the_right(self, begin: Iterable[str], places: _Places) -> set[str]:
        waiting = list(begin)
        found = set(waiting)
        while waiting:
            here = waiting.pop()
            new = [one for one in self.graph.children[here] if one not in found and _leads_right(places, here, one)]
            found.update(new)
            waiting += new
        return found

    def _step(self, node_id: str) -> float:
        return STEP_X + (PORT_ROOM if len(self.ports.get(node_id, ())) > 1 else 0)


def _leads_right(places: _Places, one: str, other: str) -> bool:
    return one in places and other in places and places[other][0] > places[one][0]


def _frames(document: Document, graph: Graph) -> list[_Frame]:
    inside = ListScopes(document, graph).frames()
    levels: dict[str, int] = {}
    for splitter in reversed(inside):  # the inner frames come last
        levels[splitter] = max((levels[one] + 1 for one in inside[splitter] if one in levels), default=0)
    return [
        _Frame(splitter, frozenset(members), _FRAME_PAD + _FRAME_MORE * min(_MAX_MORE, levels[splitter]))
        for splitter, members in inside.items()
    ]


def _crowding(places: _Places, frames: Iterable[_Frame]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    ordered = sorted((x, y, one) for one, (x, y) in places.items())
    for at, (x, y, one) in enumerate(ordered):
        for other_x, other_y, other in ordered[at + 1 :]:
            if other_x - x >= _WIDTH + _APART:
                break
            if abs(other_y - y) < _HEIGHT + _APART:
                found.add((min(one, other), max(one, other)))
    for frame in frames:
        own = [places[one] for one in frame.members if one in places]
        if not own:
            continue
        left, right = min(x for x, _ in own) - frame.pad, max(x for x, _ in own) + _WIDTH + frame.pad
        top, bottom = min(y for _, y in own) - frame.pad, max(y for _, y in own) + _HEIGHT + frame.pad
        found.update(
            (frame.splitter, one)
            for x, y, one in ordered
            if one not in frame.members and x < right and x + _WIDTH > left and y < bottom and y + _HEIGHT > top
        )
    return found


def _position(place: tuple[float, float]) -> Position:
    return Position.near(*place)
