"""Tests of inputs in rows: a change of one row draws no other row again, so the cursor stays where it is."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.flow.edits import update_node
from tests.ui.arrange import draft, entries, press, press_named, until
from tests.ui.conftest import Site
from tests.ui.playground.inspector.test_inspector import change, newest, opened

CHIP = "{{ api_input.out.site }}"
FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Rows",
    "nodes": [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "site", "type": "string"}]}},
        {"id": "set_fields", "type": "set_fields", "inputs": {"a": CHIP, "b": "two", "c": "three"}},
        {
            "id": "http_request",
            "type": "http_request",
            "inputs": {"url": "https://a.example", "headers": {"X-A": "1", "X-B": "2"}},
        },
        {"id": "first_value", "type": "first_value", "inputs": {"values": ["one", "two"]}},
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "set_fields"},
        {"id": "e2", "source": "api_input", "target": "http_request"},
        {"id": "e3", "source": "api_input", "target": "first_value"},
    ],
}


@pytest.fixture
def flow_id(site: Site) -> str:
    return site.flow("Rows", saved=False, file=FLOW)


def inputs_of(site: Site, flow_id: str, node_id: str = "set_fields") -> dict[str, Any]:
    node = draft(site, flow_id).node(node_id)
    assert node is not None
    return node.inputs


def name_box(user: User, label: str) -> Any:
    assert user.client is not None
    found = [one for one in user.client.elements.values() if isinstance(one, ui.input)]
    return next(one for one in found if one.props.get("aria-label") == label)


def rename(user: User, box: ui.input, name: str) -> None:
    """Types another name and leaves the box."""
    box.value = name
    UserInteraction(user, {box}, None).trigger("change")


def write(user: User, label: str, text: str) -> None:
    """Replaces the text of a field as the browser sends it."""
    field = newest(user, "BindingField", label)
    base = zlib.crc32(field.text.encode("utf-16-le"))
    edit = {"from": 0, "to": len(field.text), "text": text, "base": base}
    UserInteraction(user, {field}, None).trigger("change", edit)


async def test_a_renamed_field_leaves_every_other_field_as_it_is(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "set_fields")
    await user.should_see("Add a field")
    first, second = name_box(user, "Field name a"), name_box(user, "Field name b")
    value = newest(user, "BindingField", "a")
    rename(user, first, "reviews")
    await until(lambda: list(inputs_of(site, flow_id)) == ["reviews", "b", "c"])
    assert not any(one.is_deleted for one in (first, second, value))
    rename(user, second, "count")
    await until(lambda: inputs_of(site, flow_id) == {"reviews": CHIP, "count": "two", "c": "three"})
    write(user, "count", "2")
    await until(lambda: inputs_of(site, flow_id)["count"] == "2")


async def test_a_name_that_is_taken_stays_in_its_box_with_the_reason(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "set_fields")
    await user.should_see("Add a field")
    second = name_box(user, "Field name b")
    rename(user, second, "a")
    assert (second.value, second.props["error-message"]) == ("a", "Another field has this name.")
    assert list(inputs_of(site, flow_id)) == ["a", "b", "c"]
    rename(user, second, "d")
    await until(lambda: list(inputs_of(site, flow_id)) == ["a", "d", "c"])
    assert "error" not in second.props


async def test_fields_move_and_go_and_the_others_stay(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "set_fields")
    await user.should_see("Add a field")
    third = newest(user, "BindingField", "c")
    press_named(user, "Move up c")
    await until(lambda: list(inputs_of(site, flow_id)) == ["a", "c", "b"])
    press_named(user, "Remove a")
    await until(lambda: list(inputs_of(site, flow_id)) == ["c", "b"])
    assert not third.is_deleted
    press(user, "Add a field")
    await until(lambda: list(inputs_of(site, flow_id)) == ["c", "b", "field_3"])


async def test_a_header_is_renamed_in_place(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "http_request")
    await user.should_see("Add a header")
    second = newest(user, "BindingField", "Headers: X-B")
    assert user.client is not None
    boxes = [one for one in user.client.elements.values() if one.props.get("aria-label") == "Headers: name"]
    rename(user, boxes[0], "X-C")  # type: ignore[arg-type]
    await until(lambda: inputs_of(site, flow_id, "http_request")["headers"] == {"X-C": "1", "X-B": "2"})
    assert not second.is_deleted
    assert not boxes[1].is_deleted


def body_of(site: Site, flow_id: str) -> Any:
    return inputs_of(site, flow_id, "http_request").get("body")


def shape_of_body(user: User) -> ui.toggle:
    assert user.client is not None
    found = [one for one in user.client.elements.values() if isinstance(one, ui.toggle)]
    return next(one for one in found if one.props.get("aria-label") == "Body")


async def test_a_body_is_written_as_named_values(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "http_request")
    await user.should_see("The service gets these names and values as JSON.")
    assert body_of(site, flow_id) is None
    press_named(user, "Add to Body")
    await until(lambda: body_of(site, flow_id) == {"name_1": ""})
    write(user, "Body: name_1", CHIP)
    rename(user, name_box(user, "Body: name"), "to")
    await until(lambda: body_of(site, flow_id) == {"to": CHIP})
    press_named(user, "Remove to")
    await until(lambda: body_of(site, flow_id) is None)


async def test_a_text_of_lines_with_names_becomes_named_values_and_comes_back(
    site: Site, user: User, flow_id: str
) -> None:
    await opened(user, flow_id, "http_request")
    await user.should_see("The service gets these names and values as JSON.")
    shape_of_body(user).value = "text"
    await user.should_see("The service gets it as plain text")
    text = f"to: {CHIP}\ntext: Dear guest,\nwe are sorry."
    write(user, "Body", text)
    await until(lambda: body_of(site, flow_id) == text)

    shape_of_body(user).value = "group"
    await until(lambda: body_of(site, flow_id) == {"to": CHIP, "text": "Dear guest,\nwe are sorry."})
    shape_of_body(user).value = "text"
    await until(lambda: body_of(site, flow_id) == text)

    node = draft(site, flow_id).node("http_request")
    assert node is not None
    change(user, 1, "undo", [update_node(node, inputs={**node.inputs, "body": {"to": CHIP}})])
    await user.should_see("The service gets these names and values as JSON.")
    assert shape_of_body(user).value == "group"
    assert body_of(site, flow_id) == {"to": CHIP}


@pytest.mark.parametrize(
    ("body", "shape", "said"),
    [
        ("a text", "text", "The service gets it as plain text"),
        ({"to": CHIP}, "group", "The service gets these names and values as JSON."),
        (["one"], "list", "The service gets it as JSON."),
    ],
)
async def test_a_body_opens_as_what_it_is(site: Site, user: User, body: Any, shape: str, said: str) -> None:
    nodes = [
        {**one, "inputs": {**one["inputs"], "body": body}} if one["id"] == "http_request" else one
        for one in FLOW["nodes"]
    ]
    flow_id = site.flow("Sends", saved=False, file={**FLOW, "nodes": nodes})
    await opened(user, flow_id, "http_request")
    await user.should_see(said)
    assert shape_of_body(user).value == shape
    assert body_of(site, flow_id) == body


async def test_a_group_that_an_undo_takes_away_stays_a_group(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "http_request")
    await user.should_see("Add a header")
    node = draft(site, flow_id).node("http_request")
    assert node is not None
    change(user, 1, "undo", [update_node(node, inputs={"url": "https://a.example"})])
    await user.should_not_see("Headers: X-A")
    assert user.client is not None
    shown = [one.props.get("label") for one in user.client.elements.values() if type(one).__name__ == "BindingField"]
    assert shown == ["Web address"]


async def test_a_value_of_a_list_is_moved_and_removed_in_place(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "first_value")
    await user.should_see("Add an item")
    second = newest(user, "BindingField", "Values 2")
    press_named(user, "Move up Values 2")
    await until(lambda: inputs_of(site, flow_id, "first_value") == {"values": ["two", "one"]})
    press_named(user, "Remove Values 2")
    await until(lambda: inputs_of(site, flow_id, "first_value") == {"values": ["two"]})
    assert (second.is_deleted, second.props["label"]) == (False, "Values 1")
    write(user, "Values 1", "three")
    await until(lambda: inputs_of(site, flow_id, "first_value") == {"values": ["three"]})


async def test_a_list_without_values_is_no_value_where_the_step_before_is_taken_then(
    site: Site, user: User, flow_id: str
) -> None:
    await opened(user, flow_id, "first_value")
    await user.should_see("Values")
    for left in ({"values": ["two"]}, {}):
        press_named(user, "Remove Values 1")
        await until(lambda left=left: inputs_of(site, flow_id, "first_value") == left)


async def test_a_field_becomes_a_list_with_a_box_per_item(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "set_fields")
    await user.should_see("Add a field")
    write(user, "c", "Great\nSlow")
    await until(lambda: inputs_of(site, flow_id)["c"] == "Great\nSlow")
    press_named(user, "More for c")
    turn(user, "c", "Make it a list")
    await until(lambda: inputs_of(site, flow_id)["c"] == ["Great", "Slow"])
    press_named(user, "Add an item to c")
    await until(lambda: len(inputs_of(site, flow_id)["c"]) == 3)
    write(user, "c 3", CHIP)
    await until(lambda: inputs_of(site, flow_id)["c"] == ["Great", "Slow", CHIP])


def turn(user: User, name: str, text: str) -> None:
    """Presses an entry in the menu of a field."""
    assert user.client is not None
    menu = next(one for one in user.client.elements.values() if one.props.get("aria-label") == f"More for {name}")
    entry = next(
        one
        for one in menu.descendants()
        if isinstance(one, ui.menu_item) and any(getattr(child, "text", "") == text for child in one.descendants())
    )
    UserInteraction(user, {entry}, None).click()


async def test_an_undo_shows_the_former_value_in_the_same_field(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "set_fields")
    await user.should_see("Add a field")
    field = newest(user, "BindingField", "b")
    node = draft(site, flow_id).node("set_fields")
    assert node is not None
    change(user, 1, "undo", [update_node(node, inputs={"a": CHIP, "b": "before", "renamed": "three"})])
    await until(lambda: field.text == "before", lambda: field.text)
    assert not field.is_deleted
    assert name_box(user, "Field name c").value == "renamed"


async def test_lines_put_into_an_item_become_items(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "first_value")
    await user.should_see("Add an item")
    second = next(one for one in user.client.elements.values() if one.props.get("label", "").endswith(" 2"))  # type: ignore[union-attr]
    assert second.props["item"] is True
    UserInteraction(user, {second}, None).trigger("lines", "- three\n- four\n\n- five")
    wanted = ["one", "two", "three", "four", "five"]
    await until(lambda: inputs_of(site, flow_id, "first_value")["values"] == wanted)


async def test_each_chip_makes_a_field_of_its_own(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "set_fields")
    await user.should_see("Add a field")
    assert user.client is not None
    chips = next(one for one in user.client.elements.values() if type(one).__name__ == "DataList")
    for _time in range(2):
        UserInteraction(user, {chips}, None).trigger("pick", {"raw": CHIP, "name": "site"})
    await until(lambda: list(inputs_of(site, flow_id)) == ["a", "b", "c", "site", "site_2"])


async def test_a_chip_becomes_an_item_of_a_list_and_the_value_of_a_rule(site: Site, user: User) -> None:
    bare = [{**one, "inputs": {}} for one in FLOW["nodes"] if one["id"] == "first_value"]
    bare.append({"id": "condition", "type": "condition"})
    edges = [{"id": one["id"], "source": "api_input", "target": one["id"]} for one in bare]
    file = {**FLOW, "nodes": [FLOW["nodes"][0], *bare], "edges": edges}
    flow_id = site.flow("Bare", saved=False, file=file)
    wanted = {"first_value": ("values", [CHIP, CHIP]), "condition": ("rules", [CHIP, CHIP])}
    for node_id, (name, values) in wanted.items():
        await opened(user, flow_id, node_id)
        await user.should_see("Data from earlier steps")
        assert user.client is not None
        chips = next(one for one in user.client.elements.values() if type(one).__name__ == "DataList")
        for _time in range(2):
            UserInteraction(user, {chips}, None).trigger("pick", {"raw": CHIP, "name": "site"})

        def stored(node_id: str = node_id, name: str = name) -> list[Any]:
            found = inputs_of(site, flow_id, node_id).get(name) or []
            return [one["left"] if isinstance(one, dict) else one for one in found]

        await until(lambda stored=stored, values=values: stored() == values, stored)


async def test_a_chip_that_is_dragged_onto_the_fields_becomes_one(site: Site, user: User) -> None:
    empty = [{**one, "inputs": {}} if one["id"] == "set_fields" else one for one in FLOW["nodes"]]
    flow_id = site.flow("No fields", saved=False, file={**FLOW, "nodes": empty})
    await opened(user, flow_id, "set_fields")
    await user.should_see("No fields yet.")
    assert user.client is not None
    around = next(one for one in user.client.elements.values() if "fp-freedrop" in one.classes)
    UserInteraction(user, {around}, None).trigger("drop", {"raw": CHIP, "name": "site"})
    await until(lambda: inputs_of(site, flow_id) == {"site": CHIP})
    assert name_box(user, "Field name site").value == "site"


async def test_a_value_is_handed_on_as_a_number_and_keeps_that_when_it_is_renamed(
    site: Site, user: User, flow_id: str
) -> None:
    def types() -> Any:
        node = draft(site, flow_id).node("set_fields")
        assert node is not None
        return node.config.get("types")

    await opened(user, flow_id, "set_fields")
    await user.should_see("Add a field")
    await user.should_not_see("Handed on as")
    numbers = [entry for name, entry in entries(user) if name == "As a number"]
    UserInteraction(user, {numbers[0]}, None).click()
    await until(lambda: types() == {"a": "number"})
    await user.should_see("Handed on as a number")
    rename(user, name_box(user, "Field name a"), "price")
    await until(lambda: types() == {"price": "number"})
    press_named(user, "Remove price")
    await until(lambda: types() is None)
