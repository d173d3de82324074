"""What is said after an answer: the steps on its side, or what an agent does."""

from __future__ import annotations

import pytest

from engine.flow.after_answer import after_answer
from engine.flow.document import Document
from ui.parts.answer_words import now_words

NODES = {"ask": "approval", "save": "dataset_sink", "reply": "prompt", "helper": "agent", "join": "first_value"}
EDGES = [
    ("ask", "approved", "save"),
    ("ask", "refused", "reply"),
    ("helper", "out", "ask"),
    ("ask", "approved", "join"),
    ("join", "out", "reply"),
]
ENDS_HERE = "The steps after the approval do not run. Whoever called the flow gets its answer without what they would have given."


@pytest.mark.parametrize(
    ("node_id", "approved", "edges", "said"),
    [
        ("ask", True, 3, "The flow goes on. Next: “Save rows”."),
        ("ask", True, 5, "The flow goes on. Next: “Save rows”, “Reply”."),
        ("ask", False, 3, "What needed the approval is not done. Next: “Reply”."),
        ("ask", False, 1, ENDS_HERE),
        ("ask", True, 0, "The flow goes on."),
        ("helper", True, 3, "The agent makes the call and goes on."),
        ("helper", False, 3, "The call is not made. The agent is told so and goes on without it."),
        ("gone", True, 3, "The flow goes on."),
        ("gone", False, 3, "What needed the approval is not done."),
    ],
)
def test_an_answer_tells_what_comes_now(node_id: str, approved: bool, edges: int, said: str) -> None:
    labels = {"save": "Save rows", "reply": "Reply"}
    nodes = [{"id": key, "type": kind, "label": labels.get(key, key)} for key, kind in NODES.items()]
    drawn = [
        {"id": f"e{at}", "source": one, "source_port": port, "target": other}
        for at, (one, port, other) in enumerate(EDGES[:edges])
    ]
    document = Document.model_validate({"format": 1, "nodes": nodes, "edges": drawn})
    assert now_words(after_answer(document, node_id, approved=approved), approved=approved) == said
