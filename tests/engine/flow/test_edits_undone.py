"""Every kind of edit, in any order, is taken back to the identical document and made once more."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.flow.document import Document, Position
from engine.flow.edits import Op, add_node, add_note, apply_ops, difference_ops, invert, paste_ops, update_node
from engine.nodes import CATALOG

TYPES = ("text_template", "set_fields", "condition", "prompt")
#: (what, two numbers that choose among what is there, a text)
EDIT = st.tuples(
    st.sampled_from(
        [
            "add",
            "after",
            "between",
            "delete",
            "connect",
            "cut",
            "move",
            "label",
            "config",
            "inputs",
            "note",
            "write",
            "tear",
            "paste",
            "align",
        ]
    ),
    st.integers(0, 20),
    st.integers(0, 20),
    st.text(max_size=12),
)


def ops_for(document: Document, edit: tuple[str, int, int, str]) -> list[Op]:
    """The operations of one gesture, or none when there is nothing to do it with."""
    what, first, second, text = edit
    kind = CATALOG[TYPES[first % len(TYPES)]]
    node = document.nodes[first % len(document.nodes)] if document.nodes else None
    other = document.nodes[second % len(document.nodes)] if document.nodes else None
    edge = document.edges[first % len(document.edges)] if document.edges else None
    note = document.notes[first % len(document.notes)] if document.notes else None
    if what == "add":
        return add_node(document, kind, CATALOG, position=Position(x=first * 20, y=second * 20))[1]
    if what == "note":
        return add_note(document, Position(x=first, y=second))[1]
    if what == "between" and edge:
        return add_node(document, kind, CATALOG, between=edge.id)[1]
    if note and what in {"write", "tear"}:
        if what == "tear":
            return [{"op": "removeNote", "note": note.model_dump()}]
        return [{"op": "updateNote", "id": note.id, "before": {"text": note.text}, "after": {"text": text}}]
    if edge and what == "cut":
        return [{"op": "removeEdge", "edge": edge.model_dump()}]
    if node is None or other is None:
        return []
    values: dict[str, Any] = {
        "move": {"position": {"x": first * 20.0, "y": second * 20.0}},
        "label": {"label": text},
        "config": {"config": {**node.config, "selector": text}},
        "inputs": {"inputs": {**node.inputs, text or "a": text}},
    }
    if what in values:
        return [update_node(node, **values[what])]
    if what == "after":
        return add_node(document, kind, CATALOG, after=node.id)[1]
    if what == "delete":
        gone = [edge for edge in document.edges if node.id in {edge.source, edge.target}]
        return [
            *({"op": "removeEdge", "edge": edge.model_dump()} for edge in gone),
            {"op": "removeNode", "node": node.model_dump()},
        ]
    if what == "connect":
        return [
            {
                "op": "addEdge",
                "edge": {
                    "id": f"e_{first}_{second}_{len(text)}",
                    "source": node.id,
                    "source_port": "out",
                    "target": other.id,
                },
            }
        ]
    if what == "paste":
        return paste_ops(document, [one.model_dump() for one in (node, other)[: 1 + (node is not other)]], [])[1]
    if what == "align":
        return [update_node(one, position={"x": one.position.x, "y": float(first)}) for one in document.nodes]
    return []


def parts(document: Document) -> dict[str, Any]:
    """The document; its order is no part of what a person sees."""
    value = document.as_json()
    return {name: sorted(map(repr, items)) if isinstance(items, list) else items for name, items in value.items()}


@settings(max_examples=60, deadline=None)
@given(st.lists(EDIT, max_size=14))
def test_undo_and_redo_of_random_edits_return_the_identical_document(edits: list[tuple[str, int, int, str]]) -> None:
    states, done = [Document()], []
    for edit in edits:
        ops = _new_only(states[-1], ops_for(states[-1], edit))
        done.append(ops)
        states.append(apply_ops(states[-1], ops))
    now = states[-1]
    for ops, before in zip(reversed(done), reversed(states[:-1]), strict=True):
        now = apply_ops(now, invert(ops))
        assert parts(now) == parts(before)
    for ops, after in zip(done, states[1:], strict=True):
        now = apply_ops(now, ops)
        assert parts(now) == parts(after)
    assert parts(apply_ops(states[0], difference_ops(states[0], states[-1]))) == parts(states[-1])


def _new_only(document: Document, ops: list[Op]) -> list[Op]:
    """As the canvas settles them: a part that is there already is not added again."""
    edges = {edge.id for edge in document.edges}
    return [op for op in ops if op["op"] != "addEdge" or op["edge"]["id"] not in edges]
