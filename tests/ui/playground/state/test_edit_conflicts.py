"""When two people edit one field, the first is informed once that the value was replaced and can restore it."""

from __future__ import annotations

from engine.flow.document import Document
from engine.flow.edits import apply_ops, update_node
from ui.playground.state.edit_conflicts import KEPT_MS, MyFields, put_back

FLOW = Document.model_validate(
    {"nodes": [{"id": "prompt", "type": "prompt", "label": "Sum", "config": {"temperature": 0.5, "model": "a:b"}}]}
)
NODE = FLOW.nodes[0]


def edit(document: Document, **after: object) -> tuple[Document, list[dict]]:
    ops = [update_node(document.nodes[0], **after)]
    return apply_ops(document, ops), ops


def test_the_same_field_is_told_and_put_back_other_fields_are_not() -> None:
    mine = MyFields()
    document, ops = edit(FLOW, label="Mine", config={**NODE.config, "temperature": 0.1})
    mine.note(ops, 0)
    document, theirs = edit(document, config={"temperature": 0.9, "model": "c:d"}, position={"x": 5.0, "y": 0.0})
    lost = mine.overwritten(theirs, 10)
    assert [(one.words, one.mine, one.theirs) for one in lost] == [("Temperature", 0.1, 0.9)]
    back = apply_ops(document, put_back(document, lost))
    assert back.nodes[0].config == {"temperature": 0.1, "model": "c:d"}
    assert back.nodes[0].label == "Mine"
    assert mine.overwritten(theirs, 11) == []


def test_the_same_value_and_an_old_edit_are_nothing_lost() -> None:
    mine = MyFields()
    document, ops = edit(FLOW, label="Mine")
    mine.note(ops, 0)
    assert mine.overwritten(ops, 5) == []
    mine.note(ops, 0)
    _, theirs = edit(document, label="Theirs")
    assert mine.overwritten(theirs, KEPT_MS + 1) == []


def test_a_place_is_one_field_and_a_part_that_is_gone_stays_gone() -> None:
    mine = MyFields()
    document, ops = edit(FLOW, position={"x": 20.0, "y": 0.0})
    mine.note(ops, 0)
    document, theirs = edit(document, position={"x": 0.0, "y": 40.0})
    lost = mine.overwritten(theirs, 1)
    assert [one.words for one in lost] == ["Place"]
    assert put_back(Document(), lost) == []
