"""Running small flows: order, values, failures, retries and limits. The node types are made for the tests."""

import asyncio

import pytest

from engine.core.errors import FlowInvalid
from engine.flow.document import Document
from engine.flow.node_context import NodeFailed
from engine.nodes import CATALOG
from engine.run.plan import compile_plan
from engine.run.runner import run_flow
from engine.run.state import RunOptions
from engine.run.steps import StepKey
from tests.engine.run.arrange import NoServices, Notebook, node_type
from tests.logical_time import LogicalClock


def flow(nodes, edges):
    return Document.model_validate(
        {
            "format": 1,
            "nodes": [
                {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "n", "type": "number"}]}},
                *nodes,
            ],
            "edges": [{"id": f"e{n}", "source": a, "target": b} for n, (a, b) in enumerate(edges)],
        }
    )


async def go(document, payload=None, *, catalog=CATALOG, **more):
    notebook = Notebook()
    plan = compile_plan(document, catalog)
    outcome = await run_flow(
        plan,
        payload or {"n": 1},
        system={"flow_id": "f", "flow_version": 1, "job_id": "job_1"},
        services=NoServices(),
        recorder=notebook,
        **more,
    )
    return outcome, notebook


SET = {
    "id": "set_fields",
    "type": "set_fields",
    "inputs": {"n": "{{ api_input.out.n }}", "text": "n is {{ api_input.out.n }}"},
}


async def test_a_lone_reference_keeps_its_type_and_text_becomes_text():
    outcome, _ = await go(flow([SET], [("api_input", "set_fields")]), {"n": 1.5})
    assert outcome.result == {"output": {"n": 1.5, "text": "n is 1.5"}}


async def test_api_output_is_the_result():
    out = {
        "id": "api_output",
        "type": "api_output",
        "inputs": {"a": "{{ set_fields.out.n }}", "b": ["{{ system.job_id }}"]},
    }
    outcome, _ = await go(flow([SET, out], [("api_input", "set_fields"), ("set_fields", "api_output")]))
    assert outcome.result == {"a": 1, "b": ["job_1"]}


async def test_data_is_never_read_as_template():
    catalog = {**CATALOG, "give": node_type("give", _give("{{ 7*7 }} {{ api_input.out.n }}"))}
    template = {"id": "t", "type": "text_template", "inputs": {"template": "{{ g.out }}"}}
    document = flow([{"id": "g", "type": "give"}, template], [("api_input", "g"), ("g", "t")])
    outcome, _ = await go(document, catalog=catalog)
    assert outcome.result == {"output": "{{ 7*7 }} {{ api_input.out.n }}"}


def _give(value):
    async def run(config, inputs, context):
        return value

    return run


async def test_branches_run_at_the_same_time_and_join():
    together = asyncio.Barrier(2)

    async def meet(config, inputs, context):
        await together.wait()
        return "met"

    catalog = {**CATALOG, "meet": node_type("meet", meet)}
    nodes = [
        {"id": "a", "type": "meet"},
        {"id": "b", "type": "meet"},
        {"id": "o", "type": "api_output", "inputs": {"x": "{{ a.out }}{{ b.out }}"}},
    ]
    outcome, _ = await go(
        flow(nodes, [("api_input", "a"), ("api_input", "b"), ("a", "o"), ("b", "o")]), catalog=catalog
    )
    assert outcome.result == {"x": "metmet"}


def failing(code="node_failed", passing=False, times=99):
    count = [0]

    async def run(config, inputs, context):
        count[0] += 1
        if count[0] <= times:
            raise NodeFailed("It broke.", code=code, passing=passing, retry_after=0)
        return "mended"

    return run


async def test_a_failure_ends_the_run_and_stops_the_others():
    async def wait(config, inputs, context):
        await asyncio.sleep(60)

    catalog = {**CATALOG, "bad": node_type("bad", failing()), "wait": node_type("wait", wait)}
    document = flow(
        [{"id": "a", "type": "bad"}, {"id": "b", "type": "wait"}, {"id": "o", "type": "api_output"}],
        [("api_input", "b"), ("api_input", "a"), ("a", "o"), ("b", "o")],
    )
    outcome, notebook = await go(document, catalog=catalog)
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.node_id, outcome.error.message) == ("node_failed", "a", "It broke.")
    assert (notebook.status_of("a"), notebook.status_of("b")) == ("failed", "cancelled")


@pytest.mark.parametrize(
    ("policy", "status", "result"),
    [
        ({"on_error": "skip"}, "skipped", {"x": None}),
        ({"on_error": "use_default", "default": "instead"}, "completed", {"x": "instead"}),
    ],
)
async def test_a_policy_can_go_on_after_a_failure(policy, status, result):
    catalog = {**CATALOG, "bad": node_type("bad", failing(), is_repeatable=True)}
    nodes = [
        {"id": "a", "type": "bad", "policy": policy},
        {"id": "o", "type": "api_output", "inputs": {"x": "{{ a.out }}"}},
    ]
    outcome, notebook = await go(flow(nodes, [("api_input", "a"), ("a", "o")]), catalog=catalog)
    assert (outcome.result, notebook.status_of("a")) == (result, status)
    assert notebook.step("api_input").is_repeatable
    assert not notebook.step("a").is_repeatable, "it may succeed when it runs again"


async def test_a_passing_fault_is_tried_again_and_every_try_is_kept():
    catalog = {**CATALOG, "bad": node_type("bad", failing("http_status", passing=True, times=2))}
    document = flow([{"id": "a", "type": "bad", "policy": {"retries": 2}}], [("api_input", "a")])
    outcome, notebook = await go(document, catalog=catalog)
    assert outcome.result == {"output": "mended"}
    assert [item.code for item in notebook.over[-1].tries] == ["http_status", "http_status", None]


