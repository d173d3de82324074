"""Renaming a field that other steps read: asked once, and one edit."""

from __future__ import annotations

from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from tests.ui.arrange import draft, page_text, press, until
from tests.ui.conftest import Site

FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Renamed",
    "nodes": [
        {"id": "api_input", "type": "api_input", "label": "API Input", "config": {"fields": [{"name": "title"}]}},
        {"id": "set_fields", "type": "set_fields", "label": "Sort it", "inputs": {"kind": "{{ api_input.out.title }}"}},
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


async def type_name(user: User, *typed: str) -> None:
    """Unfolds the field of the API Input and types, with pauses, then leaves the box."""
    head = next(one for one in user.find(content="title").elements if "fp-b" in one.classes and one.visible)
    assert head.parent_slot is not None
    UserInteraction(user, {head.parent_slot.parent}, None).click()
    await until(lambda: any(one.value == "title" for one in user.find(kind=ui.input).elements))
    box = name_box(user, "title")
    for text in typed:
        box.set_value(text)
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
