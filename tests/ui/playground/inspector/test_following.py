"""What the inspector shows follows edits that are made elsewhere: on the same page, and by others."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.flow.edits import Op, update_node
from tests.ui.arrange import buttons, draft, press, until
from tests.ui.conftest import Site
from tests.ui.playground.inspector.test_inspector import canvas, change, newest, opened, parts

FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Followed",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {
                "fields": [{"name": "who", "type": "string"}],
                "samples": [{"title": "First", "payload": {"who": "Bo"}}],
            },
        },
        {"id": "set_fields", "type": "set_fields", "label": "Set", "inputs": {"one": "1", "two": "2"}},
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "set_fields"}],
}


def type_end(user: User, field: Any, text: str) -> None:
    """Types at the end of a field of an input."""
    at, base = len(field.text), zlib.crc32(field.text.encode("utf-16-le"))
    UserInteraction(user, {field}, None).trigger("change", {"from": at, "to": at, "text": text, "base": base})


def inputs(site: Site, flow_id: str) -> dict[str, Any]:
    node = draft(site, flow_id).node("set_fields")
    assert node is not None
    return node.inputs


def unfold(user: User, content: str) -> None:
    """Opens an entry of a list."""
    head = next(one for one in user.find(content=content).elements if "fp-b" in one.classes and one.visible)
    assert head.parent_slot is not None
    UserInteraction(user, {head.parent_slot.parent}, None).click()


async def elsewhere(site: Site, flow_id: str, *ops: Op) -> None:
    """Makes an edit on a page of its own, as another person does."""
    other = User(site.user.http_client)  # another page of this browser
    await other.open(f"/playground/{flow_id}")
    canvas(other).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    before = draft(site, flow_id)
    change(other, 1, "edit", list(ops))
    await until(lambda: draft(site, flow_id) != before)


async def test_a_sample_kept_beside_it_stays_when_another_is_edited_in_the_inspector(site: Site, user: User) -> None:
    flow_id = site.flow("Followed", saved=False, file=FLOW)
    await opened(user, flow_id, "api_input")

    def titles() -> list[str]:
        return [one["title"] for one in draft(site, flow_id).nodes[0].config["samples"]]

    keep = next(
        one
        for one in user.find(kind=ui.button).elements
        if one.props.get("aria-label") == "Keep this input as a sample"
    )
    UserInteraction(user, {keep}, None).click()
    await until(lambda: "Keep" in buttons(user))
    press(user, "Keep")
    await until(lambda: titles() == ["First", "Sample 2"])

    unfold(user, "First")
    await until(lambda: any(one.value == "First" for one in user.find(kind=ui.input).elements))
    next(one for one in user.find(kind=ui.input).elements if one.value == "First").set_value("Renamed")
    await until(lambda: "Renamed" in titles())
    assert titles() == ["Renamed", "Sample 2"]


async def test_an_open_connection_shows_what_others_write_into_its_target(site: Site, user: User) -> None:
    flow_id = site.flow("Followed", saved=False, file=FLOW)
    await opened(user, flow_id)
    canvas(user).trigger("select", {"nodes": [], "edges": ["e1"]})
    await until(lambda: any(type(one).__name__ == "BindingField" for one in user.client.elements.values()))  # type: ignore[union-attr]
    first = newest(user, "BindingField", "one")

    node = draft(site, flow_id).node("set_fields")
    assert node is not None
    await elsewhere(site, flow_id, update_node(node, inputs={"one": "1", "two": "work of another person"}))
    await until(lambda: any(one.text == "work of another person" for one in parts(user, "BindingField").elements))

    type_end(user, first, "!")
    await until(lambda: inputs(site, flow_id)["one"] == "1!")
    assert inputs(site, flow_id) == {"one": "1!", "two": "work of another person"}


async def test_a_label_that_is_being_typed_stays_when_another_person_moves_the_node(site: Site, user: User) -> None:
    flow_id = site.flow("Followed", saved=False, file=FLOW)
    await opened(user, flow_id, "set_fields")
    title = next(one for one in user.find(kind=ui.input).elements if one.props.get("aria-label") == "Label")
    title.value = "Being ty"
    node = draft(site, flow_id).node("set_fields")
    assert node is not None
    values = [one.text for one in parts(user, "BindingField").elements]
    await elsewhere(site, flow_id, update_node(node, position={"x": 20, "y": 40}, inputs={"one": "moved", "two": "2"}))
    await until(lambda: [one.text for one in parts(user, "BindingField").elements] != values)
    assert title.value == "Being ty"

    await elsewhere(site, flow_id, update_node(node, label="Theirs"))
    await until(lambda: title.value == "Theirs")


@pytest.mark.parametrize("kind", ["dataset", "collection"])
@pytest.mark.parametrize("odd", [12, {"name": "x"}, [["a"]]])
async def test_a_pasted_step_whose_choice_is_no_text_shows_its_fields(
    site: Site, user: User, kind: str, odd: object
) -> None:
    flow_id = site.flow("Followed", saved=False, file=FLOW)
    await opened(user, flow_id)
    node_type = "dataset_source" if kind == "dataset" else "search_knowledge"
    node = {"id": "pasted", "type": node_type, "label": "Pasted", "position": {"x": 0, "y": 0}, "config": {kind: odd}}
    canvas(user).trigger("pasterequest", {"nodes": [node], "edges": [], "notes": [], "position": {"x": 0, "y": 200}})
    await until(lambda: len(draft(site, flow_id).nodes) == 3)
    new = draft(site, flow_id).nodes[-1]
    canvas(user).trigger("select", {"nodes": [new.id], "edges": []})
    await user.should_see("If it fails", retries=100)
