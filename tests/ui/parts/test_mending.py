"""The buttons that mend a problem of a flow: each is gone after its button was pressed."""

from __future__ import annotations

from engine.flow.edits import apply_ops
from engine.flow.validation import deploy_problems
from engine.nodes import CATALOG
from tests.factories import document
from ui.parts.mending import ops_to_mend, with_button


def test_a_flow_of_rows_gets_the_input_that_it_lacks() -> None:
    nodes = [
        {"id": "rows", "type": "dataset_source", "config": {"dataset": "Tenants"}},
        {"id": "t", "type": "text_template", "inputs": {"template": "{{ rows.out | length }}"}},
    ]
    before = document(
        {"format": 1, "title": "Rows", "nodes": nodes, "edges": [{"id": "e", "source": "rows", "target": "t"}]}
    )
    problem = next(one for one in deploy_problems(before, CATALOG) if one.code == "no_api_input")
    assert with_button(problem, before).verb == "Add an API Input"
    after = apply_ops(before, ops_to_mend(problem, before, CATALOG))
    assert deploy_problems(after, CATALOG) == []
    assert ("api_input", "rows") in {(edge.source, edge.target) for edge in after.edges}
