"""Nodes without positions are laid out; other flows stay unchanged."""

from engine.flow.document import Document
from engine.flow.layout import with_places


def flow(*places):
    nodes = [
        {"id": f"n{number}", "type": "set_fields", "position": {"x": x, "y": y}} for number, (x, y) in enumerate(places)
    ]
    edges = [{"id": "a", "source": "n0", "target": "n1"}, {"id": "b", "source": "n0", "target": "n2"}]
    return Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})


def test_nodes_on_one_spot_are_spread_by_what_runs_after_what():
    placed = with_places(flow((0, 0), (0, 0), (0, 0)))
    assert [(node.position.x, node.position.y) for node in placed.nodes] == [(0, 0), (260, 0), (260, 160)]


def test_places_that_somebody_chose_stay():
    chosen = flow((0, 0), (5, 5), (9, 9))
    assert with_places(chosen) is chosen
