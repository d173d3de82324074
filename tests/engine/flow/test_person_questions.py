from __future__ import annotations

from typing import Any

import pytest

from engine.flow.document import Document
from engine.flow.person_questions import asks_person
from engine.nodes import CATALOG


@pytest.mark.parametrize(
    ("node", "is_connected", "asks"),
    [
        ({"type": "approval"}, True, True),
        ({"type": "approval"}, False, False),
        ({"type": "http_request"}, True, False),
        ({"type": "unheard_of"}, True, False),
        ({"type": "agent", "config": {"tools": [{"kind": "flow", "ask_first": True}]}}, True, True),
        ({"type": "agent", "config": {"tools": [{"kind": "flow"}, "odd"]}}, True, False),
        ({"type": "agent", "config": {"tools": 5}}, True, False),
    ],
)
def test_a_flow_asks_when_a_step_that_runs_does(node: dict[str, Any], is_connected: bool, asks: bool):
    document = Document.model_validate(
        {
            "format": 1,
            "nodes": [{"id": "api_input", "type": "api_input"}, {"id": "a", **node}],
            "edges": [{"id": "e1", "source": "api_input", "target": "a"}] if is_connected else [],
        },
        strict=False,
    )
    assert asks_person(document, CATALOG) is asks