async def test_the_time_of_a_step_is_that_of_its_tries_and_of_the_pauses_between():
    count = [0]

    async def slow(config, inputs, context):
        count[0] += 1
        await asyncio.sleep(2)
        if count[0] < 3:
            raise NodeFailed("Not now.", code="http_status", passing=True, retry_after=30 * count[0])
        return "done"

    document = flow([{"id": "a", "type": "slow", "policy": {"retries": 2}}], [("api_input", "a")])
    outcome, notebook = await go(document, catalog={**CATALOG, "slow": node_type("slow", slow)}, clock=LogicalClock())
    assert outcome.result == {"output": "done"}
    assert notebook.step("a").duration_ms == 2_000 + 30_000 + 2_000 + 60_000 + 2_000


async def test_a_node_that_never_answers_ends_with_a_timeout():
    async def wait(config, inputs, context):
        await asyncio.sleep(60)

    catalog = {**CATALOG, "wait": node_type("wait", wait)}
    outcome, _ = await go(
        flow([{"id": "a", "type": "wait", "policy": {"timeout_seconds": 0.05}}], [("api_input", "a")]), catalog=catalog
    )
    assert outcome.error is not None and outcome.error.code == "timeout"


async def test_a_missing_path_is_null_with_a_warning():
    document = flow(
        [{"id": "s", "type": "set_fields", "inputs": {"x": "{{ a.out.gone }}"}}, {"id": "a", "type": "give"}],
        [("api_input", "a"), ("a", "s")],
    )
    outcome, notebook = await go(document, catalog={**CATALOG, "give": node_type("give", _give({}))})
    assert outcome.result == {"output": {"x": None}}
    assert "named nothing" in notebook.over[-1].warnings[0]


async def test_a_missing_path_is_an_error_where_a_value_is_required():
    extractor = {"id": "h", "type": "html_text_extractor", "inputs": {"html": "{{ a.out.page.html }}"}}
    document = flow([{"id": "a", "type": "give", "label": "Get it"}, extractor], [("api_input", "a"), ("a", "h")])
    outcome, _ = await go(document, catalog={**CATALOG, "give": node_type("give", _give({"page": None}))})
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.pointer) == ("reference_missing", "/inputs/html")
    assert outcome.error.message == "HTML has no value: `{{ a.out.page.html }}` names nothing."
    assert outcome.error.why == "The output of Get it had no such part in this run."
    assert outcome.error.remedy


async def test_a_step_that_was_kept_is_not_run_again():
    catalog = {**CATALOG, "bad": node_type("bad", failing())}
    document = flow([{"id": "a", "type": "bad"}], [("api_input", "a")])
    outcome, notebook = await go(document, catalog=catalog, kept={StepKey("a"): "from before"})
    assert outcome.result == {"output": "from before"}
    assert [step.key.node_id for step in notebook.begun] == ["api_input"]


WITHOUT_INPUT = {"id": "t", "type": "text_template"}


@pytest.mark.parametrize(
    ("nodes", "edges", "codes", "left_in_a_trial"),
    [
        ([], [], ["no_processing_node"], []),
        ([SET, WITHOUT_INPUT], [("api_input", "set_fields"), ("api_input", "t")], ["input_missing", "several_final_nodes"], []),
        ([{"id": "x", "type": "rocket"}, WITHOUT_INPUT], [("api_input", "x"), ("x", "t")], ["unknown_type", "input_missing"], ["unknown_type"]),
        ([{**SET, "inputs": {"a": "{{ gone.out }}"}}], [("api_input", "set_fields")], ["bad_reference"], ["bad_reference"]),
    ],
)  # fmt: skip
def test_a_trial_may_be_no_whole_flow_but_has_no_other_problem(nodes, edges, codes, left_in_a_trial):
    document = flow(nodes, edges)
    with pytest.raises(FlowInvalid) as refused:
        compile_plan(document, CATALOG)
    assert [problem.code for problem in refused.value.problems] == codes
    if not left_in_a_trial:
        assert set(compile_plan(document, CATALOG, trial=True).nodes) == {node.id for node in document.nodes}
        return
    with pytest.raises(FlowInvalid) as refused:
        compile_plan(document, CATALOG, trial=True)
    assert [problem.code for problem in refused.value.problems] == left_in_a_trial


async def test_run_until_a_node_runs_only_what_it_needs():
    document = flow(
        [SET, {"id": "t", "type": "text_template", "inputs": {"template": "x"}}],
        [("api_input", "set_fields"), ("set_fields", "t")],
    )
    outcome, notebook = await go(document, options=RunOptions(until="set_fields"))
    assert outcome.result == {"output": {"n": 1, "text": "n is 1"}}
    assert {step.key.node_id for step in notebook.over} == {"api_input", "set_fields"}


async def test_cancelling_the_task_records_the_step_as_cancelled():
    begun = asyncio.Event()

    async def wait(config, inputs, context):
        begun.set()
        await asyncio.sleep(60)

    catalog = {**CATALOG, "wait": node_type("wait", wait)}
    notebook = Notebook()
    plan = compile_plan(flow([{"id": "a", "type": "wait"}], [("api_input", "a")]), catalog)
    task = asyncio.create_task(run_flow(plan, {"n": 1}, system={}, services=NoServices(), recorder=notebook))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert notebook.status_of("a") == "cancelled"
