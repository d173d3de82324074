"""Tests of the inspector without a browser: fields, suggestions, values of the last run, connection mapping, failure
settings.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.flows import save_draft
from engine.actions.jobs import RunOptions, run_in_playground
from engine.core.ids import FlowId
from engine.flow.document import Document
from engine.flow.edits import Op, apply_ops, difference_ops, update_node
from storage.tables import Job, Step, Value
from tests.factories import document
from tests.ui.arrange import choose, draft, page_text, press, until
from tests.ui.conftest import Site

FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Lines",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "config": {"fields": [{"name": "site", "type": "string", "format": "uri", "required": True}]},
        },
        {"id": "page_scraper", "type": "page_scraper", "label": "Read the page"},
        {
            "id": "text_template",
            "type": "text_template",
            "label": "Letter",
            "inputs": {"template": "Dear {{ api_input.out.site | upper }} {{ gone.out }}"},
        },
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "page_scraper"},
        {"id": "e2", "source": "page_scraper", "target": "text_template"},
    ],
}


@pytest.fixture
def flow_id(site: Site) -> str:
    return site.flow("Lines", saved=False, file=FLOW)


def ran(site: Site, flow_id: str, outputs: dict[tuple[str, str], Any]) -> None:
    """Creates a Playground run that ended with these outputs, by node and index in the list."""
    payload = {"site": "https://a.example/"}
    flow = document(greeting_like())
    job_id = site.database.write_now(run_in_playground, site.owner, FlowId(flow_id), flow, payload, RunOptions())

    def leave(session: Any) -> None:
        job = session.get_one(Job, job_id)
        job.status, job.completed_at = "completed", 1
        for (node_id, place), value in outputs.items():
            made: dict[str, Any] = {
                "status": "completed",
                "started_at": 0,
                "ended_at": 1500,
                "duration_ms": 1500,
                "attempt": 1,
                "tries": 1,
            }
            made |= {"input_tokens": 0, "output_tokens": 0, "model_calls": 0, "simulated": False}
            session.add(Step(job_id=job_id, node_id=node_id, index_path=place, **made))
            text = json.dumps(value)
            for name in ("input", "output"):
                session.add(
                    Value(job_id=job_id, node_id=node_id, index_path=place, name=name, size=len(text), data=text)
                )

    site.database.write_now(leave)


def greeting_like() -> dict[str, Any]:
    """The flow without the reference that cannot be resolved, so that it can run."""
    nodes = [dict(node) for node in FLOW["nodes"]]
    nodes[1]["inputs"] = {"url": "{{ api_input.out.site }}"}
    nodes[2]["inputs"] = {"template": "Dear {{ api_input.out.site }}"}
    return {**FLOW, "nodes": nodes}


async def told(site: Site, flow_id: str, wanted: Callable[[Document], Any]) -> None:
    """Waits until the draft satisfies a condition, because forms apply changes in the background."""
    await until(lambda: wanted(draft(site, flow_id)), lambda: draft(site, flow_id))


async def opened(user: User, flow_id: str, node: str = "") -> None:
    await user.open(f"/playground/{flow_id}?node={node}")
    canvas(user).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see("Set up" if node else "Run", retries=100)


def canvas(user: User) -> UserInteraction[Any]:
    return parts(user, "EditableCanvas")


def parts(user: User, kind: str, name: str = "") -> UserInteraction[Any]:
    """The elements of this class, limited to those with this accessible name."""
    assert user.client is not None
    found = {
        element
        for element in user.client.elements.values()
        if type(element).__name__ == kind and name in (str(element.props.get("label", "")), "")
    }
    assert found, f"there is no {kind} {name}"
    return UserInteraction(user, found, None)


def newest(user: User, kind: str, name: str = "") -> Any:
    return max(parts(user, kind, name).elements, key=lambda element: element.id)


def around(element: ui.element) -> ui.element:
    """The element that holds another."""
    assert element.parent_slot is not None
    return element.parent_slot.parent


async def test_an_empty_input_is_filled_by_one_click_on_its_offer(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "page_scraper")
    await user.should_see("Fill Web address with api_input › site", retries=100)
    assert "“Read the page” is not ready yet: fill in “Web address”." in page_text(user)
    parts(user, "BindingField", "Web address").trigger("left")

    def below() -> list[ui.element]:
        assert user.client is not None
        return [one for one in user.client.elements.values() if {"fp-hint", "fp-warn", "fp-row"} <= set(one.classes)]

    await until(below)
    (told,) = below()

    press(user, "Fill Web address with api_input › site")
    await user.should_not_see("Fill Web address with api_input › site", retries=100)

    node = draft(site, flow_id).node("page_scraper")
    assert node is not None
    assert node.inputs == {"url": "{{ api_input.out.site }}"}
    assert newest(user, "BindingField", "Web address").text == "{{ api_input.out.site }}"
    assert not told.is_deleted
    assert "fp-kept-room" in around(told).classes, "the data below does not move under the press"


async def test_a_field_saves_the_piece_that_changed_and_marks_what_cannot_be_found(
    site: Site, user: User, flow_id: str
) -> None:
    ran(site, flow_id, {("api_input", ""): {"site": "https://a.example/"}})
    await opened(user, flow_id, "text_template")
    field = newest(user, "BindingField", "Template")
    await user.should_see("Dear HTTPS://A.EXAMPLE/", retries=100)
    assert field.props["broken"] == ["{{ gone.out }}"]

    base = zlib.crc32(field.text.encode("utf-16-le"))
    UserInteraction(user, {field}, None).trigger("change", {"from": 0, "to": 4, "text": "To", "base": base})
    await user.should_see("To HTTPS://A.EXAMPLE/", retries=100)

    node = draft(site, flow_id).node("text_template")
    assert node is not None
    assert node.inputs["template"].startswith("To {{")


async def test_a_broken_chip_is_replaced_by_the_likely_data(site: Site, user: User, flow_id: str) -> None:
    node = draft(site, flow_id).node("text_template")
    assert node is not None
    wrong = apply_ops(
        draft(site, flow_id), [update_node(node, inputs={"template": "Dear {{ api_input.out.sit | upper }}"})]
    )
    site.database.write_now(save_draft, site.owner, flow_id, wrong, 1)
    await opened(user, flow_id, "text_template")
    field = newest(user, "BindingField", "Template")
    await user.should_see("Letter needs “api_input › sit”, which cannot be found there.", retries=100)
    assert "Letter needs “sit” of api_input, which is not there." in page_text(user)

    drawn = [one.id for one in user.find(kind=ui.menu).elements if one.props.get("aria-label") == "Replace with"]
    UserInteraction(user, {field}, None).trigger("left")
    UserInteraction(user, {field}, None).trigger("broken", "{{ api_input.out.sit | upper }}")
    menu = next(one for one in user.find(kind=ui.menu).elements if one.props.get("aria-label") == "Replace with")
    assert [menu.id] == drawn, "a press on the button is not lost when the field is left"
    await until(lambda: menu.value)
    choose(user, "api_input › site")

    await told(site, flow_id, lambda flow: "{{ api_input.out.site | upper }}" in str(flow.node("text_template")))
    await until(lambda: not field.props["broken"])
    assert field.text == "Dear {{ api_input.out.site | upper }}"


async def test_a_deleted_step_is_called_what_it_was_called(site: Site, user: User) -> None:
    nodes = [*FLOW["nodes"][:2], {**FLOW["nodes"][2], "inputs": {"template": "{{ page_scraper.out.title }}"}}]
    flow_id = site.flow("Deleted", saved=False, file={**FLOW, "nodes": nodes})
    await opened(user, flow_id, "text_template")
    edges = [{"id": "e3", "source": "api_input", "target": "text_template"}]
    after = document({**FLOW, "nodes": [nodes[0], nodes[2]], "edges": edges})
    change(user, 1, "delete", difference_ops(draft(site, flow_id), after))
    said = "Letter needs “Read the page › title” of a step that was deleted. Choose other data."
    await user.should_see(said, retries=100)
    await until(
        lambda: newest(user, "BindingField", "Template").props["nodes"]["page_scraper"]["label"] == "Read the page"
    )


async def test_deleting_a_step_connects_its_neighbours_and_says_so(site: Site, user: User) -> None:
    flow_id = site.flow("Deleted", saved=False, file=FLOW)
    await opened(user, flow_id, "page_scraper")
    choose(user, "Delete this node")
    await user.should_see("api_input and Letter are connected now.", retries=100)
    await told(
        site, flow_id, lambda flow: [(e.source, e.target) for e in flow.edges] == [("api_input", "text_template")]
    )


async def test_the_output_of_a_list_is_shown_item_by_item_and_can_be_returned(
    site: Site, user: User, flow_id: str
) -> None:
    values = [{"title": f"Page {number}"} for number in range(3)]
    ran(site, flow_id, {("page_scraper", str(at)): value for at, value in enumerate(values)})
    await opened(user, flow_id, "page_scraper")
    newest(user, "Tabs").value = "output"
    await user.should_see("item 1 of 3", retries=100)
    assert "Page 0" in page_text(user)

    following = next(one for one in user.find(kind=ui.button).elements if one.props.get("aria-label") == "Next item")
    UserInteraction(user, {following}, None).click()
    await user.should_see("item 2 of 3", retries=100)
    assert "Page 1" in page_text(user)

    press(user, "Return this")
    await user.should_see("Callers get it as", retries=100)
    output = next(node for node in draft(site, flow_id).nodes if node.type == "api_output")
    assert list(output.inputs.values()) == ["{{ page_scraper.out }}"]


async def test_a_connection_is_a_mapping_of_its_source_on_its_target(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id)
    canvas(user).trigger("select", {"nodes": [], "edges": ["e1"]})
    await user.should_see("api_input → Read the page", retries=100)
    await user.should_see("Fill Web address with api_input › site", retries=100)

    press(user, "Fill Web address with api_input › site")
    await user.should_not_see("Fill Web address with api_input › site", retries=100)

    node = draft(site, flow_id).node("page_scraper")
    assert node is not None
    assert node.inputs == {"url": "{{ api_input.out.site }}"}


async def test_a_default_value_is_asked_for_only_where_it_is_used(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "page_scraper")
    await user.should_see("If it fails", retries=100)
    assert "Default value" not in page_text(user)

    choice = max(
        (one for one in user.find(kind=ui.select).elements if "Use a default value" in one.options),
        key=lambda one: one.id,
    )
    choice.value = "Use a default value"
    await user.should_see("Default value", retries=100)

    await told(
        site, flow_id, lambda flow: (node := flow.node("page_scraper")) and node.policy.on_error == "use_default"
    )


async def test_a_default_text_is_suggested_before_skipping_and_has_the_shape_of_the_output(
    site: Site, user: User, flow_id: str
) -> None:
    await user.open(f"/playground/{flow_id}?node=page_scraper&field=/policy/on_error")
    canvas(user).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see("Use a default text", retries=100)
    choice = next(one for one in user.find(kind=ui.select).elements if "Use a default value" in one.options)
    assert list(choice.options) == ["Stop the job", "Use a default value", "Skip this step"]
    assert user.client is not None
    group = next(
        one
        for one in user.client.elements.values()
        if one.tag == "details" and any(getattr(part, "text", "") == "If it fails" for part in one.descendants())
    )
    assert group.props.get("open") is True

    press(user, "Use a default text")
    await told(
        site, flow_id, lambda flow: (node := flow.node("page_scraper")) and node.policy.on_error == "use_default"
    )

    node = draft(site, flow_id).node("page_scraper")
    assert node is not None
    assert node.policy.default["text"] == "Read the page gave no answer."
    assert node.policy.default["links"] == []
    assert "Use a default text" not in page_text(user)


async def test_a_default_of_unknown_shape_is_a_text_or_of_another_type(site: Site, user: User) -> None:
    file: dict[str, Any] = {
        **FLOW,
        "nodes": [FLOW["nodes"][0], {"id": "parse_json", "type": "parse_json", "label": "Read the note"}],
        "edges": [{"id": "e1", "source": "api_input", "target": "parse_json"}],
    }
    flow_id = site.flow("Note", saved=False, file=file)
    await opened(user, flow_id, "parse_json")
    press(user, "Use a default text")
    await told(site, flow_id, lambda flow: flow.node("parse_json").policy.default == "Read the note gave no answer.")  # type: ignore[union-attr]
    (kind,) = (
        one for one in user.find(kind=ui.select).elements if one.props.get("aria-label") == "Default value, Type"
    )
    boxes = [one.value for one in user.find(kind=ui.textarea).elements]
    assert "Read the note gave no answer." in boxes, "without quotes"

    kind.set_value("list")
    default = ["Read the note gave no answer."]
    await told(site, flow_id, lambda flow: flow.node("parse_json").policy.default == default)  # type: ignore[union-attr]


#: A flow with missing settings, which are reported once the form is drawn.
ENDS: dict[str, Any] = {
    **FLOW,
    "nodes": [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "a"}, {"name": "a"}]}},
        {"id": "dataset_source", "type": "dataset_source", "config": {"count": 0}},
        {"id": "dataset_sink", "type": "dataset_sink"},
        {"id": "api_output", "type": "api_output"},
    ],
    "edges": [{"id": "e", "source": "api_input", "target": "dataset_sink"}],
}


@pytest.mark.parametrize(
    ("node_id", "told", "may_fail"),
    [
        ("api_input", "Two fields are named", False),
        ("api_output", "Connect a node before", False),
        ("dataset_source", "No datasets yet", True),
        ("dataset_sink", "No datasets yet", True),
    ],
)
async def test_what_happens_if_it_fails_is_asked_of_every_node_that_can(
    site: Site, user: User, node_id: str, told: str, may_fail: bool
) -> None:
    await opened(user, site.flow("Ends", saved=False, file=ENDS), node_id)
    await user.should_see(told, retries=100)
    assert ("If it fails" in page_text(user)) is may_fail


async def test_a_connection_drawn_to_the_open_node_offers_its_data_and_a_new_name_is_on_the_chips(
    site: Site, user: User
) -> None:
    flow_id = site.flow("Late", saved=False, file={**FLOW, "edges": FLOW["edges"][:1]})
    await opened(user, flow_id, "text_template")
    await user.should_see("Connect a node before this one", retries=100)
    edge = {"id": "e2", "source": "page_scraper", "target": "text_template"}
    change(user, 1, "connect", [{"op": "addEdge", "edge": edge}])
    await user.should_not_see("Connect a node before this one", retries=100)
    (offered,) = parts(user, "DataList").elements
    assert [source["label"] for source in offered.props["sources"]] == ["Read the page", "api_input", "This run"]
    assert offered.visible

    change(user, 2, "rename", [update_node(draft(site, flow_id).nodes[0], label="What callers send")])
    (field,) = parts(user, "BindingField", "Template").elements
    await until(lambda: field.props["nodes"]["api_input"]["label"] == "What callers send")

    change(user, 3, "delete", [{"op": "removeEdge", "edge": edge}])
    await user.should_see("Connect a node before this one", retries=100)


def change(user: User, seq: int, reason: str, ops: list[Op]) -> None:
    """Sends an edit as the canvas of the open page does."""
    canvas(user).trigger("change", {"ops": ops, "seq": seq, "reason": reason})


async def test_an_answer_that_becomes_a_group_is_told_and_its_field_is_used_where_the_text_was(
    site: Site, user: User
) -> None:
    nodes = [
        {"id": "prompt", "type": "prompt", "config": {"model": "simulated"}, "inputs": {"prompt": "Draft it"}},
        {"id": "api_output", "type": "api_output", "label": "Result", "inputs": {"reply": "Dear {{ prompt.out }}"}},
    ]
    edges = [{"id": "e1", "source": "prompt", "target": "api_output"}]
    flow_id = site.flow("Drafts", saved=False, file={"format": 1, "title": "Drafts", "nodes": nodes, "edges": edges})
    await opened(user, flow_id, "prompt")
    await user.should_see("Output fields", retries=100)
    assert "now a group" not in page_text(user)

    node = draft(site, flow_id).node("prompt")
    assert node is not None
    fields = [{"name": "answer", "type": "string"}, {"name": "tone", "type": "string"}]
    change(user, 1, "edit", [update_node(node, config={**node.config, "output_fields": fields})])
    await user.should_see("The answer is now a group. The whole group is used in “Result”.", retries=100)
    press(user, "Use “answer” there")
    await user.should_see("The answer is now a group: later steps use its fields.", retries=100)
    output = draft(site, flow_id).node("api_output")
    assert output is not None
    assert output.inputs == {"reply": "Dear {{ prompt.out.answer }}"}


@pytest.mark.parametrize("shown", ["text_template", "e2"])
async def test_an_undo_that_removes_what_is_shown_closes_the_panel_and_leaves_no_empty_column(
    site: Site, user: User, flow_id: str, shown: str
) -> None:
    await opened(user, flow_id)
    panel, work = await selected(user, shown)
    flow = draft(site, flow_id)
    gone: list[Op] = [
        {"op": "removeEdge", "edge": edge.model_dump()} for edge in flow.edges if shown in {edge.id, edge.target}
    ]
    node = flow.node(shown)
    change(user, 1, "undo", [*gone, {"op": "removeNode", "node": node.model_dump()}] if node else gone)
    await until(lambda: not panel.visible)
    canvas(user).trigger("select", {"nodes": [], "edges": [], "notes": []})
    await until(lambda: "fp-work--wide" in work.classes)


async def selected(user: User, shown: str) -> tuple[Any, Any]:
    """Selects a node or a connection on the canvas. Returns the panel and the columns it is one of."""
    kind = "edges" if shown.startswith("e") else "nodes"
    canvas(user).trigger("select", {"nodes": [], "edges": [], "notes": [], kind: [shown]})
    panel, work = (marked(user, name) for name in ("fp-insp", "fp-work"))
    await until(lambda: panel.visible and "fp-work--wide" not in work.classes)
    return panel, work


def marked(user: User, css_class: str) -> Any:
    """The element with this class."""
    assert user.client is not None
    return next(one for one in user.client.elements.values() if css_class in one.classes)


async def test_a_new_field_that_callers_do_not_get_can_be_returned_with_one_press(site: Site, user: User) -> None:
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "text", "type": "string"}]}},
        {"id": "note", "type": "set_fields", "label": "Note", "inputs": {"a": "{{ api_input.out.text }}", "b": "new"}},
        {"id": "api_output", "type": "api_output", "inputs": {"a": "{{ note.out.a }}"}},
    ]
    edges = [
        {"id": "e1", "source": "api_input", "target": "note"},
        {"id": "e2", "source": "note", "target": "api_output"},
    ]
    flow_id = site.flow("Note", saved=False, file={"format": 1, "title": "Note", "nodes": nodes, "edges": edges})
    await opened(user, flow_id, "note")
    await user.should_see("Callers do not get “b” yet.")

    press(user, "Return this")

    await until(lambda: "Callers do not get" not in page_text(user))
    output = draft(site, flow_id).node("api_output")
    assert output is not None
    assert output.inputs == {"a": "{{ note.out.a }}", "b": "{{ note.out.b }}"}


async def test_groups_of_a_fixed_list_can_have_a_row_without_an_item(site: Site, user: User) -> None:
    item = {"type": "object", "fields": [{"name": "mood", "type": "string", "enum": ["good", "bad"]}]}
    field = {"name": "reviews", "type": "array", "items": item, "required": True}
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": [field]}},
        {"id": "count", "type": "group_count", "config": {"by": "mood"}, "inputs": {"items": "{{ api_input.out.reviews }}"}},
    ]  # fmt: skip
    edges = [{"id": "e1", "source": "api_input", "target": "count"}]
    flow_id = site.flow("Count", saved=False, file={"format": 1, "title": "Count", "nodes": nodes, "edges": edges})
    await opened(user, flow_id, "count")
    await user.should_see("Groups that no item is in have no row: “good”, “bad”.")

    press(user, "Show zeros, too")

    await until(lambda: "have no row" not in page_text(user))
    node = draft(site, flow_id).node("count")
    assert node is not None
    assert node.config["choices"] == ["good", "bad"]


async def test_a_sample_has_a_box_for_a_field_as_soon_as_it_has_a_name(site: Site, user: User) -> None:
    samples = [{"title": "First", "payload": {"a": "x"}}]
    config = {"fields": [{"name": "a", "type": "string"}], "samples": samples}
    file = {**FLOW, "nodes": [{"id": "api_input", "type": "api_input", "config": config}], "edges": []}
    flow_id = site.flow("Sampled", saved=False, file=file)
    await opened(user, flow_id, "api_input")
    head = next(one for one in user.find(content="First").elements if "fp-b" in one.classes and one.visible)
    assert head.parent_slot is not None
    UserInteraction(user, {head.parent_slot.parent}, None).click()
    before = {one.id for one in user.find(kind=ui.input).elements}

    press(user, "Add a field")
    await until(lambda: {one.id for one in user.find(kind=ui.input).elements} - before)
    name = min((one for one in user.find(kind=ui.input).elements if one.id not in before), key=lambda one: one.id)
    await told(site, flow_id, lambda flow: len(flow.nodes[0].config["fields"]) == 2)
    name.set_value("country")

    await told(site, flow_id, lambda flow: [one["name"] for one in flow.nodes[0].config["fields"]] == ["a", "country"])
    await until(lambda: _labels(user).count("country") == 2, lambda: _labels(user))  # the other is in the Run panel


def _labels(user: User) -> list[str]:
    assert user.client is not None
    return [getattr(one, "text", "") for one in user.client.elements.values() if one.tag == "label"]


async def test_a_number_of_more_than_64_bits_is_refused_below_its_field(site: Site, user: User, flow_id: str) -> None:
    nodes = [FLOW["nodes"][0], {"id": "set_fields", "type": "set_fields", "inputs": {"number": 7}}]
    edges = [{"id": "e1", "source": "api_input", "target": "set_fields"}]
    numbered = document({"format": 1, "title": "Numbers", "nodes": nodes, "edges": edges})
    site.database.write_now(save_draft, site.owner, flow_id, numbered, 1)
    await opened(user, flow_id, "set_fields")
    await until(lambda: any(one.text == "7" for one in parts(user, "BindingField").elements), lambda: page_text(user))
    field = next(one for one in parts(user, "BindingField").elements if one.text == "7")

    change = {"from": 1, "to": 1, "text": "0" * 22, "base": zlib.crc32("7".encode("utf-16-le"))}
    UserInteraction(user, {field}, None).trigger("change", change)
    await user.should_see("A value is a whole number of more than 64 bits. Put it in quotes, as a text.", retries=100)

    node = draft(site, flow_id).node("set_fields")
    assert node is not None
    assert node.inputs == {"number": 7}
