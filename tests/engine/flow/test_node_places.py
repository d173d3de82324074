"""Nodes without positions are laid out, and a new node finds or makes room; other flows stay unchanged."""

import pytest

from engine.core.paths import ASSETS
from engine.flow.document import Document
from engine.flow.edits import add_node, apply_ops, invert
from engine.flow.flow_file import parse_flow_file
from engine.flow.node_places import crowding, with_places
from engine.flow.step_list import insert_after, insert_before
from engine.nodes import CATALOG
from tests.random_flows import grown, without_places

PROMPT, CONDITION = CATALOG["prompt"], CATALOG["condition"]


def flow(*places):
    nodes = [
        {"id": f"n{number}", "type": "set_fields", "position": {"x": x, "y": y}} for number, (x, y) in enumerate(places)
    ]
    edges = [{"id": "a", "source": "n0", "target": "n1"}, {"id": "b", "source": "n0", "target": "n2"}]
    return Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})


def chain(*places):
    """A row of nodes, each after the one before it."""
    nodes = [
        {"id": f"n{number}", "type": "set_fields", "position": {"x": x, "y": y}} for number, (x, y) in enumerate(places)
    ]
    edges = [
        {"id": f"e{number}", "source": f"n{number}", "target": f"n{number + 1}"} for number in range(len(places) - 1)
    ]
    return Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})


def places(document):
    return {node.id: (node.position.x, node.position.y) for node in document.nodes}


def test_nodes_on_one_spot_are_spread_by_what_runs_after_what():
    placed = with_places(flow((0, 0), (0, 0), (0, 0)), CATALOG)
    assert [(node.position.x, node.position.y) for node in placed.nodes] == [(0, 0), (260, 0), (260, 160)]


def test_places_that_somebody_chose_stay():
    chosen = flow((0, 0), (5, 5), (9, 9))
    assert with_places(chosen, CATALOG) is chosen


def test_a_node_that_is_put_in_between_moves_the_later_ones_right_and_undo_moves_them_back():
    before = chain((0, 0), (260, 0), (520, 0))
    new, ops = add_node(before, PROMPT, CATALOG, between="e0")
    after = apply_ops(before, ops)
    assert places(after) == {"n0": (0, 0), new: (260, 0), "n1": (520, 0), "n2": (780, 0)}
    assert places(apply_ops(after, invert(ops))) == places(before)


def test_a_first_addition_to_a_flow_without_positions_gives_every_node_one_and_undo_takes_them_back():
    before = without_places(chain((0, 0), (260, 0), (520, 0)))
    new, ops = add_node(before, PROMPT, CATALOG, between="e0")
    after = apply_ops(before, ops)
    assert places(after) == {"n0": (0, 0), new: (260, 0), "n1": (520, 0), "n2": (780, 0)}
    assert places(apply_ops(after, invert(ops))) == places(before)


def test_nothing_moves_when_there_is_room_and_a_wrapped_row_stays_where_it_is():
    before = chain((0, 0), (520, 0), (0, 160), (260, 160))
    new, ops = add_node(before, PROMPT, CATALOG, between="e0")
    assert places(apply_ops(before, ops)) == {**places(before), new: (260, 0)}
    new, ops = add_node(before, PROMPT, CATALOG, between="e1")
    assert places(apply_ops(before, ops)) == {**places(before), new: (780, 0)}


def test_each_way_out_of_a_condition_has_a_place_of_its_own():
    document = chain((0, 0))
    condition, ops = add_node(document, CONDITION, CATALOG, after="n0")
    document = apply_ops(document, ops)
    for port, kind in (("yes", "prompt"), ("no", "set_fields"), ("yes", "condition")):
        after = "prompt" if kind == "condition" else condition
        document = apply_ops(document, add_node(document, CATALOG[kind], CATALOG, after=after, port=port)[1])
    found = places(document)
    assert (found["prompt"], found["set_fields"], found["condition_2"]) == ((580, -80), (580, 80), (840, -80))


def test_a_step_that_is_put_before_or_behind_others_in_the_list_makes_room_as_well():
    before = flow((0, 0), (260, 0), (260, 160))
    new, ops = insert_after(before, PROMPT, CATALOG, "n0")
    assert places(apply_ops(before, ops)) == {"n0": (0, 0), new: (260, 0), "n1": (520, 0), "n2": (520, 160)}
    new, ops = insert_before(before, PROMPT, CATALOG, "n2")
    assert places(apply_ops(before, ops)) == {"n0": (0, 0), new: (260, 160), "n1": (260, 0), "n2": (520, 160)}


@pytest.mark.parametrize("steps", [12, 22])
def test_in_grown_flows_nothing_is_crowded(steps):
    for seed in range(30):
        document = grown(seed, steps)
        assert crowding(document) == set(), seed
        assert crowding(with_places(without_places(document), CATALOG)) == set(), seed


def test_what_a_person_put_on_one_another_stays_there():
    before = chain((0, 0), (260, 0), (300, 20), (800, 400))
    _new, ops = add_node(before, PROMPT, CATALOG, after="n3")
    assert {one: place for one, place in places(apply_ops(before, ops)).items() if one in places(before)} == places(
        before
    )


def test_nothing_is_crowded_in_a_template():
    files = sorted((ASSETS / "templates").glob("*.json"))
    assert files
    for file in files:
        parsed, problems = parse_flow_file(file.read_bytes())
        assert parsed is not None, problems
        assert crowding(parsed.document) == set(), file.name
