"""Tests of the Run panel without a browser: input and samples, the results of a run, what a failure offers."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction
from sqlalchemy import update
from sqlalchemy.orm import Session

from engine.flow.contract import samples_of
from engine.flow.edits import Op, update_node
from engine.nodes.model_answers import SAME_TEXTS
from storage.events import add_events
from storage.job_changes import claim_job
from storage.jobs import JobFilters, JobRow, list_jobs, read_value
from storage.retention import remove_values
from storage.steps import list_steps
from storage.tables import Job
from tests.logical_time import pass_time
from tests.stored import failing
from tests.ui.arrange import buttons, choose, draft, page_text, press, texts, until
from tests.ui.conftest import Site
from tests.ui.playground.inspector.test_inspector import change
from tests.ui.playground.runs import Did, playground_run, working

FIELDS = [
    {"name": "who", "type": "string", "required": True},
    {"name": "count", "type": "integer"},
]
SAMPLES = [{"title": "Ann", "payload": {"who": "Ann"}}, {"title": "Bob", "payload": {"who": "Bob", "count": 2}}]
FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Letter",
    "nodes": [
        {"id": "api_input", "type": "api_input", "config": {"fields": FIELDS, "samples": SAMPLES}},
        {"id": "set_fields", "type": "set_fields", "label": "Names", "inputs": {"name": "{{ api_input.out.who }}"}},
        {
            "id": "text_template",
            "type": "text_template",
            "label": "Letter",
            "inputs": {"template": "Dear {{ set_fields.out.name }}"},
        },
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "set_fields"},
        {"id": "e2", "source": "set_fields", "target": "text_template"},
    ],
}
BROKEN = {
    "code": "node_failed",
    "message": "The template broke.",
    "why": "It names nothing.",
    "remedy": "Choose other data.",
    "node_id": "text_template",
    "node_label": "Letter",
    "pointer": "/inputs/template",
}


@pytest.fixture
def flow_id(site: Site) -> str:
    return site.flow("Letter", saved=False, file=FLOW)


async def opened(user: User, flow_id: str, query: str = "") -> None:
    await user.open(f"/playground/{flow_id}{query}")
    assert user.client is not None
    canvas = next(one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas")
    UserInteraction(user, {canvas}, None).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see("Press Run" if not query else "Letter", retries=100)


def named(user: User, name: str) -> Any:
    """The newest element with this accessible name."""
    assert user.client is not None
    return max(
        (one for one in user.client.elements.values() if one.props.get("aria-label") == name), key=lambda one: one.id
    )


def push(user: User, name: str) -> None:
    """Clicks the button with this accessible name."""
    UserInteraction(user, {named(user, name)}, None).click()


def samples(site: Site, flow_id: str) -> list[dict[str, Any]]:
    return samples_of(draft(site, flow_id))


def jobs(site: Site) -> tuple[JobRow, ...]:
    return site.database.read_now(list_jobs, site.workspace_id, JobFilters(environments=("playground",))).jobs


def payload(site: Site, job: JobRow) -> Any:
    return site.database.read_now(read_value, job.id, "payload")


def field(user: User, label: str) -> Any:
    """The text box under this label."""
    assert user.client is not None
    boxes = [one for one in user.client.elements.values() if isinstance(one, ui.input | ui.textarea)]
    labels = {
        one.html_id: getattr(one, "text", "") for one in user.client.elements.values() if one.tag in {"label", "div"}
    }
    return max(
        (one for one in boxes if labels.get(str(one.props.get("aria-labelledby", ""))) == label),
        key=lambda one: one.id,
    )


def toasts(user: User) -> list[ui.element]:
    """The notices over the page."""
    assert user.client is not None
    return [one for one in user.client.elements.values() if "fp-toast" in one.classes]


async def test_the_next_visit_begins_with_the_input_that_ran_last(site: Site, user: User, flow_id: str) -> None:
    playground_run(site, flow_id, {"who": "Zoe", "count": 7}, status="failed", error=BROKEN)
    await user.open(f"/playground/{flow_id}")

    assert field(user, "who").value == "Zoe"
    assert "your own input" in page_text(user), "it is none of the samples"


async def test_a_result_of_another_input_is_marked(site: Site, user: User, flow_id: str) -> None:
    playground_run(site, flow_id, {"who": "Zoe", "count": 7}, status="failed", error=BROKEN)
    await opened(user, flow_id, "?again")
    await until(lambda: "The template broke." in page_text(user))
    await user.should_not_see("From the input before")

    field(user, "who").value = "Ann"
    await user.should_see("From the input before")
    field(user, "who").value = "Zoe"
    await user.should_not_see("From the input before")


async def test_a_result_from_before_a_change_of_the_flow_is_marked(site: Site, user: User, flow_id: str) -> None:
    job_id = playground_run(site, flow_id, {"who": "Zoe", "count": 7}, Did("set_fields", {"name": "Zoe"}))
    await opened(user, flow_id, f"?job={job_id}")
    assert user.client is not None
    canvas = next(one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas")

    def changed(seq: int, before: dict[str, Any], after: dict[str, Any]) -> None:
        op: Op = {"op": "updateNode", "id": "text_template", "before": before, "after": after}
        UserInteraction(user, {canvas}, None).trigger("change", {"ops": [op], "seq": seq, "reason": "edit"})

    old = {"template": "Dear {{ set_fields.out.name }}"}
    changed(1, {"inputs": old}, {"inputs": {"template": "Hi"}})
    await user.should_see("From before the flow was changed.")
    changed(2, {"inputs": {"template": "Hi"}, "label": "Letter"}, {"inputs": old, "label": "Card"})
    await user.should_not_see("From before the flow was changed.")


async def test_a_result_with_one_text_in_all_fields_says_so_and_leads_to_the_step(
    site: Site, user: User, flow_id: str
) -> None:
    playground_run(site, flow_id, {"who": "Ann"}, Did("text_template"), result={"output": "Dear Ann"})
    playground_run(
        site, flow_id, {"who": "Ann"}, Did("text_template", warnings=(SAME_TEXTS,)), result={"output": "Dear Ann"}
    )
    await opened(user, flow_id, "?run")
    said = "All fields of the answer of “Letter” are the same text:"
    await user.should_see(said, retries=60)
    assert page_text(user).count("the same text") == 1
    press(user, "Open the step")
    await user.should_see("Text Template", retries=60)


async def test_a_result_after_a_question_is_not_called_the_same_text_again(
    site: Site, user: User, flow_id: str
) -> None:
    warned = Did("text_template", warnings=(SAME_TEXTS,))
    job_id = playground_run(site, flow_id, {"who": "Ann"}, warned, result={"output": "Dear Ann"})
    site.database.write_now(lambda session: session.execute(update(Job).where(Job.id == job_id).values(questions=1)))
    await opened(user, flow_id, "?run")
    await user.should_see("Dear Ann", retries=60)
    assert "the same text" not in page_text(user)


async def test_the_samples_are_gone_through_and_the_place_is_told(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id)
    assert "1 of 2" in page_text(user)
    push(user, "Next sample")
    assert "2 of 2" in page_text(user)
    assert (field(user, "who").value, field(user, "count").value) == ("Bob", "2")
    field(user, "who").value = "Bobby"
    assert "2 of 2, changed" in page_text(user)


async def test_a_sample_is_kept_renamed_overwritten_and_deleted(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id)
    field(user, "who").value = "Cleo"
    push(user, "Keep this input as a sample")
    await until(lambda: "Keep" in buttons(user))
    press(user, "Keep")
    await until(lambda: len(samples(site, flow_id)) == 3)
    assert samples(site, flow_id)[2] == {"title": "Sample 3", "payload": {"who": "Cleo"}}
    await until(lambda: "3 of 3" in page_text(user))
    field(user, "who").value = "Dora"
    choose(user, "Overwrite with this input")
    await user.should_see("holds this input now", retries=60)
    assert samples(site, flow_id)[2]["payload"] == {"who": "Dora"}
    choose(user, "Rename this sample")
    await until(lambda: "Rename" in buttons(user))
    next(one for one in reversed(list(user.client.elements.values())) if isinstance(one, ui.input)).value = "D"  # type: ignore[union-attr]
    press(user, "Rename")
    await until(lambda: named(user, "Sample").options.get(2) == "D")
    assert samples(site, flow_id)[2]["title"] == "D"
    choose(user, "Delete this sample")
    await until(lambda: samples(site, flow_id) == SAMPLES)


async def test_form_and_json_are_two_views_of_one_input(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id)
    field(user, "who").value = "Eve"
    named(user, "Input as").value = "json"
    text = field(user, "Input as JSON")
    assert text.value == '{\n  "who": "Eve"\n}'
    text.value = '{"who": '
    await user.should_see("This is not valid JSON")
    named(user, "Input as").value = "form"
    assert named(user, "Input as").value == "json", "what cannot be read is not thrown away"
    press(user, "Run")
    await pass_time(1)
    assert jobs(site) == ()
    text.value = '{"who": "Fay", "count": 7}'
    named(user, "Input as").value = "form"
    assert (field(user, "who").value, field(user, "count").value) == ("Fay", "7")
    press(user, "Run")
    await until(lambda: jobs(site))
    assert payload(site, jobs(site)[0]) == {"who": "Fay", "count": 7}


@pytest.mark.parametrize("count", ["NaN", "1e400", "[" * 500 + "]" * 500, "[" * 90_000 + "]" * 90_000])
async def test_no_run_takes_what_json_does_not_allow(site: Site, user: User, flow_id: str, count: str) -> None:
    await opened(user, flow_id)
    named(user, "Input as").value = "json"
    field(user, "Input as JSON").value = f'{{"who": "Eve", "count": {count}}}'
    await user.should_see("This is not valid JSON")
    press(user, "Run")
    await pass_time(1)
    assert jobs(site) == ()


def fields(user: User) -> list[Any]:
    """The text fields of the inspector."""
    assert user.client is not None
    return [one for one in user.client.elements.values() if type(one).__name__ == "BindingField"]


async def test_a_run_takes_what_was_typed_just_before_it_was_pressed(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "?node=text_template")
    await until(lambda: fields(user))
    template = fields(user)[-1]
    base = zlib.crc32("Dear {{ set_fields.out.name }}".encode("utf-16-le"))
    UserInteraction(user, {template}, None).trigger("change", {"from": 0, "to": 4, "text": "Hello", "base": base})
    press(user, "Run")
    async with working(site):
        await until(lambda: jobs(site) and jobs(site)[0].ended)
    result = site.database.read_now(read_value, jobs(site)[0].id, "result")
    assert result == {"output": "Hello Ann"}


async def test_enter_in_the_only_field_runs(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id)
    press_enter(user)
    assert not jobs(site), "of two fields it is not known which one is the last"
    await opened(user, site.flow("Greeting", saved=False))
    await user.should_see("An example fills it in at first: put in your own.")
    press_enter(user)
    await until(lambda: len(jobs(site)) == 1)


async def test_a_box_in_which_somebody_types_stays_when_another_adds_a_field(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", saved=False)
    await opened(user, flow_id)
    box = field(user, "name")
    box.value = "Gra"
    node = draft(site, flow_id).node("api_input")
    assert node is not None
    more = [*node.config["fields"], {"name": "more", "type": "string", "required": True}]
    change(user, 1, "undo", [update_node(node, config={**node.config, "fields": more})])
    await until(lambda: "more" in texts(user))
    assert (field(user, "name"), box.value, box.is_deleted) == (box, "Gra", False)
    said = page_text(user)
    assert said.count("An example fills it in at first") == 2, "the new field says it, too"


async def test_a_box_that_was_emptied_stays_empty_when_its_field_is_changed(
    site: Site, user: User, flow_id: str
) -> None:
    await opened(user, flow_id)
    field(user, "who").value = ""
    node = draft(site, flow_id).node("api_input")
    assert node is not None
    more = {"name": "more", "type": "string", "required": True, "example": "Hi"}
    fields = [{"name": "who", "type": "string"}, FIELDS[1], more]
    change(user, 1, "undo", [update_node(node, config={**node.config, "fields": fields})])
    await until(lambda: "more" in texts(user))
    assert (field(user, "who").value, field(user, "more").value) == ("", "Hi")


def press_enter(user: User) -> None:
    """Presses Enter in the form of the input."""
    around = next(one for one in named(user, "Input").descendants() if "fp-form" in one.classes)
    UserInteraction(user, {around}, None).trigger("keydown.enter")


async def test_errors_of_the_input_stand_at_their_fields(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id)
    field(user, "count").value = "many"
    press(user, "Run")
    await user.should_see("whole number")
    assert jobs(site) == ()
    field(user, "count").value = "2"
    field(user, "who").value = ""
    press(user, "Run")
    await user.should_see("Fill in “who”. If it may be empty, switch off Required at this field in API Input.")
    assert not toasts(user), "what stands at its field is not said once more"
    named(user, "Input as").value = "json"
    press(user, "Run")
    await user.should_see("`/who` missing")
    field(user, "Input as JSON").value = '{"who": "Ann", "old": 1}'
    named(user, "Input as").value = "form"
    press(user, "Run")
    await until(lambda: toasts(user))  # no box of the form shows it
    press(user, "Deploy API")
    await until(lambda: not toasts(user))
    press(user, "Run")
    await until(lambda: toasts(user))
    named(user, "Input as").value = "json"
    field(user, "Input as JSON").value = '{"who": "Ann"}'
    press(user, "Run")
    await until(lambda: jobs(site))
    assert not toasts(user), "a notice of a run goes with the next one"


async def test_that_a_flow_cannot_run_yet_is_told_once(site: Site, user: User) -> None:
    gone = {"id": "text_template", "type": "call_flow", "config": {"flow_id": "flow_2rpTsgUG4YqCwBjqQ3eF2N"}}
    nodes = [gone if node["id"] == gone["id"] else node for node in FLOW["nodes"]]
    await opened(user, site.flow("Letter", saved=False, file={**FLOW, "nodes": nodes}))
    press(user, "Run")
    await until(lambda: toasts(user))
    assert "The flow cannot run yet." in page_text(user)
    (before,) = toasts(user)
    press(user, "Run")
    await until(lambda: toasts(user) and toasts(user) != [before])
    assert len(toasts(user)) == 1


async def test_a_failure_leads_to_its_field_and_runs_on_from_there(site: Site, user: User, flow_id: str) -> None:
    first = playground_run(
        site,
        flow_id,
        {"who": "Ann"},
        Did("api_input", {"who": "Ann", "count": None}),
        Did("set_fields", {"name": "Ann"}),
        Did("text_template", status="failed", error=BROKEN),
        status="failed",
        error=BROKEN,
    )
    await opened(user, flow_id, f"?job={first}")
    await user.should_see("The template broke.", retries=100)
    press(user, "Fix it")
    await user.should_see("Set up", retries=100)
    press(user, "Run from here")
    await until(lambda: len(jobs(site)) == 2)
    again = jobs(site)[0]
    assert again.run_options == {"from": "text_template", "reuse": first}
    steps = site.database.read_now(list_steps, site.workspace_id, again.id)
    assert sorted(step.node_id for step in steps if step.reused) == ["api_input", "set_fields"]
    await user.should_see("Reused", retries=100)


async def test_run_from_here_without_an_earlier_run_runs_everything(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id)
    assert user.client is not None
    canvas = next(one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas")
    UserInteraction(user, {canvas}, None).trigger("runrequest", {"mode": "from", "node": "text_template"})
    await user.should_see("Everything runs", retries=100)
    await until(lambda: jobs(site))
    assert jobs(site)[0].run_options is None


async def test_run_from_here_runs_everything_when_the_values_of_the_earlier_run_are_gone(
    site: Site, user: User, flow_id: str
) -> None:
    done = Did("api_input", {"who": "Eve", "count": None}), Did("set_fields", {"name": "Eve"})
    first = playground_run(site, flow_id, {"who": "Eve"}, *done)
    site.database.write_now(remove_values, [first], 100)
    await opened(user, flow_id, f"?job={first}")
    assert field(user, "who").value != "Eve"
    field(user, "who").value = "Bea"
    assert user.client is not None
    canvas = next(one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas")
    UserInteraction(user, {canvas}, None).trigger("runrequest", {"mode": "from", "node": "text_template"})
    await user.should_see("Everything runs", retries=100)
    await until(lambda: len(jobs(site)) == 2)
    assert (jobs(site)[0].run_options, payload(site, jobs(site)[0])["who"]) == (None, "Bea")


async def test_stop_says_cancelling_until_the_work_has_stopped(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id)
    press(user, "Run")
    await until(lambda: jobs(site))
    site.database.write_now(claim_job, "boot_test", jobs(site)[0].id)
    await user.should_see("Running", retries=60)
    press(user, "Stop")
    await user.should_see("Cancelling", retries=60)
    assert jobs(site)[0].cancel_requested_at is not None


async def test_that_a_step_waits_for_a_person_stands_below_its_name(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    done = Did("set_fields", {"name": "Ann"})
    job_id = playground_run(
        site, flow_id, {"who": "Ann"}, done, Did("text_template", status="waiting"), status="running"
    )
    await opened(user, flow_id, f"?job={job_id}")
    await user.should_see("Waits for a person", retries=60)
    assert user.client is not None
    rows = [[*one.descendants()] for one in user.client.elements.values() if "fp-rs-l" in one.classes]
    below_names = [[text for part in row if (text := getattr(part, "text", ""))] for row in rows]
    assert ["Letter", "Waits for a person"] in below_names


async def test_items_are_listed_under_their_node_and_the_next_failed_one_is_found(site: Site, user: User) -> None:
    flow_id = site.flow("List", saved=False, file=FLOW)
    steps = [Did("text_template", f"Dear {place}", str(place)) for place in range(30)]
    failed = Did("text_template", None, "25", "failed", {**BROKEN, "message": "Item 26 broke."})
    job_id = playground_run(
        site, flow_id, {"who": "Ann"}, Did("set_fields", ["x"] * 30, items=30), *steps[:25], failed, *steps[26:]
    )
    await opened(user, flow_id, f"?job={job_id}")
    await user.should_see("Completed", retries=60)
    row = next(
        one
        for one in user.client.elements.values()  # type: ignore[union-attr]
        if "fp-rs" in one.classes and any(getattr(part, "text", "") == "Letter" for part in one.descendants())
    )
    UserInteraction(user, {row}, None).click()
    await user.should_see("Item 26 broke.", retries=60)
    assert "item 26 of 30" in page_text(user)
    push(user, "Next item")
    await user.should_see("item 27 of 30", retries=60)
    assert "Dear 26" in page_text(user)
    press(user, "Next failed (1)")
    await user.should_see("item 26 of 30", retries=60)


async def test_the_items_that_reached_a_step_are_told_of_the_whole_list(site: Site, user: User) -> None:
    file: dict[str, Any] = {
        "format": 1,
        "title": "List",
        "nodes": [
            {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "x", "type": "array"}]}},
            {"id": "each", "type": "array_splitter", "inputs": {"items": "{{ api_input.out.x }}"}},
            {"id": "letter", "type": "text_template", "label": "Letter", "inputs": {"template": "{{ each.out }}"}},
        ],
        "edges": [
            {"id": "e1", "source": "api_input", "target": "each"},
            {"id": "e2", "source": "each", "target": "letter"},
        ],
    }
    flow_id = site.flow("List", saved=False, file=file)
    came = [Did("letter", f"Dear {place}", str(place)) for place in (1, 3, 4)]
    job_id = playground_run(site, flow_id, {"x": [1] * 5}, Did("each", {"total": 5}, items=5), *came)
    await opened(user, flow_id, f"?job={job_id}")
    await user.should_see("Completed", retries=60)
    row = next(
        one
        for one in user.client.elements.values()  # type: ignore[union-attr]
        if "fp-rs" in one.classes and any(getattr(part, "text", "") == "Letter" for part in one.descendants())
    )
    UserInteraction(user, {row}, None).click()
    await user.should_see("item 2 of 5", retries=60)
    push(user, "Next item")
    await user.should_see("item 4 of 5", retries=60)


async def test_a_step_that_failed_and_was_skipped_is_shown_as_failed(site: Site, user: User, flow_id: str) -> None:
    skipped = Did("text_template", status="skipped", error=BROKEN)
    job_id = playground_run(site, flow_id, {"who": "Ann"}, Did("set_fields", {"name": "Ann"}), skipped)
    await opened(user, flow_id, f"?job={job_id}")
    await user.should_see("Completed", retries=60)
    row = next(
        one
        for one in user.client.elements.values()  # type: ignore[union-attr]
        if "fp-rs" in one.classes and any(getattr(part, "text", "") == "Letter" for part in one.descendants())
    )
    UserInteraction(user, {row}, None).click()
    await user.should_see("The template broke.", retries=60)
    assert "Failed, skipped" in page_text(user)

    press(user, "Go on with a default text")
    await user.should_see("Use a default text", retries=60)
    press(user, "Use a default text")
    await until(
        lambda: draft(site, flow_id).node("text_template").policy.default == "Letter gave no answer.",  # type: ignore[union-attr]
        lambda: draft(site, flow_id).node("text_template"),
    )


async def test_after_a_reload_the_last_run_is_shown_again(site: Site, user: User, flow_id: str) -> None:
    playground_run(
        site,
        flow_id,
        {"who": "Ann"},
        Did("api_input", {"who": "Ann", "count": None}),
        Did("set_fields", {"name": "Ann"}),
        Did("text_template", status="failed", error=BROKEN),
        status="failed",
        error=BROKEN,
    )
    await opened(user, flow_id, "?node=")
    await user.should_see("Failed", retries=100)
    await user.should_see("The template broke.", retries=100)
    assert len(jobs(site)) == 1


async def test_an_input_with_very_many_values_is_edited_as_json(site: Site, user: User) -> None:
    rows = [{"v": list(range(10))} for _row in range(1000)]
    fields = [{"name": "rows", "type": "array"}]
    large = [{"title": "Large", "payload": {"rows": rows}}, {"title": "Small", "payload": {"rows": [1]}}]
    node = {"id": "api_input", "type": "api_input", "config": {"fields": fields, "samples": large}}
    flow_id = site.flow("Letter", saved=False, file={"format": 1, "title": "Large", "nodes": [node], "edges": []})

    await opened(user, flow_id)

    assert user.client is not None
    assert len(user.client.elements) < 3000
    assert "This input has 10,000 values: it is edited as JSON." in page_text(user)
    assert not named(user, "Input as").enabled
    text = next(one for one in user.client.elements.values() if isinstance(one, ui.textarea) and '"rows"' in one.value)
    assert json.loads(text.value) == {"rows": rows}

    text.value = '{"rows": [1, 2]}'

    assert named(user, "Input as").enabled
    assert "it is edited as JSON" not in page_text(user)
    named(user, "Input as").value = "form"
    assert not text.client.elements.get(text.id)


@pytest.mark.parametrize("part", ["", "FROM questions", "FROM job_values", "FROM events"])
async def test_a_run_is_followed_on_when_it_could_not_be_read_for_a_moment(
    site: Site, user: User, flow_id: str, part: str
) -> None:
    job_id = playground_run(
        site,
        flow_id,
        {"who": "Ann"},
        Did("set_fields", {"name": "Ann"}),
        status="processing",
        result={"output": "Dear"},
    )

    def change(session: Session, status: str) -> None:
        job = session.get_one(Job, job_id)
        job.status, job.questions, job.last_seq = status, 1, job.last_seq + 1
        job.completed_at = job.created_at + 2000 if status == "completed" else None
        add_events(session, job_id, job.last_seq, [(f"job.{status}", site.clock.now(), {})])

    site.database.write_now(change, "processing")
    await opened(user, flow_id, f"?job={job_id}")
    assert user.client is not None
    tabs = next(one for one in user.client.elements.values() if isinstance(one, ui.tabs))
    tabs.value = "log"
    await user.should_see("newest first")
    with failing(site.database.read_engine, part) as failed:
        site.database.write_now(change, "completed")
        await until(lambda: len(failed) > 2)
    await user.should_see("The run is completed.")
    tabs.value = "steps"
    await user.should_see("Dear")
    await user.should_not_see("Running")
    assert {one.text for one in user.client.elements.values() if isinstance(one, ui.button) and one.visible} & {
        "Run",
        "Stop",
    } == {"Run"}
