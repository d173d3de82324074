"""Property test: edits of every kind, in any order, are undone to an identical document and can be redone."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.flow.document import Document, Note, Position
from engine.flow.edits import Op, add_node, add_note, apply_ops, difference_ops, invert, paste_ops, update_node
from engine.nodes import CATALOG

TYPES = ("api_input", "text_template", "set_fields", "condition", "prompt")
#: A random edit: (kind, two numbers that select existing parts, a text).
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
            "shift",
            "resize",
            "sample",
            "policy",
            "paste",
            "align",
            "restore",
        ]
    ),
    st.integers(0, 20),
    st.integers(0, 20),
    st.text(max_size=12),
)


def ops_for(document: Document, edit: tuple[str, int, int, str]) -> list[Op]:
    """Returns the operations of one edit; none when it cannot be applied to the document."""
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
    if note and what == "tear":
        return [{"op": "removeNote", "note": note.model_dump()}]
    if note and (after := note_changes(what, first, second, text)):
        return [update_note(note, **after)]
    if what == "restore":
        return difference_ops(document, Document(nodes=document.nodes[: first % 3], notes=document.notes[: second % 2]))
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
    if what in {"sample", "policy"}:
        fields = node.config.get("samples") or []
        config = {"config": {**node.config, "samples": [*fields, {"title": text, "payload": {"a": second}}]}}
        policy = {"policy": {"timeout_seconds": first + 1, "retries": second % 4, "on_error": "skip"}}
        return [update_node(node, **(config if what == "sample" else policy))]
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
        parts = [one.model_dump() for one in (node, other)[: 1 + (node is not other)]]
        return paste_ops(
            document, CATALOG, parts, [edge.model_dump()] if edge else [], [note.model_dump()] if note else []
        )[1]
    if what == "align":  # notes are aligned together with nodes
        nodes = [update_node(one, position={"x": one.position.x, "y": float(first)}) for one in document.nodes]
        return nodes + [update_note(one, position={"x": one.position.x, "y": float(first)}) for one in document.notes]
    return []


def note_changes(what: str, first: int, second: int, text: str) -> dict[str, Any]:
    """Returns the properties of a note that an edit changes."""
    changes: dict[str, dict[str, Any]] = {
        "write": {"text": text},
        "shift": {"position": {"x": first * 20.0, "y": second * 20.0}},
        "resize": {"size": {"width": 120.0 + first * 20, "height": 40.0 + second * 20}},
    }
    return changes.get(what, {})


def update_note(note: Note, **after: Any) -> Op:
    """Builds the operation as the canvas sends it, with the values before and after."""
    before = note.model_dump()
    return {"op": "updateNote", "id": note.id, "before": {name: before[name] for name in after}, "after": after}


def parts(document: Document) -> dict[str, Any]:
    """Returns the document with its lists sorted, because their order is not visible."""
    value = document.as_json()
    return {name: sorted(map(repr, items)) if isinstance(items, list) else items for name, items in value.items()}


@settings(max_examples=100, deadline=None)
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
    """Drops edges that exist already, as the canvas does."""
    edges = {edge.id for edge in document.edges}
    return [op for op in ops if op["op"] != "addEdge" or op["edge"]["id"] not in edges]
