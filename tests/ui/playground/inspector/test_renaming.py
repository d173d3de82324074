"""Renaming a field that other steps read: asked once, and one edit."""

from __future__ import annotations

from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.flow.edits import Op, update_node
from tests.logical_time import pass_time
from tests.ui.arrange import draft, page_text, press, until
from tests.ui.conftest import Site
from ui.playground.inspector.renaming import NewName, brought_up

FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Renamed",
    "nodes": [
        {"id": "api_input", "type": "api_input", "label": "API Input", "config": {"fields": [{"name": "title"}]}},
        {
            "id": "set_fields",
            "type": "set_fields",
            "label": "Sort it",
            "inputs": {"kind": "{{ api_input.out.title }}"},
            "config": {"types": {"kind": "number"}},
        },
        {
            "id": "text_template",
            "type": "text_template",
            "label": "Letter",
            "inputs": {"template": "{{ api_input.out.title | upper }} {{ set_fields.out.kind }}"},
        },
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "set_fields"},
        {"id": "e2", "source": "set_fields", "target": "text_template"},
    ],
}


async def opened(site: Site, user: User, node: str) -> str:
    flow_id = site.flow("Renamed", saved=False, file=FLOW)
    await user.open(f"/playground/{flow_id}?node={node}")
    assert user.client is not None
    canvas = {one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas"}
    UserInteraction(user, canvas, None).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see("Set up" if node else "Run", retries=100)
    return flow_id


def template(site: Site, flow_id: str) -> str:
    node = draft(site, flow_id).node("text_template")
    assert node is not None
    return str(node.inputs["template"])


def names(site: Site, flow_id: str) -> list[str]:
    return [one["name"] for one in draft(site, flow_id).nodes[0].config["fields"]]


def name_box(user: User, value: str) -> ui.input:
    return next(one for one in user.find(kind=ui.input).elements if one.value == value)


async def type_name(user: User, *typed: str, leave: bool = True) -> None:
    """Unfolds the field of the API Input and types, with pauses, then leaves the box."""
    head = next(one for one in user.find(content="title").elements if "fp-b" in one.classes and one.visible)
    assert head.parent_slot is not None
    UserInteraction(user, {head.parent_slot.parent}, None).click()
    await until(lambda: any(one.value == "title" for one in user.find(kind=ui.input).elements))
    box = name_box(user, "title")
    for text in typed:
        box.set_value(text)
    if leave:
        leave_box(user, box)


def leave_box(user: User, box: ui.input) -> None:
    form = next(one for one in box.ancestors() if "fp-form" in one.classes and "focusout" in str(one._event_listeners))
    UserInteraction(user, {form}, None).trigger("focusout")


@pytest.mark.parametrize("answer", ["Rename it everywhere", "Only here", "none"])
async def test_a_field_of_api_input_is_asked_about_once_when_its_name_is_typed(
    site: Site, user: User, answer: str
) -> None:
    flow_id = await opened(site, user, "api_input")
    await type_name(user, "hea", "headl", "headline")
    await user.should_see("Rename “title” to “headline” where it is used, too?")
    assert "It is used in 2 steps: Sort it, Letter." in page_text(user)
    assert names(site, flow_id) == ["title"], "nothing is edited while it is asked"

    (dialog,) = (one for one in user.find(kind=ui.dialog).elements if one.value)
    assert dialog.props["persistent"], "Escape and a click beside it are no answer"
    if answer == "none":
        dialog.close()
    else:
        press(user, answer)

    await until(lambda: names(site, flow_id) == ["headline"])
    field = "title" if answer == "Only here" else "headline"
    await until(
        lambda: template(site, flow_id) == f"{{{{ api_input.out.{field} | upper }}}} {{{{ set_fields.out.kind }}}}"
    )


@pytest.mark.parametrize("left", ["before the answer", "after it"])
@pytest.mark.parametrize("typed", [("headline",), ("head", "title")])
async def test_what_is_typed_while_it_is_asked_renames_the_field_once_more(
    site: Site, user: User, left: str, typed: tuple[str, ...]
) -> None:
    flow_id = await opened(site, user, "api_input")
    await type_name(user, "headl")
    await user.should_see("Rename “title” to “headl” where it is used, too?")
    box = name_box(user, "headl")
    for text in typed:
        box.set_value(text)
    if left == "before the answer":
        leave_box(user, box)
    press(user, "Rename it everywhere")
    await until(lambda: names(site, flow_id) == ["headl"])
    if left == "after it":
        await until(lambda: template(site, flow_id).startswith("{{ api_input.out.headl | upper }}"))
        assert name_box(user, typed[-1]) is box, "the box keeps what was typed"
        leave_box(user, box)
    await user.should_see(f"Rename “headl” to “{typed[-1]}” where it is used, too?")
    press(user, "Rename it everywhere")
    await until(lambda: names(site, flow_id) == [typed[-1]])
    await until(lambda: template(site, flow_id).startswith(f"{{{{ api_input.out.{typed[-1]} | upper }}}}"))


async def test_a_name_that_comes_back_is_no_rename(site: Site, user: User) -> None:
    flow_id = await opened(site, user, "api_input")
    await type_name(user, "titl", "title")
    assert "where it is used" not in page_text(user)
    assert names(site, flow_id) == ["title"]


async def test_a_field_of_set_fields(site: Site, user: User) -> None:
    flow_id = await opened(site, user, "set_fields")
    box = name_box(user, "kind")
    box.value = "sort"
    UserInteraction(user, {box}, None).trigger("change")
    await user.should_see("Rename “kind” to “sort” where it is used, too?")
    press(user, "Rename it everywhere")
    await until(lambda: template(site, flow_id) == "{{ api_input.out.title | upper }} {{ set_fields.out.sort }}")
    node = draft(site, flow_id).node("set_fields")
    assert node is not None
    assert list(node.inputs) == ["sort"]


async def test_a_field_is_asked_about_in_the_mapping_of_a_connection_too(site: Site, user: User) -> None:
    flow_id = await opened(site, user, "")
    assert user.client is not None
    canvas = {one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas"}
    UserInteraction(user, canvas, None).trigger("select", {"nodes": [], "edges": ["e1"]})
    await user.should_see("Into", retries=100)
    box = name_box(user, "kind")
    box.value = "sort"
    UserInteraction(user, {box}, None).trigger("change")
    await user.should_see("Rename “kind” to “sort” where it is used, too?")
    press(user, "Rename it everywhere")
    await until(lambda: template(site, flow_id) == "{{ api_input.out.title | upper }} {{ set_fields.out.sort }}")
    node = draft(site, flow_id).node("set_fields")
    assert node is not None
    assert node.config == {"types": {"sort": "number"}}


async def elsewhere(user: User, flow_id: str, site: Site, op: Op) -> None:
    """Makes an edit on a page of its own, as another person does."""
    other = User(user.http_client)
    await other.open(f"/playground/{flow_id}")
    assert other.client is not None
    canvas = {one for one in other.client.elements.values() if type(one).__name__ == "EditableCanvas"}
    UserInteraction(other, canvas, None).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    before = draft(site, flow_id)
    UserInteraction(other, canvas, None).trigger("change", {"ops": [op], "seq": 1, "reason": "edit"})
    await until(lambda: draft(site, flow_id) != before)


@pytest.mark.parametrize("when", ["typed", "asked"])
async def test_what_another_person_sets_meanwhile_in_the_same_node_stays(site: Site, user: User, when: str) -> None:
    flow_id = await opened(site, user, "api_input")
    node = draft(site, flow_id).nodes[0]
    fields = [{"name": "new"}, *node.config["fields"]]
    theirs = update_node(node, config={"fields": fields, "samples": [{"title": "Theirs"}]})
    if when == "typed":
        await type_name(user, "headline", leave=False)
        await elsewhere(user, flow_id, site, theirs)
        await user.should_see("new", retries=100)
        leave_box(user, name_box(user, "headline"))
        await user.should_see("Rename “title” to “headline” where it is used, too?")
    else:
        await type_name(user, "headline")
        await user.should_see("Rename “title” to “headline” where it is used, too?")
        await elsewhere(user, flow_id, site, theirs)
    press(user, "Rename it everywhere")

    await until(lambda: names(site, flow_id) == ["new", "headline"], lambda: names(site, flow_id))
    assert draft(site, flow_id).nodes[0].config["samples"] == [{"title": "Theirs"}]
    await until(lambda: template(site, flow_id).startswith("{{ api_input.out.headline | upper }}"))


@pytest.mark.parametrize("shown", ["node", "connection"])
async def test_what_others_write_into_the_reading_steps_and_the_node_while_it_is_asked_stays(
    site: Site, user: User, shown: str
) -> None:
    flow_id = await opened(site, user, "set_fields" if shown == "node" else "")
    if shown == "connection":
        assert user.client is not None
        canvas = {one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas"}
        UserInteraction(user, canvas, None).trigger("select", {"nodes": [], "edges": ["e1"]})
        await user.should_see("Into", retries=100)
    box = name_box(user, "kind")
    box.value = "sort"
    UserInteraction(user, {box}, None).trigger("change")
    await user.should_see("Rename “kind” to “sort” where it is used, too?")

    reads, renamed = draft(site, flow_id).node("text_template"), draft(site, flow_id).node("set_fields")
    assert reads is not None
    assert renamed is not None
    await elsewhere(user, flow_id, site, update_node(reads, inputs={"template": "Long: {{ set_fields.out.kind }}"}))
    await elsewhere(user, flow_id, site, update_node(renamed, inputs={"kind": "theirs", "more": "of theirs"}))
    press(user, "Rename it everywhere")

    await until(lambda: template(site, flow_id) == "Long: {{ set_fields.out.sort }}", lambda: template(site, flow_id))
    node = draft(site, flow_id).node("set_fields")
    assert node is not None
    assert node.inputs == {"sort": "theirs", "more": "of theirs"}
    await until(lambda: [one.value for one in boxes(user) if "fp-freename" in one.classes][-2:] == ["sort", "more"])


def boxes(user: User) -> list[ui.input]:
    return sorted(user.find(kind=ui.input).elements, key=lambda one: one.id)


def test_an_edit_is_brought_up_to_what_others_have_changed():
    before = {"a": 1, "b": 2, "c": 3}
    assert brought_up(before, {"a": 1, "b": 5, "c": 3}, before) == {"a": 1, "b": 5, "c": 3}
    assert brought_up(before, {"b": 2, "a": 1, "x": 3}, {"a": 9, "c": 7, "d": 4}) == {"a": 9, "x": 7, "d": 4}
    assert brought_up(before, {"a": 1}, {"a": 1, "b": 8, "c": 3}) == {"a": 1}


def test_a_new_name_finds_its_field_again():
    name = NewName("/fields/0/name", "a", "b")
    assert name.put_in({"fields": [{"name": "x"}, {"name": "a"}], "y": 1})["fields"] == [{"name": "x"}, {"name": "b"}]
    assert name.put_in({"fields": [{"name": "x"}]}) == {"fields": [{"name": "x"}]}
    assert name.put_in({"fields": "odd"}) == {"fields": "odd"}


async def test_a_page_that_is_left_while_it_is_asked_renames_and_reports_no_fault(
    site: Site, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    flow_id = await opened(site, user, "api_input")
    await type_name(user, "headline")
    await user.should_see("Rename “title” to “headline” where it is used, too?")
    assert user.client is not None
    user.client.delete()
    await until(lambda: names(site, flow_id) == ["headline"])
    await pass_time(0.25)
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []
