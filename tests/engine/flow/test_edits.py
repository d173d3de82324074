"""Edits of the canvas are pure functions, can be undone exactly, and tolerate concurrent edits."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.flow.document import (
    FURTHEST,
    MAX_BYTES,
    MAX_EDGES,
    MAX_NODES,
    MAX_NOTES,
    Document,
    Edge,
    Node,
    Note,
    Position,
)
from engine.flow.edits import (
    MAX_OPS,
    EditRefused,
    add_node,
    apply_ops,
    connect_ops,
    difference_ops,
    invert,
    paste_ops,
    update_node,
)
from engine.nodes import CATALOG

START = Document.model_validate(
    {
        "format": 1,
        "nodes": [
            {
                "id": "api_input",
                "type": "api_input",
                "label": "API Input",
                "config": {"fields": [{"name": "template", "type": "string"}]},
            },
            {
                "id": "set_fields",
                "type": "set_fields",
                "label": "Set Fields",
                "inputs": {"a": "{{ api_input.out.template }}"},
                "position": {"x": 260, "y": 0},
            },
        ],
        "edges": [{"id": "e1", "source": "api_input", "target": "set_fields"}],
    }
)
TEMPLATE = CATALOG["text_template"]


def test_a_node_added_after_another_is_connected_named_and_bound():
    node_id, ops = add_node(START, TEMPLATE, CATALOG, after="set_fields")
    after = apply_ops(START, ops)
    node = after.node(node_id)
    assert node is not None
    assert node.label == "Text Template"
    assert node.inputs == {"template": "{{ api_input.out.template }}"}
    assert [(edge.source, edge.target) for edge in after.edges][-1] == ("set_fields", node_id)
    assert (node.position.x, node.position.y) == (520, 0)


def test_nodes_added_after_a_condition_take_one_way_after_the_other():
    condition, ops = add_node(START, CATALOG["condition"], CATALOG, after="set_fields")
    flow = apply_ops(START, ops)
    for _ in range(2):
        flow = apply_ops(flow, add_node(flow, TEMPLATE, CATALOG, after=condition)[1])
    assert [edge.source_port for edge in flow.edges if edge.source == condition] == ["yes", "no"]


def test_nodes_added_after_an_approval_all_go_on_from_approved():
    approval, ops = add_node(START, CATALOG["approval"], CATALOG, after="set_fields")
    flow = apply_ops(START, ops)
    for _ in range(2):
        flow = apply_ops(flow, add_node(flow, TEMPLATE, CATALOG, after=approval)[1])
    assert [edge.source_port for edge in flow.edges if edge.source == approval] == ["approved", "approved"]


@pytest.mark.parametrize("after", ["set_fields", None])
def test_a_node_beside_the_furthest_place_stays_within_the_flow(after):
    far = apply_ops(START, [update_node(START.nodes[1], position={"x": FURTHEST, "y": FURTHEST})])
    node_id, ops = add_node(far, TEMPLATE, CATALOG, after=after)
    node = apply_ops(far, ops).node(node_id)
    assert node is not None
    assert node.position.x <= FURTHEST
    assert node.position.y <= FURTHEST
    pasted, ops = paste_ops(far, CATALOG, [far.nodes[1].model_dump()], [])
    copy = apply_ops(far, ops).node(pasted[0])
    assert copy is not None
    assert copy.position == Position(x=FURTHEST, y=FURTHEST)


@pytest.mark.parametrize("place", [1e20, float("inf"), float("nan")])
def test_an_edit_that_puts_a_node_too_far_away_is_refused(place):
    with pytest.raises(EditRefused, match=r"must be at|beyond all"):
        apply_ops(START, [update_node(START.nodes[1], position={"x": place, "y": 0})])
    with pytest.raises(EditRefused):
        paste_ops(START, CATALOG, [{**START.nodes[1].model_dump(), "position": {"x": place, "y": 0}}], [])


@pytest.mark.parametrize("value", [1 << 63, [{"deep": -(1 << 70)}], "cut \ud83d", {"\ud83d": 1}, float("inf")])
def test_an_edit_with_what_no_flow_may_hold_is_refused(value):
    node = START.nodes[1]
    with pytest.raises(EditRefused):
        apply_ops(START, [update_node(node, inputs={"a": value})])
    with pytest.raises(EditRefused):
        apply_ops(START, [{"op": "addNode", "node": {**node.model_dump(), "id": "other", "config": {"a": value}}}])


@pytest.mark.parametrize("op", [{"op": 5}, {"op": None}, {}, {"op": "addNode"}, {"op": "x"}])
def test_an_operation_that_is_none_is_refused(op):
    with pytest.raises(EditRefused):
        apply_ops(START, [op])


def test_a_step_with_a_number_that_an_earlier_release_took_can_be_moved_and_removed():
    node = START.nodes[1].model_copy(update={"inputs": {"a": 1 << 70}})
    flow = START.model_copy(update={"nodes": (START.nodes[0], node)})
    moved = apply_ops(flow, [update_node(node, position={"x": 9, "y": 9})])
    assert moved.nodes[1].inputs == {"a": 1 << 70}
    assert len(apply_ops(moved, [{"op": "removeNode", "node": moved.nodes[1].model_dump()}]).nodes) == 1


def test_a_flow_that_is_full_can_be_changed_and_made_smaller():
    node = START.nodes[1].model_copy(update={"inputs": {"a": [[n] for n in range(125_000)]}})
    full = START.model_copy(update={"nodes": (START.nodes[0], node)})
    assert len(full.dumps()) < MAX_BYTES < len(str(full.as_json()))
    assert apply_ops(full, [update_node(node, label="Fields")]).nodes[1].label == "Fields"
    over = full.model_copy(update={"nodes": (*full.nodes, node.model_copy(update={"id": "more"}))})
    assert len(over.dumps()) > MAX_BYTES
    assert apply_ops(over, [update_node(node, label="")]).nodes[1].label == ""
    with pytest.raises(EditRefused, match="larger than 1 MiB"):
        apply_ops(over, [update_node(node, label="A longer label")])


@pytest.mark.parametrize(
    ("node_id", "copies"),
    [
        ("a" * 63, ["a" * 61 + "_2", "a" * 61 + "_3"]),
        ("a" * 62, ["a" * 61 + "_2", "a" * 61 + "_3"]),
        ("system_1", ["system_2", "system_3"]),
        ("set_fields_2", ["set_fields_3", "set_fields_4"]),
    ],
)
def test_a_node_with_any_id_can_be_copied(node_id, copies):
    flow = START.model_copy(update={"nodes": (*START.nodes, START.nodes[1].model_copy(update={"id": node_id}))})
    for copy in copies:
        (pasted,), ops = paste_ops(flow, CATALOG, [flow.nodes[2].model_dump()], [])
        assert pasted == copy
        flow = apply_ops(flow, ops)
        assert flow.node(copy) is not None


def test_an_api_input_added_late_stands_at_the_start_connected():
    flow = START.model_copy(update={"nodes": START.nodes[1:], "edges": ()})
    node_id, ops = add_node(flow, CATALOG["api_input"], CATALOG, after="set_fields")
    after = apply_ops(flow, ops)
    node = after.node(node_id)
    assert node is not None
    assert [(edge.source, edge.target) for edge in after.edges] == [(node_id, "set_fields")]
    assert (node.position.x, node.position.y) == (0, 0)


def test_an_api_input_is_connected_with_nothing_when_the_flow_begins_in_two_places():
    other = START.nodes[1].model_copy(update={"id": "set_fields_2"})
    flow = START.model_copy(update={"nodes": (START.nodes[1], other), "edges": ()})
    _node_id, ops = add_node(flow, CATALOG["api_input"], CATALOG)
    assert apply_ops(flow, ops).edges == ()


def test_a_node_added_between_two_takes_the_edge_apart():
    node_id, ops = add_node(START, TEMPLATE, CATALOG, between="e1")
    pairs = {(edge.source, edge.target) for edge in apply_ops(START, ops).edges}
    assert pairs == {("api_input", node_id), (node_id, "set_fields")}


def test_a_second_node_of_a_kind_gets_the_next_id_and_label():
    _, ops = add_node(START, CATALOG["set_fields"], CATALOG, position=Position(x=0, y=300))
    node = apply_ops(START, ops).nodes[-1]
    assert (node.id, node.label) == ("set_fields_2", "Set Fields 2")


def test_drawing_an_edge_binds_data_of_the_same_name():
    _, ops = add_node(START, TEMPLATE, CATALOG, position=Position(x=0, y=300))
    apart = apply_ops(START, ops)
    edge = {"id": "e2", "source": "api_input", "source_port": "out", "target": "text_template"}
    joined = apply_ops(apart, [{"op": "addEdge", "edge": edge}])
    assert connect_ops(joined, edge, CATALOG)[0]["after"]["inputs"] == {"template": "{{ api_input.out.template }}"}


def test_pasted_nodes_get_new_ids_and_keep_their_references_among_themselves():
    nodes = [node.model_dump() for node in START.nodes]
    new, ops = paste_ops(START, CATALOG, nodes, [edge.model_dump() for edge in START.edges])
    after = apply_ops(START, ops)
    assert new == ["api_input_2", "set_fields_2"]
    assert after.node("set_fields_2").inputs == {"a": "{{ api_input_2.out.template }}"}  # type: ignore[union-attr]
    assert len(after.edges) == 2


def test_pasted_nodes_follow_each_other_also_where_new_ids_are_old_ones_and_in_templates():
    def text(node_id: str, template: str) -> dict:
        return {"id": node_id, "type": "text_template", "inputs": {"template": template}}

    start = Document.model_validate(
        {"format": 1, "nodes": [text("a", "x"), text("a_2", "{{ a.out }} {{ 7*7 }}")], "edges": []}
    )
    nodes = [
        text("a", "x"),
        text("a_2", '{{ a.out }} {{a.out["k"]}} {{ 7*7 }}'),
        text("b", "{% if a.out %}{{ a_2.out | upper }}{% endif %} {{ ab.out }}"),
    ]
    new, ops = paste_ops(start, CATALOG, nodes, [])
    assert new == ["a_3", "a_4", "b"]
    after = apply_ops(start, ops)
    assert after.node("a_4").inputs["template"] == "{{ a_3.out }} {{a_3.out.k}} {{ 7*7 }}"  # type: ignore[union-attr]
    pasted = after.node("b").inputs["template"]  # type: ignore[union-attr]
    assert pasted == "{% if a_3.out %}{{ a_4.out | upper }}{% endif %} {{ ab.out }}"


@pytest.mark.parametrize(
    "op",
    [
        {"op": "paint"},
        {"op": "addNode"},
        {"op": "addNode", "node": {"id": "Not good", "type": "prompt"}},
        {"op": "addNode", "node": {"id": "system", "type": "prompt"}},
        {"op": "updateNode", "id": "set_fields", "before": {}, "after": {"id": "other"}},
        {"op": "updateNode", "id": "set_fields", "before": {}, "after": {"label": 5}},
    ],
)
def test_an_edit_that_cannot_be_is_refused_and_changes_nothing(op):
    with pytest.raises(EditRefused):
        apply_ops(START, [op])


@pytest.mark.parametrize(
    ("text", "fits"), [("a" * 1_000_000, True), ("a" * 1_100_000, False), ("ä" * 500_000, True), ("ä" * 550_000, False)]
)
def test_a_flow_may_have_1_mib_as_it_is_stored(text, fits):
    ops = [update_node(START.nodes[1], inputs={"a": text})]
    if fits:
        assert apply_ops(START, ops).nodes[1].inputs == {"a": text}
    else:
        with pytest.raises(EditRefused, match="larger than 1 MiB"):
            apply_ops(START, ops)


def test_pasting_nothing_changes_nothing():
    assert paste_ops(START, CATALOG, [], [edge.model_dump() for edge in START.edges], at=Position(x=1, y=1)) == ([], [])


def test_editing_what_somebody_else_removed_changes_nothing():
    gone = apply_ops(START, [{"op": "removeNode", "node": {"id": "set_fields"}}])
    assert gone.edges == ()
    assert apply_ops(gone, [update_node(START.nodes[1], label="x")]) == gone


def test_a_connection_that_another_tab_has_made_already_is_not_made_twice():
    again = {"op": "addEdge", "edge": {**START.edges[0].model_dump(), "id": "e_other"}}
    assert apply_ops(START, [again]) == START


OPS = st.sampled_from(["label", "move", "add", "remove", "edge", "note"])


@given(st.lists(OPS, max_size=12))
def test_undoing_every_edit_gives_the_identical_document(words):
    document, done = START, []
    for number, word in enumerate(words):
        if word in {"label", "move"} and document.nodes:
            node = document.nodes[number % len(document.nodes)]
            ops = [
                update_node(
                    node, **({"label": f"L{number}"} if word == "label" else {"position": {"x": number, "y": 0}})
                )
            ]
        elif word == "add":
            _, ops = add_node(document, TEMPLATE, CATALOG, after=document.nodes[0].id if document.nodes else None)
        elif word == "remove" and document.nodes:
            node = document.nodes[-1]
            ops = [
                *(
                    {"op": "removeEdge", "edge": edge.model_dump()}
                    for edge in document.edges
                    if node.id in {edge.source, edge.target}
                ),
                {"op": "removeNode", "node": node.model_dump()},
            ]
        elif word == "note":
            ops = [{"op": "addNote", "note": {"id": f"note_{number}", "text": "x"}}]
        else:
            continue
        document = apply_ops(document, ops)
        done.append(ops)
    for ops in reversed(done):
        document = apply_ops(document, invert(ops))
    assert document.as_json() == START.as_json() or sorted_json(document) == sorted_json(START)


def test_an_undo_on_the_canvas_takes_back_the_change_of_every_property():
    """The canvas knows the document as JSON, in which defaults may be left out: to it, what is not there is null."""
    node = Node(id="a", type="prompt", type_version=2)
    note = Note(id="n", text="")
    start = Document(nodes=(node,), notes=(note,))
    changes = {
        "Node": {
            "label": "Sum up",
            "position": {"x": 20, "y": 40},
            "config": {"model": "simulated"},
            "inputs": {"prompt": "Hello"},
            "policy": {"retries": 3},
            "type_version": 3,
        },
        "Note": {"text": "Ask Tom", "position": {"x": 20, "y": 40}, "size": {"width": 300, "height": 80}},
    }
    assert {*changes["Node"]} == {*Node.model_fields} - {"id", "type"}
    assert {*changes["Note"]} == {*Note.model_fields} - {"id"}
    shown = {"Node": start.as_json()["nodes"][0], "Note": start.as_json()["notes"][0]}
    for kind, values in changes.items():
        for name, value in values.items():
            op = {
                "op": f"update{kind}",
                "id": shown[kind]["id"],
                "before": {name: shown[kind].get(name)},
                "after": {name: value},
            }
            after = apply_ops(start, [op])
            assert after != start
            assert apply_ops(after, invert([op])) == start, name


def test_the_difference_of_two_documents_turns_one_into_the_other():
    _, ops = add_node(START, TEMPLATE, CATALOG, between="e1")
    other = apply_ops(
        START, [*ops, update_node(START.nodes[1], label="Else"), {"op": "addNote", "note": {"id": "n", "text": "x"}}]
    )
    for before, after in ((START, other), (other, START), (START, Document()), (START, START)):
        there = difference_ops(before, after)
        assert sorted_json(apply_ops(before, there)) == sorted_json(after)
        assert sorted_json(apply_ops(after, invert(there))) == sorted_json(before)


def sorted_json(document):
    return {
        key: sorted(value, key=lambda part: part["id"]) if isinstance(value, list) else value
        for key, value in document.as_json().items()
    }


def test_a_list_and_its_items_are_bound_without_being_asked():
    flow = Document.model_validate(
        {
            "format": 1,
            "nodes": [
                {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "url", "type": "string"}]}},
                {"id": "website_mapper", "type": "website_mapper", "position": {"x": 260, "y": 0}},
            ],
            "edges": [{"id": "e1", "source": "api_input", "target": "website_mapper"}],
        }
    )
    splitter, ops = add_node(flow, CATALOG["array_splitter"], CATALOG, after="website_mapper")
    flow = apply_ops(flow, ops)
    scraper, ops = add_node(flow, CATALOG["page_scraper"], CATALOG, after=splitter)
    flow = apply_ops(flow, ops)
    bound = {node.id: node.inputs for node in flow.nodes}
    assert bound[splitter] == {"items": "{{ website_mapper.out.urls }}"}
    assert bound[scraper] == {"url": "{{ array_splitter.out }}"}, "the item, not the address that every item shares"


def test_a_paste_of_more_than_a_flow_may_have_is_refused_before_anything_is_made_of_it():
    node, note = {"id": "a", "type": "prompt"}, {"id": "n", "text": "x"}
    for nodes, edges, notes in (
        ([node] * (MAX_NODES + 1), [], []),
        ([node], [{"source": "a", "target": "a"}] * (MAX_EDGES + 1), []),
        ([node], [], [note] * (MAX_NOTES + 1)),
    ):
        with pytest.raises(EditRefused, match="more was pasted"):
            paste_ops(START, CATALOG, nodes, edges, notes)


def test_an_edit_of_very_many_operations_is_refused_and_a_full_flow_may_be_replaced_by_another():
    def full(letter):
        nodes = tuple(Node(id=f"{letter}{at}", type="prompt") for at in range(MAX_NODES))
        edges = [
            {"id": f"{letter}{at}", "source": f"{letter}0", "source_port": str(at), "target": f"{letter}1"}
            for at in range(MAX_EDGES)
        ]
        notes = tuple(Note(id=f"{letter}{at}") for at in range(MAX_NOTES))
        return Document(nodes=nodes, edges=tuple(Edge(**edge) for edge in edges), notes=notes)

    before, after = full("a"), full("b")
    assert apply_ops(before, difference_ops(before, after)) == after
    with pytest.raises(EditRefused, match="10,000 operations"):
        apply_ops(START, [{"op": "removeEdge", "edge": {"id": "e1"}}] * (MAX_OPS + 1))


def test_what_an_edit_costs_depends_on_the_edit_and_not_on_all_that_is_there():
    config = {f"setting_{at}": at for at in range(30_000)}
    large = Document(nodes=(Node(id="a", type="prompt", config=config), Node(id="b", type="prompt")))
    rename = [{"op": "updateNode", "id": "a", "after": {"label": str(at)}} for at in range(2_000)]
    edges = [{"id": f"e{at}", "source": "a", "source_port": str(at), "target": "b"} for at in range(MAX_EDGES)]
    connect = [{"op": "addEdge", "edge": edge} for edge in edges]
    start = process_time()
    after = apply_ops(large, [*rename, *connect])
    paste_ops(after, CATALOG, [{"id": "a", "type": "prompt"}] * MAX_NODES, [], [{"id": "note", "text": ""}] * MAX_NOTES)
    assert process_time() - start < 3, "each looked at all settings, connections or ids that are there"
    assert (after.nodes[0].label, len(after.edges)) == ("1999", MAX_EDGES)


def test_a_connection_that_was_removed_can_be_made_again_in_one_edit():
    edge = START.edges[0].model_dump()
    remove, add = {"op": "removeEdge", "edge": edge}, {"op": "addEdge", "edge": {**edge, "id": "e2"}}
    assert [one.id for one in apply_ops(START, [remove, add]).edges] == ["e2"]
    assert [one.id for one in apply_ops(START, [add]).edges] == ["e1"]
    gone = {"op": "removeNode", "node": {"id": "set_fields"}}
    again = {"op": "addNode", "node": START.nodes[1].model_dump()}
    assert [one.id for one in apply_ops(START, [gone, again, add]).edges] == ["e2"]
