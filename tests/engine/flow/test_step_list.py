"""A flow shown as a list of steps: its order, and edits that keep the chain connected."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.flow.document import Document
from engine.flow.edits import Op, apply_ops, invert
from engine.flow.graph import Graph
from engine.flow.step_list import (
    come_after,
    duplicate,
    fitting,
    insert_after,
    insert_before,
    move_down,
    move_up,
    steps_of,
    take_out,
    ways_to,
)
from engine.nodes import CATALOG


def flow(*edges: str, **types: str) -> Document:
    """Builds a flow: `flow("a b", "b.yes c", a="api_input", ...)`. The nodes are placed in a row in this order."""
    nodes = [
        {"id": node_id, "type": kind, "position": {"x": at * 260, "y": 0}}
        for at, (node_id, kind) in enumerate(types.items())
    ]
    made = []
    for number, edge in enumerate(edges):
        source, target = edge.split()
        source, _, port = source.partition(".")
        made.append({"id": f"e{number}", "source": source, "source_port": port or "out", "target": target})
    return Document.model_validate({"format": 1, "nodes": nodes, "edges": made})


def joined(document: Document) -> set[str]:
    return {
        f"{edge.source}{'' if edge.source_port == 'out' else '.' + edge.source_port} {edge.target}"
        for edge in document.edges
    }


CHAIN = flow("a b", "b c", a="api_input", b="set_fields", c="text_template")
FORK = flow(
    "a q", "q.yes y", "q.no n", "y z", "n z",
    a="api_input", q="condition", y="prompt", n="set_fields", z="first_value", lost="prompt",
)  # fmt: skip
LIST = flow(
    "a s", "s p", "p f", "f o", a="api_input", s="array_splitter", p="prompt", f="array_flatten", o="api_output"
)


def test_steps_stand_after_what_they_need_branch_by_branch_and_parked_ones_last():
    steps = steps_of(FORK)
    assert [step.node.id for step in steps] == ["a", "q", "y", "n", "z", "lost"]
    assert [step.follows for step in steps] == [True, True, True, False, False, False]
    assert steps[4].after == (("y", "out"), ("n", "out"))
    assert [step.node.id for step in steps if step.parked] == ["lost"]


def test_the_order_does_not_depend_on_the_order_of_the_document():
    turned = FORK.model_copy(update={"nodes": FORK.nodes[::-1], "edges": FORK.edges[::-1]})
    assert [step.node.id for step in steps_of(turned)] == ["a", "q", "y", "n", "z", "lost"]


def test_steps_that_run_once_per_item_are_marked_with_their_list():
    assert [step.lists for step in steps_of(LIST)] == [(), (), ("s",), (), ()]


def test_a_loop_that_came_in_from_outside_is_shown_too():
    assert {step.node.id for step in steps_of(flow("x y", "y x", x="prompt", y="prompt"))} == {"x", "y"}


def test_a_step_put_behind_another_stands_between_it_and_what_came_after():
    new_id, ops = insert_after(CHAIN, CATALOG["prompt"], CATALOG, "b")
    assert joined(apply_ops(CHAIN, ops)) == {"a b", f"b {new_id}", f"{new_id} c"}


def test_a_step_put_behind_one_output_leaves_the_other_alone():
    new_id, ops = insert_after(FORK, CATALOG["prompt"], CATALOG, "q", "no")
    assert joined(apply_ops(FORK, ops)) == {"a q", "q.yes y", f"q.no {new_id}", f"{new_id} n", "y z", "n z"}


def test_a_step_put_behind_a_fork_takes_all_that_came_after():
    fork = flow("a b", "a c", a="api_input", b="prompt", c="set_fields")
    new_id, ops = insert_after(fork, CATALOG["text_template"], CATALOG, "a")
    assert joined(apply_ops(fork, ops)) == {f"a {new_id}", f"{new_id} b", f"{new_id} c"}


def test_a_step_put_in_front_takes_what_led_to_it():
    new_id, ops = insert_before(FORK, CATALOG["prompt"], CATALOG, "z")
    assert joined(apply_ops(FORK, ops)) == {"a q", "q.yes y", "q.no n", f"y {new_id}", f"n {new_id}", f"{new_id} z"}


def test_a_step_put_in_front_takes_both_outputs_of_the_step_above():
    both = flow("a q", "q.yes z", "q.no z", a="api_input", q="condition", z="set_fields")
    new_id, ops = insert_before(both, CATALOG["prompt"], CATALOG, "z")
    assert joined(apply_ops(both, ops)) == {"a q", f"q.yes {new_id}", f"q.no {new_id}", f"{new_id} z"}


def test_an_api_input_is_put_in_front_of_the_first_step():
    begun = flow("b c", b="set_fields", c="text_template")
    new_id, ops = insert_before(begun, CATALOG["api_input"], CATALOG, "b")
    after = apply_ops(begun, ops)
    assert joined(after) == {f"{new_id} b", "b c"}
    assert [step.node.id for step in steps_of(after)] == [new_id, "b", "c"]


def test_taking_a_step_out_closes_the_gap():
    assert joined(apply_ops(CHAIN, take_out(CHAIN, "b"))) == {"a c"}
    assert joined(apply_ops(FORK, take_out(FORK, "y"))) == {"a q", "q.yes z", "q.no n", "n z"}


@pytest.mark.parametrize(
    ("document", "gone", "left"),
    [
        (FORK, "q", {"y z", "n z"}),  # a branch
        (FORK, "z", {"a q", "q.yes y", "q.no n"}),
        (flow("a q", "q.yes y", a="api_input", q="condition", y="prompt"), "q", set()),
        (flow("a c", "b c", "c d", a="prompt", b="prompt", c="prompt", d="prompt"), "c", set()),
        (flow("a b", "b c", "b d", a="prompt", b="prompt", c="prompt", d="prompt"), "b", set()),
        (LIST, "s", {"p f", "f o"}),  # its neighbours would get the list in place of an item
        (LIST, "f", {"a s", "s p"}),
    ],
)
def test_neighbours_are_not_connected_where_it_is_not_plain_what_is_meant(document, gone, left):
    assert joined(apply_ops(document, take_out(document, gone))) == left


def test_neighbours_that_are_connected_already_are_not_connected_twice():
    both = flow("a b", "b c", "a c", a="api_input", b="prompt", c="prompt")
    assert joined(apply_ops(both, take_out(both, "b"))) == {"a c"}


def test_steps_change_places():
    assert joined(apply_ops(CHAIN, move_down(CHAIN, "b", CATALOG))) == {"a c", "c b"}
    assert joined(apply_ops(CHAIN, move_up(CHAIN, "c", CATALOG))) == {"a c", "c b"}


@pytest.mark.parametrize(("move", "node_id"), [(move_up, "a"), (move_up, "b"), (move_down, "a"), (move_down, "c")])
def test_a_move_that_cannot_be_changes_nothing(move, node_id):
    assert move(CHAIN, node_id, CATALOG) == []


def test_the_last_step_of_a_long_flow_cannot_move_down():
    ids = [f"n{number}" for number in range(300)]
    long = flow(*(f"{one} {other}" for one, other in pairwise(ids)), **dict.fromkeys(ids, "set_fields"))
    assert move_down(long, ids[-1], CATALOG) == []
    assert move_down(long, ids[-2], CATALOG) != []


def test_the_last_step_cannot_move_behind_an_api_output():
    assert move_down(LIST, "f", CATALOG) == []


def test_a_copy_stands_behind_the_step_with_the_same_settings():
    new_id, ops = duplicate(CHAIN, "b", CATALOG)
    after = apply_ops(CHAIN, ops)
    assert joined(after) == {"a b", f"b {new_id}", f"{new_id} c"}
    assert duplicate(CHAIN, "a", CATALOG) == ("", [])


def test_what_came_after_a_condition_comes_after_the_first_output_of_its_copy():
    new_id, ops = duplicate(FORK, "q", CATALOG)
    after = joined(apply_ops(FORK, ops))
    assert after == {"a q", f"q.yes {new_id}", f"{new_id}.yes y", "q.no n", "y z", "n z"}


def test_a_step_comes_after_what_was_chosen_and_nothing_else():
    after = apply_ops(FORK, come_after(FORK, "z", {("q", "yes"), ("n", "out")}, CATALOG))
    assert joined(after) == {"a q", "q.yes y", "q.no n", "q.yes z", "n z"}


def test_what_comes_after_a_step_is_not_offered_as_what_it_comes_after():
    assert ways_to(FORK, "y", CATALOG) == [("a", "out"), ("q", "yes"), ("q", "no"), ("n", "out"), ("lost", "out")]
    assert ways_to(FORK, "a", CATALOG) == []


def test_only_what_fits_is_offered():
    kinds = {kind.type for kind in fitting(LIST, CATALOG, after="p")}
    assert "prompt" in kinds
    assert not kinds & {"api_input", "api_output"}
    assert fitting(LIST, CATALOG, after="o") == []
    assert "api_output" not in {kind.type for kind in fitting(CHAIN, CATALOG, before="c")}
    assert "api_output" in {kind.type for kind in fitting(CHAIN, CATALOG, after="c")}
    assert "api_input" in {kind.type for kind in fitting(flow(b="prompt"), CATALOG, before="b")}


VERBS = st.lists(
    st.tuples(st.sampled_from(["after", "before", "out", "up", "down", "copy", "choose"]), st.integers(0, 50)),
    max_size=12,
)


def edit(verb: str, document: Document, node_id: str) -> list[Op]:
    match verb:
        case "after":
            return insert_after(document, CATALOG["prompt"], CATALOG, node_id)[1]
        case "before":
            return insert_before(document, CATALOG["prompt"], CATALOG, node_id)[1]
        case "out":
            return take_out(document, node_id)
        case "up":
            return move_up(document, node_id, CATALOG)
        case "down":
            return move_down(document, node_id, CATALOG)
        case "copy":
            return duplicate(document, node_id, CATALOG)[1]
    return come_after(document, node_id, ways_to(document, node_id, CATALOG)[::2], CATALOG)


def parts(document: Document) -> tuple[dict, dict]:
    return {node.id: node for node in document.nodes}, {edge.id: edge for edge in document.edges}


@given(VERBS)
def test_any_row_of_edits_makes_no_loop_and_can_be_taken_back(verbs):
    document = FORK
    for verb, number in verbs:
        ops = edit(verb, document, document.nodes[number % len(document.nodes)].id if document.nodes else "a")
        after = apply_ops(document, ops)
        assert not Graph(after).cycles
        assert len({(edge.source, edge.source_port, edge.target) for edge in after.edges}) == len(after.edges)
        assert parts(apply_ops(after, invert(ops))) == parts(document)
        document = after
