"""The lines of a drawing as the canvas routes them (`assets/canvas/src/edge_route.js`), and which of them cross."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from engine.flow.document import Document, Edge
from engine.nodes import CATALOG

Point = tuple[float, float]
#: Lines that lie upon each other cross, too: one of the two is moved by less than anybody sees.
_ASIDE = (0.37, 0.21)


def crossings(document: Document) -> Iterator[tuple[Edge, Edge]]:
    """Yields the edges whose lines cross before they come to one node."""
    lines = [(edge, _line(document, edge)) for edge in document.edges]
    for (one, first), (other, second) in combinations(lines, 2):
        if one.target == other.target:
            continue
        apart = (one.source, one.source_port) != (other.source, other.source_port)
        moved = [(x + _ASIDE[0], y + _ASIDE[1]) for x, y in second] if apart else second
        if any(_cross(a, b, c, d) for a, b in pairwise(first) for c, d in pairwise(moved)):
            yield one, other


def _line(document: Document, edge: Edge) -> list[Point]:
    source, target = document.node(edge.source), document.node(edge.target)
    assert source is not None
    assert target is not None
    ports = CATALOG[source.type].ports
    named = len(ports) > 1
    at = max(56, len(ports) * 24 + 8) / 2 + (ports.index(edge.source_port) - (len(ports) - 1) / 2) * 24
    sx, sy = source.position.x + 204, source.position.y + at
    tx, ty = target.position.x, target.position.y + 28
    out = 46 if named else 24
    if tx - sx < 24:
        upper, lower = sorted((sy, ty))
        room = lower - 28 - (upper + 56)
        away = min(28, room / 2)
        lane = lower + 76 if room < 16 else upper + 56 + away if sy < ty else lower - 28 - away
        return [(sx, sy), (sx + out, sy), (sx + out, lane), (tx - 24, lane), (tx - 24, ty), (tx, ty)]
    if tx - sx <= 150:
        turn = max((sx + tx) / 2, min(sx + out, tx - 12)) if named else (sx + tx) / 2
        return [(sx, sy), (turn, sy), (turn, ty), (tx, ty)]
    begin = sx + out if named else tx - 56 if ty < sy else sx
    middle = (begin + tx) / 2
    return [(sx, sy), *(_on_curve(step / 12, (begin, sy), middle, (tx, ty)) for step in range(13))]


def _on_curve(t: float, begin: Point, middle: float, end: Point) -> Point:
    """A point of the curve that leaves `begin` and reaches `end` horizontally."""
    first, inner, last = (1 - t) ** 3, 3 * t * (1 - t), t**3
    x = first * begin[0] + inner * middle + last * end[0]
    return x, (first + inner * (1 - t)) * begin[1] + (last + inner * t) * end[1]


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
