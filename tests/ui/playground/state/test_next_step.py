"""The next step of a flow, from an empty canvas to the first call."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.core.errors import Problem
from engine.flow.flow_warnings import FlowWarning
from engine.flow.unused_results import UnusedResult
from tests.factories import document
from ui.playground.state.next_step import Progress, is_filled, next_step

INPUT = {"id": "api_input", "type": "api_input", "label": "API Input", "config": {"fields": [{"name": "text"}]}}
PROMPT = {"id": "prompt", "type": "prompt", "label": "Summarise"}
SEARCH = {"id": "search", "type": "search_knowledge", "label": "Search Knowledge"}
EDGE = {"id": "e1", "source": "api_input", "target": "prompt"}


def flow(*nodes: dict[str, Any], edges: tuple[dict[str, Any], ...] = ()) -> Progress:
    return Progress(document({"format": 1, "title": "X", "nodes": list(nodes), "edges": list(edges)}))


DRAWN = flow(INPUT, PROMPT, edges=(EDGE,))
ANSWERED = replace(DRAWN, run="completed", looked=True)
SAVED = replace(ANSWERED, saved=True)
LIVE = replace(SAVED, live_version=3)
PROBLEM = Problem("no_model", "Choose a model.", "prompt", "/config/model")

#: In the order in which a person meets them: what the step is, its button, and where it leads.
STEPS = [
    (flow(), "add_input", "Add an API Input", ""),
    (flow(PROMPT), "add_input", "Add an API Input", ""),
    (flow({"id": "api_input", "type": "api_input"}), "describe_input", "Open API Input", "api_input"),
    (flow(INPUT), "add_step", "Choose a step", "api_input"),
    (flow({"id": "rows", "type": "dataset_source"}), "add_step", "Choose a step", "rows"),
    (
        flow({"id": "api_input", "type": "api_input"}, {"id": "rows", "type": "dataset_source"}),
        "add_step",
        "Choose a step",
        "rows",
    ),
    (flow(INPUT, PROMPT), "connect", "Show it", "prompt"),
    (replace(DRAWN, problem=PROBLEM), "mend", "Show me", "prompt"),
    (DRAWN, "run", "Run", ""),
    (replace(DRAWN, run="running"), "wait", "", ""),
    (replace(DRAWN, run="stopped"), "run", "Run", ""),
    (replace(DRAWN, run="failed", looked=False), "look_at_failure", "Show what happened", ""),
    (replace(DRAWN, run="failed", changed=True), "run_again", "Run", ""),
    (replace(DRAWN, run="completed", looked=False), "look", "Show the result", ""),
    (replace(ANSWERED, changed=True), "run_again", "Run", ""),
    (ANSWERED, "save", "Save As", ""),
    (SAVED, "deploy", "Deploy API", ""),
    (replace(SAVED, may_deploy=False), "save", "", ""),
    (LIVE, "call", "Show how to call it", ""),
    (replace(LIVE, live_differs=True, called=True), "update", "Update API", ""),
    (replace(LIVE, live_differs=True, may_deploy=False), "update", "", ""),
    (replace(LIVE, wants_times=True), "schedule", "Choose the times", ""),
    (replace(LIVE, wants_times=True, may_deploy=False), "call", "Show how to call it", ""),
    (replace(LIVE, called=True), "watch", "Open Monitoring", ""),
]


@pytest.mark.parametrize(("progress", "name", "verb", "node_id"), STEPS)
def test_the_next_step_is_the_first_that_is_not_done(progress: Progress, name: str, verb: str, node_id: str) -> None:
    step = next_step(progress)

    assert step is not None
    assert (step.name, step.verb, step.node_id) == (name, verb, node_id)
    assert step.sentence.endswith(".") or step.sentence.endswith("?")


@pytest.mark.parametrize("progress", [flow(), DRAWN, LIVE])
def test_somebody_who_may_only_look_has_no_next_step(progress: Progress) -> None:
    assert next_step(replace(progress, may_edit=False)) is None


def test_a_problem_that_a_press_mends_is_mended_by_that_press() -> None:
    step = next_step(replace(DRAWN, problem=PROBLEM, mend="Put “Collect into a list” before it"))

    assert step is not None
    assert (step.name, step.verb, step.warning) == ("improve", "Put “Collect into a list” before it", PROBLEM)


def test_a_problem_is_told_in_its_own_words_and_leads_to_its_field() -> None:
    step = next_step(replace(DRAWN, problem=PROBLEM))

    assert step is not None
    assert (step.sentence, step.pointer) == ("Choose a model.", "/config/model")


def test_an_unconnected_step_is_named() -> None:
    step = next_step(flow(INPUT, PROMPT))

    assert step is not None
    assert "“Summarise”" in step.sentence


@pytest.mark.parametrize(
    ("payload", "filled"),
    [({}, False), ({"text": " ", "tags": ["a"]}, False), ({"text": "Hi"}, True), ({"text": "Hi", "tags": [""]}, True)],
)
def test_the_input_is_called_filled_in_only_when_it_is(payload: dict[str, Any], filled: bool) -> None:
    fields = [{"name": "text", "required": True}, {"name": "tags", "type": "array"}]
    assert is_filled(fields, payload) is filled
    step = next_step(replace(DRAWN, filled=filled))
    assert step is not None
    assert ("filled in" in step.sentence) is filled


def test_optional_fields_that_are_all_empty_are_no_input() -> None:
    assert not is_filled([{"name": "tags"}], {"tags": ["", ""]})
    assert is_filled([], {})


def test_an_empty_rule_is_told_before_the_run() -> None:
    rule = Problem("empty_rule", "Refund?: rule 1 does nothing useful yet.", "condition", "/inputs/rules/0/left")
    warning = FlowWarning(rule, "Remove this rule", list)
    step = next_step(replace(DRAWN, warning=warning))
    assert step is not None
    assert (step.name, step.verb, step.sentence, step.pointer) == ("mend", "Show me", rule.message, rule.pointer)
    ran = next_step(replace(ANSWERED, warning=warning))
    assert ran is not None
    assert ran.name == "save", "a warning stops nobody who saw what it answers"


def test_a_warning_that_a_press_mends_is_told_before_the_run_with_its_press() -> None:
    lost = Problem("correction_lost", "Check: corrections of `reply` do not arrive.", "approval", "/config/editable/0")
    warning = FlowWarning(lost, "Take it from Check", list)
    for progress in (DRAWN, replace(ANSWERED, changed=True)):
        step = next_step(replace(progress, warning=warning))
        assert step is not None
        assert (step.name, step.verb, step.warning) == ("improve", "Take it from Check", lost)
    ran = next_step(replace(ANSWERED, warning=warning))
    assert ran is not None
    assert ran.name == "save"


def test_a_step_that_works_for_nothing_is_told_before_the_run_and_before_it_is_saved_or_deployed() -> None:
    step, reader = document({"format": 1, "title": "X", "nodes": [SEARCH, PROMPT], "edges": []}).nodes
    unused = UnusedResult(step, reader, "/inputs/prompt")
    for progress in (DRAWN, ANSWERED, SAVED, replace(LIVE, live_differs=True)):
        found = next_step(replace(progress, unused=unused))
        assert found is not None
        assert (found.name, found.verb, found.node_id, found.pointer) == (
            "use",
            "Use it in Summarise",
            "prompt",
            "/inputs/prompt",
        )
        assert found.sentence == "Nothing uses what “Search Knowledge” gives yet."
    for progress, name in ((replace(ANSWERED, looked=False), "look"), (LIVE, "call")):
        other = next_step(replace(progress, unused=unused))
        assert other is not None
        assert other.name == name
