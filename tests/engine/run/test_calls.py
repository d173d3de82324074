"""Flows that call flows: which calls are permitted, and how the inner steps are reported."""

import pytest

from engine.flow.node_context import NodeFailed
from engine.nodes import CATALOG
from engine.run.calls import CalledPlan, may_open
from engine.run.plan import compile_plan
from tests.engine.run.arrange import flow

PLAN = compile_plan(flow([("s", "set_fields", {"a": 1})], "in>s"), CATALOG)


def called(flow_id: str) -> CalledPlan:
    return CalledPlan(flow_id, 1, flow_id.upper(), PLAN)


@pytest.mark.parametrize("around", [(), (("me", ""),), (("me", ""), *((f"f{number}", "") for number in range(4)))])
def test_a_flow_that_is_not_open_may_be_called_up_to_five_deep(around):
    may_open(called("a"), around)


def test_the_sixth_call_in_one_another_is_refused():
    with pytest.raises(NodeFailed) as refused:
        may_open(called("a"), (("me", ""), *((f"f{number}", "") for number in range(5))))
    assert refused.value.message == "“A” would be the call number 6 in one another."
    assert refused.value.why == "Flows may call flows 5 deep."


@pytest.mark.parametrize(
    ("around", "way"),
    [
        ((("me", ""), ("a", "A")), "A → A"),
        ((("me", ""), ("a", "A"), ("b", "B")), "A → B → A"),
        ((("a", ""), ("b", "B")), "this flow → B → this flow"),
    ],
)
def test_a_flow_that_is_open_already_is_refused_with_the_way_round(around, way):
    with pytest.raises(NodeFailed) as refused:
        may_open(called("a"), around)
    assert refused.value.message == f"These flows call each other without end: {way}."
